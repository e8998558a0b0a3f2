"""A timed failover: something happens to the holder of the address, and the client's view of it is told as a story."""

from __future__ import annotations

import contextlib
import math
import re
import time
from dataclasses import dataclass
from enum import Enum

from cloudha.lab import cluster, evidence, faults, verbs
from cloudha.lab.evidence import Outage
from cloudha.lab.fencings import fencings
from cloudha.lab.machines import BY_CLOUD
from cloudha.lab.network import Scope
from cloudha.lab.problems import LabError, NotReady
from cloudha.lab.programs import poll
from cloudha.lab.state import Event, LabState
from cloudha.types import IPAddress

__all__ = ["Cause", "Failover", "Moment", "failover"]

MOVE_SECONDS = 90.0
ANSWER_SECONDS = 10.0
# How long the new holder must have answered before the story is told.
SETTLED_SECONDS = 1.0


# Vendors whose API is all POST: operations that change nothing have such names.
READS = re.compile(r"(?i)(describe|get|list|head|query|.*\.(list|get)\Z)")


class Cause(Enum):
    """What happens to the holder."""

    #: its power is cut
    POWER = "power"
    #: it loses the whole network, the cloud's API included
    ISOLATION = "isolation"
    #: the nodes lose each other, and both still reach the cloud's API
    SPLIT = "split"
    #: an administrator puts it on standby: a move without fencing
    STANDBY = "standby"


@dataclass(frozen=True, slots=True)
class Moment:
    """Something happened ``seconds`` after the cause."""

    seconds: float
    text: str


@dataclass(frozen=True, slots=True)
class Failover:
    """How it went. ``outage``: seconds without an answer (0: none was missed); ``fenced``: who was fenced, in order."""

    cause: Cause
    victim: str
    holder: str
    outage: float
    fenced: tuple[str, ...]
    double_holders: tuple[str, ...]
    timeline: tuple[Moment, ...]


def failover(
    state: LabState, cause: Cause = Cause.POWER, address: IPAddress = verbs.ADDRESS, seconds: float = MOVE_SECONDS
) -> Failover:
    """Let *cause* happen to the node that holds *address*, wait until it answers again, and tell the story.

    The victim of a power cut is switched on again by the fencing itself (reboot). A partition is left in force: call
    :func:`cloudha.lab.verbs.heal`; a standby too: ``pcs node unstandby``.

    :raises NotReady: nobody answers for the address at first, or nobody does again within *seconds*.
    """
    # A node that is still joining may start the address without fencing the holder, when that one then falls silent:
    # Pacemaker 2.1.5 takes a peer that it has not heard of since its own boot for one that was shut down.
    cluster.wait_online(state, seconds)
    victim = _answering(state, address)
    begin = time.monotonic()
    if cause is Cause.POWER:
        verbs.cut(state, victim)
    elif cause is Cause.STANDBY:
        verbs.standby(state, victim)
    else:
        verbs.partition(state, victim, Scope.NODES if cause is Cause.SPLIT else Scope.EVERYTHING)
    # After a split the holder may well stay where it is: then the other node's end is the end of the story.
    if not poll(lambda: _over(state, cause, victim, address, begin), seconds, every=0.1):
        raise NotReady(f"{address} does not answer again {seconds:g} s after the {cause.value} of {victim}")
    return tell(state, cause, victim, address, begin)


def _answering(state: LabState, address: IPAddress) -> str:
    recent: list[evidence.Answer] = []

    def answered() -> bool:
        recent[:] = evidence.answers(state, time.monotonic() - 2.0, address)
        return bool(recent)

    # Just after it was set up, on a busy machine, the client's first question may still be on its way.
    if not poll(answered, ANSWER_SECONDS, every=0.1):
        raise NotReady(f"nobody answers for {address}; is the cluster set up? see: cloudha lab status")
    return recent[-1].node


