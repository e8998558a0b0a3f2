"""What a check found: good, to be warned of, bad, or unknown; why it matters, and the command that mends it."""

from __future__ import annotations

import enum
from collections.abc import Iterable

from cloudha.errors import CloudhaError
from cloudha.record import Record

__all__ = [
    "EXITS",
    "Finding",
    "Level",
    "bad",
    "good",
    "sorted_worst_first",
    "unknown",
    "unknown_because",
    "warn",
    "worst",
]


class Level(enum.Enum):
    """How a finding bears on the next failover. In the order of how bad it is: what is unknown may well be bad."""

    GOOD = "good"
    WARN = "warn"
    UNKNOWN = "unknown"
    BAD = "bad"


#: exit codes, as monitoring systems read them (the Monitoring Plugins' guidelines: OK, WARNING, CRITICAL, UNKNOWN)
EXITS = {Level.GOOD: 0, Level.WARN: 1, Level.BAD: 2, Level.UNKNOWN: 3}
ORDER = tuple(Level)


class Finding(Record):
    """``check`` names what was looked at (``group.detail``), ``what`` was found; ``mend`` is a command or advice."""

    check: str
    level: Level
    what: str
    why: str = ""
    mend: str = ""

    @property
    def group(self) -> str:
        """The first part of ``check``."""
        return self.check.partition(".")[0]


def good(check: str, what: str) -> Finding:
    """Say that it is as it should be."""
    return Finding(check, Level.GOOD, what)


def warn(check: str, what: str, why: str, mend: str) -> Finding:
    """Say that it may fail, or that an operator should know."""
    return Finding(check, Level.WARN, what, why, mend)


def bad(check: str, what: str, why: str, mend: str) -> Finding:
    """Say that a failover will fail, or that data are at risk."""
    return Finding(check, Level.BAD, what, why, mend)


def unknown(check: str, what: str, why: str, mend: str) -> Finding:
    """Say that it could not be found out."""
    return Finding(check, Level.UNKNOWN, what, why, mend)


def unknown_because(check: str, what: str, error: CloudhaError) -> Finding:
    """Say that *what* could not be found out, with the error's own cause and advice."""
    return Finding(check, Level.UNKNOWN, f"{what}: {error.cause}", "not looked at is not good", error.advice)


def worst(findings: Iterable[Finding]) -> Level:
    """Return the worst level; nothing looked at is unknown."""
    return max((finding.level for finding in findings), key=ORDER.index, default=Level.UNKNOWN)


def sorted_worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings with the worst ones first, else in their order."""
    return sorted(findings, key=lambda finding: -ORDER.index(finding.level))
