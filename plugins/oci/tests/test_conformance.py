"""OCI keeps the contract: the conformance kit, with the real SDK, over HTTP, against the emulated OCI.

The credentials are the default ones: the instance principal, with real certificates and a federation.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from cloudha import kept_secrets
from cloudha.testing.conformance import Capability, EmulatedCloud, ProviderConformance, Scope, TestCloud
from cloudha.testing.emulator import Reply, Request
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha.types import IPAddress, Kind, Node
from cloudha_plugin_oci import session_cache
from cloudha_plugin_oci.emulator import make
from cloudha_plugin_oci.emulator.account import COMPARTMENT, Account
from cloudha_plugin_oci.emulator.behaviour import Behaviour
from cloudha_plugin_oci.emulator.models import problems
from cloudha_plugin_oci.emulator.records import new_ocid

OPERATIONS = {
    # Without the federation, so that the faults reach what comes after it; its own are in test_credentials.py.
    Scope.API: "*,!metadata.*,!identity.*",
    Scope.CHANGES: "power_*,*.update,*.create,*.detach",
    Scope.METADATA: "metadata.*",
    Scope.EVERYTHING: "*",
}
ADDRESSES = {
    (Kind.PRIVATE, 4): ("10.0.1.5", "10.0.1.50"),
    (Kind.PRIVATE, 6): ("2001:db8:77::1", "2001:db8:77::10"),
    (Kind.PUBLIC, 4): ("203.0.113.1", "203.0.113.10"),
    (Kind.ROUTE, 4): ("198.51.100.1", "198.51.100.10"),
    (Kind.ROUTE, 6): ("2001:db8:99::1", "2001:db8:99::10"),
}
TRANSITION_SECONDS = 0.2
ASSIGN_SECONDS = 0.05
PAGE = 2
NOBODY = "nobody"
# The agents' processes keep their session where agents do.
AGENTS_DIRECTORY = kept_secrets.DIRECTORY if os.geteuid() == 0 else kept_secrets.USER_DIRECTORY


class OciCloud(EmulatedCloud):
    """An emulated OCI of two machines, in this process."""

    def __init__(self, directory: Path) -> None:
        self.emulator = make(MemoryWorld([]), "127.0.0.1", 0).start()
        self.config = self.emulator.service.identities.write_config(directory)
        self.findings: list[str] = []
        self.emulator.service.watch = self.watch
        super().__init__(self.emulator.server, operations=OPERATIONS)
        self.reset()

    @property
    def account(self) -> Account:
        return self.emulator.account

    def _node(self, name: str) -> Node:
        ocid = next(ocid for ocid, machine in self.account.machines.items() if machine.name == name)
        return Node(ocid, name, addresses=(self.account.machines[ocid].address,))

    @property
    def machines(self) -> tuple[Node, Node]:
        return self._node("n1"), self._node("n2")

    @property
    def missing_id(self) -> str:
        return new_ocid("instance")

    def watch(self, operation: str, request: Request, reply: Reply) -> None:
        """Hold what is sent and answered, before any fault spoils it, to the SDK's own models."""
        self.findings.extend(f"{operation}: {problem}" for problem in problems(operation, request, reply))

    def options(self) -> Mapping[str, str]:
        # A machine that is none of OCI's has no instance principal: there it is a user with an API key.
        elsewhere = {"auth": "api_key", "config_file": str(self.config), "compartment_id": COMPARTMENT}
        here = {} if self.account.myself != NOBODY else elsewhere
        return {**self.emulator.options(), "route_tables": self.account.table["id"], **here}

    def addresses(self, kind: Kind, version: int) -> tuple[IPAddress, IPAddress]:
        first, second = ADDRESSES[kind, version]
        return ipaddress.ip_address(first), ipaddress.ip_address(second)

    def reset(self) -> None:
        super().reset()
        # A new account, so that no change that is under way reaches into the next check.
        self.account.close()
        self.world = MemoryWorld(["n1=10.0.1.11", "n2=10.0.1.12"])
        behaviour = Behaviour(stop=TRANSITION_SECONDS, start=TRANSITION_SECONDS, assign=ASSIGN_SECONDS, page=PAGE)
        account = Account(self.world, behaviour)
        self.emulator.account = self.emulator.service.account = account
        for text in ADDRESSES[Kind.PUBLIC, 4]:
            account.add_public_ip(text)
        self.local(self.machines[0])

    def local(self, machine: Node | None) -> None:
        self.account.myself = machine.id if machine else NOBODY

    def rename(self, machine_id: str, name: str) -> None:
        self.account.records.change(machine_id, displayName=name)

    def powered(self, machine_id: str) -> bool:
        return self.world.powered(self.account.machines[machine_id].name)

    def set_power(self, machine_id: str, *, on: bool) -> None:
        name = self.account.machines[machine_id].name
        (self.world.give_power if on else self.world.cut_power)(name)

    def transition(self, seconds: float) -> None:
        self.account.behaviour.stop = self.account.behaviour.start = seconds

    def holder(self, kind: Kind, ip: IPAddress) -> str | None:
        return self.account.holder(kind, ip)

    def give(self, kind: Kind, ip: IPAddress, machine_id: str | None) -> None:
        self.account.give(kind, ip, machine_id)

    def close(self) -> None:
        port = self.emulator.url.rpartition(":")[2]
        self.emulator.close()
        # What the agents' processes have left in this machine's own cache.
        for path in Path(AGENTS_DIRECTORY.format(uid=os.geteuid())).glob(f"{session_cache.PREFIX}*{port}*"):
            path.unlink()

    def crowd(self) -> frozenset[str]:
        for number in range(3, 3 + 2 * PAGE):
            self.account.adopt(self.world.add(f"n{number}", ipaddress.ip_address(f"10.0.1.{60 + number}")))
        return frozenset(self.account.machines)

    def crowd_addresses(self, kind: Kind) -> Mapping[IPAddress, str]:
        base = ipaddress.ip_address(ADDRESSES[kind, 4][0]) + 100
        held = {base + number: machine_id for number, machine_id in enumerate(sorted(self.crowd()))}
        for ip, machine_id in held.items():
            self.give(kind, ip, machine_id)
        return held


class TestOci(ProviderConformance):
    """The kit, on provider oci."""

    provider = "oci"
    kinds = (Kind.PRIVATE, Kind.PUBLIC, Kind.ROUTE)
    without: ClassVar = {
        Capability.LOCAL_EVIDENCE: "the metadata service lists the primary address of each VNIC only",
        Capability.IPV6: "the kit wants it of every kind, and OCI's public IPs are IPv4: tested in test_addresses.py",
    }
    # Importing the SDK, which changes need, takes half a second of each of the many processes that run at once.
    failing_seconds = 6.0

    @pytest.fixture(scope="class")
    @classmethod
    def cloud(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCloud]:
        cloud = OciCloud(tmp_path_factory.mktemp("oci"))
        yield cloud
        cloud.close()
        assert not cloud.findings, sorted(set(cloud.findings))[:5]
