"""A mark on this machine: "the floating-ip agent asked the cloud to bind this address here since the last boot".

It lets a probe on a node that never started the resource answer without the cloud's API or credentials. Marks live in
``/run`` and carry the kernel's boot id: after a power cut there are none.

Whoever binds sets the mark *before* asking the cloud, and clears it only after the unbinding was confirmed. A mark too
many costs an API call; a mark too few would make a probe say "not running" of an address that is bound here.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time

from cloudha.record import Record
from cloudha.types import IPAddress, Kind, Verdict

__all__ = ["DIRECTORY", "MarkKey", "clear_mark", "read_mark", "set_mark"]

DIRECTORY = "/run/cloudha"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
# A mark is about a hundred bytes.
MOST_BYTES = 4096
# Sticky: "a mark could not be written here". Setting it needs no space, unlike a mark on a full file system.
LOST = stat.S_ISVTX


class MarkKey(Record):
    """What is marked: the address *ip* of the kind *kind* at the provider of that name."""

    provider: str
    kind: Kind
    ip: IPAddress

    @property
    def file_name(self) -> str:
        """A name of its own for every key, that no provider's name can turn into a path."""
        provider = "".join(c if c.isascii() and c.isalnum() else f"_{ord(c):x}_" for c in self.provider)
        return f"{provider}.{self.kind.value}.{self.ip}"


def set_mark(key: MarkKey, *, directory: str = DIRECTORY) -> bool:
    """Set the mark, and return whether it is there now. Never raises.

    After False, :func:`read_mark` answers ``CANNOT_TELL`` until the next boot: the directory cannot be written or
    trusted, or it says itself that a mark is missing (a full file system).
    """
    import json  # here: not needed for metadata

    boot_id = _boot_id()
    content = json.dumps({"boot_id": boot_id, "time": int(time.time())}).encode("ascii")
    try:
        handle = _open_directory(directory)
    except (OSError, ValueError):
        return False
    try:
        if not boot_id or not _is_marked(handle, key.file_name, boot_id):
            _write(handle, key.file_name, content)
    except (OSError, ValueError):
        with contextlib.suppress(OSError):
            os.fchmod(handle, stat.S_IMODE(os.fstat(handle).st_mode) | LOST)
        return False
    else:
        return bool(boot_id)
    finally:
        os.close(handle)


def clear_mark(key: MarkKey, *, directory: str = DIRECTORY) -> None:
    """Remove the mark. Never raises: one that stays makes a probe ask the cloud, which is safe."""
    with contextlib.suppress(OSError, ValueError):
        handle = _open_directory(directory)
        try:
            os.unlink(key.file_name, dir_fd=handle)
        finally:
            os.close(handle)


def read_mark(key: MarkKey, *, directory: str = DIRECTORY) -> Verdict:
    """Return whether the mark was set since the last boot. Never raises.

    ``YES``: it is there. ``NO``: it is not, and it would be had it been set. ``CANNOT_TELL``: the directory cannot be
    read, written or trusted, or a mark could not be written before. A missing directory is created, so that
    a mark that fails later can be noted on it.
    """
    boot_id = _boot_id()
    try:
        handle = _open_directory(directory)
    except (OSError, ValueError):
        return Verdict.CANNOT_TELL
    try:
        marked = _read(handle, key.file_name)
        lost = os.fstat(handle).st_mode & LOST
        writable = os.access(".", os.W_OK | os.X_OK, dir_fd=handle, effective_ids=True)
    except (OSError, ValueError):
        return Verdict.CANNOT_TELL
    finally:
        os.close(handle)
    if boot_id and marked == boot_id:
        return Verdict.YES
    return Verdict.NO if boot_id and writable and not lost else Verdict.CANNOT_TELL


def _open_directory(directory: str) -> int:
    """Open the directory, made when missing: ours alone, and no symbolic link that somebody else could have placed.

    :raises OSError: it is not like that, or cannot be made or opened.
    """
    with contextlib.suppress(FileExistsError):
        os.mkdir(directory, 0o700)
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    status = os.fstat(handle)
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        os.close(handle)
        raise PermissionError(f"others can write to {directory}")
    return handle


def _boot_id() -> str:
    """Return the kernel's id of this boot, "" when it cannot be read."""
    try:
        handle = os.open(BOOT_ID, os.O_RDONLY)
        try:
            return os.read(handle, 64).decode("ascii", "replace").strip()
        finally:
            os.close(handle)
    except OSError:
        return ""


def _read(directory: int, name: str) -> str:
    """Return the boot id in the mark, "" when there is no mark.

    :raises OSError, ValueError: there is something, and it is no mark that we wrote.
    """
    import json  # here: see set_mark

    try:
        # Non-blocking: a named pipe in its place must not hang a monitor.
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    except FileNotFoundError:
        return ""
    try:
        mark = json.loads(os.read(handle, MOST_BYTES))
    finally:
        os.close(handle)
    boot_id = mark.get("boot_id") if isinstance(mark, dict) else None
    if not isinstance(boot_id, str) or not boot_id:
        raise ValueError(f"{name} is not a mark")
    return boot_id


def _is_marked(directory: int, name: str, boot_id: str) -> bool:
    """Whether a good mark is there already, which then stays even where nothing can be written now."""
    try:
        return _read(directory, name) == boot_id
    except (OSError, ValueError):
        return False


def _write(directory: int, name: str, content: bytes) -> None:
    """Put the whole mark in place at once: a reader, or a kill in between, never sees half of it."""
    temporary = f".{name}.{os.getpid()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    handle = os.open(temporary, flags, 0o600, dir_fd=directory)
    try:
        try:
            if os.write(handle, content) != len(content):
                raise OSError(f"{name}: no space for the mark")
        finally:
            os.close(handle)
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise
