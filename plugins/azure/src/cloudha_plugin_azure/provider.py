"""The hooks for Azure. No SDK is imported here: metadata and messages do without it.

Each hook hands over to the module for what it is about; the SDK is imported in :mod:`cloudha_plugin_azure.arm`, for the
first change, and only the client that is needed.
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
from cloudha_plugin_azure.options import OPTIONS

# Azure refills a machine's bucket of state reads at 12 a minute.
POLL_SECONDS = 5.0

# Each hook imports what it needs when called: the agents' metadata is made from this module every few seconds.


@hookimpl
def provider_info() -> ProviderInfo:
    """Declare the parameters, and the pace that Azure's limits for one machine allow."""
    return ProviderInfo("Microsoft Azure", options=OPTIONS, kinds=tuple(Kind), poll_seconds=POLL_SECONDS)


@hookimpl
def list_nodes(context: Context, query: NodeQuery) -> NodePage:
    """Return virtual machines, found by resource id, name, or the primary private address."""
    from cloudha_plugin_azure import machines

    return machines.list_nodes(context, query)


@hookimpl
def power_state(context: Context, node: Node) -> PowerReading:
    """Return the machine's power, from its instance view."""
    from cloudha_plugin_azure import machines

    return machines.power_state(context, node)


@hookimpl
def power_off(context: Context, node: Node) -> Accepted:
    """Power the machine off without a shutdown of the guest."""
    from cloudha_plugin_azure import machines

    return machines.power_off(context, node)


@hookimpl
def power_on(context: Context, node: Node) -> Accepted:
    """Start the machine."""
    from cloudha_plugin_azure import machines

    return machines.power_on(context, node)


@hookimpl
def local_node(context: Context) -> Node:
    """Return this machine, from the metadata service."""
    from cloudha_plugin_azure import metadata

    return metadata.node(context)


@hookimpl
def local_evidence(context: Context, query: AddressQuery) -> Evidence:
    """Say what the metadata service lists, which is no proof."""
    from cloudha_plugin_azure.evidence import evidence

    return evidence(context, query)


@hookimpl
def list_ips(context: Context, query: AddressQuery) -> BindingPage:
    """Return who has the address, from the API."""
    found: BindingPage = _module(query.kind).bindings(context, query)
    return found


@hookimpl
def bind_ip(context: Context, change: AddressChange) -> Accepted:
    """Give the address to the machine's chosen interface."""
    accepted: Accepted = _module(change.kind).bind(context, change)
    return accepted


@hookimpl
def unbind_ip(context: Context, change: AddressChange) -> Accepted:
    """Take the address from the machine, if that one has it."""
    accepted: Accepted = _module(change.kind).unbind(context, change)
    return accepted


@hookimpl
def check_access(context: Context, purpose: Purpose, kind: Kind) -> AccessReport:
    """Ask for the permissions."""
    from cloudha_plugin_azure.access import report

    return report(context, purpose, kind)


def _module(kind: Kind) -> ModuleType:
    """Return the module for that kind of address; only that one is imported, since a monitor pays for each."""
    from importlib import import_module

    names = {Kind.PUBLIC: "public_addresses", Kind.ROUTE: "route_addresses"}
    return import_module(f"cloudha_plugin_azure.{names.get(kind, 'private_addresses')}")
