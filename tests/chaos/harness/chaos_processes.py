"""The processes of a node, seen from the machine, and killing them."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from cloudha.lab.power import node_pid, start_time
from cloudha.lab.state import LabState

__all__ = ["children", "daemons", "kill", "words"]


def words(pid: int) -> list[str]:
    """Return the command line; nothing when the process is gone."""
    try:
        return [word.decode(errors="replace") for word in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]]
    except OSError:
        return []


def daemons(state: LabState, node: str) -> dict[str, int]:
    """Return the programs in the node by name, with the machine's pid of each; of several one."""
    first = node_pid(state.node(node))
    found: dict[str, int] = {}
    with contextlib.suppress(OSError):
        namespace = os.readlink(f"/proc/{first}/ns/pid")
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                with contextlib.suppress(OSError, IndexError):
                    if os.readlink(f"/proc/{entry}/ns/pid") == namespace:
                        found.setdefault(os.path.basename(words(int(entry))[0]), int(entry))
    return found


def children(pid: int) -> list[int]:
    """Return the pids of a process's children."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def kill(pid: int, born: str | None) -> bool:
    """Send SIGKILL to the process that was started then; whether it was still there."""
    if born is None or start_time(pid) != born:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False
