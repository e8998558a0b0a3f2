"""A cluster in a lab, as the scenarios see it."""

from __future__ import annotations

import time
from collections.abc import Callable

from cloudha.lab import cluster, evidence, faults, verbs
from cloudha.lab.fencings import fencings
from cloudha.lab.nodes import run_in
from cloudha.lab.programs import poll
from cloudha.lab.state import LabState

__all__ = ["Record", "Stage", "Start"]

Start = Callable[..., LabState]
Record = Callable[[str, object], None]


# A client that is not given the processor for a second has not lost its service.
GAP_SECONDS = 2.0


class Stage:
    """A cluster that is set up, for one scenario: what the play needs, and what every scenario must end with."""

    def __init__(self, state: LabState) -> None:
        self.state = state
        self.begin = time.monotonic()

    @property
    def nodes(self) -> list[str]:
        return [node.name for node in self.state.plan.nodes]

    @property
    def holder(self) -> str:
        assert poll(lambda: cluster.holder(self.state) is not None, 60)
        return cluster.holder(self.state) or ""

    def other(self, node: str) -> str:
        return next(name for name in self.nodes if name != node)

    def run(self, place: str, *argv: str, seconds: float = 60) -> str:
        return run_in(self.state, place, *argv, seconds=seconds).out

    def answering(self) -> str | None:
        """Who answered the client within the last half second."""
        found = evidence.answers(self.state, time.monotonic() - 0.5, verbs.ADDRESS)
        return found[-1].node if found else None

    def fenced(self) -> list[str]:
        return [fencing.target for fencing in fencings(self.state, self.begin)]

    def outages(self) -> list[evidence.Outage]:
        """When nobody answered the client; shorter gaps than these are a loaded machine's own."""
        return evidence.outages(self.state, verbs.ADDRESS, self.begin, time.monotonic(), GAP_SECONDS)

    def settle(self) -> None:
        """Bring everything back to the first picture: all nodes online, no fault, no failure, the address answering."""
        faults.clear_faults(self.state)
        verbs.heal(self.state)
        for node in self.nodes:
            verbs.on(self.state, node)
        cluster.wait_online(self.state, 90, self.nodes)
        for node in self.nodes:
            run_in(self.state, self.nodes[0], "pcs", "node", "unstandby", node, seconds=60)
        run_in(self.state, self.nodes[0], "pcs", "resource", "cleanup", seconds=60)
        run_in(self.state, self.nodes[0], "pcs", "stonith", "cleanup", seconds=60)
        cluster.wait_idle(self.state, 90)
        assert poll(lambda: self.answering() is not None, 60), "the address does not answer before the scenario"
        self.begin = time.monotonic()

    def check(self, since: float) -> None:
        """What must be true of everything since the scenario began, once the cluster is whole again."""
        assert evidence.double_holders(self.state, since) == []
        for node in self.nodes:
            done = run_in(self.state, node, "crm_verify", "-L", "-V")
            assert (done.out + done.err).strip() == ""
