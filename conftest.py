"""Which tests run side by side (``pytest -n 3 --dist loadgroup``): clusters and deadlines mostly wait.

Within a group the tests run one after the other: they share this machine's marks (:mod:`cloudha.local_mark`), which are
kept by provider, and the lab wants the clusters one at a time.
"""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put every test into the group of its folder: the lab, each provider, and all the rest."""
    for item in items:
        parts = item.path.relative_to(config.rootpath).parts
        clusters = parts[:2] in {("tests", "lab"), ("tests", "chaos")}
        group = "/".join(parts[:2]) if parts[0] == "plugins" else "clusters" if clusters else "core"
        item.add_marker(pytest.mark.xdist_group("core" if group == "plugins/sim" else group))
