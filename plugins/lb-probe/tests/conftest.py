from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudha.testing.loopback import only_loopback


# Of each module: labs that are tested in the same process have other addresses.
@pytest.fixture(autouse=True, scope="module")
def _only_loopback() -> Iterator[None]:
    """No test reaches anything but this machine, whatever is under test."""
    with only_loopback():
        yield
