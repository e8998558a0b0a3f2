"""Azure's limits for one machine: a bucket for each group of operations, refilled by the minute."""

from __future__ import annotations

import threading
import time

from cloudha_plugin_azure.emulator.behaviour import ArmError

__all__ = ["Limits"]

# "Throttling limits for virtual machines": capacity of the bucket, refill in a minute.
BUCKETS = {"view": (36, 12), "power": (12, 4), "operation": (45, 15)}


class Limits:
    """Token buckets, by group and machine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._levels: dict[tuple[str, str], tuple[float, float]] = {}

    def take(self, group: str, machine: str) -> None:
        """Count a request.

        :raises ArmError: 429 with the seconds until there is room.
        """
        capacity, refill = BUCKETS[group]
        now = time.monotonic()
        with self._lock:
            level, then = self._levels.get((group, machine.lower()), (float(capacity), now))
            level = min(float(capacity), level + (now - then) * refill / 60)
            if level >= 1:
                self._levels[group, machine.lower()] = (level - 1, now)
                return
            self._levels[group, machine.lower()] = (level, now)
        wait = int((1 - level) * 60 / refill) + 1
        raise ArmError(429, "OperationNotAllowed", "The server rejected the request: too many calls.", retry_after=wait)
