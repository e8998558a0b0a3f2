"""Virtual network interfaces (VNI): which one of a machine is meant, what it holds, and which machine has it.

An address moves between VNIs. Instances that were made with child network interfaces instead have none: those cannot
hold a second address at all.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from cloudha import web
from cloudha.provider import (
    AddressChange,
    CloudhaError,
    Context,
    IPAddress,
    LocalConfigurationError,
    Unavailable,
    UnsupportedError,
)
from cloudha_plugin_ibm import machines, metadata
from cloudha_plugin_ibm.client import call, every
from cloudha_plugin_ibm.errors import ENDPOINT

__all__ = [
    "INTERFACE",
    "Attachment",
    "Interface",
    "attachments",
    "chosen",
    "fetch",
    "in_flux",
    "insist_ipv4",
    "local_machine",
    "machine_in",
    "machine_of",
    "own_instance",
    "owners",
    "read",
]

# The instance is named nowhere but in the address of the attachment: ".../instances/ID/network_attachments/ID".
HOLDER = re.compile(r"/(instances|bare_metal_servers)/(?P<machine>[^/?]+)/network_(attachments|interfaces)/[^/?]+\Z")
INTERFACE = "virtual_network_interface"
#: of a reserved IP that a child network interface has as its own
CHILD_INTERFACE = "network_interface"
CHANGING = ("pending", "updating", "waiting", "deleting")


class Attachment(NamedTuple):
    """A machine's hold on a VNI: the ids of both, and of the VNI's subnet; ``address`` is the VNI's own."""

    id: str
    name: str
    interface: str
    interface_name: str
    subnet: str
    address: IPAddress


class Interface(NamedTuple):
    """A VNI as the API describes it now. ``machine``: the id of the machine that has it, None while none has.

    ``ips``: the ids of the reserved IPs that are bound to it by address, its own included. ``other``: the resource
    type of what has it, where that is no machine (a file share), else "".
    """

    id: str
    name: str
    mac: str
    subnet: str
    zone: str
    own: IPAddress
    ips: dict[IPAddress, str]
    spoofs: bool
    state: str
    machine: str | None
    other: str


def insist_ipv4(ip: IPAddress) -> None:
    """Refuse IPv6, which IBM Cloud VPC does not have.

    :raises UnsupportedError: it is that.
    """
    if ip.version != 4:
        raise UnsupportedError(f"IBM Cloud VPC has no IPv6 address {ip}", advice="give an IPv4 address")


def local_machine(context: Context, node_id: str) -> str | None:
    """Return the machine on whose behalf is asked, None where that cannot be found out."""
    if node_id:
        return node_id
    try:
        return metadata.node(context).id
    except CloudhaError:
        return None


def attachments(instance: object) -> tuple[Attachment, ...]:
    """Return the VNIs of an instance's document, the primary one first.

    :raises LocalConfigurationError: it has none, but child network interfaces.
    :raises Unavailable: it is said to have neither, which no instance is.
    """
    found = web.field(instance, "network_attachments", list)
    if not found and not web.field(instance, "network_interfaces", list):
        raise Unavailable(f"the answer about {web.field(instance, 'name', str)} names no interface", advice=ENDPOINT)
    if not found:
        raise LocalConfigurationError(
            f"{web.field(instance, 'name', str)} has no virtual network interface, but child network interfaces, which "
            "take no floating address",
            advice="make the instance anew with network attachments",
        )
    first = web.field(web.field(instance, "primary_network_attachment", dict), "id", str)
    read = [_attachment(document) for document in found]
    return tuple(sorted(read, key=lambda attachment: attachment.id != first))


