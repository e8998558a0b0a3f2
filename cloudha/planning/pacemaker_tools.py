"""The cluster's own tools, run with bounds: pcs, cibadmin and crm_verify."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloudha.errors import CloudhaError, LocalConfigurationError, Unavailable, one_line
from cloudha.install import AGENTS
from cloudha.planning.steps import Step

__all__ = ["Draft", "agents_missing", "draft", "live_cib", "need", "run"]

# pcs asks agents for their metadata, some of which start slowly; a cluster that hangs must not hold us for ever.
SECONDS = 120
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Ran:
    """A program that ended."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """What it said on its last lines, for a message."""
        return one_line(" ".join(line for line in (self.err or self.out).splitlines() if line.strip())) or "nothing"


def _environment() -> dict[str, str]:
    given = os.environ.get("PATH", "")
    # The tools write their words for people in the user's language; messages are quoted, never parsed.
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "LC_ALL", "CIB_file") if name in os.environ}
    return {**kept, "PATH": f"{given}:{SYSTEM_PATH}" if given else SYSTEM_PATH}


def available(name: str) -> bool:
    """Say whether the program is installed."""
    return shutil.which(name, path=_environment()["PATH"]) is not None


def need(*names: str) -> None:
    """Refuse to go on without these programs.

    :raises LocalConfigurationError: one is not installed.
    """
    missing = [name for name in names if not available(name)]
    if missing:
        raise LocalConfigurationError(
            f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not installed here",
            advice="run it on a node of the cluster, or install the packages pcs and pacemaker",
        )


def agents_missing() -> tuple[str, ...]:
    """Return the paths of our agents that are not installed where Pacemaker looks."""
    return tuple(f"/{place}" for place in AGENTS.values() if not os.access(f"/{place}", os.X_OK))


def run(words: Sequence[str], *, extra: dict[str, str] | None = None) -> Ran:
    """Run a program to its end.

    :raises Unavailable: it did not end in time.
    """
    try:
        done = subprocess.run(
            list(words),
            env={**_environment(), **(extra or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(
            f"{words[0]} did not end within {SECONDS} s", advice="check the cluster's state with: pcs status"
        ) from None
    except OSError as error:
        raise LocalConfigurationError(f"{words[0]} cannot be run: {error.strerror}") from None
    return Ran(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


def live_cib() -> str:
    """Return the cluster's configuration.

    :raises CloudhaError: it cannot be read.
    """
    need("cibadmin")
    done = run(["cibadmin", "--query"])
    if done.code:
        raise CloudhaError(
            f"the cluster's configuration cannot be read: {done.said}", advice="run it as root on a node that is online"
        )
    return done.out


class Draft:
    """A CIB in a private folder, which pcs edits; the cluster sees nothing of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "cib.xml"

    def step(self, step: Step, *, force: bool) -> None:
        """Run one step on the draft.

        :raises CloudhaError: it failed; says which command and what it said.
        """
        line = (step.forced() if force and step.words else step).line
        # One line of shell, which is exactly the one that is shown.
        done = run(["/bin/sh", "-euc", line], extra={"work": str(self.folder)})
        if done.code:
            command = " ".join(["pcs", *step.words]) if step.words else step.line.split("|")[0].strip()
            raise CloudhaError(
                f"{one_line(command, 200)}: {done.said}",
                advice="nothing was changed in any cluster; correct it and try again",
            )

    def verify(self) -> bool | None:
        """Let Pacemaker check the draft; None where crm_verify is not installed.

        :raises CloudhaError: it does not like it.
        """
        if not available("crm_verify"):
            return None
        done = run(["crm_verify", "--xml-file", str(self.path), "-V"])
        if done.code:
            raise CloudhaError(
                f"crm_verify refuses the resulting configuration: {done.said}",
                advice="nothing was changed in any cluster; correct what it names",
            )
        return True

    def text(self) -> str:
        """Return the CIB."""
        return self.path.read_text(encoding="utf-8")


@contextmanager
def draft(content: str = "") -> Iterator[Draft]:
    """Make a draft of *content*, an empty CIB by default, and remove it at the end.

    :raises LocalConfigurationError: a program is missing.
    """
    need("pcs", "cibadmin")
    with tempfile.TemporaryDirectory(prefix="cloudha-plan-") as name:
        made = Draft(Path(name))
        if not content:
            done = run(["cibadmin", "--empty"])
            if done.code:
                raise CloudhaError(f"cibadmin cannot make an empty configuration: {done.said}")
            content = done.out
        made.path.touch(mode=0o600)
        made.path.write_text(content, encoding="utf-8")
        yield made
