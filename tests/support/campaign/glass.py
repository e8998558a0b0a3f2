"""A place in which nothing stays unseen: what an agent logs, writes, starts and shows in the process list."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent_process import started
from campaign.player import Command, Player
from cloudha.testing.emulator import Application, Reply, Request
from private_node import PrivateNode

__all__ = ["SET_UP", "Glass", "Shown"]

# Where a program might put a file. What is there stays readable; what is written is kept apart, below /mnt.
FOLDERS = ("tmp", "var", "root", "home", "etc", "usr", "opt", "srv")
# Programs that the agents start, and SDKs behind their back; each gives way to one that first notes down what it gets.
PROGRAMS = ("/usr/sbin/ip", "/usr/bin/uname")
NOTES = "/mnt/children"
RECORDER = rf"""#!/bin/sh
{{ tr '\0' '\n' </proc/$$/environ; printf '%s\n' "$@"; }} >>{NOTES}
exec /mnt/real/${{0##*/}} "$@"
"""
OVERLAY = "mount -t overlay -o lowerdir=/$d,upperdir=/mnt/$d/up,workdir=/mnt/$d/work overlay /$d"
SET_UP = (
    "mount -t tmpfs -o mode=755 tmpfs /mnt",
    f"mkdir /mnt/real && cp -L {' '.join(PROGRAMS)} /mnt/real",
    "mkdir /mnt/dev && mount -t tmpfs -o mode=755 tmpfs /mnt/dev",
    "for n in 'null 3' 'zero 5' 'full 7' 'random 8' 'urandom 9'; do mknod -m 666 /mnt/dev/${n% *} c 1 ${n#* }; done",
    "mount --rbind /mnt/dev /dev",
    f"for d in {' '.join(FOLDERS)}; do mkdir -p /mnt/$d/up /mnt/$d/work; {OVERLAY}; done",
    f"cat >/mnt/recorder <<'END'\n{RECORDER}END",
    f"chmod 755 /mnt/recorder; for p in {' '.join(PROGRAMS)}; do mount --bind /mnt/recorder $(readlink -f $p); done",
)
# Request headers that hold what nobody else may see, and what in them is long enough to be it.
HEADERS = re.compile("token|authorization|secret|x-ims")
TOKEN = re.compile(r"[A-Za-z0-9_.+/-]{24,}=*")
PUBLIC = re.compile("aws4_request|rsa-sha256|keyId", re.IGNORECASE)
POLL_SECONDS = 0.002
MOST_DATAGRAM = 65536


@dataclass
class Shown:
    """What one run has shown, by where it was seen."""

    code: int
    where: dict[str, str] = field(default_factory=dict)


class Glass:
    """Runs agents in the place and keeps what is seen of them.

    :param player: of the provider, in a place that was made with :data:`SET_UP`.
    """

    def __init__(self, player: Player) -> None:
        self.player = player
        self.tokens: set[str] = set()
        self._log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._log.bind(str(player.place.path("/dev/log")))
        self._log.settimeout(0)
        for server in player.cloud.servers:
            self._listen(server._service.application)

    def close(self) -> None:
        """Close the log's socket."""
        self._log.close()

    def run(self, command: Command) -> Shown:
        """Run a command to its end and return all that could be seen of it."""
        place: PrivateNode = self.player.place
        with (
            started([*place.prefix, *command.words], command.environment, cwd="/") as process,
            _listing(process.pid) as listed,
        ):
            try:
                out, err = process.communicate(command.text.encode(), timeout=command.seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
        shown = Shown(process.returncode)
        shown.where = {
            "standard output": out.decode(errors="replace"),
            "standard error": err.decode(errors="replace"),
            "process list": "\n".join(listed),
            "log": "\n".join(self.logged()),
        }
        return shown

    def logged(self) -> Iterator[str]:
        """Yield the lines that came to ``/dev/log`` since the last time."""
        with contextlib.suppress(BlockingIOError):
            while True:
                yield self._log.recv(MOST_DATAGRAM).decode(errors="replace")

    def left(self) -> Mapping[str, str]:
        """Return what lies around in the place: every file that was written there, and the children's notes."""
        found = {}
        for top in ("/mnt", "/run"):
            root = self.player.place.path(top)
            for file in sorted(root.rglob("*")):
                inside = str(file.relative_to(root))
                program = inside == "recorder" or inside.startswith(("dev/", "real/"))
                if file.is_file() and not file.is_symlink() and not program:
                    found[f"{top}/{inside}"] = file.read_text(errors="replace")
        return found

    def forget(self) -> None:
        """Remove the files that were written."""
        for name in self.left():
            with contextlib.suppress(OSError):
                self.player.place.path(name).unlink()

    def secrets_in(self, text: str) -> list[str]:
        """Return the names of the secrets and tokens in *text*."""
        return [*self.player.leaks(text), *(f"a token ({t[:6]}...)" for t in self.tokens if t in text)]

    def _listen(self, application: Application) -> None:
        answer = application.answer

        def listening(request: Request) -> Reply:
            for name, value in request.headers.items():
                if HEADERS.search(name):
                    self.tokens |= {word for word in TOKEN.findall(value) if not PUBLIC.search(word)}
            return answer(request)

        application.answer = listening  # type: ignore[method-assign]  # this one server's, to see what is sent to it


@contextlib.contextmanager
def _listing(pid: int) -> Iterator[set[str]]:
    """Look at the process list all the time, at the agent and whatever it starts."""
    seen: set[str] = set()
    ending = threading.Event()

    def look() -> None:
        while not ending.wait(POLL_SECONDS):
            own = _read(pid, "cmdline")
            seen.add(own)
            for child in _children(pid):
                line = _read(child, "cmdline")
                # Between fork and exec a child still is the agent, with the agent's memory and environment.
                if line and line != own:
                    seen.update((line, _read(child, "environ")))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    began = time.monotonic()
    try:
        yield seen
    finally:
        ending.set()
        thread.join()
        assert seen or time.monotonic() - began < 10 * POLL_SECONDS, "nobody looked"


def _read(pid: int, name: str) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found
