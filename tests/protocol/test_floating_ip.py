"""ocf:cloudha:floating-ip without an interface: every action and exit code, on a machine of the simulated cloud."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from agent_process import Agents, at_once
from cloudha.testing.emulator import Effect, Fault
from cloudha.types import Kind
from cloudha_plugin_sim.emulator import API_ONLY, SimEmulator
from private_node import PrivateNode
from simulated_cloud import PUBLIC_ADDRESS

IP = "10.9.9.100"
DEEP = {"OCF_CHECK_LEVEL": "10"}


def holder(cloud: SimEmulator, ip: str = IP, kind: Kind = Kind.PRIVATE) -> str | None:
    known = cloud.cloud.truth().addresses.get((kind, ipaddress.ip_address(ip)))
    return known.machine if known else None


def give(cloud: SimEmulator, machine: str, ip: str = IP, kind: Kind = Kind.PRIVATE) -> None:
    cloud.cloud.bind(kind, ipaddress.ip_address(ip), machine)


def take(cloud: SimEmulator, machine: str = "m-0001", ip: str = IP, kind: Kind = Kind.PRIVATE) -> None:
    cloud.cloud.unbind(kind, ipaddress.ip_address(ip), machine)


@pytest.mark.parametrize(
    ("kind", "ip"),
    [
        (Kind.PRIVATE, IP),
        (Kind.PRIVATE, "fd00:9::64"),
        (Kind.PUBLIC, PUBLIC_ADDRESS),
        (Kind.ROUTE, "10.200.0.1"),
        (Kind.ROUTE, "fd00:200::1"),
    ],
)
def test_the_life_of_an_address(node: Agents, node_cloud: SimEmulator, kind: Kind, ip: str) -> None:
    given: dict[str, Any] = {"kind": kind.value, "ip": ip}
    for action, code in (
        ("monitor", 7),
        ("stop", 0),
        ("start", 0),
        ("start", 0),
        ("monitor", 0),
        ("status", 0),
        ("stop", 0),
        ("monitor", 7),
    ):
        before = holder(node_cloud, ip, kind)
        done = node.address(action, **given)
        assert (action, done.code, done.out) == (action, code, ""), done
        if action in ("monitor", "status"):
            assert holder(node_cloud, ip, kind) == before, "a monitor changes nothing"
        else:
            assert holder(node_cloud, ip, kind) == ("m-0001" if action == "start" else None)
        if code == 0:
            assert done.err == ""
    deep = node.address("monitor", env=DEEP, **given)
    assert deep.code == 7


def test_a_recurring_monitor_says_why_it_is_not_running(node: Agents, node_cloud: SimEmulator) -> None:
    give(node_cloud, "m-0002")
    done = node.address("monitor")
    assert done.code == 7
    assert "m-0002" in done.reason or "not list" in done.reason
    probe = node.probe()
    assert (probe.code, probe.err) == (7, "")


@pytest.mark.parametrize("env", [{}, DEEP])
def test_monitor_at_both_levels(node: Agents, node_cloud: SimEmulator, env: dict[str, str]) -> None:
    give(node_cloud, "m-0001")
    assert node.address("monitor", env=env).code == 0
    assert node.probe(env=env).code == 0
    asked = "addresses.list" in node_cloud.server.journal.operations()
    assert asked is bool(env), "local evidence settles it, unless the API is asked for"
    give(node_cloud, "m-0002")
    assert node.address("monitor", env=env).code == 7


def test_monitor_asks_but_never_changes(node: Agents, node_cloud: SimEmulator) -> None:
    for _ in range(2):
        node.address("monitor", env=DEEP)
        give(node_cloud, "m-0002")
    methods = {entry.method for entry in node_cloud.server.journal.entries()}
    assert methods == {"GET"}


def test_start_takes_the_address_over(node: Agents, node_cloud: SimEmulator) -> None:
    give(node_cloud, "m-0002")
    done = node.address("start")
    assert (done.code, done.err) == (0, "")
    assert holder(node_cloud) == "m-0001"


def test_start_without_takeover(node: Agents, node_cloud: SimEmulator) -> None:
    give(node_cloud, "m-0002")
    done = node.address("start", takeover="never")
    assert done.code == 1
    assert "m-0002" in done.reason
    assert holder(node_cloud) == "m-0002"
    take(node_cloud, "m-0002")
    assert node.address("start", takeover="never").code == 0
    assert node.address("start", takeover="never").code == 0
    assert holder(node_cloud) == "m-0001"


def test_stop_leaves_another_nodes_address_alone(node: Agents, node_cloud: SimEmulator) -> None:
    give(node_cloud, "m-0002")
    done = node.address("stop")
    assert (done.code, done.err) == (0, "")
    assert holder(node_cloud) == "m-0002"
    assert "addresses.unbind" not in node_cloud.server.journal.operations()


def test_stop_after_another_node_took_it_over(node: Agents, node_cloud: SimEmulator) -> None:
    assert node.address("start").code == 0
    give(node_cloud, "m-0002")
    assert node.address("stop").code == 0
    assert holder(node_cloud) == "m-0002"


def test_addresses_are_not_compared_as_text(node: Agents, node_cloud: SimEmulator) -> None:
    for ip in ("10.9.9.10", "10.9.9.101", "110.9.9.1"):
        give(node_cloud, "m-0001", ip)
    for env in ({}, DEEP):
        assert node.address("monitor", env=env).code == 7
        assert node.address("monitor", env=env, ip="10.9.9.11").code == 7
        assert node.address("monitor", env=env, ip="10.9.9.10").code == 0
    assert node.address("stop").code == 0
    assert holder(node_cloud, "10.9.9.10") == "m-0001"


def test_two_spellings_of_an_ipv6_address_are_one(node: Agents, node_cloud: SimEmulator) -> None:
    assert node.address("start", ip="FD00:0009:0::64").code == 0
    assert holder(node_cloud, "fd00:9::64") == "m-0001"
    assert node.address("monitor", ip="fd00:9:0:0:0:0:0:64").code == 0
    assert node.address("monitor", ip="fd00:9::64", env=DEEP).code == 0
    assert node.address("stop", ip="fd00:9::0064").code == 0
    assert holder(node_cloud, "fd00:9::64") is None


def test_ones_own_address_does_not_float(node: Agents, node_cloud: SimEmulator) -> None:
    done = node.address("stop", ip="10.9.9.1", timeout=4)
    assert done.code == 1, "it is still bound here"
    assert holder(node_cloud, "10.9.9.1") == "m-0001"


@pytest.mark.parametrize("name", ["n1", "m-0001", "N1"])
def test_node_may_be_named(node: Agents, node_cloud: SimEmulator, name: str) -> None:
    assert node.address("start", node=name).code == 0
    assert holder(node_cloud) == "m-0001"
    assert node.address("monitor", node=name).code == 0
    assert node.address("monitor", node=name, env=DEEP).code == 0
    assert node.address("stop", node=name).code == 0
    assert holder(node_cloud) is None


@pytest.mark.parametrize("name", ["n2", "m-0002"])
def test_node_may_be_another_machine_of_the_cloud(node: Agents, node_cloud: SimEmulator, name: str) -> None:
    # A node whose metadata service speaks of another machine: local evidence then says nothing.
    assert node.address("start", node=name).code == 0
    assert holder(node_cloud) == "m-0002"
    assert node.address("monitor", node=name).code == 0
    assert node.address("monitor", node="n1").code == 7
    assert node.address("stop", node="n1").code == 0
    assert holder(node_cloud) == "m-0002"
    assert node.address("stop", node=name).code == 0
    assert holder(node_cloud) is None


def test_node_that_the_cloud_does_not_know(node: Agents, node_cloud: SimEmulator) -> None:
    give(node_cloud, "m-0001")
    done = node.address("start", node="n9")
    assert done.code in (1, 2, 6)
    assert "n9" in done.reason
    assert node.address("monitor", node="n9").code not in (0, 7)
    assert node.address("stop", node="n9", timeout=4).code == 1
    assert holder(node_cloud) == "m-0001"


def test_a_machine_that_is_not_of_the_cloud(node: Agents, node_cloud: SimEmulator) -> None:
    node_cloud.api.callers[ipaddress.ip_address("10.9.9.1")] = ipaddress.ip_address("192.0.2.200")
    done = node.address("start")
    assert done.code == 2
    assert "node=" in done.one_line()
    assert node.address("start", node="n1").code == 0
    assert node.address("monitor", node="n1").code == 0


@pytest.mark.parametrize("action", ["validate-all", "reload-agent", "reload"])
def test_checks_ask_nobody(node: Agents, node_cloud: SimEmulator, action: str) -> None:
    done = node.address(action)
    assert (done.code, done.out, done.err) == (0, "", "")
    assert node_cloud.server.journal.operations() == ()


def test_a_deep_check_looks_for_missing_permissions(node: Agents, node_cloud: SimEmulator) -> None:
    deep = {"OCF_CHECK_LEVEL": "10"}
    assert node.address("validate-all", env=deep).code == 0
    assert node_cloud.server.journal.operations() == ("whoami",)
    node_cloud.cloud.behaviour.denied = ("addresses.write",)
    done = node.address("validate-all", env=deep)
    assert done.code == 4
    assert "addresses.write" in done.reason
    node_cloud.fault(Fault("*", Effect.HANG))
    done = node.address("validate-all", env=deep)
    assert done.code == 0
    assert "could not be asked" in done.err


def test_meta_data(installed: Agents) -> None:
    done = installed.address_raw(["meta-data"], {})
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("<?xml")
    assert "<version>1.1</version>" in done.out


# -- the cloud misbehaves --------------------------------------------------------------------------------------------

FAULTS = [
    Fault("*", Effect.REFUSE),
    Fault("*", Effect.HANG),
    Fault("*", Effect.CUT),
    Fault("*", Effect.GARBAGE),
    Fault("*", Effect.MISSING),
    Fault("*", Effect.ERROR, status=500),
    Fault("*", Effect.THROTTLE, retry_after=1),
    Fault("*", Effect.UNAUTHORIZED),
    Fault("*", Effect.FORBIDDEN),
    Fault("*", Effect.NOT_FOUND),
    Fault("*", Effect.DRIP, delay=1.0),
]
# Operations with this timeout (seconds) have half of it.
SHORT = 2
BOUND = 15


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.effect.value)
def test_an_error_is_never_an_answer(node: Agents, node_cloud: SimEmulator, fault: Fault) -> None:
    give(node_cloud, "m-0001")
    node_cloud.fault(fault)
    results = at_once(
        lambda: node.address("monitor", timeout=SHORT),
        lambda: node.address("monitor", timeout=SHORT, env=DEEP),
        lambda: node.probe(timeout=SHORT),
        lambda: node.address("stop", timeout=SHORT),
    )
    for done in results:
        assert (done.code, done.out) == (1, ""), done
        assert done.reason
        assert done.one_line()
        assert done.seconds < BOUND
    node_cloud.server.faults.clear()
    assert holder(node_cloud) == "m-0001"


@pytest.mark.parametrize("fault", [Fault("*", Effect.REFUSE), Fault("*", Effect.HANG), Fault("*", Effect.FORBIDDEN)])
def test_a_start_that_cannot_ask_fails_in_time(node: Agents, node_cloud: SimEmulator, fault: Fault) -> None:
    node_cloud.fault(fault)
    done = node.address("start", timeout=SHORT)
    assert done.code in (1, 4)
    assert done.reason
    assert done.seconds < BOUND


@pytest.mark.parametrize(
    "fault",
    [
        Fault(API_ONLY, Effect.HANG),
        Fault(API_ONLY, Effect.ERROR),
        Fault(API_ONLY, Effect.GARBAGE),
        Fault(API_ONLY, Effect.UNAUTHORIZED),
        Fault(API_ONLY, Effect.REFUSE),
    ],
    ids=lambda fault: fault.effect.value,
)
def test_the_api_is_away_and_the_metadata_is_good(node: Agents, node_cloud: SimEmulator, fault: Fault) -> None:
    assert node.address("start").code == 0
    node_cloud.fault(fault)
    shallow, deep, stop, start = at_once(
        lambda: node.address("monitor", timeout=6),
        lambda: node.address("monitor", env=DEEP, timeout=6),
        lambda: node.address("stop", timeout=SHORT),
        lambda: node.address("start", timeout=SHORT),
    )
    assert shallow.code == 0
    assert deep.code == 190
    assert "not checked with the cloud" in deep.reason
    deep.one_line()
    assert stop.code == 1
    assert start.code in (1, 4)


def test_the_api_is_away_and_the_metadata_denies_it(node: Agents, node_cloud: SimEmulator) -> None:
    node_cloud.fault(Fault(API_ONLY, Effect.HANG))
    done = node.address("monitor", timeout=SHORT)
    assert done.code in (1, 7)
    assert done.reason


def test_the_metadata_is_away_and_the_api_is_good(node: Agents, node_cloud: SimEmulator) -> None:
    assert node.address("start", node="n1").code == 0
    node_cloud.fault(Fault("metadata.*", Effect.ERROR))
    assert node.address("monitor", node="n1").code == 0
    assert node.address("stop", node="n1").code == 0
    assert node.address("monitor", node="n1").code == 7


def test_an_empty_list_after_a_good_start(node: Agents, node_cloud: SimEmulator) -> None:
    # The API says "nobody", the metadata service says "here": they contradict each other.
    assert node.address("start").code == 0
    node_cloud.fault(Fault("addresses.list", Effect.EMPTY))
    done = node.address("stop")
    assert holder(node_cloud) == "m-0001" or done.code == 0
    if done.code == 0:
        assert holder(node_cloud) is None, "stopped was said, and it is bound here"


def test_a_stop_while_the_api_still_tells_of_the_time_before_the_start(node: Agents, node_cloud: SimEmulator) -> None:
    node_cloud.cloud.behaviour.stale = 6.0
    assert node.address("start").code == 0
    done = node.address("stop")
    assert done.code != 0 or holder(node_cloud) is None, "stopped was said, and it is bound here"


def test_stale_reads_after_a_start_and_a_stop(node: Agents, node_cloud: SimEmulator) -> None:
    node_cloud.cloud.behaviour.stale = 0.7
    assert node.address("start").code == 0
    assert node.address("stop").code == 0
    assert holder(node_cloud) is None, "stopped was said, and it is bound here"
    assert node.address("start").code == 0
    assert node.address("monitor").code == 0
    assert node.address("monitor", env=DEEP).code == 0


def test_changes_that_take_a_while(node: Agents, node_cloud: SimEmulator) -> None:
    node_cloud.cloud.behaviour.bind = 1.0
    assert node.address("start").code == 0
    assert holder(node_cloud) == "m-0001"
    assert node.address("stop").code == 0
    assert holder(node_cloud) is None


def test_a_change_that_takes_longer_than_the_operation(node: Agents, node_cloud: SimEmulator) -> None:
    node_cloud.cloud.behaviour.bind = 60.0
    done = node.address("start", timeout=SHORT)
    assert done.code == 1
    assert "accepted" in done.reason
    assert "timeout" in done.reason
    assert done.seconds < BOUND


@pytest.mark.parametrize("operation", ["addresses.bind", "addresses.list", "addresses.unbind", "metadata.self"])
@pytest.mark.parametrize("effect", [Effect.THROTTLE, Effect.CUT, Effect.ERROR])
def test_what_passes_is_tried_again(node: Agents, node_cloud: SimEmulator, operation: str, effect: Effect) -> None:
    for action, wanted in (("start", "m-0001"), ("stop", None)):
        node_cloud.fault(Fault(operation, effect, count=1, retry_after=0.3))
        done = node.address(action)
        assert (done.code, done.err) == (0, "")
        assert holder(node_cloud) == wanted


def test_permission(node: Agents, node_cloud: SimEmulator) -> None:
    assert node.address("start").code == 0
    node_cloud.cloud.behaviour.denied = ("addresses.write",)
    assert node.address("stop", timeout=SHORT).code == 1
    assert node.address("start").code in (0, 4)
    take(node_cloud)
    done = node.address("start", timeout=SHORT)
    assert done.code == 4
    assert "addresses.write" in done.reason


def test_a_public_address_that_does_not_exist(node: Agents) -> None:
    done = node.address("start", kind="public", ip="192.0.2.99", timeout=SHORT)
    assert done.code == 1
    assert "192.0.2.99" in done.reason


def test_the_timeout_is_in_milliseconds(node: Agents, node_cloud: SimEmulator) -> None:
    node_cloud.fault(Fault("*", Effect.HANG))
    done = node.address("monitor", env={"OCF_RESKEY_CRM_meta_timeout": "2000"})
    assert done.code == 1
    assert done.seconds < BOUND


# -- a node that lacks something -------------------------------------------------------------------------------------


def test_a_probe_without_the_provider(node: Agents) -> None:
    done = node.probe(provider="nimbus")
    assert (done.code, done.reason) == (7, "")
    assert node.address("stop", provider="nimbus").code == 0
    assert node.address("monitor", provider="nimbus").code == 5
    assert node.address("start", provider="nimbus").code == 5


def test_a_probe_on_a_node_that_is_none_of_the_clouds(node: Agents, node_cloud: SimEmulator) -> None:
    node_cloud.api.callers[ipaddress.ip_address("10.9.9.1")] = ipaddress.ip_address("192.0.2.200")
    give(node_cloud, "m-0002")
    assert node.probe().code == 7
    assert node.address("stop").code == 0
    assert node.address("monitor").code not in (0, 7), "who holds it is known, who we are is not"
    assert holder(node_cloud) == "m-0002"


def test_a_mark_of_an_earlier_start_counts(node: Agents, node_cloud: SimEmulator, place: PrivateNode) -> None:
    assert node.address("start").code == 0
    assert list(place.path("/run/cloudha").iterdir())
    node_cloud.api.callers[ipaddress.ip_address("10.9.9.1")] = ipaddress.ip_address("192.0.2.200")
    assert node.probe().code not in (0, 7)
    assert node.address("stop", timeout=SHORT).code == 1
    node_cloud.api.callers.clear()
    assert node.address("stop").code == 0
    assert not list(place.path("/run/cloudha").iterdir())


def test_a_secret_file_that_is_missing_here(node: Agents) -> None:
    done = node.address("start", ca_file="/nowhere/ca.pem", endpoint="https://10.9.9.1:1", timeout=SHORT)
    assert done.code == 2
    assert "ca_file" in done.reason


def test_a_reason_never_spans_lines_and_holds_no_secret(node: Agents, node_cloud: SimEmulator) -> None:
    node_cloud.fault(Fault("*", Effect.UNAUTHORIZED))
    done = node.address("start", password="hunter2-3b1f", timeout=SHORT)
    assert done.code in (1, 4)
    assert "hunter2" not in done.one_line()


def test_reasons_can_have_another_prefix(node: Agents, node_cloud: SimEmulator) -> None:
    give(node_cloud, "m-0002")
    done = node.address("monitor", env={"OCF_EXIT_REASON_PREFIX": "because:"})
    assert done.code == 7
    assert done.one_line().startswith("because:")
