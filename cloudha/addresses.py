"""Start, stop and monitor a floating address, in three values: bound here, not bound here, unknown.

"Not running" and "stopped" make the cluster start the service elsewhere, so they are said only when the cloud (or a
source that the vendor calls authoritative) says so; everything else is an exception. The interface comes first in a
stop and last in a start, so that the address never answers on a node that the cloud is taking it from.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from cloudha import announce, local_mark, nic
from cloudha.audit import Outcome
from cloudha.deadline import Deadline
from cloudha.errors import (
    AccessDenied,
    CloudhaError,
    Conflict,
    CredentialsMissing,
    LocalConfigurationError,
    ProviderNotInstalled,
    Unavailable,
    Unconfirmed,
)
from cloudha.fencing import find_node
from cloudha.host import Host
from cloudha.record import Record
from cloudha.types import Accepted, AddressChange, AddressQuery, Binding, Evidence, IPAddress, Kind, Node, Verdict

__all__ = ["FloatingAddress", "Held", "Request", "Status", "certainly_not_here", "lacks_means", "stop"]

# Waits between two looks at the cloud: quick at first, then no faster than an account's request budget bears.
FIRST_POLL_SECONDS = 0.2
MOST_POLL_SECONDS = 3.0
# "Not here" from an eventually consistent API counts when it is said twice, this far apart.
LOOKS = 2
READ_APART_SECONDS = 1.0
# After a start on this node, an API that shows nothing to unbind counts when it has done so for this long: it may be
# telling of the time before that start. Of a short timeout, half.
SETTLE_SECONDS = 10.0
SETTLE_SHARE = 0.5
# With good local evidence, a monitor does not spend its whole timeout on an API that is away.
PATIENCE_SHARE = 1 / 3
# The metadata service is one hop away; it answers at once or not at all.
EVIDENCE_SECONDS = 3.0
MOST_PAGES = 1000


class Held(enum.Enum):
    """Who holds the address, seen from this node, by the cloud's API."""

    HERE = "here"
    PARTLY = "partly here"
    NOT_HERE = "not here"


class Status(Record):
    """A monitor's answer that is certain. ``degraded`` says what could not be checked, "" when all was."""

    running: bool
    degraded: str = ""
    reason: str = ""


class Request(Record):
    """What the resource's parameters ask for. ``node``: who I am, "" to let the provider find out."""

    kind: Kind
    ip: IPAddress
    node: str = ""
    interface: str = ""
    prefix: int = 0
    takeover: bool = True


class _Progress:
    """How far a change has come: accepted or not, what came in between, and looks in a row without the address."""

    def __init__(self) -> None:
        self.accepted: Accepted | None = None
        self.trouble = ""
        self.looks = 0


def _tried(step: Callable[[_Progress], bool], progress: _Progress) -> bool:
    """Take one step. A conflict leads to another one; so does an API that is away once the change was accepted."""
    try:
        return step(progress)
    except Conflict as conflict:
        progress.trouble = conflict.cause
    except Unavailable as error:
        if progress.accepted is None:
            raise
        progress.trouble = error.cause
    return False


