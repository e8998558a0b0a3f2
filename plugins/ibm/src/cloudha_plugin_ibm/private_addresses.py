"""``kind=private``: a reserved IP, bound to the virtual network interface (VNI) of one machine, in the same subnet.

A move is two requests: unbind from the old VNI, bind to the new one; the API refuses the second while the first is
under way, which is a Conflict. Each call finds out by itself how far the last one came, so that a kill between the two
leaves an address that the next call binds.
"""

from __future__ import annotations

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
from cloudha_plugin_ibm import metadata, reserved_ips
from cloudha_plugin_ibm.client import call, removed
from cloudha_plugin_ibm.errors import ENDPOINT
from cloudha_plugin_ibm.interfaces import (
    INTERFACE,
    Interface,
    chosen,
    fetch,
    in_flux,
    insist_ipv4,
    local_machine,
    machine_of,
    own_instance,
    owners,
)
from cloudha_plugin_ibm.reserved_ips import ReservedIp, check_movable

__all__ = ["bind", "bindings", "unbind"]

# "IP addresses: 8 per virtual network interface", its own included; see "Quotas and service limits for VPC".
MOST_ADDRESSES = 8
FLUX_SECONDS = 1.0


def bindings(context: Context, query: AddressQuery) -> BindingPage:
    """Return who has the address, in the subnets of the machine that asks; one request where that one has it."""
    if query.ip is None:
        return _listed(context, query.page)
    insist_ipv4(query.ip)
    me = local_machine(context, query.node_id)
    if me is None:
        subnets = reserved_ips.subnets_in_sight(context, query.ip)
        if not subnets:
            raise NotFound(f"no subnet in sight has {query.ip}", advice="check vpc=, resource_group= and region=")
        return BindingPage(tuple(_bound(context, subnet, query.ip) for subnet in subnets))
    where = _held_by_hint(context, me, query.ip)
    if where:
        return BindingPage((Binding(query.ip, me, where),))
    _, held = own_instance(context, me)
    for attachment in held:
        if query.ip in fetch(context, attachment.interface).ips:
            return BindingPage((Binding(query.ip, me, attachment.interface),))
    subnets = sorted({attachment.subnet for attachment in held})
    return BindingPage(tuple(_bound(context, subnet, query.ip) for subnet in subnets))


def bind(context: Context, change: AddressChange) -> Accepted:
    """Bind the reserved IP to the chosen VNI, after unbinding it from another one.

    :raises NotFound: the VNI's subnet has no such reserved IP.
    :raises ConfigurationError: it must not be moved; said before anything is touched.
    :raises Conflict: not now: another change is under way, or it is not to be moved.
    """
    insist_ipv4(change.ip)
    instance, _ = own_instance(context, change.node_id)
    target = chosen(context, change, instance)
    item = reserved_ips.find(context, target.subnet, change.ip)
    if item is None:
        raise NotFound(
            f"the subnet {target.subnet} of {target.name} has no reserved IP {change.ip}",
            advice=f"run: ibmcloud is subnet-reserved-ip-create {target.subnet} --address {change.ip} "
            "--auto-delete false; check nic=, or use kind=route across subnets",
        )
    check_movable(item)
    _refuse_own(target, change.ip)
    if change.ip in target.ips and not in_flux(target.state):
        return Accepted(detail="bound there already")
    _insist_room(target, change.ip)
    done: list[str] = []
    if item.target is not None:
        held = _holder(context, item)
        if held.id != target.id:
            if not change.move and held.machine not in (None, change.node_id):
                raise Conflict(f"{change.ip} is bound to {held.machine}")
            done.append(_release(context, held, item))
    answer = call(context, "add_virtual_network_interface_ip", target.id, item.id)
    if web.field(answer.document, "id", str) != item.id:
        raise Unavailable("the answer is about another reserved IP", advice=ENDPOINT)
    return Accepted((*done, answer.request_id))


