"""Network interfaces: which one of a machine is meant, what it holds, and writing one back without losing anything.

Azure knows no smaller change than the whole interface: what is not sent back vanishes. So a change starts from a fresh
read, touches one ipConfiguration of the raw document, and is written with the etag of that read.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, NamedTuple

from cloudha import web
from cloudha.provider import (
    AddressChange,
    Conflict,
    Context,
    IPAddress,
    LocalConfigurationError,
    NotFound,
    Unavailable,
)
from cloudha_plugin_azure.arm import NETWORK, Answer, begin, call, group, page
from cloudha_plugin_azure.resource_ids import canonical, network_of, parse, read

__all__ = [
    "Configuration",
    "Nic",
    "all_nics",
    "chosen",
    "configuration_number",
    "fetch",
    "nic_page",
    "nics_of",
    "write",
]

# A thousand interfaces are some pages; bounds an answer that never ends.
MOST_PAGES = 200
UPDATING = ("updating", "deleting")
UNREADABLE = "check the endpoint"


class Configuration(NamedTuple):
    """One ipConfiguration; ``public`` is the canonical id of the public address object that it is mapped to, or ""."""

    name: str
    ip: IPAddress | None
    primary: bool
    subnet: str
    public: str


class Nic(NamedTuple):
    """An interface as Azure describes it now. ``machine`` is canonical, None while no machine has it."""

    id: str
    name: str
    mac: str
    machine: str | None
    primary: bool
    forwards: bool
    state: str
    etag: str
    configurations: tuple[Configuration, ...]
    document: dict[str, Any]

    @property
    def updating(self) -> bool:
        """Whether a change of it is under way."""
        return self.state.lower() in UPDATING

    @property
    def networks(self) -> frozenset[str]:
        """The canonical ids of the virtual networks that it is in: one."""
        return frozenset(network_of(item.subnet) for item in self.configurations if item.subnet)

    def holding(self, ip: IPAddress) -> Configuration | None:
        """Return the ipConfiguration that has the private address."""
        return next((item for item in self.configurations if item.ip == ip), None)

    def main(self, version: int = 4) -> Configuration:
        """Return the ipConfiguration that stands for the interface: the primary one, for IPv6 the first of its kind.

        :raises LocalConfigurationError: it has none of that IP version.
        """
        fitting = [item for item in self.configurations if item.ip is not None and item.ip.version == version]
        found = next((item for item in fitting if item.primary), fitting[0] if fitting else None)
        if found is None:
            raise LocalConfigurationError(
                f"{self.name} has no IPv{version} address of its own", advice="check nic=, or give it one"
            )
        return found


def nic_page(context: Context, token: str | None) -> tuple[list[Nic], str | None]:
    """Return one page of the interfaces in sight, and the next page's token."""
    where = group(context)
    method, arguments = ("list", (where,)) if where else ("list_all", ())
    documents, following = page(context, NETWORK, "network_interfaces", method, *arguments, token=token)
    return [_nic(document) for document in documents], following


def all_nics(context: Context) -> list[Nic]:
    """Return all interfaces in sight."""
    found: list[Nic] = []
    token: str | None = None
    for _ in range(MOST_PAGES):
        nics, token = nic_page(context, token)
        found.extend(nics)
        if token is None:
            return found
    raise Unavailable("the list of network interfaces does not end", advice=UNREADABLE)


def nics_of(nics: Iterable[Nic], machine: str) -> list[Nic]:
    """Return the machine's interfaces among *nics*.

    :raises NotFound: there is none; a machine always has one, so it is out of sight.
    """
    found = [nic for nic in nics if nic.machine == canonical(machine)]
    if not found:
        raise NotFound(
            f"no network interface of {machine} is in sight",
            advice="check the id; where its interfaces are in another resource group, add resource_group=*",
        )
    return found


