"""Fake distributions on disk: what pip would have installed, broken ones included, without pip."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_providers import MakeDistribution


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder in front of sys.path, and nothing of it left in sys.modules afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def distribution(site: Path) -> MakeDistribution:
    """Write a module and the dist-info folder that announces it."""

    def make(
        name: str, source: str, *, dist: str | None = None, group: str = "cloudha.providers", module: str | None = None
    ) -> Path:
        dist = dist or f"cloudha-plugin-{name}"
        module = module or f"fake_{dist.replace('-', '_')}"
        (site / f"{module}.py").write_text(source)
        info = site / f"{dist.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}\n")
        return info

    return make
