"""The hooks that a provider implements: what each is asked, answers and raises, and what the cluster does with it.

A hook is one small operation on one cloud: ask or change once, translate the vendor's answer and the vendor's errors.
It does not retry, sleep, poll, verify or log: the host (:mod:`cloudha.host`) does that for all providers, once.

Every example is a complete module that the test-suite runs. A provider implements what its cloud can do:
``provider_info`` always; the power hooks and ``list_nodes`` for fencing; the address hooks for floating addresses.

All hooks may raise any :mod:`cloudha.errors` class; anything else counts as a bug of the plugin
(:class:`~cloudha.errors.ProviderBroken`). None is never an answer.
"""

from __future__ import annotations

import pluggy

from cloudha.context import Context
from cloudha.declaration import PROJECT, ProviderInfo
from cloudha.types import (
    Accepted,
    AccessReport,
    AddressChange,
    AddressQuery,
    BindingPage,
    Evidence,
    Kind,
    Node,
    NodePage,
    NodeQuery,
    PowerReading,
    Purpose,
)

__all__ = ["ProviderHooks", "hookspec"]

hookspec = pluggy.HookspecMarker(PROJECT)


class ProviderHooks:
    """Namespace of the hookspecs. Providers implement them as functions of a module, marked with ``@hookimpl``."""

    @hookspec(firstresult=True)
    def provider_info(self) -> ProviderInfo:
        """Describe the provider. Called for metadata, every few seconds: import no SDK, read nothing, ask nobody.

        ::

            from cloudha.provider import Kind, Option, ProviderInfo, hookimpl

            @hookimpl
            def provider_info() -> ProviderInfo:
                return ProviderInfo(
                    title="Example Cloud",
                    options=(Option("project", "Project that the machines are in", required=True),),
                    kinds=(Kind.PRIVATE,),
                )
        """
        raise AssertionError("a hookspec is never called")

    @hookspec(firstresult=True)
    def list_nodes(self, context: Context, query: NodeQuery) -> NodePage:
        """Return one page of the machines that these credentials can see, with their present power state.

        With ``query.plug``, return the machines whose id, name or address is the plug, and let the server do the
        filtering, so that the cost does not grow with the account. Returning too many is harmless: the host compares
        again. Returning too few is not: two machines of one name must both be returned, since the host refuses an
        ambiguous name. An empty page means "the cloud answered, and there is none"; raise for everything else.

        Effect on the cluster: a plug that is not found, or found twice, fails the fencing without touching anything.

        ::

            from cloudha.provider import Context, Node, NodePage, NodeQuery, PowerState, hookimpl

            MACHINES = {"i-1": "n1", "i-2": "n2"}

            @hookimpl
            def list_nodes(context: Context, query: NodeQuery) -> NodePage:
                found = [
                    Node(id=key, name=name, state=PowerState.ON)
                    for key, name in MACHINES.items()
                    if query.plug in (None, key, name)
                ]
                return NodePage(tuple(found))
        """
        raise AssertionError("a hookspec is never called")

    @hookspec(firstresult=True)
    def power_state(self, context: Context, node: Node) -> PowerReading:
        """Return the power of that very machine (by ``node.id``) now, from the cloud, never from memory.

        ``OFF`` and ``TERMINATED`` make Pacemaker start the machine's services elsewhere: return them only for the
        vendor's final states. A machine that is not found raises :class:`~cloudha.errors.NotFound`; a state that is
        not in the vendor's documents is ``UNKNOWN``.

        ::

            from cloudha.provider import Context, Node, PowerReading, PowerState, hookimpl

            STATES = {"running": PowerState.ON, "stopping": PowerState.STOPPING, "stopped": PowerState.OFF}

            @hookimpl
            def power_state(context: Context, node: Node) -> PowerReading:
                word = "stopping"  # from the cloud
                return PowerReading(node.id, STATES.get(word, PowerState.UNKNOWN), raw=word)
        """
        raise AssertionError("a hookspec is never called")

    @hookspec(firstresult=True)
    def power_off(self, context: Context, node: Node) -> Accepted:
        """Ask the cloud to cut the machine's power, in the hardest way it offers, not waiting for the guest.

        Return as soon as the request is accepted; the host polls :func:`power_state` until it is off. Already off is
        success; where the cloud refuses it for that reason, answer ``Accepted(sent=False)``, and the host takes longer
        to believe it. :class:`~cloudha.errors.Conflict` when the present state does not allow it (still starting).

        ::

            from cloudha.provider import Accepted, Context, Node, hookimpl

            @hookimpl
            def power_off(context: Context, node: Node) -> Accepted:
                return Accepted(request_ids=("req-1",))
        """
        raise AssertionError("a hookspec is never called")

    @hookspec(firstresult=True)
    def power_on(self, context: Context, node: Node) -> Accepted:
        """Ask the cloud to start the machine. Already on is success; ``Conflict`` while it is still stopping.

        The host asks whatever was read before: that reading may be older than the loss of power.

        ::

            from cloudha.provider import Accepted, Context, Node, hookimpl

            @hookimpl
            def power_on(context: Context, node: Node) -> Accepted:
                return Accepted(request_ids=("req-2",))
        """
        raise AssertionError("a hookspec is never called")

    @hookspec(firstresult=True)
    def local_node(self, context: Context) -> Node:
        """Return the machine that this process runs on, from the machine's metadata service: no API, no credentials.

        ``id`` must be the id that :func:`list_ips` and :func:`bind_ip` use. Raise
        :class:`~cloudha.errors.Unavailable` when the metadata service does not answer, and
        :class:`~cloudha.errors.LocalConfigurationError` when this is no machine of that cloud.

        ::

            from cloudha.provider import Context, Node, hookimpl

            @hookimpl
            def local_node(context: Context) -> Node:
                return Node(id="i-1", name="n1")
        """
        raise AssertionError("a hookspec is never called")

    @hookspec(firstresult=True)
    def local_evidence(self, context: Context, query: AddressQuery) -> Evidence:
        """Say whether ``query.ip`` is bound to *this* machine, from what the machine sees itself, cheaply.

        Called at every monitor. Use the metadata service where the vendor says that it follows address moves, and
        answer ``CANNOT_TELL`` where there is only a hint or the service does not answer. ``NO`` lets a monitor
        say "not running" while the API is away; ``YES`` keeps the resource where it is during an API outage.

        ::

            from cloudha.provider import AddressQuery, Context, Evidence, Verdict, hookimpl

            @hookimpl
            def local_evidence(context: Context, query: AddressQuery) -> Evidence:
                return Evidence(Verdict.CANNOT_TELL, source="this cloud's metadata service lists no addresses")
        """
        raise AssertionError("a hookspec is never called")

    @hookspec(firstresult=True)
    def list_ips(self, context: Context, query: AddressQuery) -> BindingPage:
        """Return who holds ``query.ip`` (one page; all addresses of the kind when it is None), from the cloud's API.

        Compare parsed addresses: 10.0.0.1 is no part of 10.0.0.10. No binding for an ``ip`` means that it is
        *definitely* bound nowhere, which makes a stop succeed; every doubt is an exception. An address that lives in
        several places (route tables) gives one binding for each place, with ``node_id`` None where nobody holds it.

        ::

            import ipaddress
            from cloudha.provider import AddressQuery, Binding, BindingPage, Context, hookimpl

            @hookimpl
            def list_ips(context: Context, query: AddressQuery) -> BindingPage:
                held = Binding(ipaddress.ip_address("10.0.0.10"), node_id="i-1", where="eni-1")
                return BindingPage((held,) if query.ip in (None, held.ip) else ())
        """
        raise AssertionError("a hookspec is never called")

    @hookspec(firstresult=True)
    def bind_ip(self, context: Context, change: AddressChange) -> Accepted:
        """Bind ``change.ip`` to the machine ``change.node_id``; with ``change.move``, whoever holds it now.

        Return as soon as it is accepted; the host polls :func:`list_ips`. Already bound there is success. Without
        ``move`` and held by another machine: :class:`~cloudha.errors.Conflict`, and nothing is changed. Where a move
        is several requests, every prefix of them must be something that the same call repairs when made again.

        ::

            from cloudha.provider import Accepted, AddressChange, Context, hookimpl

            @hookimpl
            def bind_ip(context: Context, change: AddressChange) -> Accepted:
                return Accepted(request_ids=("req-3",))
        """
        raise AssertionError("a hookspec is never called")

    @hookspec(firstresult=True)
    def unbind_ip(self, context: Context, change: AddressChange) -> Accepted:
        """Unbind ``change.ip`` from the machine ``change.node_id``, and only from that one.

        Held by another machine, or by none: success, and nothing is changed. The address itself must survive. Where a
        read alone said so, and no request for the unbinding was sent, answer ``Accepted(sent=False)``.

        ::

            from cloudha.provider import Accepted, AddressChange, Context, hookimpl

            @hookimpl
            def unbind_ip(context: Context, change: AddressChange) -> Accepted:
                return Accepted(request_ids=("req-4",))
        """
        raise AssertionError("a hookspec is never called")

    @hookspec(firstresult=True)
    def check_access(self, context: Context, purpose: Purpose, kind: Kind, recurring: bool) -> AccessReport:  # noqa: FBT001 - passed by name, always
        """Find out whether these credentials may do what the purpose needs (``kind`` counts for addresses only).

        Make at least one authenticated request that fails when the API is unreachable or refuses us: the fence
        agent's monitor is this call. Use the vendor's dry run where one exists; ``CANNOT_TELL`` where none does.
        The cost must not grow with the account. ``recurring``: asked every minute, by every cluster of an account;
        leave out what takes from a small budget of the API that fencing itself needs. A hook that costs little leaves
        the parameter away, as here.

        ::

            from cloudha.provider import AccessReport, Context, Kind, Permission, Purpose, Verdict, hookimpl

            @hookimpl
            def check_access(context: Context, purpose: Purpose, kind: Kind) -> AccessReport:
                return AccessReport((Permission("machines.list", Verdict.YES),), identity="role/cluster")
        """
        raise AssertionError("a hookspec is never called")
