"""Run the cluster's own programs: bounded in time, with nothing of the caller's environment but PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from cloudha.errors import Unavailable, one_line
from cloudha.record import Record

__all__ = ["Ran", "find", "run"]

# After the caller's own PATH: monitoring systems and cron start us with a short one.
PLACES = "/usr/sbin:/usr/bin:/sbin:/bin"
EXCERPT = 200


class Ran(Record):
    """How a program ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """Its error, or else what it printed, on one short line."""
        return one_line(self.err.strip() or self.out.strip(), EXCERPT) or f"it ended with {self.code}"


def path() -> str:
    """Return where programs are looked for."""
    return os.pathsep.join(filter(None, (os.environ.get("PATH", ""), PLACES)))


def find(program: str) -> str:
    """Return the absolute path of *program*, "" when this machine does not have it."""
    return shutil.which(program, path=path()) or ""


def run(command: Sequence[str], seconds: float) -> Ran:
    """Run *command* to its end.

    :raises Unavailable: it cannot be started, or did not end within *seconds* (it is killed then).
    """
    try:
        done = subprocess.run(
            list(command),
            env={"PATH": path(), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{command[0]} did not end within {seconds:g} s") from None
    except OSError as error:
        raise Unavailable(f"{command[0]} cannot be run: {error.strerror}") from None
    return Ran(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
