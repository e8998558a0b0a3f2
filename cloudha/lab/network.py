"""The cloud's network: a router with one point-to-point port for each machine.

An address works only where the cloud routes it **and** the machine has configured it: packets for a floating address
go to the port that it is bound to and nowhere else, and strict reverse path filtering drops a sender whose address is
bound elsewhere. Machines see what they would see at AWS: a /24 on the NIC whose router answers every ARP request. In
IPv6 they have a /128 and a link-local router, as at Google.

Everything lives in the lab's own cloud namespace; nothing of it is linked to the machine's own network.
"""

from __future__ import annotations

import contextlib
import ipaddress
from enum import Enum

from cloudha.lab import plan as plans
from cloudha.lab.namespaces import create_network, enter_network, remove_network
from cloudha.lab.problems import LabError
from cloudha.lab.programs import Finished, run, write_whole
from cloudha.lab.state import LabState
from cloudha.types import IPAddress

__all__ = ["Network", "Scope"]

# Classic BPF, one instruction: return TC_ACT_SHOT. Needs neither netfilter nor netem, and the carrier stays up.
DROP_ALL = "1,6 0 0 2"
# Before the main table (32766) and after the local one (0).
SPLIT_PRIORITY = 100
CLIENT_PORT = "client"


class Scope(Enum):
    """How much of the network a partitioned node loses."""

    #: the other nodes; cloud and client stay reachable, so both sides can fence.
    NODES = "nodes"
    #: everything; the node cannot fence, and nobody hears it.
    EVERYTHING = "everything"


