"""The mount system call, for Python versions that have none. All errors are OSError with the paths in them."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

__all__ = ["bind", "bind_read_only", "is_mounted", "mount", "move", "overlay", "read_only", "tmpfs", "unmount"]

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_MOVE = 0x2000
MS_REC = 0x4000
MNT_DETACH = 0x2


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Call the kernel; *data* is for the file system of that *kind*."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), target.encode(), kind.encode() or None, ctypes.c_ulong(flags), data.encode()) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"mount {kind or 'bind'} {source} on {target}: {os.strerror(code)}")


def bind(source: str, target: str, *, recursive: bool = False) -> None:
    """Show *source* at *target* too."""
    mount(source, target, flags=MS_BIND | (MS_REC if recursive else 0))


def read_only(target: str) -> None:
    """Make the mount at *target* read-only in this mount namespace; the file system itself stays as it is."""
    mount("none", target, flags=MS_REMOUNT | MS_BIND | MS_RDONLY)


def bind_read_only(source: str, target: str) -> None:
    """Show *source* at *target*, where nobody can write to it."""
    bind(source, target)
    read_only(target)


def overlay(upper: list[str], target: str) -> None:
    """Let the files of the directories *upper* appear in *target*, read-only."""
    mount("overlay", target, "overlay", MS_RDONLY, f"lowerdir={':'.join([*upper, target])}")


def tmpfs(target: str, mode: int) -> None:
    """Put an empty file system in memory on *target*."""
    mount("tmpfs", target, "tmpfs", MS_NOSUID, f"mode={mode:o}")


def move(source: str, target: str) -> None:
    """Move a mount to another place."""
    mount(source, target, flags=MS_MOVE)


def unmount(target: Path) -> None:
    """Take the topmost mount at *target* away, at once for new users of it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(str(target).encode(), MNT_DETACH) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"unmount {target}: {os.strerror(code)}")


def is_mounted(target: Path) -> bool:
    """Whether something is mounted exactly there, in this mount namespace."""
    wanted = str(target).replace("\\", "\\134").replace(" ", "\\040")
    with Path("/proc/self/mountinfo").open() as table:
        return any(line.split(" ", 5)[4] == wanted for line in table)
