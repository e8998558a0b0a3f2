"""VNICs: which one of a machine is meant, and whose one is.

A VNIC is made when it is attached and gone when it is detached: its OCID never belongs to a second instance. So what
the metadata service says of this machine's VNICs is who they are, for good, and saves the API's requests.
"""

from __future__ import annotations

import ipaddress
from typing import Any, NamedTuple

from cloudha import web
from cloudha.provider import (
    AddressChange,
    AddressQuery,
    CloudhaError,
    ConfigurationError,
    Context,
    IPAddress,
    LocalConfigurationError,
    NotFound,
)
from cloudha_plugin_oci import metadata
from cloudha_plugin_oci.client import COMPUTE, NETWORK, compartments, fetch, pages

__all__ = [
    "Vnic",
    "chosen",
    "machine_of",
    "myself",
    "only_place",
    "own_ids",
    "private_ip_machine",
    "subnets",
    "vnic_machine",
]

ATTACHED = ("ATTACHING", "ATTACHED", "DETACHING")
DETACHED = "DETACHED"
# Kinds of OCIDs that an address can be mapped or routed to, and how each is read and listed.
TARGETS = {"ocid1.privateip.": ("get_private_ip", "list_private_ips"), "ocid1.ipv6.": ("get_ipv6", "list_ipv6s")}
OUT_OF_SIGHT = "check node=; where the machines are in other compartments, add compartment_id=OCID,OCID"


class Vnic(NamedTuple):
    """A VNIC. All but ``forwards`` (the source/destination check is skipped) stay as long as it exists."""

    id: str
    mac: str
    subnet: str
    primary: bool
    forwards: bool


def myself(context: Context, query: AddressQuery | AddressChange) -> str:
    """Return the machine that is asked for: the one named, else this one."""
    return query.node_id or metadata.node_id(context)


def own_ids(context: Context, machine: str) -> tuple[str, ...]:
    """Return the OCIDs of the machine's VNICs: of this one without the API.

    :raises NotFound: it has none in sight; a machine always has one.
    """
    if machine == _local(context):
        return tuple(item.id for item in context.once("oci.vnics", lambda: metadata.vnics(context)))
    found = tuple(
        web.field(item, "vnicId", str)
        for item in _attachments(context, instance_id=machine)
        if web.field(item, "lifecycleState", str) == "ATTACHED"
    )
    if not found:
        raise NotFound(f"no VNIC of {machine} is in sight", advice=OUT_OF_SIGHT)
    return found


def only_place(context: Context, machine: str, ip: IPAddress) -> str:
    """Return the OCID of this machine's one VNIC whose subnet may have the address, "" where that is not certain.

    Known without the API; the metadata service tells the IPv4 range of each VNIC's subnet.
    """
    if machine != _local(context) or context.settings.text("subnet_id"):
        return ""
    wanted = context.settings.text("vnic_id")
    own = context.once("oci.vnics", lambda: metadata.vnics(context))
    fitting = [item.id for item in own if wanted in ("", item.id) and _may_have(item.subnet, ip)]
    return fitting[0] if len(fitting) == 1 else ""


def chosen(context: Context, change: AddressChange) -> Vnic:
    """Return the VNIC that the operator means: by ``nic`` (its MAC), ``vnic_id``, ``subnet_id``, else the primary one.

    :raises LocalConfigurationError: the machine has no such VNIC, or the parameters contradict each other.
    """
    wanted, subnet = context.settings.text("vnic_id"), context.settings.text("subnet_id")
    machine = myself(context, change)
    own = [_vnic(context, ocid) for ocid in own_ids(context, machine)]
    fitting = [
        item
        for item in own
        if (not wanted or item.id == wanted)
        and (not subnet or item.subnet == subnet)
        and (not change.mac or item.mac == change.mac)
    ]
    if not (wanted or subnet or change.mac) or len(fitting) > 1:
        fitting = [item for item in fitting if item.primary]
    if len(fitting) != 1:
        asked = [wanted, subnet, change.mac and f"MAC {change.mac}"]
        raise LocalConfigurationError(
            f"{machine} has no VNIC with {' and '.join(filter(None, asked)) or 'isPrimary: true'}",
            advice="check nic=, vnic_id= and subnet_id=: OCIDs of VNICs differ on each node, nic= need not",
        )
    return fitting[0]


