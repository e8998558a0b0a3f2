"""A node's power: on is a boot, off is a cut. There is no shutdown here; what runs in a node can do that itself."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

from cloudha.lab.interpreter import module_command, module_environment
from cloudha.lab.network import Network
from cloudha.lab.problems import NotReady
from cloudha.lab.programs import poll, run, spawn, write_whole
from cloudha.lab.state import LabState, NodeState

__all__ = ["cut_power", "give_power", "node_pid", "powered", "start_time"]

BOOT_SECONDS = 20.0
DIE_SECONDS = 10.0
# What unshare(1) reports when reboot(2) in the node made the kernel end its PID 1 (SIGHUP). A halt is SIGINT.
REBOOTED = (128 + signal.SIGHUP, -signal.SIGHUP)


def start_time(pid: int) -> str | None:
    """Return when the process started, in clock ticks since boot; None when it is gone or only a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if fields[0] in ("Z", "X") else fields[19]


def node_pid(files: NodeState) -> int | None:
    """Return the host pid of the node's PID 1; None when it has no power.

    The start time is compared too, so that a recycled pid is never taken for the node.
    """
    try:
        pid, started = files.pid.read_text().split()
    except (OSError, ValueError):
        return None
    return int(pid) if start_time(int(pid)) == started else None


def powered(state: LabState, name: str) -> bool:
    """Whether the node runs now."""
    return node_pid(state.node(name)) is not None


def booted(files: NodeState) -> bool:
    """Whether the node has its own mounts and its NIC. Until then it must not be entered: it still sees the host."""
    try:
        return node_pid(files) is not None and files.ready.stat().st_size > 0
    except OSError:
        return False


def last_words(files: NodeState) -> str:
    """Return the last line on the node's console, for a message that outlives the file."""
    try:
        lines = files.console.read_text(errors="replace").split("\n")
    except OSError:
        lines = []
    return next((line.strip() for line in reversed(lines) if line.strip()), "nothing on its console")


def cut_power(state: LabState, name: str, why: str = "") -> None:
    """End everything in the node at once. Returns when nothing of it is left; already off is success.

    :raises NotReady: it does not die, or somebody else keeps its power switch.
    """
    files = state.node(name)
    with files.locked():
        was_on = node_pid(files) is not None
        write_whole(files.wanted, "off\n")
        # The wire first: no FIN or RST of a dying socket escapes, as with a real power cut.
        Network(state).unplug(name)
        pid = node_pid(files)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            if not poll(lambda: node_pid(files) is None, DIE_SECONDS, every=0.01):
                raise NotReady(f"{name}: PID 1 ({pid}) does not die")
        state.note("power cut" if was_on else "power cut, was off", name, why)


def give_power(state: LabState, name: str, why: str = "") -> None:
    """Boot the node. Returns when it has its mounts and its NIC; the cluster starts in the background.

    Already on is success.

    :raises NotReady: it does not boot; the text names its console's file.
    """
    files = state.node(name)
    with files.locked():
        write_whole(files.wanted, "on\n")
        if node_pid(files) is not None:
            return
        files.pid.unlink(missing_ok=True)
        files.ready.unlink(missing_ok=True)
        state.note("power on", name, why)
        spawn(
            module_command("cloudha.lab.power", str(state.directory), name),
            log=files.console,
            environment={**module_environment(), **state.environment},
        )
        if not poll(lambda: node_pid(files) is not None, BOOT_SECONDS, every=0.01):
            raise NotReady(f"{name} does not boot: {last_words(files)}")
        pid = node_pid(files)
        if pid is not None:
            Network(state).plug(name, pid)
        if not poll(lambda: booted(files) or node_pid(files) is None, BOOT_SECONDS, every=0.01) or not booted(files):
            raise NotReady(f"{name} does not come up: {last_words(files)}")


def main() -> None:
    """Be the power supply of one node: ``power STATE_DIRECTORY NODE``. Ends with the node, or starts it again."""
    state, name = LabState(Path(sys.argv[1])), sys.argv[2]
    files = state.node(name)
    namespaces = ("--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--propagation", "private")
    init = module_command("cloudha.lab.init", str(state.directory), name)
    ended = run(
        ["unshare", *namespaces, "--", *init],
        seconds=None,
        check=False,
        capture=False,
        environment={**module_environment(), **state.environment},
    )
    if files.directory.exists():
        state.note("stopped", name, f"exit status {ended.code}")
        wanted = files.wanted.read_text().strip() == "on"
        if ended.code in REBOOTED and wanted:
            Network(state).unplug(name)
            give_power(state, name, "reboot")


if __name__ == "__main__":
    main()
