"""The conformance kit on AWS. What is overridden differs between kinds of address, or is no secret."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

import pytest

from cloudha.plugins import Provider
from cloudha.testing.conformance import EmulatedCloud, ProviderConformance, Scope, TestCloud, overrides_check
from cloudha.testing.conformance.agents import Agents
from cloudha.testing.conformance.hooks import Hooks
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha.types import IPAddress, Kind, Node, Verdict
from cloudha_plugin_aws.emulator import ACCESS_KEY, API_ONLY, REGION, AwsEmulator, Behaviour, make
from cloudha_plugin_aws.emulator.account import Account, Moto

SECRETS = {"secret_key": "canary-6b1f0c2d9e", "session_token": "canary-3a7e55f10b"}
MACHINES = ("n1=10.0.1.11", "n2=10.0.1.12")
TRANSITION_SECONDS = 0.2
PAGE = 2
OPERATIONS = {
    Scope.API: API_ONLY,
    Scope.CHANGES: "ec2.*Instances,ec2.*Addresses,ec2.*Address,ec2.*Route,!ec2.Describe*",
    Scope.METADATA: "metadata.*",
    Scope.EVERYTHING: "*",
}
NO_EVIDENCE = "AWS names local evidence for private IPv4 addresses only"
NO_IPV6 = "Elastic IPs are IPv4"


def _pair(first: str, second: str) -> tuple[IPAddress, IPAddress]:
    return ipaddress.ip_address(first), ipaddress.ip_address(second)


FLOATING = {
    (Kind.PRIVATE, 4): _pair("10.0.1.2", "10.0.1.20"),
    (Kind.PRIVATE, 6): _pair("fd77::2", "fd77::20"),
    (Kind.PUBLIC, 4): _pair("203.0.113.7", "203.0.113.70"),
    (Kind.ROUTE, 4): _pair("192.168.9.1", "192.168.9.10"),
    (Kind.ROUTE, 6): _pair("fd99::1", "fd99::10"),
}


class AwsCloud(EmulatedCloud):
    """An emulated AWS of two machines in one subnet, in this process."""

    def __init__(self) -> None:
        self.world = MemoryWorld(MACHINES)
        self.emulator: AwsEmulator = make(self.world, "127.0.0.1", 0).start()
        super().__init__(self.emulator.server, operations=OPERATIONS)
        self.reset()

    @property
    def machines(self) -> tuple[Node, Node]:
        first, second = (
            Node(item.id, name, addresses=(ipaddress.ip_address(str(item.private_ip_address)),))
            for name in ("n1", "n2")
            for item in [self.account.instance(name)]
        )
        return first, second

    @property
    def account(self) -> Account:
        return self.emulator.account

    @property
    def missing_id(self) -> str:
        return "i-00000000000000000"

    def options(self) -> Mapping[str, str]:
        table = self.account.route_table().id
        given = {"access_key": ACCESS_KEY, "region": REGION, "route_tables": table}
        return {**self.emulator.options(), **given, **SECRETS}

    def addresses(self, kind: Kind, version: int) -> tuple[IPAddress, IPAddress]:
        return FLOATING[kind, version]

    def reset(self) -> None:
        super().reset()
        # A new account, so that no stop or start that is under way reaches into the next check.
        self.account.close()
        self.world = MemoryWorld(MACHINES)
        behaviour = Behaviour(stop=TRANSITION_SECONDS, start=TRANSITION_SECONDS, page=PAGE)
        account = Account(self.world, REGION, behaviour)
        for address in FLOATING[Kind.PUBLIC, 4]:
            account.add_elastic_ip(str(address))
        for number, interface in enumerate(account.interfaces()):
            interface.source_dest_check = False
            # Each Elastic IP of a machine needs a private address of its own.
            interface.private_ip_addresses.append({"Primary": False, "PrivateIpAddress": f"10.0.1.{31 + number}"})
        self.emulator.service.serve(account)
        self.local(self.machines[0])

    def local(self, machine: Node | None) -> None:
        self.account.myself = machine.id if machine else ""

    def powered(self, machine_id: str) -> bool:
        return self.world.powered(self.account.machine_name(machine_id))

    def set_power(self, machine_id: str, *, on: bool) -> None:
        name = self.account.machine_name(machine_id)
        (self.world.give_power if on else self.world.cut_power)(name)

    def transition(self, seconds: float) -> None:
        self.account.behaviour.stop = self.account.behaviour.start = seconds

    def holder(self, kind: Kind, ip: IPAddress) -> str | None:
        interface = self._interface_of(kind, ip)
        return str(interface.instance.id) if interface is not None and interface.instance else None

    def give(self, kind: Kind, ip: IPAddress, machine_id: str | None) -> None:
        with self.account.lock:
            wanted = self.account.interface(machine_id) if machine_id else None
            held = self._interface_of(kind, ip)
            if held is not None and held is not wanted:
                self._take(kind, ip, held)
            if wanted is not None and held is not wanted:
                self._put(kind, ip, wanted)

    def rename(self, machine_id: str, name: str) -> None:
        self.account.tag(machine_id, Name=name)

    def crowd(self) -> frozenset[str]:
        return frozenset({self._launched(number).id for number in range(2 * PAGE)} | {m.id for m in self.machines})

    def crowd_addresses(self, kind: Kind) -> Mapping[IPAddress, str]:
        first = FLOATING[kind, 4][0] + 100
        holders = [self._launched(number).id for number in range(3 * PAGE)]
        for number, holder in enumerate(holders):
            if kind is Kind.PUBLIC:
                self.account.add_elastic_ip(str(first + number))
            self.give(kind, first + number, holder)
        return {first + number: holder for number, holder in enumerate(holders)}

    def _launched(self, number: int) -> Moto:
        machine = self.world.add(f"crowd{number}", ipaddress.ip_address("10.0.1.200") + number)
        return self.account.launch(machine)

    def _interface_of(self, kind: Kind, ip: IPAddress) -> Moto | None:
        text = str(ip)
        with self.account.lock:
            if kind is Kind.PUBLIC:
                return next((a.eni for a in self.account.backend.addresses if a.public_ip == text), None)
            if kind is Kind.ROUTE:
                routes = [r for r in self.account.route_table().routes if self._leads_to(r) == ip]
                return routes[0].interface if routes else None
            for interface in self.account.interfaces():
                held = [item["PrivateIpAddress"] for item in interface.private_ip_addresses]
                if text in (*held, *interface.ipv6_addresses):
                    return interface
            return None

    @staticmethod
    def _leads_to(route: Moto) -> IPAddress:
        return ipaddress.ip_network(route.destination_cidr_block or route.destination_ipv6_cidr_block).network_address

    def _take(self, kind: Kind, ip: IPAddress, interface: Moto) -> None:
        addresses, text = self.emulator.service.ec2.addresses, str(ip)
        if kind is Kind.PUBLIC:
            addresses.disassociate(next(a for a in self.account.backend.addresses if a.public_ip == text))
        elif kind is Kind.ROUTE:
            v4, v6 = (f"{ip}/32", None) if ip.version == 4 else (None, f"{ip}/128")
            self.account.backend.delete_route(self.account.route_table().id, v4, v6)
            addresses.route_changed(f"{ip}/{ip.max_prefixlen}", None)
        elif ip.version == 4:
            addresses.unassign(interface, [text])
        else:
            addresses.unassign_ipv6(interface, [text])

    def _put(self, kind: Kind, ip: IPAddress, interface: Moto) -> None:
        addresses, text = self.emulator.service.ec2.addresses, str(ip)
        if kind is Kind.PUBLIC:
            found = next(a for a in self.account.backend.addresses if a.public_ip == text)
            taken = [addresses.private_of(a) for a in self.account.backend.addresses if a.eni is interface]
            own = [item["PrivateIpAddress"] for item in interface.private_ip_addresses]
            addresses.associate(found, interface, next(text for text in own if text not in taken), move=True)
        elif kind is Kind.ROUTE:
            v4, v6 = (f"{ip}/32", None) if ip.version == 4 else (None, f"{ip}/128")
            self.account.backend.create_route(self.account.route_table().id, v4, v6, interface_id=interface.id)
            addresses.route_changed(f"{ip}/{ip.max_prefixlen}", interface)
        elif ip.version == 4:
            addresses.assign(interface, [text], move=True)
        else:
            addresses.assign_ipv6(interface, [text])


class TestAws(ProviderConformance):
    """The kit, on provider aws."""

    provider = "aws"
    kinds = (Kind.PRIVATE, Kind.PUBLIC, Kind.ROUTE)

    @pytest.fixture(scope="class")
    @classmethod
    def cloud(cls) -> Iterator[TestCloud]:
        cloud = AwsCloud()
        yield cloud
        cloud.emulator.close()

    @overrides_check(reason="an access key id is no secret: AWS writes it into every line of CloudTrail")
    def test_options_that_look_secret_are_secret(self, loaded: Provider) -> None:
        assert {option.name for option in loaded.info.options if option.secret} == {"secret_key", "session_token"}

    @overrides_check(reason=NO_EVIDENCE)
    def test_local_evidence_of_the_holder(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        if kind is Kind.PRIVATE:
            super().test_local_evidence_of_the_holder(kind, hooks, cloud)
        else:
            _cannot_tell(kind, hooks, cloud)

    @overrides_check(reason=NO_EVIDENCE)
    def test_local_evidence_of_everybody_else(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        if kind is Kind.PRIVATE:
            super().test_local_evidence_of_everybody_else(kind, hooks, cloud)
        else:
            _cannot_tell(kind, hooks, cloud)

    @overrides_check(reason=NO_EVIDENCE)
    def test_local_evidence_follows_a_move(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        if kind is Kind.PRIVATE:
            super().test_local_evidence_follows_a_move(kind, hooks, cloud)
        else:
            _cannot_tell(kind, hooks, cloud)

    @overrides_check(reason=NO_EVIDENCE)
    def test_local_hooks_need_no_api(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        if kind is Kind.PRIVATE:
            super().test_local_hooks_need_no_api(kind, hooks, cloud)
        else:
            _cannot_tell(kind, hooks, cloud)

    @overrides_check(reason=NO_IPV6)
    def test_ipv6_addresses_move_and_are_released(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        if kind is Kind.PUBLIC:
            pytest.skip(NO_IPV6)
        super().test_ipv6_addresses_move_and_are_released(kind, hooks, cloud)

    @overrides_check(reason=NO_IPV6)
    def test_ipv6_starts_and_stops(self, kind: Kind, agents: Agents, cloud: TestCloud) -> None:
        if kind is Kind.PUBLIC:
            pytest.skip(NO_IPV6)
        super().test_ipv6_starts_and_stops(kind, agents, cloud)


def _cannot_tell(kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
    ip = cloud.addresses(kind, 4)[0]
    for machine in (*cloud.machines, None):
        cloud.give(kind, ip, machine.id if machine else None)
        assert hooks.local_evidence(kind, ip).verdict is Verdict.CANNOT_TELL
