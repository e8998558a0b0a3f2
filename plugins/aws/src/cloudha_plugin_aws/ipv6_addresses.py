"""``kind=private`` for IPv6: an address of an interface. AWS has no move: it is unassigned, then assigned."""

from __future__ import annotations

from cloudha import web
from cloudha.provider import Accepted, AddressChange, Conflict, Context, Unavailable
from cloudha_plugin_aws.client import call
from cloudha_plugin_aws.interfaces import chosen, interfaces_holding, interfaces_of

__all__ = ["bind", "unbind"]


def bind(context: Context, change: AddressChange) -> Accepted:
    """Take it from whoever has it, then assign it. When that stops half-way, the same call goes on from there.

    :raises Conflict: another machine has it, and it is not to be moved.
    """
    holders = interfaces_holding(context, change.ip)
    interface = chosen(context, change, interfaces_of(context, change.node_id))
    if interface.id in {holder.id for holder in holders}:
        return Accepted(detail=f"{interface.id} has it already")
    if not change.move and any(holder.instance != change.node_id for holder in holders):
        who = ", ".join(f"{holder.instance or 'nobody'} {holder.id}" for holder in holders)
        raise Conflict(f"{change.ip} is assigned to {who}")
    done = [_unassign(context, holder.id, str(change.ip)) for holder in holders]
    document, request_id = call(
        context, "assign_ipv6_addresses", NetworkInterfaceId=interface.id, Ipv6Addresses=[str(change.ip)]
    )
    if web.field(document, "NetworkInterfaceId", str) != interface.id:
        raise Unavailable(f"the answer is not about {interface.id}", advice="check the endpoint")
    return Accepted((*done, request_id))


def unbind(context: Context, change: AddressChange) -> Accepted:
    """Unassign it from the machine's own interface."""
    found = interfaces_holding(context, change.ip, node_id=change.node_id)
    done = [_unassign(context, interface.id, str(change.ip)) for interface in found]
    return Accepted(tuple(done), detail="" if done else "not bound there", sent=bool(done))


def _unassign(context: Context, interface_id: str, ip: str) -> str:
    return call(context, "unassign_ipv6_addresses", NetworkInterfaceId=interface_id, Ipv6Addresses=[ip]).request_id
