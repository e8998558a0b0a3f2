"""The hooks for AWS. No SDK is imported here: metadata and a monitor with local evidence do without it.

Each hook hands over to the module for what it is about. boto3 is imported in :mod:`cloudha_plugin_aws.client`, at the
first request to EC2.
"""

from __future__ import annotations

from types import ModuleType

from cloudha.provider import (
    Accepted,
    AccessReport,
    AddressChange,
    AddressQuery,
    BindingPage,
    Context,
    Evidence,
    Kind,
    Node,
    NodePage,
    NodeQuery,
    PowerReading,
    ProviderInfo,
    Purpose,
    hookimpl,
)
from cloudha_plugin_aws.options import OPTIONS

# Each hook imports what it needs when called: the agents' metadata is made from this module every few seconds.


@hookimpl
def provider_info() -> ProviderInfo:
    """Declare the parameters. DescribeInstances is throttled by account and region: a poll a second is modest."""
    return ProviderInfo("Amazon Web Services", options=OPTIONS, kinds=tuple(Kind), poll_seconds=1.0)


@hookimpl
def list_nodes(context: Context, query: NodeQuery) -> NodePage:
    """Return EC2 instances, found by id, Name tag, private DNS name or address."""
    from cloudha_plugin_aws import machines

    return machines.list_nodes(context, query)


@hookimpl
def power_state(context: Context, node: Node) -> PowerReading:
    """Return the instance's state."""
    from cloudha_plugin_aws import machines

    return machines.power_state(context, node)


@hookimpl
def power_off(context: Context, node: Node) -> Accepted:
    """Stop the instance hard, unless this machine is itself being stopped (``race_check``)."""
    from cloudha_plugin_aws import machines

    return machines.power_off(context, node)


@hookimpl
def power_on(context: Context, node: Node) -> Accepted:
    """Start the instance."""
    from cloudha_plugin_aws import machines

    return machines.power_on(context, node)


@hookimpl
def local_node(context: Context) -> Node:
    """Return this instance, from the metadata service."""
    from cloudha_plugin_aws import metadata

    return metadata.node(context)


@hookimpl
def local_evidence(context: Context, query: AddressQuery) -> Evidence:
    """Say what the metadata service knows of the address."""
    from cloudha_plugin_aws.evidence import evidence

    return evidence(context, query)


@hookimpl
def list_ips(context: Context, query: AddressQuery) -> BindingPage:
    """Return who has the address, from EC2."""
    found: BindingPage = _module(query.kind).bindings(context, query)
    return found


@hookimpl
def bind_ip(context: Context, change: AddressChange) -> Accepted:
    """Give the address to the machine's chosen interface."""
    accepted: Accepted = _module(change.kind, change.ip.version).bind(context, change)
    return accepted


@hookimpl
def unbind_ip(context: Context, change: AddressChange) -> Accepted:
    """Take the address from the machine, if that one has it."""
    accepted: Accepted = _module(change.kind, change.ip.version).unbind(context, change)
    return accepted


@hookimpl
def check_access(context: Context, purpose: Purpose, kind: Kind, recurring: bool) -> AccessReport:  # noqa: FBT001 - the host passes it by name
    """Try the permissions."""
    from cloudha_plugin_aws.access import report

    return report(context, purpose, kind, recurring=recurring)


def _module(kind: Kind, version: int = 4) -> ModuleType:
    """Return the module for that kind of address; reading is the same for both versions of private ones."""
    from cloudha_plugin_aws import ipv6_addresses, private_addresses, public_addresses, route_addresses

    if kind is Kind.PUBLIC:
        return public_addresses
    if kind is Kind.ROUTE:
        return route_addresses
    return private_addresses if version == 4 else ipv6_addresses
