"""ocf:cloudha:floating-ip that also configures an interface, in a private network namespace."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import replace
from typing import Any

import pytest

from agent_process import Agents
from cloudha.testing.emulator import Effect, Fault
from cloudha.types import Kind
from cloudha_plugin_sim.emulator import API_ONLY, SimEmulator
from private_node import PrivateNode

IP = "10.9.9.100"
DEEP = {"OCF_CHECK_LEVEL": "10"}
SHORT = 2


@pytest.fixture
def nic(node: Agents) -> Agents:
    """The agents with nic=eth0."""
    return replace(node, common={**node.common, "nic": "eth0"})


def configured(place: PrivateNode, nic: str = "eth0") -> dict[str, int]:
    listing = json.loads(place.run("/usr/sbin/ip", "-j", "address", "show", "dev", nic).stdout)
    return {entry["local"]: entry["prefixlen"] for entry in listing[0]["addr_info"] if entry["scope"] == "global"}


def holder(cloud: SimEmulator, ip: str = IP) -> str | None:
    known = cloud.cloud.truth().addresses.get((Kind.PRIVATE, ipaddress.ip_address(ip)))
    return known.machine if known else None


@pytest.mark.parametrize(
    ("ip", "mask", "prefix"),
    [
        (IP, None, 32),
        (IP, "24", 24),
        (IP, "255.255.255.0", 24),
        ("fd00:9::64", None, 128),
        ("fd00:9::64", "64", 64),
    ],
)
def test_the_life_of_an_address(
    nic: Agents, node_cloud: SimEmulator, place: PrivateNode, ip: str, mask: str | None, prefix: int
) -> None:
    before = configured(place)
    given: dict[str, Any] = {"ip": ip, "cidr_netmask": mask}
    for action, code in (
        ("monitor", 7),
        ("start", 0),
        ("start", 0),
        ("monitor", 0),
        ("stop", 0),
        ("monitor", 7),
    ):
        done = nic.address(action, **given)
        assert (action, done.code, done.out) == (action, code, ""), done
        if code == 0:
            assert done.err == ""
        if action == "start":
            assert configured(place) == {**before, ip: prefix}
        if action == "stop":
            assert configured(place) == before
            assert holder(node_cloud, ip) is None


def test_both_halves_must_be_there(nic: Agents, node_cloud: SimEmulator, place: PrivateNode) -> None:
    assert nic.address("start").code == 0
    place.run("/usr/sbin/ip", "address", "del", f"{IP}/32", "dev", "eth0")
    for env in ({}, DEEP):
        done = nic.address("monitor", env=env)
        assert done.code == 7
        assert "eth0" in done.reason
    assert nic.address("start").code == 0
    node_cloud.cloud.bind(Kind.PRIVATE, ipaddress.ip_address(IP), "m-0002")
    for env in ({}, DEEP):
        assert nic.address("monitor", env=env).code == 7


def test_an_address_with_another_prefix_or_on_another_interface(nic: Agents, place: PrivateNode) -> None:
    place.run("/usr/sbin/ip", "address", "add", f"{IP}/24", "dev", "eth0")
    assert nic.address("start").code == 0
    assert configured(place)[IP] == 32
    assert nic.address("stop").code == 0
    assert IP not in configured(place)
    assert configured(place)["10.9.9.1"] == 24


def test_a_similar_address_stays(nic: Agents, place: PrivateNode) -> None:
    place.run("/usr/sbin/ip", "address", "add", "10.9.9.10/32", "dev", "eth0")
    assert nic.address("start").code == 0
    assert nic.address("stop").code == 0
    assert "10.9.9.10" in configured(place)
    assert nic.address("monitor", ip="10.9.9.1", kind="route").code == 7


@pytest.mark.parametrize("effect", [Effect.HANG, Effect.ERROR, Effect.FORBIDDEN, Effect.GARBAGE])
def test_stop_takes_it_off_the_interface_whatever_the_cloud_says(
    nic: Agents, node_cloud: SimEmulator, place: PrivateNode, effect: Effect
) -> None:
    assert nic.address("start").code == 0
    node_cloud.fault(Fault("*", effect))
    assert nic.address("stop", timeout=SHORT).code == 1
    assert IP not in configured(place)
    assert holder(node_cloud) == "m-0001"


def test_stop_removes_before_it_unbinds(nic: Agents, node_cloud: SimEmulator, place: PrivateNode) -> None:
    assert nic.address("start").code == 0
    seen: list[bool] = []
    original = node_cloud.cloud.unbind

    def watched(*args: object, **kwargs: object) -> object:
        seen.append(IP in configured(place))
        return original(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they came

    node_cloud.cloud.unbind = watched  # type: ignore[method-assign,assignment]  # only looked at, on the real model
    assert nic.address("stop").code == 0
    assert seen == [False]


def test_start_binds_before_it_configures(nic: Agents, node_cloud: SimEmulator, place: PrivateNode) -> None:
    node_cloud.fault(Fault("addresses.bind", Effect.FORBIDDEN))
    assert nic.address("start", timeout=SHORT).code == 4
    assert IP not in configured(place)


def test_good_on_the_interface_and_everything_away_is_degraded(nic: Agents, node_cloud: SimEmulator) -> None:
    assert nic.address("start").code == 0
    node_cloud.fault(Fault("*", Effect.HANG))
    done = nic.address("monitor", timeout=10)
    assert done.code == 190
    assert done.reason
    assert done.seconds < 20


def test_good_on_the_interface_and_the_api_away(nic: Agents, node_cloud: SimEmulator) -> None:
    assert nic.address("start").code == 0
    node_cloud.fault(Fault(API_ONLY, Effect.REFUSE))
    assert nic.address("monitor", timeout=SHORT).code == 0
    assert nic.address("monitor", env=DEEP, timeout=SHORT).code == 190


def test_definitely_absent_although_the_api_is_away(nic: Agents, node_cloud: SimEmulator, place: PrivateNode) -> None:
    assert nic.address("start").code == 0
    place.run("/usr/sbin/ip", "address", "del", f"{IP}/32", "dev", "eth0")
    node_cloud.fault(Fault("*", Effect.HANG))
    assert nic.address("monitor", timeout=SHORT).code == 7


def test_an_interface_that_is_down(nic: Agents, place: PrivateNode) -> None:
    assert nic.address("start").code == 0
    # Without its address the cloud would not be reached either; loopback serves it.
    place.run("/usr/sbin/ip", "link", "set", "eth0", "down")
    try:
        done = nic.address("monitor", timeout=SHORT)
        assert done.code not in (0, 190, 7)
        assert "eth0" in done.reason
    finally:
        place.run("/usr/sbin/ip", "link", "set", "eth0", "up")
    assert nic.address("stop").code == 0


def test_probe_and_stop_without_the_provider_look_at_the_interface(nic: Agents, place: PrivateNode) -> None:
    assert nic.probe(provider="nimbus").code == 7
    place.run("/usr/sbin/ip", "address", "add", f"{IP}/32", "dev", "eth0")
    assert nic.probe(provider="nimbus").code not in (0, 7)
    assert nic.address("stop", provider="nimbus").code == 0
    assert IP not in configured(place)


def test_an_interface_that_this_node_lacks(nic: Agents) -> None:
    assert nic.address("start", nic="eth7").code == 2
    assert nic.probe(nic="eth7").code == 7
    assert nic.address("stop", nic="eth7").code == 0


def test_a_start_that_cannot_configure_says_so(nic: Agents, place: PrivateNode) -> None:
    place.run("/usr/sbin/ip", "link", "add", "eth8", "type", "veth", "peer", "name", "eth8-wire")
    try:
        # The cloud's NIC is looked up by the interface's hardware address: this cloud knows none like it.
        done = nic.address("start", nic="eth8", timeout=SHORT)
        assert done.code in (1, 2)
        assert done.reason
    finally:
        place.run("/usr/sbin/ip", "link", "del", "eth8")
