"""One round: troubles, healing, judgement."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from chaos_cloud import cloud_witness
from chaos_judge import false_fencings, false_results, moves, outages
from chaos_lab import ChaosLab
from chaos_plan import Trouble
from chaos_troubles import make_all
from chaos_writer import Entry
from cloudha.lab import evidence, verbs
from cloudha.lab.failover import Cause, tell
from cloudha.lab.fencings import fencings
from cloudha.lab.problems import LabError

__all__ = ["Result", "play"]


@dataclass
class Result:
    """What became of a round. Times in seconds.

    ``failovers``: from, to, outage of each; ``outages``: all that were noticed, finished ones; ``error``: what did not
    heal; ``timeline``: only with violations or an error.
    """

    round: int
    provider: str
    nodes: int
    troubles: list[str]
    kinds: list[str]
    said: list[str] = field(default_factory=list)
    helped: list[str] = field(default_factory=list)
    failovers: list[tuple[str, str, float]] = field(default_factory=list)
    outages: list[float] = field(default_factory=list)
    fenced: list[str] = field(default_factory=list)
    lines: int = 0
    looks: int = 0
    seconds: float = 0.0
    healed: float = 0.0
    violations: list[str] = field(default_factory=list)
    error: str = ""
    timeline: list[str] = field(default_factory=list)

    @property
    def bad(self) -> bool:
        """Whether something is to be looked into."""
        return bool(self.violations or self.error)

    def to_json(self) -> dict[str, object]:
        """Return it as a JSON object."""
        return asdict(self)


def play(lab: ChaosLab, number: int, plan: Sequence[Trouble]) -> Result:
    """Play a round in a lab that is whole."""
    state = lab.state
    result = Result(
        number, lab.setting.provider, lab.setting.nodes, [str(t) for t in plan], [t.kind.value for t in plan]
    )
    try:
        holder = lab.holder()
    except LabError as error:
        result.error = str(error)
        return result
    result.violations += [f"shared log: {wrong}" for wrong in lab.log.more()]
    already = len(lab.log.entries)
    begin = time.monotonic()
    state.note("round", "", str(number))
    with cloud_witness(state) as cloud:
        result.said = make_all(state, plan, holder)
        try:
            seconds, result.helped = lab.heal()
            result.healed = round(seconds, 1)
        except LabError as error:
            result.error = str(error)
    result.looks = cloud.looks
    # From where the last round was judged: nothing between two rounds goes unseen.
    since, lab.judged = lab.judged, time.monotonic()
    result.failovers = [(move.old, move.new, round(move.seconds, 2)) for move in moves(state, since)]
    result.outages = [round(seconds, 2) for seconds in outages(state, begin) if math.isfinite(seconds)]
    result.fenced = [fencing.target for fencing in fencings(state, since)]
    result.violations += [f"shared log: {wrong}" for wrong in lab.log.more()]
    result.violations += [f"two holders: {wrong}" for wrong in evidence.double_holders(state, since)]
    result.violations += [f"two holders in the cloud: {wrong}" for wrong in cloud.wrong]
    result.violations += [f"wrong off: {wrong}" for wrong in false_fencings(state, since)]
    result.violations += [f"wrong result: {wrong}" for wrong in false_results(state, since)]
    new = lab.log.entries[already:]
    result.lines = len(new)
    result.seconds = round(time.monotonic() - begin, 1)
    if result.bad:
        result.timeline = _timeline(lab, holder, begin, new)
    return result


def _timeline(lab: ChaosLab, holder: str, begin: float, entries: Sequence[Entry]) -> list[str]:
    """Return what everybody wrote down, in the order of time."""
    story = tell(lab.state, Cause.POWER, holder, verbs.ADDRESS, begin)
    moments = [(moment.seconds, moment.text) for moment in story.timeline]
    before: Entry | None = None
    for entry in entries:
        if before is None or (entry.node, entry.start) != (before.node, before.start):
            if before is not None:
                moments.append((before.at - begin, f"writer: last line of {before}"))
            moments.append((entry.at - begin, f"writer: first line of {entry}"))
        before = entry
    return [f"{seconds:+9.3f} s  {text}" for seconds, text in sorted(moments)]
