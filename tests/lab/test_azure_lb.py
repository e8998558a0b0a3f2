"""Fencing by Azure, the address behind its internal load balancer, whose probe ``lb-probe`` answers on one node."""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import pytest

from cloudha.lab import cluster, faults, verbs
from cloudha.lab.failover import Cause
from cloudha.lab.load_balancer import THRESHOLD, Balancer, health
from cloudha.lab.network import Network
from cloudha.lab.plan import BALANCED, PROBE_PORT, make_plan
from cloudha.lab.problems import LabError
from cloudha.lab.programs import poll
from cloudha.lab.state import LabState
from lab_plays import API, RECOVERY_SECONDS, loses_power, throttled_fence
from lab_stage import Record, Stage, Start

pytest.importorskip("cryptography", reason="the emulated Azure needs it: pip install 'cloudha-plugin-azure[emulator]'")
pytestmark = pytest.mark.lab

# Some monitors of each of the two intervals (5 s and 7 s), and of the fencing's (60 s) at least one.
OUTAGE_SECONDS = 75.0
# Two probes, on a machine under load. That nobody else answers for the address is what the stage checks.
DELAY_SECONDS = 4.0


@pytest.fixture(scope="module")
def staged(start: Start) -> Stage:
    stage = Stage(start("azurelb", provider="azure", address_provider=BALANCED))
    stage.settle()
    return stage


def healthy(stage: Stage) -> list[str]:
    """Who answers the probe, as the load balancer sees it."""
    now: list[str] = []
    for _, node, answers in health(stage.state):
        now = [*now, node] if answers else [name for name in now if name != node]
    return now


def never_two(stage: Stage) -> None:
    """Since the lab began the load balancer never had a choice, but for its own delay: it sees an end by two probes."""
    now: set[str] = set()
    both = 0.0
    for at, node, answers in health(stage.state):
        assert not both or at - both < DELAY_SECONDS, f"{sorted(now)} answered the probe from {both} to {at}"
        now = now | {node} if answers else now - {node}
        both = (both or at) if len(now) > 1 else 0.0
    assert len(now) < 2


def test_01_power_cut_of_the_holder(stage: Stage, record_property: Record) -> None:
    loses_power(stage, Cause.POWER, record_property)
    assert healthy(stage) == [stage.holder]
    never_two(stage)


def test_02_partition_has_one_survivor(stage: Stage, record_property: Record) -> None:
    loses_power(stage, Cause.ISOLATION, record_property)
    assert healthy(stage) == [stage.holder]
    never_two(stage)


def test_07_an_api_outage_does_not_touch_the_address(stage: Stage) -> None:
    # The address asks no API: unlike any other provider's it is not even degraded, and it can be moved meanwhile.
    holder = stage.holder
    faults.add_fault(stage.state, API, "error")
    begin = time.monotonic()

    def troubled() -> list[str]:
        seen = cluster.any_view(stage.state)
        assert seen is not None
        assert "degraded" not in stage.run(holder, "pcs", "status").lower()
        return [failure for failure in seen.failed if failure.startswith("vip")]

    while time.monotonic() < begin + OUTAGE_SECONDS:
        assert troubled() == []
        assert stage.outages() == []
        assert stage.holder == holder
        time.sleep(2)
    failed = cluster.any_view(stage.state)
    assert failed is not None
    assert [line for line in failed.failed if line.startswith("fence")], "that the fencing does not work is shown"
    verbs.standby(stage.state, holder)
    assert poll(lambda: stage.answering() == stage.other(holder), RECOVERY_SECONDS)
    assert stage.fenced() == []
    faults.clear_faults(stage.state)
    never_two(stage)


def test_08_throttling_during_a_fence(stage: Stage, record_property: Record) -> None:
    throttled_fence(stage, "power_off", 3, record_property)


def test_the_answerer_that_dies_is_started_again_in_place(stage: Stage) -> None:
    holder = stage.holder
    kill = f"from cloudha_plugin_lb_probe.process import end; end({PROBE_PORT})"
    stage.run(holder, sys.executable, "-c", kill)
    assert poll(lambda: healthy(stage) == [], 10), "the load balancer sees it"
    assert poll(lambda: healthy(stage) == [holder], RECOVERY_SECONDS), "a monitor sees it as well"
    assert poll(lambda: stage.answering() == holder, RECOVERY_SECONDS)
    assert stage.fenced() == []


def test_an_address_that_nothing_floats_is_one_clear_line(start: Start) -> None:
    with pytest.raises(LabError, match="address provider aws: it is azure, like the fencing's, or lb-probe"):
        start("never", provider="azure", address_provider="aws")


@pytest.fixture
def routed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Balancer, list[str | None]]:
    """A load balancer of a lab that only exists on paper, and to whom it has routed the address, in order."""
    state = LabState(tmp_path / "paper")
    state.create(make_plan("paper", "azure", 2, address_provider=BALANCED))
    found: list[str | None] = []
    monkeypatch.setattr(Network, "route", lambda _self, _ip, name: found.append(name))
    return Balancer(state, verbs.ADDRESS, io.StringIO()), found


def test_one_probe_decides_nothing(routed: tuple[Balancer, list[str | None]]) -> None:
    balancer, found = routed
    for answered in (True, False, True, True, False, True, False, False):
        balancer.probed("node1", answered=answered)
    assert found == ["node1", None]


def test_the_first_healthy_node_keeps_the_traffic(routed: tuple[Balancer, list[str | None]]) -> None:
    balancer, found = routed
    for name, answered in (("node1", True), ("node2", True), ("node1", False), ("node1", True), ("node2", False)):
        for _ in range(THRESHOLD):
            balancer.probed(name, answered=answered)
    assert found == ["node1", "node2", "node1"]


def test_a_route_that_cannot_be_made_now_is_tried_again(
    routed: tuple[Balancer, list[str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    balancer, found = routed
    right = Network.route

    def fails(*_: object) -> None:
        raise LabError("no such device")

    monkeypatch.setattr(Network, "route", fails)
    for _ in range(THRESHOLD):
        balancer.probed("node1", answered=True)
    monkeypatch.setattr(Network, "route", right)
    balancer.probed("node2", answered=False)
    assert found == ["node1"]
