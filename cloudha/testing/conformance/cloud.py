"""What an author supplies to the kit: a cloud whose truth can be seen and whose faults can be ordered."""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from cloudha.types import IPAddress, Kind, Node

__all__ = ["Capability", "Fault", "Scope", "TestCloud"]


class Fault(enum.Enum):
    """One way in which a cloud does not answer as it should."""

    #: too many requests; with a Retry-After of a second at most (Capability.RETRY_AFTER)
    THROTTLE = "throttle"
    #: an internal error, 5xx
    ERROR = "error"
    #: the request is read and never answered
    HANG = "hang"
    #: the connection is refused or reset
    REFUSE = "refuse"
    #: the answer breaks off in the middle
    CUT = "cut"
    #: success, with a web page for a body
    GARBAGE = "garbage"
    #: success, with fields missing from the document
    MISSING = "missing"
    #: the credentials are not known
    UNAUTHORIZED = "unauthorized"
    #: the credentials have expired
    EXPIRED = "expired"
    #: the credentials lack a permission
    FORBIDDEN = "forbidden"
    #: the present state forbids the change
    CONFLICT = "conflict"


class Scope(enum.Enum):
    """Which requests a fault hits."""

    #: the cloud's API, and the service that issues credentials; not the machine's metadata service
    API = "api"
    #: only the API requests that change something
    CHANGES = "changes"
    #: only the machine's metadata service
    METADATA = "metadata"
    EVERYTHING = "everything"


class Capability(enum.Enum):
    """What a provider or its test cloud may lack, each with a reason in ``without``."""

    #: list_nodes, power_state, power_off, power_on
    FENCING = "fencing"
    #: IPv6 addresses float
    IPV6 = "ipv6"
    #: local_evidence says yes and no, not only "cannot tell"
    LOCAL_EVIDENCE = "local evidence"
    #: listings have pages
    PAGING = "paging"
    #: a throttled request is told how long to wait
    RETRY_AFTER = "retry after"
    #: two machines may have one name
    SAME_NAMES = "same names"


class TestCloud(ABC):
    """A cloud with two machines, seen from behind. All that is called "truth" bypasses the provider and its faults.

    After :meth:`reset`, both machines run, no address is held, no fault is ordered, this process is the first machine,
    and a stop or a start takes a few tenths of a second.
    """

    # Its name begins as a test's does, and pytest must not take it for one.
    __test__: ClassVar[bool] = False

    @property
    @abstractmethod
    def machines(self) -> tuple[Node, Node]:
        """The two machines: ids, different names, and at least one address of each (no floating one)."""

    @property
    @abstractmethod
    def missing_id(self) -> str:
        """A machine's id in the right form, that no machine has."""

    @abstractmethod
    def options(self) -> Mapping[str, str]:
        """Return the parameters that reach this cloud, without ``provider=``, with a value for every secret option."""

    @abstractmethod
    def addresses(self, kind: Kind, version: int) -> tuple[IPAddress, IPAddress]:
        """Return two addresses of that kind that can float, of IP *version* 4 or 6 (6 only with Capability.IPV6).

        Choose them so that the text of the first begins the text of the second, as 10.0.0.1 and 10.0.0.10, where the
        cloud lets you: it shows a provider that compares text.
        """

    @abstractmethod
    def reset(self) -> None:
        """Go back to the state that the class describes, at once, whatever is under way."""

    @abstractmethod
    def local(self, machine: Node | None) -> None:
        """Make this host be *machine* from now on, for the provider's local hooks; None: no machine of this cloud.

        What :meth:`options` returns may change by it. Processes that are started later see it, too.
        """

    @abstractmethod
    def powered(self, machine_id: str) -> bool:
        """Whether the machine runs now, in truth; one that is stopping still does."""

    @abstractmethod
    def set_power(self, machine_id: str, *, on: bool) -> None:
        """Switch a machine behind everybody's back, at once."""

    @abstractmethod
    def transition(self, seconds: float) -> None:
        """Let every stop and start from now on take so long; until then the machine runs, or does not, as before."""

    @abstractmethod
    def holder(self, kind: Kind, ip: IPAddress) -> str | None:
        """Return the id of the machine that holds the address in truth, None for nobody."""

    @abstractmethod
    def give(self, kind: Kind, ip: IPAddress, machine_id: str | None) -> None:
        """Bind the address to that machine (None: to nobody) behind everybody's back, at once."""

    @abstractmethod
    def inject(self, fault: Fault, scope: Scope, times: int | None = None) -> None:
        """Put a fault in force for that many requests, None: until :meth:`reset`.

        ``CONFLICT`` comes with ``Scope.CHANGES`` only. ``CUT``, ``GARBAGE`` and ``MISSING`` spoil the answer to a
        change that *was* made.
        """

    @abstractmethod
    def faulted(self) -> int:
        """Return how many requests faults have hit since :meth:`reset`."""

    def rename(self, machine_id: str, name: str) -> None:
        """Give a machine another name, perhaps one that is taken (Capability.SAME_NAMES)."""
        raise NotImplementedError

    def crowd(self) -> frozenset[str]:
        """Add machines until a listing of them has three pages or more, and return all ids (Capability.PAGING)."""
        raise NotImplementedError

    def crowd_addresses(self, kind: Kind) -> Mapping[IPAddress, str]:
        """Bind addresses of that kind until a listing has three pages or more (Capability.PAGING).

        Return who holds which, of those that are held.
        """
        raise NotImplementedError
