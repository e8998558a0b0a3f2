"""Run a command once and say what it cost: wall, CPU, memory; and, in runs of their own, the processes it starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Command", "Cost", "processes", "run"]

# Nothing that is measured takes longer, unless it hangs.
KILL_SECONDS = 120
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
    """``wall`` and ``cpu`` in milliseconds, ``memory`` (the largest process's resident set) in MiB."""

    wall: float
    cpu: float
    memory: float


def run(command: Command) -> Cost:
    """Run it once.

    :raises RuntimeError: it did not end with the code that it should; what was measured then is not the work.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(command.text.encode())
        given.seek(0)
        began = time.perf_counter()
        process = subprocess.Popen(
            command.argv, env=dict(command.environment), stdin=given, stdout=subprocess.DEVNULL, stderr=said
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != command.exits:
            said.seek(0)
            words = said.read().decode(errors="replace")[-500:]
            raise RuntimeError(f"{' '.join(command.argv)} ended with {process.returncode}: {words}")
    return Cost(wall * 1000, (used.ru_utime + used.ru_stime) * 1000, used.ru_maxrss / 1024)


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