def chosen(context: Context, change: AddressChange, instance: object) -> Interface:
    """Return the VNI that the operator means: by ``nic`` (its MAC), by ``interface_id``, else the primary one.

    :raises LocalConfigurationError: the machine has no such VNI, or the two contradict each other.
    """
    wanted = context.settings.text("interface_id")
    held = [
        item
        for item in attachments(instance)
        if not wanted or wanted in (item.id, item.name, item.interface, item.interface_name)
    ]
    if not change.mac:
        held = held[:1]
    found = [interface for interface in (fetch(context, item.interface) for item in held) if _fits(interface, change)]
    if len(found) != 1:
        asked = " and ".join(part for part in (wanted, change.mac and f"MAC {change.mac}") if part)
        raise LocalConfigurationError(
            f"{web.field(instance, 'name', str)} has no virtual network interface with {asked or 'primary'}",
            advice="check nic= and interface_id=: ids of interfaces differ on each node, nic= need not",
        )
    return found[0]


def fetch(context: Context, interface_id: str) -> Interface:
    """Return one VNI, read now."""
    interface = read(call(context, "get_virtual_network_interface", interface_id).document)
    if interface.id != interface_id:
        raise Unavailable("the answer is about another interface", advice=ENDPOINT)
    return interface


def owners(context: Context) -> dict[str, str | None]:
    """Return which machine has which VNI, of all that are in sight."""
    found = every(context, "list_virtual_network_interfaces", "virtual_network_interfaces")
    return {interface.id: interface.machine for interface in map(read, found)}


def machine_of(context: Context, target: object) -> tuple[str | None, str]:
    """Return who has what is bound to *target*, a part of an answer, and the target's id.

    That is a machine's id; None while no machine has the VNI; the target's type and name where it is none of a
    machine's interfaces: somebody holds it then, and no machine.
    """
    kind, target_id = web.field(target, "resource_type", str), web.field(target, "id", str)
    if kind == INTERFACE:
        interface = fetch(context, target_id)
        return interface.machine or (f"{interface.other} {interface.name}" if interface.other else None), target_id
    held = machine_in(web.field(target, "href", str)) if kind == CHILD_INTERFACE else ""
    return held or f"{kind} {web.field(target, 'name', str)}", target_id


def machine_in(href: str) -> str:
    """Return the machine that the address of an attachment or child interface names, "" for none."""
    found = HOLDER.search(href)
    return found["machine"] if found else ""


def in_flux(state: str) -> bool:
    """Whether a resource in this lifecycle state, or status, is being changed: what it holds is open then."""
    return state in CHANGING


def read(document: Any) -> Interface:  # noqa: ANN401 - an answer, whatever it is
    """Read a VNI's document."""
    target = document.get("target") if isinstance(document, dict) else None
    machine, other = "", ""
    if target is not None:
        machine = machine_in(web.field(target, "href", str))
        other = "" if machine else web.field(target, "resource_type", str)
    ips = {web.address(item, "address"): web.field(item, "id", str) for item in web.field(document, "ips", list)}
    return Interface(
        id=web.field(document, "id", str),
        name=web.field(document, "name", str),
        # May be absent while the VNI is being made.
        mac=str(document.get("mac_address") or "").lower(),
        subnet=web.field(web.field(document, "subnet", dict), "id", str),
        zone=web.field(web.field(document, "zone", dict), "name", str),
        own=web.address(web.field(document, "primary_ip", dict), "address"),
        ips=ips,
        spoofs=web.field(document, "allow_ip_spoofing", bool),
        state=web.field(document, "lifecycle_state", str),
        machine=machine or None,
        other=other,
    )


def _fits(interface: Interface, change: AddressChange) -> bool:
    return not change.mac or interface.mac == change.mac


def _attachment(document: object) -> Attachment:
    interface = web.field(document, "virtual_network_interface", dict)
    return Attachment(
        id=web.field(document, "id", str),
        name=web.field(document, "name", str),
        interface=web.field(interface, "id", str),
        interface_name=web.field(interface, "name", str),
        subnet=web.field(web.field(document, "subnet", dict), "id", str),
        address=web.address(web.field(document, "primary_ip", dict), "address"),
    )


def own_instance(context: Context, machine: str) -> tuple[dict[str, Any], tuple[Attachment, ...]]:
    """Return an instance's document and its VNIs."""
    instance = machines.get(context, machine)
    return instance, attachments(instance)
