"""``kind=private``: a private IP (or IPv6) object with lifetime RESERVED, on a VNIC of one machine, in the same subnet.

A move is one request, whatever the state of the old machine; a regional subnet crosses availability domains. A stop
takes the object from its VNIC and keeps it, so that nobody else gets the address and route rules to it stay valid.
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
    Unavailable,
)
from cloudha_plugin_oci.client import NETWORK, Answer, call, fetch, pages, stamped
from cloudha_plugin_oci.errors import ENDPOINT
from cloudha_plugin_oci.vnics import Vnic, chosen, myself, only_place, subnets, vnic_machine

__all__ = ["Held", "bind", "bindings", "find", "unbind"]

RESERVED = "RESERVED"
GONE, GOING = "TERMINATED", "TERMINATING"


class Family(NamedTuple):
    """The names of the operations for one IP version."""

    list: str
    get: str
    create: str
    update: str
    detach: str


IPV4 = Family("list_private_ips", "get_private_ip", "create_private_ip", "update_private_ip", "private_ip_vnic_detach")
IPV6 = Family("list_ipv6s", "get_ipv6", "create_ipv6", "update_ipv6", "ipv6_vnic_detach")


class Held(NamedTuple):
    """A private IP or IPv6 object as OCI describes it now. ``vnic`` is "" while no VNIC has it."""

    id: str
    ip: IPAddress
    vnic: str
    primary: bool
    reserved: bool
    document: dict[str, Any]


def bindings(context: Context, query: AddressQuery) -> BindingPage:
    """Return who has the address, in the subnets of the machine that asks; one request where this machine has it."""
    machine = myself(context, query)
    if query.ip is not None and (vnic := only_place(context, machine, query.ip)):
        here = [item for item in _listed_on(context, vnic, query.ip) if item.vnic == vnic]
        if len(here) == 1:
            return BindingPage((Binding(query.ip, vnic_machine(context, here[0].document, machine), vnic),))
    found: list[Held] = []
    for subnet in subnets(context, machine):
        if query.ip is not None:
            held = find(context, subnet, query.ip)
            found += [held] if held else []
        else:
            found += [*_listed(context, IPV4, subnet), *_listed(context, IPV6, subnet)]
    return BindingPage(
        tuple(Binding(item.ip, vnic_machine(context, item.document, machine), item.vnic or item.id) for item in found)
    )


def bind(context: Context, change: AddressChange) -> Accepted:
    """Put the object on the chosen VNIC: create it, move it, or only make it RESERVED.

    :raises Conflict: another machine has it, and it is not to be moved; or it was changed meanwhile.
    """
    vnic = chosen(context, change)
    names = _family(change.ip)
    held = find(context, vnic.subnet, change.ip)
    if held is None:
        return _created(context, names, vnic, change.ip)
    _refuse_own(held)
    lifetime = {} if held.reserved else {"lifetime": RESERVED}
    if held.vnic == vnic.id:
        return _updated(context, names, held, lifetime) if lifetime else Accepted(detail="already bound there")
    etag = ""
    if not change.move:
        # Read again with its etag: what is free now must still be so when it is taken.
        answer = fetch(context, NETWORK, names.get, held.id)
        holder = vnic_machine(context, answer.document, change.node_id)
        if holder not in (None, change.node_id):
            raise Conflict(f"{change.ip} is bound to {holder}")
        etag = stamped(answer)
    return _updated(context, names, held, {"vnicId": vnic.id, **lifetime}, etag)


def unbind(context: Context, change: AddressChange) -> Accepted:
    """Take the object from the machine's VNIC, and from no other: the request holds for what was read only."""
    names = _family(change.ip)
    machine = myself(context, change)
    for subnet in subnets(context, machine):
        held = find(context, subnet, change.ip)
        if held is None or vnic_machine(context, held.document, machine) != machine:
            continue
        _refuse_own(held)
        answer = fetch(context, NETWORK, names.get, held.id)
        if vnic_machine(context, answer.document, machine) != machine:
            continue
        done: list[str] = []
        if not _held(answer.document).reserved:
            # An ephemeral one may not outlive its VNIC.
            update = call(context, NETWORK, names.update, held.id, {"lifetime": RESERVED}, if_match=stamped(answer))
            done.append(update.request_id)
            answer = fetch(context, NETWORK, names.get, held.id)
            fresh = _held(answer.document)
            if fresh.vnic != held.vnic or not fresh.reserved:
                raise Conflict(f"{change.ip} was changed meanwhile, or cannot be made {RESERVED}")
        detached = call(context, NETWORK, names.detach, held.id, if_match=stamped(answer))
        return Accepted((*done, detached.request_id))
    return Accepted(detail="not bound there", sent=False)