def _over(state: LabState, cause: Cause, victim: str, address: IPAddress, begin: float) -> bool:
    found = evidence.answers(state, begin, address)
    if not found or time.monotonic() - found[-1].at > SETTLED_SECONDS:
        return False
    if cause is Cause.SPLIT:
        shot = fencings(state, begin)
        return bool(shot) and found[-1].at > shot[-1].at + SETTLED_SECONDS
    first_new = next((answer.at for answer in found if answer.node != victim), math.inf)
    return found[-1].node != victim and found[-1].at > first_new + SETTLED_SECONDS


def tell(state: LabState, cause: Cause, victim: str, address: IPAddress, begin: float) -> Failover:
    """Put together what everybody wrote down since *begin*."""
    now = time.monotonic()
    came = evidence.answers(state, begin - 1.0, address)
    gaps = evidence.outages(state, address, begin - 1.0, now)
    worst: Outage | None = max(gaps, key=lambda gap: gap.seconds, default=None)
    moments = [Moment(event.at - begin, _sentence(event)) for event in state.events(begin)]
    moments += _asked(state, begin)
    shot = fencings(state, begin)
    moments += [Moment(f.at - begin, f"Pacemaker: {f.target} is fenced ({f.action}) by {f.by}") for f in shot]
    for held in evidence.holdings(state, begin):
        if held.address == address:
            if held.begin >= begin:
                moments.append(Moment(held.begin - begin, f"{held.node} has {address} on its NIC"))
            if held.end <= now:
                moments.append(Moment(held.end - begin, f"{held.node} has it no longer"))
    if worst is not None and worst.end < math.inf:
        before = [a.node for a in came if a.at <= worst.begin]
        after = [a.node for a in came if a.at >= worst.end]
        moments.append(Moment(worst.begin - begin, f"client: last answer from {before[-1] if before else 'nobody'}"))
        moments.append(Moment(worst.end - begin, f"client: first answer from {after[0] if after else 'nobody'}"))
    return Failover(
        cause=cause,
        victim=victim,
        holder=came[-1].node if came else "",
        outage=worst.seconds if worst else 0.0,
        fenced=tuple(fencing.target for fencing in shot),
        double_holders=tuple(evidence.double_holders(state, begin - 1.0)),
        timeline=tuple(sorted(moments, key=lambda moment: moment.seconds)),
    )


def _asked(state: LabState, begin: float) -> list[Moment]:
    """Return the changes that were asked of the control plane, by its own log."""
    names = {str(node.address): node.name for node in state.plan.nodes}
    moments = []
    with contextlib.suppress(LabError):  # a cloud whose API is away right now tells nothing
        for entry in faults.requests(state):
            at, operation = float(str(entry["time"])), str(entry["operation"])
            if at >= begin and entry["method"] != "GET" and not READS.match(operation):
                caller = names.get(str(entry["client"]), str(entry["client"]))
                moments.append(Moment(at - begin, f"{caller} asks the cloud: {operation}, {entry['status']}"))
    return moments


def _sentence(event: Event) -> str:
    by_cloud = event.detail == BY_CLOUD
    node, by = event.node, " by the cloud" if by_cloud else ""
    what = "the other nodes" if event.detail == Scope.NODES.value else "the whole network"
    sentences = {
        "power cut": f"power of {node} is cut{by}",
        "power cut, was off": f"power of {node} is cut{by}; it was off already",
        "power on": f"{node} gets power" + (" from the cloud" if by_cloud else ""),
        "stopped": f"the last process of {node} is gone",
        "probe answered": f"load balancer: {node} answers its probe",
        "probe not answered": f"load balancer: {node} does not answer its probe any more",
        "partition": f"{node} loses {what}",
        "standby": f"{node} goes on standby",
        "route": f"the cloud routes {event.detail} to {node or 'nobody'}",
    }
    return sentences.get(event.what) or " ".join(part for part in (event.what, node, event.detail) if part)
