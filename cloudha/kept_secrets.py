"""A secret that outlives one action, such as a login: one small file below ``/run``, which a reboot empties.

It may open everything that its owner may do, so a file counts only when nobody else can have written or read it, in a
directory of which the same is true, and no symbolic link is ever followed. Whatever is wrong with it, it is as if there
were none. A write is a rename, so that several agents at once, and a kill at any moment, leave one whole file.

For providers whose cloud makes each action log in. What is worth keeping, and for how long, is theirs to say.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

__all__ = ["DIRECTORY", "USER_DIRECTORY", "Kept", "KeptSecrets"]

# The agents' own directory; /run is root's. Other users have a /run of their own, made when they log in.
DIRECTORY = "/run/cloudha"
USER_DIRECTORY = "/run/user/{uid}/cloudha"
# Tokens are one to four kilobytes, and a key of 2048 bits two.
MOST_BYTES = 32_768
# Longer than any login lasts: what is older than this was left by other credentials, or by a killed process.
LITTER_SECONDS = 7200.0
# Of 255 that file systems allow, some are for the suffix of what is being written.
LONGEST_NAME = 200
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Kept(NamedTuple):
    """What is kept, as JSON can hold it, and from when to when it is good, in seconds of this machine's clock."""

    document: Mapping[str, Any]
    since: float
    until: float


class KeptSecrets:
    """The secrets of one provider: files whose names begin with *prefix*. No method raises."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def name_of(self, *identity: str) -> str:
        """Return the file's name for a secret: one for each identity, from which none can be read."""
        import hashlib  # not cheap, and not needed where the identity is no secret

        return self.prefix + hashlib.sha256("\0".join(identity).encode()).hexdigest()[:40]

    def open_name_of(self, *identity: str) -> str:
        """Return such a name for an identity that may be read in it."""
        from urllib.parse import quote  # as above

        name = self.prefix + ",".join(quote(part, safe="") for part in identity)
        return name if len(name) <= LONGEST_NAME else self.name_of(*identity)

    def read(self, name: str) -> Kept | None:
        """Return what is kept under that name; None when it has ended, is not to be trusted, or is not there."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError), _directory() as directory:
            found = json.loads(_content(directory, name))
            kept = Kept(dict(found["document"]), float(found["since"]), float(found["until"]))
            # A clock that was set back makes an old secret look young.
            if kept.since <= time.time() < kept.until:
                return kept
        return None

    def write(self, name: str, kept: Kept) -> None:
        """Keep it; where that cannot be done, each action logs in by itself."""
        with contextlib.suppress(OSError, ValueError, TypeError), _directory() as directory:
            self._replace(directory, name, json.dumps(kept._asdict()).encode("ascii"))
            self._tidy(directory, name)

    def remove(self, name: str) -> None:
        """Forget what is kept under that name."""
        with contextlib.suppress(OSError, ValueError), _directory() as directory:
            os.unlink(name, dir_fd=directory)

    def _replace(self, directory: int, name: str, content: bytes) -> None:
        """Put the whole file in place at once, readable by its owner alone from the first moment."""
        temporary = f"{self.prefix}{os.getpid()}-{os.urandom(6).hex()}~"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(temporary, flags, 0o600, dir_fd=directory)
        try:
            try:
                if os.write(handle, content) != len(content):
                    raise OSError("no space for it")
            finally:
                os.close(handle)
            os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=directory)
            raise

    def _tidy(self, directory: int, kept: str) -> None:
        """Remove what processes that were killed, and credentials of the past, have left."""
        oldest = time.time() - LITTER_SECONDS
        for name in os.listdir(directory):
            if name.startswith(self.prefix) and name != kept:
                with contextlib.suppress(OSError):
                    if os.stat(name, dir_fd=directory, follow_symlinks=False).st_mtime < oldest:
                        os.unlink(name, dir_fd=directory)


@contextlib.contextmanager
def _directory() -> Iterator[int]:
    """Open the user's directory, made when missing.

    :raises OSError: it cannot be made or opened, or others can write to it or to the one above.
    """
    user = os.geteuid()
    path = DIRECTORY if user == 0 else USER_DIRECTORY.format(uid=user)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    parent = os.open(os.path.dirname(path), flags)
    try:
        _insist(os.fstat(parent), user, OTHERS_WRITE)
        name = os.path.basename(path)
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=parent)
        directory = os.open(name, flags, dir_fd=parent)
    finally:
        os.close(parent)
    try:
        _insist(os.fstat(directory), user, OTHERS_WRITE)
        yield directory
    finally:
        os.close(directory)


def _content(directory: int, name: str) -> bytes:
    # Non-blocking: a named pipe in its place must not hang a monitor.
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    try:
        status = os.fstat(handle)
        _insist(status, os.geteuid(), OTHERS)
        # A second name could be in a directory where others watch it; none at all means that it was just replaced.
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1 or status.st_size > MOST_BYTES:
            raise PermissionError(f"{name} is none of ours")
        return os.read(handle, MOST_BYTES)
    finally:
        os.close(handle)


def _insist(status: os.stat_result, user: int, forbidden: int) -> None:
    """Insist that it is the user's or root's own, and closed to others.

    :raises PermissionError: it is not.
    """
    if status.st_uid not in (user, 0) or status.st_mode & forbidden:
        raise PermissionError("others can get at it")
