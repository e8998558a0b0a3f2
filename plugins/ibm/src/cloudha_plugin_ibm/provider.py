"""The hooks for IBM Cloud VPC. No SDK is imported here: metadata and messages do without it.

Each hook hands over to the module for what it is about; the SDK is imported in :mod:`cloudha_plugin_ibm.client`, for
the first change.
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
from cloudha_plugin_ibm.options import OPTIONS

# Each hook imports what it needs when called: the agents' metadata is made from this module every few seconds.


@hookimpl
def provider_info() -> ProviderInfo:
    """Declare the parameters and the kinds of address."""
    return ProviderInfo("IBM Cloud VPC", options=OPTIONS, kinds=tuple(Kind))


@hookimpl
def list_nodes(context: Context, query: NodeQuery) -> NodePage:
    """Return instances, found by id, name, or the primary address of an interface."""
    from cloudha_plugin_ibm import machines

    return machines.list_nodes(context, query)


@hookimpl
def power_state(context: Context, node: Node) -> PowerReading:
    """Return the machine's power, from the instance's status."""
    from cloudha_plugin_ibm import machines

    return machines.power_state(context, node)


@hookimpl
def power_off(context: Context, node: Node) -> Accepted:
    """Stop the machine by force, without waiting for the guest."""
    from cloudha_plugin_ibm import machines

    return machines.power_off(context, node)


@hookimpl
def power_on(context: Context, node: Node) -> Accepted:
    """Start the machine."""
    from cloudha_plugin_ibm import machines

    return machines.power_on(context, node)


@hookimpl
def local_node(context: Context) -> Node:
    """Return this machine, from the metadata service."""
    from cloudha_plugin_ibm import metadata

    return metadata.node(context)


@hookimpl
def local_evidence(context: Context, query: AddressQuery) -> Evidence:
    """Say that this machine cannot tell by itself."""
    from cloudha_plugin_ibm.evidence import evidence

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
    """Try what can be tried without changing anything."""
    from cloudha_plugin_ibm.access import report

    return report(context, purpose, kind)


def _module(kind: Kind) -> ModuleType:
    """Return the module for that kind of address; only that one is imported, since a monitor pays for each."""
    from importlib import import_module

    names = {Kind.PUBLIC: "public_addresses", Kind.ROUTE: "route_addresses"}
    return import_module(f"cloudha_plugin_ibm.{names.get(kind, 'private_addresses')}")
