"""How the emulated OCI behaves, and how it refuses."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Behaviour", "OciError", "unknown"]


@dataclass(slots=True)
class Behaviour:
    """May be changed while it runs. Times are in seconds.

    ``stop``, ``start``: from the request to the final state. ``assign``: how long a public address is ASSIGNING or
    UNASSIGNING; 0 for at once. ``stale``: how old the answers to reads are. ``page``: the most items on a page.
    ``denied``: operations (globs) that nobody may do, answered as OCI does, with 404. ``fail_silently``: whether the
    next assignment of a public address ends AVAILABLE, as Oracle says it can. ``idempotent_power``: whether STOP of a
    stopped instance is accepted, and not 409 IncorrectState. ``skew``: how far the service's clock is ahead of ours.
    """

    stop: float = 0.2
    start: float = 0.2
    assign: float = 0.0
    stale: float = 0.0
    page: int = 50
    denied: tuple[str, ...] = ()
    fail_silently: bool = False
    idempotent_power: bool = False
    skew: float = 0.0


class OciError(Exception):
    """A refusal; becomes a status and OCI's error document ``{"code", "message"}``."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def unknown(what: str) -> OciError:
    """Return what OCI answers about a thing that is not there, or that the caller may not see: it does not tell."""
    return OciError(404, "NotAuthorizedOrNotFound", f"Authorization failed or requested resource not found: {what}")
