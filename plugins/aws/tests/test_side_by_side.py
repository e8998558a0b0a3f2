"""Debian's fence_aws and awsvip beside ours, on the same emulated AWS: the same where they are right."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cloudha import install

SCRIPT = Path(__file__).with_name("side_by_side.py")
# The older agents ask 169.254.169.254: here that is this very namespace's loopback.
SETUP = 'ip link set lo up && ip address add 169.254.169.254/32 dev lo && exec "$@"'
SECONDS = 400
KILLED = -9
NOT_RUNNING = 7

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or not Path("/usr/sbin/fence_aws").exists(),
    reason="needs root, unshare, and Debian's fence-agents",
)
needs_command_line = pytest.mark.skipif(not shutil.which("aws"), reason="needs the AWS command line (awscli) in PATH")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("agents")
    install.install(root)
    agents = [str(root / install.AGENTS[name]) for name in ("fence_cloud", "floating-ip")]
    command = [sys.executable, str(SCRIPT), *agents, shutil.which("aws") or ""]
    command = [str(shutil.which("unshare")), "--net", "sh", "-c", SETUP, "sh", *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_fence_action_ends_the_same(found: Any) -> None:
    for step, codes in found["healthy"].items():
        assert codes["ours"] == codes["theirs"], step


def test_without_credentials_nothing_is_claimed(found: Any) -> None:
    """fence_aws says that all is well, and lists no machine, which wipes Pacemaker's targets."""
    for codes in found["no credentials"].values():
        assert codes == {"theirs": 0, "ours": 1}


def test_a_machine_that_is_stopping_is_waited_for(found: Any) -> None:
    """fence_aws fails at once on a machine that is stopping, and so does Pacemaker's second try."""
    assert found["stopping"]["off"]["theirs"] != 0
    assert found["stopping"]["off"]["ours"] == 0


def test_a_terminated_machine_is_off(found: Any) -> None:
    assert found["terminated"]["off"]["theirs"] != 0
    assert found["terminated"]["off"]["ours"] == 0


def test_an_api_that_hangs_fails_in_time(found: Any) -> None:
    """fence_aws goes on until Pacemaker kills it, and nobody learns why."""
    assert found["hanging"]["off"] == {"theirs": KILLED, "ours": 1}


@needs_command_line
def test_every_address_action_ends_the_same(found: Any) -> None:
    for step, codes in found["address healthy"].items():
        assert codes["ours"] == codes["theirs"], step


@needs_command_line
def test_a_throttled_api_is_not_not_running(found: Any) -> None:
    """awsvip says "not running" and "stopped" while the address is bound: the cluster starts it a second time."""
    throttled = found["address throttled"]
    assert throttled["bound"]
    assert throttled["monitor"]["theirs"] == NOT_RUNNING
    assert throttled["monitor"]["ours"] not in (NOT_RUNNING, 1)
    assert throttled["stop"] == {"theirs": 0, "ours": 1}
