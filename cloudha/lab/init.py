"""PID 1 of a node: builds the node's own view of the machine, configures the NIC, starts the cluster, reaps orphans.

Runs under ``unshare --net --mount --uts --ipc --pid --fork --propagation private``. Its end, by kill -9 from outside or
by reboot(2) inside, ends everything in the node at once: that is the node's power.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

from cloudha.lab import mounts
from cloudha.lab.answerer import answer_forever, watch_nic_forever
from cloudha.lab.disk import BOUND_DIRECTORIES, BOUND_FILES
from cloudha.lab.interpreter import hidden_paths
from cloudha.lab.network import machine_side
from cloudha.lab.plan import NodePlan
from cloudha.lab.problems import NotReady
from cloudha.lab.programs import clean_environment, poll, run, write_whole
from cloudha.lab.state import LabState

__all__ = ["main"]

OVERLAID = ("/usr/sbin", "/usr/bin", "/usr/lib/ocf/resource.d")
# Empty at every boot; what the nodes need of the Python environment and of the lab's directory is shown again,
# read-only, where it lies below one of them.
MEMORY = {"/run": 0o755, "/var/tmp": 0o1777, "/tmp": 0o1777}  # noqa: S108  # mount points, not temporary files
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
NIC_SECONDS = 10.0


def main() -> None:
    """Be the node that the command line names: ``init STATE_DIRECTORY NODE``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    state = LabState(Path(sys.argv[1]))
    node = state.plan.node(sys.argv[2])
    files = state.node(node.name)
    _tell_pid(files.pid)
    # Opened now: these files are out of reach once the node has its own mounts. Through a mount of their own, because
    # a mount with files open for writing cannot be made read-only.
    mounts.bind(str(files.directory), str(files.directory))
    ready = files.ready.open("w")
    held = files.held.open("a")
    mounts.unmount(files.directory)
    _build(state, node.name)
    _configure_nic(node)
    _start_threads(node.name, state, held)
    ready.write("ready\n")
    ready.close()
    _start_cluster()
    while True:
        _reap()


def _tell_pid(file: Path) -> None:
    # /proc is still the machine's own: what it calls us is our pid out there.
    fields = Path("/proc/self/stat").read_text().rpartition(")")
    pid = fields[0].split(" ", 1)[0]
    write_whole(file, f"{pid} {fields[2].split()[19]}\n")


def _build(state: LabState, name: str) -> None:
    """Make the mounts. Sources that a later mount hides are opened first and mounted through their descriptor."""
    disk = state.node(name).disk
    socket.sethostname(name)
    covers = [*MEMORY, *(f"/{part}" for part in BOUND_DIRECTORIES), "/dev"]
    # A node sees nothing of the lab's directory that it has no use for, not even that it is there.
    shared = [str(state.shared)] if any(state.shared.iterdir()) else []
    shown = {path: os.open(path, os.O_PATH | os.O_DIRECTORY) for path in hidden_paths(covers, shared)}
    devices = {device: os.open(f"/dev/{device}", os.O_PATH) for device in DEVICES}
    _disk_and_software(disk, state.layer)
    for target, mode in MEMORY.items():
        mounts.tmpfs(target, mode)
    for directory, mode in (("lock", 0o1777), ("resource-agents", 0o1755), ("fence-agents", 0o1755)):
        Path("/run", directory).mkdir()
        Path("/run", directory).chmod(mode)
    _devices(devices)
    for path, descriptor in shown.items():
        Path(path).mkdir(parents=True, exist_ok=True)
        mounts.bind_read_only(f"/proc/self/fd/{descriptor}", path)
    for descriptor in (*shown.values(), *devices.values()):
        os.close(descriptor)
    _kernel_views()
    mounts.read_only("/")
    os.chdir("/")


def _disk_and_software(disk: Path, layer: Path) -> None:
    for part in (*BOUND_DIRECTORIES, *BOUND_FILES):
        # What this distribution lacks (no pcsd) is nobody's loss.
        if Path(f"/{part}").exists():
            mounts.bind(str(disk / part), f"/{part}")
    for target in OVERLAID:
        upper = layer / target.lstrip("/")
        if upper.is_dir() and Path(target).is_dir():
            mounts.overlay([str(upper)], target)


