"""Network namespaces that belong to a lab: made, entered and removed by the file they are bound to."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from cloudha.lab.mounts import is_mounted, unmount
from cloudha.lab.programs import run

__all__ = ["create_network", "enter_network", "inside_network", "processes_in", "remove_network"]

CLONE_NEWNET = 0x40000000


def create_network(file: Path) -> None:
    """Make a network namespace that lives until :func:`remove_network`, bound to *file*.

    Not ``ip netns add``: that turns /run/netns into a mount which all labs and other programs share.
    """
    file.touch()
    run(["unshare", f"--net={file}", "--", "true"])


def remove_network(file: Path) -> None:
    """Let the namespace go. It ends when no process is in it any more; missing is success."""
    while file.exists() and is_mounted(file):
        unmount(file)
    file.unlink(missing_ok=True)


def enter_network(file: Path) -> list[str]:
    """Return the beginning of a command line that runs the rest inside that network."""
    return ["nsenter", f"--net={file}", "--"]


def processes_in(file: Path) -> list[int]:
    """Return the pids of all processes whose network is the one of *file*."""
    try:
        wanted = file.stat()
    except OSError:
        return []
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                there = os.stat(f"/proc/{entry}/ns/net")
                if (there.st_dev, there.st_ino) == (wanted.st_dev, wanted.st_ino):
                    found.append(int(entry))
    return found


@contextlib.contextmanager
def inside_network(file: Path) -> Iterator[None]:
    """Move the calling thread into that network for the time of the block; other threads stay where they are."""
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _set(libc, file)
        try:
            yield
        finally:
            if libc.setns(home, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "cannot return to the machine's own network")
    finally:
        os.close(home)


def _set(libc: ctypes.CDLL, file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"cannot enter the network {file}: {os.strerror(code)}")
    finally:
        os.close(descriptor)
