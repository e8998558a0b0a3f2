"""One failover, as everybody wrote it down, and where its time went. All times: seconds since the power was cut."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ACCEPTED", "STAGES", "STOP", "Request", "Span", "Split", "Story", "busy", "interesting", "split", "told"]

#: in their order
STAGES = ("detection", "head start", "fencing", "address", "network")

REQUESTED = re.compile(r"Requesting fencing \(\w+\) of node (?P<node>\S+)")
ASSIGNED = re.compile(r"Requesting that \S+ perform '\w+' action targeting (?P<node>\S+)")
DELAYED = re.compile(r"Delaying '\w+' action targeting (?P<node>\S+) using \S+ for (?P<seconds>\d+)s")
RETURNED = re.compile(r"Operation '\w+' \[\d+\] targeting (?P<node>\S+) using \S+ returned (?P<code>-?\d+)")
FENCED = re.compile(r"Operation '\w+' targeting (?P<node>\S+) by \S+ for \S+: OK")
METADATA = re.compile(r"Retrieving metadata for (?P<resource>\S+) \(ocf:")
PREPARED = re.compile(r"Requesting local execution of start operation for (?P<resource>\S+) on")
STARTED = re.compile(r"executing - rsc:(?P<resource>\S+) action:start")
ENDED = re.compile(r"(?P<resource>\S+) start \(call \d+, PID \d+\) exited with status (?P<code>\d+)")
PATTERNS = (REQUESTED, ASSIGNED, DELAYED, RETURNED, FENCED, METADATA, PREPARED, STARTED, ENDED)

STOP = ("power_off", "ec2.StopInstances")
START = ("power_on", "ec2.StartInstances")
ACCEPTED = range(200, 300)


@dataclass(frozen=True)
class Request:
    """A survivor's request to the cloud, from its arrival to its answer."""

    begin: float
    end: float
    operation: str
    status: int = 200


@dataclass(frozen=True)
class Story:
    """What was written down.

    ``lines``: of the survivors' Pacemaker logs, each with its time, in order; ``stopped``: when the cloud had stopped
    the victim; ``held``: when the address was on the new holder's NIC; ``answered``: the client's first answer from
    there; ``controller``: whether the victim was the cluster's designated controller; ``agent``: when the fence agent's
    process began, None where nobody looked.
    """

    victim: str
    lines: tuple[tuple[float, str], ...]
    requests: tuple[Request, ...]
    stopped: float
    held: float
    answered: float
    controller: bool = False
    agent: float | None = None


@dataclass(frozen=True)
class Span:
    """A process of an agent. ``cloud``: for how much of it the cloud had something to do that it waited for."""

    what: str
    begin: float
    end: float
    cloud: float

    @property
    def own(self) -> float:
        """What is left."""
        return self.end - self.begin - self.cloud


@dataclass(frozen=True)
class Split:
    """Where the time went: ``stages`` by name; ``spans``: the agents' processes; ``fence``: what the fence agent did.

    ``fence``: seconds of its own by phase: ``asking`` (before the stop was asked for), ``looking`` (after the cloud had
    stopped the machine, until the start was asked for), ``starting`` (after that).
    """

    total: float
    stages: dict[str, float]
    spans: tuple[Span, ...]
    fence: dict[str, float] = field(default_factory=dict)

    @property
    def own(self) -> float:
        """The agents' own share, in seconds."""
        return sum(span.own for span in self.spans)

    @property
    def cloud(self) -> float:
        """The cloud's, as far as an agent waited for it."""
        return sum(span.cloud for span in self.spans)


def interesting(line: str) -> bool:
    """Whether a line of Pacemaker's log belongs into a story."""
    return any(pattern.search(line) for pattern in PATTERNS)


