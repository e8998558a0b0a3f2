"""Running the machine's programs: absolute paths, clean environment, bounded time."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloudha.deadline import Deadline
from cloudha.lab.problems import LabError

__all__ = ["PATH", "Finished", "clean_environment", "find", "poll", "run", "spawn"]

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        """Whether it exited with 0."""
        return self.code == 0


@functools.cache
def find(program: str) -> str:
    """Return the absolute path of *program*, wherever this distribution keeps it.

    :raises LabError: it is not installed.
    """
    found = shutil.which(program, path=PATH)
    if found is None:
        raise LabError(f"the program {program} is not installed")
    return found


def clean_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what a program needs and nothing of the caller's: proxies, locales and PYTHON* stay outside."""
    return {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", **(more or {})}


def run(
    argv: Sequence[str],
    *,
    seconds: float | None = 20.0,
    feed: str | None = None,
    check: bool = True,
    capture: bool = True,
    environment: Mapping[str, str] | None = None,
) -> Finished:
    """Run a program to its end and return what it said; *feed* is its standard input.

    Without *capture* its output goes where ours goes. ``seconds=None`` waits for ever.

    :raises LabError: with *check*, when it exits with anything but 0; always when it takes longer than *seconds*.
    """
    try:
        done = subprocess.run(
            [find(argv[0]), *argv[1:]],
            input=feed if feed is not None else "",
            capture_output=capture,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            env=clean_environment(environment),
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(argv)}: no end after {seconds:g} s") from None
    if check and done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split()) or "no output"
        raise LabError(f"{' '.join(argv)}: exit code {done.returncode}: {said}")
    return Finished(done.returncode, done.stdout or "", done.stderr or "")


def spawn(argv: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> None:
    """Start a program that outlives this command: own session, output appended to *log*, child of nobody here."""
    with log.open("ab") as output:
        subprocess.run(
            [find("setsid"), "--fork", *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=True,
            timeout=10,
            cwd="/",
            env=clean_environment(environment),
        )


def poll(condition: Callable[[], bool], seconds: float, *, every: float = POLL_SECONDS) -> bool:
    """Ask *condition* until it is true or *seconds* have passed; return its last answer."""
    deadline = Deadline(seconds)
    while True:
        if condition():
            return True
        if deadline.passed:
            return False
        deadline.sleep(every)


def write_whole(path: Path, text: str) -> None:
    """Replace *path* in one step, so that a reader sees the old or the new text and never half of it."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.write_text(text)
    fresh.replace(path)
