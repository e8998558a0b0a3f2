"""The agents as processes of the simulation: which requests they send, in which order, and what they make of refusals.

Read from their sources and held to what they do when they are run (:func:`differences`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from scale_clock import Account, Clock, Steps, within
from scale_limits import BY_ID, UNFILTERED

__all__ = ["DEGRADED", "NOT_RUNNING", "Agent", "Cloudha", "Machine", "Upstream", "differences"]

OK, FAILED, NOT_RUNNING, DEGRADED = 0, 1, 7, 190
INSTANCES, INSTANCES_BY_ID = "DescribeInstances", "DescribeInstances" + BY_ID
ALL_INSTANCES = "DescribeInstances" + UNFILTERED
INTERFACES = "DescribeNetworkInterfaces"
STOP, START = "StopInstances", "StartInstances"
ASSIGN, UNASSIGN = "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses"
# Starting an interpreter, and importing an SDK, on a machine that has better things to do.
STARTUP_SECONDS = 0.5


class Machine:
    """A machine that takes its time: seconds from an accepted stop to off, and from an accepted start to on."""

    def __init__(self, clock: Clock, stop: float, start: float) -> None:
        self._clock = clock
        self._takes = {"stopping": stop, "pending": start}
        self._state, self._since = "running", 0.0

    @property
    def state(self) -> str:
        """EC2's word for it."""
        if self._state in self._takes and self._clock.now >= self._since + self._takes[self._state]:
            self._state = "stopped" if self._state == "stopping" else "running"
        return self._state

    def stop(self) -> None:
        """Accept a stop."""
        if self.state in ("running", "pending"):
            self._state, self._since = "stopping", self._clock.now

    def start(self) -> None:
        """Accept a start."""
        if self.state == "stopped":
            self._state, self._since = "pending", self._clock.now


class Agent(ABC):
    """A fence agent and an address agent; actions return exit codes. ``bound``: the address is on this node."""

    # As the agents' metadata advises, and pcs takes over.
    monitor_timeout = 30.0
    change_timeout = 30.0

    def __init__(self, account: Account) -> None:
        self.account = account
        self.clock = account.clock

    @abstractmethod
    def monitor(self, *, bound: bool = True) -> Steps[int]:
        """Monitor the address."""

    @abstractmethod
    def start(self) -> Steps[int]:
        """Start the address, which is bound elsewhere or nowhere."""

    @abstractmethod
    def stop(self, *, bound: bool = True) -> Steps[int]:
        """Stop the address."""

    @abstractmethod
    def fence_monitor(self) -> Steps[int]:
        """Monitor the fence device; its start is the same."""

    @abstractmethod
    def reboot(self, machine: Machine) -> Steps[int]:
        """Fence a machine."""


class Upstream(Agent):
    """fence_aws 4.12 and awsvip 4.12. The SDK tries *attempts* times, waiting up to 1, 2, 4, 8 s."""

    api_delay = 3.0

    def __init__(self, account: Account, attempts: int = 5, power_timeout: int = 60) -> None:
        super().__init__(account)
        self.attempts = attempts
        self.power_timeout = power_timeout

    def _ask(self, bucket: str) -> Steps[bool]:
        for attempt in range(self.attempts):
            if (yield from self.account.ask(bucket)):
                return True
            if attempt < self.attempts - 1:
                yield self.clock.random.random() * 2**attempt
        return False

    def monitor(self, *, bound: bool = True) -> Steps[int]:
        """See the base."""
        yield STARTUP_SECONDS
        # The shell's pipe loses the command's failure: no answer reads as an answer without the address.
        seen = (yield from self._ask(INSTANCES_BY_ID)) and bound
        return OK if seen else NOT_RUNNING

    def start(self) -> Steps[int]:
        """See the base."""
        yield from self.monitor(bound=False)
        return (yield from self._change(ASSIGN))

    def stop(self, *, bound: bool = True) -> Steps[int]:
        """See the base."""
        if (yield from self.monitor(bound=bound)) != OK:
            return OK
        return (yield from self._change(UNASSIGN))

    def _change(self, bucket: str) -> Steps[int]:
        done = yield from self._ask(bucket)
        yield self.api_delay
        return OK if done else NOT_RUNNING

    def fence_monitor(self) -> Steps[int]:
        """See the base."""
        yield STARTUP_SECONDS
        return OK if (yield from self._ask(ALL_INSTANCES)) else FAILED

    def reboot(self, machine: Machine) -> Steps[int]:
        """See the base."""
        yield STARTUP_SECONDS
        if not (yield from self._ask(INSTANCES)) or machine.state not in ("running", "stopped"):
            return FAILED
        if machine.state == "running":
            if not (yield from self._ask(INSTANCES)):  # am I running myself?
                return FAILED
            yield from self._send(STOP, machine.stop)
            if not (yield from self._wait_for("stopped", machine)):
                return FAILED
        yield from self._send(START, machine.start)
        return OK if (yield from self._wait_for("running", machine)) else FAILED

    def _send(self, bucket: str, accept: Callable[[], None]) -> Steps[None]:
        # A refusal is logged, and then waited for as if it had been accepted.
        if (yield from self._ask(INSTANCES_BY_ID)) and (yield from self._ask(bucket)):
            accept()

    def _wait_for(self, state: str, machine: Machine) -> Steps[bool]:
        for _ in range(self.power_timeout):
            if not (yield from self._ask(INSTANCES)):
                return False
            if machine.state == state:
                return True
            yield 1.0
        return False