def subnets(context: Context, machine: str) -> tuple[str, ...]:
    """Return the subnets that an address of the machine may be in: the parameter's, else those of its VNICs."""
    given = context.settings.text("subnet_id")
    if given:
        return (given,)
    wanted = context.settings.text("vnic_id")
    own = [ocid for ocid in own_ids(context, machine) if not wanted or ocid == wanted]
    if not own:
        raise LocalConfigurationError(f"{machine} has no VNIC {wanted}", advice="check vnic_id=, or give subnet_id=")
    return tuple(dict.fromkeys(_lasting(context, ocid).subnet for ocid in own))


def machine_of(context: Context, vnic: str, machine: str) -> str | None:
    """Return the instance that a VNIC belongs to, None when it belongs to none any more.

    One that is out of sight, and certainly none of *machine*'s, is answered as its own OCID: somebody else's.

    :param machine: on whose behalf is asked, "" when that is not known.
    :raises NotFound: it is out of sight, and whose it is cannot be told.
    """
    if machine and vnic in own_ids(context, machine):
        return machine
    found = _attachments(context, vnic_id=vnic)
    states = {web.field(item, "instanceId", str): web.field(item, "lifecycleState", str) for item in found}
    living = [instance for instance, state in states.items() if state in ATTACHED]
    if living:
        return living[0]
    if found and set(states.values()) == {DETACHED}:
        return None
    if machine:
        return vnic
    raise NotFound(f"the machine of {vnic} is not in sight", advice=OUT_OF_SIGHT)


def private_ip_machine(context: Context, ocid: str, machine: str) -> str | None:
    """Return the instance that a private IP's or IPv6's object leads to, None for nobody; as :func:`machine_of`.

    What is neither (a gateway, a NAT gateway) is answered as its own OCID.
    """
    get, listing = next((names for start, names in TARGETS.items() if ocid.startswith(start)), ("", ""))
    if not get:
        return ocid
    try:
        document = fetch(context, NETWORK, get, ocid).document
    except NotFound:
        # Gone with its machine, or not for us to see. If it were ours, it would be on one of our VNICs.
        if machine and ocid not in _own_objects(context, machine, listing):
            return ocid
        raise
    return vnic_machine(context, document, machine)


def vnic_machine(context: Context, document: object, machine: str) -> str | None:
    """Return the instance that a private IP or IPv6 is on, None for nobody; as :func:`machine_of`.

    :raises ConfigurationError: it belongs to a VLAN, not to a VNIC.
    """
    fields: Any = document
    if fields.get("vlanId"):
        raise ConfigurationError("the address belongs to a VLAN, and no VNIC", advice="use an address of a subnet")
    # Older objects have no state; then the VNIC must be there, since a missing field is no answer.
    if fields.get("ipState") == "AVAILABLE" and not fields.get("vnicId"):
        return None
    return machine_of(context, web.field(document, "vnicId", str), machine)


def _own_objects(context: Context, machine: str, listing: str) -> set[str]:
    found: set[str] = set()
    for vnic in own_ids(context, machine):
        found |= {web.field(item, "id", str) for item in pages(context, NETWORK, listing, vnic_id=vnic)}
    return found


def _may_have(subnet: str, ip: IPAddress) -> bool:
    try:
        return ip.version != 4 or ip in ipaddress.ip_network(subnet)
    except ValueError:
        return True


def _lasting(context: Context, ocid: str) -> Vnic:
    """Return a VNIC whose changing part may be out of date."""
    return context.once(f"oci.vnic.{ocid}", lambda: _vnic(context, ocid))


def _vnic(context: Context, ocid: str) -> Vnic:
    document = fetch(context, NETWORK, "get_vnic", ocid, certain=True).document
    return Vnic(
        id=ocid,
        mac=web.field(document, "macAddress", str).lower(),
        subnet=web.field(document, "subnetId", str),
        primary=web.field(document, "isPrimary", bool),
        forwards=document.get("skipSourceDestCheck") is True,
    )


def _attachments(context: Context, **wanted: str) -> list[Any]:
    found: list[Any] = []
    for compartment in compartments(context):
        found += pages(context, COMPUTE, "list_vnic_attachments", compartment, **wanted)
    return found


def _local(context: Context) -> str:
    """Return this machine's OCID, "" where that cannot be found out."""

    def make() -> str:
        try:
            return metadata.node_id(context)
        except CloudhaError:
            return ""

    return context.once("oci.local", make)
