"""Nodes, network and power, on a lab whose cloud is a stand-in."""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path

import pytest

from cloudha.lab import cluster, power, verbs
from cloudha.lab.network import Network, Scope
from cloudha.lab.nodes import run_in
from cloudha.lab.problems import LabError
from cloudha.lab.programs import poll, write_whole
from cloudha.lab.state import LabState
from cloudha.types import IPAddress
from lab_stage import Start

pytestmark = pytest.mark.lab

FLOATING = (ipaddress.ip_address("10.77.0.150"), ipaddress.ip_address("fd77::150"))
PRIMARY = {4: ("10.77.0.11", "10.77.0.200"), 6: ("fd77::11", "fd77::200")}


@pytest.fixture(scope="module")
def lab(start: Start, standin: str) -> LabState:
    return start("machines", provider=standin, setup=False)


def reaches(lab: LabState, place: str, target: IPAddress | str, *more: str) -> bool:
    return run_in(lab, place, "ping", "-nq", "-c2", "-i0.1", "-W1", *more, str(target), check=False).ok


def configure(lab: LabState, node: str, verb: str, ip: IPAddress) -> None:
    no_dad = ["nodad"] if ip.version == 6 and verb == "add" else []
    run_in(lab, node, "ip", "address", verb, f"{ip}/{ip.max_prefixlen}", "dev", "eth0", *no_dad)


@pytest.mark.parametrize("ip", FLOATING, ids=["IPv4", "IPv6"])
def test_an_address_works_only_where_it_is_bound_and_configured(lab: LabState, ip: IPAddress) -> None:
    network = Network(lab)
    primary, client = PRIMARY[ip.version]
    assert reaches(lab, "client", primary)
    assert reaches(lab, "node2", primary)
    assert not reaches(lab, "client", ip)
    configure(lab, "node1", "add", ip)
    try:
        assert not reaches(lab, "client", ip), "configured and not bound"
        assert not reaches(lab, "node2", ip), "configured and not bound, asked by a peer"
        assert not reaches(lab, "node1", client, "-I", str(ip)), "a node cannot send from it either"
        network.route(ip, "node2")
        assert not reaches(lab, "client", ip), "bound elsewhere"
        network.route(ip, "node1")
        assert reaches(lab, "client", ip)
        assert reaches(lab, "node2", ip)
        configure(lab, "node2", "add", ip)
        assert reaches(lab, "client", ip), "configured twice: the bound one answers"
        configure(lab, "node1", "del", ip)
        assert not reaches(lab, "client", ip), "configured on the other one only"
        network.route(ip, "node2")
        assert reaches(lab, "client", ip), "moved"
        configure(lab, "node2", "del", ip)
        assert not reaches(lab, "client", ip), "bound and not configured"
    finally:
        network.route(ip, None)
        for node in ("node1", "node2"):
            run_in(lab, node, "ip", "address", "flush", "to", f"{ip}/{ip.max_prefixlen}", "dev", "eth0", check=False)


def test_partition_of_the_nodes_leaves_cloud_and_client(lab: LabState) -> None:
    carrier = ("cat", "/sys/class/net/eth0/carrier")
    try:
        verbs.partition(lab, "node1", Scope.NODES)
        assert not reaches(lab, "node2", "10.77.0.11")
        assert not reaches(lab, "node1", "10.77.0.12")
        assert not reaches(lab, "node2", "fd77::11")
        assert reaches(lab, "node1", "10.77.0.1")
        assert reaches(lab, "client", "10.77.0.11")
        verbs.partition(lab, "node1", Scope.EVERYTHING)
        assert not reaches(lab, "client", "10.77.0.11")
        assert not reaches(lab, "node1", "10.77.0.1")
        assert run_in(lab, "node1", *carrier).out.strip() == "1"
    finally:
        verbs.heal(lab)
    assert reaches(lab, "node2", "10.77.0.11")
    assert reaches(lab, "client", "fd77::11")


