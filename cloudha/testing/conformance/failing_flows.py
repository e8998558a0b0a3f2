"""Both agents while the cloud fails: unknown is never "off", "stopped" or "not running", and ends in time."""
# ruff: noqa: S101 - asserts are what a test kit is made of

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from cloudha.deadline import MARGIN_LEAST
from cloudha.testing.conformance.agents import Agents, Run
from cloudha.testing.conformance.checks import Checks
from cloudha.testing.conformance.cloud import Capability, Fault, Scope, TestCloud
from cloudha.types import Kind

__all__ = ["FailingFlowChecks"]

# For the check of deadlines: as in a cluster, only shorter.
HANG_SECONDS = 6.0
NOT_RUNNING = 7
DEEP = 10
DEGRADED = 190


@dataclass
class _Outcome:
    """The runs under one fault, and the truth after them."""

    runs: dict[str, Run] = field(default_factory=dict)
    leaks: dict[str, list[str]] = field(default_factory=dict)
    powered: bool = True
    held_here: bool = True
    started: bool = False


class FailingFlowChecks(Checks):
    """Checks of exit codes, output and time. All actions run at once, for each fault, and are then judged."""

    def test_fence_off_is_never_claimed(self, change_fault: Fault, outcomes: _Outcomes) -> None:
        """0 without being off: the cluster starts the service while the old node still writes."""
        outcome = self._fence(outcomes, change_fault)
        for action in ("off", "reboot"):
            assert outcome.runs[action].code == 1 or not outcome.powered, str(outcome.runs[action])

    @pytest.mark.parametrize("action", ["status", "monitor", "list"])
    def test_fence_query_fails(self, action: str, read_fault: Fault, outcomes: _Outcomes) -> None:
        """A monitor that says 0 hides that fencing does not work; an empty list wipes Pacemaker's targets."""
        run = self._fence(outcomes, read_fault).runs[action]
        assert run.code == 1, str(run)
        assert run.stdout == "", str(run)

    def test_stop_is_never_claimed(self, change_fault: Fault, outcomes: _Outcomes) -> None:
        """0 while the address is bound here: two nodes hold it. Anything else gets this node fenced, which is right."""
        outcome = self._address(outcomes, change_fault)
        run = outcome.runs["stop"]
        assert run.code not in (0, NOT_RUNNING) or not outcome.held_here, str(run)

    def test_start_is_never_claimed(self, change_fault: Fault, outcomes: _Outcomes) -> None:
        """0 without the address: the cluster believes in a service that nobody can reach."""
        outcome = self._address(outcomes, change_fault)
        run = outcome.runs["start"]
        assert run.code not in (0, NOT_RUNNING) or outcome.started, str(run)

    @pytest.mark.parametrize("action", ["monitor-0", "monitor-10", "monitor-blind"])
    def test_monitor_never_says_not_running(self, action: str, read_fault: Fault, outcomes: _Outcomes) -> None:
        """7 makes the cluster stop and move a service that runs; without any evidence 0 would hide that it does not."""
        run = self._address(outcomes, read_fault).runs[action]
        wanted = {1} if action == "monitor-blind" else {0, 1, DEGRADED}
        assert run.code in wanted, str(run)

    def test_a_failure_is_one_readable_line(self, change_fault: Fault, outcomes: _Outcomes) -> None:
        """An operator reads it at night: no traceback, nothing on standard output, and always a reason."""
        for run in self._any(outcomes, change_fault).runs.values():
            assert run.stdout == "" or run.code == 0, str(run)
            assert "Traceback" not in run.stderr, str(run)
            if run.code:
                assert run.stderr.strip(), f"{run.what} failed without a word"
                assert len(run.stderr.strip().splitlines()) == 1, str(run)

    def test_no_failure_shows_a_secret(self, change_fault: Fault, outcomes: _Outcomes) -> None:
        """Every failure goes to the cluster's log, and from there into reports."""
        leaks = self._any(outcomes, change_fault).leaks
        assert not any(leaks.values()), f"shown: {leaks}"

    def test_every_action_ends_in_time(self, change_fault: Fault, outcomes: _Outcomes) -> None:
        """Pacemaker kills at the timeout: no reason is seen then, and a stop that is killed has failed."""
        late = [run.what for run in self._any(outcomes, change_fault).runs.values() if run.late]
        assert not late, f"still running at the operation's timeout: {', '.join(late)}"

    def test_every_action_ends_in_time_when_all_hangs(self, outcomes: _Outcomes) -> None:
        """The API and the metadata service accept connections and never answer: a cloud's commonest outage."""
        if Fault.HANG in self.without:
            pytest.skip(self.without[Fault.HANG])
        self._need_actions(outcomes)
        runs = list(outcomes.hanging().runs.values())
        late = [run.what for run in runs if run.late]
        assert not late, f"still running at the operation's timeout: {', '.join(late)}"
        claimed = [str(run) for run in runs if run.code != 1]
        assert not claimed, f"nothing can be known, and it was said: {'; '.join(claimed)}"

    @pytest.fixture(scope="class")
    @classmethod
    def judged(cls) -> dict[str, _Outcome]:
        """What has been run already, by the fault's name."""
        return {}

    @pytest.fixture
    def outcomes(self, agents: Agents, cloud: TestCloud, judged: dict[str, _Outcome]) -> _Outcomes:
        """The runs of all actions under a fault, made when they are first asked for."""
        kind = next((kind for kind in self.kinds if kind not in self.without), None)
        fencing = Capability.FENCING not in self.without
        return _Outcomes(agents, cloud, kind, judged, fencing=fencing, seconds=self.failing_seconds)

    def _fence(self, outcomes: _Outcomes, fault: Fault) -> _Outcome:
        self.need(Capability.FENCING)
        return outcomes.of(fault)

    def _address(self, outcomes: _Outcomes, fault: Fault) -> _Outcome:
        if outcomes.kind is None:
            pytest.skip("the provider floats no addresses")
        return outcomes.of(fault)

    def _any(self, outcomes: _Outcomes, fault: Fault) -> _Outcome:
        self._need_actions(outcomes)
        return outcomes.of(fault)

    def _need_actions(self, outcomes: _Outcomes) -> None:
        """Skip where no action is left that could fail: no run would be judged, and none would look like a good one."""
        if outcomes.kind is None:
            self.need(Capability.FENCING)