class Cloudha(Agent):
    """Ours on AWS: a refused question is asked again (whole hooks, full jitter) until the action's deadline.

    :param level: OCF_CHECK_LEVEL of the monitor.
    :param dry_runs: what the fence device's monitor tries besides a listing; a refusal tells it nothing.
    :param most_for_start: the most seconds that a reboot spends on starting the machine again.
    """

    change_timeout = 180.0
    query_timeout = 15.0
    least_for_start = 4.0

    def __init__(
        self,
        account: Account,
        level: int = 0,
        dry_runs: tuple[str, ...] = (STOP,),
        most_for_start: float = 10.0,
        power_timeout: float = 50.0,
    ) -> None:
        super().__init__(account)
        self.level = level
        self.dry_runs = dry_runs
        self.most_for_start = most_for_start
        self.power_timeout = power_timeout

    def _hook(self, requests: Iterable[str], end: float) -> Steps[bool]:
        wanted = tuple(requests)
        most = 0.25
        while True:
            for bucket in wanted:
                if not (yield from self.account.ask(bucket)):
                    break
            else:
                return True
            wait = self.clock.random.random() * most
            if self.clock.now + wait + 0.5 >= end:
                return False
            yield wait
            most = min(5.0, most * 2)

    def monitor(self, *, bound: bool = True) -> Steps[int]:
        """See the base."""
        yield STARTUP_SECONDS / 5  # no SDK
        if self.level:
            patience = self.monitor_timeout * 0.9 / 3
            if not (yield from self._hook((INTERFACES,), self.clock.now + patience)):
                return DEGRADED if bound else NOT_RUNNING
        return OK if bound else NOT_RUNNING

    def start(self) -> Steps[int]:
        """See the base."""
        yield STARTUP_SECONDS
        done = yield from self._hook((INTERFACES, ASSIGN), self.clock.now + self.change_timeout * 0.9)
        return OK if done else FAILED

    def stop(self, *, bound: bool = True) -> Steps[int]:
        """See the base."""
        yield STARTUP_SECONDS
        end = self.clock.now + self.change_timeout * 0.9
        for requests in ((INTERFACES,), (INTERFACES, UNASSIGN), (INTERFACES,)) if bound else ((INTERFACES,),) * 2:
            if not (yield from self._hook(requests, end)):
                return FAILED
        return OK

    def fence_monitor(self) -> Steps[int]:
        """See the base."""
        yield STARTUP_SECONDS
        if not (yield from self._hook((INSTANCES,), self.clock.now + self.query_timeout)):
            return FAILED
        for bucket in self.dry_runs:
            yield from self.account.ask(bucket)
        return OK

    def reboot(self, machine: Machine) -> Steps[int]:
        """See the base."""
        yield STARTUP_SECONDS
        end = self.clock.now + self.power_timeout
        if not (yield from self._hook((INSTANCES,), end)):
            return FAILED
        if not (yield from self._hook((INSTANCES_BY_ID, STOP), end)):  # the first: am I running myself?
            return FAILED
        machine.stop()
        looks = 0
        while looks < 2:
            yield 0.5 if looks else 1.0
            if not (yield from self._hook((INSTANCES_BY_ID,), end)):
                return FAILED
            looks = looks + 1 if machine.state == "stopped" else 0
            if self.clock.now >= end:
                return FAILED
        left = min(end - self.clock.now, self.most_for_start)
        if (yield from self._hook((START,), self.clock.now + max(left, self.least_for_start))):
            machine.start()
        return OK


def differences(runs: Iterable[Mapping[str, Any]], agents: Mapping[str, type[Agent]]) -> list[str]:
    """Return where an agent that was run differs from its model: in its requests when healthy, else in its exit code.

    Polls are left out of the comparison: how many there are depends on the machine that is stopped.
    """
    found = []
    for run in runs:
        clock = Clock(1)
        account = Account(clock, None)
        account.log = []
        account.refuses = (run["throttled"].removeprefix("ec2.").rstrip("*"),) if run["throttled"] else ()
        agent = _agent(agents[run["who"]], account, run)
        code: list[int | None] = []
        action = run["action"].replace(" ", "_")
        if action not in ("monitor", "start", "stop", "fence_monitor", "reboot"):
            continue
        steps = agent.reboot(Machine(clock, 2.0, 0.2)) if action == "reboot" else getattr(agent, action)()
        clock.add(_noted(clock, steps, code))
        clock.run(120.0)
        same = _without_polls(account.log) == _without_polls(run["asked"]) if not run["throttled"] else True
        if code != [run["exit"]] or not same:
            found.append(f"{run['who']}: {run['action']} {run['throttled']}: {code} {account.log}, not {run}")
    return found


def _agent(kind: type[Agent], account: Account, run: Mapping[str, Any]) -> Agent:
    if issubclass(kind, Cloudha):
        ours = kind(account, int(run["level"]))
        ours.change_timeout = 60.0  # as in the run
        return ours
    return Upstream(account, 3 if run["retries"] == "standard" else 5)


def _noted(clock: Clock, steps: Steps[int], code: list[int | None]) -> Steps[None]:
    done = yield from within(clock, steps, 60.0)
    code.append(-9 if done is None else done)


def _without_polls(asked: Iterable[str]) -> list[str]:
    kept: list[str] = []
    for bucket in asked:
        if kept[-1:] != [bucket]:
            kept.append(bucket)
    return kept