def split(story: Story) -> Split:
    """Say where the time went.

    :raises ValueError: the story has a hole; the text says which.
    """
    requested = _first(story, REQUESTED, story.victim)
    begun = _agent_begins(story)
    fenced = _first(story, FENCED, story.victim)
    # The watcher of the NIC looks every few milliseconds only: the client may have heard of the address before it.
    marks = (0.0, requested, begun, fenced, min(story.held, story.answered), story.answered)
    stages = {name: marks[number + 1] - marks[number] for number, name in enumerate(STAGES)}
    at_work = busy(story)
    fencings = [("fence", begun, _first(story, RETURNED, story.victim, "0"))]
    spans = tuple(
        Span(what, begin, min(end, story.answered), _overlap(at_work, begin, min(end, story.answered)))
        for what, begin, end in [*fencings, *_starts(story, fenced)]
        if begin < story.answered
    )
    return Split(story.answered, stages, spans, _phases(story, at_work, *fencings[0][1:]))


def busy(story: Story) -> list[tuple[float, float]]:
    """Return when the cloud had something to do that agents wait for: answers to the survivors, and the stop."""
    stop = [(at, story.stopped) for at in _accepted(story, STOP)[:1] if at < story.stopped]
    return _united([*((request.begin, request.end) for request in story.requests), *stop])


def told(kept: Mapping[str, Any]) -> Story:
    """Return the story of a run from the raw numbers."""
    return Story(
        **{
            **kept,
            "lines": tuple((float(at), str(line)) for at, line in kept["lines"]),
            "requests": tuple(Request(**request) for request in kept["requests"]),
        }
    )


def _moments(story: Story, pattern: re.Pattern[str], who: str, code: str = "") -> list[float]:
    return [
        at
        for at, line in story.lines
        if (found := pattern.search(line)) and found[1] == who and (not code or found["code"] == code)
    ]


def _first(story: Story, pattern: re.Pattern[str], who: str, code: str = "") -> float:
    found = _moments(story, pattern, who, code)
    if not found:
        raise ValueError(f"no line for {who} like: {pattern.pattern}")
    return found[0]


def _agent_begins(story: Story) -> float:
    """When the fence agent starts. Fenced does not say so, only that it will, after a head start if there is one."""
    if story.agent is not None:
        return story.agent
    for at, line in story.lines:
        if (found := DELAYED.search(line)) and found["node"] == story.victim:
            return at + int(found["seconds"])
    return _first(story, ASSIGNED, story.victim)


def _accepted(story: Story, operations: Sequence[str]) -> list[float]:
    """Return when the fence agent asked for such an operation, where the cloud did not refuse.

    A monitor's dry run is refused as such, and comes from another process.
    """
    begun = _agent_begins(story)
    return [r.begin for r in story.requests if r.operation in operations and r.begin >= begun and r.status in ACCEPTED]


def _starts(story: Story, fenced: float) -> list[tuple[str, float, float]]:
    """The address's agents on the new holder: their metadata, which Pacemaker asks for first, and their start."""
    found: list[tuple[str, float, float]] = []
    for pattern, until, name in ((METADATA, PREPARED, "meta-data"), (STARTED, ENDED, "start")):
        for at, line in story.lines:
            if at >= fenced and (match := pattern.search(line)):
                ends = [end for end in _moments(story, until, match[1]) if end >= at]
                if ends and f"{match[1]} {name}" not in [what for what, _, _ in found]:
                    found.append((f"{match[1]} {name}", at, ends[0]))
    return sorted(found, key=lambda span: span[1])


def _phases(story: Story, at_work: Sequence[tuple[float, float]], begin: float, end: float) -> dict[str, float]:
    """What the fence agent did with the time of its own."""
    stop_at = min([*_accepted(story, STOP), end])
    start_at = min([*_accepted(story, START), end])
    off_at = min(max(story.stopped, stop_at), start_at)
    edges = {"asking": (begin, stop_at), "looking": (off_at, start_at), "starting": (start_at, end)}
    return {name: last - first - _overlap(at_work, first, last) for name, (first, last) in edges.items()}


def _united(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the same time with no part of it twice."""
    found: list[tuple[float, float]] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def _overlap(spans: Sequence[tuple[float, float]], begin: float, end: float) -> float:
    return sum(max(0.0, min(last, end) - max(first, begin)) for first, last in spans)
