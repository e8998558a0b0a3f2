"""The benchmark's counts, which do not depend on the machine's speed: requests and processes of each agent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TREE = Path(__file__).resolve().parents[2]
CLOUDS = ("sim", "azure", "oci", "ibm")
# Interpreters of the benchmark, its emulators, and some sixty runs of agents.
SECONDS = 300

pytest.importorskip("moto", reason="the emulated AWS needs moto: pip install 'cloudha-plugin-aws[emulator]'")
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace of its own needs root")

Counts = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Counts:
    """By case and contestant."""
    if not all(os.access(f"/usr/sbin/{name}", os.X_OK) for name in ("fence_aws", "fence_azure_arm", "fence_ibm_vpc")):
        pytest.skip("fence-agents are not here")
    file = tmp_path_factory.mktemp("counts") / "counts.json"
    command = (sys.executable, TREE / "bench/run.py", "--counts", file)
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {record["case"]: record["of"] for record in json.loads(file.read_text())}


def test_a_monitor_of_aws_asks_the_metadata_service_alone(counts: Counts) -> None:
    if "address: monitor" not in counts:
        pytest.skip("the AWS command line is not here")
    found = counts["address: monitor"]
    assert found["cloudha"]["requests"] == found["floor"]["requests"] == {"api": 0, "metadata": 3}
    assert found["awsvip"]["requests"]["api"] > 0


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_monitor_sends_what_it_must(counts: Counts, cloud: str) -> None:
    """As many requests as the floor: to the API at most one, and none where the machine itself knows its addresses."""
    found = counts[f"address: monitor, {cloud}"]
    assert found["cloudha"]["requests"] == found["floor"]["requests"]
    assert found["cloudha"]["requests"]["api"] == (0 if cloud == "sim" else 1)


def test_a_status_is_one_request(counts: Counts) -> None:
    assert counts["fence: status"]["cloudha"]["requests"] == {"api": 1, "metadata": 0}


def test_our_agents_are_one_process(counts: Counts) -> None:
    found = {case: of["cloudha"]["processes"] for case, of in counts.items()}
    if None in found.values():
        pytest.skip("strace is not here")
    assert found == dict.fromkeys(found, 1)
