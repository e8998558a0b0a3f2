"""What an emulated cloud brings along: names for its operations, its answers, and the shape of its errors."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from cloudha.testing.emulator.faults import Fault

__all__ = ["Application", "Reply", "Request"]


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. ``headers`` have lower case names; ``client`` is the caller's address, without its port.

    ``stale_seconds``: answer a read with what was true so long ago; 0 for now.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    client: str
    stale_seconds: float = 0.0

    def json(self) -> object:
        """Return the body's JSON document, ``{}`` for an empty body.

        :raises ValueError: the body is no JSON.
        """
        return json.loads(self.body) if self.body.strip() else {}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; Content-Length is added by the server."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, document: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
        """Make a JSON answer."""
        body = json.dumps(document).encode() + b"\n"
        return cls(status, body, {"Content-Type": "application/json", **(headers or {})})


class Application(ABC):
    """An emulated cloud, without its transport. Called from several threads at once.

    The error and spoiling methods speak JSON; an emulator of a cloud with other bodies overrides them.
    """

    @abstractmethod
    def operation(self, request: Request) -> str:
        """Name what is asked for, from a fixed set of names; ``unknown`` when nothing fits."""

    @abstractmethod
    def answer(self, request: Request) -> Reply:
        """Do what is asked for and answer. An exception becomes a 500."""

    def refusal(self, request: Request, status: int, code: str) -> Reply:  # noqa: ARG002 - for other clouds' shapes
        """Return the cloud's error answer for a fault. ``code`` is the effect's name, such as ``expired``."""
        return Reply.json({"error": {"code": code, "message": f"ordered fault: {code}"}}, status=status)

    def without_fields(self, reply: Reply, fault: Fault) -> Reply:
        """Return the answer with fields missing."""
        document = json.loads(reply.body)
        spoilt = _dropped(document, set(fault.fields)) if fault.fields else _hollow(document)
        return Reply(reply.status, json.dumps(spoilt).encode(), reply.headers)

    def without_items(self, reply: Reply) -> Reply:
        """Return the answer with every list empty; one without a body has none."""
        if not reply.body.strip():
            return reply
        return Reply(reply.status, json.dumps(_emptied(json.loads(reply.body))).encode(), reply.headers)

    def admin(self, request: Request) -> Reply | None:  # noqa: ARG002 - nothing to administer by default
        """Answer a request below ``/_emulator/`` that the server itself does not know; None: 404."""
        return None

    def reset(self) -> None:  # noqa: B027 - nothing to reset by default
        """Go back to the behaviour of the start. Machines and addresses stay as they are."""


def _dropped(value: object, names: set[str]) -> object:
    if isinstance(value, dict):
        return {key: _dropped(item, names) for key, item in value.items() if key not in names}
    return [_dropped(item, names) for item in value] if isinstance(value, list) else value


def _hollow(value: object) -> object:
    """Return the document with nothing left in its objects but lists and objects."""
    if isinstance(value, dict):
        return {key: _hollow(item) for key, item in value.items() if isinstance(item, dict | list)}
    return [_hollow(item) for item in value] if isinstance(value, list) else value


def _emptied(value: object) -> object:
    if isinstance(value, dict):
        return {key: _emptied(item) for key, item in value.items()}
    return [] if isinstance(value, list) else value
