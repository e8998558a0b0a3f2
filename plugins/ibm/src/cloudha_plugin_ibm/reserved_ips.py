"""Reserved IPs: one object for each address of a subnet that is taken, with what it is bound to."""

from __future__ import annotations

import ipaddress
from typing import Any, NamedTuple

from cloudha import web
from cloudha.provider import ConfigurationError, Context, IPAddress, Unavailable
from cloudha_plugin_ibm import machines
from cloudha_plugin_ibm.client import every, page
from cloudha_plugin_ibm.errors import ENDPOINT

__all__ = ["ReservedIp", "check_movable", "find", "listed", "subnets_in_sight"]

USER = "user"


class ReservedIp(NamedTuple):
    """A reserved IP as the API describes it now. ``target``: a part of the answer, None while it is not bound."""

    id: str
    name: str
    ip: IPAddress
    subnet: str
    auto_delete: bool
    owner: str
    state: str
    target: dict[str, Any] | None


def find(context: Context, subnet: str, ip: IPAddress) -> ReservedIp | None:
    """Return the reserved IP with that address, None when the subnet has none.

    The API has no filter for addresses. Every address that is taken has an object, the subnet's own ones too, so that a
    listing is never empty; and one that is cut short must not make a bound address look free.
    """
    found = every(context, "list_subnet_reserved_ips", "reserved_ips", subnet, counted=True)
    if not found:
        raise Unavailable("the subnet's listing of reserved IPs is empty, which it never is", advice=ENDPOINT)
    return next((item for item in (_read(document, subnet) for document in found) if item.ip == ip), None)


def listed(context: Context, subnet: str, token: str | None) -> tuple[list[ReservedIp], str | None]:
    """Return one page of a subnet's reserved IPs, and the next page's token."""
    found, following = page(context, "list_subnet_reserved_ips", "reserved_ips", subnet, token=token)
    return [_read(document, subnet) for document in found], following


def subnets_in_sight(context: Context, ip: IPAddress | None) -> list[str]:
    """Return the ids of the subnets whose range has the address (None: of all), in an order that stays."""
    found = []
    for document in every(context, "list_subnets", "subnets"):
        try:
            network = ipaddress.ip_network(web.field(document, "ipv4_cidr_block", str))
        except ValueError:
            raise Unavailable("the answer has a subnet whose range is none", advice=ENDPOINT) from None
        if machines.fits(context, document) and (ip is None or ip in network):
            found.append(web.field(document, "id", str))
    return sorted(found)


def check_movable(item: ReservedIp) -> None:
    """Refuse an address that must not be moved, before anything is touched.

    :raises ConfigurationError: unbinding would delete it, or it is not the account's own.
    """
    if item.owner != USER:
        raise ConfigurationError(
            f"{item.ip} belongs to IBM Cloud itself ({item.name})", advice="choose an address that can float"
        )
    if item.auto_delete:
        raise ConfigurationError(
            f"the reserved IP {item.name} ({item.ip}) has auto_delete: true, so unbinding would delete it",
            advice=f"run: ibmcloud is subnet-reserved-ip-update {item.subnet} {item.id} --auto-delete false",
        )


def _read(document: Any, subnet: str) -> ReservedIp:  # noqa: ANN401 - a part of an answer
    target = document.get("target") if isinstance(document, dict) else None
    if target is not None:
        web.field(target, "id", str)
    return ReservedIp(
        id=web.field(document, "id", str),
        name=web.field(document, "name", str),
        ip=web.address(document, "address"),
        subnet=subnet,
        auto_delete=web.field(document, "auto_delete", bool),
        owner=web.field(document, "owner", str),
        state=web.field(document, "lifecycle_state", str),
        target=target,
    )
