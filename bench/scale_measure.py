"""What each agent asks of EC2 and how it ends: run for real, healthy and throttled; to be run in its own network.

``cases`` names what is run; the simulation is held to what comes out (:mod:`scale_model`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from measure import Command
from scale_stage import MeteredStage
from stage import Agents

__all__ = ["ALL", "KILLED", "OURS", "THEIRS", "execute", "measure", "metered", "patient"]

OURS, THEIRS = "cloudha", "fence_aws + awsvip"
# As Pacemaker: stonith-timeout, and the operations' timeouts of the runs here.
KILL_SECONDS = 60.0
KILLED = -9
ALL = "ec2.*"
# Debian 12's own SDK (botocore 1.29) tries five times; newer ones three times ("standard"). Given by its variable,
# since only the newer one, which is used here for both, can be led to the emulator.
PATIENT = {"AWS_RETRY_MODE": "legacy", "AWS_MAX_ATTEMPTS": "5"}
IMPATIENT = {"AWS_RETRY_MODE": "standard"}


@dataclass(frozen=True)
class Case:
    """One run. ``throttled``: the operations that the API refuses, "" for none; ``before``: what holds at first."""

    action: str
    before: str
    throttled: str = ""
    level: str = "0"
    retries: str = "legacy"


FENCE = ("fence monitor", "off", "on", "reboot")
CASES = (
    *(Case(action, before) for action, before in (("monitor", "bound"), ("start", "free"), ("stop", "bound"))),
    Case("monitor", "bound", level="10"),
    *(Case(action, "off" if action == "on" else "running") for action in FENCE),
    *(Case(action, before, ALL) for action, before in (("monitor", "bound"), ("start", "free"), ("stop", "bound"))),
    Case("monitor", "bound", ALL, level="10"),
    Case("monitor", "bound", ALL, retries="standard"),
    *(Case(action, "running", ALL) for action in ("fence monitor", "off")),
    Case("fence monitor", "running", "ec2.StopInstances"),
    Case("start", "free", "ec2.AssignPrivateIpAddresses"),
    Case("stop", "bound", "ec2.UnassignPrivateIpAddresses"),
    Case("reboot", "running", "ec2.StopInstances"),
    Case("reboot", "running", "ec2.StartInstances"),
)


def measure(command_line: str) -> list[dict[str, Any]]:
    """Run every case for ours and theirs, one after the other.

    :param command_line: the AWS command line, which awsvip needs.
    """
    found = []
    with metered() as stage:
        for case in CASES:
            for who in (OURS, THEIRS):
                if who == THEIRS and case.level != "0":
                    continue  # awsvip has no levels
                if who == OURS and case.retries != "legacy":
                    continue  # ours has the SDK's retries off
                found.append(_run(stage, case, who, command_line))
                print(_line(found[-1]), flush=True)
    return found


@contextlib.contextmanager
def metered(**parameters: Any) -> Iterator[MeteredStage]:  # noqa: ANN401 - MeteredStage's own
    """Our agents installed below a folder that everybody can read, and an emulated AWS."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        stage = MeteredStage(Agents(root), **parameters)
        try:
            yield stage
        finally:
            stage.close()


def patient(command: Command, retries: str = "legacy") -> Command:
    """Return the command with the SDK's retries as Debian 12's own has them."""
    return replace(command, environment={**command.environment, **(PATIENT if retries == "legacy" else IMPATIENT)})


def execute(command: Command, seconds: float = KILL_SECONDS) -> int:
    """Run it and return its exit code; killed with all its children after *seconds*, as Pacemaker does."""
    with tempfile.TemporaryFile() as given:
        given.write(command.text.encode())
        given.seek(0)
        process = subprocess.Popen(
            command.argv,
            env=dict(command.environment),
            stdin=given,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return KILLED


def _run(stage: MeteredStage, case: Case, who: str, command_line: str) -> dict[str, Any]:
    _before(stage, case.before)
    ours, theirs = (
        stage.fence(case.action.removeprefix("fence "))
        if case.action in FENCE
        else stage.address(case.action, command_line)
    )
    command = ours if who == OURS else patient(theirs, case.retries)
    command = replace(command, environment={**command.environment, "OCF_CHECK_LEVEL": case.level})
    if case.throttled:
        stage.throttle(case.throttled)
    code, seconds, asked = stage.counted(lambda: execute(command))
    stage.faultless()
    return {
        **asdict(case),
        "who": who,
        "exit": code,
        "seconds": round(seconds, 2),
        "asked": [item.bucket for item in asked],
        "at": [round(item.at - asked[0].at, 2) for item in asked],
    }


def _before(stage: MeteredStage, state: str) -> None:
    if state == "bound":
        stage.bound()
    elif state == "free":
        stage.free()
    else:
        stage.running()
    if state == "off":
        execute(stage.fence("off")[0])


def _line(run: dict[str, Any]) -> str:
    throttled = f" without {run['throttled']}" if run["throttled"] else ""
    level = f" level {run['level']}" if run["level"] != "0" else ""
    what = f"{run['who']}: {run['action']}{level}{throttled}"
    return f"{what}: exit {run['exit']}, {run['seconds']} s, {_short(run['asked'])}"


def _short(asked: list[str]) -> str:
    counts: dict[str, int] = {}
    for name in asked:
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{number} {name}" for name, number in counts.items()) or "no request"
