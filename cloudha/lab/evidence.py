"""What the witness and the nodes wrote down, judged: who answered, who held the address, how long nobody did.

All times are seconds of the machine's monotonic clock, which is the same in all namespaces.
"""

from __future__ import annotations

import ipaddress
import math
from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations, pairwise

from cloudha.lab.state import LabState, read_lines
from cloudha.types import IPAddress

__all__ = ["Answer", "Holding", "Outage", "answers", "double_holders", "holdings", "outages"]

# Answers come every 50 ms; a machine under load skips a few.
SHORTEST_OUTAGE = 0.3
LOST_POWER = frozenset({"power cut", "power cut, was off", "stopped", "power on"})


@dataclass(frozen=True, slots=True)
class Answer:
    """``node`` answered for ``address`` at ``at`` when question number ``question`` was asked at ``asked``."""

    at: float
    asked: float
    question: int
    address: IPAddress
    node: str


@dataclass(frozen=True, slots=True)
class Holding:
    """``address`` was configured on the NIC of ``node``; ``end`` is infinite while it still is."""

    address: IPAddress
    node: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Outage:
    """Nobody answered for ``address`` from ``begin`` to ``end``: last and next answer (infinite: none since)."""

    address: IPAddress
    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.end - self.begin


def answers(state: LabState, since: float = 0.0, address: IPAddress | None = None) -> list[Answer]:
    """Return the answers that came after *since*, in order, for one address or for all."""
    found = [
        Answer(
            at=float(str(line["at"])),
            asked=float(str(line["asked"])),
            question=int(str(line["question"])),
            address=ipaddress.ip_address(str(line["address"])),
            node=str(line["node"]),
        )
        for line in read_lines(state.witness_log, since)
        if "question" in line
    ]
    return sorted((a for a in found if address in (None, a.address)), key=lambda answer: answer.at)


def holdings(state: LabState, since: float = 0.0) -> list[Holding]:
    """Return when which node had which floating address on its NIC, as far as it was after *since*.

    A node that loses power lets go at that moment: nothing of it writes that down, the lab's own events do.
    """
    losses = defaultdict(list)
    for event in state.events():
        if event.what in LOST_POWER:
            losses[event.node].append(event.at)
    found = []
    for node in state.nodes:
        begun: dict[str, float] = {}
        for line in read_lines(node.held):
            at, address = float(str(line["at"])), str(line["address"])
            if address in begun:
                found.append(_holding(address, node.name, begun.pop(address), losses[node.name], at))
            if line["held"]:
                begun[address] = at
        found += [_holding(address, node.name, at, losses[node.name], math.inf) for address, at in begun.items()]
    return sorted((h for h in found if h.end > since), key=lambda holding: holding.begin)


def _holding(address: str, node: str, begin: float, losses: list[float], end: float) -> Holding:
    end = min([loss for loss in losses if loss > begin] + [end])
    return Holding(ipaddress.ip_address(address), node, begin, end)


def double_holders(state: LabState, since: float = 0.0) -> list[str]:
    """Return every moment after *since* at which two nodes had an address, one line each. None is the only good answer.

    Two proofs: no question to the address was answered by two nodes, and it was never configured on the NICs of two
    nodes at once, whether or not anybody could reach them.
    """
    by_question = defaultdict(set)
    for answer in answers(state, since):
        by_question[answer.address, answer.question].add(answer.node)
    found = [
        f"question {question} to {address} was answered by {' and '.join(sorted(nodes))}"
        for (address, question), nodes in by_question.items()
        if len(nodes) > 1
    ]
    for one, other in combinations(holdings(state, since), 2):
        both_from, both_to = max(one.begin, other.begin, since), min(one.end, other.end)
        if one.address == other.address and one.node != other.node and both_from < both_to:
            found.append(
                f"{one.address} was on the NICs of {one.node} and {other.node} at once, "
                f"for {min(both_to - both_from, 9999):.2f} s from {both_from:.2f}"
            )
    return found


def outages(
    state: LabState, address: IPAddress, since: float, until: float, least: float = SHORTEST_OUTAGE
) -> list[Outage]:
    """Return the times between *since* and *until* at which nobody answered for longer than *least* seconds."""
    moments = [answer.at for answer in answers(state, since, address) if answer.at <= until]
    edges = [since, *moments, until]
    gaps = [Outage(address, begin, end) for begin, end in pairwise(edges) if end - begin > least]
    return [Outage(g.address, g.begin, math.inf) if g.end == until and until not in moments else g for g in gaps]
