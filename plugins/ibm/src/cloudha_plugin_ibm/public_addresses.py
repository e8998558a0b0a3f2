"""``kind=public``: a floating IP, bound to the virtual network interface (VNI) of one machine in the same zone.

The address is translated to the VNI's own one. A move is one request, and the VNI must not have another floating IP.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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
from cloudha_plugin_ibm.client import call, every, page, removed
from cloudha_plugin_ibm.errors import ENDPOINT
from cloudha_plugin_ibm.interfaces import (
    CHILD_INTERFACE,
    INTERFACE,
    Interface,
    chosen,
    in_flux,
    insist_ipv4,
    machine_of,
    own_instance,
)

__all__ = ["bind", "bindings", "unbind"]

FLUX_SECONDS = 1.0


class FloatingIp(NamedTuple):
    """A floating IP as the API describes it now. ``target``: a part of the answer, None while it is not bound."""

    id: str
    name: str
    ip: IPAddress
    zone: str
    state: str
    target: dict[str, Any] | None

    @property
    def target_id(self) -> str:
        """The id of what has it, "" for nothing."""
        return str(self.target["id"]) if self.target else ""


def bindings(context: Context, query: AddressQuery) -> BindingPage:
    """Return who has the address: the listing, then the one interface that has it.

    :raises NotFound: no such floating IP is in sight, which does not say that nobody has it.
    """
    if query.ip is None:
        found, following = page(context, "list_floating_ips", "floating_ips", token=query.page, **_filters(context))
        return BindingPage(tuple(_binding(context, _read(item)) for item in found), following)
    insist_ipv4(query.ip)
    item = _find(context, query.ip)
    if in_flux(item.state):
        raise Unavailable(
            f"the floating IP {item.name} is {item.state}, so who holds it is open", retry_after=FLUX_SECONDS
        )
    return BindingPage((_binding(context, item),))


def bind(context: Context, change: AddressChange) -> Accepted:
    """Bind the floating IP to the chosen VNI, wherever it is.

    :raises NotFound: there is no such floating IP in sight.
    :raises LocalConfigurationError: the VNI is in another zone, or has another floating IP already.
    :raises Conflict: another machine has it, and it is not to be moved.
    """
    insist_ipv4(change.ip)
    instance, _ = own_instance(context, change.node_id)
    target = chosen(context, change, instance)
    item = _find(context, change.ip)
    _insist_movable(item)
    if item.target_id == target.id:
        return Accepted(detail="bound there already")
    _insist_place(context, item, target)
    if item.target is not None and not change.move:
        holder, _ = machine_of(context, item.target)
        if holder not in (None, change.node_id):
            raise Conflict(f"{change.ip} is bound to {holder}")
    answer = call(context, "update_floating_ip", item.id, {"target": {"id": target.id}})
    if _read(answer.document).target_id != target.id:
        raise Unavailable("the answer is about another floating IP", advice=ENDPOINT)
    return Accepted((answer.request_id,))


def unbind(context: Context, change: AddressChange) -> Accepted:
    """Unbind the floating IP from the machine's VNIs. The request names the VNI: it takes it from no other one."""
    insist_ipv4(change.ip)
    _, held = own_instance(context, change.node_id)
    item = _find(context, change.ip)
    # An attachment's id stands for its VNI where the API shows the read-only child interface instead.
    mine = {name: attachment.interface for attachment in held for name in (attachment.interface, attachment.id)}
    if item.target_id not in mine:
        return Accepted(detail="not bound there", sent=False)
    try:
        interface = mine[item.target_id]
        return Accepted((removed(context, "remove_network_interface_floating_ip", interface, item.id),))
    except NotFound:
        # Unbound by somebody else between the two requests: what was wanted.
        return Accepted(detail="not bound there any more", sent=False)


def _find(context: Context, ip: IPAddress) -> FloatingIp:
    """Return the floating IP; the API has no filter for addresses, and allows some 40 of them in a zone."""
    for document in every(context, "list_floating_ips", "floating_ips", **_filters(context)):
        item = _read(document)
        if item.ip == ip:
            return item
    raise NotFound(
        f"no floating IP {ip} is in sight", advice="check ip=, region=, resource_group= and the access policy"
    )


def _binding(context: Context, item: FloatingIp) -> Binding:
    if item.target is None:
        return Binding(item.ip, None, item.id)
    machine, where = machine_of(context, item.target)
    return Binding(item.ip, machine, where)


def _insist_movable(item: FloatingIp) -> None:
    if item.target is not None and item.target.get("resource_type") not in (INTERFACE, CHILD_INTERFACE):
        raise ConfigurationError(
            f"{item.ip} belongs to {item.target.get('resource_type')} {item.target.get('name')}",
            advice="reserve a floating IP for the cluster: ibmcloud is floating-ip-reserve",
        )


def _insist_place(context: Context, item: FloatingIp, target: Interface) -> None:
    """Insist that the VNI can take it, before anything is touched."""
    if item.zone != target.zone:
        raise LocalConfigurationError(
            f"the floating IP {item.ip} is in zone {item.zone}, and {target.name} in {target.zone}",
            advice="a floating IP moves within one zone: keep the cluster in it, or use kind=route",
        )
    others = [
        str(other.ip)
        for other in map(_read, every(context, "list_floating_ips", "floating_ips", target_id=target.id))
        if other.id != item.id and other.target_id == target.id
    ]
    if others:
        raise LocalConfigurationError(
            f"{target.name} has the floating IP {', '.join(others)} already, and IBM Cloud allows one",
            advice="unbind that one, or use another nic= or interface_id=",
        )


def _filters(context: Context) -> dict[str, Any]:
    group = context.settings.text("resource_group")
    return {"resource_group_id": group} if machines.GROUP_ID.match(group) else {}


def _read(document: Any) -> FloatingIp:  # noqa: ANN401 - a part of an answer
    target = document.get("target") if isinstance(document, dict) else None
    if target is not None:
        web.field(target, "id", str)
    return FloatingIp(
        id=web.field(document, "id", str),
        name=web.field(document, "name", str),
        ip=web.address(document, "address"),
        zone=web.field(web.field(document, "zone", dict), "name", str),
        state=web.field(document, "status", str),
        target=target,
    )
