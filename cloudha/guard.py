"""Bound a call in time whatever it does: a hook that hangs in a resolver or drips must not hang us."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Hung", "bounded"]

T = TypeVar("T")


class Hung(Exception):
    """The call did not come back in time. It may still be running, and its effect is unknown."""


class _Outcome(Generic[T]):
    __slots__ = ("error", "value")

    def __init__(self) -> None:
        self.value: tuple[T] | None = None
        self.error: BaseException | None = None


def bounded(call: Callable[[], T], seconds: float) -> T:
    """Return or raise what *call* returns or raises, within *seconds*.

    It runs in a thread, since neither signals nor socket timeouts interrupt a blocked C library call. A thread that
    hangs is left behind as a daemon; the agents end with ``os._exit`` and so do not wait for it.

    :raises Hung: after *seconds*.
    """
    outcome: _Outcome[T] = _Outcome()

    def run() -> None:
        try:
            outcome.value = (call(),)
        except BaseException as error:  # noqa: BLE001 - even SystemExit from an SDK is an outcome for the caller to judge
            outcome.error = error

    thread = threading.Thread(target=run, name="cloudha-hook", daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    # The error is looked at first: the thread may end between the join and here.
    if outcome.error is not None:
        raise outcome.error
    if outcome.value is not None:
        return outcome.value[0]
    raise Hung
