"""One IAM token for all of a user's actions, kept as :mod:`cloudha.kept_secrets` keeps them."""

from __future__ import annotations

from typing import NamedTuple

from cloudha.kept_secrets import Kept, KeptSecrets

__all__ = ["Cached", "drop", "name_of", "open_name_of", "read", "write"]

PREFIX = "token.ibm."
KEPT = KeptSecrets(PREFIX)
name_of = KEPT.name_of
open_name_of = KEPT.open_name_of


class Cached(NamedTuple):
    """A token, and from when to when it is good, in seconds of this machine's clock."""

    token: str
    since: float
    until: float


def read(name: str) -> Cached | None:
    """Return the token of that name; None when there is none, or none to be trusted. Never raises."""
    kept = KEPT.read(name)
    token = kept.document.get("token") if kept else None
    return Cached(token, kept.since, kept.until) if kept and isinstance(token, str) and token else None


def write(name: str, cached: Cached) -> None:
    """Keep the token. Never raises: without it, each action asks for a token of its own."""
    KEPT.write(name, Kept({"token": cached.token}, cached.since, cached.until))


def drop(name: str, token: str) -> None:
    """Forget the token if it still is that one: another agent may have put a new one there. Never raises."""
    found = read(name)
    if found is not None and found.token == token:
        KEPT.remove(name)
