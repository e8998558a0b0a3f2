"""Try again what may help to try again: only :class:`~cloudha.errors.Unavailable`, until the deadline.

The waiting is tenacity's. It is imported after the first failure, because it costs more than a whole healthy monitor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from cloudha.deadline import Deadline
from cloudha.errors import Unavailable

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["persist"]

T = TypeVar("T")

# Full jitter (many nodes meet the same throttle), from a quarter second up to a few seconds.
FIRST_WAIT = 0.25
MOST_WAIT = 5.0
# A bound in count beside the one in time, should the clock or a wait ever be wrong.
MOST_TRIES = 1000
# With less time than this for it, another try could only say that there was none, and hide why the last one failed.
LEAST_TRY = 0.5


def persist(attempt: Callable[[], T], deadline: Deadline) -> T:
    """Return what *attempt* returns, trying again on Unavailable until *deadline*.

    A server's Retry-After is honoured: never sooner, and when it lies beyond the deadline, the error is raised at
    once, so that an operator's next try is not delayed by a wait that cannot help.

    :raises Unavailable: the last one, its cause saying how often and how long it was tried.
    """
    try:
        return attempt()
    except Unavailable as first:
        return _again(attempt, deadline, first)


def _again(attempt: Callable[[], T], deadline: Deadline, first: Unavailable) -> T:
    from tenacity import Retrying, retry_if_exception_type, wait_random_exponential  # see the module's docstring

    failures = [first]
    backoff = wait_random_exponential(multiplier=FIRST_WAIT, max=MOST_WAIT)
    tries = 1

    def step() -> T:
        nonlocal tries
        if failures:
            raise failures.pop()
        tries += 1
        return attempt()

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, Unavailable) else 0.0
        return max(asked, backoff(state))

    def stop(state: RetryCallState) -> bool:
        return state.attempt_number >= MOST_TRIES or state.upcoming_sleep + LEAST_TRY >= deadline.remaining

    try:
        return Retrying(
            retry=retry_if_exception_type(Unavailable), wait=wait, stop=stop, sleep=deadline.sleep, reraise=True
        )(step)
    except Unavailable as last:
        if tries > 1:
            last.cause = f"{last.cause} (tried {tries} times in {deadline.elapsed:.0f} s)"
        raise
