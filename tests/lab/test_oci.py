"""The scenarios that depend on the cloud, with OCI's API between Pacemaker and the machines.

The nodes are in two availability domains, on one regional subnet; the credentials are their instance principals. With
``nic`` the one agent moves the private IP object and configures the address, for which people patch IPaddr2.
"""

from __future__ import annotations

from typing import Any

import pytest

from cloudha.lab import faults
from cloudha.lab.failover import Cause
from lab_plays import VIP, api_outage, loses_power, taken_away, throttled_fence
from lab_stage import Record, Stage

pytest.importorskip("oci", reason="the emulated OCI needs the SDK: pip install cloudha-plugin-oci")
pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def cluster_provider() -> str:
    return "oci"


def truth(stage: Stage, kind: str) -> list[dict[str, Any]]:
    """Return all things of a kind, as the emulated cloud knows them."""
    found: Any = faults.admin(stage.state, "GET", "truth")
    return list(found[kind])


def test_01_power_cut_of_the_holder(stage: Stage, record_property: Record) -> None:
    assert len({machine["availabilityDomain"] for machine in truth(stage, "instance")}) == 2
    loses_power(stage, Cause.POWER, record_property)
    held = [item for item in truth(stage, "privateip") if item["ipAddress"] == VIP]
    assert [(item["lifetime"], item["ipState"]) for item in held] == [("RESERVED", "ASSIGNED")], "one object, moved"


def test_02_partition_has_one_survivor(stage: Stage, record_property: Record) -> None:
    loses_power(stage, Cause.ISOLATION, record_property)


def test_05_the_cloud_takes_the_address_away(stage: Stage) -> None:
    taken_away(stage, f"addresses/{VIP}")


def test_07_an_api_outage_moves_nothing_and_shows(stage: Stage) -> None:
    api_outage(stage)


def test_08_throttling_during_a_fence(stage: Stage, record_property: Record) -> None:
    # STOP is the fence's alone; what else asks the API would take its share of the others.
    throttled_fence(stage, "power_off", 3, record_property)
