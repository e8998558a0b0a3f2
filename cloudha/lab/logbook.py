"""What Corosync, Pacemaker and the agents wrote down in the nodes, picked and put into sentences.

Only what is named here is taken over, and of each line only the parts that are: a log may hold anything.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from cloudha.lab.reading import NODE_LOGS
from cloudha.lab.recording import Item, Lane, Tone
from cloudha.lab.state import LabState

__all__ = ["logged"]

# Far more than a node writes while a failover lasts.
TAIL_BYTES = 4 << 20
DAY_SECONDS = 86_400
# All nodes hear of the end of a fencing within this time; a second one of the same node takes longer.
SAME_SECONDS = 1.0
STAMP = re.compile(r"(?P<day>\w{3} [ \d]\d [\d:]{8})\.(?P<milli>\d{3}) ")
AUDIT = re.compile(r"(?P<clock>\d\d:\d\d:\d\d)\.(?P<milli>\d{3}) <\d+>cloudha\[\d+\]: (?P<line>\{.*\})")

Sentence = Callable[[re.Match[str], tuple[str, ...]], str]


def _members(match: re.Match[str], nodes: tuple[str, ...]) -> str:
    """Corosync knows the nodes by their numbers."""
    text = "a new membership"
    for word, numbers in (("with", match[1]), ("without", match[2])):
        names = [nodes[int(n) - 1] for n in (numbers or "").split() if 0 < int(n) <= len(nodes)]
        text += f" {word} {' and '.join(names)}" if names else ""
    return text


COROSYNC: tuple[tuple[re.Pattern[str], Sentence, bool], ...] = (
    (
        re.compile(r"link: host: (\d+) link: \d+ is (down|up)"),
        lambda m, nodes: f"the link to {nodes[int(m[1]) - 1] if int(m[1]) <= len(nodes) else m[1]} is {m[2]}",
        False,
    ),
    (
        re.compile(r"token timed out \((\d+)ms\), waiting (\d+)ms for consensus"),
        lambda m, _: f"no token for {m[1]} ms; waits {m[2]} ms for the others to agree",
        True,
    ),
    (
        re.compile(r"A new membership \(\S+\) was formed\.(?: Members)?(?: joined: ([\d ]+))?(?: left: ([\d ]+))?"),
        _members,
        True,
    ),
    (re.compile(r"This node is within the non-primary"), lambda _m, _n: "has no quorum", False),
)
PACEMAKER: tuple[tuple[re.Pattern[str], Sentence, bool], ...] = (
    (
        re.compile(r"pacemaker-controld .*Node (\S+) state is now (lost|member)"),
        lambda m, _: f"{m[1]} is {'lost' if m[2] == 'lost' else 'a member'}",
        False,
    ),
    (
        re.compile(r"Cluster node (\S+) will be fenced: (peer is no longer part of the cluster|\w[\w' ]*)"),
        lambda m, _: f"decides to fence {m[1]}: {m[2]}",
        False,
    ),
    (
        re.compile(r"pacemaker-controld .*Requesting fencing \((\w+)\) (?:of node|targeting(?: node)?) (\S+)"),
        lambda m, _: f"asks for the fencing ({m[1]}) of {m[2]}",
        True,
    ),
    (
        re.compile(r"Delaying '(\w+)' action targeting (\S+) using (\S+) for (\w+)"),
        lambda m, _: f"delays it by {m[4]}, so that two nodes do not fence each other",
        False,
    ),
    (
        re.compile(r"\(finalize_op\).*Operation '(\w+)' targeting (\S+) by (\S+) for \S+: (\w+)"),
        lambda m, _: f"{m[2]} is fenced ({m[1]}) by {m[3]}" if m[4] == "OK" else f"the fencing of {m[2]} failed",
        True,
    ),
    (
        re.compile(r"State transition S_TRANSITION_ENGINE -> S_IDLE"),
        lambda _m, _n: "nothing is left to do",
        False,
    ),
)
ASKED = re.compile(r"Requesting local execution of (\w+) operation for (\S+) on (\S+)")
DELAYED = re.compile(r"Delaying '(\w+)' action targeting (\S+) using \S+ for (\d+)s")
RETURNED = re.compile(r"Operation '(\w+)' \[\d+\] targeting (\S+) using \S+ returned (\d+)")
ENDED = re.compile(r"Result of (\w+) operation for (\S+) on (\S+): ([\w ]+)")


def logged(state: LabState, zero: float, begin: float) -> list[Item]:
    """Return what the nodes logged after *begin*; both are monotonic seconds, and items count from *zero*."""
    offset = time.time() - time.monotonic()
    found: list[Item] = []
    for node in state.nodes:
        names = tuple(planned.name for planned in state.plan.nodes)
        for log, lane, known in (("corosync", Lane.COROSYNC, COROSYNC), ("pacemaker", Lane.PACEMAKER, PACEMAKER)):
            stamped = [
                (wall - offset, line) for wall, line in _stamped(node.disk / NODE_LOGS[log]) if wall - offset >= begin
            ]
            found += _sentences(stamped, lane, known, node.name, names, zero)
            if lane is Lane.PACEMAKER:
                found += _operations(stamped, node.name, zero)
        found += _audited(node.disk / NODE_LOGS["messages"], node.name, zero, begin, offset)
    return _once(sorted(found, key=lambda item: item.begin))


def _lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - TAIL_BYTES))
        return file.read().decode("utf-8", "replace").splitlines()


def _stamped(path: Path) -> Iterator[tuple[float, str]]:
    """Return wall clock and text of the lines that begin with a time, as both daemons write it, without the year."""
    now = time.time()
    year = time.localtime(now).tm_year
    for line in _lines(path):
        if match := STAMP.match(line):
            try:
                # What would be in the future was written before New Year.
                at = next(at for y in (year, year - 1) if (at := _wall(y, match["day"])) < now + DAY_SECONDS)
            except (ValueError, StopIteration):
                continue
            yield at + int(match["milli"]) / 1000, line


def _wall(year: int, day: str) -> float:
    return time.mktime(time.strptime(f"{year} {day}", "%Y %b %d %H:%M:%S"))


def _sentences(
    lines: Iterable[tuple[float, str]],
    lane: Lane,
    known: tuple[tuple[re.Pattern[str], Sentence, bool], ...],
    node: str,
    nodes: tuple[str, ...],
    zero: float,
) -> Iterator[Item]:
    for at, line in lines:
        for pattern, sentence, key in known:
            if match := pattern.search(line):
                text = sentence(match, nodes)
                # Who joins is no part of the story until the address answers; who is lost begins it.
                told = key and not (lane is Lane.COROSYNC and "membership" in text and "without" not in text)
                yield Item(lane, at - zero, text, node, key=told, tone=Tone.BAD if "failed" in text else Tone.PLAIN)
                break


def _operations(lines: Iterable[tuple[float, str]], node: str, zero: float) -> Iterator[Item]:
    """Pair what Pacemaker asked the agents for with how that ended."""
    asked: dict[tuple[str, str], float] = {}
    for at, line in lines:
        if match := ASKED.search(line):
            asked[match[1], match[2]] = at
        elif match := DELAYED.search(line):
            asked[match[1], match[2]] = at + int(match[3])
        elif (match := RETURNED.search(line)) and (match[1], match[2]) in asked:
            text = f"fence_cloud: {match[1]} of {match[2]}, exit code {match[3]}"
            tone = Tone.BAD if match[3] != "0" else Tone.PLAIN
            yield Item(Lane.AGENT, asked.pop((match[1], match[2])) - zero, text, node, at - zero, tone)
        elif (match := ENDED.search(line)) and (match[1], match[2]) in asked:
            text = f"{match[1]} of {match[2]}: {match[4].strip()}"
            good = match[4].strip() in ("ok", "not running")
            tone = Tone.PLAIN if good else Tone.BAD
            yield Item(Lane.AGENT, asked.pop((match[1], match[2])) - zero, text, node, at - zero, tone)
    for (operation, resource), at in asked.items():
        yield Item(Lane.AGENT, at - zero, f"{operation} of {resource} began", node)


def _audited(path: Path, node: str, zero: float, begin: float, offset: float) -> Iterator[Item]:
    """Return the agents' own audit lines: one for each change, with how long it took."""
    now = time.time()
    today = time.strftime("%Y-%m-%d", time.localtime(now))
    for raw in _lines(path):
        match = AUDIT.match(raw)
        if match is None:
            continue
        try:
            line = json.loads(match["line"])
            wall = time.mktime(time.strptime(f"{today} {match['clock']}", "%Y-%m-%d %H:%M:%S"))
            seconds = float(line["seconds"])
            agent, action, what, outcome = (str(line[name]) for name in ("agent", "action", "what", "outcome"))
        except (ValueError, KeyError, TypeError):
            continue
        wall += int(match["milli"]) / 1000
        # The line has no date: what would be in the future was yesterday.
        at = wall - (DAY_SECONDS if wall > now + 1 else 0) - offset
        if at < begin:
            continue
        evidence = f" ({line['after']})" if isinstance(line.get("after"), str) else ""
        text = f"{agent} {action}: {what} of {line.get('target', '?')}, {outcome}{evidence}"
        tone = Tone.CHANGE if outcome == "confirmed" else Tone.BAD
        yield Item(Lane.CHANGE, at - seconds - zero, text, node, at - zero, tone)


def _once(items: list[Item]) -> list[Item]:
    """Leave out what a second node says of the same fencing: every node logs its end."""
    said: dict[str, float] = {}
    found = []
    for item in items:
        if " is fenced (" in item.text or item.text.startswith("the fencing of"):
            if item.begin - said.get(item.text, -math.inf) < SAME_SECONDS:
                continue
            said[item.text] = item.begin
        found.append(item)
    return found
