"""``kind=public``: a reserved public IP, assigned to a private IP of one machine's VNIC.

Assigning and unassigning take a while, and Oracle says that an assignment can fail silently: the public IP is AVAILABLE
again then. So a state on the way is no answer, and one that does not follow from what was asked here is said to be so.
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
    Unavailable,
)
from cloudha_plugin_oci.client import NETWORK, call, compartments, page, pages, stamped
from cloudha_plugin_oci.errors import ENDPOINT
from cloudha_plugin_oci.private_addresses import find
from cloudha_plugin_oci.vnics import Vnic, chosen, myself, private_ip_machine

__all__ = ["assigned_to", "bind", "bindings", "unbind"]

# PublicIp.lifecycle_state in the SDK.
FREE = ("AVAILABLE", "UNASSIGNED")
ASSIGNED = "ASSIGNED"
MOVING = ("ASSIGNING", "UNASSIGNING", "PROVISIONING")
REGION, RESERVED = "REGION", "RESERVED"
# How long to wait before asking again about a public IP on its way.
SETTLING_SECONDS = 0.5


class PublicIp(NamedTuple):
    """A public IP as OCI describes it now; ``entity`` has it, or gets or loses it now, "" for nobody."""

    id: str
    ip: IPAddress
    state: str
    entity: str
    reserved: bool
    etag: str


def bindings(context: Context, query: AddressQuery) -> BindingPage:
    """Return who has the address: a request for the public IP, one for the private IP that it is assigned to."""
    machine = myself(context, query)
    if query.ip is not None:
        item = _find(context, query.ip)
        _settled(context, item)
        return BindingPage((_binding(context, item, machine),))
    number, _, token = (query.page or "0:").partition(":")
    places = compartments(context)
    documents, following = page(
        context, NETWORK, "list_public_ips", REGION, places[int(number)], token=token or None, lifetime=RESERVED
    )
    found = tuple(_binding(context, _read(document), machine) for document in documents)
    if following:
        return BindingPage(found, f"{number}:{following}")
    return BindingPage(found, f"{int(number) + 1}:" if int(number) + 1 < len(places) else None)


def bind(context: Context, change: AddressChange) -> Accepted:
    """Assign the public IP to the private IP that is meant, from wherever it is.

    :raises Conflict: not now: it is on its way somewhere else, or it is not to be moved.
    :raises NotFound: there is no such public IP for us.
    """
    item = _find(context, change.ip)
    if not item.reserved:
        raise ConfigurationError(
            f"{change.ip} is ephemeral, and cannot be moved", advice="create a reserved public IP, and use that"
        )
    vnic = chosen(context, change)
    target = assigned_to(context, vnic)
    if item.state == ASSIGNED and (item.entity == target or _is_fine(context, item, vnic)):
        return Accepted(detail="already assigned there")
    if item.state in MOVING:
        raise Conflict(f"{change.ip} is {item.state}")
    if not change.move and item.state == ASSIGNED:
        holder = private_ip_machine(context, item.entity, change.node_id)
        if holder not in (None, change.node_id):
            raise Conflict(f"{change.ip} is bound to {holder}")
    try:
        accepted = _updated(context, item, target)
    except Conflict as conflict:
        conflict.advice = "if that private IP has another public IP, unassign it there or give private_ip="
        raise
    _asked(context)[str(change.ip)] = target
    return accepted


def unbind(context: Context, change: AddressChange) -> Accepted:
    """Unassign the public IP, if it is assigned to this machine."""
    item = _find(context, change.ip)
    if not item.entity or item.state in FREE or item.state == "UNASSIGNING":
        return Accepted(detail="not bound there", sent=False)
    machine = myself(context, change)
    if private_ip_machine(context, item.entity, machine) != machine:
        return Accepted(detail="not bound there", sent=False)
    if item.state in MOVING:
        raise Conflict(f"{change.ip} is {item.state}")
    _asked(context).pop(str(change.ip), None)
    return _updated(context, item, "")


def assigned_to(context: Context, vnic: Vnic, version: int = 4) -> str:
    """Return the OCID of the private IP that is meant on the VNIC: that of ``private_ip``, else its primary one.

    For IPv6 it is an IPv6 object: that of ``private_ip``, else the only one on the VNIC.

    :raises LocalConfigurationError: the VNIC does not have it.
    """
    wanted = context.settings.address("private_ip")
    if wanted is not None and wanted.version != version:
        raise ConfigurationError(f"private_ip={wanted} is no IPv{version} address", advice="check ip= and private_ip=")
    if wanted is None and version == 6:
        documents = pages(context, NETWORK, "list_ipv6s", vnic_id=vnic.id)
        if len(documents) != 1:
            raise LocalConfigurationError(
                f"{vnic.id} has {len(documents)} IPv6 addresses", advice="give private_ip=, the one to route to"
            )
        return web.field(documents[0], "id", str)
    if wanted is None:
        documents = pages(context, NETWORK, "list_private_ips", vnic_id=vnic.id)
        main = [web.field(item, "id", str) for item in documents if web.field(item, "isPrimary", bool)]
        if len(main) != 1:
            raise Unavailable(f"{vnic.id} has {len(main)} primary private IPs in the answer", advice=ENDPOINT)
        return main[0]
    held = find(context, vnic.subnet, wanted)
    if held is None or held.vnic != vnic.id:
        raise LocalConfigurationError(
            f"{vnic.id} does not have the private address {wanted}",
            advice="check private_ip=, or start the private address first (a group, or an order constraint)",
        )
    return held.id


def _is_fine(context: Context, item: PublicIp, vnic: Vnic) -> bool:
    """Whether it is assigned to another private IP of the VNIC, and the operator did not say to which."""
    if context.settings.address("private_ip") is not None:
        return False
    documents = pages(context, NETWORK, "list_private_ips", vnic_id=vnic.id)
    return item.entity in {web.field(document, "id", str) for document in documents}


def _binding(context: Context, item: PublicIp, machine: str) -> Binding:
    if item.state in FREE or not item.entity:
        return Binding(item.ip, None, item.id)
    return Binding(item.ip, private_ip_machine(context, item.entity, machine), item.entity)


def _settled(context: Context, item: PublicIp) -> None:
    """Insist on a state that stays.

    :raises Unavailable: it is on its way: neither here nor there.
    :raises Conflict: what was asked for in this action has failed silently.
    """
    if item.state in MOVING:
        raise Unavailable(
            f"{item.ip} is {item.state}, so who has it is open",
            advice="give the operation a longer timeout if that lasts",
            retry_after=SETTLING_SECONDS,
        )
    if item.state in FREE and str(item.ip) in _asked(context):
        raise Conflict(
            f"the assignment of {item.ip} to {_asked(context)[str(item.ip)]} was accepted and has failed silently",
            advice="check that the private IP is there and has no other public IP",
        )


def _updated(context: Context, item: PublicIp, private_ip: str) -> Accepted:
    answer = call(context, NETWORK, "update_public_ip", item.id, {"privateIpId": private_ip}, if_match=item.etag)
    if _read(answer.document).id != item.id:
        raise Unavailable("the answer is about another public IP", advice=ENDPOINT, request_id=answer.request_id)
    return Accepted((answer.request_id,))


def _find(context: Context, ip: IPAddress) -> PublicIp:
    """Ask for the address. OCI's 404 may mean a missing policy, so it never says that nobody has the address."""
    answer = call(context, NETWORK, "get_public_ip_by_ip_address", {"ipAddress": str(ip)})
    item = _read(answer.document, stamped(answer))
    if item.ip != ip:
        raise Unavailable("the answer is about another address", advice=ENDPOINT, request_id=answer.request_id)
    return item


def _read(document: Any, etag: str = "") -> PublicIp:  # noqa: ANN401 - an answer, whatever it is
    state = web.field(document, "lifecycleState", str)
    if state not in (*FREE, ASSIGNED, *MOVING):
        raise Unavailable(f"a public IP is {state}", advice="see what becomes of it in OCI's console")
    # Of one that is assigned, the entity is needed; of others it may be absent.
    entity = web.field(document, "assignedEntityId", str) if state == ASSIGNED else document.get("assignedEntityId")
    return PublicIp(
        id=web.field(document, "id", str),
        ip=web.address(document, "ipAddress"),
        state=state,
        entity=str(entity or ""),
        reserved=web.field(document, "lifetime", str) == RESERVED,
        etag=etag,
    )


def _asked(context: Context) -> dict[str, str]:
    """Return what this action has asked for: public address -> private IP."""
    return context.once("oci.public.asked", dict)
