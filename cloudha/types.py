"""What is asked of a provider and what it answers. All values are immutable; *unknown* is a value of its own.

Enumerations have a member for "cannot tell", and no answer is ever a bare string, a bool or None: the host refuses
those, because an error that reads as "no" or as "off" destroys data.
"""

from __future__ import annotations

import enum
import ipaddress

from cloudha.record import Record

__all__ = [
    "Accepted",
    "AccessReport",
    "AddressChange",
    "AddressQuery",
    "Binding",
    "BindingPage",
    "Evidence",
    "IPAddress",
    "Kind",
    "Node",
    "NodePage",
    "NodeQuery",
    "Permission",
    "PowerReading",
    "PowerState",
    "Purpose",
    "Verdict",
]

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class PowerState(enum.Enum):
    """A machine's power, in the words of the field."""

    ON = "on"
    OFF = "off"
    STARTING = "starting"
    #: on its way down. NOT off: it may still write to a disk.
    STOPPING = "stopping"
    #: gone for good, seen for that very id. Counts as off.
    TERMINATED = "terminated"
    #: the cloud answered with a state that the provider cannot place. Never off.
    UNKNOWN = "unknown"

    @property
    def is_off(self) -> bool:
        """Whether a machine in this state runs nothing and holds no disk."""
        return self in (PowerState.OFF, PowerState.TERMINATED)


class Kind(enum.Enum):
    """How an address floats: on the NIC, as a public address mapped to the NIC, or as the target of a route."""

    PRIVATE = "private"
    PUBLIC = "public"
    ROUTE = "route"


class Verdict(enum.Enum):
    """A three-valued answer. ``CANNOT_TELL`` is neither yes nor no, all the way to the exit code."""

    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot tell"


class Purpose(enum.Enum):
    """What permissions are asked for in :func:`~cloudha.hookspecs.ProviderHooks.check_access`."""

    FENCING = "fencing"
    ADDRESSES = "addresses"


class Node(Record):
    """A machine of the cloud as the cloud knows it (instance, VM, server).

    ``id`` is the cloud's immutable id; ``name`` what people call it ("" when it has none); ``addresses`` its own
    addresses, by which a plug may name it; ``state`` as of this answer; ``warnings`` what an operator should know
    before relying on fencing it (member of a scaling group, a spot machine), shown by validate-all.
    """

    id: str
    name: str = ""
    state: PowerState = PowerState.UNKNOWN
    addresses: tuple[IPAddress, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """``name (id)``, or the id alone when it says the same."""
        return f"{self.name} ({self.id})" if self.name and self.name != self.id else self.id


class NodeQuery(Record):
    """Which machines: all (``plug`` None), or those whose id, name or address is ``plug``. ``page``: as answered."""

    plug: str | None = None
    page: str | None = None


class NodePage(Record):
    """One page of machines; ``next`` is the token of the following page, None on the last."""

    nodes: tuple[Node, ...]
    next: str | None = None


class PowerReading(Record):
    """The power of the machine ``node_id`` as the cloud says it now; ``raw`` the vendor's own word, for the log."""

    node_id: str
    state: PowerState
    raw: str = ""


class Accepted(Record):
    """The cloud took the request; whether it has happened is for the host to verify.

    ``sent``: False when nothing was asked for, because a read said that there is nothing to do, or when the cloud
    refused the request as needless. That may be older than the last change: the host does not take it for consent.
    """

    request_ids: tuple[str, ...] = ()
    detail: str = ""
    sent: bool = True


class AddressQuery(Record):
    """Where is ``ip`` (None: every address of that kind in sight)? ``page``: as answered.

    ``node_id``: the machine on whose behalf the agent asks, "" when not known yet.
    """

    kind: Kind
    ip: IPAddress | None = None
    node_id: str = ""
    page: str | None = None


class Binding(Record):
    """``ip`` is bound to the machine ``node_id``; None: the object (address, route) is there and no machine has it.

    ``where``: the NIC, VNIC, VNI, ipConfiguration or route table that holds it, in the vendor's id. An address that
    lives in several places (a route in several tables) is one Binding for each of them, those not held included.
    """

    ip: IPAddress
    node_id: str | None
    where: str = ""


class BindingPage(Record):
    """One page of bindings; ``next`` is the token of the following page, None on the last.

    For a query with an ``ip``, no binding on any page means: *definitely* bound nowhere.
    """

    bindings: tuple[Binding, ...]
    next: str | None = None


class AddressChange(Record):
    """Bind ``ip`` to, or unbind it from, the machine ``node_id``.

    ``move``: for bind, whether it may be taken from another machine. ``mac``: lower case, the NIC that the operator
    chose with ``nic``; "" for the provider's default (the primary one).
    """

    kind: Kind
    ip: IPAddress
    node_id: str
    move: bool = True
    mac: str = ""


class Evidence(Record):
    """What this machine can see by itself, without the cloud's API, of an address being bound to it.

    ``YES`` and ``NO`` only from a source that the vendor calls authoritative; a mere hint is ``CANNOT_TELL``.
    """

    verdict: Verdict
    source: str = ""


class Permission(Record):
    """One permission in the vendor's own name, and whether these credentials have it."""

    name: str
    granted: Verdict
    detail: str = ""


class AccessReport(Record):
    """The permissions that a purpose needs; ``identity`` says as whom the cloud knows us (never a secret)."""

    permissions: tuple[Permission, ...]
    identity: str = ""
