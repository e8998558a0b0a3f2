"""``kind=public``: an Elastic IP, mapped to a private address of an interface, moved in one request."""

from __future__ import annotations

from typing import Any

from cloudha import web
from cloudha.provider import (
    Accepted,
    AddressChange,
    AddressQuery,
    Binding,
    BindingPage,
    Context,
    IPAddress,
    LocalConfigurationError,
    NotFound,
    Unavailable,
    UnsupportedError,
)
from cloudha_plugin_aws.client import call
from cloudha_plugin_aws.interfaces import Interface, chosen, instances_having, interfaces_of, read_address

__all__ = ["bind", "bindings", "unbind"]


def bindings(context: Context, query: AddressQuery) -> BindingPage:
    """Ask for the Elastic IP.

    :raises NotFound: this account has no such one in this region. It may be bound all the same, seen from the right
        account or region: AWS lists an Elastic IP whether it is bound or not.
    """
    found = [_one(context, query.ip)] if query.ip is not None else _described(context, None)
    return BindingPage(
        tuple(
            Binding(
                read_address(web.field(item, "PublicIp", str)),
                _text(item, "InstanceId") or None,
                _text(item, "NetworkInterfaceId") or _text(item, "AllocationId"),
            )
            for item in found
        )
    )


def bind(context: Context, change: AddressChange) -> Accepted:
    """Associate it with the chosen interface and private address, and nothing left for AWS to choose.

    :raises NotFound: this account has no such Elastic IP in this region.
    """
    address = _one(context, change.ip)
    interface = _interface(context, change)
    private = _private(context, interface, change.ip)
    if _text(address, "NetworkInterfaceId") == interface.id and _text(address, "PrivateIpAddress") == str(private):
        return Accepted(detail=f"{interface.id} {private} has it already")
    answer = call(
        context,
        "associate_address",
        AllocationId=web.field(address, "AllocationId", str),
        NetworkInterfaceId=interface.id,
        PrivateIpAddress=str(private),
        # Between two addresses of the same machine it is no move away from anybody.
        AllowReassociation=change.move or _text(address, "InstanceId") == change.node_id,
    )
    web.field(answer.document, "AssociationId", str)
    return Accepted((answer.request_id,))


def unbind(context: Context, change: AddressChange) -> Accepted:
    """End the association with this machine, by the association's own id: one that was moved meanwhile stays.

    :raises NotFound: this account has no such Elastic IP in this region.
    """
    found = _one(context, change.ip)
    if _text(found, "InstanceId") != change.node_id:
        return Accepted(detail="not bound there", sent=False)
    try:
        answer = call(context, "disassociate_address", AssociationId=web.field(found, "AssociationId", str))
    except NotFound:
        return Accepted(detail="moved meanwhile", sent=False)
    return Accepted((answer.request_id,))


def _one(context: Context, ip: IPAddress) -> dict[str, Any]:
    found = _described(context, ip)
    if not found:
        raise NotFound(f"no Elastic IP {ip} in this account and region", advice="allocate it, or check region=")
    return found[0]


def _described(context: Context, ip: IPAddress | None) -> list[dict[str, Any]]:
    if ip is not None and ip.version != 4:
        raise UnsupportedError(f"{ip} is no Elastic IP: those are IPv4", advice="use kind=private for IPv6")
    # A filter, since naming an address that is not there is an error at AWS. There are no pages.
    wanted = {} if ip is None else {"Filters": [{"Name": "public-ip", "Values": [str(ip)]}]}
    found = web.field(call(context, "describe_addresses", **wanted).document, "Addresses", list)
    if ip is not None and (len(found) > 1 or any(_text(item, "PublicIp") != str(ip) for item in found)):
        raise Unavailable("the answer has addresses that were not asked for", advice="check the endpoint")
    # A mapped one has both of these; half of it is no answer to "who has it?".
    if any(bool(_text(item, "AssociationId")) != bool(_text(item, "NetworkInterfaceId")) for item in found):
        raise Unavailable("the answer tells only half of who has the address", advice="check the endpoint")
    unsaid = [item for item in found if _text(item, "NetworkInterfaceId") and not _text(item, "InstanceId")]
    owners = instances_having(context, (_text(item, "NetworkInterfaceId") for item in unsaid))
    for item in unsaid:
        item["InstanceId"] = owners[_text(item, "NetworkInterfaceId")]
    return found


def _interface(context: Context, change: AddressChange) -> Interface:
    """Return the interface that the operator named, else the one with ``private_ip``, else the primary one."""
    found = interfaces_of(context, change.node_id)
    wanted = context.settings.address("private_ip")
    if wanted is not None and not change.mac and not context.settings.text("interface_id"):
        having = [item for item in found if wanted in item.addresses]
        return having[0] if having else chosen(context, change, found)
    return chosen(context, change, found)


def _private(context: Context, interface: Interface, ip: IPAddress) -> IPAddress:
    """Return the private address to map it to: the one that was chosen, else the first that has no other Elastic IP.

    AWS silently ends the mapping of an Elastic IP when another one is mapped to the same private address.
    """
    chosen_one = context.settings.address("private_ip")
    own = sorted((a for a in interface.addresses if a.version == 4), key=lambda a: (a != interface.primary, int(a)))
    if chosen_one is not None and chosen_one not in own:
        raise LocalConfigurationError(
            f"{interface.id} does not have the private address {chosen_one}",
            advice="check private_ip=, or start the private address first (a group, or an order constraint)",
        )
    wanted = own if chosen_one is None else [chosen_one]
    # Where it is already stays best, so that a repeated start changes nothing.
    free = [a for a in wanted if interface.mapped.get(a) == ip] + [a for a in wanted if a not in interface.mapped]
    if not free:
        others = ", ".join(f"{public} leads to {private}" for private, public in interface.mapped.items())
        raise LocalConfigurationError(
            f"no private address of {interface.id} is free for {ip}: {others}",
            advice="assign a secondary private address to it, or choose another one with private_ip=",
        )
    return free[0]


def _text(item: dict[str, Any], name: str) -> str:
    # EC2 sends empty elements for what an address does not have.
    return str(item.get(name) or "")
