"""Two nodes that lose sight of each other both fence: does one of them get a head start?"""

from __future__ import annotations

from collections.abc import Iterator

from cloudha.cli.checks.case import Case
from cloudha.cli.checks.cib import Cib, Resource, seconds
from cloudha.cli.checks.devices import in_use
from cloudha.cli.checks.finding import Finding, good, warn
from cloudha.cli.checks.hostmap import coverage, parse_host_map

__all__ = ["find"]

WHY = "after a split each node switches the other one off, and the service is gone with both"
PRIORITY = "priority-fencing-delay"
MEND = f"pcs property set {PRIORITY}=10s, and meta priority=10 for the service"


def find(case: Case) -> Iterator[Finding]:
    """Look for a delay that differs between the two nodes. Clusters of three and more have a majority instead."""
    cib = case.cib
    if cib is None or not in_use(cib):
        return
    members = [member.name for member in cib.members if not member.remote]
    if len(members) != 2:
        return
    delay = seconds(cib.properties.get(PRIORITY, "0")) or 0.0
    if delay > 0:
        if any(_number(resource.meta.get("priority", "0")) > 0 for resource in cib.resources):
            yield good("delays.priority", f"{PRIORITY}={delay:g}s lets the node win that has the service")
        else:
            yield warn(
                "delays.priority",
                f"{PRIORITY}={delay:g}s, and no resource has a priority",
                f"without priorities it delays nothing: {WHY}",
                "pcs resource meta RESOURCE priority=10",
            )
        return
    ways = {name: _delay(cib, name) for name in members}
    if any(random for _, random in ways.values()) or len({fixed for fixed, _ in ways.values()}) > 1:
        yield good("delays.device", "the fence devices delay the two nodes differently")
        return
    same = next(iter(ways.values()))[0]
    what = f"both nodes are fenced after the same delay ({same:g} s)" if same else "no fencing delay is configured"
    yield warn("delays.none", f"{what} in a cluster of two nodes", f"{WHY} (unless a quorum device decides)", MEND)


def _delay(cib: Cib, node: str) -> tuple[float, bool]:
    """Return the fixed delay before *node* is fenced, and whether a random one comes on top."""
    devices = [device for device in in_use(cib) if coverage(device).covers(node) is not False]
    fixed = [_base(device, node) + (seconds(device.parameters.get("delay", "0")) or 0.0) for device in devices]
    random = any((seconds(device.parameters.get("pcmk_delay_max", "0")) or 0.0) > 0 for device in devices)
    return max(fixed, default=0.0), random


def _base(device: Resource, node: str) -> float:
    text = device.parameters.get("pcmk_delay_base", "0")
    # Since 2.1.2 it may be a map, as pcmk_host_map is.
    if ":" in text or "=" in text:
        text = {name.casefold(): value for name, value in parse_host_map(text).items()}.get(node.casefold(), "0")
    return seconds(text) or 0.0


def _number(text: str) -> float:
    if text.upper().lstrip("+") == "INFINITY":
        return 1_000_000.0
    return float(text) if text.lstrip("+-").isdecimal() else 0.0