class FloatingAddress:
    """One floating address on this node, for one action."""

    def __init__(self, host: Host, request: Request) -> None:
        self.host = host
        self.request = request
        self._me = ""
        self._holder = ""
        self._mark = mark_key(host.provider.name, request)

    # -- actions -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Bind the address to this node, whoever holds it (unless takeover is off), and verify it.

        :raises Conflict: another machine holds it, and takeover is off.
        :raises Unconfirmed: asked for, not seen bound here before the deadline.
        """
        self.check(on_this_node=True)
        me = self._who_am_i()
        local_mark.set_mark(self._mark)
        self._bind(me)
        if self.request.interface:
            nic.add_address(self.request.interface, self.request.ip, self.request.prefix, self.host.deadline)
            announce.announce(self.request.interface, self.request.ip)

    def unbind(self) -> None:
        """Unbind the address in the cloud if this node holds it, and verify that.

        :raises CloudhaError: anything that leaves it open whether the address still is here. The cluster then fences
            this node, which is right.
        """
        self.host.require("unbind_ip", "list_ips", "local_evidence", "local_node")
        self._unbind()
        local_mark.clear_mark(self._mark)

    def monitor(self, *, ask_api: bool) -> Status:
        """Say whether the address is here. Changes nothing.

        :param ask_api: the API's answer is wanted even when local evidence settles it (OCF_CHECK_LEVEL 10).
        :raises CloudhaError: unknown.
        """
        self.host.require("list_ips", "local_evidence", "local_node")
        configured = self._configured()
        if configured is Verdict.NO:
            return Status(running=False, reason=f"{self.request.ip} is not on {self.request.interface}")
        evidence = self._evidence()
        if evidence.verdict is Verdict.YES and not ask_api:
            return Status(running=True)
        good = evidence.verdict is Verdict.YES or (
            evidence.verdict is Verdict.CANNOT_TELL and configured is Verdict.YES
        )
        try:
            return self._ask_api(evidence, self.host.deadline.remaining * PATIENCE_SHARE if good else None)
        except (Unavailable, AccessDenied, ProviderNotInstalled) as error:
            if good:
                return Status(running=True, degraded=f"not checked with the cloud: {error.cause}")
            if evidence.verdict is Verdict.NO:
                return Status(running=False, reason=f"{evidence.source} does not list it")
            raise

    def check(self, *, on_this_node: bool) -> None:
        """Refuse what cannot work, without asking anybody: hooks that are missing, an interface that is not here."""
        self.host.require("bind_ip", "unbind_ip", "list_ips", "local_evidence", "local_node")
        if on_this_node and self.request.interface:
            nic.check_interface(self.request.interface)

    # -- parts ---------------------------------------------------------------------------------------------------

    def _configured(self) -> Verdict | None:
        """Whether the interface has the address; None when the agent does not manage an interface."""
        if not self.request.interface:
            return None
        state = nic.address_state(self.request.interface, self.request.ip, self.host.deadline)
        if state is nic.AddressState.UNUSABLE:
            # It does not answer, but it is there: "not running" would let a probe leave it behind.
            raise self.host.placed(
                Unconfirmed(
                    f"it is on {self.request.interface} and cannot be used: the interface is down, or the address is "
                    "a duplicate",
                    advice=f"look with: ip address show dev {self.request.interface}",
                ),
                str(self.request.ip),
            )
        return Verdict.YES if state is nic.AddressState.USABLE else Verdict.NO

    def _evidence(self) -> Evidence:
        """Local evidence, which counts only when this machine is the node that the operator named."""
        try:
            if self.request.node and not self._is_local(self.request.node):
                return Evidence(Verdict.CANNOT_TELL, "this machine is not the node given with node=")
            return self.host.local_evidence(self._query(), EVIDENCE_SECONDS)
        except CloudhaError as error:
            return Evidence(Verdict.CANNOT_TELL, str(error))

    def _is_local(self, name: str) -> bool:
        local = self.host.local_node(EVIDENCE_SECONDS)
        return name == local.id or name.casefold() == local.name.casefold()

    def _who_am_i(self) -> str:
        """Return this node's id in the cloud.

        With node= the API resolves the name, unless the metadata service already confirms that it is this machine.
        """
        if not self._me:
            wanted = self.request.node
            if not wanted:
                self._me = self.host.local_node().id
            else:
                try:
                    self._me = self.host.local_node(EVIDENCE_SECONDS).id if self._is_local(wanted) else ""
                except CloudhaError:
                    self._me = ""
                self._me = self._me or find_node(self.host, wanted).id
        return self._me

    def _query(self) -> AddressQuery:
        return AddressQuery(self.request.kind, self.request.ip, self._me)

    def _change(self, me: str) -> AddressChange:
        mac = nic.mac_of(self.request.interface) if self.request.interface else ""
        return AddressChange(self.request.kind, self.request.ip, me, move=self.request.takeover, mac=mac)

    def _held(self, patience: float | None = None) -> Held:
        """Ask the API who holds the address."""
        bindings: list[Binding] = []
        page: str | None = None
        query = self._query()
        for _ in range(MOST_PAGES):
            answer = self.host.list_ips(
                AddressQuery(query.kind, query.ip, query.node_id, page) if page else query, patience
            )
            bindings.extend(answer.bindings)
            page = answer.next
            if page is None:
                break
        else:
            raise self.host.placed(Unavailable("list_ips does not end"), str(self.request.ip))
        self._holder = ", ".join(f"{b.node_id or 'nobody'} {b.where}".strip() for b in bindings) or "nobody"
        holders = {b.node_id for b in bindings}
        if not holders - {None}:
            return Held.NOT_HERE
        # A holder that is the very id given with node= needs no further request to know oneself.
        me = self.request.node if self.request.node in holders else self._who_am_i()
        if me not in holders:
            return Held.NOT_HERE
        return Held.HERE if holders == {me} else Held.PARTLY

    def _ask_api(self, evidence: Evidence, patience: float | None) -> Status:
        held = self._held(patience)
        if held is Held.NOT_HERE and evidence.verdict is not Verdict.NO:
            self.host.deadline.sleep(READ_APART_SECONDS)
            held = self._held(patience)
        if held is Held.HERE:
            return Status(running=True)
        if held is Held.PARTLY:
            raise self.host.placed(
                Unconfirmed(f"bound here only in part: {self._holder}", advice="the cluster restarts it to mend that"),
                str(self.request.ip),
            )
        if evidence.verdict is Verdict.YES:
            # Two sources that are never both right. A restart mends whichever is the case; "not running" might lie.
            raise self.host.placed(
                Unconfirmed(
                    f"the cloud says that {self._holder} holds it, and the {evidence.source} that this node does",
                    advice="the cluster restarts it to settle that",
                ),
                str(self.request.ip),
            )
        return Status(running=False, reason=f"the cloud says that {self._holder} holds it")

    def _bind(self, me: str) -> None:
        """Ask for the binding and poll until this node has it."""

        def step(progress: _Progress) -> bool:
            if progress.accepted is None:
                try:
                    progress.accepted = self.host.bind_ip(self._change(me))
                except Conflict as conflict:
                    if self.request.takeover or self._held() is Held.HERE:
                        raise
                    raise Unconfirmed(
                        f"{self._holder} holds it, and takeover=never: {conflict.cause}",
                        advice="free it there, or let this resource take it over with takeover=always",
                    ) from None
            return self._bound()

        self._drive("bind_ip", step)

    def _bound(self) -> bool:
        if self._evidence().verdict is Verdict.YES:
            self._holder = "this node, by its own metadata"
            return True
        return self._held() is Held.HERE

    def _unbind(self) -> None:
        """Unbind if this node may hold it, and poll until it does not.

        An API that is behind tells of the time before our last start, and says "not here". So the unbinding, which
        only ever takes the address from this node, is asked for whenever any source speaks for this node: the API, the
        metadata service, or the mark of a start. It is left out when all that can speak deny it, and the API twice.
        Where a start has left its mark and the provider then finds nothing to send, the API must go on denying it.
        """
        # A mark that cannot be read may be there: asking once too often does no harm.
        marked = local_mark.read_mark(self._mark) is not Verdict.NO

        clock = self.host.deadline
        settled = clock.elapsed + min(SETTLE_SECONDS, clock.remaining * SETTLE_SHARE) if marked else 0.0

        def step(progress: _Progress) -> bool:
            progress.looks = progress.looks + 1 if self._free() else 0
            if progress.looks and (progress.accepted or (progress.looks >= LOOKS and clock.elapsed >= settled)):
                return True
            if progress.accepted is None and (marked or not progress.looks):
                answer = self.host.unbind_ip(self._change(self._who_am_i()))
                if answer.sent:
                    progress.accepted = answer
                    progress.looks = 0
                    return self._free()
            return False

        self._drive("unbind_ip", step)

    def _free(self) -> bool:
        """Whether neither the API nor this machine's own metadata sees the address here."""
        return self._held() is Held.NOT_HERE and self._evidence().verdict is not Verdict.YES

    def _drive(self, what: str, step: Callable[[_Progress], bool]) -> None:
        """Take steps until one says that it is done; a conflict is met by looking again, until the deadline."""
        clock = self.host.deadline
        began = clock.elapsed
        progress = _Progress()
        pause = FIRST_POLL_SECONDS
        try:
            while not _tried(step, progress):
                if clock.passed:
                    raise self._unconfirmed(what, progress)
                if progress.looks:
                    clock.sleep(READ_APART_SECONDS)
                else:
                    pause = self._pause(pause)
        except Unavailable as error:
            # Time ran out in the middle of a question: an operator needs what was refused until then.
            told = self._unconfirmed(what, progress, error.cause) if progress.trouble else error
            self._log(what, progress.accepted, began, told)
            raise self.host.placed(told, str(self.request.ip)) from None
        except CloudhaError as error:
            self._log(what, progress.accepted, began, error)
            raise self.host.placed(error, str(self.request.ip)) from None
        if progress.accepted is not None:
            self._log(what, progress.accepted, began)

    def _pause(self, pause: float) -> float:
        least = self.host.provider.info.poll_seconds
        self.host.deadline.sleep(max(pause, least))
        return min(pause * 2, max(MOST_POLL_SECONDS, least))

    def _unconfirmed(self, what: str, progress: _Progress, last: str = "") -> CloudhaError:
        accepted = progress.accepted
        because = f" ({progress.trouble})" if progress.trouble else ""
        holder = f"still held by {self._holder}" if self._holder else "nobody could say who holds it"
        return Unconfirmed(
            f"{what} was {'' if accepted else 'not '}accepted{because}; {holder} after "
            f"{self.host.deadline.elapsed:.0f} s{f': {last}' if last else ''}",
            advice="if this cloud takes longer, raise the operation's timeout",
            request_id=", ".join(accepted.request_ids) if accepted else "",
        )

    def _log(self, what: str, accepted: Accepted | None, began: float, error: CloudhaError | None = None) -> None:
        failed = Outcome.FAILED if accepted is None else Outcome.UNKNOWN
        self.host.audit(
            what,
            outcome=failed if error else Outcome.CONFIRMED,
            target=str(self.request.ip),
            node=Node(self._me),
            before="",
            after=self._holder,
            request_ids=accepted.request_ids if accepted else (),
            seconds=self.host.deadline.elapsed - began,
            error=error,
        )


