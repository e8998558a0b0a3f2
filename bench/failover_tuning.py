"""``failover.py --tuning``: the settings that matter, one changed at a time, on our agents and the simulated cloud."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudha.lab.problems import LabError
from cloudha.lab.state import LabState
from failover_clusters import CONTESTANTS, Settings, apply, totem
from failover_run import cut_power, lose_service, move_back, settle
from failover_story import split

if TYPE_CHECKING:
    from failover import Bench

__all__ = ["BASE_NAME", "CASES", "Case", "measure_tuning"]

# One change from these at a time; no head start, so that its price is seen where it is varied.
BASE = Settings(priority_fencing_delay=0)
BASE_NAME = "base"
TUNED = dataclasses.replace(CONTESTANTS[0], provider="bench-steady")


@dataclass(frozen=True)
class Case:
    """One setting. ``how``: what is done, a power cut unless it says ``service`` or ``return``."""

    name: str
    text: str
    settings: Settings
    how: str = "power"

    @property
    def own_lab(self) -> bool:
        """Whether it needs a cluster that is set up anew."""
        return self.how != "power" or self.settings.nodes != BASE.nodes


def _fence(*parameters: str) -> Settings:
    return dataclasses.replace(BASE, fence=parameters)


def _monitor(seconds: int) -> Settings:
    return dataclasses.replace(BASE, monitor=seconds, deeper_monitor=False)


CASES = (
    Case(BASE_NAME, "corosync token 1000 ms, no delay of any kind", BASE),
    Case("token-3000", "corosync token 3000 ms", dataclasses.replace(BASE, token_ms=3000)),
    Case("token-5000", "corosync token 5000 ms", dataclasses.replace(BASE, token_ms=5000)),
    Case("token-10000", "corosync token 10000 ms", dataclasses.replace(BASE, token_ms=10000)),
    Case(
        "consensus",
        "corosync token 5000 ms, consensus 1000 ms",
        dataclasses.replace(BASE, token_ms=5000, consensus_ms=1000),
    ),
    Case("three-nodes", "three nodes, corosync token 1000 ms", dataclasses.replace(BASE, nodes=3)),
    Case("head-start-2", "priority-fencing-delay 2 s", dataclasses.replace(BASE, priority_fencing_delay=2)),
    Case("head-start-5", "priority-fencing-delay 5 s", dataclasses.replace(BASE, priority_fencing_delay=5)),
    Case("delay-2", "pcmk_delay_base 2 s", _fence("pcmk_delay_base=2s")),
    Case("delay-5", "pcmk_delay_base 5 s", _fence("pcmk_delay_base=5s")),
    Case("poll-0.3", "stonith_status_sleep 0.3 s", _fence("stonith_status_sleep=0.3")),
    Case("poll-5", "stonith_status_sleep 5 s", _fence("stonith_status_sleep=5")),
    Case("wait-2", "power_wait 2 s", _fence("power_wait=2")),
    Case("wait-5", "power_wait 5 s", _fence("power_wait=5")),
    Case(
        "timeouts",
        "stonith-timeout 300 s, pcmk_reboot_timeout and pcmk_off_timeout 240 s, power_timeout 230 s",
        dataclasses.replace(
            BASE,
            cluster=("stonith-timeout=300s",),
            fence=("pcmk_reboot_timeout=240s", "pcmk_off_timeout=240s", "power_timeout=230"),
        ),
    ),
    Case(
        "recheck", "cluster-recheck-interval 60 s", dataclasses.replace(BASE, cluster=("cluster-recheck-interval=60s",))
    ),
    Case("monitor-2", "a lost service, monitor every 2 s", _monitor(2), "service"),
    Case("monitor-10", "a lost service, monitor every 10 s", _monitor(10), "service"),
    Case("monitor-30", "a lost service, monitor every 30 s", _monitor(30), "service"),
    Case(
        "sticky",
        "the second interruption, when the preferred node is back: resource-stickiness 100",
        dataclasses.replace(BASE, preferred="node1"),
        "return",
    ),
    Case(
        "not-sticky",
        "the second interruption, when the preferred node is back: resource-stickiness 0",
        dataclasses.replace(BASE, preferred="node1", stickiness=0),
        "return",
    ),
)


def measure_tuning(bench: Bench, only: set[str], runs: int, *, resume: bool) -> None:
    """Measure each case *runs* times."""
    wanted = [case for case in CASES if not only or case.name in only]
    for case in wanted:
        bench.runs("tuning", case.name, fresh=not resume)
    shared = [case for case in wanted if not case.own_lab and len(bench.runs("tuning", case.name)) < runs]
    if shared and not bench.over:
        _guarded(bench, "tuning", lambda: _in_one_lab(bench, shared, runs))
    for case in wanted:
        if case.own_lab and len(bench.runs("tuning", case.name)) < runs and not bench.over:
            _guarded(bench, case.name, lambda case=case: _in_its_own(bench, case, runs))  # type: ignore[misc]


def _guarded(bench: Bench, what: str, act: Callable[[], None]) -> None:
    try:
        act()
    except LabError as error:
        bench.failed(what, error)


def _in_one_lab(bench: Bench, cases: Sequence[Case], runs: int) -> None:
    before = BASE
    with bench.lab(TUNED, BASE) as state:
        for case in cases:
            if bench.over:
                return
            before, old = case.settings, before
            try:
                settle(state)
                apply(state, old, case.settings)
            except LabError as error:
                bench.failed(case.name, error)
                continue
            _repeat(bench, case, runs, lambda _number: _power(state))


def _in_its_own(bench: Bench, case: Case, runs: int) -> None:
    with bench.lab(TUNED, case.settings) as state:
        if case.settings.nodes != BASE.nodes:
            bench.raw.setdefault("totem", {})[case.name] = totem(state, "node1")
        acts: dict[str, Callable[[int], dict[str, Any]]] = {
            "power": lambda _number: _power(state),
            # Spread over the interval: the monitor may have looked just before, or may be just about to look.
            "service": lambda number: _service(state, case.settings.monitor * number / runs),
            "return": lambda _number: _return(state, case.settings.preferred),
        }
        _repeat(bench, case, runs, acts[case.how])


def _repeat(bench: Bench, case: Case, runs: int, act: Callable[[int], dict[str, Any]]) -> None:
    kept = bench.runs("tuning", case.name)
    tries = 0
    while len(kept) < runs and tries < runs + 2 and not bench.over:
        tries += 1
        try:
            kept.append(act(len(kept)))
        except (LabError, ValueError) as error:
            bench.failed(case.name, error)
            continue
        bench.save()
        print(f"{case.name} {len(kept)}: {kept[-1]['total']:.2f} s", flush=True)


def _power(state: LabState) -> dict[str, Any]:
    settle(state)
    parted = split(cut_power(state))
    stages = {name: round(seconds, 3) for name, seconds in parted.stages.items()}
    return {"total": round(parted.total, 3), "own": round(parted.own, 3), "stages": stages}


def _service(state: LabState, wait: float) -> dict[str, Any]:
    settle(state)
    return {"total": round(lose_service(state, wait), 3)}


def _return(state: LabState, preferred: str) -> dict[str, Any]:
    settle(state, preferred)
    first = split(cut_power(state)).total
    return {"total": round(move_back(state, time.monotonic()), 3), "first": round(first, 3)}
