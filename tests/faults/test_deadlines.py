"""With everything hanging, each action ends before the cluster would kill it, and claims nothing.

CLOUDHA_FAULTS_TIMEOUTS (``60,120,300,600``) adds longer timeouts; all actions of all providers wait side by side.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from campaign.cells import Cell
from campaign.clouds import names
from campaign.player import FENCE_MARGIN_SECONDS, Player, execute
from cloudha.deadline import operation_deadline
from cloudha.testing.conformance import Scope
from cloudha.testing.emulator import Effect, Fault

FENCE = ("off", "on", "reboot", "status", "monitor", "list", "list-status", "validate-all")
ADDRESS = ("start", "stop", "monitor", "monitor-deep", "probe", "validate-all")
# validate-all runs while somebody types: a cloud that is away is a remark there. It asks nobody about addresses.
PATIENT = {"validate-all": 0}
# A neighbour that does not exist: nobody answers there, and nobody says so for some seconds.
NOWHERE = "https://10.9.9.77:4433"
SHORT, LONGER = 5.0, "20"
# Processes that start at the same moment would only measure this machine.
AT_ONCE = 6
APART_SECONDS = 0.4
# For starting the interpreter, before the agent's own clock runs, on a machine under load.
START_SECONDS = 2.0


@dataclass(frozen=True)
class _Way:
    name: str
    effect: Effect | None
    more: Mapping[str, str]


WAYS = (
    _Way("accepted", Effect.HANG, {}),
    _Way("byte by byte", Effect.DRIP, {}),
    _Way("unreachable", None, dict.fromkeys(("endpoint", "identity_endpoint", "metadata_endpoint"), NOWHERE)),
)


@dataclass(frozen=True)
class _Job:
    player: Player
    cell: Cell
    way: _Way
    timeout: float


def _jobs(player: Player, way: _Way, timeout: float) -> list[_Job]:
    provider = player.stage.provider
    player.cloud.reset()
    player.power_seconds = player.operation_seconds = timeout
    if way.effect is not None:
        for server in player.cloud.servers:
            server.faults.add(Fault(player.operations[Scope.EVERYTHING], way.effect, delay=0.5))
    cells = [Cell(provider, "ours", "", action, "on", "", "") for action in FENCE if player.stage.fencing]
    cells += [Cell(provider, "ours", player.stage.kinds[0].value, action, "free", "", "") for action in ADDRESS]
    return [_Job(player, cell, way, timeout) for cell in cells]


def _late(jobs: Sequence[_Job], at_once: int, apart: float) -> dict[str, str]:
    """Run the jobs, and return what is wrong, by job."""

    def run(place: int, job: _Job) -> str:
        time.sleep(place * apart)
        seen = execute(job.player.command(job.cell, **job.way.more), job.player.place.prefix)
        wrong = "" if seen.code == PATIENT.get(job.cell.action, 1) else f"it ended with {seen.code}: {seen.err}"
        if seen.seconds > _bound(job) or seen.late:
            wrong += f"after {seen.seconds:.1f} s, not {_bound(job):.1f}"
        lines = seen.err.splitlines()
        return wrong or ("" if len(lines) <= 1 and "Traceback" not in seen.err else f"said {lines}")

    with ThreadPoolExecutor(at_once) as pool:
        found = list(pool.map(run, range(len(jobs)), jobs))
    return {
        f"{job.cell.key} {job.way.name} {job.timeout:g} s": wrong
        for job, wrong in zip(jobs, found, strict=True)
        if wrong
    }


def _bound(job: _Job) -> float:
    if job.cell.kind:
        # Less the margin, but for what is spent before the agent can look at a clock; never the timeout itself.
        return min(operation_deadline(job.timeout).remaining + START_SECONDS, job.timeout)
    # Pacemaker's timeout is to be 10 s above power_timeout.
    return job.timeout + FENCE_MARGIN_SECONDS - START_SECONDS


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_short_timeout(player: Player, way: _Way) -> None:
    assert _late(_jobs(player, way, SHORT), AT_ONCE, 0) == {}
    player.cloud.reset()


@pytest.mark.parametrize("timeout", os.environ.get("CLOUDHA_FAULTS_TIMEOUTS", LONGER).split(","))
def test_every_timeout(players: Callable[[str], Player], timeout: str) -> None:
    jobs: list[_Job] = []
    for provider in names():
        jobs += _jobs(players(provider), WAYS[0], float(timeout))
    wrong = _late(jobs, len(jobs), APART_SECONDS)
    for provider in names():
        players(provider)
    assert wrong == {}
