"""How the emulated Azure behaves, and how it refuses."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ArmError", "Behaviour"]


@dataclass(slots=True)
class Behaviour:
    """May be changed while it runs. Times are in seconds.

    ``stop``, ``start``: from the request to the final state. ``network``: from an accepted change of an interface or
    route to its end; 0 for at once. ``page``: items on a page. ``throttled``: whether Azure's limits for one machine
    are kept. ``denied``: actions that nobody may do. ``permissions_hidden``: whether callers may
    not list their own permissions.
    ``fail_next``: a code with which the next long-running operation fails, "" for none. ``never_ends``: whether
    long-running operations stay in progress for ever. ``upper_case``: whether ids come in another case than they were
    made with, as Azure's do. ``hub``: whether it is an Azure Stack Hub: other versions of the API, no managed identity.
    """

    stop: float = 0.2
    start: float = 0.2
    network: float = 0.0
    page: int = 50
    throttled: bool = False
    denied: tuple[str, ...] = ()
    permissions_hidden: bool = False
    fail_next: str = ""
    never_ends: bool = False
    upper_case: bool = True
    hub: bool = False


class ArmError(Exception):
    """A refusal; becomes a status and an error document. ``retry_after``: seconds, None for no header."""

    def __init__(self, status: int, code: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after
