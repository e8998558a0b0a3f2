"""The scenarios that depend on the cloud, with the AWS API between Pacemaker and the machines."""

from __future__ import annotations

import pytest

from cloudha.lab.failover import Cause
from lab_plays import VIP, api_outage, loses_power, taken_away, throttled_fence
from lab_stage import Record, Stage

pytest.importorskip("moto", reason="the emulated AWS needs moto: pip install 'cloudha-plugin-aws[emulator]'")
pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def cluster_provider() -> str:
    return "aws"


def test_01_power_cut_of_the_holder(stage: Stage, record_property: Record) -> None:
    loses_power(stage, Cause.POWER, record_property)


def test_02_partition_has_one_survivor(stage: Stage, record_property: Record) -> None:
    loses_power(stage, Cause.ISOLATION, record_property)


def test_05_the_cloud_takes_the_address_away(stage: Stage) -> None:
    taken_away(stage, f"addresses/{VIP}")


def test_07_an_api_outage_moves_nothing_and_shows(stage: Stage) -> None:
    api_outage(stage)


def test_08_throttling_during_a_fence(stage: Stage, record_property: Record) -> None:
    # StopInstances is the fence's alone; what else asks EC2 would take its share of the others.
    throttled_fence(stage, "ec2.StopInstances", 3, record_property)