def chosen(context: Context, change: AddressChange, nics: Iterable[Nic]) -> Nic:
    """Return the interface that the operator means: by ``nic`` (its MAC), by ``interface_id``, else the primary one.

    :raises LocalConfigurationError: the machine has no such interface, or the two contradict each other.
    """
    wanted = context.settings.text("interface_id")
    own = nics_of(nics, change.node_id)
    fitting = [
        nic
        for nic in own
        if (not wanted or canonical(wanted) in (nic.id, nic.name.lower()))
        and (nic.mac == change.mac if change.mac else wanted or nic.primary or len(own) == 1)
    ]
    if len(fitting) != 1:
        asked = " and ".join(part for part in (wanted, change.mac and f"MAC {change.mac}") if part) or "primary: true"
        raise LocalConfigurationError(
            f"{change.node_id} has no network interface with {asked}",
            advice="check nic= and interface_id=: ids of interfaces differ on each node, nic= need not",
        )
    return fitting[0]


def fetch(context: Context, nic_id: str) -> Nic:
    """Return one interface, read alone and now: what is changed and written back.

    :raises NotFound: there is no such interface.
    """
    known = read(nic_id)
    nic = _nic(call(context, NETWORK, "network_interfaces", "get", known.group, known.name).document)
    if nic.id != canonical(nic_id):
        raise Unavailable("the answer is about another interface", advice=UNREADABLE)
    return nic


def write(context: Context, nic: Nic, configurations: list[Any]) -> Answer:
    """Write the interface back with other ipConfigurations, and everything else as it was read.

    :return: the answer; its ``operation`` is "" when the change has been made already.
    :raises Conflict: it was changed since it was read, or is being changed.
    """
    import copy  # reads do without
    import json

    document = copy.deepcopy(nic.document)
    document["properties"]["ipConfigurations"] = configurations
    known = read(nic.id)
    answer = begin(
        context,
        NETWORK,
        "network_interfaces",
        "begin_create_or_update",
        known.group,
        known.name,
        json.dumps(document).encode(),
        headers={"If-Match": nic.etag},
    )
    written = _nic(answer.document)
    if written.id != nic.id:
        raise Unavailable("the answer is about another interface", advice=UNREADABLE)
    if not written.updating:
        return answer._replace(operation="")
    if not answer.operation:
        raise Unavailable("the answer does not say how to follow the change", advice=UNREADABLE)
    return answer


def configuration_number(nic: Nic, name: str) -> int:
    """Return where the ipConfiguration of that name is in the document.

    :raises Conflict: it is not there any more.
    """
    for number, item in enumerate(nic.configurations):
        if item.name.lower() == name.lower():
            return number
    raise Conflict(f"{nic.name} has lost its ipConfiguration {name} meanwhile")


def _nic(document: Any) -> Nic:  # noqa: ANN401 - an answer, whatever it is
    properties = web.field(document, "properties", dict)
    machine = properties.get("virtualMachine")
    configurations = web.field(properties, "ipConfigurations", list)
    nic_id = canonical(web.field(document, "id", str))
    if parse(nic_id) is None:
        raise Unavailable("the answer has an interface without an id", advice=UNREADABLE)
    return Nic(
        id=nic_id,
        name=web.field(document, "name", str),
        # Azure writes 00-0D-3A-1B-C7-21. An interface that was never on a machine that ran has none.
        mac=str(properties.get("macAddress") or "").replace("-", ":").lower(),
        machine=canonical(web.field(machine, "id", str)) if machine is not None else None,
        primary=properties.get("primary") is True,
        forwards=properties.get("enableIPForwarding") is True,
        state=web.field(properties, "provisioningState", str),
        etag=web.field(document, "etag", str),
        configurations=tuple(_configuration(item) for item in configurations),
        document=document,
    )


def _configuration(item: Any) -> Configuration:  # noqa: ANN401 - a part of an answer
    properties = web.field(item, "properties", dict)
    text, public = properties.get("privateIPAddress"), properties.get("publicIPAddress")
    subnet = properties.get("subnet")
    try:
        ip = ipaddress.ip_address(str(text)) if text else None
    except ValueError:
        raise Unavailable("the answer has an address that is none", advice=UNREADABLE) from None
    return Configuration(
        name=web.field(item, "name", str),
        ip=ip,
        primary=properties.get("primary") is True,
        subnet=canonical(web.field(subnet, "id", str)) if subnet is not None else "",
        public=canonical(web.field(public, "id", str)) if public is not None else "",
    )
