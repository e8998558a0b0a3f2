"""How long each cloud takes, as the numbers of a Pacemaker configuration, and where each number is from.

A provider does not declare these. One that is not in the table gets times that are long enough for clouds that take
minutes; a description may override every one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cloudha.types import Kind

__all__ = ["PACEMAKER_MARGIN", "AddressTimes", "FenceTimes", "Monitor", "address_times", "fence_times"]

# fence_cloud starts the machine again after a confirmed off, within 4 s, and wants 10 s until Pacemaker kills it.
PACEMAKER_MARGIN = 20


@dataclass(frozen=True, slots=True)
class FenceTimes:
    """Times of the fencing device, in seconds.

    ``power_timeout`` is all the time that an off has. ``head_start`` is how long one of two nodes waits before it
    fences the other: longer than a stop takes to reach the machine. ``why`` says where ``power_timeout`` is from.
    """

    power_timeout: int
    head_start: int
    monitor_interval: int
    monitor_timeout: int
    why: str

    @property
    def pacemaker_timeout(self) -> int:
        """What Pacemaker must allow a reboot, so that the agent ends first and says why."""
        return self.power_timeout + PACEMAKER_MARGIN


@dataclass(frozen=True, slots=True)
class Monitor:
    """One recurring monitor; ``deep``: at OCF_CHECK_LEVEL 10, where the cloud's API has the word."""

    interval: int
    timeout: int
    deep: bool = False


@dataclass(frozen=True, slots=True)
class AddressTimes:
    """Times of an address, in seconds. ``why`` says what the monitors ask."""

    start: int
    stop: int
    monitors: tuple[Monitor, ...]
    why: str


DEFAULT_FENCE = FenceTimes(240, 15, 60, 30, "a cloud may take minutes; a longer limit costs nothing when it is quick")
FENCE = {
    "sim": FenceTimes(50, 5, 60, 20, "the simulated cloud stops a machine in seconds"),
    "aws": FenceTimes(
        240, 10, 60, 30, "a forced stop takes seconds, with a boto3 older than late 2025 minutes (docs/aws.md)"
    ),
    # Azure allows few power requests a minute; a monitor once an hour is what docs/azure.md recommends.
    "azure": FenceTimes(600, 15, 3600, 120, "Azure's operations take up to ten minutes (docs/azure.md)"),
    "oci": FenceTimes(240, 10, 60, 30, "OCI takes minutes at worst (docs/oci.md)"),
    "ibm": FenceTimes(240, 15, 600, 60, "IBM Cloud takes minutes at worst (docs/ibm.md)"),
}

LEVELS = "every 10 s what this machine sees by itself, every 60 s what the cloud's API says"
API = "each monitor asks the cloud's API"
DEFAULT_ADDRESS = AddressTimes(180, 180, (Monitor(10, 30), Monitor(60, 30, deep=True)), LEVELS)
ADDRESS = {
    "sim": AddressTimes(30, 30, (Monitor(10, 30), Monitor(60, 30, deep=True)), LEVELS),
    "aws": DEFAULT_ADDRESS,
    "azure": AddressTimes(600, 600, (Monitor(60, 60),), f"{API}; a move takes seconds to minutes (docs/azure.md)"),
    "oci": AddressTimes(60, 60, (Monitor(20, 30),), f"{API} (docs/oci.md)"),
    "ibm": AddressTimes(120, 120, (Monitor(30, 60),), f"{API}; a move is two requests (docs/ibm.md)"),
    "lb-probe": AddressTimes(20, 20, (Monitor(10, 20),), "the load balancer is not asked; this machine answers it"),
}
# Where a kind differs from the rest of its cloud.
KINDS = {
    ("aws", Kind.PUBLIC): (Monitor(60, 30, deep=True),),
    ("aws", Kind.ROUTE): (Monitor(10, 30, deep=True),),
    ("ibm", Kind.PUBLIC): (Monitor(60, 60),),
}


def fence_times(provider: str) -> FenceTimes:
    """Return the times for fencing with *provider*."""
    return FENCE.get(provider, DEFAULT_FENCE)


def address_times(provider: str, kind: Kind) -> AddressTimes:
    """Return the times for an address of *kind* with *provider*."""
    known = ADDRESS.get(provider, DEFAULT_ADDRESS)
    monitors = KINDS.get((provider, kind))
    return replace(known, monitors=monitors, why=f"{API} (docs/{provider}.md)") if monitors else known