class Network:
    """The network of one lab. Every method returns when the change is in force, and may be repeated."""

    def __init__(self, state: LabState) -> None:
        self._state = state

    def create(self) -> None:
        """Make the cloud and the client, with no machine plugged in."""
        cloud, client = self._state.cloud_namespace, self._state.client_namespace
        create_network(cloud)
        create_network(client)
        self._settings({"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1, "ipv6/conf/default/accept_dad": 0})
        self._batch("link set lo up", f"address add {plans.GATEWAY}/32 dev lo")
        # ip(8) takes a path for a name that holds a slash.
        self._batch(f"link add name {CLIENT_PORT} type veth peer name eth0 netns {client}")
        self._port(CLIENT_PORT, plans.CLIENT, plans.CLIENT6)
        lines = machine_side(plans.CLIENT, plans.CLIENT6)
        run([*enter_network(client), "ip", "-batch", "-"], feed="\n".join(["link set lo up", *lines, ""]))

    def destroy(self) -> None:
        """Let both namespaces go; what is in them ends with its last process."""
        remove_network(self._state.client_namespace)
        remove_network(self._state.cloud_namespace)

    def plug(self, name: str, pid: int) -> None:
        """Connect the machine whose PID 1 is *pid*: its NIC appears there as eth0, not configured."""
        node = self._state.plan.node(name)
        self.unplug(name)
        self._batch(f"link add name {name} type veth peer name eth0 address {node.mac} netns {pid}")
        self._port(name, node.address, node.address6)
        for ip, holder in self.routes().items():
            if holder == name:
                self._batch(self._route_line(ip, node))
        self._apply_cut(name)

    def unplug(self, name: str) -> None:
        """Pull the wire out: the port is gone, no packet of the machine leaves any more."""
        self._cloud("ip", "link", "delete", "dev", name, check=False)

    def plugged(self, name: str) -> bool:
        """Whether the port is there."""
        return self._cloud("ip", "link", "show", "dev", name, check=False).ok

    def route(self, ip: IPAddress, name: str | None) -> None:
        """Deliver packets for *ip* to the machine's NIC only; None: to nobody. Survives the machine's power."""
        kept = self._state.routes / str(ip)
        if name is None:
            kept.unlink(missing_ok=True)
            self._cloud("ip", "route", "delete", f"{ip}/{ip.max_prefixlen}", check=False)
            return
        node = self._state.plan.node(name)
        write_whole(kept, name)
        if self.plugged(name):
            self._batch(self._route_line(ip, node))
        else:
            self._cloud("ip", "route", "delete", f"{ip}/{ip.max_prefixlen}", check=False)

    def routes(self) -> dict[IPAddress, str]:
        """Return the floating addresses that are routed, and the machine that each is routed to."""
        found: dict[IPAddress, str] = {}
        for file in sorted(self._state.routes.iterdir()):
            # A file that is just being replaced has a name that is no address, or goes away under us.
            with contextlib.suppress(ValueError, OSError):
                found[ipaddress.ip_address(file.name)] = file.read_text().strip()
        return found

    def partition(self, name: str, scope: Scope) -> None:
        """Cut the node off; the carrier stays up, and the cut survives the node's power."""
        self._state.plan.node(name)
        self._lift(name)
        write_whole(self._state.node(name).cut, scope.value)
        self._apply_cut(name)

    def heal(self, name: str | None = None) -> None:
        """End the partition of that node, None: every partition."""
        for node in self._state.nodes:
            if name in (None, node.name):
                node.cut.unlink(missing_ok=True)
                self._lift(node.name)
        self._split()

    def partitions(self) -> dict[str, Scope]:
        """Return the nodes that are cut off at present, and from what."""
        found = {}
        for node in self._state.nodes:
            with contextlib.suppress(OSError, ValueError):
                found[node.name] = Scope(node.cut.read_text().strip())
        return found

    def _apply_cut(self, name: str) -> None:
        scope = self.partitions().get(name)
        if scope is Scope.EVERYTHING and self.plugged(name):
            self._cloud("tc", "qdisc", "replace", "dev", name, "clsact")
            for direction in ("ingress", "egress"):
                self._cloud("tc", "filter", "add", "dev", name, direction, "bpf", "da", "bytecode", DROP_ALL)
        self._split()

    def _lift(self, name: str) -> None:
        self._cloud("tc", "qdisc", "delete", "dev", name, "clsact", check=False)

    def _split(self) -> None:
        """Make the routing rules say exactly which nodes do not reach each other."""
        apart = [name for name, scope in self.partitions().items() if scope is Scope.NODES]
        pairs = [
            (one, other)
            for one in self._state.plan.nodes
            for other in self._state.plan.nodes
            if one != other and (one.name in apart or other.name in apart)
        ]
        rule = f"rule add priority {SPLIT_PRIORITY} iif {{}} to {{}} blackhole"
        # ip(8) does not guess the family of a rule.
        v4 = [rule.format(one.name, f"{other.address}/32") for one, other in pairs]
        v6 = [rule.format(one.name, f"{other.address6}/128") for one, other in pairs if self._has_ipv6()]
        for family, lines in (("-4", v4), ("-6", v6)):
            self._cloud("ip", family, "rule", "flush", "priority", str(SPLIT_PRIORITY), check=False)
            if lines:
                self._cloud("ip", family, "-batch", "-", feed="\n".join([*lines, ""]))

    def _port(self, port: str, address: IPAddress, address6: IPAddress) -> None:
        """Make a port of the router work for the machine behind it."""
        v4 = f"ipv4/conf/{port}"
        self._settings(
            {
                f"{v4}/proxy_arp": 1,
                f"{v4}/rp_filter": 1,
                f"{v4}/send_redirects": 0,
                f"ipv4/neigh/{port}/proxy_delay": 0,
                f"ipv6/conf/{port}/accept_dad": 0,
            }
        )
        lines = [
            f"address add {plans.GATEWAY}/32 dev {port}",
            f"link set {port} up",
            f"route replace {address}/32 dev {port}",
        ]
        if self._has_ipv6():
            lines += [
                f"address add {plans.GATEWAY6}/64 dev {port} nodad",
                f"route replace {address6}/128 dev {port}",
            ]
        self._batch(*lines)

    @staticmethod
    def _route_line(ip: IPAddress, node: plans.NodePlan) -> str:
        via = node.address if ip.version == 4 else node.address6
        return f"route replace {ip}/{ip.max_prefixlen} via {via} dev {node.name} onlink"

    def _has_ipv6(self) -> bool:
        return self._cloud("test", "-d", "/proc/sys/net/ipv6", check=False).ok

    def _settings(self, values: dict[str, int]) -> None:
        """Write kernel settings of the cloud's network; those of a missing address family are left out."""
        script = 'while read -r key value; do [ ! -e "$key" ] || echo "$value" >"$key" || exit 1; done'
        feed = "".join(f"/proc/sys/net/{key} {value}\n" for key, value in values.items())
        run([*enter_network(self._state.cloud_namespace), "sh", "-c", script], feed=feed)

    def _batch(self, *lines: str) -> None:
        if lines:
            self._cloud("ip", "-batch", "-", feed="\n".join([*lines, ""]))

    def _cloud(self, *argv: str, check: bool = True, feed: str | None = None) -> Finished:
        if not self._state.cloud_namespace.exists():
            raise LabError(f"lab {self._state.name} has no network: it is down, or half removed")
        return run([*enter_network(self._state.cloud_namespace), *argv], check=check, feed=feed)


def machine_side(address: IPAddress, address6: IPAddress) -> list[str]:
    """Return the lines for ``ip -batch`` that configure eth0 of a machine of this network."""
    return [
        f"address add {address}/{plans.SUBNET.prefixlen} dev eth0",
        "link set eth0 up",
        f"route add default via {plans.GATEWAY}",
        f"address add {address6}/128 dev eth0 nodad",
        f"route add default via {plans.GATEWAY6} dev eth0",
    ]
