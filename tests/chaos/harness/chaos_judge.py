"""What must be true of a round whatever happened in it: what the agents told Pacemaker against what was so."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from cloudha.lab import evidence, verbs
from cloudha.lab.fencings import fencings
from cloudha.lab.reading import NODE_LOGS
from cloudha.lab.state import LabState

__all__ = ["Move", "false_fencings", "false_results", "moves", "outages"]

STAMP = r"(?P<day>\w{3} \d{2} [\d:]{8})\.(?P<milli>\d{3}) .*"
# "... notice: Requesting peer fencing (reboot) targeting node1 | id=dccb80dd state=querying base_timeout=60"
ASKED = re.compile(STAMP + r"Requesting peer fencing \(\w+\) targeting (?P<node>\S+) ")
# "... notice: Result of stop operation for vip on node1: ok | CIB update 16, ... rc=0"
RESULT = re.compile(STAMP + r"Result of (?P<what>\w+) operation for vip on (?P<node>\S+): .*\brc=(?P<code>\d+)")
# A fencing that nobody logged the request of began at most so long before its end.
FENCE_SECONDS = 120.0
# The witnesses look every 50 ms, but the machine may have no time for them.
SLACK_SECONDS = 1.5
OFF, ON = frozenset({"power cut", "power cut, was off", "stopped"}), "power on"


@dataclass(frozen=True, slots=True)
class Move:
    """The address answered from ``old`` and then from ``new``, ``seconds`` later."""

    at: float
    old: str
    new: str
    seconds: float


def moves(state: LabState, since: float) -> list[Move]:
    """Return every change of who answers."""
    came = evidence.answers(state, since, verbs.ADDRESS)
    return [Move(b.at, a.node, b.node, b.at - a.at) for a, b in pairwise(came) if a.node != b.node]


def outages(state: LabState, since: float) -> list[float]:
    """Return how long nobody answered, each time."""
    return [gap.seconds for gap in evidence.outages(state, verbs.ADDRESS, since, time.monotonic())]


def _lines(state: LabState, pattern: re.Pattern[str], node: str) -> Iterator[tuple[float, re.Match[str]]]:
    """Return the lines of the node's own log that match, with when they were written (monotonic seconds)."""
    now = time.time()
    year, offset = time.localtime(now).tm_year, now - time.monotonic()
    file = state.node(node).disk / NODE_LOGS["pacemaker"]
    for match in pattern.finditer(file.read_text(errors="replace") if file.exists() else ""):
        wall = time.mktime(time.strptime(f"{year} {match['day']}", "%Y %b %d %H:%M:%S"))
        yield wall + int(match["milli"]) / 1000 - offset, match


def without_power(state: LabState, node: str) -> list[tuple[float, float]]:
    """Return from when to when the node had no power."""
    found: list[tuple[float, float]] = []
    begin: float | None = None
    for event in state.events():
        if event.node == node and event.what in OFF and begin is None:
            begin = event.at
        elif event.node == node and event.what == ON and begin is not None:
            found.append((begin, event.at))
            begin = None
    return found if begin is None else [*found, (begin, math.inf)]


def false_fencings(state: LabState, since: float) -> list[str]:
    """Return the fencings that Pacemaker was told were done, while the node had power all the time."""
    asked = [(at, match["node"]) for node in state.nodes for at, match in _lines(state, ASKED, node.name)]
    found = []
    for fencing in fencings(state, since):
        begins = [at for at, node in asked if node == fencing.target and at <= fencing.at]
        begin = max(begins, default=fencing.at - FENCE_SECONDS)
        off = without_power(state, fencing.target)
        if not any(start <= fencing.at + 0.05 and end >= begin for start, end in off):
            found.append(
                f"fencing of {fencing.target} by {fencing.by} was asked at {begin:.3f}, told done at {fencing.at:.3f}, "
                f"and it had power all the time"
            )
    return found


def false_results(state: LabState, since: float) -> list[str]:
    """Return what the agent said of the address that was not so: stopped, or not running, and yet it was there."""
    held = [h for h in evidence.holdings(state) if h.address == verbs.ADDRESS]
    routes = [e for e in state.events() if e.what == "route" and e.detail == str(verbs.ADDRESS)]
    routed = [(a.at, b, a.node) for a, b in zip(routes, [*(e.at for e in routes[1:]), math.inf], strict=True)]
    found = []
    for node in state.nodes:
        for at, match in _lines(state, RESULT, node.name):
            what, code = match["what"], int(match["code"])
            if at < since or (what, code) not in {("stop", 0), ("monitor", 7), ("probe", 7)}:
                continue
            nic = any(h.node == node.name and h.begin < at - SLACK_SECONDS and h.end > at + SLACK_SECONDS for h in held)
            cloud = any(
                begin < at - SLACK_SECONDS and end > at + SLACK_SECONDS and name == node.name
                for begin, end, name in routed
            )
            # Not running is what a monitor says when one of both is missing; stopped means that both are gone.
            if (nic or cloud) if what == "stop" else (nic and cloud):
                places = " and ".join(place for place, there in (("NIC", nic), ("cloud", cloud)) if there)
                found.append(f"{what} on {node.name} said {code} at {at:.3f}, and the address was on its {places}")
    return found
