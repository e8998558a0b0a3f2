"""The model, without HTTP: what is true, and in what order."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Iterator

import pytest

from cloudha.provider import Kind
from cloudha.testing.emulator.client import PATIENCE_SECONDS, eventually
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha_plugin_sim.cloud import Cloud
from cloudha_plugin_sim.records import Behaviour, CloudError, State

VIP = ipaddress.ip_address("10.77.0.100")
PUBLIC = ipaddress.ip_address("203.0.113.7")


@pytest.fixture
def cloud(world: MemoryWorld) -> Iterator[Cloud]:
    cloud = Cloud(world, Behaviour(stop=0.01, start=0.01), [PUBLIC])
    yield cloud
    cloud.close()


class SlowWorld(MemoryWorld):
    """A world in which switching takes until somebody says so."""

    def __init__(self) -> None:
        super().__init__(["n1"])
        self.asked = threading.Event()
        self.go_on = threading.Event()

    def cut_power(self, name: str) -> None:
        self.asked.set()
        assert self.go_on.wait(PATIENCE_SECONDS)
        super().cut_power(name)


class FailingWorld(MemoryWorld):
    """A world whose power switch does nothing but complain, until it is mended."""

    failing = True

    def __init__(self) -> None:
        super().__init__(["n1"])

    def cut_power(self, name: str) -> None:
        if self.failing:
            raise OSError("no power switch")
        super().cut_power(name)


class CountingWorld(MemoryWorld):
    """A world that remembers whether a machine had power when it was given power."""

    def __init__(self) -> None:
        super().__init__(["n1"])
        self.given: list[bool] = []

    def give_power(self, name: str) -> None:
        self.given.append(self.powered(name))
        super().give_power(name)


def reaches(cloud: Cloud, machine: str, state: State) -> None:
    eventually(lambda: cloud.machine(machine).state is state)


def test_stopped_only_after_the_cut() -> None:
    world = SlowWorld()
    cloud = Cloud(world, Behaviour(stop=0, start=0))
    cloud.off("m-0001")
    assert world.asked.wait(PATIENCE_SECONDS)
    assert cloud.machine("m-0001").state is State.STOPPING
    world.go_on.set()
    reaches(cloud, "m-0001", State.STOPPED)
    assert not world.powered("n1")


def test_a_world_that_fails_leaves_the_machine_running() -> None:
    world = FailingWorld()
    cloud = Cloud(world, Behaviour(stop=0, start=0))
    cloud.off("m-0001")
    reaches(cloud, "m-0001", State.RUNNING)
    assert world.powered("n1")
    world.failing = False
    cloud.off("m-0001")
    reaches(cloud, "m-0001", State.STOPPED)


def test_states_follow_the_world(cloud: Cloud, world: MemoryWorld) -> None:
    world.cut_power("n1")
    assert cloud.machine("m-0001").state is State.STOPPED
    world.give_power("n1")
    assert cloud.machine("m-0001").state is State.RUNNING


def test_starting_cannot_be_stopped(cloud: Cloud) -> None:
    cloud.off("m-0001")
    reaches(cloud, "m-0001", State.STOPPED)
    cloud.behaviour.start = 60
    cloud.on("m-0001")
    with pytest.raises(CloudError, match="starting"):
        cloud.off("m-0001")


def test_terminate_overtakes_a_start(cloud: Cloud, world: MemoryWorld) -> None:
    cloud.bind(Kind.PRIVATE, VIP, "m-0001")
    cloud.off("m-0001")
    reaches(cloud, "m-0001", State.STOPPED)
    cloud.behaviour.start = 0.2
    cloud.on("m-0001")
    cloud.terminate("m-0001")
    reaches(cloud, "m-0001", State.TERMINATED)
    assert not world.powered("n1")
    assert world.routes() == {}
    assert cloud.addresses(Kind.PRIVATE, VIP)[0].machine is None
    for refused in (cloud.on, lambda machine: cloud.bind(Kind.PRIVATE, VIP, machine)):
        with pytest.raises(CloudError, match="terminated"):
            refused("m-0001")


def test_restarts_behind_ones_back() -> None:
    world = CountingWorld()
    cloud = Cloud(world, Behaviour(stop=0.01, start=0.01))
    cloud.describe("m-0001", name="n1", group="web", restart_after=0.01)
    cloud.off("m-0001")
    eventually(lambda: world.given == [False])
    reaches(cloud, "m-0001", State.RUNNING)
    cloud.restart("m-0001")
    eventually(lambda: world.given == [False, False])
    reaches(cloud, "m-0001", State.RUNNING)


def test_power_off_keeps_addresses(cloud: Cloud, world: MemoryWorld) -> None:
    cloud.bind(Kind.PRIVATE, VIP, "m-0001")
    cloud.off("m-0001")
    reaches(cloud, "m-0001", State.STOPPED)
    assert cloud.addresses(Kind.PRIVATE, VIP)[0].machine == "m-0001"
    assert world.routes() == {VIP: "n1"}


def test_own_addresses_do_not_float(cloud: Cloud) -> None:
    own = cloud.machine("m-0002").nics[0].address
    with pytest.raises(CloudError, match="own address"):
        cloud.bind(Kind.PRIVATE, own, "m-0001")
    with pytest.raises(CloudError, match="own address"):
        cloud.unbind(Kind.PRIVATE, own, "m-0002")
    assert cloud.bind(Kind.PRIVATE, own, "m-0002").machine == "m-0002"


def test_delayed_changes_the_last_one_wins(cloud: Cloud, world: MemoryWorld) -> None:
    cloud.behaviour.bind = 0.05
    assert cloud.bind(Kind.PRIVATE, VIP, "m-0001").machine is None
    cloud.bind(Kind.PRIVATE, VIP, "m-0002")
    eventually(lambda: world.routes() == {VIP: "n2"})
    assert [a.machine for a in cloud.addresses(Kind.PRIVATE, VIP)] == ["m-0002"]
    cloud.unbind(Kind.PRIVATE, VIP, "m-0002")
    eventually(lambda: world.routes() == {})


def test_one_holder_whoever_races(cloud: Cloud, world: MemoryWorld) -> None:
    def grab(machine: str) -> None:
        for _ in range(50):
            cloud.bind(Kind.PRIVATE, VIP, machine)
            cloud.unbind(Kind.PRIVATE, VIP, machine)

    threads = [threading.Thread(target=grab, args=(machine,)) for machine in ("m-0001", "m-0002")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert len(cloud.addresses(Kind.PRIVATE, VIP)) == 1
    assert world.routes() == {}


def test_quota(cloud: Cloud) -> None:
    cloud.behaviour.addresses_per_machine = 1
    cloud.bind(Kind.PRIVATE, VIP, "m-0001")
    with pytest.raises(CloudError, match="holds 1"):
        cloud.bind(Kind.PUBLIC, PUBLIC, "m-0001")
    assert cloud.bind(Kind.PRIVATE, VIP, "m-0001").machine == "m-0001"


def test_stale_and_truth(cloud: Cloud) -> None:
    cloud.bind(Kind.PRIVATE, VIP, "m-0001")
    assert cloud.addresses(Kind.PRIVATE, VIP, stale=3600) == []
    assert cloud.addresses(Kind.PUBLIC, PUBLIC, stale=3600)
    assert len(cloud.machines(stale=3600)) == 2
    assert cloud.truth().addresses[Kind.PRIVATE, VIP].machine == "m-0001"
    assert cloud.addresses(Kind.PRIVATE, VIP, stale=1e-9)[0].machine == "m-0001"
