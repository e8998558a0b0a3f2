"""Random histories of a cluster whose cloud misbehaves, against the truth: at most one node runs the service, off means
off, and what is not ours is never unbound.

CLOUDHA_FAULTS_HISTORIES is how many histories are tried, CLOUDHA_FAULTS_STEPS how long they are.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from campaign.cluster import NODES, STALE, Lie, SmallCluster, hurried
from cloudha.testing.emulator import Effect, Fault

HISTORIES = int(os.environ.get("CLOUDHA_FAULTS_HISTORIES", "25"))
STEPS = int(os.environ.get("CLOUDHA_FAULTS_STEPS", "20"))
EFFECTS = [
    Effect.THROTTLE,
    Effect.ERROR,
    Effect.REFUSE,
    Effect.CUT,
    Effect.GARBAGE,
    Effect.MALFORMED,
    Effect.MISSING,
    Effect.UNAUTHORIZED,
    Effect.FORBIDDEN,
    Effect.EXPIRED,
    Effect.NOT_FOUND,
    Effect.CONFLICT,
    Effect.SKEW,
]
WHERE = ["*,!metadata.*", "power_*", "addresses.bind,addresses.unbind", "addresses.list", "machines.*", "metadata.*"]
NODE = st.integers(0, NODES - 1)
FAULTS = st.builds(
    Fault,
    st.sampled_from(WHERE),
    st.sampled_from(EFFECTS),
    count=st.integers(1, 4),
    seconds=st.one_of(st.none(), st.just(0.3)),
    after=st.integers(0, 2),
    performed=st.booleans(),
)
SHARED: dict[str, SmallCluster] = {}


@pytest.fixture(scope="module", autouse=True)
def _cluster() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder, hurried():
        SHARED["cluster"] = SmallCluster(Path(folder))
        yield
        cluster = SHARED.pop("cluster")
        cluster.close()
        print(f"claims that were true: {dict(cluster.claims)}")


class ClusterLife(RuleBasedStateMachine):
    """A cluster manager that keeps its rules, and a world that does not."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = SHARED["cluster"]
        self.cluster.reset()

    @rule(fault=FAULTS)
    def misbehave(self, fault: Fault) -> None:
        self.cluster.emulator.server.faults.add(fault)

    @rule(where=st.sampled_from(WHERE), effect=st.sampled_from(EFFECTS))
    def break_down(self, where: str, effect: Effect) -> None:
        """Until somebody mends it."""
        self.cluster.emulator.server.faults.add(Fault(where, effect))

    @rule()
    def behave(self) -> None:
        self.cluster.emulator.server.faults.clear()
        self.cluster.emulator.cloud.behaviour.stale = 0.0

    @rule()
    def fall_behind(self) -> None:
        """Reads tell what was true a little while ago; what is true now has settled by then."""
        time.sleep(STALE * 1.5)
        self.cluster.emulator.cloud.behaviour.stale = STALE

    @rule(node=NODE)
    def crash(self, node: int) -> None:
        self.cluster.crash(node)

    @rule(node=NODE)
    def boot(self, node: int) -> None:
        self.cluster.boot(node)

    @rule(node=NODE, deep=st.booleans())
    def monitor(self, node: int, deep: bool) -> None:  # noqa: FBT001 - drawn by its name
        if self.cluster.powered(node):
            time.sleep(self.cluster.emulator.cloud.behaviour.stale * 1.5)
            self.cluster.monitor(node, deep=deep)

    @precondition(lambda self: self.cluster.services)
    @rule(deep=st.booleans())
    def monitor_where_it_runs(self, deep: bool) -> None:  # noqa: FBT001 - as above
        self.monitor(min(self.cluster.services), deep)

    @rule(by=NODE, peer=NODE)
    def status(self, by: int, peer: int) -> None:
        time.sleep(self.cluster.emulator.cloud.behaviour.stale * 1.5)
        self.cluster.status(by, peer)

    @rule(by=NODE, peer=NODE)
    def power_on(self, by: int, peer: int) -> None:
        if self.cluster.powered(by):
            # test_on_is_not_believed_of_an_old_reading is about those that are older than the change.
            time.sleep(self.cluster.emulator.cloud.behaviour.stale * 1.5)
            self.cluster.power_on(by, peer)

    @rule(by=NODE, peer=NODE)
    def fence(self, by: int, peer: int) -> None:
        if self.cluster.powered(by):
            self.cluster.fence(by, peer)

    @rule(node=NODE)
    def stop(self, node: int) -> None:
        """A stop on a node that may or may not have it; one that fails is followed by fencing, as in a cluster."""
        if self.cluster.powered(node) and not self.cluster.stop(node):
            self.cluster.fence((node + 1) % NODES, node)

    @rule(node=NODE)
    def move(self, node: int) -> None:
        """Start it there, once it runs nowhere else for certain."""
        for other in [service for service in sorted(self.cluster.services) if service != node]:
            if not (self.cluster.powered(other) and self.cluster.stop(other)) and not self.cluster.fence(node, other):
                return
        if self.cluster.powered(node):
            self.cluster.start(node)

    @precondition(lambda self: self.cluster.services)
    @rule(node=NODE)
    def take_over(self, node: int) -> None:
        """The other one does not answer: fence it first, and only then start."""
        others = [service for service in sorted(self.cluster.services) if service != node]
        if all(self.cluster.fence(node, other) for other in others) and self.cluster.powered(node):
            self.cluster.start(node)

    @invariant()
    def at_most_one_runs_it(self) -> None:
        self.cluster.settle()
        running = [node for node in self.cluster.services if self.cluster.powered(node)]
        if len(running) > 1:
            raise Lie(f"the service runs on {running}")

    def teardown(self) -> None:
        self.cluster.emulator.server.faults.clear()


ClusterLife.TestCase.settings = settings(
    max_examples=HISTORIES,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    derandomize="CLOUDHA_FAULTS_HISTORIES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
TestClusterLife = ClusterLife.TestCase


def test_something_was_claimed() -> None:
    """After the histories: a cluster whose every action fails proves nothing."""
    claims = SHARED["cluster"].claims
    assert not claims or {"started", "stopped", "off", "on"} <= set(+claims), claims
    assert not claims or claims["running"] + claims["not running"] > 0, claims


def test_a_lie_would_be_seen() -> None:
    """The model finds a stop that lies."""
    cluster = SHARED["cluster"]
    cluster.reset()
    assert cluster.start(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cloudha.addresses.stop", lambda *_: None)
        with pytest.raises(Lie):
            cluster.stop(0)


def test_on_is_not_believed_of_an_old_reading() -> None:
    """A machine lost its power a moment ago, and the cloud still tells of the time before."""
    cluster = SHARED["cluster"]
    cluster.reset()
    time.sleep(4 * STALE)
    cluster.emulator.cloud.behaviour.stale = 3 * STALE
    cluster.crash(1)
    cluster.power_on(0, 1)


def test_the_cluster_works() -> None:
    cluster = SHARED["cluster"]
    cluster.reset()
    assert cluster.start(0)
    assert cluster.monitor(0, deep=True) is True
    assert cluster.monitor(1, deep=False) is False
    assert cluster.fence(1, 0)
    assert cluster.start(1)
    assert cluster.power_on(1, 0)
    assert cluster.stop(0)
    assert cluster.holder() == cluster.id(1)
    assert cluster.stop(1)
    assert cluster.holder() is None
