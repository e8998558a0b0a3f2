"""The emulated subscription: what there is, what is true, and how it changes.

Resources are kept as the JSON documents that the API answers with. An interface's document changes when a change is
accepted; what the network delivers (``effective``) changes when its operation ends.
"""

from __future__ import annotations

import ipaddress
import threading
import uuid
from dataclasses import dataclass, field
from typing import Any

from cloudha.lab.world import Machine, World
from cloudha.types import IPAddress, Kind
from cloudha_plugin_azure.emulator.behaviour import ArmError, Behaviour
from cloudha_plugin_azure.emulator.operations import Operation, Operations

__all__ = ["GROUP", "LOCATION", "SUBSCRIPTION", "TABLE", "Account", "Document", "Virtual", "new_etag", "new_route"]

Document = dict[str, Any]

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
GROUP = "cluster-rg"
LOCATION = "westeurope"
TABLE = "rt-cluster"
SETTLED = {"running": False, "stopped": True, "deallocated": True}


@dataclass(slots=True)
class Virtual:
    """A virtual machine. ``power`` is Azure's word; ``vm_id`` differs from that of a namesake before it."""

    name: str
    machine: Machine
    group: str = GROUP
    power: str = "running"
    vm_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    tags: dict[str, str] = field(default_factory=dict)
    scale_set: str = ""
    priority: str = "Regular"
    serial: int = 0


