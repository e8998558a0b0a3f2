"""The border between an emulated cloud and the lab's machines: what a control plane can do to the world.

An emulator (entry point group ``cloudha.emulators``, the entry's name is the value of ``provider=``) is a callable
``make(world, host, port) -> Emulator``. It decides *when* things happen (delays, states, faults); the world only does
them, at once, and says what is true.

A file that the machines must be able to read (a certificate authority) goes, when the emulator is made, into the
directory that the environment variable ``CLOUDHA_LAB_SHARED`` names: they see it, read-only, at the same path, whatever
else of the disk they see.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from cloudha.types import IPAddress

__all__ = ["Emulator", "Machine", "World"]


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of the world: its name, its primary address and its NIC's MAC (lower case)."""

    name: str
    address: IPAddress
    mac: str


class World(Protocol):
    """The machines and the network under a control plane. Every call returns when it has happened."""

    def machines(self) -> tuple[Machine, ...]:
        """All machines, powered or not."""
        ...

    def powered(self, name: str) -> bool:
        """Whether the machine runs now, whoever switched it."""
        ...

    def cut_power(self, name: str) -> None:
        """End everything on the machine at once. No packet of it leaves afterwards. Already dead is success."""
        ...

    def give_power(self, name: str) -> None:
        """Boot the machine. Already running is success."""
        ...

    def route(self, ip: IPAddress, name: str | None) -> None:
        """Deliver packets for *ip* to the machine's NIC only, None: to nobody."""
        ...


class Emulator(Protocol):
    """A running control plane."""

    def serve(self) -> None:
        """Listen and answer until :meth:`close` is called from another thread."""
        ...

    def close(self) -> None:
        """Stop listening and end every open connection."""
        ...

    def options(self) -> Mapping[str, str]:
        """The parameters that make both agents reach this control plane from inside the lab (no provider=)."""
        ...
