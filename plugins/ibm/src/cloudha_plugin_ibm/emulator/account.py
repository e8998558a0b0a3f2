"""An emulated account: the machines of a world as instances of one VPC, with their interfaces and addresses."""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable

from cloudha.lab.world import Machine, World
from cloudha.types import IPAddress, Kind
from cloudha_plugin_ibm.emulator.behaviour import ApiError, Behaviour
from cloudha_plugin_ibm.emulator.records import (
    Floating,
    Interface,
    Reserved,
    Route,
    Subnet,
    Table,
    Virtual,
    Vpc,
    new_id,
)

__all__ = ["REGION", "TABLE", "VPC", "ZONE", "Account"]

REGION = "us-south"
ZONE = f"{REGION}-1"
VPC = "cluster-vpc"
TABLE = "cluster-routes"
PREFIX_LENGTH = 24
# Settled states, and whether the world's machine runs in them.
SETTLED = {"running": True, "stopped": False}
# The addresses of each subnet that IBM Cloud keeps to itself: network, gateway, DNS, future use, broadcast.
PROVIDERS_OWN = (0, 1, 2, 3, -1)


class Account:
    """The state. ``lock`` guards all of it; the public methods take it themselves.

    ``myself``: the name of the machine that every caller of the metadata service is; "" to tell by its address.
    """

    def __init__(self, world: World, behaviour: Behaviour) -> None:
        self.lock = threading.RLock()
        self.world = world
        self.behaviour = behaviour
        self.myself = ""
        self.vpcs: dict[str, Vpc] = {}
        self.subnets: dict[str, Subnet] = {}
        self.reserved: dict[str, Reserved] = {}
        self.interfaces: dict[str, Interface] = {}
        self.floating: dict[str, Floating] = {}
        self.tables: dict[str, Table] = {}
        self.machines: dict[str, Virtual] = {}
        self._timers: set[threading.Timer] = set()
        self._closed = False
        self._routed: dict[IPAddress, str] = {}
        self.vpc = self.add_vpc(VPC)
        self.table = self.add_table(TABLE, self.vpc)
        for machine in world.machines():
            self.adopt(machine)

    # --- making things ----------------------------------------------------------------------------------------------

    def add_vpc(self, name: str) -> Vpc:
        """Make a VPC."""
        vpc = Vpc(new_id("r006-", "vpc", name), name)
        self.vpcs[vpc.id] = vpc
        return vpc

    def add_table(self, name: str, vpc: Vpc, *, ingress: bool = False) -> Table:
        """Make a routing table with a route that is not ours."""
        table = Table(new_id("r006-", "table", name), name, vpc.id, ingress)
        table.routes.append(Route(new_id("r006-", "route", name), "lab", "192.0.2.0/24", ZONE, "", action="drop"))
        self.tables[table.id] = table
        return table

    def add_subnet(self, network: ipaddress.IPv4Network, vpc: Vpc, zone: str, table: Table) -> Subnet:
        """Make a subnet with the addresses that IBM Cloud keeps in it, or return the one that is there."""
        name = f"subnet-{network.network_address}-{vpc.name}".replace(".", "-")
        subnet = Subnet(new_id("0717-", "subnet", name), name, vpc.id, str(network), zone, table.id)
        if subnet.id not in self.subnets:
            self.subnets[subnet.id] = subnet
            for number in PROVIDERS_OWN:
                self.reserve(network[number], subnet, owner="provider")
        return self.subnets[subnet.id]

    def reserve(self, ip: IPAddress, subnet: Subnet | None = None, **more: str | bool) -> Reserved:
        """Make a reserved IP that is bound to nothing.

        :raises ValueError: no subnet has that address.
        """
        with self.lock:
            where = subnet or next((s for s in self.subnets.values() if ip in ipaddress.ip_network(s.cidr)), None)
            if where is None:
                raise ValueError(f"no subnet has {ip}")
            name = f"address-{ip}".replace(".", "-")
            item = Reserved(new_id("0717-", "ip", where.id, str(ip)), name, where.id, ip, **more)  # type: ignore[arg-type]  # fields
            self.reserved[item.id] = item
            return item

    def adopt(self, machine: Machine, *, vpc: Vpc | None = None, zone: str = ZONE, extra: int = 0) -> Virtual:
        """Make an instance of a machine of the world, with one VNI and *extra* more that only the cloud knows."""
        home = vpc or self.vpc
        with self.lock:
            running = "running" if self.world.powered(machine.name) else "stopped"
            # Far enough back for a reader that is behind.
            history = [(time.monotonic() - 3600.0, running)]
            virtual = Virtual(new_id("0717_", "instance", machine.name), machine.name, home.id, zone, machine, history)
            self.machines[machine.name] = virtual
            network = ipaddress.ip_network(f"{machine.address}/{PREFIX_LENGTH}", strict=False)
            assert isinstance(network, ipaddress.IPv4Network)  # noqa: S101 - VPCs have no other
            subnet = self.add_subnet(network, home, zone, self.table)
            self.add_interface(f"{machine.name}-vni", machine.mac, machine.address, subnet, machine.name)
            for number in range(1, extra + 1):
                address = machine.address + 100 * number
                mac = f"{machine.mac[:-5]}{number:02x}:{machine.mac[-2:]}"
                self.add_interface(f"{machine.name}-vni{number}", mac, address, subnet, machine.name)
            return virtual

    def add_interface(self, name: str, mac: str, ip: IPAddress, subnet: Subnet, machine: str = "") -> Interface:
        """Make a VNI with its own address."""
        own = self.reserve(ip, subnet, auto_delete=True)
        interface = Interface(new_id("0717-", "vni", name), name, mac, subnet.id, own.id, machine)
        own.interface = interface.id
        self.interfaces[interface.id] = interface
        return interface

    def add_floating(self, ip: IPAddress, zone: str = ZONE) -> Floating:
        """Make a floating IP that is bound to nothing."""
        name = f"floating-{ip}".replace(".", "-")
        item = Floating(new_id("r006-", "floating", str(ip)), name, ip, zone)
        with self.lock:
            self.floating[item.id] = item
        return item

    # --- looking ----------------------------------------------------------------------------------------------------

    def machine_id(self, name: str) -> str:
        """Return an instance's id, there or not."""
        return self.machines[name].id if name in self.machines else new_id("0717_", "instance", name)

    def instance(self, instance_id: str) -> Virtual:
        """Return an instance.

        :raises ApiError: 404.
        """
        found = next((virtual for virtual in self.machines.values() if virtual.id == instance_id), None)
        if found is None:
            raise ApiError(404, "not_found", f"Instance with id {instance_id} not found.")
        return found

    def interfaces_of(self, name: str) -> list[Interface]:
        """Return a machine's VNIs, the primary one first."""
        return [interface for interface in self.interfaces.values() if interface.machine == name]

    def bound_to(self, interface: Interface) -> list[Reserved]:
        """Return the reserved IPs of a VNI, its own one first."""
        found = [item for item in self.reserved.values() if item.interface == interface.id]
        return sorted(found, key=lambda item: item.id != interface.primary)

    def reserved_at(self, ip: IPAddress) -> Reserved:
        """Return the reserved IP with that address."""
        return next(item for item in self.reserved.values() if item.ip == ip)

    def floating_at(self, ip: IPAddress) -> Floating:
        """Return the floating IP with that address."""
        return next(item for item in self.floating.values() if item.ip == ip)

    # --- the world --------------------------------------------------------------------------------------------------

    def follow_world(self) -> None:
        """Notice machines that died or booted by themselves."""
        with self.lock:
            for virtual in self.machines.values():
                runs = SETTLED.get(virtual.status)
                if runs is not None and self.world.powered(virtual.machine.name) is not runs:
                    self.note(virtual, "stopped" if runs else "running")

    def note(self, virtual: Virtual, status: str) -> None:
        """Give an instance another status."""
        virtual.history.append((time.monotonic(), status))

    def status(self, virtual: Virtual, ago: float) -> str:
        """Return the status that the instance had so many seconds ago."""
        then = time.monotonic() - ago
        return next((word for when, word in reversed(virtual.history) if when <= then), virtual.history[0][1])

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something after a while, unless closed before; 0 for at once."""
        if seconds <= 0:
            act()
            return

        def run() -> None:
            with self.lock:
                self._timers.discard(timer)
                if not self._closed:
                    act()

        timer = threading.Timer(seconds, run)
        timer.daemon = True
        with self.lock:
            self._timers.add(timer)
        timer.start()

    def close(self) -> None:
        """Stop all that is under way."""
        with self.lock:
            self._closed = True
            for timer in self._timers:
                timer.cancel()
            self._timers.clear()

    def deliver(self) -> None:
        """Tell the world which machine gets the packets for which floating address."""
        with self.lock:
            wanted = {
                item.ip: interface.machine
                for interface in self.interfaces.values()
                for item in self.bound_to(interface)
                if interface.machine and item.id != interface.primary
            }
            for kept in self.floating.values():
                if kept.interface and self.interfaces[kept.interface].machine:
                    wanted[kept.ip] = self.interfaces[kept.interface].machine
            wanted |= self._by_routes()
            for ip in set(self._routed) - set(wanted):
                self.world.route(ip, None)
            for ip, holder in wanted.items():
                if self._routed.get(ip) != holder:
                    self.world.route(ip, self.machines[holder].machine.name)
            self._routed = wanted

    def holder(self, kind: Kind, ip: IPAddress) -> str | None:
        """Return the id of the machine that has the address in truth."""
        with self.lock:
            if kind is Kind.ROUTE:
                name = self._by_routes().get(ip, "")
            else:
                held: list[Reserved | Floating] = [*(self.reserved if kind is Kind.PRIVATE else self.floating).values()]
                bound = next((item.interface for item in held if item.ip == ip), "")
                name = self.interfaces[bound].machine if bound else ""
            return self.machines[name].id if name else None

    def _by_routes(self) -> dict[IPAddress, str]:
        found: dict[IPAddress, str] = {}
        by_own = {str(self.reserved[i.primary].ip): i for i in self.interfaces.values() if i.machine and i.spoofs}
        for table in self.tables.values():
            for route in table.routes:
                network = ipaddress.ip_network(route.destination)
                if network.prefixlen == network.max_prefixlen and route.hop in by_own:
                    found[network.network_address] = by_own[route.hop].machine
        return found
