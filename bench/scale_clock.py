"""A clock for a simulation: generators that yield the seconds which they wait, run in the order of time."""

from __future__ import annotations

import heapq
import random
from collections.abc import Generator
from typing import TypeVar

from scale_limits import Buckets

__all__ = ["Account", "Clock", "Steps", "within"]

T = TypeVar("T")
# A process, or a part of one: yields seconds to wait, returns a T.
Steps = Generator[float, None, T]

# One request from a node to the regional API and back.
REQUEST_SECONDS = 0.05


class Clock:
    """Simulated time in seconds, from 0 on; ``random`` is the only source of chance."""

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.random = random.Random(seed)  # noqa: S311 - a simulation repeats itself with the same seed
        self._waiting: list[tuple[float, int, Steps[None]]] = []
        self._order = 0

    def add(self, steps: Steps[None], after: float = 0.0) -> None:
        """Let a process begin after that many seconds."""
        self._order += 1
        heapq.heappush(self._waiting, (self.now + after, self._order, steps))

    def run(self, until: float) -> None:
        """Go on until that time, or until no process is left."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= until:
            self.now, _, steps = heapq.heappop(waiting)
            try:
                seconds = next(steps)
            except StopIteration:
                continue
            self._order += 1
            heapq.heappush(waiting, (self.now + seconds, self._order, steps))
        self.now = until


class Account:
    """The account's API: takes tokens, counts what it was asked and what it refused, and keeps a list on request."""

    def __init__(self, clock: Clock, buckets: Buckets | None) -> None:
        self.clock = clock
        self.buckets = buckets
        self.asked = 0
        self.refused = 0
        self.log: list[str] | None = None
        self.refuses: tuple[str, ...] = ()

    def ask(self, bucket: str) -> Steps[bool]:
        """Send one request and return whether it was answered. ``refuses`` names operations that never are."""
        yield REQUEST_SECONDS
        self.asked += 1
        if self.log is not None:
            self.log.append(bucket)
        refused = bucket.startswith(self.refuses) if self.refuses else False
        if refused or (self.buckets is not None and not self.buckets.take(bucket, self.clock.now)):
            self.refused += 1
            return False
        return True


def within(clock: Clock, steps: Steps[T], seconds: float) -> Steps[T | None]:
    """Take these steps, and return None when they take longer: what was begun is killed."""
    end = clock.now + seconds
    while True:
        try:
            wait = next(steps)
        except StopIteration as finished:
            done: T = finished.value
            return done
        if clock.now + wait > end:
            yield end - clock.now
            steps.close()
            return None
        yield wait
