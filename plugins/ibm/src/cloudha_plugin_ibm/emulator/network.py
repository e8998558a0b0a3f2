"""The rules of binding: what the API refuses, and what becomes of what it accepts.

The rules are those in the SDK's docstrings of the operations. Error codes that IBM does not write down are ours.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from cloudha.types import IPAddress, Kind
from cloudha_plugin_ibm.emulator.account import Account
from cloudha_plugin_ibm.emulator.behaviour import ApiError
from cloudha_plugin_ibm.emulator.records import Floating, Interface, Reserved, Route, Table, new_id

__all__ = [
    "add_route",
    "bind_reserved",
    "change_route",
    "delete_route",
    "give",
    "patch_floating",
    "release_floating",
    "unbind_reserved",
]

# "IP addresses: 8 per virtual network interface".
MOST_ADDRESSES = 8
# "Only two identical destination routes are permitted per zone".
MOST_TWINS = 2


def bind_reserved(account: Account, interface: Interface, reserved_id: str) -> Reserved:
    """Bind a reserved IP: "must currently be unbound and in the primary IP's subnet".

    :raises ApiError: it is not, or the interface cannot take it.
    """
    item = _reserved(account, reserved_id)
    if item.interface or item.other or item.state != "stable":
        raise ApiError(409, "reserved_ip_in_use", f"The reserved IP {item.name} is bound to another resource.")
    if item.subnet != interface.subnet or item.owner != "user":
        raise ApiError(400, "bad_field", f"The reserved IP {item.name} is not in the subnet of {interface.name}.")
    if interface.share:
        raise ApiError(409, "virtual_network_interface_in_use", f"{interface.name} is of a share mount target.")
    if len(account.bound_to(interface)) >= MOST_ADDRESSES:
        raise ApiError(400, "over_quota", f"{interface.name} has {MOST_ADDRESSES} IP addresses already.")

    def act() -> None:
        item.interface, item.state = interface.id, "stable"
        account.deliver()

    item.state = "updating"
    account.later(account.behaviour.network, act)
    return item


def unbind_reserved(account: Account, interface: Interface, reserved_id: str) -> None:
    """Unbind a reserved IP; with ``auto_delete`` it is gone.

    :raises ApiError: it is not bound there, or it is the interface's own.
    """
    item = _reserved(account, reserved_id)
    if item.interface != interface.id:
        raise ApiError(404, "not_found", f"The reserved IP {item.name} is not bound to {interface.name}.")
    if item.id == interface.primary:
        raise ApiError(409, "primary_ip_in_use", "The reserved IP for the primary_ip cannot be unbound.")
    if item.state != "stable":
        raise ApiError(409, "reserved_ip_pending", f"The reserved IP {item.name} is being changed.")

    def act() -> None:
        item.interface, item.state = "", "stable"
        if item.auto_delete:
            account.reserved.pop(item.id, None)
        account.deliver()

    item.state = "updating"
    account.later(account.behaviour.network, act)


def patch_floating(account: Account, item: Floating, target: object) -> None:
    """Bind a floating IP to another interface, or (null) to none, "replacing any existing binding".

    :raises ApiError: the interface has one, or is in another zone, or a public gateway needs it.
    """
    if item.gateway:
        raise ApiError(409, "floating_ip_in_use", f"{item.name} is required by a public gateway.")
    if item.state != "available":
        raise ApiError(409, "floating_ip_pending", f"{item.name} is being changed.")
    wanted = target.get("id") if isinstance(target, Mapping) else None
    if target is not None and wanted not in account.interfaces:
        raise ApiError(400, "not_found", "The target of the floating IP was not found.")
    if wanted is not None:
        interface = account.interfaces[str(wanted)]
        if account.subnets[interface.subnet].zone != item.zone:
            raise ApiError(400, "bad_field", f"{item.name} and {interface.name} are in different zones.")
        if any(other.interface == interface.id and other is not item for other in account.floating.values()):
            raise ApiError(409, "floating_ip_conflict", f"{interface.name} has a floating IP already.")
    _settle(account, item, str(wanted or ""))


def release_floating(account: Account, interface: Interface, floating_id: str) -> None:
    """Disassociate a floating IP from an interface.

    :raises ApiError: 404 when it is not bound there.
    """
    item = account.floating.get(floating_id)
    if item is None or item.interface != interface.id:
        raise ApiError(404, "not_found", f"{interface.name} has no floating IP {floating_id}.")
    _settle(account, item, "")


def add_route(account: Account, table: Table, body: Mapping[str, Any]) -> Route:
    """Make a route.

    :raises ApiError: the request makes no sense, or its name or destination is taken.
    """
    try:
        destination = str(ipaddress.ip_network(body["destination"]))
        zone, hop = str(body["zone"]["name"]), str(ipaddress.ip_address(body["next_hop"]["address"]))
    except (KeyError, TypeError, ValueError):
        raise ApiError(400, "bad_field", "The route prototype is not valid.") from None
    name = str(body.get("name") or f"route-{len(table.routes)}")
    if any(route.name == name for route in table.routes):
        raise ApiError(409, "route_name_in_use", f"The name {name} is used by another route in the routing table.")
    if len([route for route in table.routes if (route.destination, route.zone) == (destination, zone)]) >= MOST_TWINS:
        raise ApiError(409, "route_conflict", f"At most two routes may have the destination {destination} in {zone}.")
    route = Route(new_id("r006-", "route", table.id, name), name, destination, zone, hop)
    route.advertise = body.get("advertise") is True
    table.routes.append(route)
    account.deliver()
    return route


def change_route(account: Account, route: Route, body: Mapping[str, Any]) -> None:
    """Change a route's next hop.

    :raises ApiError: it is a service's, or the request makes no sense.
    """
    if route.origin != "user":
        raise ApiError(
            409, "route_not_user_origin", "Only VPC routes with an origin of user are allowed to be updated."
        )
    try:
        route.hop = str(ipaddress.ip_address(body["next_hop"]["address"]))
    except (KeyError, TypeError, ValueError):
        raise ApiError(400, "bad_field", "The route patch is not valid.") from None
    account.deliver()


def delete_route(account: Account, table: Table, route: Route) -> None:
    """Delete a route."""
    table.routes.remove(route)
    account.deliver()


def give(account: Account, kind: Kind, ip: IPAddress, name: str) -> None:
    """Bind an address to the machine *name* ("": to nobody) behind everybody's back, at once.

    A floating IP goes to an interface of the machine that has none yet, the primary one last.
    """
    with account.lock:
        if kind is Kind.ROUTE:
            table = account.table
            table.routes[:] = [route for route in table.routes if route.destination != f"{ip}/32"]
            if name:
                virtual = account.machines[name]
                for zone in sorted({s.zone for s in account.subnets.values() if s.table == table.id}):
                    route_name = f"given-{ip}-{zone}".replace(".", "-")
                    route = Route(new_id("r006-", "route", table.id, route_name), route_name, f"{ip}/32", zone, "")
                    route.hop = str(virtual.machine.address)
                    table.routes.append(route)
        elif kind is Kind.PRIVATE:
            account.reserved_at(ip).interface = account.interfaces_of(name)[0].id if name else ""
        else:
            item = account.floating_at(ip)
            item.interface = ""
            taken = {other.interface for other in account.floating.values()}
            free = [i.id for i in reversed(account.interfaces_of(name)) if i.id not in taken] if name else [""]
            item.interface = free[0]
        account.deliver()


def _settle(account: Account, item: Floating, interface: str) -> None:
    def act() -> None:
        item.interface, item.state = interface, "available"
        account.deliver()

    item.state = "pending"
    account.later(account.behaviour.network, act)


def _reserved(account: Account, reserved_id: str) -> Reserved:
    found = account.reserved.get(reserved_id)
    if found is None:
        raise ApiError(404, "not_found", f"Reserved IP {reserved_id} not found.")
    return found
