from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "harness"))

from cloudha.lab.problems import RequirementMissing
from cloudha.lab.requirements import check_machine
from cloudha.lab.state import ROOT_VARIABLE

# Set where the tests must not pass by being skipped.
REQUIRED = "CLOUDHA_TEST_LAB"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "lab: needs root and runs a real cluster in namespaces")


@pytest.fixture
def lab_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for labs that no other lab uses; on the machine where a lab can run."""
    try:
        check_machine()
    except RequirementMissing as error:
        if os.environ.get(REQUIRED) == "required":
            raise
        pytest.skip(str(error))
    root = tmp_path / "labs"
    monkeypatch.setenv(ROOT_VARIABLE, str(root))
    yield root
    assert not root.exists(), "the campaign removes its labs"
