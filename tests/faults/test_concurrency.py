"""Many agents at once: monitors while others start and stop, and two nodes that want the same address."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pytest

from agent_process import Agents, Ran, at_once
from cloudha.testing.conformance.agents import Executables
from cloudha.types import Kind
from cloudha_plugin_sim.emulator import SimEmulator
from private_node import private_node
from simulated_cloud import simulated_cloud

MONITORS = 50
ROUNDS = 3
ADDRESS = "10.9.9.100"
# Not of the same network: then packets to it come from it, and the cloud sees who asks.
SECOND_ADDRESS = "ip address add 10.9.9.2/32 dev eth0"
TIMEOUT = 28.0
# Who was overtaken between its binding and its look waits as long as it may for a cloud that is behind.
RACE_TIMEOUT = 10.0
RUNNING, NOT_RUNNING = 0, 7


@dataclass(frozen=True)
class Cluster:
    """Two nodes of one simulated cloud. They share a network and nothing else; the cloud knows them by address."""

    cloud: SimEmulator
    first: Agents
    second: Agents

    def holder(self) -> str | None:
        found = self.cloud.cloud.addresses(Kind.PRIVATE)
        return next((a.machine for a in found if str(a.ip) == ADDRESS), None)

    def node(self, number: int) -> Agents:
        return (self.first, self.second)[number]

    def id(self, number: int) -> str:
        return f"m-000{number + 1}"


@pytest.fixture(scope="module")
def cluster(executables: Executables) -> Iterator[Cluster]:
    root = executables.fence_cloud.parents[2]
    with private_node(SECOND_ADDRESS) as one, private_node() as two:
        cloud = one.call(lambda: simulated_cloud("0.0.0.0"))
        cloud.start()
        prefixes = one.prefix, (one.prefix[0], one.prefix[1], *two.prefix[2:])
        nodes = [
            Agents(
                root, prefix, {"provider": "sim", "endpoint": f"http://10.9.9.{n}:{cloud.server.port}", "ip": ADDRESS}
            )
            for n, prefix in enumerate(prefixes, 1)
        ]
        yield Cluster(cloud, *nodes)
        cloud.close()


@pytest.fixture(autouse=True)
def _free(cluster: Cluster) -> None:
    for number in (0, 1):
        assert cluster.node(number).address("stop", timeout=TIMEOUT).code == 0
    assert cluster.holder() is None


@dataclass
class _Timed:
    name: str
    began: float
    ended: float
    ran: Ran


def _timed(name: str, call: Callable[[], Ran]) -> _Timed:
    began = time.monotonic()
    ran = call()
    return _Timed(name, began, time.monotonic(), ran)


def _turns(node: Agents) -> list[_Timed]:
    return [_timed(action, partial(node.address, action, timeout=TIMEOUT)) for action in ("start", "stop") * 3]


def test_fifty_monitors_while_it_starts_and_stops(cluster: Cluster) -> None:
    """Whoever looks while nothing changes tells the truth; nobody is disturbed by anybody else."""
    node = cluster.first
    with ThreadPoolExecutor(MONITORS + 1) as pool:
        turns = pool.submit(_turns, node)
        looks = [
            pool.submit(_timed, "monitor", lambda: node.address("monitor", timeout=TIMEOUT)) for _ in range(MONITORS)
        ]
        monitors, changes = [look.result() for look in looks], turns.result()
    assert [change.ran.code for change in changes] == [0] * len(changes)
    for monitor in monitors:
        assert monitor.ran.code in (RUNNING, NOT_RUNNING, 1), monitor
        assert "Traceback" not in monitor.ran.err
        assert len(monitor.ran.said) <= 1, monitor
        during = [c for c in changes if c.began <= monitor.ended and c.ended >= monitor.began]
        before = [c.name for c in changes if c.ended < monitor.began]
        if not during:
            held = bool(before) and before[-1] == "start"
            assert monitor.ran.code == (RUNNING if held else NOT_RUNNING), monitor


def test_fifty_monitors_of_a_held_address(cluster: Cluster) -> None:
    assert cluster.first.address("start", timeout=TIMEOUT).code == 0
    found = at_once(*[lambda: cluster.first.address("monitor", timeout=TIMEOUT)] * MONITORS)
    assert {(ran.code, ran.err) for ran in found} == {(0, "")}


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_two_nodes_start_at_once(cluster: Cluster, round_: int) -> None:
    """The last one has it, and knows; the other one learns at its next monitor that it has lost it."""
    found = _both(cluster, "start")
    holder = cluster.holder()
    assert holder in (cluster.id(0), cluster.id(1)), (round_, found)
    for number in (0, 1):
        mine = cluster.id(number) == holder
        assert found[number].code == 0 or not mine, (found, holder)
        level = {"OCF_CHECK_LEVEL": "10"}
        for env in ({}, level):
            code = cluster.node(number).address("monitor", timeout=TIMEOUT, env=env).code
            assert code == (RUNNING if mine else NOT_RUNNING)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_two_nodes_start_and_neither_takes_over(cluster: Cluster, round_: int) -> None:
    """Exactly one is told that it has it."""
    found = _both(cluster, "start", takeover="never")
    holder = cluster.holder()
    codes = {cluster.id(number): found[number].code for number in (0, 1)}
    assert holder is not None, round_
    assert codes.pop(holder) == 0, found
    assert set(codes.values()).isdisjoint({RUNNING, NOT_RUNNING}), found


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_late_stop_takes_nothing_away(cluster: Cluster, round_: int) -> None:
    """While the old holder stops, the new one starts: in the end the new one has it, or is told that it has not."""
    assert cluster.first.address("start", timeout=TIMEOUT).code == 0
    stop, start = at_once(
        lambda: cluster.first.address("stop", timeout=TIMEOUT), lambda: cluster.second.address("start", timeout=TIMEOUT)
    )
    assert (stop.code, start.code) == (0, 0), (stop, start, round_)
    assert cluster.holder() == cluster.id(1)


def test_two_nodes_fence_the_same_machine(cluster: Cluster) -> None:
    found = at_once(*[lambda n=n: cluster.node(n).fence("off", plug="n3", ip=None, power_timeout=40) for n in (0, 1)])
    assert [ran.code for ran in found] == [0, 0], found
    assert not cluster.cloud.cloud.world.powered("n3")
    found = at_once(*[lambda n=n: cluster.node(n).fence("on", plug="n3", ip=None, power_timeout=40) for n in (0, 1)])
    assert [ran.code for ran in found] == [0, 0], found
    assert cluster.cloud.cloud.world.powered("n3")


def _both(cluster: Cluster, action: str, takeover: str = "always") -> list[Ran]:
    together = threading.Barrier(2)

    def run(number: int) -> Ran:
        node = cluster.node(number)
        together.wait(10)
        return node.address(action, timeout=RACE_TIMEOUT, takeover=takeover)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, (0, 1)))
