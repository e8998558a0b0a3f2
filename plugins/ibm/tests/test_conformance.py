"""IBM Cloud VPC keeps the contract: the conformance kit, with the real SDK, over HTTP, against the emulated cloud."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import ClassVar

import pytest

from cloudha import kept_secrets
from cloudha.context import Context
from cloudha.deadline import Deadline
from cloudha.options import COMMON_OPTIONS, parse
from cloudha.testing.conformance import Capability, EmulatedCloud, ProviderConformance, Scope, TestCloud
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha.types import IPAddress, Kind, Node
from cloudha_plugin_ibm import credentials, token_cache
from cloudha_plugin_ibm.emulator import API_ONLY, make
from cloudha_plugin_ibm.emulator.account import TABLE, Account
from cloudha_plugin_ibm.emulator.behaviour import Behaviour
from cloudha_plugin_ibm.emulator.network import give
from cloudha_plugin_ibm.options import OPTIONS

OPERATIONS = {
    Scope.API: API_ONLY,
    Scope.CHANGES: "power_*,*bind,routes.create,routes.change,routes.delete",
    Scope.METADATA: "metadata.*",
    Scope.EVERYTHING: "*",
}
ADDRESSES = {
    Kind.PRIVATE: ("10.240.0.5", "10.240.0.50"),
    Kind.PUBLIC: ("203.0.113.1", "203.0.113.10"),
    Kind.ROUTE: ("198.51.100.1", "198.51.100.10"),
}
TRANSITION_SECONDS = 0.2
PAGE = 2
# A VNI takes one floating IP: one is left for the provider's own choice, whatever was given before.
EXTRA_INTERFACES = 2
# The agents' processes keep their token where agents do.
AGENTS_DIRECTORY = kept_secrets.DIRECTORY


class IbmCloud(EmulatedCloud):
    """An emulated IBM Cloud of two machines, in this process. The credentials are an API key."""

    def __init__(self) -> None:
        self.emulator = make(MemoryWorld([]), "127.0.0.1", 0).start()
        super().__init__(self.emulator.server, operations=OPERATIONS)
        self.reset()

    @property
    def account(self) -> Account:
        return self.emulator.account

    @property
    def machines(self) -> tuple[Node, Node]:
        first, second = (
            Node(self.account.machine_id(name), name, addresses=(self.account.machines[name].machine.address,))
            for name in ("n1", "n2")
        )
        return first, second

    @property
    def missing_id(self) -> str:
        return self.account.machine_id("n9")

    def options(self) -> Mapping[str, str]:
        return {
            **self.emulator.options(),
            "route_tables": TABLE,
            "vpc": self.account.vpc.id,
            "api_key": self.emulator.service.identities.api_key,
        }

    def addresses(self, kind: Kind, version: int) -> tuple[IPAddress, IPAddress]:  # noqa: ARG002 - IPv4 only, see below
        first, second = ADDRESSES[kind]
        return ipaddress.ip_address(first), ipaddress.ip_address(second)

    def reset(self) -> None:
        super().reset()
        # A new account, so that no change that is under way reaches into the next check.
        self.account.close()
        self.world = MemoryWorld([])
        account = Account(self.world, Behaviour(stop=TRANSITION_SECONDS, start=TRANSITION_SECONDS, page=PAGE))
        self.emulator.service.account = account
        for name, address in (("n1", "10.240.0.11"), ("n2", "10.240.0.12")):
            account.adopt(self.world.add(name, ipaddress.ip_address(address)), extra=EXTRA_INTERFACES)
        for text in ADDRESSES[Kind.PRIVATE]:
            account.reserve(ipaddress.ip_address(text))
        for text in ADDRESSES[Kind.PUBLIC]:
            account.add_floating(ipaddress.ip_address(text))
        self.local(self.machines[0])

    def local(self, machine: Node | None) -> None:
        self.account.myself = machine.name if machine else "nobody"

    def powered(self, machine_id: str) -> bool:
        return self.world.powered(self._name(machine_id))

    def set_power(self, machine_id: str, *, on: bool) -> None:
        (self.world.give_power if on else self.world.cut_power)(self._name(machine_id))

    def transition(self, seconds: float) -> None:
        self.account.behaviour.stop = self.account.behaviour.start = seconds

    def holder(self, kind: Kind, ip: IPAddress) -> str | None:
        return self.account.holder(kind, ip)

    def give(self, kind: Kind, ip: IPAddress, machine_id: str | None) -> None:
        give(self.account, kind, ip, self._name(machine_id) if machine_id else "")

    def crowd(self) -> frozenset[str]:
        for number in range(3, 3 + 2 * PAGE):
            self.account.adopt(self.world.add(f"n{number}", ipaddress.ip_address(f"10.240.0.{60 + number}")))
        return frozenset(virtual.id for virtual in self.account.machines.values())

    def crowd_addresses(self, kind: Kind) -> Mapping[IPAddress, str]:
        ids = sorted(self.crowd())
        base = ipaddress.ip_address(ADDRESSES[kind][0]) + 100
        held = {base + number: machine_id for number, machine_id in enumerate(ids)}
        for ip, machine_id in held.items():
            if kind is Kind.PUBLIC:
                self.account.add_floating(ip)
            if kind is Kind.PRIVATE:
                self.account.reserve(ip)
            self.give(kind, ip, machine_id)
        return held

    def close(self) -> None:
        self.emulator.close()
        # What the agents' processes have left in this machine's own cache.
        settings = parse((*COMMON_OPTIONS, *OPTIONS), self.options())
        name = credentials._name(Context(settings, Deadline(1)))
        before = kept_secrets.DIRECTORY
        kept_secrets.DIRECTORY = AGENTS_DIRECTORY
        found = token_cache.read(name)
        if found is not None:
            token_cache.drop(name, found.token)
        kept_secrets.DIRECTORY = before

    def _name(self, machine_id: str) -> str:
        return next(virtual.name for virtual in self.account.machines.values() if virtual.id == machine_id)


class TestIbm(ProviderConformance):
    """The kit, on provider ibm."""

    provider = "ibm"
    kinds = (Kind.PRIVATE, Kind.PUBLIC, Kind.ROUTE)
    without: ClassVar = {
        Capability.LOCAL_EVIDENCE: "IBM documents no freshness of the metadata service's addresses",
        Capability.SAME_NAMES: "names of instances are unique in a region",
        Capability.IPV6: "IBM Cloud VPC has no IPv6",
    }
    unused_secrets: ClassVar = {"api_key_file": "excludes api_key; tested in test_credentials.py"}

    @pytest.fixture(scope="class")
    @classmethod
    def cloud(cls) -> Iterator[TestCloud]:
        cloud = IbmCloud()
        yield cloud
        cloud.close()
