"""When the fence agent's process began: fenced logs only that it will start one, and its timers are a second coarse."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

__all__ = ["FenceProcesses"]

AGENTS = (b"fence_cloud", b"fence_aws")
TICKS = os.sysconf("SC_CLK_TCK")
# The field "starttime" of proc(5), counted from the one after the command's name.
STARTTIME = 22 - 3


class FenceProcesses:
    """The fence agents' processes that :meth:`look` has seen, in all namespaces of this machine."""

    def __init__(self, programs: tuple[bytes, ...] = AGENTS) -> None:
        self._programs = programs
        # By process id: when it began and when it was last seen, on the monotonic clock.
        self._seen: dict[int, tuple[float, float]] = {}

    def look(self) -> None:
        """Note who is there now. Cheap enough for ten times a second."""
        now = time.monotonic()
        for entry in os.scandir("/proc"):
            if entry.name.isdecimal():
                with contextlib.suppress(OSError):
                    self._note(int(entry.name), Path(entry.path), now)

    def _note(self, pid: int, place: Path, now: float) -> None:
        if pid in self._seen:
            place.stat()
            self._seen[pid] = self._seen[pid][0], now
        elif any(program in (place / "cmdline").read_bytes() for program in self._programs):
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            booted = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
            self._seen[pid] = int(fields[STARTTIME]) / TICKS - booted, now

    def at_work(self, moment: float) -> float | None:
        """Return when the process began that was there at *moment*, and lived longest: a monitor may run beside it."""
        found = [(end - begin, begin) for begin, end in self._seen.values() if begin <= moment <= end]
        return max(found)[1] if found else None
