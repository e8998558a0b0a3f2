"""Bind and unbind a floating address for a machine that need not be this one, and see that the cloud has done it.

The loop is the agent's (:class:`cloudha.addresses.FloatingAddress`). What only the machine itself can know is left out:
its metadata service, the mark of a start, the interface. So every certainty here comes from the cloud's API.
"""

from __future__ import annotations

from cloudha.addresses import (
    LOOKS,
    SETTLE_SECONDS,
    SETTLE_SHARE,
    FloatingAddress,
    Held,
    Request,
    _Progress,  # of the loop that is driven here; what it holds is the agent's own account of a change
)
from cloudha.errors import Unavailable, UnsupportedError
from cloudha.fencing import find_node
from cloudha.host import Host
from cloudha.types import AddressQuery, Binding, Evidence, Kind, Node, Verdict

__all__ = ["RemoteAddress", "bindings", "find_holder", "need_kind"]

MOST_PAGES = 1000


def need_kind(host: Host, kind: Kind) -> None:
    """Refuse a kind of address that the provider does not float.

    :raises UnsupportedError: naming those that it does.
    """
    if kind not in host.provider.info.kinds:
        offered = ", ".join(each.value for each in host.provider.info.kinds) or "none"
        error = UnsupportedError(
            f"kind={kind.value} is not offered by provider {host.provider.name!r}", advice=f"it offers: {offered}"
        )
        raise host.placed(error)


def bindings(host: Host, query: AddressQuery) -> list[Binding]:
    """Return the bindings on all pages; a listing that breaks off is an error, never a short one."""
    found: list[Binding] = []
    for _ in range(MOST_PAGES):
        answer = host.list_ips(query)
        found.extend(answer.bindings)
        if answer.next is None:
            return found
        query = query.replace(page=answer.next)
    raise host.placed(Unavailable("list_ips does not end"), str(query.ip or ""))


def find_holder(host: Host, name: str) -> Node:
    """Return the machine *name*: by the cloud's search, or, where there is none, only this machine itself."""
    if host.provider.implements("list_nodes"):
        return find_node(host, name)
    host.require("local_node")
    local = host.local_node()
    if name.casefold() not in (local.id.casefold(), local.name.casefold()):
        raise host.placed(
            UnsupportedError(
                f"provider {host.provider.name!r} knows only the machine that it runs on, {local.label}",
                advice="run it there",
            ),
            name,
        )
    return local


class RemoteAddress(FloatingAddress):
    """An address, and the machine that is to have it or to lose it; all seen through the cloud's API alone."""

    def __init__(self, host: Host, request: Request) -> None:
        super().__init__(host, request)
        self._me = request.node

    def bind(self) -> None:
        """Ask for the binding, and return when the API shows that machine, and no other, as the holder."""
        self._bind(self._me)

    def release(self, *, was_here: bool) -> None:
        """Ask for the unbinding, and return when the API shows that the machine does not hold it.

        :param was_here: the API has just shown it there. Where the provider then finds nothing to unbind, the API must
            go on denying it for a while before it is believed.
        """
        clock = self.host.deadline
        settled = clock.elapsed + min(SETTLE_SECONDS, clock.remaining * SETTLE_SHARE) if was_here else 0.0

        def step(progress: _Progress) -> bool:
            progress.looks = progress.looks + 1 if self._free() else 0
            if progress.looks and (progress.accepted or (progress.looks >= LOOKS and clock.elapsed >= settled)):
                return True
            if progress.accepted is None:
                answer = self.host.unbind_ip(self._change(self._me))
                if answer.sent:
                    progress.accepted = answer
                    progress.looks = 0
                    return self._free()
            return False

        self._drive("unbind_ip", step)

    def _evidence(self) -> Evidence:
        return Evidence(Verdict.CANNOT_TELL, "asked from afar")

    def _who_am_i(self) -> str:
        return self._me

    def _free(self) -> bool:
        return self._held() is Held.NOT_HERE
