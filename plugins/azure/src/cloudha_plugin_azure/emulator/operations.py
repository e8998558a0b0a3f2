"""Long-running operations: accepted now, done later, followed by their URL."""

from __future__ import annotations

import itertools
import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from cloudha_plugin_azure.emulator.behaviour import ArmError, Behaviour

__all__ = ["Operation", "Operations"]

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Operation:
    """``about``: the name of the machine whose limits count for asking after it, "" for none."""

    id: str
    provider: str
    about: str
    status: str = "InProgress"
    code: str = ""


class Operations:
    """The operations of an account; each ends by a timer. Safe to use from several threads."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self._lock = threading.RLock()
        self._all: dict[str, Operation] = {}
        self._timers: set[threading.Timer] = set()
        self._numbers = itertools.count()
        self._closed = False

    def begin(
        self, provider: str, about: str, seconds: float, act: Callable[[], None], fail: Callable[[], None]
    ) -> Operation:
        """Do *act* after *seconds* (at once for 0), or *fail* when the behaviour orders a failure."""
        operation = Operation(str(uuid.uuid4()), provider, about)
        with self._lock:
            self._all[operation.id] = operation
            code, self.behaviour.fail_next = self.behaviour.fail_next, ""
            if self.behaviour.never_ends:
                return operation
        if seconds <= 0:
            self._end(operation, act, fail, code)
        else:
            self._later(seconds, lambda: self._end(operation, act, fail, code))
        return operation

    def find(self, operation_id: str) -> Operation:
        """Return one operation.

        :raises ArmError: 404.
        """
        found = self._all.get(operation_id)
        if found is None:
            raise ArmError(404, "ResourceNotFound", f"The operation {operation_id} was not found.")
        return found

    def close(self) -> None:
        """End nothing that is under way any more."""
        with self._lock:
            self._closed = True
            for timer in self._timers:
                timer.cancel()

    def _end(self, operation: Operation, act: Callable[[], None], fail: Callable[[], None], code: str) -> None:
        try:
            (fail if code else act)()
        except Exception:
            logger.exception("operation %s", operation.id)
            code = "InternalExecutionError"
            fail()
        operation.code = code
        operation.status = "Failed" if code else "Succeeded"

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        def run() -> None:
            with self._lock:
                self._timers.discard(timer)
                if self._closed:
                    return
            act()

        timer = threading.Timer(seconds, run)
        timer.daemon = True
        with self._lock:
            self._timers.add(timer)
        timer.start()
