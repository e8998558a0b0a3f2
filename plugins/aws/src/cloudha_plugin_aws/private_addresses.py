"""``kind=private``: a secondary private IPv4 address of an interface, moved in one request."""

from __future__ import annotations

from collections.abc import Sequence

from cloudha import web
from cloudha.provider import (
    Accepted,
    AddressChange,
    AddressQuery,
    AmbiguousError,
    Binding,
    BindingPage,
    CloudhaError,
    ConfigurationError,
    Context,
    Unavailable,
)
from cloudha_plugin_aws import metadata
from cloudha_plugin_aws.client import call
from cloudha_plugin_aws.interfaces import Interface, chosen, interfaces_holding, interfaces_of, interfaces_page

__all__ = ["bind", "bindings", "everything", "unbind"]


def bindings(context: Context, query: AddressQuery) -> BindingPage:
    """Ask which interface has the address; EC2 looks it up, whatever the size of the account."""
    if query.ip is None:
        return everything(context, query)
    found = _in_one_vpc(context, interfaces_holding(context, query.ip), query.node_id)
    return BindingPage(tuple(Binding(query.ip, item.instance, item.id) for item in found))


def everything(context: Context, query: AddressQuery) -> BindingPage:
    """Return one page of the addresses in sight that can float (the interfaces' primary ones cannot)."""
    interfaces, following = interfaces_page(context, query.page)
    found = [
        Binding(ip, item.instance, item.id)
        for item in interfaces
        for ip in sorted(item.addresses, key=lambda ip: (ip.version, int(ip)))
        if ip != item.primary
    ]
    return BindingPage(tuple(found), following)


def bind(context: Context, change: AddressChange) -> Accepted:
    """Assign it to the chosen interface; AllowReassignment takes it from another one in the same request.

    An Elastic IP that is mapped to the address moves along. AWS refuses another subnet, and another's primary address.
    """
    interface = chosen(context, change, interfaces_of(context, change.node_id))
    if change.ip in interface.addresses:
        return Accepted(detail=f"{interface.id} has it already")
    document, request_id = call(
        context,
        "assign_private_ip_addresses",
        NetworkInterfaceId=interface.id,
        PrivateIpAddresses=[str(change.ip)],
        AllowReassignment=change.move,
    )
    if web.field(document, "NetworkInterfaceId", str) != interface.id:
        raise Unavailable(f"the answer is not about {interface.id}", advice="check the endpoint")
    return Accepted((request_id,))


def unbind(context: Context, change: AddressChange) -> Accepted:
    """Unassign it from the machine's own interface, whichever of them has it; no other interface is ever named."""
    done: list[str] = []
    for interface in interfaces_holding(context, change.ip, node_id=change.node_id):
        if change.ip == interface.primary:
            raise ConfigurationError(
                f"{change.ip} is the primary address of {interface.id} and cannot float",
                advice="choose an address of the subnet that no machine has for its own",
            )
        answer = call(
            context,
            "unassign_private_ip_addresses",
            NetworkInterfaceId=interface.id,
            PrivateIpAddresses=[str(change.ip)],
        )
        done.append(answer.request_id)
    return Accepted(tuple(done), detail="" if done else "not bound there", sent=bool(done))


def _in_one_vpc(context: Context, found: Sequence[Interface], node_id: str) -> Sequence[Interface]:
    """Leave out interfaces of other VPCs, where the same address is somebody else's.

    This machine's VPC is asked for only when there is a choice.

    :raises AmbiguousError: several VPCs have the address, and which one is meant is not known.
    """
    if len({item.vpc for item in found}) < 2:
        return found
    try:
        if node_id and node_id != metadata.instance_id(context):
            own = frozenset(item.vpc for item in interfaces_of(context, node_id))
        else:
            own = metadata.local_vpcs(context)
    except CloudhaError:
        own = frozenset(item.vpc for item in interfaces_of(context, node_id)) if node_id else frozenset()
    if not own:
        where = ", ".join(sorted(f"{item.id} in {item.vpc}" for item in found))
        raise AmbiguousError(f"the address is in several VPCs: {where}", advice="run it on a machine of the VPC")
    return [item for item in found if item.vpc in own]
