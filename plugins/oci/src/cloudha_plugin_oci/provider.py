"""The hooks for OCI. No SDK is imported here: metadata and messages do without it.

Each hook hands over to the module for what it is about; the SDK is imported in :mod:`cloudha_plugin_oci.client`, for
the first change, and only the client that is needed.
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
from cloudha_plugin_oci.options import OPTIONS

# Each hook imports what it needs when called: the agents' metadata is made from this module every few seconds.


@hookimpl
def provider_info() -> ProviderInfo:
    """Declare the parameters."""
    return ProviderInfo("Oracle Cloud Infrastructure (OCI)", options=OPTIONS, kinds=tuple(Kind))


@hookimpl
def list_nodes(context: Context, query: NodeQuery) -> NodePage:
    """Return instances, found by OCID, display name, hostname label, or primary private address."""
    from cloudha_plugin_oci import machines

    return machines.list_nodes(context, query)


@hookimpl
def power_state(context: Context, node: Node) -> PowerReading:
    """Return the instance's lifecycle state as power."""
    from cloudha_plugin_oci import machines

    return machines.power_state(context, node)


@hookimpl
def power_off(context: Context, node: Node) -> Accepted:
    """Stop the instance without waiting for the guest."""
    from cloudha_plugin_oci import machines

    return machines.power_off(context, node)


@hookimpl
def power_on(context: Context, node: Node) -> Accepted:
    """Start the instance."""
    from cloudha_plugin_oci import machines

    return machines.power_on(context, node)


@hookimpl
def local_node(context: Context) -> Node:
    """Return this instance, from the metadata service."""
    from cloudha_plugin_oci import metadata

    return metadata.node(context)


@hookimpl
def local_evidence(context: Context, query: AddressQuery) -> Evidence:
    """Say that this machine cannot tell by itself."""
    from cloudha_plugin_oci.evidence import evidence

    return evidence(context, query)


@hookimpl
def list_ips(context: Context, query: AddressQuery) -> BindingPage:
    """Return who has the address, from the API."""
    found: BindingPage = _module(query.kind).bindings(context, query)
    return found


@hookimpl
def bind_ip(context: Context, change: AddressChange) -> Accepted:
    """Give the address to the machine's chosen VNIC."""
    accepted: Accepted = _module(change.kind).bind(context, change)
    return accepted


@hookimpl
def unbind_ip(context: Context, change: AddressChange) -> Accepted:
    """Take the address from the machine, if that one has it."""
    accepted: Accepted = _module(change.kind).unbind(context, change)
    return accepted


@hookimpl
def check_access(context: Context, purpose: Purpose, kind: Kind) -> AccessReport:
    """Ask for what can be asked for without changing anything."""
    from cloudha_plugin_oci.access import report

    return report(context, purpose, kind)


def _module(kind: Kind) -> ModuleType:
    """Return the module for that kind of address; only that one is imported, since a monitor pays for each."""
    from importlib import import_module

    names = {Kind.PUBLIC: "public_addresses", Kind.ROUTE: "route_addresses"}
    return import_module(f"cloudha_plugin_oci.{names.get(kind, 'private_addresses')}")