class Account:
    """Machines, interfaces, public addresses and route tables over a world. Safe to use from several threads."""

    def __init__(self, world: World, behaviour: Behaviour) -> None:
        self.world = world
        self.behaviour = behaviour
        self.lock = threading.RLock()
        self.operations = Operations(behaviour)
        #: the machine that the metadata service takes every caller for, "" to go by the caller's address
        self.myself = ""
        self.machines: dict[str, Virtual] = {}
        self.nics: dict[str, Document] = {}
        self.public_ips: dict[str, Document] = {}
        self.tables: dict[str, Document] = {}
        #: private address -> interface, as the network delivers; public address -> (interface, configuration)
        self.effective: dict[str, dict[str, str]] = {}
        self._routed: dict[IPAddress, str] = {}
        for machine in world.machines():
            self.adopt(machine)
        self.add_table(TABLE)

    # --- ids --------------------------------------------------------------------------------------------------------

    def resource_id(self, kind: str, name: str, group: str = GROUP) -> str:
        """Return an id such as ``Microsoft.Network/networkInterfaces`` *name* has."""
        return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/{kind}/{name}"

    def machine_id(self, name: str) -> str:
        """Return a machine's canonical id, as the provider uses it."""
        return self.resource_id("Microsoft.Compute/virtualMachines", name).lower()

    def nic_id(self, name: str) -> str:
        """Return an interface's id."""
        return self.resource_id("Microsoft.Network/networkInterfaces", name)

    # --- making things ----------------------------------------------------------------------------------------------

    def adopt(self, machine: Machine, group: str = GROUP) -> Virtual:
        """Make a virtual machine with one interface of a machine of the world."""
        virtual = Virtual(machine.name, machine, group)
        with self.lock:
            if not self.world.powered(machine.name):
                virtual.power = "stopped"
            self.machines[machine.name.lower()] = virtual
            self.add_nic(f"{machine.name}-nic", machine.address, machine.mac, machine.name)
        return virtual

    def add_nic(
        self, name: str, address: IPAddress, mac: str, machine: str = "", *, network: str = "vnet", primary: bool = True
    ) -> Document:
        """Make an interface, with all that a change must leave alone."""
        prefix = "2001:db8::/64" if address.version == 6 else ipaddress.ip_network(f"{address}/24", strict=False)
        subnet = self.resource_id("Microsoft.Network/virtualNetworks", f"{network}/subnets/nodes")
        balancer = self.resource_id("Microsoft.Network/loadBalancers", "lb/backendAddressPools/pool")
        security = self.resource_id("Microsoft.Network/networkSecurityGroups", "nsg")
        document: Document = {
            "name": name,
            "id": self.nic_id(name),
            "etag": new_etag(),
            "type": "Microsoft.Network/networkInterfaces",
            "location": LOCATION,
            "tags": {"owner": "team", "subnet": str(prefix)},
            "properties": {
                "provisioningState": "Succeeded",
                "resourceGuid": str(uuid.uuid4()),
                "ipConfigurations": [
                    {
                        "name": "ipconfig1",
                        "id": f"{self.nic_id(name)}/ipConfigurations/ipconfig1",
                        "etag": new_etag(),
                        "type": "Microsoft.Network/networkInterfaces/ipConfigurations",
                        "properties": {
                            "provisioningState": "Succeeded",
                            "privateIPAddress": str(address),
                            "privateIPAllocationMethod": "Dynamic",
                            "subnet": {"id": subnet},
                            "primary": True,
                            "privateIPAddressVersion": f"IPv{address.version}",
                            "loadBalancerBackendAddressPools": [{"id": balancer}],
                        },
                    }
                ],
                "dnsSettings": {"dnsServers": ["10.0.0.53"], "internalDnsNameLabel": name},
                "macAddress": mac.replace(":", "-").upper(),
                "enableAcceleratedNetworking": True,
                "enableIPForwarding": True,
                "networkSecurityGroup": {"id": security},
                "nicType": "Standard",
                "primary": primary,
            },
        }
        if machine:
            vm = self.resource_id("Microsoft.Compute/virtualMachines", machine, self.machines[machine.lower()].group)
            document["properties"]["virtualMachine"] = {"id": vm}
        with self.lock:
            self.nics[name.lower()] = document
            self.settle(name)
        return document

    def add_public_ip(self, name: str, ip: str, *, method: str = "Static") -> Document:
        """Make a public address that nobody has."""
        document: Document = {
            "name": name,
            "id": self.resource_id("Microsoft.Network/publicIPAddresses", name),
            "etag": new_etag(),
            "type": "Microsoft.Network/publicIPAddresses",
            "location": LOCATION,
            "sku": {"name": "Standard", "tier": "Regional"},
            "properties": {
                "provisioningState": "Succeeded",
                "publicIPAllocationMethod": method,
                "publicIPAddressVersion": f"IPv{ipaddress.ip_address(ip).version}",
                "ipAddress": ip,
                "idleTimeoutInMinutes": 4,
            },
        }
        with self.lock:
            self.public_ips[name.lower()] = document
        return document

    def add_table(self, name: str) -> Document:
        """Make a route table with a route that is not ours."""
        table = self.resource_id("Microsoft.Network/routeTables", name)
        document: Document = {
            "name": name,
            "id": table,
            "etag": new_etag(),
            "type": "Microsoft.Network/routeTables",
            "location": LOCATION,
            "properties": {"provisioningState": "Succeeded", "disableBgpRoutePropagation": False, "routes": []},
        }
        document["properties"]["routes"].append(new_route(table, "default", "0.0.0.0/0", "Internet", None))
        with self.lock:
            self.tables[name.lower()] = document
        return document

    # --- power ------------------------------------------------------------------------------------------------------

    def follow_world(self) -> None:
        """Notice machines that died or booted by themselves."""
        for virtual in self.machines.values():
            stopped = SETTLED.get(virtual.power)
            if stopped is not None and self.world.powered(virtual.machine.name) is stopped:
                virtual.power = "running" if stopped else "stopped"

    def switch(self, virtual: Virtual, *, on: bool) -> Operation:
        """Begin a power off, or a start.

        :raises ArmError: 409 while the opposite is under way.
        """
        with self.lock:
            self.follow_world()
            if virtual.power == ("stopping" if on else "starting"):
                raise ArmError(
                    409, "OperationNotAllowed", f"{virtual.name} is {virtual.power}; the request cannot be done now."
                )
            before = virtual.power
            virtual.power = "starting" if on else "stopping"
            virtual.serial += 1
            serial = virtual.serial
        if before == ("running" if on else "stopped"):
            virtual.power = before

        def act() -> None:
            if virtual.serial != serial:
                return
            (self.world.give_power if on else self.world.cut_power)(virtual.machine.name)
            virtual.power = "running" if on else "stopped"

        def fail() -> None:
            virtual.power = before

        seconds = self.behaviour.start if on else self.behaviour.stop
        return self.operations.begin("Microsoft.Compute", virtual.name, seconds, act, fail)

    # --- interfaces -------------------------------------------------------------------------------------------------

    def settle(self, name: str) -> None:
        """Let the network deliver as the interface's document says."""
        with self.lock:
            nic = self.nics[name.lower()]
            self.effective[name.lower()] = {}
            for item in nic["properties"]["ipConfigurations"]:
                properties = item["properties"]
                self.effective[name.lower()][str(ipaddress.ip_address(properties["privateIPAddress"]))] = ""
                public = properties.get("publicIPAddress")
                keeper = self.public_ips.get(public["id"].rpartition("/")[2].lower()) if public else None
                if keeper:
                    keeper["properties"]["ipConfiguration"] = {"id": item["id"]}
                    self.effective[name.lower()][keeper["properties"]["ipAddress"]] = item["id"]
            for keeper in self.public_ips.values():
                used = keeper["properties"].get("ipConfiguration")
                mine = used and used["id"].lower().startswith(f"{nic['id'].lower()}/")
                if mine and keeper["properties"]["ipAddress"] not in self.effective[name.lower()]:
                    del keeper["properties"]["ipConfiguration"]
            self.deliver()

    def deliver(self) -> None:
        """Tell the world which machine gets the packets for which floating address."""
        wanted = {**self._delivered(), **self._routes()}
        for ip in set(self._routed) - set(wanted):
            self.world.route(ip, None)
        for ip, holder in wanted.items():
            if self._routed.get(ip) != holder:
                self.world.route(ip, holder)
        self._routed = wanted

    def _delivered(self) -> dict[IPAddress, str]:
        found: dict[IPAddress, str] = {}
        for name, addresses in self.effective.items():
            vm = self.nics[name]["properties"].get("virtualMachine")
            if vm:
                machine = self.machines[vm["id"].rpartition("/")[2].lower()].machine
                parsed = map(ipaddress.ip_address, addresses)
                found |= {ip: machine.name for ip in parsed if ip != machine.address and not self._own(name, ip)}
        return found

    def _routes(self) -> dict[IPAddress, str]:
        found: dict[IPAddress, str] = {}
        for table in self.tables.values():
            for route in table["properties"]["routes"]:
                holder = self._hop_machine(route)
                network = ipaddress.ip_network(route["properties"]["addressPrefix"])
                if holder and network.prefixlen == network.max_prefixlen:
                    found[network.network_address] = holder
        return found

    def holder(self, kind: Kind, ip: IPAddress) -> str | None:
        """Return the canonical id of the machine that has the address in truth."""
        with self.lock:
            if kind is Kind.ROUTE:
                return self._route_holder(ip)
            for name, addresses in self.effective.items():
                if str(ip) in addresses and (bool(addresses[str(ip)]) is (kind is Kind.PUBLIC)):
                    vm = self.nics[name]["properties"].get("virtualMachine")
                    return str(vm["id"]).lower() if vm else None
        return None

    def give(self, kind: Kind, ip: IPAddress, name: str) -> None:
        """Bind an address to the machine *name* ("": to nobody) behind everybody's back, at once."""
        with self.lock:
            if kind is Kind.ROUTE:
                table = self.tables[TABLE]
                routes = table["properties"]["routes"]
                prefix = f"{ip}/{ip.max_prefixlen}"
                routes[:] = [route for route in routes if route["properties"]["addressPrefix"] != prefix]
                if name:
                    hop = str(self.machines[name].machine.address)
                    routes.append(new_route(table["id"], f"r-{ip}".replace(":", "-"), prefix, "VirtualAppliance", hop))
                self.deliver()
                return
            for nic in self.nics:
                self._take(kind, ip, nic)
            if name:
                self._put(kind, ip, f"{name}-nic")

    def _take(self, kind: Kind, ip: IPAddress, nic: str) -> None:
        items = self.nics[nic]["properties"]["ipConfigurations"]
        if kind is Kind.PRIVATE:
            items[:] = [
                i
                for i in items
                if ipaddress.ip_address(i["properties"]["privateIPAddress"]) != ip or i["properties"].get("primary")
            ]
        for item in items:
            public = item["properties"].get("publicIPAddress")
            keeper = self.public_ips.get(public["id"].rpartition("/")[2].lower()) if public else None
            if kind is Kind.PUBLIC and keeper and keeper["properties"]["ipAddress"] == str(ip):
                del item["properties"]["publicIPAddress"]
        self.settle(nic)

    def _put(self, kind: Kind, ip: IPAddress, nic: str) -> None:
        document = self.nics[nic]
        items = document["properties"]["ipConfigurations"]
        public = [p for p in self.public_ips.values() if p["properties"]["ipAddress"] == str(ip)]
        # An ipConfiguration takes one public address: this one gets an ipConfiguration of its own.
        private = str(ip) if kind is Kind.PRIVATE else self._free_address()
        name = f"given-{private}".replace(".", "-").replace(":", "-")
        item: Document = {
            "name": name,
            "id": f"{document['id']}/ipConfigurations/{name}",
            "etag": document["etag"],
            "type": "Microsoft.Network/networkInterfaces/ipConfigurations",
            "properties": {
                "provisioningState": "Succeeded",
                "privateIPAddress": private,
                "privateIPAllocationMethod": "Static",
                "privateIPAddressVersion": f"IPv{ipaddress.ip_address(private).version}",
                "subnet": dict(items[0]["properties"]["subnet"]),
                "primary": False,
            },
        }
        if kind is Kind.PUBLIC:
            item["properties"]["publicIPAddress"] = {"id": public[0]["id"]}
        items.append(item)
        self.settle(nic)

    def _free_address(self) -> str:
        """Return a private address that no interface has: Azure gives none twice in a subnet."""
        used = {
            item["properties"]["privateIPAddress"]
            for nic in self.nics.values()
            for item in nic["properties"]["ipConfigurations"]
        }
        return next(text for n in range(200, 255) if (text := f"10.0.1.{n}") not in used)

    def close(self) -> None:
        """Stop all that is under way."""
        self.operations.close()

    def _route_holder(self, ip: IPAddress) -> str | None:
        for table in self.tables.values():
            for route in table["properties"]["routes"]:
                if route["properties"]["addressPrefix"] == f"{ip}/{ip.max_prefixlen}":
                    name = self._hop_machine(route)
                    return self.machine_id(name) if name else None
        return None

    def _hop_machine(self, route: Document) -> str:
        hop = route["properties"].get("nextHopIpAddress")
        for name, addresses in self.effective.items():
            vm = self.nics[name]["properties"].get("virtualMachine")
            if hop in addresses and vm:
                return self.machines[vm["id"].rpartition("/")[2].lower()].machine.name
        return ""

    def _own(self, name: str, ip: IPAddress) -> bool:
        return any(
            item["properties"].get("primary") and ipaddress.ip_address(item["properties"]["privateIPAddress"]) == ip
            for item in self.nics[name]["properties"]["ipConfigurations"]
        )


def new_etag() -> str:
    """Return a tag that no document has had."""
    return f'W/"{uuid.uuid4()}"'


def new_route(table: str, name: str, prefix: str, kind: str, hop: str | None) -> Document:
    """Return a route's document."""
    return {
        "name": name,
        "id": f"{table}/routes/{name}",
        "etag": new_etag(),
        "type": "Microsoft.Network/routeTables/routes",
        "properties": {
            "provisioningState": "Succeeded",
            "addressPrefix": prefix,
            "nextHopType": kind,
            "hasBgpOverride": False,
            **({"nextHopIpAddress": hop} if hop else {}),
        },
    }
