"""A world without a lab: machines that are names and a switch, for an emulated cloud alone and for tests."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Iterable

from cloudha.lab.world import Machine
from cloudha.types import IPAddress

__all__ = ["MemoryWorld"]

# Where machines get their addresses, when none are given: above the router and a few people's own.
NETWORK = ipaddress.ip_network("10.77.0.0/16")
FIRST_HOST = 11


class MemoryWorld:
    """A :class:`~cloudha.lab.world.World` in memory. All machines are running at first.

    :param machines: names, or ``name=address`` to choose the address.
    """

    def __init__(self, machines: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._machines: dict[str, Machine] = {}
        self._powered: dict[str, bool] = {}
        self._routes: dict[IPAddress, str] = {}
        for text in machines:
            name, _, address = text.partition("=")
            self.add(name, ipaddress.ip_address(address) if address else None)

    def add(self, name: str, address: IPAddress | None = None) -> Machine:
        """Add a running machine. A name that is taken gets a suffix: names are unique here, in a cloud they are not."""
        with self._lock:
            count = len(self._machines)
            unique = name if name not in self._machines else f"{name}~{count}"
            mac = f"02:00:00:00:{count >> 8:02x}:{count & 255:02x}"
            machine = Machine(unique, address or NETWORK[FIRST_HOST + count], mac)
            self._machines[unique] = machine
            self._powered[unique] = True
            return machine

    def machines(self) -> tuple[Machine, ...]:
        """See :meth:`cloudha.lab.world.World.machines`."""
        with self._lock:
            return tuple(self._machines.values())

    def powered(self, name: str) -> bool:
        """See :meth:`cloudha.lab.world.World.powered`."""
        with self._lock:
            return self._powered[name]

    def cut_power(self, name: str) -> None:
        """See :meth:`cloudha.lab.world.World.cut_power`. Also what a machine does that dies by itself."""
        with self._lock:
            self._powered[name] = False

    def give_power(self, name: str) -> None:
        """See :meth:`cloudha.lab.world.World.give_power`."""
        with self._lock:
            self._powered[name] = True

    def route(self, ip: IPAddress, name: str | None) -> None:
        """See :meth:`cloudha.lab.world.World.route`."""
        with self._lock:
            if name is None:
                self._routes.pop(ip, None)
            else:
                self._routes[ip] = name

    def routes(self) -> dict[IPAddress, str]:
        """Return which machine gets the packets for which address."""
        with self._lock:
            return dict(self._routes)