def test_a_node_has_its_own_view_of_the_machine(lab: LabState) -> None:
    assert run_in(lab, "node1", "uname", "-n").out.strip() == "node1"
    assert not run_in(lab, "node1", "touch", "/etc/new", check=False).ok
    assert not run_in(lab, "node1", "touch", f"{sys.prefix}/new", check=False).ok
    boot_ids = {run_in(lab, node, "cat", "/proc/sys/kernel/random/boot_id").out for node in ("node1", "node2")}
    boot_ids.add(Path("/proc/sys/kernel/random/boot_id").read_text())
    assert len(boot_ids) == 3
    # No process and no file of the machine, but for what was mounted on purpose.
    assert str(os.getpid()) not in run_in(lab, "node1", "ls", "/proc").out.split()
    assert not run_in(lab, "node1", "test", "-e", str(lab.directory), check=False).ok


def test_the_agents_are_in_the_nodes_only(lab: LabState) -> None:
    agent = "/usr/lib/ocf/resource.d/cloudha/floating-ip"
    assert "<resource-agent" in run_in(lab, "node2", "/usr/sbin/fence_cloud", "-o", "metadata").out
    assert "<resource-agent" in run_in(lab, "node2", agent, "meta-data").out
    mine = (lab.layer / "usr/sbin/fence_cloud").read_bytes()
    host = Path("/usr/sbin/fence_cloud")
    assert not host.exists() or not host.samefile(lab.layer / "usr/sbin/fence_cloud")
    assert run_in(lab, "node2", "cat", "/usr/sbin/fence_cloud").out.encode() == mine


def test_power_off_and_on_again(lab: LabState) -> None:
    verbs.cut(lab, "node2")
    assert not power.powered(lab, "node2")
    assert not Network(lab).plugged("node2")
    verbs.cut(lab, "node2")  # already off is success
    with pytest.raises(LabError, match="node2 has no power"):
        run_in(lab, "node2", "true")
    verbs.on(lab, "node2")
    before = power.node_pid(lab.node("node2"))
    verbs.on(lab, "node2")  # already on is success
    assert power.node_pid(lab.node("node2")) == before
    cluster.wait_online(lab, 60, ["node1", "node2"])


def test_reboot_inside_a_node_restarts_that_node_only(lab: LabState) -> None:
    other, before = (power.node_pid(lab.node(name)) for name in ("node1", "node2"))
    restart = "import ctypes; ctypes.CDLL(None).reboot(0x1234567)"
    run_in(lab, "node2", sys.executable, "-c", restart, check=False)
    assert poll(lambda: power.node_pid(lab.node("node2")) not in (None, before) and power.booted(lab.node("node2")), 20)
    assert power.node_pid(lab.node("node1")) == other
    assert reaches(lab, "client", "10.77.0.12")
    cluster.wait_online(lab, 60, ["node1", "node2"])


def test_a_recycled_pid_is_not_taken_for_the_node(lab: LabState) -> None:
    file = lab.node("node1").pid
    text = file.read_text()
    try:
        write_whole(file, f"{os.getpid()} 1\n")
        assert not power.powered(lab, "node1")
    finally:
        write_whole(file, text)
    assert power.powered(lab, "node1")


def test_routes_and_partitions_survive_the_power(lab: LabState) -> None:
    ip = FLOATING[0]
    Network(lab).route(ip, "node2")
    try:
        verbs.cut(lab, "node2")
        assert not reaches(lab, "client", ip)
        verbs.partition(lab, "node2", Scope.EVERYTHING)
        verbs.on(lab, "node2")
        configure(lab, "node2", "add", ip)
        assert not reaches(lab, "client", ip), "still cut off"
        verbs.heal(lab, "node2")
        assert reaches(lab, "client", ip)
    finally:
        Network(lab).route(ip, None)
        verbs.heal(lab)
    cluster.wait_online(lab, 60, ["node1", "node2"])


def test_unknown_names_are_one_clear_line(lab: LabState) -> None:
    for act in (verbs.cut, verbs.on, verbs.partition):
        with pytest.raises(LabError, match=r"no node node9 in lab machines: it has node1, node2"):
            act(lab, "node9")
    with pytest.raises(LabError, match="lab machines is already up"):
        verbs.up("machines", provider="standin")
