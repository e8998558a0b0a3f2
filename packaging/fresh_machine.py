"""A machine to type at: a root of its own in namespaces of its own, and a terminal that writes down what is said.

Its network has no way out. What needs one, apt and pip, is run with this machine's network instead. Everything in it
ends with its first process, which ends when its standard input closes: nothing is left, even when we are killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import shlex
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fresh_debian import Index
from screen import on_screen

__all__ = ["Machine", "Said", "machine"]

COLUMNS, ROWS = 112, 40
# As on any terminal, but for colours and bars that grow.
ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SHELL": "/bin/bash",
    "TERM": "xterm",
    "NO_COLOR": "1",
    "DEBIAN_FRONTEND": "noninteractive",
    "PIP_PROGRESS_BAR": "off",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}
UNSHARE = ("unshare", "--mount", "--uts", "--ipc", "--pid", "--net", "--fork", "--kill-child", "--propagation=private")
ENTER = ("--mount", "--uts", "--ipc", "--pid", "--wdns=/root")
SET_UP = """set -e
root=$1
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for number in 0 1 2; do ln -s "fd/$number" "$root/dev/$(echo stdin stdout stderr | cut -d' ' -f$((number + 1)))"; done
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir -m 1777 "$root/run/lock"
%s
hostname fresh
ip link set lo up
cd "$root"
pivot_root . mnt
umount -l mnt
echo ready
# A shell that waits takes in the orphans, too, as a first process must.
exec chroot . /bin/sh -c 'cat; exit 0'
"""


@dataclass(frozen=True)
class Said:
    """What a command printed on the terminal, what was typed into it included, and its exit code."""

    text: str
    code: int
    seconds: float


class Machine:
    """The fresh machine, seen from its console; see :func:`machine`."""

    def __init__(self, root: Path, pid: int, more: dict[str, str]) -> None:
        self.root = root
        self._pid = pid
        self._environment = {**ENVIRONMENT, **more}

    def put(self, file: Path, folder: str) -> None:
        """Copy a file of this machine into *folder* there."""
        target = self.root / folder.lstrip("/")
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)

    def type(
        self, command: str, *, answers: Sequence[tuple[str, str]] = (), online: bool = False, seconds: float = 60
    ) -> Said:
        """Run *command* in a shell on a terminal there, and return what it said.

        :param answers: in turn, a text to wait for, and what is typed then.
        :param online: with this machine's network.
        :param seconds: after which it is killed, and its exit code is that of a kill.
        """
        begin = time.monotonic()
        controller, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        spaces = [*ENTER, *([] if online else ["--net"])]
        words = ["setsid", "--ctty", "--wait", "nsenter", f"--target={self._pid}", *spaces, "--"]
        process = subprocess.Popen(
            [*words, "/bin/bash", "-c", command],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            env=self._environment,
        )
        os.close(terminal)
        try:
            text = _conversation(controller, list(answers), begin + seconds)
            code = process.wait(max(1.0, begin + seconds - time.monotonic()))
        except subprocess.TimeoutExpired:
            code = -9
        finally:
            process.kill()
            process.wait()
            os.close(controller)
        return Said(on_screen(text), code, time.monotonic() - begin)


def _conversation(controller: int, answers: list[tuple[str, str]], until: float) -> str:
    """Read until nobody has the terminal any more, and type the answers as they are asked for."""
    heard = bytearray()
    since = 0
    while time.monotonic() < until:
        if not select.select([controller], [], [], 0.5)[0]:
            continue
        try:
            more = os.read(controller, 65536)
        except OSError:
            # The last program has closed it.
            more = b""
        if not more:
            break
        heard += more
        if answers and answers[0][0].encode() in heard[since:]:
            since = len(heard)
            os.write(controller, answers.pop(0)[1].encode() + b"\n")
    return heard.decode("utf-8", "replace")


@contextlib.contextmanager
def machine(base: Path, folder: Path, index: Index) -> Iterator[Machine]:
    """Boot a copy of the root *base*, in *folder*; it is removed afterwards.

    :param index: where its pip finds packages.
    """
    root = folder / "root"
    subprocess.run(["cp", "-a", "--reflink=auto", base, root], check=True)
    shown = []
    for source, place in (*((path, path) for path in index.folders), *index.files):
        target = root / place.lstrip("/")
        if os.path.isdir(source):
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        quoted = shlex.quote(str(target))
        shown += [f"mount --bind {shlex.quote(source)} {quoted}", f"mount -o remount,bind,ro {quoted}"]
    holder = subprocess.Popen(
        [*UNSHARE, "/bin/sh", "-c", SET_UP % "\n".join(shown), "sh", str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": ENVIRONMENT["PATH"]},
        text=True,
    )
    assert holder.stdin and holder.stdout and holder.stderr  # noqa: S101, PT018 - pipes were asked for
    try:
        if holder.stdout.readline() != "ready\n":
            sys.exit(f"no namespaces on this machine: {holder.stderr.read().strip()}")
        children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()
        yield Machine(root, int(children[0]), dict(index.environment))
    finally:
        holder.stdin.close()
        try:
            holder.wait(20)
        except subprocess.TimeoutExpired:
            holder.kill()
            holder.wait()
        holder.stdout.close()
        holder.stderr.close()
        # Never into what is still shown there: on one file system, and only when nothing is mounted any more.
        if str(root) in Path("/proc/self/mountinfo").read_text():
            sys.exit(f"{root} still has mounts; look at them, and remove it by hand")
        shutil.rmtree(root)
