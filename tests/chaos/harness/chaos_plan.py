"""What happens in a round: drawn from the seed and the round's number, and from nothing else."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from enum import Enum

__all__ = ["HOLDER", "Kind", "Setting", "Trouble", "plan_round"]

# Whom a trouble is about. Who that is, is known when the round begins: the others are counted from the holder.
HOLDER, OTHER, EVERYBODY, CLOUD = "holder", "other", "everybody", "cloud"

DAEMONS = ("pacemaker-execd", "corosync", "pacemakerd", "pacemaker-controld", "pacemaker-fenced")
EFFECTS = ("error", "hang", "refuse", "cut")
# More than half of the rounds have two troubles at once: most of those that move nothing by themselves.
PAIRS, QUIET_PAIRS = 0.5, 0.85
# The second one comes while the cluster deals with the first.
APART_SECONDS = 6.0


class Kind(Enum):
    """What can happen."""

    #: the power of a node is cut; fencing brings it back
    POWER = "power cut"
    #: a node loses the whole network
    ISOLATION = "isolation"
    #: a node and the others lose each other, and all reach the cloud
    SPLIT = "split"
    #: the cloud's API does not work; the machines' metadata service does
    API = "API outage"
    #: the cloud's API throttles everybody
    THROTTLE = "throttling"
    #: agents are killed while they run
    AGENTS = "killed agents"
    #: a daemon of the cluster is killed
    DAEMON = "killed daemon"
    #: a node's NIC loses packets, both ways
    LOSS = "lost packets"


WEIGHTS = {
    Kind.POWER: 6,
    Kind.ISOLATION: 5,
    Kind.SPLIT: 3,
    Kind.API: 2,
    Kind.THROTTLE: 1,
    Kind.AGENTS: 4,
    Kind.DAEMON: 5,
    Kind.LOSS: 2,
}
QUIET = frozenset({Kind.API, Kind.THROTTLE, Kind.LOSS})


@dataclass(frozen=True, slots=True)
class Trouble:
    """One trouble. It begins ``at`` seconds after the round and lasts ``seconds``.

    ``detail``: the API's effect, the daemon, the agent. ``amount``: percent of lost packets, seconds of Retry-After,
    seconds that an agent has run when it is killed.
    """

    kind: Kind
    whom: str
    at: float
    seconds: float
    detail: str = ""
    amount: float = 0.0

    def __str__(self) -> str:
        how = f" {self.detail}" if self.detail else ""
        much = f" ({self.amount:g})" if self.amount else ""
        return f"{self.kind.value}{how}{much} of {self.whom} at {self.at:g} s for {self.seconds:g} s"

    def to_json(self) -> dict[str, object]:
        """Return it as a JSON object."""
        return {**asdict(self), "kind": self.kind.value}


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a round is played."""

    provider: str
    nodes: int

    def __str__(self) -> str:
        return f"{self.provider}, {self.nodes} nodes"


def plan_round(seed: int, number: int, nodes: int) -> tuple[Trouble, ...]:
    """Return the troubles of a round, in the order of their beginnings."""
    chance = random.Random(f"{seed}/{number}/{nodes}")  # noqa: S311  # to be repeated, not to be secret
    first = _draw(chance, _kind(chance), nodes, 0.0)
    found = [first]
    if first.kind is Kind.AGENTS and first.detail == "fence_cloud":
        # Without a node to fence there is only its monitor, once a minute.
        found.append(_draw(chance, chance.choice([Kind.POWER, Kind.ISOLATION]), nodes, 0.5, HOLDER))
    elif chance.random() < (QUIET_PAIRS if first.kind in QUIET else PAIRS):
        found.append(_draw(chance, _kind(chance), nodes, round(chance.uniform(0.0, APART_SECONDS), 2)))
    return tuple(sorted(found, key=lambda trouble: trouble.at))


def _kind(chance: random.Random) -> Kind:
    return chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]


def _draw(chance: random.Random, kind: Kind, nodes: int, at: float, whom: str = "") -> Trouble:
    node = whom or chance.choices([HOLDER, f"{OTHER}{chance.randint(1, nodes - 1)}"], [3, 1])[0]
    seconds = round(chance.uniform(4.0, 14.0), 1)
    detail, amount = "", 0.0
    match kind:
        case Kind.POWER:
            seconds = 0.0
        case Kind.DAEMON:
            seconds, detail = 0.0, chance.choice(DAEMONS)
        case Kind.API:
            node, seconds, detail = CLOUD, seconds + 6.0, chance.choice(EFFECTS)
        case Kind.THROTTLE:
            node, seconds, amount = CLOUD, seconds + 6.0, chance.randint(1, 3)
        case Kind.AGENTS:
            node, detail = EVERYBODY, chance.choices(["fence_cloud", "floating-ip"], [1, 2])[0]
            amount = round(chance.uniform(0.0, 0.35), 3)
        case Kind.LOSS:
            node, amount = chance.choice([node, EVERYBODY]), chance.choice([5, 15, 30, 60])
        case Kind.ISOLATION | Kind.SPLIT:
            pass
    return Trouble(kind, node, at, round(seconds, 1), detail, amount)
