"""Find out whether these credentials may do what an agent needs, as far as OCI lets that be seen.

OCI has no dry run and does not list a caller's own permissions. So what only reads is tried, and of what changes it is
said that it cannot be told. A test by a change that must fail (a wrong etag) is not made: were it to succeed, it would
stop a machine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from cloudha import web
from cloudha.provider import (
    AccessDenied,
    AccessReport,
    CloudhaError,
    Context,
    CredentialsMissing,
    Kind,
    NotFound,
    Permission,
    Purpose,
    Unavailable,
    Verdict,
)
from cloudha_plugin_oci import metadata
from cloudha_plugin_oci.client import COMPUTE, NETWORK, call, compartments, fetch, insist_sdk
from cloudha_plugin_oci.credentials import caller
from cloudha_plugin_oci.errors import ENDPOINT
from cloudha_plugin_oci.private_addresses import find
from cloudha_plugin_oci.route_addresses import tables_wanted
from cloudha_plugin_oci.vnics import subnets

__all__ = ["report"]

NO_DRY_RUN = "OCI has no dry run for it"
NOT_HERE = "only tried on a machine of the cluster"
# Documentation range (RFC 5737): asked for, and certainly not there.
SOME_ADDRESS = ipaddress.ip_address("192.0.2.1")
FENCING = ("INSTANCE_POWER_ACTIONS",)
CHANGES: dict[Kind, tuple[str, ...]] = {
    Kind.PRIVATE: (
        "PRIVATE_IP_UPDATE",
        "PRIVATE_IP_CREATE",
        "PRIVATE_IP_ASSIGN",
        "PRIVATE_IP_UNASSIGN",
        "VNIC_ASSIGN",
        "VNIC_UNASSIGN",
        "SUBNET_ATTACH",
    ),
    Kind.PUBLIC: (
        "PUBLIC_IP_UPDATE",
        "PUBLIC_IP_ASSIGN_PRIVATE_IP",
        "PUBLIC_IP_UNASSIGN_PRIVATE_IP",
        "PRIVATE_IP_ASSIGN_PUBLIC_IP",
        "PRIVATE_IP_UNASSIGN_PUBLIC_IP",
    ),
    Kind.ROUTE: ("ROUTE_TABLE_UPDATE", "PRIVATE_IP_ROUTE_TABLE_ATTACH", "PRIVATE_IP_ROUTE_TABLE_DETACH"),
}


def report(context: Context, purpose: Purpose, kind: Kind) -> AccessReport:
    """Return the permissions; at least one request is made, and fails when OCI is away or refuses the credentials.

    :raises CloudhaError: OCI is away, or refuses the credentials altogether.
    """
    insist_sdk(context)
    found = _fencing(context) if purpose is Purpose.FENCING else _addresses(context, kind)
    untried = FENCING if purpose is Purpose.FENCING else CHANGES[kind]
    found += [Permission(name, Verdict.CANNOT_TELL, NO_DRY_RUN) for name in untried]
    return AccessReport(tuple(found), identity=caller(context).identity)


def _fencing(context: Context) -> list[Permission]:
    first = compartments(context)[0]
    return [_tried("INSTANCE_READ", lambda: _one(context, COMPUTE, "list_instances", first))]


def _addresses(context: Context, kind: Kind) -> list[Permission]:
    first = compartments(context)[0]
    found: list[Permission] = []
    if kind is Kind.ROUTE:
        found += [_table(context, ocid) for ocid in tables_wanted(context)]
    if kind is Kind.PUBLIC:
        found.append(
            _tried(
                "PUBLIC_IP_READ",
                lambda: _one(context, NETWORK, "list_public_ips", "REGION", first, lifetime="RESERVED"),
            )
        )
    attachments = _tried("VNIC_ATTACHMENT_READ", lambda: _one(context, COMPUTE, "list_vnic_attachments", first))
    return [*found, attachments, *_own(context)]


def _table(context: Context, ocid: str) -> Permission:
    return _tried("ROUTE_TABLE_READ", lambda: fetch(context, NETWORK, "get_route_table", ocid))


def _one(context: Context, service: str, method: str, *arguments: str, **more: str) -> None:
    """Ask for a list of one item at most; what cannot be read is no answer."""
    document = call(context, service, method, *arguments, limit=1, certain=True, **more).document
    if not isinstance(document, list):
        raise Unavailable("the answer is no list", advice=ENDPOINT)
    for item in document:
        web.field(item, "id", str)


def _own(context: Context) -> list[Permission]:
    """Try what is about this machine's own VNICs and subnets."""
    try:
        machine = metadata.node_id(context)
    except CloudhaError:
        return [Permission(name, Verdict.CANNOT_TELL, NOT_HERE) for name in ("VNIC_READ", "PRIVATE_IP_READ")]
    places: list[str] = []
    vnic = _tried("VNIC_READ", lambda: places.extend(subnets(context, machine)))
    if not places:
        return [vnic, Permission("PRIVATE_IP_READ", Verdict.CANNOT_TELL, vnic.detail)]
    return [vnic, _tried("PRIVATE_IP_READ", lambda: find(context, places[0], SOME_ADDRESS))]


def _tried(name: str, ask: Callable[[], object]) -> Permission:
    """Make the request. A refusal of this one is an answer; of the credentials as such, an exception."""
    try:
        ask()
    except CredentialsMissing:
        raise
    except AccessDenied as error:
        if error.cause.startswith(("NotAuthenticated", "HTTP 401")):
            raise
        return Permission(name, Verdict.NO, error.cause)
    except NotFound as error:
        return Permission(name, Verdict.NO, error.cause)
    return Permission(name, Verdict.YES)
