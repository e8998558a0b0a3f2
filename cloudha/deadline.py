"""The one clock of an action: how much time is left, and the only place that sleeps."""

from __future__ import annotations

import time

__all__ = ["Deadline", "operation_deadline"]

# Pacemaker kills at the timeout without warning. What is left after our own deadline pays for starting the
# interpreter before the clock was read, for the last line of output, and for a machine under load.
MARGIN_SHARE = 0.10
MARGIN_LEAST = 3.0
MARGIN_MOST_SHARE = 0.5


class Deadline:
    """A point in time (monotonic), made once at the start of an action and passed to all that waits.

    :param seconds: from now.
    """

    __slots__ = ("_end", "_start")

    def __init__(self, seconds: float) -> None:
        self._start = time.monotonic()
        self._end = self._start + max(0.0, seconds)

    @property
    def remaining(self) -> float:
        """Seconds left, 0.0 when it has passed."""
        return max(0.0, self._end - time.monotonic())

    @property
    def elapsed(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._start

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return self.remaining <= 0.0

    def within(self, seconds: float) -> Deadline:
        """Return a deadline *seconds* from now, and never after this one."""
        return Deadline(min(max(0.0, seconds), self.remaining))

    def sleep(self, seconds: float) -> None:
        """Wait *seconds*, or until the deadline if that comes first."""
        wait = min(seconds, self.remaining)
        if wait > 0:
            time.sleep(wait)


def operation_deadline(timeout: float) -> Deadline:
    """Return the deadline for a cluster operation that is killed after *timeout* seconds.

    The margin is 10 % of the timeout, at least 3 s, and never more than half of it.
    """
    margin = min(max(timeout * MARGIN_SHARE, MARGIN_LEAST), timeout * MARGIN_MOST_SHARE)
    return Deadline(timeout - margin)
