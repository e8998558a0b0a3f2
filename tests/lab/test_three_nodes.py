"""Scenario 11: three nodes, of which two are a majority."""

from __future__ import annotations

import pytest

from cloudha.lab import cluster
from cloudha.lab.failover import Cause, failover
from lab_stage import Stage

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def cluster_nodes() -> int:
    return 3


@pytest.mark.parametrize("cause", [Cause.POWER, Cause.ISOLATION, Cause.SPLIT], ids=lambda cause: cause.value)
def test_11_three_nodes(stage: Stage, cause: Cause) -> None:
    # With a majority the lonely node loses, also when it held the address and reaches the cloud.
    story = failover(stage.state, cause)
    assert story.fenced == (story.victim,)
    assert story.holder != story.victim
    stage.settle()
    assert set(cluster.view(stage.state, story.holder).online) == set(stage.nodes)
