"""The world that an emulated cloud works on: the lab's nodes and network."""

from __future__ import annotations

import threading

from cloudha.lab.network import Network
from cloudha.lab.power import cut_power, give_power, powered
from cloudha.lab.state import LabState
from cloudha.lab.world import Machine
from cloudha.types import IPAddress

__all__ = ["BY_CLOUD", "LabWorld"]

# Why a node's power changed, in the lab's events: the control plane did it.
BY_CLOUD = "by the cloud"


class LabWorld:
    """Implements :class:`cloudha.lab.world.World`. Safe to call from many threads: one change at a time."""

    def __init__(self, state: LabState) -> None:
        self._state = state
        self._network = Network(state)
        self._changing = threading.Lock()

    def machines(self) -> tuple[Machine, ...]:
        """All nodes of the lab."""
        return tuple(node.machine for node in self._state.plan.nodes)

    def powered(self, name: str) -> bool:
        """Whether the node runs now."""
        return powered(self._state, name)

    def cut_power(self, name: str) -> None:
        """End everything on the node."""
        cut_power(self._state, name, BY_CLOUD)

    def give_power(self, name: str) -> None:
        """Boot the node."""
        give_power(self._state, name, BY_CLOUD)

    def route(self, ip: IPAddress, name: str | None) -> None:
        """Route *ip* to the node's port only."""
        with self._changing:
            self._network.route(ip, name)
        self._state.note("route", name or "", str(ip))