def _devices(devices: dict[str, int]) -> None:
    """A /dev without the machine's disks, with its own shared memory (libqb keeps its buffers there)."""
    mounts.tmpfs("/dev", 0o755)
    for name, descriptor in devices.items():
        Path("/dev", name).touch()
        mounts.bind(f"/proc/self/fd/{descriptor}", f"/dev/{name}")
    for directory in ("shm", "pts"):
        Path("/dev", directory).mkdir()
    mounts.tmpfs("/dev/shm", 0o1777)  # noqa: S108  # a mount point
    mounts.mount("devpts", "/dev/pts", "devpts", data="newinstance,ptmxmode=0666,mode=620")
    for link, target in (
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
    ):
        Path("/dev", link).symlink_to(target)


def _kernel_views() -> None:
    """Mount /proc and /sys of the node's own namespaces; of the kernel's settings only the network's can be changed."""
    mounts.mount("proc", "/proc", "proc")
    if Path("/proc/sysrq-trigger").exists():
        mounts.bind("/dev/null", "/proc/sysrq-trigger")
    Path("/run/boot_id").write_text(f"{uuid.uuid4()}\n")
    own = Path("/run/.net")
    own.mkdir()
    mounts.bind("/proc/sys/net", str(own))
    mounts.bind("/proc/sys", "/proc/sys")
    mounts.read_only("/proc/sys")
    mounts.move(str(own), "/proc/sys/net")
    own.rmdir()
    # Pacemaker and others tell one boot from the next by it.
    mounts.bind("/run/boot_id", "/proc/sys/kernel/random/boot_id")
    mounts.mount("sysfs", "/sys", "sysfs", mounts.MS_RDONLY)


def _configure_nic(node: NodePlan) -> None:
    run(["ip", "link", "set", "lo", "up"])
    if not poll(Path("/sys/class/net/eth0").exists, NIC_SECONDS, every=0.02):
        raise NotReady(f"{node.name}: no NIC after {NIC_SECONDS:g} s")
    accept_dad = Path("/proc/sys/net/ipv6/conf/eth0/accept_dad")
    if accept_dad.exists():
        accept_dad.write_text("0")
    lines = machine_side(node.address, node.address6)
    if not accept_dad.exists():
        lines = lines[:3]
    run(["ip", "-batch", "-"], feed="\n".join([*lines, ""]))


def _start_threads(name: str, state: LabState, held: object) -> None:
    for target, arguments in (
        (_log_forever, ()),
        (answer_forever, (name, socket.AF_INET)),
        (answer_forever, (name, socket.AF_INET6)),
        (watch_nic_forever, (name, state.plan.floating, held)),
    ):
        threading.Thread(target=target, args=arguments, daemon=True, name=target.__name__).start()
    if not poll(Path("/dev/log").exists, 5.0, every=0.01):
        raise NotReady(f"{name}: no /dev/log")


def _log_forever() -> None:
    """Write what is sent to syslog to /var/log/messages."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind("/dev/log")
        Path("/dev/log").chmod(0o666)
        with Path("/var/log/messages").open("a", buffering=1) as file:
            while True:
                text = log.recv(65536).decode("utf-8", "replace").rstrip("\0\n")
                now = time.time()
                stamp = time.strftime("%H:%M:%S", time.localtime(now))
                file.write(f"{stamp}.{int(now % 1 * 1000):03d} {text}\n")


def _start_cluster() -> None:
    # Through the node's own systemctl: this process must stay small, and only reap.
    systemctl = "/usr/bin/systemctl"
    with Path("/var/log/daemons.log").open("ab") as log:
        subprocess.Popen(
            [systemctl, "start", "pacemaker"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=clean_environment(),
        )


def _reap() -> None:
    try:
        os.wait()
    except ChildProcessError:
        # Nobody there yet; orphans come any time.
        threading.Event().wait(0.2)


if __name__ == "__main__":
    main()
