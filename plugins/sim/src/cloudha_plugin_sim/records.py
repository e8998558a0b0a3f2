"""What the simulated cloud keeps of machines and addresses, and how it behaves. Immutable: a change is a new record."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from cloudha.types import IPAddress, Kind

__all__ = ["Address", "AddressKey", "Behaviour", "CloudError", "Instance", "Nic", "Snapshot", "State"]

AddressKey = tuple[Kind, IPAddress]


class State(str, enum.Enum):
    """A machine's state, in this cloud's words."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    TERMINATED = "terminated"


@dataclass(frozen=True, slots=True)
class Nic:
    """A network interface and its own address, which does not float."""

    id: str
    mac: str
    address: IPAddress


@dataclass(frozen=True, slots=True)
class Instance:
    """A machine.

    ``world_name`` is its name in the world, where names are unique; ``name`` is a label, which two machines may
    share. ``group``: the scaling group it belongs to, "" for none. ``restart_after``: seconds after which that
    group starts it again whenever it was stopped, None for never. ``serial`` grows with every change of state.
    """

    id: str
    name: str
    world_name: str
    state: State
    nics: tuple[Nic, ...]
    group: str = ""
    restart_after: float | None = None
    serial: int = 0


@dataclass(frozen=True, slots=True)
class Address:
    """An address and its one holder (None: nobody); ``where`` is the NIC's id, or the route table's.

    ``own``: the address of a NIC itself, which can be asked about and not be moved.
    """

    kind: Kind
    ip: IPAddress
    machine: str | None = None
    where: str = ""
    own: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that was true at a time (monotonic seconds)."""

    time: float
    machines: Mapping[str, Instance]
    addresses: Mapping[AddressKey, Address]


@dataclass(slots=True)
class Behaviour:
    """How the cloud behaves; may be changed while it runs. Times are in seconds.

    ``stop``, ``start``: from the request to the final state. ``bind``: from an accepted change of an address to its
    effect. ``stale``: how old the answers to reads are. ``page``: items on a page. ``rate`` and ``burst``: of each
    caller's requests, per second and at once; rate 0 does not throttle. ``addresses_per_machine``: a quota.
    ``denied``: permissions that nobody has.
    """

    stop: float = 0.2
    start: float = 0.2
    bind: float = 0.0
    stale: float = 0.0
    page: int = 50
    rate: float = 0.0
    burst: int = 20
    addresses_per_machine: int = 100
    denied: tuple[str, ...] = field(default=())


class CloudError(Exception):
    """The cloud refuses; becomes an HTTP status and an error body. ``retry_after``: seconds, None for no header."""

    def __init__(self, status: int, code: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after
