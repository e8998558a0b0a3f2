"""A move of the fencing that has begun, as its fencing levels show."""

from __future__ import annotations

from cloudha.planning.cib import Configuration
from cloudha.planning.old_agents import OLD

__all__ = ["device_before"]

FENCE_AGENT = "stonith:fence_cloud"


def device_before(configuration: Configuration, old: str) -> str:
    """Return our device that fences before the device *old*, as a move's first part leaves it, "" when there is none.

    Whoever looks at the way again, after every node was fenced once, is to find what is left of it.
    """
    agents = {one.name: one.agent for one in configuration.primitives}
    ranks: dict[tuple[str, str], int] = {}
    for level in configuration.levels:
        target, device = level.get("target", ""), level.get("devices", "")
        # Levels of anybody else's making stay a decision.
        if not target or (agents.get(device) != FENCE_AGENT and agents.get(device) not in OLD):
            return ""
        ranks[target, device] = int(level.get("index", "0"))
    before = [
        {device for (at, device), rank in ranks.items() if (at, agents[device]) == (target, FENCE_AGENT) and rank < own}
        for (target, named), own in ranks.items()
        if named == old
    ]
    return min(set.intersection(*before), default="") if before else ""
