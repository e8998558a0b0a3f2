"""Azure keeps the contract: the conformance kit, with the real SDK, over HTTPS, against the emulated Azure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import ClassVar

import pytest

from cloudha.testing.conformance import Capability, EmulatedCloud, ProviderConformance, Scope, TestCloud
from cloudha.testing.emulator import Reply, Request
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha.types import IPAddress, Kind, Node
from cloudha_plugin_azure.emulator import API_ONLY, make
from cloudha_plugin_azure.emulator.account import GROUP, SUBSCRIPTION, TABLE, Account
from cloudha_plugin_azure.emulator.behaviour import Behaviour
from cloudha_plugin_azure.emulator.openapi import Specification

OPERATIONS = {
    Scope.API: API_ONLY,
    Scope.CHANGES: "power_*,nics.put,routes.*",
    Scope.METADATA: "metadata.*",
    Scope.EVERYTHING: "*",
}
ADDRESSES = {
    Kind.PRIVATE: ("10.0.1.5", "10.0.1.50"),
    Kind.PUBLIC: ("203.0.113.1", "203.0.113.10"),
    Kind.ROUTE: ("198.51.100.1", "198.51.100.10"),
}
TRANSITION_SECONDS = 0.2
PAGE = 2


class AzureCloud(EmulatedCloud):
    """An emulated Azure of two machines, in this process. The credentials are a service principal's."""

    def __init__(self, specification: Specification | None) -> None:
        self.emulator = make(MemoryWorld([]), "127.0.0.1", 0).start()
        self.specification = specification
        self.findings: list[str] = []
        self.emulator.service.watch = self.watch
        super().__init__(self.emulator.server, operations=OPERATIONS)
        self.here: Node | None = None
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

    def watch(self, operation: str, request: Request, reply: Reply) -> None:
        """Hold what is sent and answered, before any fault spoils it, to Microsoft's documents."""
        if self.specification is not None:
            found = self.specification.problems(request, reply)
            self.findings.extend(f"{operation}: {problem}" for problem in found)

    def options(self) -> Mapping[str, str]:
        return {
            **self.emulator.options(),
            "subscription_id": SUBSCRIPTION,
            "resource_group": GROUP,
            "route_tables": TABLE,
            "tenant_id": self.emulator.service.identities.tenant_id,
            "client_id": self.emulator.service.identities.client_id,
            "client_secret": self.emulator.service.identities.client_secret,
        }

    def addresses(self, kind: Kind, version: int) -> tuple[IPAddress, IPAddress]:  # noqa: ARG002 - IPv4 only, see below
        first, second = ADDRESSES[kind]
        return ipaddress.ip_address(first), ipaddress.ip_address(second)

    def reset(self) -> None:
        super().reset()
        # A new account, so that no change that is under way reaches into the next check.
        self.account.close()
        self.world = MemoryWorld(["n1=10.0.1.11", "n2=10.0.1.12"])
        account = Account(self.world, Behaviour(stop=TRANSITION_SECONDS, start=TRANSITION_SECONDS, page=PAGE))
        self.emulator.account = self.emulator.service.account = account
        for number, text in enumerate(ADDRESSES[Kind.PUBLIC]):
            account.add_public_ip(f"pip{number}", text)
        self.local(self.machines[0])

    def local(self, machine: Node | None) -> None:
        self.account.myself = machine.name if machine else "nobody"

    def powered(self, machine_id: str) -> bool:
        return self.world.powered(machine_id.rpartition("/")[2])

    def set_power(self, machine_id: str, *, on: bool) -> None:
        (self.world.give_power if on else self.world.cut_power)(machine_id.rpartition("/")[2])

    def transition(self, seconds: float) -> None:
        self.account.behaviour.stop = self.account.behaviour.start = seconds

    def holder(self, kind: Kind, ip: IPAddress) -> str | None:
        return self.account.holder(kind, ip)

    def give(self, kind: Kind, ip: IPAddress, machine_id: str | None) -> None:
        self.account.give(kind, ip, machine_id.rpartition("/")[2] if machine_id else "")

    def crowd(self) -> frozenset[str]:
        for number in range(3, 3 + 2 * PAGE):
            self.account.adopt(self.world.add(f"n{number}", ipaddress.ip_address(f"10.0.1.{60 + number}")))
        return frozenset(self.account.machine_id(name) for name in self.account.machines)

    def crowd_addresses(self, kind: Kind) -> Mapping[IPAddress, str]:
        names = sorted(self.crowd())
        base = ipaddress.ip_address(ADDRESSES[kind][0]) + 100
        held = {base + number: machine_id for number, machine_id in enumerate(names)}
        for number, (ip, machine_id) in enumerate(held.items()):
            if kind is Kind.PUBLIC:
                self.account.add_public_ip(f"crowd{number}", str(ip))
            self.give(kind, ip, machine_id)
        return held


class TestAzure(ProviderConformance):
    """The kit, on provider azure."""

    provider = "azure"
    kinds = (Kind.PRIVATE, Kind.PUBLIC, Kind.ROUTE)
    without: ClassVar = {
        Capability.LOCAL_EVIDENCE: "Microsoft documents no freshness of the metadata service's addresses",
        Capability.SAME_NAMES: "names are unique in a resource group",
        Capability.IPV6: "tested in test_addresses.py: a public one needs an interface with IPv6, too",
    }
    unused_secrets: ClassVar = {"certificate_file": "excludes client_secret; tested in test_credentials.py"}

    @pytest.fixture(scope="class")
    @classmethod
    def cloud(cls, specification: Specification | None) -> Iterator[TestCloud]:
        cloud = AzureCloud(specification)
        yield cloud
        cloud.emulator.close()
        assert not cloud.findings, sorted(set(cloud.findings))[:5]
