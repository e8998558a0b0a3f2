"""The request log of an emulator, for tests and for people who want to see what an agent asked."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import asdict, dataclass

__all__ = ["Entry", "Journal"]

# A test or a lab's evening; older ones fall off.
MOST_ENTRIES = 10_000


@dataclass(slots=True)
class Entry:
    """One request. ``path`` includes the query; headers are never kept, they hold tokens.

    ``status`` is 0 as long as (and if for ever) no answer was sent; ``fault`` the effect that hit it, or "".
    ``time`` is monotonic seconds.
    """

    operation: str
    method: str
    path: str
    client: str
    time: float
    status: int = 0
    fault: str = ""


class Journal:
    """The last requests, oldest first. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque(maxlen=MOST_ENTRIES)

    def begin(self, operation: str, method: str, path: str, client: str, fault: str) -> Entry:
        """Note a request when it has been read. The server fills in the status later."""
        entry = Entry(operation, method, path, client, time.monotonic(), fault=fault)
        with self._lock:
            self._entries.append(entry)
        return entry

    def entries(self) -> tuple[Entry, ...]:
        """Return what is logged."""
        with self._lock:
            return tuple(self._entries)

    def operations(self) -> tuple[str, ...]:
        """Return the names of the logged operations, in order."""
        return tuple(entry.operation for entry in self.entries())

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()

    def to_json(self) -> list[dict[str, object]]:
        """Return the log as JSON objects."""
        return [asdict(entry) for entry in self.entries()]
