"""The emulated account: one VPC with the world's machines, kept by moto; what changes later by itself; who asks.

From moto come the objects (instances, interfaces, Elastic IPs, route tables), their ids and most of their fields.
From here: the time that things take, and that the world follows.
"""

from __future__ import annotations

import hashlib
import ipaddress
import itertools
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from moto.ec2.models import ec2_backends

from cloudha.lab.world import Machine, World
from cloudha.types import IPAddress
from cloudha_plugin_aws.emulator.behaviour import Behaviour

__all__ = ["Account", "Moto"]

# moto's classes have no types that could be relied on.
Moto = Any

# Accounts are twelve digits; each emulator has its own, since moto keeps all of them in one place.
NUMBERS = itertools.count(100_000_000_001)
IMAGE = "ami-0123456789abcdef0"
INSTANCE_TYPE = "m5.large"
SUBNET_BITS = 24
VPC_BITS = 16
# Unique local: real VPCs may have such a range, too.
IPV6_RANGE = "fd77::/64"


class Account:
    """Safe to use from several threads under :attr:`lock`.

    :param region: such as ``eu-west-1``.
    """

    def __init__(self, world: World, region: str, behaviour: Behaviour) -> None:
        self.world = world
        self.region = region
        self.behaviour = behaviour
        self.lock = threading.RLock()
        self.id = str(next(NUMBERS))
        self.backend: Moto = ec2_backends[self.id][region]
        #: told after every change, with the lock held
        self.watchers: list[Callable[[], None]] = []
        #: the machine that callers are who come from no machine's address
        self.myself = ""
        self._first = replace(behaviour)
        self._timers: set[threading.Timer] = set()
        self._closed = False
        self._names: dict[str, str] = {}
        self._build()

    # --- what there is ----------------------------------------------------------------------------------------------

    def instances(self) -> list[Moto]:
        """Return all instances, terminated ones too."""
        return [item for reservation in self.backend.all_reservations() for item in reservation.instances]

    def instance(self, name_or_id: str) -> Moto:
        """Return an instance by its id or by its machine's name in the world."""
        return next(i for i in self.instances() if name_or_id in (i.id, self._names[i.id]))

    def machine_name(self, instance_id: str) -> str:
        """Return the name that an instance has in the world."""
        return self._names[instance_id]

    def interface(self, name_or_id: str) -> Moto:
        """Return a machine's primary interface."""
        return self.instance(name_or_id).nics[0]

    def interfaces(self) -> list[Moto]:
        """Return all interfaces."""
        return list(self.backend.enis.values())

    def route_table(self) -> Moto:
        """Return the VPC's main route table."""
        return next(t for t in self.backend.route_tables.values() if t.vpc_id == self.vpc.id)

    def identify(self, client: IPAddress) -> Moto | None:
        """Return the instance that one of the caller's addresses belongs to, else :attr:`myself`, else None."""
        with self.lock:
            for interface in self.interfaces():
                held = [item["PrivateIpAddress"] for item in interface.private_ip_addresses]
                if interface.instance and str(client) in (*held, *interface.ipv6_addresses):
                    return interface.instance
            return self.instance(self.myself) if self.myself else None

    # --- what changes it --------------------------------------------------------------------------------------------

    def launch(self, machine: Machine) -> Moto:
        """Make a machine of the world an instance, and return it."""
        with self.lock:
            instance = self._launch(machine.name, machine.address, machine.mac)
            self.changed()
            return instance

    def add_interface(self, name_or_id: str, mac: str, address: str) -> Moto:
        """Give a machine another interface."""
        with self.lock:
            instance = self.instance(name_or_id)
            interface = self.backend.create_network_interface(self._subnet(ipaddress.ip_address(address)), address)
            interface.mac_address = mac
            instance.attach_eni(interface, len(instance.nics))
            self.changed()
            return interface

    def add_elastic_ip(self, address: str) -> Moto:
        """Allocate an Elastic IP."""
        with self.lock:
            found = self.backend.allocate_address("vpc", address=address)
            self.changed()
            return found

    def tag(self, name_or_id: str, **tags: str) -> None:
        """Tag an instance; ``__`` in a name stands for a colon, as in ``aws__autoscaling__groupName``."""
        with self.lock:
            self.instance(name_or_id).add_tags({key.replace("__", ":"): value for key, value in tags.items()})
            self.changed()

    def reset(self) -> None:
        """Go back to the first behaviour."""
        for name in Behaviour.__slots__:
            setattr(self.behaviour, name, getattr(self._first, name))

    def changed(self) -> None:
        """Tell the watchers."""
        for watcher in self.watchers:
            watcher()

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something after a while, at once when *seconds* is 0, and not after :meth:`close`."""
        if seconds <= 0:
            act()
            return

        def run() -> None:
            with self.lock:
                self._timers.discard(timer)
                if self._closed:
                    return
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

    # --- how it begins ----------------------------------------------------------------------------------------------

    def _build(self) -> None:
        machines = self.world.machines()
        first = ipaddress.ip_network(f"{machines[0].address}/{VPC_BITS}", strict=False)
        self.vpc = self.backend.create_vpc(str(first))
        self._subnets: dict[str, Moto] = {}
        for machine in machines:
            self._launch(machine.name, machine.address, machine.mac)

    def _launch(self, name: str, address: IPAddress, mac: str) -> Moto:
        reservation = self.backend.run_instances(
            IMAGE,
            1,
            None,
            [],
            instance_type=INSTANCE_TYPE,
            is_instance_type_default=False,
            subnet_id=self._subnet(address).id,
            private_ip=str(address),
            associate_public_ip=False,
            region_name=self.region,
            nics=[],
        )
        (instance,) = reservation.instances
        # By the name, not by chance: a new account of the same machines has the same ids.
        instance.id = f"i-{hashlib.sha256(name.encode()).hexdigest()[:17]}"
        instance.add_tags({"Name": name})
        instance.nics[0].mac_address = mac
        self._names[instance.id] = name
        return instance

    def _subnet(self, address: IPAddress) -> Moto:
        cidr = str(ipaddress.ip_network(f"{address}/{SUBNET_BITS}", strict=False))
        if cidr not in self._subnets:
            zone = self.region + "abcdef"[len(self._subnets) % 3]
            self._subnets[cidr] = self.backend.create_subnet(self.vpc.id, cidr, availability_zone=zone)
        return self._subnets[cidr]
