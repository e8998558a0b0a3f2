"""What Microsoft publishes of Azure's throttling, by the emulator's names of operations.

"Compute throttling limits" and "Understand how Azure Resource Manager throttles requests" (learn.microsoft.com); the
limits of Microsoft.Network from the second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scale_limits import Limit

__all__ = ["FENCE_INTERVAL", "LIMITS", "MONITOR_INTERVAL", "PER_MACHINE", "AzureLimit", "per_failover"]

# docs/azure.md: a monitor of the fence device once an hour, of an address on an interface every minute.
FENCE_INTERVAL = 3600.0
MONITOR_INTERVAL = 60.0
READS = ("machines.get", "machines.list", "operations.get", "nics.get", "nics.list", "permissions.list")
POWER = ("power_off", "power_on")


@dataclass(frozen=True)
class AzureLimit:
    """A bucket and the emulator's names of the operations that draw on it."""

    name: str
    limit: Limit
    operations: tuple[str, ...]


PER_MACHINE = (
    AzureLimit("state of a machine", Limit(36, 12 / 60), ("machines.get",)),
    AzureLimit("power of a machine", Limit(12, 4 / 60), POWER),
    AzureLimit("status of its operations", Limit(45, 15 / 60), ("operations.get",)),
)
# Of a subscription in one region; what one identity may send is less, but each machine has an identity of its own.
LIMITS = (
    AzureLimit("Compute: state of machines", Limit(24000, 8000 / 60), ("machines.get",)),
    AzureLimit("Compute: power", Limit(1500, 500 / 60), POWER),
    AzureLimit("Compute: status of operations", Limit(15000, 5000 / 60), ("operations.get",)),
    AzureLimit("Compute: lists of machines", Limit(900, 300 / 60), ("machines.list",)),
    AzureLimit("Network: reads", Limit(10000, 10000 / 300), ("nics.get", "nics.list")),
    AzureLimit("Network: writes", Limit(1000, 1000 / 300), ("nics.put",)),
    AzureLimit("Resource Manager: reads, all identities", Limit(15 * 250, 15 * 25), READS),
    AzureLimit("Resource Manager: reads, one identity", Limit(250, 25), READS),
)


def per_failover(runs: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Return the requests of one failover: a fencing, and the start of the address."""
    return sum((Counter(run["asked"]) for run in runs if run["action"] in ("reboot", "start")), Counter())
