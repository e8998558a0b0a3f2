"""Letting a holder's power be cut in a lab, and reading what everybody wrote down."""

from __future__ import annotations

import dataclasses
import math
import time

from cloudha.lab import cluster, evidence, verbs
from cloudha.lab.machines import BY_CLOUD
from cloudha.lab.nodes import run_in
from cloudha.lab.problems import LabError, NotReady
from cloudha.lab.programs import poll
from cloudha.lab.reading import NODE_LOGS
from cloudha.lab.state import LabState, read_lines
from failover_clouds import ANSWERS
from failover_clusters import VIP
from failover_processes import FenceProcesses
from failover_story import ACCEPTED, STOP, Request, Story, interesting

__all__ = ["cut_power", "lose_service", "move_back", "settle"]

# Beyond the slowest setting that is measured, with room for a loaded machine.
FAILOVER_SECONDS = 120.0
ONLINE_SECONDS = 90.0
SETTLED_SECONDS = 1.0
# A pause of the client itself is no outage.
SHORTEST_GAP = 0.4


def settle(state: LabState, holder: str = "") -> None:
    """Bring the cluster back to its first picture: all online, nothing failed, the address answering (on *holder*).

    :raises LabError: it does not come about.
    """
    names = [node.name for node in state.plan.nodes]
    for name in names:
        verbs.on(state, name)
    cluster.wait_online(state, ONLINE_SECONDS, names)
    cluster.wait_idle(state, ONLINE_SECONDS)
    seen = cluster.any_view(state)
    if seen and seen.failed:
        for kind in ("resource", "stonith"):
            run_in(state, names[0], "pcs", kind, "cleanup", seconds=60)
        cluster.wait_idle(state, ONLINE_SECONDS)
    if holder and cluster.holder(state, VIP) != holder:
        run_in(state, names[0], "pcs", "resource", "move", VIP, holder, seconds=90)
        cluster.wait_idle(state, ONLINE_SECONDS)
    if not poll(lambda: answering(state) is not None, 30.0):
        raise NotReady("the address does not answer, though the cluster has nothing left to do")


def answering(state: LabState) -> str | None:
    """Return who answered the client within the last half second."""
    found = evidence.answers(state, time.monotonic() - 0.5, verbs.ADDRESS)
    return found[-1].node if found else None


def cut_power(state: LabState) -> Story:
    """Cut the power of the node that answers, wait until another one answers for it, and return the story.

    :raises NotReady: none does.
    :raises LabError: two nodes had the address at once, or the wrong one was fenced.
    """
    victim = answering(state)
    seen = cluster.any_view(state)
    if victim is None or seen is None:
        raise NotReady("nobody answers for the address")
    begin = time.monotonic()
    verbs.cut(state, victim)
    processes = FenceProcesses()

    def over() -> bool:
        processes.look()
        return _taken_over(state, victim, begin)

    if not poll(over, FAILOVER_SECONDS, every=0.1):
        raise NotReady(f"nobody took over from {victim} within {FAILOVER_SECONDS:g} s")
    both = evidence.double_holders(state, begin - 1.0)
    if both:
        raise LabError(f"two holders: {'; '.join(both)}")
    story = _told(state, victim, begin, controller=seen.dc == victim)
    stop = [request.begin for request in story.requests if request.operation in STOP and request.status in ACCEPTED]
    agent = processes.at_work(begin + stop[0]) if stop else None
    if agent is None:
        raise LabError("no fence agent was seen at work when the stop was asked for")
    return dataclasses.replace(story, agent=agent - begin)


def _taken_over(state: LabState, victim: str, begin: float) -> bool:
    found = [answer for answer in evidence.answers(state, begin, verbs.ADDRESS) if answer.node != victim]
    return bool(found) and found[-1].at > found[0].at + SETTLED_SECONDS


def _told(state: LabState, victim: str, begin: float, *, controller: bool) -> Story:
    first = next(a for a in evidence.answers(state, begin, verbs.ADDRESS) if a.node != victim)
    held = [h.begin for h in evidence.holdings(state, begin) if h.node == first.node and h.begin >= begin]
    stopped = [e.at for e in state.events(begin) if e.node == victim and "cut" in e.what and e.detail == BY_CLOUD]
    survivors = {str(node.address) for node in state.plan.nodes if node.name != victim}
    lines = [line for node in state.plan.nodes if node.name != victim for line in _log(state, node.name, begin)]
    requests = [
        Request(
            begin=float(str(line["at"])) - begin,
            end=float(str(line["end"])) - begin,
            operation=str(line["operation"]),
            status=int(str(line["status"])),
        )
        for line in read_lines(state.directory / ANSWERS, begin)
        if line["client"] in survivors
    ]
    return Story(
        victim=victim,
        lines=tuple(sorted(lines)),
        requests=tuple(requests),
        stopped=min(stopped, default=math.inf) - begin,
        held=min(held, default=math.inf) - begin,
        answered=first.at - begin,
        controller=controller,
    )


def _log(state: LabState, node: str, begin: float) -> list[tuple[float, str]]:
    """Return what matters of a node's Pacemaker log since *begin*, with seconds since then."""
    now = time.time()
    year = time.localtime(now).tm_year
    zero = now - time.monotonic() + begin
    found = []
    file = state.node(node).disk / NODE_LOGS["pacemaker"]
    for line in file.read_text(errors="replace").splitlines():
        if interesting(line):
            # "Nov 20 23:59:22.592 node1 pacemaker-fenced    [28] (finalize_op) notice: ..."
            moment, _, milli = line[:19].partition(".")
            at = time.mktime(time.strptime(f"{year} {moment}", "%Y %b %d %H:%M:%S")) + int(milli) / 1000 - zero
            if at >= 0:
                found.append((round(at, 3), line[20:].partition(" ")[2]))
    return found


def lose_service(state: LabState, wait: float) -> float:
    """After *wait* seconds take the address off the holder's NIC; return for how many seconds nobody answered.

    :raises NotReady: it does not come back.
    """
    holder = answering(state)
    if holder is None:
        raise NotReady("nobody answers for the address")
    time.sleep(wait)
    begin = time.monotonic()
    run_in(state, holder, "ip", "address", "delete", f"{verbs.ADDRESS}/32", "dev", "eth0")
    if not poll(lambda: _gap_over(state, begin), FAILOVER_SECONDS, every=0.1):
        raise NotReady("the address does not come back")
    return max(gap.seconds for gap in evidence.outages(state, verbs.ADDRESS, begin - 0.2, time.monotonic(), 0.1))


def _gap_over(state: LabState, begin: float) -> bool:
    gaps = evidence.outages(state, verbs.ADDRESS, begin - 0.2, time.monotonic(), SHORTEST_GAP)
    return any(math.isfinite(gap.end) and time.monotonic() - gap.end > SETTLED_SECONDS for gap in gaps)


def move_back(state: LabState, since: float) -> float:
    """Return for how long nobody answered since *since*, while the fenced node came back and settled."""
    settle(state)
    time.sleep(SETTLED_SECONDS)
    now = time.monotonic()
    return max((gap.seconds for gap in evidence.outages(state, verbs.ADDRESS, since, now, 0.15)), default=0.0)
