"""What must hold on a real cluster, one test for each scenario. After each one, the stage checks that at no moment two
nodes held or answered for the address, and that ``crm_verify -L`` is clean.
"""

from __future__ import annotations

import os

import pytest

from cloudha.lab import cluster, faults, verbs
from cloudha.lab.failover import Cause, failover
from cloudha.lab.programs import poll
from lab_plays import (
    RECOVERY_SECONDS,
    VIP,
    api_outage,
    loses_power,
    served,
    taken_away,
    throttled_fence,
    told,
    web_service,
)
from lab_stage import Record, Stage

pytestmark = pytest.mark.lab

# How often the first two scenarios run, one after the other.
TURNS = int(os.environ.get("CLOUDHA_LAB_REPEAT", "1"))
every_turn = pytest.mark.usefixtures("turn")


@pytest.fixture(params=range(1, TURNS + 1))
def turn(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@every_turn
def test_01_power_cut_of_the_holder(stage: Stage, record_property: Record) -> None:
    loses_power(stage, Cause.POWER, record_property)


@every_turn
def test_02_partition_has_one_survivor(stage: Stage, record_property: Record) -> None:
    loses_power(stage, Cause.ISOLATION, record_property)


def test_03_standby_and_move_fence_nobody(stage: Stage, record_property: Record) -> None:
    story = told(failover(stage.state, Cause.STANDBY), record_property)
    assert story.holder == stage.other(story.victim)
    verbs.unstandby(stage.state, story.victim)
    stage.run(story.holder, "pcs", "resource", "move", "vip", seconds=90)
    assert poll(lambda: stage.answering() == story.victim, RECOVERY_SECONDS)
    assert stage.holder == story.victim
    assert stage.fenced() == []


def test_04_the_nic_loses_the_address(stage: Stage) -> None:
    holder = stage.holder
    stage.run(holder, "ip", "address", "delete", f"{VIP}/32", "dev", "eth0")
    assert poll(lambda: stage.answering() is None, 5)
    assert poll(lambda: stage.answering() == holder, RECOVERY_SECONDS), "restarted in place"
    cluster.wait_idle(stage.state)
    assert stage.holder == holder
    assert stage.fenced() == []


def test_05_the_cloud_takes_the_address_away(stage: Stage) -> None:
    taken_away(stage, f"addresses/private/{VIP}")


def test_06_a_failed_stop_is_fenced(stage: Stage) -> None:
    holder = stage.holder
    faults.add_fault(stage.state, "addresses.*", "error")
    verbs.standby(stage.state, holder)
    # The stop tries until its deadline; then Pacemaker has the node fenced.
    assert poll(lambda: stage.fenced() == [holder], 90)
    faults.clear_faults(stage.state)
    assert poll(lambda: stage.answering() == stage.other(holder), RECOVERY_SECONDS)


def test_07_an_api_outage_moves_nothing_and_shows(stage: Stage) -> None:
    api_outage(stage)


def test_08_throttling_during_a_fence(stage: Stage, record_property: Record) -> None:
    throttled_fence(stage, "power_*,machines.*", 6, record_property)


def test_09_the_fenced_node_rejoins(stage: Stage, record_property: Record) -> None:
    story = told(failover(stage.state, Cause.POWER), record_property)
    cluster.wait_online(stage.state, 90, stage.nodes)
    cluster.wait_idle(stage.state)
    assert stage.holder == story.holder, "and takes nothing back"
    assert stage.fenced() == [story.victim]


def test_10_a_group_with_a_web_server(stage: Stage, record_property: Record) -> None:
    with web_service(stage):
        story = told(failover(stage.state, Cause.POWER), record_property)
        assert poll(lambda: served(stage) == story.holder, RECOVERY_SECONDS)
        assert story.fenced == (story.victim,)


@pytest.mark.parametrize("holding", ["node1", "node2"])
def test_12_when_both_fence_each_other_one_wins(stage: Stage, record_property: Record, holding: str) -> None:
    if stage.holder != holding:
        stage.run(holding, "pcs", "resource", "move", "vip", holding, seconds=90)
        assert poll(lambda: stage.answering() == holding, RECOVERY_SECONDS)
    story = told(failover(stage.state, Cause.SPLIT), record_property)
    assert story.victim == holding
    assert story.fenced == (stage.other(holding),), "priority-fencing-delay lets the holder win"
    assert story.holder == holding
