"""One session of this instance for all of a user's actions, kept as :mod:`cloudha.kept_secrets` keeps them.

A session is a security token and the private key that it is bound to; with both, requests are signed in the instance's
name until the token ends, twenty minutes at the most. Whoever could read the file could as well ask the metadata
service for the instance's own certificate and key, which last longer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import NamedTuple

from cloudha.kept_secrets import Kept, KeptSecrets

__all__ = ["Session", "drop", "name_of", "read", "write"]

PREFIX = "session.oci."
KEPT = KeptSecrets(PREFIX)
#: Of an instance at these services; none of that is a secret.
name_of = KEPT.open_name_of
#: The parts of an RSA private key, by their names in RFC 7518 (JSON Web Algorithms).
PARTS = ("n", "e", "d", "p", "q", "dp", "dq", "qi")


class Session(NamedTuple):
    """A token, the numbers of its private key, and from when to when it is good by this machine's clock."""

    token: str
    key: Mapping[str, int]
    since: float
    until: float


def read(name: str) -> Session | None:
    """Return the session of that name; None when there is none, or none to be trusted. Never raises."""
    kept = KEPT.read(name)
    if kept is None:
        return None
    with contextlib.suppress(ValueError, TypeError, KeyError):
        token, key = str(kept.document["token"]), kept.document["key"]
        if token:
            return Session(token, {part: int(key[part], 16) for part in PARTS}, kept.since, kept.until)
    return None


def write(name: str, session: Session) -> None:
    """Keep the session. Never raises: without it, each action gets a session of its own."""
    key = {part: f"{session.key[part]:x}" for part in PARTS}
    KEPT.write(name, Kept({"token": session.token, "key": key}, session.since, session.until))


def drop(name: str, token: str) -> None:
    """Forget the session if it still is that one: another agent may have put a new one there. Never raises."""
    found = read(name)
    if found is not None and found.token == token:
        KEPT.remove(name)
