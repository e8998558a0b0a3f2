"""Wait for the cloud's truth, within bounds: changes may take effect later than they are accepted."""

from __future__ import annotations

from collections.abc import Callable

from cloudha.deadline import Deadline

__all__ = ["eventually", "stays"]

# Test clouds take tenths of a second for a change; this is for a machine under load.
MOST_SECONDS = 10.0
POLL_SECONDS = 0.02
# How long something that must not happen is waited for: longer than an accepted change of a test cloud takes.
STAY_SECONDS = 0.15


def eventually(true: Callable[[], bool]) -> bool:
    """Whether *true* becomes so."""
    deadline = Deadline(MOST_SECONDS)
    while not true():
        if deadline.passed:
            return False
        deadline.sleep(POLL_SECONDS)
    return True


def stays(true: Callable[[], bool]) -> bool:
    """Whether *true* is so, and still is after a while."""
    deadline = Deadline(STAY_SECONDS)
    while true():
        if deadline.passed:
            return True
        deadline.sleep(POLL_SECONDS)
    return False
