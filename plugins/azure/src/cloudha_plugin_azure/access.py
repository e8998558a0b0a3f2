"""Find out whether these credentials may do what an agent needs: Azure lists a caller's own permissions."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cloudha import web
from cloudha.provider import (
    AccessDenied,
    AccessReport,
    CloudhaError,
    Context,
    CredentialsMissing,
    Kind,
    Permission,
    Purpose,
    Unavailable,
    Verdict,
)
from cloudha_plugin_azure import metadata
from cloudha_plugin_azure.arm import COMPUTE, NETWORK, get, group, page, subscription
from cloudha_plugin_azure.clouds import cloud_of
from cloudha_plugin_azure.credentials import identity
from cloudha_plugin_azure.errors import WAY
from cloudha_plugin_azure.route_addresses import tables_wanted

__all__ = ["NEEDED", "report"]

MACHINES = "Microsoft.Compute/virtualMachines"
NICS = "Microsoft.Network/networkInterfaces"
READ_NICS, WRITE_NICS = f"{NICS}/read", f"{NICS}/write"
JOIN_SUBNET = "Microsoft.Network/virtualNetworks/subnets/join/action"
FENCING = (
    f"{MACHINES}/read",
    f"{MACHINES}/instanceView/read",
    f"{MACHINES}/powerOff/action",
    f"{MACHINES}/start/action",
)
NEEDED: dict[Kind, tuple[str, ...]] = {
    Kind.PRIVATE: (READ_NICS, WRITE_NICS, JOIN_SUBNET),
    Kind.PUBLIC: (
        READ_NICS,
        WRITE_NICS,
        JOIN_SUBNET,
        "Microsoft.Network/publicIPAddresses/read",
        "Microsoft.Network/publicIPAddresses/join/action",
    ),
    Kind.ROUTE: (
        READ_NICS,
        "Microsoft.Network/routeTables/read",
        "Microsoft.Network/routeTables/routes/read",
        "Microsoft.Network/routeTables/routes/write",
        "Microsoft.Network/routeTables/routes/delete",
    ),
}
OUTBOUND = (
    "this machine may have no way out: behind an internal load balancer, or without a public address, it needs an "
    "outbound rule, a NAT gateway or a private endpoint; then check DNS, routes and network security groups"
)
# May be granted on another resource alone: subnets and tables often are in the network team's resource group.
ELSEWHERE = (JOIN_SUBNET, "Microsoft.Network/routeTables/")


def report(context: Context, purpose: Purpose, kind: Kind) -> AccessReport:
    """Return the permissions, as Azure lists them for the resource group.

    :raises CloudhaError: Azure is away, or refuses the credentials altogether.
    """
    needed = FENCING if purpose is Purpose.FENCING else NEEDED[kind]
    if purpose is Purpose.ADDRESSES and kind is Kind.ROUTE:
        tables_wanted(context)
    where = f"/subscriptions/{subscription(context)}"
    where += f"/resourceGroups/{group(context)}" if group(context) else ""
    try:
        granted = _granted(context, where)
    except CredentialsMissing:
        raise
    except Unavailable as error:
        raise _no_way_out(context, error) from None
    except AccessDenied as error:
        return AccessReport(tuple(_tried(context, purpose, needed, error.cause)), identity(context))
    found = [_judged(name, granted) for name in needed]
    if purpose is Purpose.FENCING and any(item.granted is Verdict.NO for item in found):
        found = _on_machines(context, needed, found)
    return AccessReport(tuple(found), identity(context))


def _no_way_out(context: Context, error: Unavailable) -> Unavailable:
    """Say of a failed connection what it most likely is, where this machine's own network is well otherwise."""
    if error.advice != WAY:
        return error
    try:
        metadata.node(context)
    except CloudhaError:
        return error
    found = Unavailable(f"{error.cause}; this machine's metadata service answers", advice=OUTBOUND)
    found.retry_after = error.retry_after
    return found


def _granted(context: Context, where: str) -> list[dict[str, object]]:
    version = cloud_of(context).permissions_version
    url = f"{where}/providers/Microsoft.Authorization/permissions?api-version={version}"
    return web.field(get(context, url, f"our permissions in {where}").document, "value", list)


def _judged(name: str, granted: Iterable[dict[str, object]]) -> Permission:
    if any(
        _covers(web.field(item, "actions", list), name) and not _covers(web.field(item, "notActions", list), name)
        for item in granted
    ):
        return Permission(name, Verdict.YES)
    if name.startswith(ELSEWHERE):
        return Permission(name, Verdict.CANNOT_TELL, "not granted in the resource group; perhaps on the resource alone")
    return Permission(name, Verdict.NO, "not granted in the resource group")


def _covers(patterns: list[object], name: str) -> bool:
    """Whether one of Azure's patterns, in which ``*`` stands for any text, covers the action."""
    return any(
        re.fullmatch(".*".join(map(re.escape, str(pattern).split("*"))), name, re.IGNORECASE) for pattern in patterns
    )


def _on_machines(context: Context, needed: Iterable[str], found: list[Permission]) -> list[Permission]:
    """Look once more at this machine alone: the role may be assigned on each machine of the cluster."""
    try:
        here = metadata.node(context).id
        granted = _granted(context, here)
    except CloudhaError as error:
        return [
            item if item.granted is Verdict.YES else Permission(item.name, Verdict.CANNOT_TELL, error.cause)
            for item in found
        ]
    return [
        item if item.granted is Verdict.YES else _judged(name, granted)
        for name, item in zip(needed, found, strict=True)
    ]


def _tried(context: Context, purpose: Purpose, needed: tuple[str, ...], why: str) -> list[Permission]:
    """Azure does not let us see our permissions: make the one harmless request of those needed."""
    where = group(context)
    service, operations = (
        (COMPUTE, "virtual_machines") if purpose is Purpose.FENCING else (NETWORK, "network_interfaces")
    )
    method, arguments = ("list", (where,)) if where else ("list_all", ())
    try:
        page(context, service, operations, method, *arguments, token=None)
    except AccessDenied as error:
        if needed[0].lower() not in error.cause.lower():
            raise
        first = Permission(needed[0], Verdict.NO, error.cause)
    else:
        first = Permission(needed[0], Verdict.YES)
    return [first, *(Permission(name, Verdict.CANNOT_TELL, why) for name in needed[1:])]
