"""What can go wrong with a cloud's API, on order: faults by operation, with counts and durations.

A :class:`FaultBook` belongs to one server and is asked once for each request. Operations are named by the emulated
cloud (``addresses.bind``); a fault names them by a glob, or by several with commas, where ``!`` excludes:
``"*,!metadata.*"`` is everything but the metadata service.
"""

from __future__ import annotations

import enum
import fnmatch
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields

__all__ = ["Effect", "Fault", "FaultBook", "Standing"]

EVERYTHING = "*"


class Effect(enum.Enum):
    """What happens to the request. *Done* says whether the operation takes place.

    The effects that refuse or lose the request leave the operation undone, unless :attr:`Fault.performed`. Those
    that spoil the answer (``CUT`` and all below it) come after the operation was done.
    """

    #: 429, with Retry-After when the fault says so
    THROTTLE = "throttle"
    #: a 5xx, or whatever ``status`` says
    ERROR = "error"
    UNAUTHORIZED = "unauthorized"  # 401
    EXPIRED = "expired"  # 401 with the code for an expired credential
    FORBIDDEN = "forbidden"  # 403
    NOT_FOUND = "not_found"  # 404
    CONFLICT = "conflict"  # 409
    #: refused as by a server whose clock is an hour ahead: the answer for an expired credential, with that time in Date
    SKEW = "skew"
    #: read the request and never answer; ends when the client or the server closes
    HANG = "hang"
    #: For ``operation="*"`` without ``count`` and ``after`` the server stops listening: connects get ECONNREFUSED,
    #: the admin API's too. Otherwise the operation is only known once the request was read: the connection is then
    #: closed with a reset (RST).
    REFUSE = "refuse"
    #: headers with the full Content-Length and half of the body, then close
    CUT = "cut"
    #: the answer byte by byte, ``delay`` seconds between two
    DRIP = "drip"
    #: 200 with a web page for a body
    GARBAGE = "garbage"
    #: the right answer's first half, as a whole answer with the right Content-Length: no document any more
    MALFORMED = "malformed"
    #: the right answer without ``fields``; when none are named, without any field that is no list or object
    MISSING = "missing"
    #: the right answer with every list empty
    EMPTY = "empty"
    #: reads answer with what was true ``age`` seconds ago; changes are not touched
    STALE = "stale"
    #: the right answer, ``delay`` seconds later; the operation is done after the wait
    DELAY = "delay"
    #: A TLS alert where the server's part of the handshake (or an HTTP answer) belongs, then close. It comes before
    #: any operation is known: only ``operation="*"`` does it, and connections are counted instead of requests.
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    :param operation: globs over operation names, as in the module's docstring.
    :param effect: what happens.
    :param count: how many requests it hits, None for no limit.
    :param seconds: how long from being added it lasts, None for good.
    :param after: how many matching requests pass before the first hit.
    :param status: of ``ERROR``.
    :param retry_after: seconds in the Retry-After header of ``THROTTLE`` and ``ERROR``, None for no header.
    :param delay: seconds, of ``DELAY`` and ``DRIP``.
    :param age: seconds, of ``STALE``.
    :param fields: of ``MISSING``: the names to leave out wherever they occur.
    :param performed: do the operation first, then fail: the change is made and the answer is lost.
    """

    operation: str
    effect: Effect
    count: int | None = None
    seconds: float | None = None
    after: int = 0
    status: int = 503
    retry_after: float | None = None
    delay: float = 0.2
    age: float = 5.0
    fields: tuple[str, ...] = ()
    performed: bool = False

    def matches(self, operation: str) -> bool:
        """Whether the fault is about *operation*."""
        patterns = [part.strip() for part in self.operation.split(",")]
        excluded = any(fnmatch.fnmatchcase(operation, p[1:]) for p in patterns if p.startswith("!"))
        return not excluded and any(fnmatch.fnmatchcase(operation, p) for p in patterns if not p.startswith("!"))

    @property
    def closes_listener(self) -> bool:
        """Whether this fault stops the server from listening at all."""
        wholesale = self.operation.strip() == EVERYTHING and self.count is None and not self.after
        return self.effect is Effect.REFUSE and wholesale and not self.performed

    def to_json(self) -> dict[str, object]:
        """Return the fault as a JSON object."""
        return {**asdict(self), "effect": self.effect.value, "fields": list(self.fields)}

    @classmethod
    def from_json(cls, document: object) -> Fault:
        """Read a fault from a JSON object.

        :raises ValueError: it is none, has an unknown field, or a value that makes no sense.
        """
        if not isinstance(document, Mapping):
            raise ValueError("a fault is a JSON object")  # noqa: TRY004 - the caller's text is wrong, not our code
        values = dict(document)
        if unknown := set(values) - {f.name for f in fields(cls)}:
            raise ValueError(f"unknown fields: {', '.join(sorted(map(str, unknown)))}")
        operation = values.pop("operation", None)
        if not isinstance(operation, str) or not operation.strip():
            raise ValueError("operation must be a glob over operation names")
        try:
            effect = Effect(values.pop("effect", None))
        except ValueError:
            raise ValueError(f"effect must be one of: {', '.join(e.value for e in Effect)}") from None
        for name, value in values.items():
            _check(name, value)
        if "fields" in values:
            values["fields"] = tuple(values["fields"])
        return cls(operation, effect, **values)


def _check(name: str, value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    whole = isinstance(value, int) and not isinstance(value, bool)
    fits = {
        "count": value is None or whole,
        "after": whole,
        "status": whole,
        "seconds": value is None or number,
        "retry_after": value is None or number,
        "delay": number,
        "age": number,
        "fields": isinstance(value, list) and all(isinstance(item, str) for item in value),
        "performed": isinstance(value, bool),
    }
    if not fits[name] or (isinstance(value, int | float) and value < 0):
        raise ValueError(f"{name} has the wrong type, or is negative")


@dataclass(frozen=True, slots=True)
class Standing:
    """A fault in the book: how many matching requests were ``seen``, how many it hit, whether it is ``spent``."""

    number: int
    fault: Fault
    seen: int
    hits: int
    spent: bool

    def to_json(self) -> dict[str, object]:
        """Return it as a JSON object."""
        return {
            **self.fault.to_json(),
            "number": self.number,
            "seen": self.seen,
            "hits": self.hits,
            "spent": self.spent,
        }


class _Entry:
    __slots__ = ("added", "fault", "hits", "seen")

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.added = time.monotonic()
        self.seen = 0
        self.hits = 0

    @property
    def spent(self) -> bool:
        fault = self.fault
        used_up = fault.count is not None and self.hits >= fault.count
        return used_up or (fault.seconds is not None and time.monotonic() - self.added >= fault.seconds)


class FaultBook:
    """The faults of one server. Safe to use from several threads; spent faults stay listed until removed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[int, _Entry] = {}
        self._last = 0
        self._watchers: list[Callable[[], None]] = []

    def watch(self, changed: Callable[[], None]) -> None:
        """Call *changed* after every addition and removal, in the thread that made it."""
        self._watchers.append(changed)

    def add(self, fault: Fault) -> int:
        """Put a fault in force and return its number. Of several that match a request, the oldest hits."""
        with self._lock:
            self._last += 1
            number = self._last
            self._entries[number] = _Entry(fault)
        self._tell()
        return number

    def remove(self, number: int) -> bool:
        """End a fault; whether it was there."""
        with self._lock:
            found = self._entries.pop(number, None)
        self._tell()
        return found is not None

    def clear(self) -> None:
        """End all faults."""
        with self._lock:
            self._entries.clear()
        self._tell()

    def take(self, operation: str) -> Fault | None:
        """Return the fault that hits this request, counted as a hit, or None."""
        return self._take(lambda fault: fault.effect is not Effect.TLS and fault.matches(operation))

    def take_connection(self) -> Fault | None:
        """Return the fault that hits a connection that was just made, counted as a hit, or None."""
        return self._take(lambda fault: fault.effect is Effect.TLS and fault.operation.strip() == EVERYTHING)

    def _take(self, fits: Callable[[Fault], bool]) -> Fault | None:
        with self._lock:
            hit: _Entry | None = None
            for entry in self._entries.values():
                if entry.spent or not fits(entry.fault):
                    continue
                entry.seen += 1
                if hit is None and entry.seen > entry.fault.after:
                    hit = entry
            if hit is None:
                return None
            hit.hits += 1
            return hit.fault

    def hits(self, number: int) -> int:
        """How many requests the fault has hit; 0 when it is not there."""
        with self._lock:
            entry = self._entries.get(number)
            return entry.hits if entry else 0

    def listing(self) -> tuple[Standing, ...]:
        """Return all faults, oldest first."""
        with self._lock:
            return tuple(Standing(n, e.fault, e.seen, e.hits, e.spent) for n, e in self._entries.items())

    @property
    def refusing(self) -> bool:
        """Whether a fault in force keeps the server from listening."""
        with self._lock:
            return any(entry.fault.closes_listener and not entry.spent for entry in self._entries.values())

    def _tell(self) -> None:
        for changed in self._watchers:
            changed()
