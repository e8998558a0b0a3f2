"""The simulated cloud keeps the contract: the conformance kit on it, and an example of how to use the kit."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

import pytest

from cloudha.testing.conformance import EmulatedCloud, ProviderConformance, Scope, TestCloud
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha.types import IPAddress, Kind, Node
from cloudha_plugin_sim.cloud import Cloud
from cloudha_plugin_sim.emulator import API_ONLY, make
from cloudha_plugin_sim.records import Behaviour

TOKEN = "canary-2f6c1b9d"
CALLER = ipaddress.ip_address("127.0.0.1")
STRANGER = ipaddress.ip_address("192.0.2.1")
FREE = {
    4: (ipaddress.ip_address("10.77.8.1"), ipaddress.ip_address("10.77.8.10")),
    6: (ipaddress.ip_address("fd77::8:1"), ipaddress.ip_address("fd77::8:10")),
}
OPERATIONS = {
    Scope.API: API_ONLY,
    Scope.CHANGES: "power_*,addresses.bind,addresses.unbind",
    Scope.METADATA: "metadata.*",
    Scope.EVERYTHING: "*",
}
TRANSITION_SECONDS = 0.2
PAGE = 2


class SimCloud(EmulatedCloud):
    """A simulated cloud of two machines, in this process."""

    def __init__(self) -> None:
        self.emulator = make(MemoryWorld(), "127.0.0.1", 0, token=TOKEN).start()
        super().__init__(self.emulator.server, operations=OPERATIONS)
        self.reset()

    @property
    def machines(self) -> tuple[Node, Node]:
        first, second = (self.emulator.cloud.machine(key) for key in ("m-0001", "m-0002"))
        return (
            Node(first.id, "n1", addresses=(first.nics[0].address,)),
            Node(second.id, "n2", addresses=(second.nics[0].address,)),
        )

    @property
    def missing_id(self) -> str:
        return "m-9999"

    def options(self) -> Mapping[str, str]:
        return self.emulator.options()

    def addresses(self, kind: Kind, version: int) -> tuple[IPAddress, IPAddress]:  # noqa: ARG002 - the same for all
        return FREE[version]

    def reset(self) -> None:
        super().reset()
        # A new cloud, so that no stop or start that is under way reaches into the next check.
        self.emulator.cloud.close()
        self.world = MemoryWorld(["n1", "n2"])
        cloud = Cloud(self.world, Behaviour(stop=TRANSITION_SECONDS, start=TRANSITION_SECONDS, page=PAGE))
        self.emulator.cloud = self.emulator.api.cloud = cloud
        for ip in (*FREE[4], *FREE[6]):
            cloud.declare(Kind.PUBLIC, ip)
        self.local(self.machines[0])

    def local(self, machine: Node | None) -> None:
        self.emulator.api.callers[CALLER] = machine.addresses[0] if machine else STRANGER

    def powered(self, machine_id: str) -> bool:
        return self.world.powered(self.emulator.cloud.machine(machine_id).world_name)

    def set_power(self, machine_id: str, *, on: bool) -> None:
        name = self.emulator.cloud.machine(machine_id).world_name
        (self.world.give_power if on else self.world.cut_power)(name)

    def transition(self, seconds: float) -> None:
        behaviour = self.emulator.cloud.behaviour
        behaviour.stop = behaviour.start = seconds

    def holder(self, kind: Kind, ip: IPAddress) -> str | None:
        return next((address.machine for address in self.emulator.cloud.addresses(kind, ip)), None)

    def give(self, kind: Kind, ip: IPAddress, machine_id: str | None) -> None:
        holder = self.holder(kind, ip)
        if machine_id is not None:
            self.emulator.cloud.bind(kind, ip, machine_id)
        elif holder is not None:
            self.emulator.cloud.unbind(kind, ip, holder)

    def rename(self, machine_id: str, name: str) -> None:
        self.emulator.cloud.describe(machine_id, name=name, group="", restart_after=None)

    def crowd(self) -> frozenset[str]:
        added = {self.emulator.cloud.adopt(self.world.add(f"n{number}").name).id for number in range(3, 3 + 2 * PAGE)}
        return frozenset(added | {machine.id for machine in self.machines})

    def crowd_addresses(self, kind: Kind) -> Mapping[IPAddress, str]:
        held = {FREE[4][0] + 100 + number: self.machines[number % 2].id for number in range(3 * PAGE)}
        for ip, machine_id in held.items():
            self.emulator.cloud.declare(kind, ip)
            self.emulator.cloud.bind(kind, ip, machine_id)
        return held


class TestSim(ProviderConformance):
    """The kit, on provider sim."""

    provider = "sim"
    kinds = (Kind.PRIVATE, Kind.PUBLIC, Kind.ROUTE)

    @pytest.fixture(scope="class")
    @classmethod
    def cloud(cls) -> Iterator[TestCloud]:
        cloud = SimCloud()
        yield cloud
        cloud.emulator.close()
