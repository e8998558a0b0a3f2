"""Run a command once and say what it cost: wall, CPU, memory; and, in runs of their own, the processes it starts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Command", "Cost", "processes", "run"]

# Nothing that is measured takes longer, unless it hangs.
KILL_SECONDS = 120
LAUNCH = Path(__file__).with_name("launch.py")
# Calls that make a process or replace one. A thread is a clone too, with a flag of its own.
CALLS = "fork,vfork,clone,clone3"


@dataclass(frozen=True)
class Command:
    """An agent as the cluster starts it. ``exits``: the exit code that a good run has."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    text: str = ""
    exits: int = 0


@dataclass(frozen=True)
class Cost:
    """``wall`` and ``cpu`` in milliseconds, ``memory`` (the largest process's resident set) in MiB.

    ``traffic``: KiB over the loopback interface, headers of all layers included, both ways.
    """

    wall: float
    cpu: float
    memory: float
    traffic: float


def run(command: Command) -> Cost:
    """Run it once.

    :raises RuntimeError: it did not end with the code that it should; what was measured then is not the work.
    """
    reading, writing = os.pipe()
    launch = (sys.executable, "-I", "-S", str(LAUNCH), str(writing), *command.argv)
    before = _loopback()
    try:
        done = subprocess.run(
            launch,
            env=dict(command.environment),
            input=command.text.encode(),
            capture_output=True,
            pass_fds=[writing],
            timeout=KILL_SECONDS,
            check=True,
        )
    finally:
        os.close(writing)
        with open(reading, "rb") as pipe:
            reported = pipe.read()
    code, wall, cpu, memory = json.loads(reported)
    if code != command.exits:
        words = done.stderr.decode(errors="replace")[-500:]
        raise RuntimeError(f"{' '.join(command.argv)} ended with {code}: {words}")
    return Cost(wall * 1000, cpu * 1000, memory / 1024, (_loopback() - before) / 1024)


def _loopback() -> int:
    """Return the bytes that this network namespace's loopback interface has carried."""
    for line in Path("/proc/self/net/dev").read_text().splitlines():
        name, _, figures = line.partition(":")
        if name.strip() == "lo":
            return int(figures.split()[0])
    return 0


def processes(command: Command) -> int | None:
    """Return how many processes a run consists of, the first one included; None without strace."""
    strace = shutil.which("strace")
    if strace is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        traced = [strace, "-f", "-qq", "-e", f"trace={CALLS}", "-o", str(log), *command.argv]
        subprocess.run(
            traced,
            env=dict(command.environment),
            input=command.text.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=KILL_SECONDS,
            check=False,
        )
        made = [line for line in log.read_text().splitlines() if "CLONE_THREAD" not in line and "resumed>" not in line]
        return 1 + sum(any(f" {call}(" in line for call in CALLS.split(",")) for line in made)
