"""The simulated cloud that the tests of both agents use."""

from __future__ import annotations

import ipaddress

from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha_plugin_sim.emulator import SimEmulator, make
from cloudha_plugin_sim.records import Behaviour

__all__ = ["PUBLIC_ADDRESS", "simulated_cloud"]

# The private node's own address is the first machine's: the metadata service knows the caller by it.
MACHINES = ("n1=10.9.9.1", "n2=10.9.9.2", "n3=10.9.9.3")
PUBLIC_ADDRESS = "192.0.2.10"


def simulated_cloud(host: str = "127.0.0.1", token: str = "") -> SimEmulator:
    """Make a cloud with three running machines; stops and starts take a moment."""
    return make(
        MemoryWorld(MACHINES),
        host,
        0,
        token=token,
        public=[ipaddress.ip_address(PUBLIC_ADDRESS)],
        behaviour=Behaviour(stop=0.1, start=0.1),
    )
