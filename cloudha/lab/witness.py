"""A client that never stops asking the floating addresses who they are, and writes down every answer.

Runs as a process in the client's network for as long as the lab is up. What it wrote, together with what the nodes'
NICs held, is judged in :mod:`cloudha.lab.evidence`.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from cloudha.lab.answerer import ANSWER_PORT, QUESTION
from cloudha.lab.interpreter import module_command, module_environment
from cloudha.lab.namespaces import enter_network
from cloudha.lab.problems import NotReady
from cloudha.lab.programs import poll, spawn
from cloudha.lab.state import LabState, read_lines
from cloudha.types import IPAddress

__all__ = ["main", "start_witness", "watch"]

# 20 times a second: an outage is measured to 50 ms, and two answerers have little time to hide.
ASK_SECONDS = 0.05
START_SECONDS = 10.0


def watch(addresses: Sequence[IPAddress], log: TextIO, stop: threading.Event) -> None:
    """Ask every address, :data:`ASK_SECONDS` apart, and write a JSON line for each answer, until *stop*.

    A line: ``at`` (monotonic seconds when it came), ``asked`` (when it was asked), ``time`` (wall clock), ``address``,
    ``node``, ``question`` (its number: two nodes that answer the same one are two holders).
    """
    with contextlib.ExitStack() as stack:
        sockets = {
            version: stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            for version, family in ((4, socket.AF_INET), (6, socket.AF_INET6))
        }
        by_text = {str(ip): ip for ip in addresses}
        number = 0
        asked: dict[int, float] = {}
        due = time.monotonic()
        while not stop.is_set():
            number += 1
            asked[number] = time.monotonic()
            asked.pop(number - 1000, None)
            for text, ip in by_text.items():
                # No route at all is an answer too: nobody has it.
                with contextlib.suppress(OSError):
                    sockets[ip.version].sendto(QUESTION + b" %d" % number, (text, ANSWER_PORT))
            due = max(due + ASK_SECONDS, time.monotonic())
            _collect(list(sockets.values()), due, asked, log)


def _collect(sockets: list[socket.socket], until: float, asked: dict[int, float], log: TextIO) -> None:
    while (left := until - time.monotonic()) > 0:
        for ready in select.select(sockets, [], [], left)[0]:
            try:
                data, peer = ready.recvfrom(256)
                question, _, node = data.decode("ascii", "replace").partition(" ")
                line = {
                    "at": time.monotonic(),
                    "asked": asked.get(int(question), 0.0),
                    "time": time.time(),
                    "address": peer[0],
                    "node": node,
                    "question": int(question),
                }
            except (OSError, ValueError):
                continue  # an ICMP error, or not our protocol
            log.write(json.dumps(line) + "\n")
    log.flush()


def start_witness(state: LabState) -> None:
    """Start the witness and wait until it asks.

    :raises NotReady: it does not start.
    """
    spawn(
        [*enter_network(state.client_namespace), *module_command("cloudha.lab.witness", str(state.directory))],
        log=state.directory / "witness.log",
        environment={**module_environment(), **state.environment},
    )
    if not poll(lambda: bool(read_lines(state.witness_log)), START_SECONDS):
        raise NotReady(f"the witness does not start; see {state.directory / 'witness.log'}")


def main() -> None:
    """Be the witness of the lab that the command line names, until SIGTERM."""
    state = LabState(Path(sys.argv[1]))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with state.witness_log.open("a") as log:
        log.write(json.dumps({"witness": os.getpid(), "at": time.monotonic()}) + "\n")
        log.flush()
        watch(state.plan.floating, log, stop)


if __name__ == "__main__":
    main()