def unbind(context: Context, change: AddressChange) -> Accepted:
    """Unbind the reserved IP from the machine's VNIs. The request names the VNI: it takes it from no other one."""
    insist_ipv4(change.ip)
    _, held = own_instance(context, change.node_id)
    done: list[str] = []
    for attachment in held:
        interface = fetch(context, attachment.interface)
        if change.ip not in interface.ips:
            continue
        _refuse_own(interface, change.ip)
        item = reserved_ips.find(context, interface.subnet, change.ip)
        if item is None or item.id != interface.ips[change.ip]:
            raise Unavailable(f"{interface.name} holds {change.ip}, and its subnet's listing does not know it")
        check_movable(item)
        done.append(_release(context, interface, item))
    return Accepted(tuple(done), detail="" if done else "not bound there", sent=bool(done))


def _held_by_hint(context: Context, me: str, ip: IPAddress) -> str:
    """Return this machine's VNI that has the address, "" where that is not certain yet.

    The metadata service only says where to look. That it is so, the API says: of the VNI, and of who has that.
    """
    for interface_id in metadata.interfaces(context, me):
        try:
            interface = fetch(context, interface_id)
        except NotFound:
            # An attachment of the past.
            continue
        if ip in interface.ips and interface.machine == me:
            return interface.id
    return ""


def _bound(context: Context, subnet: str, ip: IPAddress) -> Binding:
    """Return who has the address in that subnet; nobody where it is not even reserved."""
    item = reserved_ips.find(context, subnet, ip)
    if item is None:
        return Binding(ip, None, subnet)
    _insist_settled(item)
    if item.target is None:
        return Binding(ip, None, item.id)
    machine, where = machine_of(context, item.target)
    return Binding(ip, machine, where)


def _listed(context: Context, token: str | None) -> BindingPage:
    """Return a page of all reserved IPs: subnet by subnet; the token is the subnet's number and its own token."""
    subnets = reserved_ips.subnets_in_sight(context, None)
    number, _, inner = (token or "0,").partition(",")
    place = int(number) if number.isdigit() else 0
    if place >= len(subnets):
        return BindingPage(())
    found, following = reserved_ips.listed(context, subnets[place], inner or None)
    machines = owners(context)
    shown = []
    for item in found:
        target = item.target or {}
        known = target.get("resource_type") == INTERFACE and target["id"] in machines
        if item.target is None:
            shown.append(Binding(item.ip, None, item.id))
        elif known:
            shown.append(Binding(item.ip, machines[target["id"]], target["id"]))
        else:
            shown.append(Binding(item.ip, *machine_of(context, item.target)))
    if following:
        return BindingPage(tuple(shown), f"{place},{following}")
    return BindingPage(tuple(shown), f"{place + 1}," if place + 1 < len(subnets) else None)


def _holder(context: Context, item: ReservedIp) -> Interface:
    """Return the VNI that has the address now.

    :raises ConfigurationError: it is no VNI of a machine, or the address is the VNI's own.
    """
    target = item.target or {}
    if target.get("resource_type") != INTERFACE:
        holder, _ = machine_of(context, target)
        raise ConfigurationError(f"{item.ip} is held by {holder}", advice="choose an address that can float")
    held = fetch(context, str(target["id"]))
    if held.other:
        raise ConfigurationError(
            f"{item.ip} is held by {held.name} of a {held.other}", advice="choose an address that can float"
        )
    _refuse_own(held, item.ip)
    return held


def _release(context: Context, held: Interface, item: ReservedIp) -> str:
    try:
        return removed(context, "remove_virtual_network_interface_ip", held.id, item.id)
    except NotFound:
        # Unbound by somebody else between the two requests: what was wanted.
        return ""


def _refuse_own(interface: Interface, ip: IPAddress) -> None:
    if interface.own == ip:
        raise ConfigurationError(
            f"{ip} is the own address of {interface.name}", advice="choose an address that can float"
        )


def _insist_room(target: Interface, ip: IPAddress) -> None:
    """Insist that the VNI can take one more: found out afterwards, the address would be bound nowhere."""
    if ip not in target.ips and len(target.ips) >= MOST_ADDRESSES:
        raise LocalConfigurationError(
            f"{target.name} has {len(target.ips)} addresses, and IBM Cloud allows no more",
            advice="unbind one of them, or use another nic=",
        )


def _insist_settled(item: ReservedIp) -> None:
    if in_flux(item.state):
        raise Unavailable(
            f"the reserved IP {item.name} is {item.state}, so who holds it is open", retry_after=FLUX_SECONDS
        )
