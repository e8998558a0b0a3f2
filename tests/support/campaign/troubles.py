"""The list of things that go wrong, and how each is produced: by an effect of the emulator's server, by the emulated
cloud's own behaviour, or by somebody who switches machines on again.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from campaign.clouds import SLOW_CHANGES, behaviour
from cloudha.testing.conformance import EmulatedCloud, Scope
from cloudha.testing.emulator import Effect, Fault

__all__ = ["TROUBLES", "Duration", "Trouble", "Way", "begin", "can_happen"]

# Longer than the slowest agent takes to start here, so that it meets the trouble, and short enough to get over it.
WHILE_SECONDS = 3.0
STALE_SECONDS = 2.0
FOR_EVER = 1_000_000.0


class Duration(enum.Enum):
    """How long a trouble lasts: one request, some seconds, until the end."""

    ONCE = "once"
    WHILE = "a while"
    GOOD = "for good"


class Way(enum.Enum):
    """How a trouble is produced."""

    EFFECT = "effect"
    STALE = "stale"
    NEVER = "never"
    RESTART = "restart"


@dataclass(frozen=True)
class Trouble:
    """One row of the matrix.

    ``blinds``: while it lasts, nothing can be known of the cloud, so that any claim that needs the cloud is a lie.
    ``misleads``: the cloud itself answers, plausibly, what is not true.
    """

    name: str
    effect: Effect | None = None
    scope: Scope = Scope.API
    details: Mapping[str, Any] = field(default_factory=dict)
    blinds: bool = True
    misleads: bool = False
    way: Way = Way.EFFECT


def _metadata(name: str, effect: Effect) -> Trouble:
    return Trouble(name, effect, Scope.METADATA, blinds=False)


def _changes(name: str, effect: Effect, **details: Any) -> Trouble:
    return Trouble(name, effect, Scope.CHANGES, details, blinds=False)


TROUBLES: Mapping[str, Trouble] = {
    trouble.name: trouble
    for trouble in (
        Trouble("throttled, Retry-After", Effect.THROTTLE, details={"retry_after": 1}),
        Trouble("throttled", Effect.THROTTLE),
        Trouble("500", Effect.ERROR, details={"status": 500}),
        Trouble("503", Effect.ERROR, details={"status": 503}),
        Trouble("connection refused", Effect.REFUSE, Scope.EVERYTHING),
        Trouble("accepted, hangs", Effect.HANG),
        Trouble("cut in the body", Effect.CUT),
        Trouble("slow drip", Effect.DRIP, details={"delay": 0.5}),
        Trouble("TLS failure", Effect.TLS, Scope.EVERYTHING),
        Trouble("web page", Effect.GARBAGE),
        Trouble("wrong JSON/XML", Effect.MALFORMED),
        Trouble("missing fields", Effect.MISSING),
        Trouble("empty list", Effect.EMPTY, blinds=False, misleads=True),
        Trouble("401", Effect.UNAUTHORIZED),
        Trouble("403", Effect.FORBIDDEN),
        Trouble("expired token", Effect.EXPIRED),
        Trouble("clock skew", Effect.SKEW),
        Trouble("not found", Effect.NOT_FOUND),
        _changes("conflict", Effect.CONFLICT),
        _changes("412", Effect.ERROR, status=412),
        _changes("done, answer lost", Effect.REFUSE, performed=True),
        _metadata("metadata refused", Effect.REFUSE),
        _metadata("metadata hangs", Effect.HANG),
        _metadata("metadata 500", Effect.ERROR),
        Trouble("all hangs", Effect.HANG, Scope.EVERYTHING),
        Trouble("stale reads", way=Way.STALE, blinds=False),
        Trouble("never arrives", way=Way.NEVER, blinds=False),
        Trouble("restarted behind us", way=Way.RESTART, blinds=False),
    )
}


def can_happen(trouble: Trouble, duration: Duration, cloud: EmulatedCloud) -> bool:
    """Whether that cloud can be brought into that trouble for so long."""
    if trouble.way is Way.STALE:
        # A cloud whose documents promise consistent reads has no such behaviour.
        return duration is Duration.GOOD and hasattr(behaviour(cloud), "stale")
    if trouble.way is Way.NEVER:
        return duration is not Duration.ONCE
    return True


def begin(trouble: Trouble, duration: Duration, cloud: EmulatedCloud, operations: Mapping[Scope, str]) -> None:
    """Put the trouble in force. What only a person can do (a restart) is left to the caller."""
    if trouble.effect is not None:
        count = 1 if duration is Duration.ONCE else None
        seconds = WHILE_SECONDS if duration is Duration.WHILE else None
        operation = operations[trouble.scope]
        order = Fault(operation, trouble.effect, count=count, seconds=seconds, **trouble.details)
        for server in cloud.servers:
            server.faults.add(order)
    elif trouble.way is Way.STALE:
        setattr(behaviour(cloud), "stale", STALE_SECONDS)  # noqa: B010 - of whatever class the emulator's is
    elif trouble.way is Way.NEVER:
        seconds = FOR_EVER if duration is Duration.GOOD else WHILE_SECONDS
        cloud.transition(seconds)
        known = behaviour(cloud)
        for name in SLOW_CHANGES:
            if hasattr(known, name):
                setattr(known, name, seconds)
