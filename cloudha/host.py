"""The one way from an agent to a provider's hook and back: in time, tried again, checked, with nobody in between.

What every provider must get right is here, once: the deadline around each call, retries, the type of the answer, the
names of the target in an error, secrets taken out of it, observers that can neither change an answer nor stop a fence.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import pluggy

from cloudha.audit import AuditEvent, Outcome, record
from cloudha.context import CONNECT_SECONDS, READ_SECONDS, Context
from cloudha.deadline import Deadline
from cloudha.declaration import PROJECT
from cloudha.errors import AccessDenied, CloudhaError, ProviderBroken, Unavailable, UnsupportedError, one_line
from cloudha.guard import Hung, bounded
from cloudha.options import Settings
from cloudha.plugins import HOOKS, Provider, load_observers
from cloudha.retry import persist
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
    Verdict,
)

__all__ = ["Host"]

T = TypeVar("T")

# One hook call gets a third of what is left, so that a hanging one can be tried again, but never less than several
# requests of a slow and healthy API take.
CALL_SHARE = 1 / 3
CALL_LEAST_SECONDS = 10.0


class Host:
    """Calls one provider's hooks on behalf of one action.

    :param provider: from :func:`cloudha.plugins.load`.
    :param settings: the checked parameters.
    :param deadline: of the whole action.
    :param action: as the operator knows it (``off``, ``start``), for messages.
    :param agent: who asks, for the audit line.
    :param instance: the cluster's name of the resource, for the audit line.
    :param connect_seconds: the most that one connection may take.
    :param read_seconds: the most that one piece of an answer may take.
    :param warn: what to do with a warning; default: a line on standard error.
    :param trace: told of every call, its outcome and how long it took; without secrets.
    """

    def __init__(
        self,
        provider: Provider,
        settings: Settings,
        deadline: Deadline,
        *,
        action: str,
        agent: str = "cloudha",
        instance: str = "",
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
        warn: Callable[[str], None] | None = None,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        self.provider = provider
        self.settings = settings
        self.deadline = deadline
        self.action = action
        self._agent = agent
        self._instance = instance
        self.warn = warn or (lambda text: print(text, file=sys.stderr))  # noqa: T201 - Pacemaker logs standard error
        self._trace = trace
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._secrets = settings.secrets()
        self._context = self._new_context()
        for warning in load_observers(provider.manager):
            self.warn(warning)
        self._observers = [p for n, p in provider.manager.list_name_plugin() if n.startswith("observer:")]
        self._recorder = _Recorder()
        if self._observers:
            # Registered last and trylast: pluggy puts it next to the provider, inside every observer.
            provider.manager.register(self._recorder, "cloudha-recorder")

    # -- the hooks, typed ----------------------------------------------------------------------------------------

    def list_nodes(self, query: NodeQuery) -> NodePage:
        """One page of machines; see the hook."""
        return self._call("list_nodes", NodePage, target=query.plug or "", query=query)

    def power_state(self, node: Node) -> PowerReading:
        """The machine's power now. A reading of another machine is refused."""
        reading = self._call("power_state", PowerReading, target=node.label, node=node)
        if reading.node_id != node.id:
            raise self._placed(
                ProviderBroken(f"power_state answered for {reading.node_id!r}", advice="its state proves nothing"),
                node.label,
            )
        return reading

    def power_off(self, node: Node) -> Accepted:
        """Ask for the power cut; see the hook."""
        return self._call("power_off", Accepted, target=node.label, node=node)

    def power_on(self, node: Node) -> Accepted:
        """Ask for the start; see the hook."""
        return self._call("power_on", Accepted, target=node.label, node=node)

    def local_node(self, patience: float | None = None) -> Node:
        """This machine; see the hook."""
        return self._call("local_node", Node, patience=patience)

    def local_evidence(self, query: AddressQuery, patience: float | None = None) -> Evidence:
        """What this machine sees of the address; see the hook."""
        return self._call("local_evidence", Evidence, target=str(query.ip), patience=patience, query=query)

    def list_ips(self, query: AddressQuery, patience: float | None = None) -> BindingPage:
        """One page of bindings. Bindings of another address than the one asked for are left out."""
        page = self._call("list_ips", BindingPage, target=str(query.ip or ""), patience=patience, query=query)
        if query.ip is None:
            return page
        return BindingPage(tuple(b for b in page.bindings if b.ip == query.ip), page.next)

    def bind_ip(self, change: AddressChange) -> Accepted:
        """Ask for the binding; see the hook."""
        return self._call("bind_ip", Accepted, target=str(change.ip), change=change)

    def unbind_ip(self, change: AddressChange) -> Accepted:
        """Ask for the unbinding; see the hook."""
        return self._call("unbind_ip", Accepted, target=str(change.ip), change=change)

    def check_access(
        self,
        purpose: Purpose,
        kind: Kind = Kind.PRIVATE,
        patience: float | None = None,
        *,
        recurring: bool = False,
    ) -> AccessReport:
        """The permissions; see the hook."""
        return self._call(
            "check_access", AccessReport, patience=patience, purpose=purpose, kind=kind, recurring=recurring
        )

    def need_access(self, purpose: Purpose, kind: Kind = Kind.PRIVATE, *, recurring: bool = False) -> None:
        """Return when no permission is known to be missing.

        :raises AccessDenied: some are; names them.
        """
        report = self.check_access(purpose, kind, recurring=recurring)
        missing = [permission for permission in report.permissions if permission.granted is Verdict.NO]
        if missing:
            names = ", ".join(p.name + (f" ({p.detail})" if p.detail else "") for p in missing)
            who = f" for {report.identity}" if report.identity else ""
            raise self._placed(
                AccessDenied(f"permissions are missing{who}: {names}", advice="grant them, see the provider's page")
            )

    # -- how a hook is called ------------------------------------------------------------------------------------

    def require(self, *hooks: str) -> None:
        """Refuse an action that the provider cannot do, before anything is touched.

        :raises UnsupportedError: naming the hooks that are missing.
        """
        missing = [hook for hook in hooks if not self.provider.implements(hook)]
        if missing:
            raise self._placed(
                UnsupportedError(
                    f"provider {self.provider.name!r} cannot do that: it has no {', '.join(missing)}",
                    advice="use another provider= for this agent",
                )
            )

    def go_on(self, deadline: Deadline) -> None:
        """Continue with another deadline: the second half of an action, with its own time."""
        self.deadline = deadline
        self._context.deadline = deadline

    def audit(
        self,
        what: str,
        *,
        outcome: Outcome,
        target: str,
        before: str,
        after: str,
        seconds: float,
        node: Node | None = None,
        request_ids: tuple[str, ...] = (),
        error: CloudhaError | None = None,
    ) -> None:
        """Write the audit line of one change; never fails and never waits."""
        event = AuditEvent(
            agent=self._agent,
            action=self.action,
            instance=self._instance,
            provider=self.provider.name,
            what=what,
            outcome=outcome,
            node_id=node.id if node else "",
            node_name=node.name if node else "",
            target=target,
            before=before,
            after=after,
            request_ids=request_ids,
            seconds=seconds,
            error=type(error).__name__ if error else "",
            detail=error.cause if error else "",
        )
        record(event, secrets=self._secrets)

    def placed(self, error: CloudhaError, target: str = "") -> CloudhaError:
        """Return *error* with provider, action and target filled in and secrets taken out."""
        return self._placed(error, target)

    def _placed(self, error: CloudhaError, target: str = "") -> CloudhaError:
        return error.placed(provider=self.provider.name, action=self.action, target=target).redacted(self._secrets)

    def _new_context(self) -> Context:
        return Context(
            self.settings, self.deadline, connect_seconds=self._connect_seconds, read_seconds=self._read_seconds
        )

    def _call(
        self, hook: str, expected: type[T], *, target: str = "", patience: float | None = None, **arguments: object
    ) -> T:
        self.require(hook)
        within = self.deadline if patience is None else self.deadline.within(patience)
        try:
            return persist(lambda: self._once(hook, expected, within, arguments), within)
        except CloudhaError as error:
            # Chains are cut: a vendor's exception may hold headers, tokens and bodies.
            raise self._placed(error, target) from None

    def _once(self, hook: str, expected: type[T], within: Deadline, arguments: dict[str, object]) -> T:
        left = within.remaining
        if left <= 0:
            raise Unavailable("no time left to ask the cloud", advice="give the operation a longer timeout")
        limit = min(left, max(CALL_LEAST_SECONDS, left * CALL_SHARE))
        context = self._context
        if hook != "provider_info":
            arguments = {"context": context, **arguments}
        try:
            answer = bounded(lambda: self._traced(hook, arguments), limit)
        except Hung:
            # The thread that hangs may still hold the client: the next try gets a new one.
            self._context = self._new_context()
            raise Unavailable(
                f"{hook} did not come back within {limit:.1f} s", advice="check the way to the cloud's API"
            ) from None
        except CloudhaError:
            raise
        except KeyboardInterrupt:
            raise
        # Any other exception is the plugin's: unknown errors must end as "unknown", never as an answer.
        except BaseException as error:  # noqa: BLE001 - SystemExit of an SDK included
            raise ProviderBroken(
                f"{hook} raised {type(error).__name__}: {one_line(str(error))}",
                advice=f"report this to the author of {self.provider.entry.distribution}",
            ) from None
        if not isinstance(answer, expected):
            raise ProviderBroken(
                f"{hook} answered {type(answer).__name__}, not {expected.__name__}",
                advice=f"report this to the author of {self.provider.entry.distribution}",
            )
        return answer

    def _traced(self, hook: str, arguments: dict[str, object]) -> object:
        if self._trace is None:
            return self._through(hook, arguments)
        began = self.deadline.elapsed
        outcome = "interrupted"
        try:
            answer = self._through(hook, arguments)
            outcome = repr(answer)
        except Exception as error:
            outcome = f"{type(error).__name__}: {error}"
            raise
        else:
            return answer
        finally:
            text = one_line(f"{hook} after {self.deadline.elapsed - began:.3f} s: {outcome}")
            for secret in self._secrets:
                text = text.replace(secret, "***")
            self._trace(text)

    def _through(self, hook: str, arguments: dict[str, object]) -> object:
        """Call the hook through the observers; what the provider itself said counts, whatever an observer did."""
        caller = getattr(self.provider.manager.hook, hook)
        if not self._observers:
            return caller(**arguments)
        recorder = self._recorder
        recorder.forget()
        answer: object = None
        error: BaseException | None = None
        try:
            answer = caller(**arguments)
        except Exception as raised:  # noqa: BLE001 - an observer may raise anything; what counts is recorded below
            error = raised
        if not recorder.heard:
            self.warn(f"observers are left out: one of them failed before {hook}: {type(error).__name__}")
            self._drop_observers()
            return caller(**arguments)
        if answer is not recorder.answer or error is not recorder.error:
            self.warn(f"an observer changed or lost the answer of {hook}; the provider's own answer counts")
        if recorder.error is not None:
            raise recorder.error
        return recorder.answer

    def _drop_observers(self) -> None:
        for plugin in self._observers:
            self.provider.manager.unregister(plugin)
        self.provider.manager.unregister(self._recorder)
        self._observers = []


class _Recorder:
    """The innermost wrapper: keeps what the provider answered or raised."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.heard = False
        self.answer: Any = None
        self.error: BaseException | None = None


def _wrapper(hook: str) -> Callable[[_Recorder], Generator[None, Any, Any]]:
    def record(self: _Recorder) -> Generator[None, Any, Any]:
        try:
            self.answer = yield
        except BaseException as error:
            self.error = error
            self.heard = True
            raise
        self.heard = True
        return self.answer

    record.__name__ = hook
    return pluggy.HookimplMarker(PROJECT)(record, wrapper=True, trylast=True)


for _hook in HOOKS:
    setattr(_Recorder, _hook, _wrapper(_hook))
