"""Azure: what ours asks of Resource Manager, run for real against an emulator that keeps the limits of one machine."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudha.testing.emulator.client import eventually
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha_plugin_azure.emulator import AzureEmulator, Behaviour, make
from measure import Command
from scale_measure import execute
from stage import ADDRESS, PATHS, Agents

__all__ = ["measure_azure"]

# A machine that takes this long to stop shows how often it is looked at.
STOP_SECONDS = 45.0
POWER_TIMEOUT = 100


def measure_azure() -> list[dict[str, Any]]:
    """Run ours for every action on an emulated Azure that keeps its limits; return what each asked."""
    world = MemoryWorld(["n1=10.0.1.11", "n2=10.0.1.12"])
    behaviour = Behaviour(stop=STOP_SECONDS, start=1.0, throttled=True)
    azure = make(world, "127.0.0.1", 0, behaviour=behaviour).start()
    azure.account.myself = "n1"
    found = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            root.chmod(0o755)
            ours = Agents(root)
            commands = {action: _address(ours, azure, action) for action in ("start", "monitor", "stop")}
            for action in ("fence monitor", "reboot"):
                commands[action] = _fence(ours, azure, action.removeprefix("fence "))
            for action, command in commands.items():
                found.append(_run(azure, action, command))
                print(f"cloudha on Azure: {found[-1]}", flush=True)
    finally:
        azure.close()
    return found


def _run(azure: AzureEmulator, action: str, command: Command) -> dict[str, Any]:
    azure.server.journal.clear()
    began = time.monotonic()
    code = execute(command, POWER_TIMEOUT + 20.0)
    seconds = time.monotonic() - began
    eventually(lambda: all(entry.status for entry in azure.server.journal.entries()))
    entries = [e for e in azure.server.journal.entries() if not e.operation.startswith(("metadata.", "identity."))]
    refused = sum(entry.status == 429 for entry in entries)
    asked = dict(Counter(entry.operation for entry in entries))
    return {"action": action, "exit": code, "seconds": round(seconds, 1), "asked": asked, "refused": refused}


def _fence(ours: Agents, azure: AzureEmulator, action: str) -> Command:
    given = {"action": action, "plug": "n2", "provider": "azure", "power_timeout": POWER_TIMEOUT, **azure.options()}
    return Command((ours.fence,), {"PATH": PATHS}, "".join(f"{name}={value}\n" for name, value in given.items()))


def _address(ours: Agents, azure: AzureEmulator, action: str) -> Command:
    given: Mapping[str, str] = {
        "provider": "azure",
        "ip": ADDRESS,
        "CRM_meta_timeout": "60000",
        "CRM_meta_interval": "60000",
        **azure.options(),
    }
    environment = {f"OCF_RESKEY_{name}": value for name, value in given.items()}
    more = {"PATH": PATHS, "OCF_ROOT": "/usr/lib/ocf", "OCF_RESOURCE_INSTANCE": "vip", "OCF_CHECK_LEVEL": "0"}
    return Command((ours.address, action), {**environment, **more})
