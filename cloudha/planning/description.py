"""The description of a cluster that people write, as checked values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cloudha.planning.times import AddressTimes, FenceTimes
from cloudha.types import IPAddress, Kind

__all__ = ["EXAMPLE", "Address", "Description", "Service"]


@dataclass(frozen=True, slots=True)
class Service:
    """A resource that follows an address: any agent that pcs knows. ``monitor``: seconds, None for the agent's own."""

    name: str
    agent: str
    options: Mapping[str, str]
    monitor: int | None
    monitor_timeout: int | None


@dataclass(frozen=True, slots=True)
class Address:
    """A floating address, the services behind it in their order, and the node where they start by preference."""

    name: str
    provider: str
    ip: IPAddress
    kind: Kind
    nic: str
    prefix: int | None
    options: Mapping[str, str]
    times: AddressTimes
    group: str
    prefers: str
    services: tuple[Service, ...]


@dataclass(frozen=True, slots=True)
class Description:
    """A cluster: ``nodes`` maps Pacemaker's names to plugs, ``prefer`` names the node with the fixed head start."""

    file: str
    cluster: str
    provider: str
    nodes: Mapping[str, str]
    fence_name: str
    fence_options: Mapping[str, str]
    fence_times: FenceTimes
    prefer: str
    stickiness: int
    addresses: tuple[Address, ...]


EXAMPLE = """\
# A cluster for cloudha plan. Only cluster, provider and [nodes] are needed; secrets do not belong here.
cluster = "web"                        # as in: pcs cluster setup web n1 n2
provider = "aws"                       # see: cloudha providers

[nodes]                                # Pacemaker's name of each node = its plug: id, name or address in the cloud
n1 = "i-0aaaaaaaaaaaaaaaa"
n2 = "i-0bbbbbbbbbbbbbbbb"

[options]                              # of the provider, for fencing and addresses alike
region = "eu-west-1"

[fencing]
options = { filter = "tag:cluster=web" }
# power_timeout = "240s"               # all the time that a machine has to be off
# head_start = "10s"                   # of two nodes, how long one waits before it fences the other
# prefer = "n1"                        # the node that always has the head start; default: the one with the addresses

[[address]]                            # the first is the most important one
name = "vip"
ip = "10.0.1.100"
nic = "eth0"                           # also put it on this interface
# kind = "private"                     # or public, route
# prefix = 32                          # on the interface
# prefers = "n1"                       # where it starts when both nodes are good
# options = { route_tables = ["rtb-0aaa", "rtb-0bbb"] }

[[address.service]]                    # started after the address, in this order
name = "site"
agent = "ocf:heartbeat:nginx"
options = { configfile = "/etc/nginx/nginx.conf" }
monitor = "10s"
"""
