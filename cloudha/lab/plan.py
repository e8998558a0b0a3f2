"""What a lab consists of: names, addresses and figures. Nothing here touches the machine."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import re
from dataclasses import dataclass

from cloudha.lab.problems import LabError
from cloudha.lab.world import Machine
from cloudha.types import IPAddress

__all__ = [
    "BALANCED",
    "CLIENT",
    "GATEWAY",
    "MOST_NODES",
    "PROBE_PORT",
    "NodePlan",
    "Plan",
    "check_name",
    "make_plan",
    "read_plan",
]

MOST_NODES = 5
LAB_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?\Z")

# Every lab has a cloud of its own in a network namespace of its own, so all labs use the same addresses.
SUBNET = ipaddress.IPv4Network("10.77.0.0/24")
SUBNET6 = ipaddress.IPv6Network("fd77::/64")
GATEWAY = SUBNET[1]
# Every port of the router has this one; a link-local address needs no uniqueness beyond its link.
GATEWAY6 = ipaddress.IPv6Address("fe80::1")
CLIENT = SUBNET[200]
CLIENT6 = SUBNET6[0x200]
# Addresses that float: the cloud routes them nowhere until an agent binds them.
FLOATING = (SUBNET[100], SUBNET[101], SUBNET6[0x100])
CONTROL_PORT = 8080
# The provider whose address is a load balancer's: the lab then has one.
BALANCED = "lb-probe"
# Of the load balancer's health probe; the provider's default.
PROBE_PORT = 60000


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One machine: its name is host name, Pacemaker's node name and the name of its port in the cloud."""

    name: str
    number: int

    @property
    def address(self) -> ipaddress.IPv4Address:
        """Its primary address, /24."""
        return SUBNET[10 + self.number]

    @property
    def address6(self) -> ipaddress.IPv6Address:
        """Its primary IPv6 address, /128."""
        return SUBNET6[0x10 + self.number]

    @property
    def mac(self) -> str:
        """Its NIC's address, locally administered."""
        return f"02:77:00:00:00:{10 + self.number:02x}"

    @property
    def machine(self) -> Machine:
        """What the control plane is told."""
        return Machine(self.name, self.address, self.mac)


@dataclass(frozen=True, slots=True)
class Plan:
    """What ``up`` decided, kept with the lab's state. Times in milliseconds as corosync wants them.

    ``address_provider``: who floats the address, "" for the same as ``provider``, which always does the fencing.
    """

    name: str
    provider: str
    count: int = 2
    token_ms: int = 1000
    priority_fencing_delay: int = 2
    address_provider: str = ""

    @property
    def balanced(self) -> bool:
        """Whether the address is a load balancer's."""
        return self.address_provider == BALANCED

    @property
    def nodes(self) -> tuple[NodePlan, ...]:
        """The machines of the cluster, numbered from 1."""
        return tuple(NodePlan(f"node{number}", number) for number in range(1, self.count + 1))

    def node(self, name: str) -> NodePlan:
        """Return the node called *name*.

        :raises LabError: there is none; the text names those that are.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise LabError(f"no node {name} in lab {self.name}: it has {', '.join(n.name for n in self.nodes)}")

    @property
    def endpoint(self) -> str:
        """Where the control plane listens, seen from every namespace of the lab."""
        return f"http://{GATEWAY}:{CONTROL_PORT}"

    @property
    def floating(self) -> tuple[IPAddress, ...]:
        """The addresses that the nodes are watched for."""
        return FLOATING

    def to_json(self) -> str:
        """Return the text that :func:`read_plan` reads."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


def check_name(name: str) -> None:
    """Return when a lab can be called so; the name becomes a part of paths.

    :raises LabError: it cannot.
    """
    if not LAB_NAME.match(name):
        raise LabError(f"lab name {name!r}: use lower case letters, digits and hyphens, at most 32")


def make_plan(name: str, provider: str, count: int, *, address_provider: str = "", **figures: int) -> Plan:
    """Check what a person asked for and return the plan.

    :raises LabError: an unusable name, a number of nodes out of range, or an address that nothing here can float.
    """
    check_name(name)
    if address_provider not in ("", provider, BALANCED):
        raise LabError(f"address provider {address_provider}: it is {provider}, like the fencing's, or {BALANCED}")
    if not 1 <= count <= MOST_NODES:
        raise LabError(f"{count} nodes: a lab has 1 to {MOST_NODES}")
    other = address_provider if address_provider != provider else ""
    return Plan(name=name, provider=provider, count=count, address_provider=other, **figures)


def read_plan(text: str) -> Plan:
    """Return the plan that was written with :meth:`Plan.to_json`."""
    return Plan(**json.loads(text))
