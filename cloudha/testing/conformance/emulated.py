"""Faults for a test cloud that stands on :class:`cloudha.testing.emulator.FaultServer`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudha.testing.conformance.cloud import Fault, Scope, TestCloud
from cloudha.testing.emulator import Effect, FaultServer
from cloudha.testing.emulator import Fault as Order

__all__ = ["EmulatedCloud"]

# Short, since every check of throttling waits for it.
RETRY_AFTER_SECONDS = 0.2


class EmulatedCloud(TestCloud):
    """A test cloud without its truth: faults are ordered from the server.

    :param server: the emulated API; where the metadata service is a server of its own, pass that, too.
    :param operations: globs over the emulator's operation names, for each scope.
    """

    def __init__(self, *servers: FaultServer, operations: Mapping[Scope, str]) -> None:
        self.servers = servers
        self._operations = operations

    def inject(self, fault: Fault, scope: Scope, times: int | None = None) -> None:
        """Order the fault of the same name."""
        details: dict[str, Any] = {"retry_after": RETRY_AFTER_SECONDS} if fault is Fault.THROTTLE else {}
        order = Order(self._operations[scope], Effect(fault.value), count=times, **details)
        for server in self.servers:
            server.faults.add(order)

    def faulted(self) -> int:
        """Count the requests that were hit."""
        return sum(standing.hits for server in self.servers for standing in server.faults.listing())

    def reset(self) -> None:
        """End all faults; a subclass sets the rest of the state."""
        for server in self.servers:
            server.faults.clear()
            server.journal.clear()
