"""The simulation held against reality: real agents, a real clock, and buckets scaled down to what this machine carries.

Only monitors are compared, since they are what a healthy cluster sends: the share that refusals make fail.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from measure import Command
from scale_clock import Steps, within
from scale_limits import Buckets
from scale_measure import OURS, THEIRS, execute, metered, patient
from scale_model import Agent
from scale_simulation import FENCE_INTERVAL, FENCE_MONITOR_TIMEOUT, MONITOR_INTERVAL, Rules
from scale_stage import MeteredStage

__all__ = ["RUNS", "SHARE", "Trial", "check", "monitors_only"]

# Fifty times smaller buckets: four clusters here stand for two hundred.
SHARE = 1 / 50
SECONDS = 180.0
RUNS = ((THEIRS, 3), (THEIRS, 4), (THEIRS, 6), (OURS, 3), (OURS, 6))
# Agents that wait for their next try need no processor, but these are all that may be alive at once.
MOST_AGENTS = 3
ADDRESS, DEVICE = "address", "device"


@dataclass
class Trial:
    """How many monitors there were and how many failed, of the address and of the fence device."""

    address: int = 0
    address_failed: int = 0
    device: int = 0
    device_failed: int = 0
    asked: int = 0
    refused: int = 0

    def note(self, what: str, *, failed: bool) -> None:
        """Count one monitor."""
        setattr(self, what, getattr(self, what) + 1)
        setattr(self, f"{what}_failed", getattr(self, f"{what}_failed") + failed)


def check(command_line: str, simulated: Callable[[str], Rules]) -> list[dict[str, Any]]:
    """Run the agents for real, and the simulation of the same; return both counts for each of ``RUNS``.

    :param simulated: the rules for ours or theirs; their buckets are scaled down here.
    """
    found = []
    for who, clusters in RUNS:
        rules = simulated(who)
        with metered() as stage:
            trial = _real(stage, who, clusters, command_line, Buckets(ids_are_filters=False, share=SHARE))
        guesses = [monitors_only(rules, clusters, SECONDS, seed, SHARE) for seed in range(200)]
        found.append(
            {
                "who": who,
                "clusters": clusters,
                "seconds": SECONDS,
                "share": SHARE,
                "real": asdict(trial),
                "simulated": [asdict(guess) for guess in guesses],
            }
        )
        print(f"{who}, {clusters} clusters: {asdict(trial)}", flush=True)
    return found


def monitors_only(rules: Rules, clusters: int, seconds: float, seed: int, share: float = 1.0) -> Trial:
    """Simulate the monitors of that many clusters, without what Pacemaker makes of a failed one."""
    clock, account = Rules(rules.make, rules.ids_are_filters, share=share).world(seed)
    trial = Trial()

    def loop(what: str, action: Callable[[], Steps[int]], interval: float, timeout: float) -> Steps[None]:
        while True:
            code = yield from within(clock, action(), timeout)
            trial.note(what, failed=code not in (0, 190))
            yield interval

    for _ in range(clusters):
        agent: Agent = rules.make(account)
        clock.add(
            loop(ADDRESS, agent.monitor, MONITOR_INTERVAL, agent.monitor_timeout),
            clock.random.random() * MONITOR_INTERVAL,
        )
        clock.add(
            loop(DEVICE, agent.fence_monitor, FENCE_INTERVAL, FENCE_MONITOR_TIMEOUT),
            clock.random.random() * FENCE_INTERVAL,
        )
    clock.run(seconds)
    trial.asked, trial.refused = account.asked, account.refused
    return trial


def _real(stage: MeteredStage, who: str, clusters: int, command_line: str, buckets: Buckets) -> Trial:
    stage.bound()
    stage.running()
    commands = _commands(stage, who, command_line)
    for command, _ in commands.values():
        execute(command)  # the first run reads everything from the disk
    trial = Trial()
    lock, places, over = threading.Lock(), threading.Semaphore(MOST_AGENTS), threading.Event()
    timeouts = {ADDRESS: 30.0, DEVICE: FENCE_MONITOR_TIMEOUT}

    def loop(what: str, command: Command, interval: float, phase: float) -> None:
        over.wait(phase)
        while not over.is_set():
            with places:
                if over.is_set():
                    return
                code = execute(command, timeouts[what])
            # One that the end of the run fell into counts no more than in the simulation.
            if not over.is_set():
                with lock:
                    trial.note(what, failed=code not in (0, 190))
            over.wait(interval)

    phases = random.Random(clusters)  # noqa: S311 - only where the clusters' monitors begin
    threads = [
        threading.Thread(target=loop, args=(what, command, interval, phases.random() * interval))
        for _ in range(clusters)
        for what, (command, interval) in commands.items()
    ]
    stage.meter.limit(buckets)
    stage.meter.taken()
    for thread in threads:
        thread.start()
    time.sleep(SECONDS)
    over.set()
    asked = stage.meter.taken()
    for thread in threads:
        thread.join()
    trial.asked, trial.refused = len(asked), sum(item.refused for item in asked)
    return trial


def _commands(stage: MeteredStage, who: str, command_line: str) -> Mapping[str, tuple[Command, float]]:
    place = 0 if who == OURS else 1
    address = stage.address("monitor", command_line)[place]
    device = stage.fence("monitor")[place]
    if who == THEIRS:
        address, device = patient(address), patient(device)
    return {ADDRESS: (address, MONITOR_INTERVAL), DEVICE: (device, FENCE_INTERVAL)}
