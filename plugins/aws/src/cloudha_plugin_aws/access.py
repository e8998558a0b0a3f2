"""Find out whether these credentials may do what an agent needs, with EC2's dry runs on this machine's own objects."""

from __future__ import annotations

import ipaddress

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
from cloudha_plugin_aws import metadata, route_addresses
from cloudha_plugin_aws.client import call, identity, permission_of
from cloudha_plugin_aws.errors import DRY_RUN, THROTTLING
from cloudha_plugin_aws.machines import parse_filters

__all__ = ["report"]

# The least that DescribeInstances and others accept for a page: enough to see whether we may ask.
FEWEST = 5
# Documentation range (RFC 5737): a dry run changes nothing, but names an address.
SOME_ADDRESS = "192.0.2.1"
NO_DRY_RUN = "EC2 has no dry run for it"
NOT_HERE = "only tried on a machine of the cluster"


def report(context: Context, purpose: Purpose, kind: Kind, *, recurring: bool = False) -> AccessReport:
    """Return the permissions; at least one of them is asked for without a dry run.

    :param recurring: leave out the dry run of StartInstances. A region gives an account 2 of these a second: the
        monitors of some hundred clusters would take them all.

    :raises CloudhaError: EC2 is away, or refuses the credentials altogether.
    """
    myself = _myself(context)
    if purpose is Purpose.FENCING:
        found = _fencing(context, myself, recurring=recurring)
    elif kind is Kind.PUBLIC:
        found = _public(context, myself)
    elif kind is Kind.ROUTE:
        found = _route(context, myself)
    else:
        found = _private(context, myself)
    return AccessReport(tuple(found), identity=identity(context))


def _fencing(context: Context, myself: str, *, recurring: bool) -> list[Permission]:
    filters = parse_filters(context.settings.text("filter"))
    asked = {"Filters": filters} if filters else {}
    methods = ("stop_instances",) if recurring else ("stop_instances", "start_instances")
    return [
        _real(context, "describe_instances", MaxResults=FEWEST, **asked),
        *(_on_myself(context, method, myself, InstanceIds=[myself]) for method in methods),
    ]


def _private(context: Context, myself: str) -> list[Permission]:
    methods = (
        "assign_private_ip_addresses",
        "unassign_private_ip_addresses",
        "assign_ipv6_addresses",
        "unassign_ipv6_addresses",
    )
    untried = [Permission(permission_of(method), Verdict.CANNOT_TELL, NO_DRY_RUN) for method in methods]
    return [_interfaces(context, myself), *untried]


def _public(context: Context, myself: str) -> list[Permission]:
    wanted = [{"Name": "public-ip", "Values": [SOME_ADDRESS]}]
    # A dry run needs an address of ours, and which one is not said here.
    methods = ("associate_address", "disassociate_address")
    untried = [Permission(permission_of(method), Verdict.CANNOT_TELL, "needs an address") for method in methods]
    return [_real(context, "describe_addresses", Filters=wanted), _interfaces(context, myself), *untried]


def _route(context: Context, myself: str) -> list[Permission]:
    tables = route_addresses.tables_wanted(context)
    found = [_real(context, "describe_route_tables", RouteTableIds=list(tables)), _interfaces(context, myself)]
    for table in tables:
        where = {"RouteTableId": table, **route_addresses.destination(ipaddress.ip_address(SOME_ADDRESS))}
        found.append(_dry(context, "delete_route", **where))
        found.extend(
            _on_myself(context, method, myself, **where, InstanceId=myself)
            for method in ("create_route", "replace_route")
        )
    return found


def _on_myself(context: Context, method: str, myself: str, **parameters: object) -> Permission:
    if not myself:
        return Permission(permission_of(method), Verdict.CANNOT_TELL, NOT_HERE)
    return _dry(context, method, **parameters)


def _interfaces(context: Context, myself: str) -> Permission:
    if not myself:
        return _real(context, "describe_network_interfaces", MaxResults=FEWEST)
    wanted = [{"Name": "attachment.instance-id", "Values": [myself]}]
    return _real(context, "describe_network_interfaces", Filters=wanted)


def _real(context: Context, method: str, **parameters: object) -> Permission:
    """Make the request. A refusal of this one permission is an answer; of the credentials, an exception."""
    try:
        call(context, method, **parameters)
    except CredentialsMissing:
        raise
    except AccessDenied as error:
        if permission_of(method) not in error.cause:
            raise
        return Permission(permission_of(method), Verdict.NO, error.cause)
    return Permission(permission_of(method), Verdict.YES)


def _dry(context: Context, method: str, **parameters: object) -> Permission:
    name = permission_of(method)
    try:
        call(context, method, DryRun=True, **parameters)
    except AccessDenied as error:
        return Permission(name, Verdict.NO, error.cause) if name in error.cause else _cannot_tell(name, error)
    except CloudhaError as error:
        if DRY_RUN in error.cause:
            return Permission(name, Verdict.YES)
        # EC2 has just answered a real request. Operations have budgets of their own, which others may have used.
        if isinstance(error, Unavailable) and error.cause.startswith(tuple(THROTTLING)):
            return _cannot_tell(name, error)
        # One call of these is enough to know that EC2 is away; a permission is not the matter then.
        if isinstance(error, Unavailable):
            raise
        return _cannot_tell(name, error)
    return Permission(name, Verdict.CANNOT_TELL, "EC2 does not keep to the dry run")


def _cannot_tell(name: str, error: CloudhaError) -> Permission:
    return Permission(name, Verdict.CANNOT_TELL, error.cause)


def _myself(context: Context) -> str:
    """Return this machine's id, "" where that cannot be found out (a workstation)."""
    try:
        return metadata.instance_id(context)
    except CloudhaError:
        return ""
