from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

import pytest

from cloudha.deadline import Deadline
from cloudha.provider import Context, IPAddress, Secret, Settings
from cloudha.testing.emulator.client import PATIENCE_SECONDS, Client
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha_plugin_sim.emulator import SimEmulator, make
from cloudha_plugin_sim.records import Behaviour


def _ip(text: str) -> IPAddress:
    return ipaddress.ip_address(text)


@pytest.fixture
def world() -> MemoryWorld:
    # The first machine has the address that this test's requests come from.
    return MemoryWorld(["n1=127.0.0.1", "n2"])


@pytest.fixture
def sim(world: MemoryWorld) -> Iterator[SimEmulator]:
    emulator = make(world, "127.0.0.1", 0, public=[_ip("203.0.113.7")], behaviour=Behaviour(stop=0.02, start=0.02))
    emulator.start()
    yield emulator
    emulator.close()


@pytest.fixture
def client(sim: SimEmulator) -> Client:
    return Client(sim.url)


@pytest.fixture
def context(sim: SimEmulator) -> Callable[..., Context]:
    def new(read_seconds: float = PATIENCE_SECONDS, token: str = "", **settings: str) -> Context:
        values: dict[str, str | Secret] = {"endpoint": sim.url, **settings}
        if token:
            values["password"] = Secret(token)
        return Context(Settings(values), Deadline(PATIENCE_SECONDS), read_seconds=read_seconds)

    return new
