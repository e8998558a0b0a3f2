"""Who fenced whom, as Pacemaker logged it.

Not from ``stonith_admin --history``: Pacemaker 2.1.5 loses entries there when the node that it is about comes back.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from cloudha.lab.reading import NODE_LOGS
from cloudha.lab.state import LabState

__all__ = ["Fencing", "fencings"]

# "Nov 20 23:59:22.592 node1 pacemaker-fenced [28] (finalize_op) notice: Operation 'reboot' targeting node2 by node1 for
# pacemaker-controld.32@node1: OK (complete) | id=b520e27a"
DONE = re.compile(
    r"(?P<day>\w{3} \d{2} [\d:]{8})\.(?P<milli>\d{3}) .*"
    r"Operation '(?P<action>\w+)' targeting (?P<target>\S+) by (?P<by>\S+) for \S+: OK.* id=(?P<id>\w+)"
)


@dataclass(frozen=True, slots=True)
class Fencing:
    """A fencing that ended well: ``action`` (reboot, off) on ``target`` by ``by``, ``at`` monotonic seconds."""

    at: float
    target: str
    action: str
    by: str


def fencings(state: LabState, since: float = 0.0) -> list[Fencing]:
    """Return the successful fencings that ended after *since*, each once, in order."""
    now = time.time()
    year = time.localtime(now).tm_year
    clock_offset = now - time.monotonic()
    found: dict[str, Fencing] = {}
    for node in state.nodes:
        file = node.disk / NODE_LOGS["pacemaker"]
        text = file.read_text(errors="replace") if file.exists() else ""
        for match in DONE.finditer(text):
            wall = time.mktime(time.strptime(f"{year} {match['day']}", "%Y %b %d %H:%M:%S"))
            fencing = Fencing(
                wall + int(match["milli"]) / 1000 - clock_offset, match["target"], match["action"], match["by"]
            )
            # Every node logs it; whoever did so first was nearest.
            if match["id"] not in found or fencing.at < found[match["id"]].at:
                found[match["id"]] = fencing
    return sorted((f for f in found.values() if f.at >= since), key=lambda fencing: fencing.at)
