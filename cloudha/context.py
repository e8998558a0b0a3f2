"""What a hook is given besides its question: the settings, the clock, and a place for its client."""

from __future__ import annotations

from collections.abc import Callable

from cloudha.deadline import Deadline
from cloudha.options import Settings

__all__ = ["Context", "Timeouts"]

# For mypy, which knows the name. The real one is in typing, which metadata can do without.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from typing_extensions import Self

    T = TypeVar("T")

# One request to a healthy API takes well under a second; these bound a hanging one, so that a retry still fits.
CONNECT_SECONDS = 3.0
READ_SECONDS = 8.0
# SDKs reject a timeout of zero; with this little time left the host gives up anyway.
LEAST_SECONDS = 0.1


class Timeouts(tuple[float, float]):
    """Seconds for one HTTP request, ``(connect, read)``, to be passed to the SDK."""

    __slots__ = ()

    def __new__(cls, connect: float, read: float) -> Self:
        """Take both."""
        return super().__new__(cls, (connect, read))

    @property
    def connect(self) -> float:
        """The most that connecting may take."""
        return self[0]

    @property
    def read(self) -> float:
        """The most that one piece of the answer may take."""
        return self[1]


class Context:
    """Passed to every hook. One for each action; hooks keep nothing else between calls.

    :param settings: the checked values of the provider's options and the common ones.
    :param deadline: of the action.
    :param connect_seconds: the most that connecting may take.
    :param read_seconds: the most that waiting for one piece of an answer may take.
    """

    def __init__(
        self,
        settings: Settings,
        deadline: Deadline,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self.settings = settings
        self.deadline = deadline
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._kept: dict[str, object] = {}

    @property
    def timeouts(self) -> Timeouts:
        """The timeouts for a request sent now: short, and never beyond the deadline."""
        left = max(self.deadline.remaining, LEAST_SECONDS)
        return Timeouts(min(self._connect_seconds, left), min(self._read_seconds, left))

    def once(self, key: str, make: Callable[[], T]) -> T:
        """Return what *make* returned the first time for *key*: an SDK's client, a token, this machine's identity.

        Nothing is kept when *make* raises.
        """
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]  # type: ignore[return-value]  # the key stands for the type; callers keep them apart
