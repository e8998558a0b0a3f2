"""What an emulated account consists of. The rules are in the other modules; here are only names and links."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from cloudha.lab.world import Machine
from cloudha.types import IPAddress

__all__ = ["Floating", "Interface", "Reserved", "Route", "Subnet", "Table", "Virtual", "Vpc", "new_id"]

NAMESPACE = uuid.UUID("6f1c0c53-8f0e-4b5d-9a55-5d0f4b1f7c01")


def new_id(prefix: str, *names: str) -> str:
    """Return an id in IBM's form, always the same for the same names."""
    return f"{prefix}{uuid.uuid5(NAMESPACE, '/'.join(names))}"


@dataclass(slots=True)
class Vpc:
    """A virtual private cloud."""

    id: str
    name: str


@dataclass(slots=True)
class Subnet:
    """A subnet in one zone; ``table``: the id of its routing table."""

    id: str
    name: str
    vpc: str
    cidr: str
    zone: str
    table: str


@dataclass(slots=True)
class Reserved:
    """A reserved IP; ``interface``: the id of the VNI that it is bound to, "" for none.

    ``other``: the resource type of what has it instead. ``state`` is the lifecycle's.
    """

    id: str
    name: str
    subnet: str
    ip: IPAddress
    interface: str = ""
    auto_delete: bool = False
    owner: str = "user"
    other: str = ""
    state: str = "stable"


@dataclass(slots=True)
class Interface:
    """A VNI; ``primary``: the id of its own reserved IP; ``machine``: the name of what has it, "" for none.

    ``share``: whether that is a file share.
    """

    id: str
    name: str
    mac: str
    subnet: str
    primary: str
    machine: str = ""
    spoofs: bool = True
    share: bool = False


@dataclass(slots=True)
class Floating:
    """A floating IP; ``gateway``: whether a public gateway has it."""

    id: str
    name: str
    ip: IPAddress
    zone: str
    interface: str = ""
    gateway: bool = False
    state: str = "available"


@dataclass(slots=True)
class Route:
    """A route of a table; ``hop`` "" for an action that delivers nothing."""

    id: str
    name: str
    destination: str
    zone: str
    hop: str
    action: str = "deliver"
    origin: str = "user"
    advertise: bool = False
    priority: int = 2
    state: str = "stable"


@dataclass(slots=True)
class Table:
    """A routing table; ``ingress``: whether it also serves what comes through a transit gateway."""

    id: str
    name: str
    vpc: str
    ingress: bool = False
    routes: list[Route] = field(default_factory=list)


@dataclass(slots=True)
class Virtual:
    """An instance; ``machine`` is what it is in the world. ``serial`` counts its changes of power.

    ``history``: when it has had which status, oldest first; the last one is now.
    """

    id: str
    name: str
    vpc: str
    zone: str
    machine: Machine
    history: list[tuple[float, str]]
    group: str = "cluster"
    scaled: bool = False
    spot: bool = False
    serial: int = 0

    @property
    def status(self) -> str:
        """What it is now."""
        return self.history[-1][1]
