"""A lab leaves nothing behind, however it ends, and does not meet another one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cloudha.lab import cleaning, power, requirements, verbs
from cloudha.lab.interpreter import module_environment
from cloudha.lab.nodes import run_in
from cloudha.lab.problems import LabError, RequirementMissing
from cloudha.lab.programs import poll
from cloudha.lab.state import ROOT_VARIABLE, LabState
from lab_stage import Start

pytestmark = pytest.mark.lab
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # looked at, not used

UP = "import sys; from cloudha.lab import verbs; verbs.up(sys.argv[1], provider='standin', setup=False)"


def shm() -> set[str]:
    """What libqb and corosync leave in shared memory; other programs have theirs there too."""
    return {name for name in os.listdir(SHARED_MEMORY) if "qb" in name or "corosync" in name}


def mounts(root: Path) -> list[str]:
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(root) in line]


def test_two_labs_at_once_do_not_meet(start: Start, standin: str) -> None:
    one = start("one", provider=standin, nodes=1, setup=False)
    other = start("other", provider=standin, nodes=1, setup=False)
    address = ("ip", "address", "show", "dev", "eth0")
    assert "10.77.0.11" in run_in(one, "node1", *address).out
    assert "10.77.0.11" in run_in(other, "node1", *address).out
    verbs.cut(one, "node1")
    assert power.powered(other, "node1")
    assert run_in(other, "client", "ping", "-nq", "-c1", "-W1", "10.77.0.11", check=False).ok
    assert not run_in(one, "client", "ping", "-nq", "-c1", "-W1", "10.77.0.11", check=False).ok
    assert verbs.down("one")
    assert cleaning.leftovers(one) == []
    assert verbs.status(other).cluster is not None


def test_down_leaves_nothing_behind(start: Start, standin: str, lab_root: Path) -> None:
    before_shm, before_mounts = shm(), mounts(lab_root)
    state = start("leaving", provider=standin, setup=False)
    verbs.partition(state, "node2")
    assert verbs.down("leaving")
    assert cleaning.leftovers(state) == []
    assert shm() == before_shm
    assert mounts(lab_root) == before_mounts
    assert not (lab_root / "leaving").exists()
    assert not verbs.down("leaving"), "there is none any more"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
@pytest.mark.parametrize("stage", ["lab.json", "control.json", "nodes/node1/pid"])
@pytest.mark.usefixtures("standin")
def test_an_interrupted_up_cleans_up(lab_root: Path, number: signal.Signals, stage: str) -> None:
    before = mounts(lab_root)
    state = LabState(lab_root / "broken")
    environment = {**os.environ, **module_environment(), ROOT_VARIABLE: str(lab_root)}
    with subprocess.Popen([sys.executable, "-c", UP, "broken"], env=environment, stderr=subprocess.PIPE) as process:
        assert poll((state.directory / stage).exists, 30, every=0.002)
        process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode != 0
    if number == signal.SIGKILL:
        assert verbs.down("broken"), "nobody could clean up: down does, from whatever there is"
    assert cleaning.leftovers(state) == []
    assert mounts(lab_root) == before


def test_a_failing_up_cleans_up(lab_root: Path, standin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise LabError("the disk is on fire")

    monkeypatch.setattr(power, "give_power", fails)
    with pytest.raises(LabError, match="on fire"):
        verbs.up("failing", provider=standin)
    assert cleaning.leftovers(LabState(lab_root / "failing")) == []


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "../lab", "-x", "Lab"])
def test_a_name_is_never_a_path(lab_root: Path, name: str) -> None:
    for act in (verbs.down, verbs.up):
        with pytest.raises(LabError, match=r"lab name .*: use lower case letters"):
            act(name)
    assert lab_root.exists()


def test_a_directory_that_is_no_lab_is_not_removed(lab_root: Path) -> None:
    (lab_root / "precious").mkdir()
    (lab_root / "precious" / "data").write_text("mine")
    with pytest.raises(LabError, match="is not the directory of a lab"):
        verbs.down("precious")
    with pytest.raises(LabError, match="already up"):
        verbs.up("precious")
    assert (lab_root / "precious" / "data").read_text() == "mine"


def test_without_root_one_line_says_so() -> None:
    environment = {**module_environment(), ROOT_VARIABLE: "/nonexistent", "PATH": "/usr/bin:/bin"}
    # Root no longer after the imports: a checkout below /root is out of everybody else's reach.
    script = (
        "import os\nfrom cloudha.lab.requirements import check_machine as c\n"
        "os.setuid(65534)\ntry: c()\nexcept Exception as e: print(e)"
    )
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "a lab needs root, for namespaces and mounts; run it with: sudo"


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(requirements, "PATH", str(tmp_path))
    with pytest.raises(RequirementMissing) as caught:
        requirements.check_machine()
    line = str(caught.value)
    assert "\n" not in line
    assert "pcs" in line
    for command in ("apt-get install corosync", "dnf install corosync", "zypper install corosync"):
        assert command in line


@pytest.mark.usefixtures("standin")
def test_an_unknown_provider_says_what_is_here(lab_root: Path) -> None:
    with pytest.raises(LabError, match=r"provider nosuch .*here: .*standin.*pip install cloudha-plugin-nosuch"):
        verbs.up("nothing", provider="nosuch")
    assert not (lab_root / "nothing").exists()
