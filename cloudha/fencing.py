"""Power a machine off so that it is certain, and on; find the one machine that a plug means.

The cluster starts a machine's services elsewhere as soon as "off" is said. So "off" is said only after the cloud has
accepted a stop in this very action and then reported a final state, read often enough not to be an old one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator

from cloudha.audit import Outcome
from cloudha.errors import (
    AmbiguousError,
    CloudhaError,
    ConfigurationError,
    Conflict,
    NotFound,
    ProviderBroken,
    Unavailable,
    Unconfirmed,
)
from cloudha.host import Host
from cloudha.types import Accepted, IPAddress, Node, NodeQuery, PowerReading, PowerState

__all__ = ["find_node", "nodes", "power_off", "power_on"]

# A first poll that is quick catches a fast cloud; later ones are as far apart as the operator or the vendor wants, but
# for the first seconds, in which most stops end: four times as often then, for services wait meanwhile.
FIRST_POLL_SECONDS = 0.2
QUICK_SECONDS = 10.0
# A stop that was accepted and shows no effect is asked for again (lost, or the machine was started meanwhile).
ASK_AGAIN_SECONDS = 10.0
# One "off" may be an old answer, from before the machine's last start: APIs are eventually consistent.
LOOKS = 2
# Two looks count as two only when they are this far apart.
LOOK_APART_SECONDS = 0.5
# A cloud that refuses a stop as needless has not accepted one, and both its refusal and its "off" may be about a start
# that is still on its way: only when it says the same for so long, and refuses again, is the machine off.
SETTLE_SECONDS = 10.0
# A listing that never ends is a bug of the provider, not a large account.
MOST_PAGES = 10_000


def nodes(host: Host) -> Iterator[Node]:
    """Yield all machines in sight, page by page."""
    yield from _pages(host, None)


def _pages(host: Host, plug: str | None) -> Iterator[Node]:
    page: str | None = None
    for _ in range(MOST_PAGES):
        answer = host.list_nodes(NodeQuery(plug, page))
        yield from answer.nodes
        if answer.next is None:
            return
        if answer.next == page:
            break
        page = answer.next
    raise host.placed(ProviderBroken("list_nodes does not end: it answers the same page again and again"))


def find_node(host: Host, plug: str) -> Node:
    """Return the one machine whose id, name or address is *plug*.

    Names are found as the cloud's own search finds them. Of two machines of one name, one of them terminated, the
    living one is meant; a terminated machine is found by its id only, since its name may belong to a successor that is
    not in sight.

    :raises AmbiguousError: it fits several; names them.
    :raises NotFound: it fits none that these credentials see.
    """
    address = _as_address(plug)
    fitting: dict[str, Node] = {}
    for node in _pages(host, plug):
        if node.id == plug or node.name.casefold() == plug.casefold() or (address and address in node.addresses):
            fitting[node.id] = node
    found = [n for n in fitting.values() if n.id == plug or n.state is not PowerState.TERMINATED]
    if len(found) > 1:
        names = ", ".join(sorted(node.label for node in found))
        raise host.placed(
            AmbiguousError(f"{len(found)} machines fit: {names}", advice="use the id of the one you mean"), plug
        )
    if not found:
        gone = ", ".join(sorted(node.label for node in fitting.values()))
        raise host.placed(
            NotFound(
                f"only terminated machines fit: {gone}" if gone else "no such machine with these credentials, here",
                advice="check the plug (pcmk_host_map), region and account; fence_cloud -o list shows what is seen",
            ),
            plug,
        )
    return found[0]


def _as_address(text: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


class _Change:
    """One machine on its way to a power state, since *started* on the monotonic clock."""

    def __init__(self, node: Node, first: PowerReading, started: float) -> None:
        self.node = node
        self.first = self.reading = first
        self.started = started
        self.asked_at: float | None = None
        # Since when the cloud has called a stop needless, instead of accepting it.
        self.needless_since: float | None = None
        self.reads = 0
        self.read_at = 0.0
        self.done = False
        self.request_ids: list[str] = []
        self.refusal = ""


def power_off(host: Host, targets: Iterable[Node], *, interval: float, wait: float = 0.0) -> None:
    """Cut the power of all *targets* and return when every one is confirmed off.

    A stop is always sent, even to a machine that reads as off: that reading may be older than its last start. Only a
    terminated machine, seen for that very id, is left alone. Once a stop was accepted, a machine is off when two looks
    in a row find it off. Where the cloud refuses the stop since the machine is off (``Accepted(sent=False)``), every
    look for 10 s must find it off, and the cloud must then refuse again.

    :param interval: seconds between polls.
    :param wait: seconds to wait after a stop was accepted, before the first poll.
    :raises Unconfirmed: not off before the deadline; the stop may still succeed.
    """
    _drive(host, targets, _step_off, "power_off", interval, wait)


def power_on(
    host: Host, targets: Iterable[Node], *, interval: float, wait: float = 0.0, see_it_on: bool = True
) -> None:
    """Start all *targets* and return when every one is on, or, without *see_it_on*, when the cloud accepted it.

    :raises Unconfirmed: not on (not accepted) before the deadline.
    """
    _drive(host, targets, _step_on if see_it_on else _step_accepted, "power_on", interval, wait)


def _drive(
    host: Host,
    targets: Iterable[Node],
    step: Callable[[Host, _Change, float], None],
    what: str,
    interval: float,
    wait: float,
) -> None:
    clock = host.deadline
    changes = []
    for node in targets:
        reading = PowerReading(node.id, node.state, node.state.value)
        changes.append(_Change(node, reading, clock.elapsed))
    pause = FIRST_POLL_SECONDS
    interval = max(interval, host.provider.info.poll_seconds)
    fresh = True
    while True:
        for change in changes:
            if not change.done:
                _advance(host, change, step, what, wait, look=not fresh)
        fresh = False
        waiting = [change for change in changes if not change.done]
        if not waiting:
            return
        # One "off" is there already: the second look comes as soon as it counts.
        nearly = any(change.reads and change.needless_since is None for change in waiting)
        longest = interval / 4 if clock.elapsed < QUICK_SECONDS else interval
        clock.sleep(LOOK_APART_SECONDS if nearly else max(min(pause, longest), host.provider.info.poll_seconds))
        pause *= 2
        if clock.passed:
            raise _unconfirmed(host, waiting[0], what)


def _advance(
    host: Host, change: _Change, step: Callable[[Host, _Change, float], None], what: str, wait: float, *, look: bool
) -> None:
    try:
        if look:
            change.reading = host.power_state(change.node)
        step(host, change, wait)
    except NotFound as error:
        if change.asked_at is None:
            raise _failed(host, change, what, error) from None
        # Seen a moment ago, and a request accepted: an answer that is behind, or a machine that went. Not proof.
        change.reading = PowerReading(change.node.id, PowerState.UNKNOWN, "not found")
        change.reads = 0
    except Unavailable as error:
        if change.asked_at is None and not change.refusal:
            raise _failed(host, change, what, error) from None
        raise _unconfirmed(host, change, what, error.cause) from None
    except CloudhaError as error:
        raise _failed(host, change, what, error) from None
    if change.done and change.asked_at is not None:
        _log(host, change, what, Outcome.CONFIRMED)


def _step_off(host: Host, change: _Change, wait: float) -> None:
    now = host.deadline.elapsed
    state = change.reading.state
    if state is PowerState.TERMINATED:
        change.done = True
    elif change.asked_at is None:
        _ask(host, change, host.power_off, wait)
    elif state.is_off:
        if change.reads == 0 or now - change.read_at >= LOOK_APART_SECONDS:
            change.reads += 1
            change.read_at = now
        if change.needless_since is None:
            change.done = change.reads >= LOOKS
        elif change.reads >= LOOKS and now - change.needless_since >= SETTLE_SECONDS:
            _ask(host, change, host.power_off, wait)
            change.done = change.needless_since is not None
    elif change.needless_since is not None:
        change.reads = 0
        change.needless_since = None
        _ask(host, change, host.power_off, wait)
    else:
        # An "off" that is followed by "on" was an old answer, or somebody started the machine: ask at once.
        contradicted = change.reads > 0 and state is not PowerState.STOPPING
        change.reads = 0
        if contradicted or (state is not PowerState.STOPPING and now - change.asked_at >= ASK_AGAIN_SECONDS):
            _ask(host, change, host.power_off, wait)


def _step_on(host: Host, change: _Change, wait: float) -> None:
    # As for off: a reading from before a start was accepted may be older than the loss of power.
    state = change.reading.state
    if state is PowerState.TERMINATED:
        raise NotFound("the machine is terminated and cannot start again", advice="replace it, then update the plug")
    if state is PowerState.ON and change.asked_at is not None:
        change.done = True
        return
    due = change.asked_at is None or host.deadline.elapsed - change.asked_at >= ASK_AGAIN_SECONDS
    if change.asked_at is None or (state is not PowerState.STARTING and due):
        _ask(host, change, host.power_on, wait)


def _step_accepted(host: Host, change: _Change, wait: float) -> None:
    if change.asked_at is None:
        _step_on(host, change, wait)
    change.done = change.asked_at is not None


def _ask(host: Host, change: _Change, hook: Callable[[Node], Accepted], wait: float) -> None:
    """Send the request. A conflict (still starting, still stopping) is met by reading on and asking again."""
    try:
        accepted = hook(change.node)
    except Conflict as conflict:
        change.refusal = conflict.cause
        if change.needless_since is not None:
            change.asked_at = change.needless_since = None
            change.reads = 0
        return
    change.asked_at = host.deadline.elapsed
    if accepted.sent:
        if change.needless_since is not None:
            change.reads = 0
        change.needless_since = None
    elif change.needless_since is None:
        change.needless_since = change.asked_at
    change.refusal = ""
    change.request_ids.extend(accepted.request_ids)
    host.deadline.sleep(wait)


def _failed(host: Host, change: _Change, what: str, error: CloudhaError) -> CloudhaError:
    # Before a request was accepted nothing has changed; afterwards it may still happen.
    _log(host, change, what, Outcome.FAILED if change.asked_at is None else Outcome.UNKNOWN, error)
    return host.placed(error, change.node.label)


def _unconfirmed(host: Host, change: _Change, what: str, trouble: str = "") -> CloudhaError:
    if change.asked_at is None:
        cause = f"{what} was not accepted ({change.refusal or 'no answer'})"
    else:
        last = change.reading.raw or change.reading.state.value
        cause = f"{what} was accepted, but the machine still reads {last!r} after {host.deadline.elapsed:.0f} s"
    error = Unconfirmed(
        f"{cause}: {trouble}" if trouble else cause,
        advice=f"look with: fence_cloud -o status -n {change.node.id}; where it takes longer, raise power_timeout",
        request_id=", ".join(change.request_ids),
    )
    _log(host, change, what, Outcome.UNKNOWN, error)
    return host.placed(error, change.node.label)


def _log(host: Host, change: _Change, what: str, outcome: Outcome, error: CloudhaError | None = None) -> None:
    host.audit(
        what,
        outcome=outcome,
        target=change.node.id,
        node=change.node,
        before=change.first.raw,
        after=change.reading.raw or change.reading.state.value,
        request_ids=tuple(change.request_ids),
        seconds=host.deadline.elapsed - change.started,
        error=error,
    )


def check_plugs(text: str, separator: str) -> tuple[str, ...]:
    """Split the plug parameter; several plugs are one fencing target that is off when all are off.

    :raises ConfigurationError: nothing is left.
    """
    plugs = tuple(dict.fromkeys(part.strip() for part in text.split(separator or ",") if part.strip()))
    if not plugs:
        raise ConfigurationError(
            "parameter plug is missing", advice="give the machine's id, name or address, as in plug=n1"
        )
    return plugs
