"""Run the two installed executables as Pacemaker does: real processes, our own environment, bounded in time."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from cloudha.install import AGENTS

__all__ = ["Agents", "Ran", "at_once", "lines", "run", "started"]

# Nothing here takes that long; a process that does is killed and the test fails.
MOST_SECONDS = 30.0


@dataclass(frozen=True)
class Ran:
    """One process that ended. ``seconds`` is only for generous upper bounds."""

    code: int
    out: str
    err: str
    seconds: float = 0.0

    @property
    def said(self) -> list[str]:
        """The lines on standard error."""
        return self.err.splitlines()

    @property
    def reason(self) -> str:
        """What ``pcs status`` would show: the last ``ocf-exit-reason`` line, "" without one."""
        marks = [line for line in self.said if line.startswith("ocf-exit-reason:")]
        return marks[-1].partition(":")[2] if marks else ""

    def one_line(self) -> str:
        """Return the one line on standard error, having checked that it is one, readable and no traceback."""
        assert len(self.said) == 1, self
        assert "Traceback" not in self.err, self
        assert self.said[0].isprintable(), self
        assert len(self.said[0]) < 2500, self
        return self.said[0]


def lines(action: str = "", /, **parameters: object) -> str:
    """Return standard input as Pacemaker writes it; ``action=`` first, then ``name=value`` lines."""
    given = {"action": action, **parameters} if action else parameters
    return "".join(f"{name}={value}\n" for name, value in given.items())


@dataclass(frozen=True)
class Agents:
    """Both executables below an install root.

    :param prefix: a command that runs its arguments elsewhere, such as nsenter.
    :param common: parameters that every call passes, unless the test gives its own; None takes one away.
    """

    root: Path
    prefix: tuple[str, ...] = ()
    common: Mapping[str, str] = field(default_factory=dict)

    @property
    def fence_path(self) -> str:
        """The fence agent's executable."""
        return str(self.root / AGENTS["fence_cloud"])

    @property
    def address_path(self) -> str:
        """The OCF agent's executable."""
        return str(self.root / AGENTS["floating-ip"])

    def fence(self, action: str = "", /, *, env: Mapping[str, str] | None = None, **parameters: object) -> Ran:
        """Run fence_cloud with its parameters on standard input and, by default, an empty environment."""
        given = {k: v for k, v in {**self.common, **parameters}.items() if v is not None}
        return self.fence_raw(lines(action, **given), env=env)

    def fence_raw(
        self,
        standard_input: str | bytes,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> Ran:
        """Run fence_cloud with this very standard input and these arguments."""
        return run([*self.prefix, self.fence_path, *arguments], standard_input, env or {}, cwd=cwd)

    def fence_words(self, *arguments: str, env: Mapping[str, str] | None = None) -> Ran:
        """Run fence_cloud as people do, with options; the common parameters come as long options."""
        words = [f"--{name.replace('_', '-')}={value}" for name, value in self.common.items() if name != "ip"]
        return self.fence_raw("", *arguments, *words, env=env)

    def address(
        self, action: str, /, *, env: Mapping[str, str] | None = None, timeout: float = 20.0, **parameters: object
    ) -> Ran:
        """Run floating-ip. *env* comes on top of the OCF variables; *timeout* is the operation's, in seconds."""
        return self.address_raw([action], {**self.variables(timeout, **parameters), **(env or {})})

    def address_raw(self, arguments: Sequence[str], env: Mapping[str, str]) -> Ran:
        """Run floating-ip with this very environment."""
        return run([*self.prefix, self.address_path, *arguments], "", env)

    def variables(self, timeout: float = 20.0, **parameters: object) -> dict[str, str]:
        """Return the environment that Pacemaker gives a recurring operation."""
        given = {k: v for k, v in {**self.common, **parameters}.items() if v is not None}
        return {
            **{f"OCF_RESKEY_{name}": str(value) for name, value in given.items()},
            "OCF_RESKEY_CRM_meta_timeout": str(int(timeout * 1000)),
            "OCF_RESKEY_CRM_meta_interval": "10000",
            "OCF_RESOURCE_INSTANCE": "vip",
            "OCF_ROOT": "/usr/lib/ocf",
        }

    def probe(self, /, *, env: Mapping[str, str] | None = None, timeout: float = 20.0, **parameters: object) -> Ran:
        """Run floating-ip monitor as the probe: with no interval."""
        probing = {"OCF_RESKEY_CRM_meta_interval": "0", **(env or {})}
        return self.address("monitor", env=probing, timeout=timeout, **parameters)


def at_once(*calls: Callable[[], Ran]) -> list[Ran]:
    """Make the calls at the same time, which is how to wait for several deadlines only once."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(lambda call: call(), calls))


def run(
    command: Sequence[str],
    standard_input: str | bytes,
    env: Mapping[str, str],
    *,
    cwd: str | None = None,
    seconds: float = MOST_SECONDS,
) -> Ran:
    """Run a command to its end, in a session of its own so that nothing of it can outlive the test."""
    data = standard_input.encode() if isinstance(standard_input, str) else standard_input
    began = time.monotonic()
    with started(command, env, cwd=cwd) as process:
        out, err = process.communicate(data, timeout=seconds)
    took = time.monotonic() - began
    return Ran(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"), took)


@contextlib.contextmanager
def started(
    command: Sequence[str], env: Mapping[str, str], *, cwd: str | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command with pipes, and kill its whole session when the block ends."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        list(command), stdin=pipe, stdout=pipe, stderr=pipe, env=dict(env), cwd=cwd, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()
        process.wait()