def stop(request: Request, deadline: Deadline, connect: Callable[[], FloatingAddress]) -> None:
    """Take the address off the interface, then unbind it in the cloud if this node holds it, and verify both.

    The interface comes first and needs nobody: *connect* (which may fail for want of a plugin, a valid parameter or
    credentials) is called afterwards.

    :raises CloudhaError: anything that leaves it open whether the address still is here.
    """
    if request.interface:
        nic.remove_address(request.interface, request.ip, deadline)
    connect().unbind()


def lacks_means(error: CloudhaError) -> bool:
    """Whether *error* says that this node lacks the plugin, the SDK, a local file, or any credentials to ask with."""
    return isinstance(error, ProviderNotInstalled | CredentialsMissing | LocalConfigurationError)


def mark_key(provider: str, request: Request) -> local_mark.MarkKey:
    """Name the mark that a start leaves on this node until its stop (:mod:`cloudha.local_mark`)."""
    return local_mark.MarkKey(provider, request.kind, request.ip)


def certainly_not_here(provider: str, request: Request, deadline: Deadline) -> bool:
    """Whether a node that cannot ask the cloud has certainly not bound the address since it booted.

    True only when no start has left its mark, and the interface, if one is managed, does not have the address. For a
    node that lacks the plugin, its SDK or any credentials: it could never have started the resource, and must not be
    fenced for that.
    """
    if request.interface:
        state = nic.address_state(request.interface, request.ip, deadline)
        if state is not nic.AddressState.ABSENT:
            return False
    return local_mark.read_mark(mark_key(provider, request)) is Verdict.NO
