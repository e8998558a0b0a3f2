"""The other clouds, each with this machine as n1 and the address bound to it: our monitor, and the floor for it."""

from __future__ import annotations

import glob
import ipaddress
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import cloudha_plugin_azure.emulator as azure
import cloudha_plugin_ibm.emulator as ibm
import cloudha_plugin_oci.emulator as oci
import cloudha_plugin_sim.emulator as sim
from cloudha.testing.emulator import FaultServer
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha.types import Kind
from cloudha_plugin_ibm.emulator.network import give
from measure import Command, run
from stage import PATHS, Agents, floor

__all__ = ["Simulated", "monitors"]

FLOORS = Path(__file__).with_name("floors")
ADDRESS = ipaddress.ip_address("10.0.1.50")
# One of this namespace's own: the simulated cloud knows its machines by their addresses.
HERE = "10.9.9.1"
# Where an agent that was here before has left its login, for the floor to use as well.
LOGINS = {"ibm": ("FLOOR_TOKEN_FILE", "token.ibm.*"), "oci": ("FLOOR_SESSION_FILE", "session.oci.*")}


class _Cloud(NamedTuple):
    name: str
    server: FaultServer
    options: Mapping[str, str]
    close: Callable[[], None]


class Simulated:
    """The simulated cloud with so many machines; this one is n1 and holds the address."""

    def __init__(self, ours: Agents, machines: int) -> None:
        others = [f"n{n}=10.{n // 60000 + 1}.{n // 250 % 240}.{n % 250 + 1}" for n in range(2, machines + 1)]
        self.ours = ours
        self.emulator = sim.make(MemoryWorld([f"n1={HERE}", *others]), HERE, 0).start()
        self.server = self.emulator.server
        cloud = self.emulator.cloud
        me = next(item for item in cloud.machines() if item.name == "n1")
        cloud.bind(Kind.PRIVATE, ADDRESS, me.id)

    def close(self) -> None:
        """End it."""
        self.emulator.close()

    def fence(self, action: str) -> Command:
        """Return fence_cloud for one action on n2."""
        given = {"action": action, "plug": "n2", "nodename": "n2", "provider": "sim", **self.emulator.options()}
        text = "".join(f"{name}={value}\n" for name, value in given.items())
        return Command((self.ours.fence,), {"PATH": PATHS}, text)

    def monitor(self, *, deep: bool = False) -> Command:
        """Return floating-ip's monitor; *deep*, with a look at the API."""
        return _monitor(self.ours, "sim", self.emulator.options(), deep=deep)


def monitors(root: Path) -> Iterator[tuple[str, Mapping[str, Command], FaultServer]]:
    """Yield what is compared on each cloud: its name, ours and the floor, and the server that both ask."""
    ours = Agents(root)
    simulated = Simulated(ours, 2)
    command = simulated.monitor()
    yield "sim", {"cloudha": command, "floor": _same_requests(command, simulated.server)}, simulated.server
    simulated.close()
    for make in (_azure, _oci, _ibm):
        cloud = make()
        command = _monitor(ours, cloud.name, cloud.options)
        # The login of the first one is kept for those that follow.
        run(command)
        yield cloud.name, {"cloudha": command, "floor": _floor(cloud)}, cloud.server
        cloud.close()


def _monitor(ours: Agents, provider: str, options: Mapping[str, str], *, deep: bool = False) -> Command:
    given = {"provider": provider, "ip": str(ADDRESS), "CRM_meta_timeout": "60000", "CRM_meta_interval": "10000"}
    around = {"PATH": PATHS, "OCF_ROOT": "/usr/lib/ocf", "OCF_RESOURCE_INSTANCE": "vip"}
    level = {"OCF_CHECK_LEVEL": "10" if deep else "0"}
    return Command(
        (ours.address, "monitor"),
        {**around, **level, **{f"OCF_RESKEY_{name}": value for name, value in {**given, **options}.items()}},
    )


def _same_requests(command: Command, server: FaultServer) -> Command:
    """Return the requests that a command has just sent, by hand."""
    run(command)
    server.journal.clear()
    run(command)
    return floor(*(f"{entry.method} {server.url}{entry.path}" for entry in server.journal.entries()))


def _floor(cloud: _Cloud) -> Command:
    around = {f"FLOOR_{name.upper()}": value for name, value in cloud.options.items()}
    if cloud.name in LOGINS:
        variable, pattern = LOGINS[cloud.name]
        around[variable] = max(glob.glob(f"/run/cloudha/{pattern}"), key=os.path.getmtime)
    argv = (sys.executable, "-I", str(FLOORS / f"{cloud.name}.py"), "monitor", str(ADDRESS))
    return Command(argv, {"PATH": PATHS, **around})


def _azure() -> _Cloud:
    emulator = azure.make(MemoryWorld(["n1=10.0.1.11", "n2=10.0.1.12"]), "127.0.0.1", 0).start()
    emulator.account.myself = "n1"
    emulator.account.give(Kind.PRIVATE, ADDRESS, "n1")
    # The metadata service speaks plain HTTP in every cloud.
    plain = FaultServer(emulator.service, "127.0.0.1", 0).start()
    plain.journal = emulator.server.journal

    def close() -> None:
        plain.close()
        emulator.close()

    return _Cloud("azure", emulator.server, {**emulator.options(), "metadata_endpoint": plain.url}, close)


def _oci() -> _Cloud:
    emulator = oci.make(MemoryWorld(["n1=10.0.1.11", "n2=10.0.1.12"]), "127.0.0.1", 0).start()
    emulator.account.myself = "n1"
    emulator.account.give(Kind.PRIVATE, ADDRESS, emulator.account.named("n1")["id"])
    return _Cloud("oci", emulator.server, emulator.options(), emulator.close)


def _ibm() -> _Cloud:
    world = MemoryWorld(["n1=10.0.1.11", "n2=10.0.1.12"])
    emulator = ibm.make(world, "127.0.0.1", 0, reserved=[ADDRESS]).start()
    emulator.account.myself = "n1"
    give(emulator.account, Kind.PRIVATE, ADDRESS, "n1")
    return _Cloud("ibm", emulator.server, emulator.options(), emulator.close)
