"""How the emulated IBM Cloud behaves, and how it refuses."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ApiError", "Behaviour"]


@dataclass(slots=True)
class Behaviour:
    """May be changed while it runs. Times are in seconds.

    ``stop``, ``start``: from the request to the final state; ``guest``: how much longer a stop takes that is not
    forced. ``stale``: how far behind reading and listing instances is. ``network``: from an accepted binding to its
    end; 0 for at once. ``page``: items on a page, at the most. ``strict``: whether an action that the present status
    does not need is refused. ``token``: how long an IAM token lasts. ``denied``: operations, by the names in the log,
    that nobody may do.
    """

    stop: float = 0.2
    start: float = 0.2
    guest: float = 5.0
    stale: float = 0.0
    network: float = 0.0
    page: int = 50
    strict: bool = True
    token: float = 3600.0
    denied: tuple[str, ...] = ()


class ApiError(Exception):
    """A refusal; becomes a status and an error document."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
