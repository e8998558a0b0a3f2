"""Changes that Azure has accepted and not yet made: followed within an action, so that it does not end too early.

An interface reads as changed as soon as the change is accepted; that it has happened, only the operation tells.
"""

from __future__ import annotations

from typing import NamedTuple

from cloudha import web
from cloudha.provider import Conflict, Context
from cloudha_plugin_azure.arm import get

__all__ = ["Meanwhile", "follow", "under_way"]

SUCCEEDED = "succeeded"
FAILED = ("failed", "canceled")


class Meanwhile(NamedTuple):
    """Who counts as the holder until a change has been made: nobody while binding, the old one while releasing."""

    node_id: str | None


class _Followed:
    """The operations of this action, by what they are about: oldest first, and what holds until they end."""

    def __init__(self) -> None:
        self.urls: dict[str, list[str]] = {}
        self.meanwhile: dict[str, Meanwhile] = {}


def follow(context: Context, about: str, url: str, holder: str | None) -> None:
    """Remember, until the action ends, that *about* depends on the operation at that URL ("": it is done already).

    :param holder: the machine that counts as the holder meanwhile, None for nobody.
    """
    if url:
        _all(context).urls.setdefault(about, []).append(url)
        _all(context).meanwhile[about] = Meanwhile(holder)


def under_way(context: Context, about: str) -> Meanwhile | None:
    """Return what holds while a change of this action still goes on; None when none does.

    Ask before reading the state: a state that was read before an operation ended may be older than its end.

    :raises Conflict: Azure has given it up; the cause is Azure's own.
    :raises Unavailable: it cannot be found out now (throttled, unreachable): neither yes nor no.
    """
    urls = _all(context).urls.get(about, [])
    while urls:
        document = get(context, urls[0], "the operation under way").document
        status = web.field(document, "status", str).lower()
        if status in FAILED:
            _all(context).urls.pop(about)
            error = document.get("error") if isinstance(document, dict) else None
            said = error if isinstance(error, dict) else {}
            code, message = str(said.get("code") or status), str(said.get("message") or "no reason given")
            raise Conflict(f"Azure has given the change up: {code}: {message}", advice="the cluster tries again")
        if status != SUCCEEDED:
            return _all(context).meanwhile[about]
        urls.pop(0)
    return None


def _all(context: Context) -> _Followed:
    return context.once("azure.operations", _Followed)
