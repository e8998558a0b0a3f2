"""Find out whether these credentials may do what an agent needs: by the reads that it needs, since there is no dry run.

The names are IAM actions of the service ``is`` (VPC Infrastructure Services).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from cloudha.provider import AccessDenied, AccessReport, Context, Kind, Permission, Purpose, Verdict
from cloudha_plugin_ibm import credentials
from cloudha_plugin_ibm.client import insist_sdk, page
from cloudha_plugin_ibm.interfaces import local_machine
from cloudha_plugin_ibm.routing_tables import tables, vpc_of, wanted

__all__ = ["FENCING", "NEEDED", "report"]

NO_DRY_RUN = "IBM Cloud has no dry run; see permissions.md"


class Needed(NamedTuple):
    """``reads``: the actions that are tried; ``changes``: those that cannot be tried without doing them."""

    reads: tuple[str, ...]
    changes: tuple[str, ...]


READ_INSTANCES = "is.instance.instance.read"
READ_INTERFACES = "is.virtual-network-interface.virtual-network-interface.read"
READ_SUBNETS = "is.subnet.subnet.read"
READ_FLOATING = "is.floating-ip.floating-ip.read"
READ_ROUTES = "is.vpc.routing-table.read"
FENCING = Needed((READ_INSTANCES,), ("is.instance.instance.operate", "is.instance.instance.update"))
NEEDED: dict[Kind, Needed] = {
    Kind.PRIVATE: Needed(
        (READ_INSTANCES, READ_INTERFACES, READ_SUBNETS),
        ("is.virtual-network-interface.virtual-network-interface.update", "is.subnet.subnet.operate"),
    ),
    Kind.PUBLIC: Needed(
        (READ_INSTANCES, READ_INTERFACES, READ_FLOATING),
        ("is.virtual-network-interface.virtual-network-interface.update", "is.floating-ip.floating-ip.update"),
    ),
    Kind.ROUTE: Needed((READ_INSTANCES, READ_INTERFACES, READ_ROUTES), ("is.vpc.routing-table.update",)),
}
LISTINGS = {
    READ_INSTANCES: ("list_instances", "instances"),
    READ_INTERFACES: ("list_virtual_network_interfaces", "virtual_network_interfaces"),
    READ_SUBNETS: ("list_subnets", "subnets"),
    READ_FLOATING: ("list_floating_ips", "floating_ips"),
}


def report(context: Context, purpose: Purpose, kind: Kind) -> AccessReport:
    """Return the permissions: read or refused where that could be tried.

    :raises CloudhaError: IBM Cloud is away, or does not know the credentials.
    """
    needed = FENCING if purpose is Purpose.FENCING else NEEDED[kind]
    if purpose is Purpose.ADDRESSES and kind is Kind.ROUTE:
        wanted(context)
    insist_sdk(context)
    found = [_tried(name, partial(_read, context, name)) for name in needed.reads]
    found += [Permission(name, Verdict.CANNOT_TELL, NO_DRY_RUN) for name in needed.changes]
    return AccessReport(tuple(found), credentials.identity(context))


def _tried(name: str, read: Callable[[], None]) -> Permission:
    try:
        read()
    except AccessDenied as error:
        if not error.cause.startswith("not_authorized"):
            raise
        return Permission(name, Verdict.NO, error.cause)
    return Permission(name, Verdict.YES)


def _read(context: Context, name: str) -> None:
    """Make the one harmless request that the action allows: the first page of a listing."""
    if name in LISTINGS:
        page(context, *LISTINGS[name], token=None)
    else:
        tables(context, vpc_of(context, local_machine(context, "")))