def find(context: Context, subnet: str, ip: IPAddress) -> Held | None:
    """Return the object with that address in the subnet, None when there is none: OCI searches for it.

    :raises Unavailable: it is on its way out.
    """
    held = [item for item in _listed(context, _family(ip), subnet, ip_address=str(ip)) if item.ip == ip]
    if len(held) > 1:
        raise Unavailable(f"the subnet has {ip} twice", advice=ENDPOINT)
    return held[0] if held else None


def _listed(context: Context, names: Family, subnet: str, **narrowed: str) -> list[Held]:
    documents = pages(context, NETWORK, names.list, subnet_id=subnet, **narrowed)
    return [_held(item) for item in documents if not isinstance(item, dict) or item.get("lifecycleState") != GONE]


def _listed_on(context: Context, vnic: str, ip: IPAddress) -> list[Held]:
    """Return the objects with that address on one VNIC; others may be on their way out, and are not looked at."""
    documents = pages(context, NETWORK, _family(ip).list, vnic_id=vnic)
    if ip.version == 4 and not any(web.field(item, "isPrimary", bool) for item in documents):
        # No VNIC is without: then the list is not what it should be, and says nothing of other addresses either.
        raise Unavailable(f"the list of private IPs of {vnic} lacks its primary one", advice=ENDPOINT)
    return [
        _held(item) for item in documents if web.address(item, "ipAddress") == ip and item.get("lifecycleState") != GONE
    ]


def _held(document: Any) -> Held:  # noqa: ANN401 - an answer, whatever it is
    ip = web.address(document, "ipAddress")
    if document.get("lifecycleState") == GOING:
        raise Unavailable(f"{ip} is being deleted", advice="wait, or see who deletes it")
    return Held(
        id=web.field(document, "id", str),
        ip=ip,
        vnic=str(document.get("vnicId") or ""),
        primary=document.get("isPrimary") is True,
        # Without a word it may be lost by a stop, like an ephemeral one.
        reserved=document.get("lifetime") == RESERVED,
        document=document,
    )


def _created(context: Context, names: Family, vnic: Vnic, ip: IPAddress) -> Accepted:
    details = {"ipAddress": str(ip), "vnicId": vnic.id, "lifetime": RESERVED, "displayName": f"cloudha {ip}"}
    return _checked(call(context, NETWORK, names.create, details), ip)


def _updated(context: Context, names: Family, held: Held, details: dict[str, str], if_match: str = "") -> Accepted:
    more: dict[str, Any] = {"if_match": if_match} if if_match else {}
    return _checked(call(context, NETWORK, names.update, held.id, details, **more), held.ip)


def _checked(answer: Answer, ip: IPAddress) -> Accepted:
    if web.address(answer.document, "ipAddress") != ip:
        raise Unavailable("the answer is about another address", advice=ENDPOINT, request_id=answer.request_id)
    return Accepted((answer.request_id,))


def _family(ip: IPAddress) -> Family:
    return IPV6 if ip.version == 6 else IPV4


def _refuse_own(held: Held) -> None:
    if held.primary:
        raise ConfigurationError(
            f"{held.ip} is the own address of {held.vnic}", advice="choose an address that can float"
        )
