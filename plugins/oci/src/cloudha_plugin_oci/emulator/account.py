"""The emulated tenancy: instances, VNICs and addresses over a world, and what the network delivers.

One VCN with one regional subnet, in which the instances are spread over two availability domains.
"""

from __future__ import annotations

import hashlib
import ipaddress
import threading
from collections.abc import Callable, Iterable

from cloudha.lab.world import Machine, World
from cloudha.types import IPAddress, Kind
from cloudha_plugin_oci.emulator.behaviour import Behaviour
from cloudha_plugin_oci.emulator.delivery import delivered, holder, prefix
from cloudha_plugin_oci.emulator.records import (
    REGION,
    REGION_KEY,
    Document,
    Records,
    assigned,
    matching,
    new_ocid,
    rule,
)

__all__ = ["COMPARTMENT", "Account"]

COMPARTMENT = "ocid1.compartment.oc1..aaaaaaaacluster"
DOMAINS = ("Uocm:EU-FRANKFURT-1-AD-1", "Uocm:EU-FRANKFURT-1-AD-2")
PREFIX_4, PREFIX_6 = 16, 64
SUBNET_6 = "2001:db8:77::/64"
SETTLED = {"RUNNING": True, "STOPPED": False}


class Account:
    """Everything there is. Safe to use from several threads, under ``lock``."""

    def __init__(self, world: World, behaviour: Behaviour) -> None:
        self.world = world
        self.behaviour = behaviour
        self.lock = threading.RLock()
        self.records = Records()
        #: the display name of the machine that the metadata service takes every caller for, "" to go by the address
        self.myself = ""
        #: instance OCID -> the world's machine
        self.machines: dict[str, Machine] = {}
        self._routed: dict[IPAddress, str] = {}
        self._timers: set[threading.Timer] = set()
        self._closed = False
        machines = world.machines()
        first = machines[0].address if machines else ipaddress.ip_address("10.0.0.0")
        self.vcn = new_ocid("vcn")
        self.subnet = self.add_subnet(str(ipaddress.ip_network(f"{first}/{PREFIX_4}", strict=False)))
        for machine in machines:
            self.adopt(machine)
        gateway = new_ocid("internetgateway")
        self.table = self.add_table("cluster routes", [rule("0.0.0.0/0", gateway, "the way out")])

    # --- making things ------------------------------------------------------------------------------------------------

    def add_subnet(self, cidr: str) -> Document:
        """Make a regional subnet, with IPv6."""
        network = ipaddress.ip_network(cidr)
        return self.records.add(
            "subnet",
            COMPARTMENT,
            "nodes",
            cidrBlock=cidr,
            ipv6CidrBlock=SUBNET_6,
            lifecycleState="AVAILABLE",
            routeTableId=new_ocid("routetable"),
            vcnId=self.vcn,
            virtualRouterIp=str(network[1]),
            virtualRouterMac="00:00:17:00:00:01",
        )

    def add_table(self, name: str, rules: Iterable[Document]) -> Document:
        """Make a route table."""
        with self.lock:
            return self.records.add(
                "routetable", COMPARTMENT, name, lifecycleState="AVAILABLE", routeRules=list(rules), vcnId=self.vcn
            )

    def adopt(self, machine: Machine, compartment: str = COMPARTMENT, **fields: object) -> Document:
        """Make an instance with one VNIC of a machine of the world."""
        with self.lock:
            instance = self.records.add(
                "instance",
                compartment,
                machine.name,
                **{
                    # The same for the same name, so that a cluster's configuration outlives the control plane.
                    "id": f"ocid1.instance.oc1.{REGION_KEY}.{hashlib.sha256(machine.name.encode()).hexdigest()}",
                    "availabilityDomain": DOMAINS[len(self.machines) % len(DOMAINS)],
                    "faultDomain": "FAULT-DOMAIN-1",
                    "imageId": new_ocid("image"),
                    "launchMode": "PARAVIRTUALIZED",
                    "lifecycleState": "RUNNING" if self.world.powered(machine.name) else "STOPPED",
                    "metadata": {},
                    "region": REGION,
                    "shape": "VM.Standard.E5.Flex",
                    **fields,
                },
            )
            self.machines[instance["id"]] = machine
            self.add_vnic(instance, machine.address, machine.mac, machine.name, primary=True)
            return instance

    def add_vnic(
        self, instance: Document, address: IPAddress, mac: str, label: str, *, primary: bool, subnet: str = ""
    ) -> Document:
        """Attach a VNIC with its own private address."""
        where = subnet or self.subnet["id"]
        vnic = self.records.add(
            "vnic",
            instance["compartmentId"],
            f"{label} vnic",
            availabilityDomain=instance["availabilityDomain"],
            hostnameLabel=label,
            isPrimary=primary,
            lifecycleState="AVAILABLE",
            macAddress=mac.upper(),
            nsgIds=[],
            privateIp=str(address),
            skipSourceDestCheck=True,
            subnetId=where,
        )
        self.records.add(
            "vnicattachment",
            instance["compartmentId"],
            f"{label} attachment",
            availabilityDomain=instance["availabilityDomain"],
            instanceId=instance["id"],
            lifecycleState="ATTACHED",
            nicIndex=0,
            subnetId=where,
            vlanTag=len(self.machines),
            vnicId=vnic["id"],
        )
        self.add_private_ip(address, vnic, hostnameLabel=label, isPrimary=True, lifetime="EPHEMERAL")
        return vnic

    def add_private_ip(self, address: IPAddress, vnic: Document | None, **fields: object) -> Document:
        """Make a private IP (an IPv6 for an IPv6 address), on a VNIC or on none; RESERVED unless told otherwise."""
        wanted = {
            "lifetime": "RESERVED",
            "ipAddress": str(address),
            "subnetId": vnic["subnetId"] if vnic else self.subnet["id"],
            "ipState": "ASSIGNED" if vnic else "AVAILABLE",
            **({"vnicId": vnic["id"]} if vnic else {}),
            **fields,
        }
        with self.lock:
            if address.version == 6:
                return self.records.add("ipv6", COMPARTMENT, f"ipv6 {address}", lifecycleState="AVAILABLE", **wanted)
            placed = {"availabilityDomain": vnic["availabilityDomain"]} if vnic else {}
            return self.records.add(
                "privateip", COMPARTMENT, f"ip {address}", **{"isPrimary": False, **placed, **wanted}
            )

    def add_public_ip(self, ip: str, *, lifetime: str = "RESERVED") -> Document:
        """Make a public IP that nobody has."""
        with self.lock:
            return self.records.add(
                "publicip",
                COMPARTMENT,
                f"public {ip}",
                ipAddress=ip,
                lifecycleState="AVAILABLE",
                lifetime=lifetime,
                scope="REGION",
            )

    # --- looking ------------------------------------------------------------------------------------------------------

    def named(self, name: str) -> Document:
        """Return the instance of that display name or OCID.

        :raises LookupError: there is none.
        """
        for item in self.records.all("instance"):
            if name in (item["displayName"], item["id"]):
                return item
        raise LookupError(f"no machine {name}")

    def vnics(self, instance: str) -> list[Document]:
        """Return an instance's VNICs, the primary one first."""
        attached = matching(self.records.all("vnicattachment"), instanceId=instance, lifecycleState="ATTACHED")
        return [self.records.get("vnic", item["vnicId"]) for item in attached]

    def instance_of(self, vnic: object) -> str | None:
        """Return the OCID of the instance that a VNIC is attached to."""
        found = matching(self.records.all("vnicattachment"), vnicId=vnic or "none", lifecycleState="ATTACHED")
        return str(found[0]["instanceId"]) if found else None

    def address(self, ip: IPAddress) -> Document | None:
        """Return the private IP or IPv6 with that address in any subnet."""
        kind = "ipv6" if ip.version == 6 else "privateip"
        return next((i for i in self.records.all(kind) if ipaddress.ip_address(i["ipAddress"]) == ip), None)

    def public(self, ip: IPAddress) -> Document | None:
        """Return the public IP with that address."""
        return next((i for i in self.records.all("publicip") if i["ipAddress"] == str(ip)), None)

    # --- the truth ----------------------------------------------------------------------------------------------------

    def holder(self, kind: Kind, ip: IPAddress) -> str | None:
        """Return the OCID of the instance that has the address in truth."""
        with self.lock:
            return holder(self, kind, ip)

    def give(self, kind: Kind, ip: IPAddress, instance: str | None) -> None:
        """Bind an address to an instance (None: to nobody) behind everybody's back, at once."""
        with self.lock:
            vnic = self.vnics(instance)[0] if instance else None
            main = self.main_address(vnic)["id"] if vnic else ""
            if kind is Kind.ROUTE:
                rules = [r for r in self.table["routeRules"] if r["destination"] != prefix(ip)]
                rules += [rule(prefix(ip), main)] if main else []
                self.table = self.records.change(self.table["id"], routeRules=rules)
            elif kind is Kind.PUBLIC:
                found = self.public(ip) or self.add_public_ip(str(ip))
                # A private IP takes one public IP, and the primary one may be wanted: this one gets one of its own.
                target = self.add_private_ip(self._spare(), vnic)["id"] if vnic else ""
                self.records.change(found["id"], **assigned(target, "ASSIGNED" if target else "AVAILABLE"))
            else:
                held = self.address(ip)
                if held is None:
                    self.add_private_ip(ip, vnic)
                else:
                    self.place(held, vnic)
            self.deliver()

    def _spare(self) -> IPAddress:
        """Return an address of the subnet that nobody has, far up."""
        network = ipaddress.ip_network(self.subnet["cidrBlock"])
        taken = {ipaddress.ip_address(item["ipAddress"]) for item in self.records.all("privateip")}
        return next(ip for ip in (network[-2 - n] for n in range(len(taken) + 1)) if ip not in taken)

    def place(self, held: Document, vnic: Document | None, **fields: object) -> Document:
        """Put a private IP or IPv6 on a VNIC, None: on none."""
        moved = {"vnicId": vnic["id"], "ipState": "ASSIGNED"} if vnic else {"vnicId": None, "ipState": "AVAILABLE"}
        if not held["id"].startswith("ocid1.ipv6."):
            moved["availabilityDomain"] = vnic["availabilityDomain"] if vnic else None
        return self.records.change(held["id"], **moved, **fields)

    def main_address(self, vnic: Document) -> Document:
        """Return the VNIC's own private IP."""
        return matching(self.records.all("privateip"), vnicId=vnic["id"], isPrimary=True)[0]

    def deliver(self) -> None:
        """Tell the world which machine gets the packets for which floating address."""
        wanted = dict(delivered(self))
        for ip in set(self._routed) - set(wanted):
            self.world.route(ip, None)
        for ip, name in wanted.items():
            if self._routed.get(ip) != name:
                self.world.route(ip, name)
        self._routed = wanted

    # --- power and time -----------------------------------------------------------------------------------------------

    def follow_world(self) -> None:
        """Notice machines that died or booted by themselves."""
        for ocid, machine in self.machines.items():
            known = SETTLED.get(self.records.get("instance", ocid)["lifecycleState"])
            runs = self.world.powered(machine.name)
            if known is not None and known is not runs:
                self.records.change(ocid, lifecycleState="RUNNING" if runs else "STOPPED")

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something after a while, under the lock; at once for 0."""

        def run() -> None:
            with self.lock:
                self._timers.discard(timer)
                if not self._closed:
                    act()

        if seconds <= 0:
            act()
            return
        timer = threading.Timer(seconds, run)
        timer.daemon = True
        self._timers.add(timer)
        timer.start()

    def close(self) -> None:
        """Stop all that is under way."""
        with self.lock:
            self._closed = True
            for timer in self._timers:
                timer.cancel()
