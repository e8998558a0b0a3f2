"""Both agents installed once, and a simulated cloud for each test, over real HTTP."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agent_process import Agents
from cloudha.install import install
from cloudha_plugin_sim.emulator import SimEmulator
from private_node import PrivateNode, private_node
from simulated_cloud import simulated_cloud


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Agents:
    """The two executables below a root of their own."""
    root = tmp_path_factory.mktemp("root")
    install(root)
    return Agents(root)


@pytest.fixture
def cloud() -> Iterator[SimEmulator]:
    """A cloud on the loopback address."""
    emulator = simulated_cloud().start()
    yield emulator
    emulator.close()


@pytest.fixture
def token_cloud() -> Iterator[SimEmulator]:
    """A cloud that wants a token."""
    emulator = simulated_cloud(token="tok-5f1e9c7a").start()
    yield emulator
    emulator.close()


@pytest.fixture
def agents(installed: Agents, cloud: SimEmulator) -> Agents:
    """The agents, told of that cloud."""
    return replace(installed, common={"provider": "sim", "endpoint": cloud.url})


@pytest.fixture(scope="session")
def place() -> Iterator[PrivateNode]:
    """A private network and /run, for what changes this machine."""
    with private_node() as node:
        yield node


@pytest.fixture
def node_cloud(place: PrivateNode) -> Iterator[SimEmulator]:
    """A cloud inside the private network, which takes the private node for its machine n1."""
    shutil.rmtree(place.path("/run/cloudha"), ignore_errors=True)
    place.run("/usr/sbin/ip", "address", "flush", "dev", "eth0", "scope", "global")
    place.run("/usr/sbin/ip", "address", "add", "10.9.9.1/24", "dev", "eth0")
    place.run("/usr/sbin/ip", "address", "add", "fd00:9::1/64", "dev", "eth0", "nodad")
    emulator = place.call(lambda: simulated_cloud("10.9.9.1"))
    emulator.start()
    yield emulator
    emulator.close()


@pytest.fixture
def node(installed: Agents, place: PrivateNode, node_cloud: SimEmulator) -> Agents:
    """The agents as they run on the cloud's machine n1, for the address 10.9.9.100."""
    common = {"provider": "sim", "endpoint": node_cloud.url, "ip": "10.9.9.100"}
    return replace(installed, prefix=place.prefix, common=common)


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A folder for a test's own little files."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    return folder
