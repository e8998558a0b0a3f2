"""What the emulated network delivers: which machine gets the packets for which floating address, and who holds it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cloudha.types import IPAddress, Kind
from cloudha_plugin_oci.emulator.behaviour import OciError
from cloudha_plugin_oci.emulator.records import Document

if TYPE_CHECKING:
    from cloudha_plugin_oci.emulator.account import Account

__all__ = ["delivered", "holder", "prefix"]


def holder(account: Account, kind: Kind, ip: IPAddress) -> str | None:
    """Return the OCID of the instance that has the address."""
    if kind is Kind.ROUTE:
        return _led_to(account, ip, account.table)
    if kind is Kind.PUBLIC:
        public = account.public(ip)
        held = public is not None and public["lifecycleState"] == "ASSIGNED"
        return _behind(account, public.get("assignedEntityId", "")) if public and held else None
    found = account.address(ip)
    return account.instance_of(found.get("vnicId")) if found else None


def delivered(account: Account) -> Iterable[tuple[IPAddress, str]]:
    """Yield each floating address that arrives anywhere, and the name of the machine that gets it."""
    own = {machine.address for machine in account.machines.values()}
    for kind in ("privateip", "ipv6"):
        for item in account.records.all(kind):
            ip, instance = ipaddress.ip_address(item["ipAddress"]), account.instance_of(item.get("vnicId"))
            if instance and ip not in own and not item.get("isPrimary"):
                yield ip, account.machines[instance].name
    for item in account.records.all("publicip"):
        instance = _behind(account, item.get("assignedEntityId") or "")
        if instance and item["lifecycleState"] == "ASSIGNED":
            yield ipaddress.ip_address(item["ipAddress"]), account.machines[instance].name
    for table in account.records.all("routetable"):
        for entry in table["routeRules"]:
            if entry["destinationType"] != "CIDR_BLOCK":
                continue
            network = ipaddress.ip_network(entry["destination"])
            instance = _led_to(account, network.network_address, table)
            if instance and network.prefixlen == network.max_prefixlen:
                yield network.network_address, account.machines[instance].name


def prefix(ip: IPAddress) -> str:
    """Return the destination of a host route."""
    return f"{ip}/{ip.max_prefixlen}"


def _led_to(account: Account, ip: IPAddress, table: Document) -> str | None:
    rules = account.records.get("routetable", table["id"])["routeRules"]
    found = [rule for rule in rules if rule["destination"] == prefix(ip)]
    return _behind(account, found[0]["networkEntityId"]) if found else None


def _behind(account: Account, private_ip: str) -> str | None:
    """Return the instance that a private IP's object leads to."""
    try:
        kind = "ipv6" if private_ip.startswith("ocid1.ipv6.") else "privateip"
        return account.instance_of(account.records.get(kind, private_ip).get("vnicId"))
    except OciError:
        return None
