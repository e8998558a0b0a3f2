"""Network interfaces (ENIs): which one of a machine is meant, and what it holds."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cloudha import web
from cloudha.provider import (
    AddressChange,
    Context,
    IPAddress,
    LocalConfigurationError,
    NotFound,
    Unavailable,
)
from cloudha_plugin_aws.client import call

__all__ = [
    "Interface",
    "chosen",
    "instances_having",
    "interfaces_holding",
    "interfaces_of",
    "interfaces_page",
    "read_address",
]


# The most that DescribeNetworkInterfaces gives in one page.
PAGE = 1000
# Far more than the interfaces of one machine, or those that hold one address; bounds an answer that never ends.
MOST_PAGES = 100


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface as EC2 describes it now. ``instance`` is None while no machine has it; ``index`` its device's.

    ``mapped``: which Elastic IP leads to which of its private addresses.
    """

    id: str
    mac: str
    vpc: str
    instance: str | None
    index: int
    checks_source: bool
    primary: IPAddress | None
    addresses: frozenset[IPAddress]
    mapped: Mapping[IPAddress, IPAddress]


def interfaces_of(context: Context, node_id: str) -> list[Interface]:
    """Return the interfaces of the machine.

    :raises NotFound: it has none, which a running machine always has.
    """
    found = _described(context, {"attachment.instance-id": node_id})
    _insist(all(item.instance == node_id for item in found))
    if not found:
        raise NotFound(
            f"no network interface of {node_id} is seen", advice="check region and account, and that it is running"
        )
    return found


def interfaces_holding(context: Context, ip: IPAddress, *, node_id: str = "") -> list[Interface]:
    """Return the interfaces that hold the address, on that machine only if one is given. None: an empty list."""
    name = "addresses.private-ip-address" if ip.version == 4 else "ipv6-addresses.ipv6-address"
    wanted = {name: str(ip), **({"attachment.instance-id": node_id} if node_id else {})}
    found = _described(context, wanted)
    # Passing over what does not fit would turn a broken answer into "nobody holds it".
    _insist(all(ip in item.addresses and node_id in ("", item.instance) for item in found))
    return found


def interfaces_page(context: Context, page: str | None) -> tuple[list[Interface], str | None]:
    """Return one page of all interfaces in sight, and the token of the next one."""
    more = {"NextToken": page} if page else {}
    document = call(context, "describe_network_interfaces", MaxResults=PAGE, **more).document
    found = [_interface(item) for item in web.field(document, "NetworkInterfaces", list)]
    return found, str(document.get("NextToken") or "") or None


def instances_having(context: Context, interface_ids: Iterable[str]) -> dict[str, str | None]:
    """Return which machine each of these interfaces is attached to, None for no machine.

    :raises Unavailable: the answer leaves one out.
    """
    wanted = sorted(set(interface_ids))
    if not wanted:
        return {}
    found = {item.id: item.instance for item in _described(context, {"network-interface-id": wanted})}
    _insist(set(found) == set(wanted))
    return found


def chosen(context: Context, change: AddressChange, found: Iterable[Interface]) -> Interface:
    """Return the interface that the operator means: by ``nic`` (its MAC), by ``interface_id``, else the primary one.

    :raises LocalConfigurationError: the machine has no such interface, or the two contradict each other.
    """
    wanted = context.settings.text("interface_id")
    fitting = [
        item
        for item in found
        if (not wanted or item.id == wanted) and (item.mac == change.mac if change.mac else wanted or item.index == 0)
    ]
    if len(fitting) != 1:
        asked = " and ".join(part for part in (wanted, change.mac and f"MAC {change.mac}") if part) or "device index 0"
        raise LocalConfigurationError(
            f"{change.node_id} has no network interface with {asked}",
            advice="check nic= and interface_id=: ids of interfaces differ on each node, nic= need not",
        )
    return fitting[0]


def read_address(text: object) -> IPAddress:
    """Return a parsed address from an answer.

    :raises Unavailable: it is none.
    """
    try:
        return ipaddress.ip_address(str(text))
    except ValueError:
        raise Unavailable("the answer has an address that is none", advice="check the endpoint") from None


def _insist(fits: bool) -> None:  # noqa: FBT001 - the one thing it is about
    if not fits:
        raise Unavailable("the answer has interfaces that were not asked for", advice="check the endpoint")


def _described(context: Context, wanted: Mapping[str, str | list[str]]) -> list[Interface]:
    filters = [{"Name": name, "Values": [value] if isinstance(value, str) else value} for name, value in wanted.items()]
    found: list[Interface] = []
    token = ""
    for _ in range(MOST_PAGES):
        more = {"NextToken": token} if token else {}
        document = call(context, "describe_network_interfaces", Filters=filters, **more).document
        found.extend(_interface(item) for item in web.field(document, "NetworkInterfaces", list))
        token = str(document.get("NextToken") or "")
        if not token:
            return found
    raise Unavailable("the list of network interfaces does not end", advice="check the endpoint")


def _interface(document: dict[str, Any]) -> Interface:
    attachment = document.get("Attachment") or {}
    private = web.field(document, "PrivateIpAddresses", list)
    primary = [read_address(web.field(item, "PrivateIpAddress", str)) for item in private if item.get("Primary")]
    held = [read_address(web.field(item, "PrivateIpAddress", str)) for item in private]
    held += [read_address(web.field(item, "Ipv6Address", str)) for item in document.get("Ipv6Addresses") or ()]
    # An address that AWS gave out with the machine has no allocation.
    public = [item for item in private if (item.get("Association") or {}).get("AllocationId")]
    instance = attachment.get("InstanceId")
    return Interface(
        id=web.field(document, "NetworkInterfaceId", str),
        mac=web.field(document, "MacAddress", str).lower(),
        vpc=web.field(document, "VpcId", str),
        instance=str(instance) if instance else None,
        index=int(attachment.get("DeviceIndex", -1)),
        checks_source=web.field(document, "SourceDestCheck", bool),
        primary=primary[0] if primary else None,
        addresses=frozenset(held),
        mapped={
            read_address(item["PrivateIpAddress"]): read_address(web.field(item["Association"], "PublicIp", str))
            for item in public
        },
    )
