"""The hooks for a load balancer's health probe: only those for addresses, since nothing here can cut power."""

from __future__ import annotations

import os

from cloudha.provider import (
    Accepted,
    AccessReport,
    AddressChange,
    AddressQuery,
    Audience,
    Binding,
    BindingPage,
    ConfigurationError,
    Conflict,
    Context,
    Evidence,
    Kind,
    LocalConfigurationError,
    Node,
    Option,
    OptionType,
    Permission,
    PowerState,
    ProviderInfo,
    Purpose,
    Unavailable,
    Verdict,
    hookimpl,
)

# Each hook imports what it needs when called: metadata is made from this module every few seconds, without sockets.

# Microsoft's examples use it, and fence-agents' and resource-agents' after them.
DEFAULT_PORT = "60000"
MOST_PORT = 65535


@hookimpl
def provider_info() -> ProviderInfo:
    """Declare the port."""
    port = Option(
        "probe_port",
        "TCP port of the load balancer's health probe, a port of its own for each address",
        OptionType.INTEGER,
        DEFAULT_PORT,
        audience=Audience.ADDRESS,
    )
    return ProviderInfo("Load balancer health probe", options=(port,), kinds=(Kind.PRIVATE,), poll_seconds=0.2)


@hookimpl
def local_node(context: Context) -> Node:  # noqa: ARG001 - the hook's argument
    """Return this machine, under the name that Pacemaker knows it by."""
    name = os.uname().nodename
    return Node(name, name, PowerState.ON)


@hookimpl
def local_evidence(context: Context, query: AddressQuery) -> Evidence:
    """Ask the answerer, as the load balancer does. Who listens on this machine's port is certain."""
    from cloudha_plugin_lb_probe.process import ask

    port = _port(context)
    try:
        answer = ask(context, port)
    except Unavailable as error:
        return Evidence(Verdict.CANNOT_TELL, error.cause)
    here = query.ip is not None and answer.address == query.ip
    return Evidence(Verdict.YES if here else Verdict.NO, f"port {port} of this machine")


@hookimpl
def list_ips(context: Context, query: AddressQuery) -> BindingPage:
    """Return what the answerer of this machine stands for. Of other machines nothing can be known, nor need be."""
    from cloudha_plugin_lb_probe.process import ask

    port = _port(context)
    address = ask(context, port).address
    if address is None or query.ip not in (None, address):
        return BindingPage(())
    return BindingPage((Binding(address, os.uname().nodename, f"port {port}"),))


@hookimpl
def bind_ip(context: Context, change: AddressChange) -> Accepted:
    """Start the answerer, unless it runs.

    :raises LocalConfigurationError: something else listens on the port, or another machine is meant.
    """
    from cloudha_plugin_lb_probe.process import ask, start

    port = _port(context)
    if change.node_id != os.uname().nodename:
        raise LocalConfigurationError(
            f"a health probe is answered by the machine itself, not for {change.node_id}", advice="remove node="
        )
    answer = ask(context, port)
    if answer.address == change.ip:
        return Accepted(detail="it runs already")
    if answer.listening:
        raise LocalConfigurationError(
            f"port {port} is taken by {answer.address or 'another program'}",
            advice="give each address a port of its own, and its health probe the same",
        )
    try:
        start(change.ip, port)
    except Conflict:
        # Somebody was faster: another start of the same resource, or of something else.
        if ask(context, port).address != change.ip:
            raise
    return Accepted()


@hookimpl
def unbind_ip(context: Context, change: AddressChange) -> Accepted:
    """End the answerer, if it stands for this address, and only on this machine."""
    from cloudha_plugin_lb_probe.process import ask, end

    port = _port(context)
    if change.node_id != os.uname().nodename:
        return Accepted(detail="not bound here", sent=False)
    try:
        if ask(context, port).address != change.ip:
            return Accepted(detail="not bound here", sent=False)
    except Unavailable:
        # It hangs, and the kernel goes on accepting for it: the load balancer must not be told so any longer.
        end(port)
        return Accepted(detail="it did not answer", sent=False)
    end(port)
    return Accepted()


@hookimpl
def check_access(context: Context, purpose: Purpose, kind: Kind) -> AccessReport:  # noqa: ARG001 - one purpose, one kind
    """Nothing needs to be permitted but the port, which is tried at the start."""
    from cloudha_plugin_lb_probe.process import ask

    port = _port(context)
    ask(context, port)
    return AccessReport((Permission(f"listen on port {port}", Verdict.YES),), identity="this machine")


def _port(context: Context) -> int:
    port = context.settings.integer("probe_port") or int(DEFAULT_PORT)
    if not 0 < port <= MOST_PORT:
        raise ConfigurationError(f"parameter probe_port={port} is no port", advice="write 1 to 65535")
    return port