class _Outcomes:
    """Runs every action under a fault once. The first machine holds the first address; the second is to be fenced."""

    def __init__(
        self,
        agents: Agents,
        cloud: TestCloud,
        kind: Kind | None,
        judged: dict[str, _Outcome],
        *,
        fencing: bool,
        seconds: float,
    ) -> None:
        self.kind = kind
        self._agents = agents
        self._cloud = cloud
        self._judged = judged
        self._fencing = fencing
        self._seconds = seconds

    def of(self, fault: Fault) -> _Outcome:
        """Return what happens while the API has that fault, and the metadata service is well."""
        scope = Scope.CHANGES if fault is Fault.CONFLICT else Scope.API
        if fault.value not in self._judged:
            # floating-ip keeps that margin of its timeout.
            address_seconds = self._seconds + MARGIN_LEAST
            self._judged[fault.value] = self._run(fault, scope, self._seconds, address_seconds)
        return self._judged[fault.value]

    def hanging(self) -> _Outcome:
        """Return what happens while nothing answers."""
        if "everything" not in self._judged:
            self._judged["everything"] = self._run(Fault.HANG, Scope.EVERYTHING, HANG_SECONDS, HANG_SECONDS)
        return self._judged["everything"]

    def _run(self, fault: Fault, scope: Scope, fence_seconds: float, address_seconds: float) -> _Outcome:
        cloud, outcome = self._cloud, _Outcome()
        second = cloud.machines[1]
        cloud.reset()
        held, free = cloud.addresses(self.kind, 4) if self.kind else (None, None)
        if self.kind and held:
            cloud.give(self.kind, held, cloud.machines[0].id)
        cloud.inject(fault, scope)
        reading = scope is not Scope.CHANGES
        fence = ("off", "reboot", "status", "monitor", "list") if reading else ("off", "reboot")
        started = {}
        for action in fence if self._fencing else ():
            started[action] = self._agents.start_fence(action, second.id, seconds=fence_seconds)
        if self.kind and held and free:
            for action, ip in (("stop", held), ("start", free)):
                started[action] = self._agents.start_address(action, self.kind, ip, seconds=address_seconds)
            for level in (0, DEEP) if reading else ():
                started[f"monitor-{level}"] = self._agents.start_address(
                    "monitor", self.kind, held, seconds=address_seconds, level=level
                )
            if reading:
                # No evidence of its own: it is told to be a machine that it is not.
                started["monitor-blind"] = self._agents.start_address(
                    "monitor", self.kind, held, seconds=address_seconds, node=second.id
                )
        for name, running in started.items():
            run = running.wait()
            outcome.runs[name] = run
            outcome.leaks[name] = self._agents.leaks(run)
        outcome.powered = cloud.powered(second.id)
        if self.kind and held and free:
            outcome.held_here = cloud.holder(self.kind, held) == cloud.machines[0].id
            outcome.started = cloud.holder(self.kind, free) == cloud.machines[0].id
        cloud.reset()
        return outcome
