"""The admin API that every emulator has below ``/_emulator/``. No fault ever hits it.

========  =========================  ==============================================================
GET       /_emulator/faults          ``{"faults": [...]}``, each with its number, ``seen`` and ``hits``
POST      /_emulator/faults          a fault's fields; answers ``{"number": n}``
DELETE    /_emulator/faults?number=  that one; without a number all
GET       /_emulator/log             ``{"log": [...]}``, oldest first
POST      /_emulator/reset           ends all faults, forgets the log, goes back to the first behaviour
========  =========================  ==============================================================

All else is the application's own.
"""

from __future__ import annotations

from cloudha.testing.emulator.application import Application, Reply, Request
from cloudha.testing.emulator.faults import Fault, FaultBook
from cloudha.testing.emulator.journal import Journal

__all__ = ["PREFIX", "Admin"]

PREFIX = "/_emulator/"


class Admin:
    """Answers the requests below :data:`PREFIX`."""

    def __init__(self, application: Application, faults: FaultBook, journal: Journal) -> None:
        self._application = application
        self._faults = faults
        self._journal = journal

    def answer(self, request: Request) -> Reply:
        """Answer one request; errors of the caller are 400 with a message."""
        try:
            return self._known(request) or self._application.admin(request) or _error(404, "no such admin request")
        except ValueError as error:
            return _error(400, str(error))

    def _known(self, request: Request) -> Reply | None:
        match request.method, request.path.removeprefix(PREFIX):
            case "GET", "faults":
                return Reply.json({"faults": [standing.to_json() for standing in self._faults.listing()]})
            case "POST", "faults":
                return self._add(Fault.from_json(request.json()))
            case "DELETE", "faults":
                return self._remove(request.query.get("number"))
            case "GET", "log":
                return Reply.json({"log": self._journal.to_json()})
            case "POST", "reset":
                self._faults.clear()
                self._journal.clear()
                self._application.reset()
                return Reply.json({})
        return None

    def _add(self, fault: Fault) -> Reply:
        if fault.closes_listener and fault.seconds is None:
            # Nobody could reach this API any more to end it.
            raise ValueError("refuse of everything over HTTP needs seconds: this API would be refused too")
        return Reply.json({"number": self._faults.add(fault)}, status=201)

    def _remove(self, number: str | None) -> Reply:
        if number is None:
            self._faults.clear()
            return Reply.json({})
        return Reply.json({}) if self._faults.remove(int(number)) else _error(404, f"no fault {number}")


def _error(status: int, message: str) -> Reply:
    return Reply.json({"error": {"code": "admin", "message": message}}, status=status)
