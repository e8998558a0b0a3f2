"""Removing a lab, whole or half built, so that nothing of it stays."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from pathlib import Path

from cloudha.lab.namespaces import processes_in, remove_network
from cloudha.lab.power import start_time
from cloudha.lab.problems import LabError, NotReady
from cloudha.lab.programs import poll
from cloudha.lab.state import MARK_VARIABLE, LabState

__all__ = ["leftovers", "remove"]

END_SECONDS = 10.0


def marked_processes(state: LabState) -> list[int]:
    """Return the host pids of all processes of this lab that can be seen to be: by the mark, or by their network."""
    mark = f"{MARK_VARIABLE}={state.directory}".encode()
    found = {*processes_in(state.cloud_namespace), *processes_in(state.client_namespace)}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                if mark in Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                    found.add(int(entry))
    # Whoever calls this from inside the lab's network, or with its mark, is not to end itself.
    return sorted(pid for pid in found - {os.getpid()} if start_time(pid) is not None)


def remove(state: LabState) -> bool:
    """End every process of the lab, let its namespaces go, delete its directory; whether there was anything.

    :raises LabError: the directory is not a lab's; nothing is touched.
    :raises NotReady: a process does not die.
    """
    if state.foreign:
        raise LabError(f"{state.directory} is not the directory of a lab; nothing of it is removed")
    there = state.exists
    if not poll(lambda: not _kill_all(state), END_SECONDS):
        raise NotReady(f"lab {state.name}: processes do not end: {marked_processes(state)}")
    remove_network(state.client_namespace)
    remove_network(state.cloud_namespace)
    if there:
        shutil.rmtree(state.directory)
    with contextlib.suppress(OSError):
        state.directory.parent.rmdir()  # only when it was the last lab here
    return there


def _kill_all(state: LabState) -> list[int]:
    """Send SIGKILL to all that is left; a killed PID 1 takes its whole node with it."""
    found = marked_processes(state)
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return found


def leftovers(state: LabState) -> list[str]:
    """Return what is still there of the lab, one line each; nothing after a good :func:`remove`."""
    found = [f"process {pid}" for pid in marked_processes(state)]
    with Path("/proc/self/mountinfo").open() as table:
        found += [f"mount {line.split()[4]}" for line in table if str(state.directory) in line]
    if state.exists:
        found.append(f"directory {state.directory}")
    return found
