"""``kind=route``: an address outside the subnets' ranges, that routing tables lead to one machine's interface.

It works across subnets and zones. A table without the route has it bound to nobody: so it is before the first start and
after a stop, and the tables' other routes are never touched.
"""

from __future__ import annotations

from typing import Any

from cloudha import web
from cloudha.provider import (
    Accepted,
    AddressChange,
    AddressQuery,
    Binding,
    BindingPage,
    ConfigurationError,
    Conflict,
    Context,
    IPAddress,
    LocalConfigurationError,
    NotFound,
    Unavailable,
)
from cloudha_plugin_ibm import machines
from cloudha_plugin_ibm.client import call, every, removed
from cloudha_plugin_ibm.errors import ENDPOINT
from cloudha_plugin_ibm.interfaces import Interface, chosen, insist_ipv4, local_machine, own_instance
from cloudha_plugin_ibm.routing_tables import DELIVER, Route, Table, routes_to, tables, vpc_of, wanted

__all__ = ["bind", "bindings", "unbind"]

Owners = dict[IPAddress, str]


def bindings(context: Context, query: AddressQuery) -> BindingPage:
    """Return one binding for each zone of each listed table, held or not."""
    if query.ip is not None:
        insist_ipv4(query.ip)
    wanted(context)
    me = local_machine(context, query.node_id)
    instance, _ = own_instance(context, me) if me else (None, ())
    vpc = vpc_of(context, me)
    found: list[Binding] = []
    owners = _own(instance) if instance else {}
    for table in tables(context, vpc):
        routes = routes_to(context, table, query.ip)
        if any(route.hop not in owners for route in routes if route.hop):
            owners |= _owners(context, vpc)
        found += [Binding(route.ip, _holder(route, owners), f"{table.name}/{route.zone}") for route in routes]
        if query.ip is not None:
            zones = table.zones(_zone(instance)) if instance else table.egress
            missing = sorted(zones - {route.zone for route in routes})
            found += [Binding(query.ip, None, f"{table.name}/{zone}") for zone in missing]
            if not routes and not missing:
                found.append(Binding(query.ip, None, table.name))
    return BindingPage(tuple(found))


def bind(context: Context, change: AddressChange) -> Accepted:
    """Point the routes of every table at the chosen VNI's own address: change them, or create them.

    :raises LocalConfigurationError: the VNI drops packets from addresses that are not its own.
    :raises ConfigurationError: there are routes to the address that cannot be changed, or two for one zone.
    :raises Conflict: another machine has one of the routes, and it is not to be moved.
    """
    insist_ipv4(change.ip)
    instance, _ = own_instance(context, change.node_id)
    target = chosen(context, change, instance)
    if not target.spoofs:
        raise LocalConfigurationError(
            f"{target.name} does not allow IP spoofing: IBM Cloud drops packets of {change.ip}",
            advice=f"run: ibmcloud is virtual-network-interface-update {target.id} --allow-ip-spoofing true",
        )
    vpc = vpc_of(context, change.node_id)
    found = [(table, routes_to(context, table, change.ip)) for table in tables(context, vpc)]
    for table, routes in found:
        _insist_ours(table, routes)
    if not change.move:
        _insist_free(context, change, vpc, found, _own(instance))
    done: list[str] = []
    for table, routes in found:
        done += _lead(context, table, routes, change.ip, target)
    return Accepted(tuple(done), detail="" if done else "every table leads there already")


def unbind(context: Context, change: AddressChange) -> Accepted:
    """Delete the routes that lead to this machine."""
    insist_ipv4(change.ip)
    instance, _ = own_instance(context, change.node_id)
    mine = _own(instance)
    done: list[str] = []
    for table in tables(context, vpc_of(context, change.node_id)):
        for route in routes_to(context, table, change.ip):
            if route.hop in mine:
                done += _delete(context, table, route)
    return Accepted(tuple(done), detail="" if done else "not bound there", sent=bool(done))


