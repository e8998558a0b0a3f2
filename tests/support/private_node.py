"""A private place on this machine: its own network, its own /run, overlays where agents belong. Needs root.

The place lives as long as its holder process, which ends when its standard input closes, so nothing is left behind
even when the tests are killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

__all__ = ["PrivateNode", "private_node"]

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
NSENTER = "/usr/bin/nsenter"
SET_UP = """set -e
mount -t tmpfs -o mode=755 tmpfs /run
mount -t sysfs sysfs /sys
ip link set lo up
ip link add eth0 address 02:00:00:00:00:00 type veth peer name eth0-wire
ip link set eth0-wire up
ip address add 10.9.9.1/24 dev eth0
sysctl -qw net.ipv6.conf.eth0.disable_ipv6=0 net.ipv6.conf.eth0.accept_dad=0
ip address add fd00:9::1/64 dev eth0 nodad
ip link set eth0 up
%s
echo ready
exec cat
"""


class PrivateNode:
    """Runs commands inside, and makes sockets there."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    @property
    def prefix(self) -> tuple[str, ...]:
        """What to put before a command to run it inside; it leaves environment and standard streams alone."""
        return (NSENTER, f"--net=/proc/{self.pid}/ns/net", f"--mount=/proc/{self.pid}/ns/mnt", "--")

    def path(self, inside: str) -> Path:
        """Return the path by which a file inside is seen from outside."""
        return Path(f"/proc/{self.pid}/root") / inside.lstrip("/")

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command inside."""
        return subprocess.run([*self.prefix, *command], capture_output=True, text=True, timeout=60, check=check)

    def call(self, make: Callable[[], T]) -> T:
        """Call *make* in a thread that is inside, so that the sockets it makes belong to this network."""
        libc = ctypes.CDLL(None, use_errno=True)
        made: list[T] = []
        errors: list[BaseException] = []

        def inside() -> None:
            try:
                with open(f"/proc/{self.pid}/ns/net") as namespace:
                    refused = libc.setns(namespace.fileno(), CLONE_NEWNET)
                assert not refused, os.strerror(ctypes.get_errno())
                made.append(make())
            except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                errors.append(error)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return made[0]


@contextlib.contextmanager
def private_node(*commands: str) -> Iterator[PrivateNode]:
    """Make a place, with *commands* (shell) run inside it first; skip the test where that is not possible."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for namespaces")
    script = SET_UP % "\n".join(commands)
    holder = subprocess.Popen(
        ["/usr/bin/unshare", "--net", "--mount", "/bin/sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        text=True,
    )
    assert holder.stdin
    assert holder.stdout
    assert holder.stderr
    try:
        if holder.stdout.readline() != "ready\n":
            pytest.skip(f"no private namespaces on this machine: {holder.stderr.read().strip()}")
        yield PrivateNode(holder.pid)
    finally:
        holder.stdin.close()
        try:
            holder.wait(5)
        except subprocess.TimeoutExpired:
            holder.kill()
            holder.wait()
        holder.stdout.close()
        holder.stderr.close()
