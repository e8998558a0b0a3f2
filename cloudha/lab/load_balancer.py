"""The cloud's internal load balancer: it probes the nodes over TCP, and sends the address to one that answers.

Runs as a process in the cloud's network for as long as the lab is up, in a lab whose address is floated by
``lb-probe``. As in Azure, a node becomes healthy, or ceases to be, after :data:`THRESHOLD` probes in a row that say so,
and packets keep the address as their destination (floating IP, direct server return): the node must have it on its NIC.
Unlike there, probes are half a second apart instead of five, so that a scenario does not take a minute, and of two
healthy nodes the one that was first keeps all of the traffic. It asks no control plane: an outage of the API does not
touch it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import TextIO

from cloudha.lab import plan as plans
from cloudha.lab.interpreter import module_command, module_environment
from cloudha.lab.namespaces import enter_network
from cloudha.lab.network import Network
from cloudha.lab.problems import LabError, NotReady
from cloudha.lab.programs import poll, spawn
from cloudha.lab.state import LabState, read_lines
from cloudha.types import IPAddress

__all__ = ["Balancer", "health", "main", "start_load_balancer", "wait_routed"]

INTERVAL_SECONDS = 0.5
# A node that has lost its network does not refuse the connection, it says nothing.
PROBE_SECONDS = 0.5
THRESHOLD = 2
START_SECONDS = 10.0
# Some probes, on a machine under load.
ROUTED_SECONDS = 20.0


class Balancer:
    """Decides who gets the traffic of *address*. Safe to use from several threads."""

    def __init__(self, state: LabState, address: IPAddress, log: TextIO) -> None:
        self._state = state
        self._address = address
        self._log = log
        self._lock = threading.Lock()
        #: how many probes in a row contradict what is believed of the node
        self._against: dict[str, int] = {}
        #: the healthy nodes, the one that became so first before the others
        self._healthy: list[str] = []
        #: to whom the address is routed, None for nobody
        self._routed: str | None = None

    def probed(self, name: str, *, answered: bool) -> None:
        """Take note of a probe's end, and route anew when the node's health has changed."""
        with self._lock:
            if answered is (name in self._healthy):
                self._against[name] = 0
            else:
                self._against[name] = self._against.get(name, 0) + 1
                if self._against[name] >= THRESHOLD:
                    self._change(name, healthy=answered)
            self._route()

    def _change(self, name: str, *, healthy: bool) -> None:
        self._against[name] = 0
        if healthy:
            self._healthy.append(name)
        else:
            self._healthy.remove(name)
        self._write(name, healthy=healthy)

    def _route(self) -> None:
        chosen = self._healthy[0] if self._healthy else None
        if chosen == self._routed:
            return
        try:
            Network(self._state).route(self._address, chosen)
        except LabError as error:
            # The node's port may be coming or going at this very moment: the next probe's end tries again.
            print(error, file=sys.stderr, flush=True)  # noqa: T201 - this process's log
            return
        self._routed = chosen
        self._state.note("route", chosen or "", str(self._address))

    def _write(self, name: str, *, healthy: bool) -> None:
        line = {"at": time.monotonic(), "time": time.time(), "node": name, "healthy": healthy}
        self._log.write(json.dumps(line) + "\n")
        self._log.flush()
        self._state.note("probe answered" if healthy else "probe not answered", name)


def answers(address: IPAddress, port: int) -> bool:
    """Probe once: whether the machine takes a TCP connection."""
    try:
        socket.create_connection((str(address), port), PROBE_SECONDS).close()
    except OSError:
        return False
    return True


def probe_forever(node: plans.NodePlan, port: int, balancer: Balancer, stop: threading.Event) -> None:
    """Probe one node until *stop*."""
    while not stop.wait(INTERVAL_SECONDS):
        balancer.probed(node.name, answered=answers(node.address, port))


def health(state: LabState, since: float = 0.0) -> list[tuple[float, str, bool]]:
    """Return when which node became healthy (True) or ceased to be (False), in order."""
    return [
        (float(str(line["at"])), str(line["node"]), line["healthy"] is True)
        for line in read_lines(state.balancer_log, since)
        if "healthy" in line
    ]


def start_load_balancer(state: LabState) -> None:
    """Start the load balancer and wait until it probes.

    :raises NotReady: it does not start.
    """
    spawn(
        [*enter_network(state.cloud_namespace), *module_command("cloudha.lab.load_balancer", str(state.directory))],
        log=state.directory / "load_balancer.log",
        environment={**module_environment(), **state.environment},
    )
    if not poll(lambda: bool(read_lines(state.balancer_log)), START_SECONDS):
        raise NotReady(f"the load balancer does not start; see {state.directory / 'load_balancer.log'}")


def wait_routed(state: LabState) -> None:
    """Wait until the load balancer sends the address to a node.

    :raises NotReady: no node answers its probe.
    """
    if not poll(lambda: plans.FLOATING[0] in Network(state).routes(), ROUTED_SECONDS):
        raise NotReady(f"no node answers the load balancer's probe; see {state.balancer_log}")


def main() -> None:
    """Be the load balancer of the lab that the command line names, until SIGTERM."""
    state = LabState(Path(sys.argv[1]))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with state.balancer_log.open("a") as log:
        balancer = Balancer(state, plans.FLOATING[0], log)
        probes = [
            threading.Thread(target=probe_forever, args=(node, plans.PROBE_PORT, balancer, stop), name=node.name)
            for node in state.plan.nodes
        ]
        for probe in probes:
            probe.start()
        log.write(json.dumps({"load_balancer": os.getpid(), "at": time.monotonic()}) + "\n")
        log.flush()
        for probe in probes:
            probe.join()


if __name__ == "__main__":
    main()
