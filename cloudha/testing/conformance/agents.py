"""Run the two agents as Pacemaker does: the installed executables, an empty environment, its way to pass parameters."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from cloudha.deadline import Deadline
from cloudha.local_mark import MarkKey, clear_mark
from cloudha.plugins import Provider
from cloudha.testing.conformance.cloud import TestCloud
from cloudha.testing.conformance.hooks import secrets
from cloudha.types import IPAddress, Kind

__all__ = ["Agents", "Executables", "Run", "Running", "shows"]

# An action with a healthy cloud has this long; the slowest waits for a stop and a start of some tenths of a second.
HEALTHY_SECONDS = 20
# Pacemaker's timeout for a fence action is to be this much longer than power_timeout (the metadata says so).
FENCE_MARGIN_SECONDS = 10.0
# After this a process that should have ended long ago is killed, and the check fails.
KILL_SECONDS = 40.0


@dataclass(frozen=True, slots=True)
class Executables:
    """Where the two agents are."""

    fence_cloud: Path
    floating_ip: Path


@dataclass(frozen=True, slots=True)
class Run:
    """How one run of an agent ended. ``late``: not before Pacemaker would have killed it."""

    what: str
    code: int
    stdout: str
    stderr: str
    late: bool

    def __str__(self) -> str:
        said = f"{self.what} ended with {self.code}"
        return f"{said}, stdout {self.stdout!r}, stderr {self.stderr!r}"


class Running:
    """An agent that was started. It has its whole input, and goes on without being watched."""

    def __init__(self, what: str, command: list[str], environment: Mapping[str, str], text: str, most: float) -> None:
        self._what = what
        self._clock = Deadline(KILL_SECONDS)
        self._most = most
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd="/",
            text=True,
            errors="replace",
        )
        if self._process.stdin is not None:
            self._process.stdin.write(text)
            self._process.stdin.close()
            self._process.stdin = None

    def wait(self) -> Run:
        """Wait until it ends; kill it as Pacemaker would when it does not."""
        try:
            stdout, stderr = self._process.communicate(timeout=max(0.1, self._most - self._clock.elapsed))
            late = False
        except subprocess.TimeoutExpired:
            self._process.kill()
            stdout, stderr = self._process.communicate()
            late = True
        return Run(self._what, self._process.returncode, stdout, stderr, late)


class Agents:
    """Both agents, with the parameters that reach the test cloud."""

    def __init__(self, executables: Executables, provider: Provider, cloud: TestCloud) -> None:
        self._executables = executables
        self._provider = provider
        self._cloud = cloud
        self._marked: set[MarkKey] = set()

    def fence(self, action: str, plug: str = "", *, seconds: float = HEALTHY_SECONDS, **parameters: str) -> Run:
        """Run fence_cloud and wait for it; see :meth:`start_fence`."""
        return self.start_fence(action, plug, seconds=seconds, **parameters).wait()

    def start_fence(
        self, action: str, plug: str = "", *, seconds: float = HEALTHY_SECONDS, **parameters: str
    ) -> Running:
        """Start fence_cloud with its parameters as lines on standard input, and no environment at all.

        :param seconds: of power_timeout and query_timeout.
        """
        values = {
            "action": action,
            "nodename": plug,
            "plug": plug,
            "provider": self._provider.name,
            "power_timeout": f"{seconds:g}",
            "query_timeout": f"{seconds:g}",
            "stonith_status_sleep": "0.2",
            **self._cloud.options(),
            **parameters,
        }
        text = "".join(f"{name}={value}\n" for name, value in values.items() if value)
        command = [str(self._executables.fence_cloud)]
        return Running(f"fence_cloud {action}", command, {}, text, seconds + FENCE_MARGIN_SECONDS)

    def address(
        self, action: str, kind: Kind, ip: IPAddress, *, seconds: float = HEALTHY_SECONDS, level: int = 0, **more: str
    ) -> Run:
        """Run floating-ip and wait for it; see :meth:`start_address`."""
        return self.start_address(action, kind, ip, seconds=seconds, level=level, **more).wait()

    def start_address(
        self, action: str, kind: Kind, ip: IPAddress, *, seconds: float = HEALTHY_SECONDS, level: int = 0, **more: str
    ) -> Running:
        """Start floating-ip with the environment that Pacemaker gives it, without PATH and HOME.

        :param seconds: the operation's timeout, after which Pacemaker kills.
        :param level: OCF_CHECK_LEVEL.
        """
        values = {
            "provider": self._provider.name,
            "ip": str(ip),
            "kind": kind.value,
            "CRM_meta_timeout": f"{seconds * 1000:.0f}",
            "CRM_meta_interval": "10000" if action == "monitor" else "0",
            **self._cloud.options(),
            **more,
        }
        environment = {f"OCF_RESKEY_{name}": value for name, value in values.items()}
        environment |= {
            "OCF_ROOT": "/usr/lib/ocf",
            "OCF_RESOURCE_INSTANCE": "conformance",
            "OCF_CHECK_LEVEL": str(level),
        }
        self._marked.add(MarkKey(self._provider.name, kind, ip))
        command = [str(self._executables.floating_ip), action]
        return Running(f"floating-ip {action}", command, environment, "", seconds)

    def metadata(self) -> tuple[Run, Run]:
        """Return the metadata of fence_cloud and of floating-ip."""
        fence = [str(self._executables.fence_cloud), "-o", "metadata"]
        address = [str(self._executables.floating_ip), "meta-data"]
        return (
            Running("fence_cloud metadata", fence, {}, "", HEALTHY_SECONDS).wait(),
            Running("floating-ip meta-data", address, {}, "", HEALTHY_SECONDS).wait(),
        )

    def leaks(self, run: Run, more: str = "") -> list[str]:
        """Return the names of the secret options whose value the run has shown, as it is or encoded."""
        text = run.stdout + run.stderr + more
        return [name for name, value in secrets(self._provider, self._cloud).items() if shows(text, value)]

    def forget(self) -> None:
        """Remove what the runs have left on this machine."""
        for key in self._marked:
            clear_mark(key)


def shows(text: str, secret: str) -> bool:
    """Whether *text* holds the secret: plain, quoted for a URL, or in Base64 at whatever place of a longer value."""
    plain = secret.encode()
    # The same bytes read differently in Base64 by where they begin; the ends depend on the neighbours and are cut.
    encoded = {base64.b64encode(b"\0" * shift + plain).decode()[4 if shift else 0 :][:-4] for shift in range(3)}
    forms = {secret, quote(secret, safe=""), *(form for form in encoded if len(form) >= len(secret) / 2)}
    return any(form in text for form in forms)
