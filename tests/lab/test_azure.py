"""The scenarios that depend on the cloud, with Azure Resource Manager between Pacemaker and the machines.

The address moves as an ipConfiguration from one interface to another.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from cloudha.lab import control
from cloudha.lab.failover import Cause
from cloudha.lab.problems import LabError
from lab_plays import api_outage, failed_stop, loses_power, throttled_fence
from lab_stage import Record, Stage

pytest.importorskip("cryptography", reason="the emulated Azure needs it: pip install 'cloudha-plugin-azure[emulator]'")
pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def cluster_provider() -> str:
    return "azure"


def test_01_power_cut_of_the_holder(stage: Stage, record_property: Record) -> None:
    loses_power(stage, Cause.POWER, record_property)


def test_02_partition_has_one_survivor(stage: Stage, record_property: Record) -> None:
    loses_power(stage, Cause.ISOLATION, record_property)


def test_06_a_failed_stop_of_the_address_of_a_web_server_is_fenced(stage: Stage) -> None:
    # Azure refuses to write the interface, so the ipConfiguration cannot be taken off it.
    failed_stop(stage, "nics.put")


def test_07_an_api_outage_moves_nothing_and_shows(stage: Stage) -> None:
    api_outage(stage)


def test_08_throttling_during_a_fence(stage: Stage, record_property: Record) -> None:
    # Powering off is the fence's alone; what else asks Resource Manager would take its share of the others.
    throttled_fence(stage, "power_off", 3, record_property)


def test_the_pages_commands_are_accepted(stage: Stage) -> None:
    """Every ``pcs`` command of docs/azure.md, one after the other, on a CIB that nobody runs."""
    page = (Path(__file__).parents[2] / "docs" / "azure.md").read_text().replace("\\\n", " ")
    commands = [shlex.split(line) for line in page.splitlines() if line.startswith("pcs ")]
    assert len(commands) > 6
    first = stage.nodes[0]
    stage.run(first, "sh", "-c", "cibadmin --empty > /root/page.xml")
    for number, (pcs, *words) in enumerate(commands):
        draft = "/root/page.xml"
        if words[0] == "resource":
            # The examples are one address, in different ways.
            draft = f"/root/page-{number}.xml"
            stage.run(first, "cp", "/root/page.xml", draft)
        stage.run(first, pcs, "-f", draft, *words)
        stage.run(first, "crm_verify", "--xml-file", draft, "-V")
    constraints = stage.run(first, "pcs", "-f", "/root/page.xml", "constraint", "location")
    assert constraints.count("INFINITY") == 2, constraints


def test_the_nodes_see_the_authority_and_cannot_change_it(stage: Stage) -> None:
    """Wherever the lab's directory is: without the file every agent would refuse its parameters, on every node."""
    ca_file = control.options(stage.state)["ca_file"]
    for node in stage.nodes:
        assert stage.run(node, "cat", ca_file).startswith("-----BEGIN CERTIFICATE-----")
        with pytest.raises(LabError, match="Read-only file system"):
            stage.run(node, "touch", ca_file)