def _lead(context: Context, table: Table, routes: list[Route], ip: IPAddress, target: Interface) -> list[str]:
    """Make the table lead to the VNI, in every zone that it serves. Old routes go last: a gap would lose packets."""
    by_zone = {route.zone: route for route in routes}
    zones = table.zones(target.zone)
    # Only where all traffic comes from outside: there, a route to another zone than its own drops everything.
    stale = [] if table.egress else [route for route in routes if route.zone not in zones]
    done: list[str] = []
    for zone in sorted(zones | (set(by_zone) - {route.zone for route in stale})):
        route = by_zone.get(zone)
        if route is None:
            advertise = any(other.advertise for other in routes)
            done.append(_create(context, table, ip, zone, target, advertise=advertise))
        elif route.hop != target.own:
            done.append(_change(context, table, route, target))
    for route in stale:
        done += _delete(context, table, route)
    return done


def _create(context: Context, table: Table, ip: IPAddress, zone: str, target: Interface, *, advertise: bool) -> str:
    answer = call(
        context,
        "create_vpc_routing_table_route",
        table.vpc,
        table.id,
        f"{ip}/{ip.max_prefixlen}",
        {"name": zone},
        action=DELIVER,
        advertise=advertise,
        # One name for each address and zone: of two nodes that start at once, the API refuses the second.
        name=f"cloudha-{ip}-{zone}".replace(".", "-"),
        next_hop={"address": str(target.own)},
    )
    _check(answer.document, target)
    return answer.request_id


def _change(context: Context, table: Table, route: Route, target: Interface) -> str:
    patch = {"next_hop": {"address": str(target.own)}}
    answer = call(context, "update_vpc_routing_table_route", table.vpc, table.id, route.id, patch)
    _check(answer.document, target)
    return answer.request_id


def _delete(context: Context, table: Table, route: Route) -> list[str]:
    try:
        return [removed(context, "delete_vpc_routing_table_route", table.vpc, table.id, route.id)]
    except NotFound:
        # Deleted by somebody else between the two requests: what was wanted.
        return []


def _check(document: object, target: Interface) -> None:
    if web.address(web.field(document, "next_hop", dict), "address") != target.own:
        raise Unavailable("the answer is about another route", advice=ENDPOINT)


def _insist_ours(table: Table, routes: list[Route]) -> None:
    """Insist that the routes can be moved: one for each zone, made by people, that leads to an address."""
    for route in routes:
        if not route.ours:
            raise ConfigurationError(
                f"the route {route.name} in {table.name} was made by a service, or does not deliver to an address",
                advice="choose another address, or delete that route",
            )
        twins = [other.name for other in routes if other.zone == route.zone]
        if len(twins) > 1:
            raise ConfigurationError(
                f"{table.name} has several routes to {route.ip} for {route.zone}: {', '.join(twins)}",
                advice="IBM Cloud would spread packets over both: delete all but one",
            )


def _insist_free(
    context: Context, change: AddressChange, vpc: str, found: list[tuple[Table, list[Route]]], owners: Owners
) -> None:
    routes = [route for _, some in found for route in some]
    if any(route.hop not in owners for route in routes):
        owners = _owners(context, vpc) | owners
    for route in routes:
        holder = _holder(route, owners)
        if holder != change.node_id:
            raise Conflict(f"{change.ip} leads to {holder} in {route.zone}")


def _holder(route: Route, owners: Owners) -> str | None:
    """Return the machine that the route leads to; the next hop itself where its machine is not in sight."""
    if route.hop is None:
        return f"route {route.name}"
    return owners.get(route.hop, str(route.hop))


def _own(instance: Any) -> Owners:  # noqa: ANN401 - an answer
    return {address: web.field(instance, "id", str) for address in machines.own_addresses(instance)}


def _owners(context: Context, vpc: str) -> Owners:
    """Return which machine of the VPC has which address of its own."""
    found: Owners = {}
    for document in every(context, "list_instances", "instances", vpc_id=vpc):
        found |= _own(document)
    return found


def _zone(instance: Any) -> str:  # noqa: ANN401 - an answer
    return web.field(web.field(instance, "zone", dict), "name", str)
