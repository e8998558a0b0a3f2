from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudha.lab import cleaning, verbs
from cloudha.lab.problems import RequirementMissing
from cloudha.lab.requirements import check_machine
from cloudha.lab.state import ROOT_VARIABLE, LabState
from lab_stage import Stage, Start

HERE = Path(__file__).parent
STANDIN = "standin"
# Set where the tests must not pass by being skipped.
REQUIRED = "CLOUDHA_TEST_LAB"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "lab: needs root and runs a real cluster in namespaces")


@pytest.fixture(scope="session")
def lab_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A place for labs that no other lab uses; on the machine where a lab can run."""
    try:
        check_machine()
    except RequirementMissing as error:
        if os.environ.get(REQUIRED) == "required":
            raise
        pytest.skip(str(error))
    root = tmp_path_factory.mktemp("labs")
    before = os.environ.get(ROOT_VARIABLE)
    os.environ[ROOT_VARIABLE] = str(root)
    yield root
    if before is None:
        del os.environ[ROOT_VARIABLE]
    else:
        os.environ[ROOT_VARIABLE] = before


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a provider whose emulator is ours, found by a dist-info like any other."""
    place = tmp_path_factory.mktemp("standin")
    shutil.copy(HERE / "standin.py", place / "lab_standin.py")
    info = place / "lab_standin-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lab-standin\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[cloudha.emulators]\n{STANDIN} = lab_standin:make\n")
    sys.path.append(str(place))
    yield STANDIN
    sys.path.remove(str(place))


@pytest.fixture(scope="module")
def start(lab_root: Path) -> Iterator[Start]:
    """Start a lab; all of them are removed after the module, and must leave nothing behind."""
    started: list[str] = []

    def start_one(name: str, **more: object) -> LabState:
        started.append(name)
        return verbs.up(name, **more)  # type: ignore[arg-type]  # passed through as the test wrote it

    yield start_one
    for name in started:
        state = LabState(lab_root / name)
        verbs.down(name)
        assert cleaning.leftovers(state) == []


@pytest.fixture(scope="module")
def cluster_nodes() -> int:
    """How many nodes the module's cluster has."""
    return 2


@pytest.fixture(scope="module")
def cluster_provider() -> str:
    """Whose API the module's cloud speaks."""
    return "sim"


@pytest.fixture(scope="module")
def staged(start: Start, cluster_nodes: int, cluster_provider: str) -> Stage:
    stage = Stage(start(f"{cluster_provider}{cluster_nodes}", provider=cluster_provider, nodes=cluster_nodes))
    stage.settle()
    return stage


@pytest.fixture
def stage(staged: Stage) -> Iterator[Stage]:
    staged.begin = begin = time.monotonic()
    yield staged
    staged.settle()
    staged.check(begin)
