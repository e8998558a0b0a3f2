"""Many two-node clusters with one account: an ordinary hour, and the moment when all of them lose a node.

Pacemaker's part is what ``crm_simulate`` says of it (:mod:`scale_pacemaker`), with ``start-failure-is-fatal``, at most
ten fencings in a row (``stonith-max-attempts``), and a second try within one fencing while 30 % of its time are left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scale_clock import Account, Clock, Steps, within
from scale_limits import Buckets
from scale_model import DEGRADED, Agent, Machine

__all__ = ["FENCE_INTERVAL", "MONITOR_INTERVAL", "Hour", "Loss", "Rules", "an_hour", "node_loss"]

# awsvip's own advice, and what pcs gives a fence device that says nothing itself.
MONITOR_INTERVAL = 20.0
FENCE_INTERVAL = 60.0
# Pacemaker's default for operations without a timeout, such as those of a fence device; and its stonith-timeout.
FENCE_MONITOR_TIMEOUT = 20.0
STONITH_TIMEOUT = 60.0
SECOND_TRY_SHARE = 0.7
STONITH_MAX_ATTEMPTS = 10
RECHECK_SECONDS = 900.0
# Between a result and the next transition.
THINKING_SECONDS = 1.0
# Corosync notices a silent node after its token timeout (3 s by default on two nodes) and a consensus on top.
NOTICE_SECONDS = (3.0, 6.0)
HOUR = 3600.0
# Before all clusters lose a node, the account is used as on any day.
WARM_UP_SECONDS = 120.0

MakeAgent = Callable[[Account], Agent]


@dataclass(frozen=True)
class Rules:
    """What holds for a simulation: the agents, how bare ids count, the time that machines take, scaled buckets."""

    make: MakeAgent
    ids_are_filters: bool = False
    stop_seconds: float = 20.0
    start_seconds: float = 15.0
    stonith_timeout: float = STONITH_TIMEOUT
    share: float = 1.0

    def world(self, seed: int) -> tuple[Clock, Account]:
        """Return a new clock, and an account with full buckets."""
        clock = Clock(seed)
        return clock, Account(clock, Buckets(ids_are_filters=self.ids_are_filters, share=self.share))


@dataclass
class Hour:
    """What happened in an hour in which nothing was wrong but the API's refusals; counts of all clusters together.

    ``recovered``: a healthy service was stopped and started again. ``moved``: it went to the other node. ``fenced``:
    its healthy node was fenced. ``down``: it ended stopped on both nodes, until somebody cleans up. ``clusters_hit``:
    clusters with any of these. ``device_failed``: a fence device's monitor failed; ``device_down``: the device ended
    stopped. ``degraded``: monitors that said so, and changed nothing.
    """

    clusters: int = 0
    monitors: int = 0
    failed: int = 0
    degraded: int = 0
    recovered: int = 0
    moved: int = 0
    fenced: int = 0
    down: int = 0
    clusters_hit: int = 0
    device_monitors: int = 0
    device_failed: int = 0
    device_down: int = 0
    devices_hit: int = 0
    asked: int = 0
    refused: int = 0


@dataclass
class Loss:
    """What became of the clusters that lost a node: seconds until each service was back; who needed help.

    ``slow``: clusters whose fencing failed or was killed at least once. ``down``: the service's start failed, or it
    was not back at the end.
    """

    clusters: int
    back: list[float]
    slow: int = 0
    down: int = 0
    asked: int = 0
    refused: int = 0


class Cluster:
    """One cluster's service and fence device, as long as the simulation runs."""

    def __init__(self, rules: Rules, account: Account, hour: Hour) -> None:
        self.rules = rules
        self.agent = rules.make(account)
        self.clock = account.clock
        self.hour = hour
        # Whether the node without the service once failed to start it: that bans it until somebody cleans up.
        self.banned_there = False
        self.hit = False
        self.device_hit = False
        self.lost = False
        self.fencings_failed = 0

    def service(self) -> Steps[None]:
        """Monitor the address, and recover it when the monitor fails."""
        while not self.lost:
            self.hour.monitors += 1
            code = yield from within(self.clock, self.agent.monitor(), self.agent.monitor_timeout)
            if self._gone():
                return
            if code == DEGRADED:
                self.hour.degraded += 1
            elif code != 0:
                self.hour.failed += 1
                if not (yield from self._recover()):
                    self.hour.down += 1
                    return
            yield MONITOR_INTERVAL

    def device(self) -> Steps[None]:
        """Monitor the fence device; when that fails, start it again here, then there."""
        while True:
            self.hour.device_monitors += 1
            if not (yield from self._device_answers()):
                self.hour.device_failed += 1
                self.device_hit = True
                for _ in range(2):
                    yield THINKING_SECONDS
                    if (yield from self._device_answers()):
                        break
                else:
                    self.hour.device_down += 1
                    return
            yield FENCE_INTERVAL

    def fail_over(self, loss: Loss) -> Steps[None]:
        """Lose the node with the service: fence it, start the service on the other one."""
        began = self.clock.now
        self.lost = True
        low, high = NOTICE_SECONDS
        yield low + self.clock.random.random() * (high - low)
        yield from self._fence()
        yield THINKING_SECONDS
        if (yield from within(self.clock, self.agent.start(), self.agent.change_timeout)) != 0:
            loss.down += 1
            return
        loss.back.append(self.clock.now - began)
        self.lost = False
        yield from self.service()

    def _gone(self) -> bool:
        """Whether the node was lost while its agent ran."""
        return self.lost

    def _device_answers(self) -> Steps[bool]:
        return (yield from within(self.clock, self.agent.fence_monitor(), FENCE_MONITOR_TIMEOUT)) == 0

    def _recover(self) -> Steps[bool]:
        self.hit = True
        self.hour.recovered += 1
        yield THINKING_SECONDS
        if (yield from within(self.clock, self.agent.stop(), self.agent.change_timeout)) != 0:
            # A node that was fenced comes back with no failures to its name.
            self.hour.fenced += 1
            yield from self._fence()
            return (yield from self._start_there(banned_here=False))
        if (yield from within(self.clock, self.agent.start(), self.agent.change_timeout)) == 0:
            return True
        # No address here any more: its stop finds nothing to do.
        yield from within(self.clock, self.agent.stop(bound=False), self.agent.change_timeout)
        return (yield from self._start_there(banned_here=True))

    def _start_there(self, *, banned_here: bool) -> Steps[bool]:
        if self.banned_there:
            return False
        self.hour.moved += 1
        self.banned_there = banned_here
        yield THINKING_SECONDS
        return (yield from within(self.clock, self.agent.start(), self.agent.change_timeout)) == 0

    def _fence(self) -> Steps[None]:
        machine = Machine(self.clock, self.rules.stop_seconds, self.rules.start_seconds)
        while True:
            for _ in range(STONITH_MAX_ATTEMPTS):
                if (yield from self._fenced(machine)):
                    return
                self.fencings_failed += 1
                yield THINKING_SECONDS
            yield RECHECK_SECONDS

    def _fenced(self, machine: Machine) -> Steps[bool]:
        began = self.clock.now
        for _ in range(2):
            left = began + self.rules.stonith_timeout - self.clock.now
            if (yield from within(self.clock, self.agent.reboot(machine), left)) == 0:
                return True
            if self.clock.now - began >= self.rules.stonith_timeout * SECOND_TRY_SHARE:
                break
        return False


def an_hour(rules: Rules, clusters: int, seed: int, seconds: float = HOUR) -> Hour:
    """Let that many clusters run for an hour in which nothing is wrong with any of them."""
    clock, account = rules.world(seed)
    hour = Hour(clusters)
    all_of_them = _set_up(rules, account, hour, clusters)
    clock.run(seconds)
    hour.clusters_hit = sum(cluster.hit for cluster in all_of_them)
    hour.devices_hit = sum(cluster.device_hit for cluster in all_of_them)
    hour.asked, hour.refused = account.asked, account.refused
    return hour


def node_loss(rules: Rules, clusters: int, seed: int, seconds: float = HOUR) -> Loss:
    """Let that many clusters lose the node with their service in one moment, and watch them for *seconds*."""
    clock, account = rules.world(seed)
    all_of_them = _set_up(rules, account, Hour(clusters), clusters)
    clock.run(WARM_UP_SECONDS)
    account.asked = account.refused = 0
    loss = Loss(clusters, [])
    for cluster in all_of_them:
        clock.add(cluster.fail_over(loss))
    end = clock.now + seconds
    while clock.now < end and len(loss.back) + loss.down < clusters:
        clock.run(min(end, clock.now + 10.0))
    loss.down = clusters - len(loss.back)
    loss.slow = sum(cluster.fencings_failed > 0 for cluster in all_of_them)
    loss.asked, loss.refused = account.asked, account.refused
    return loss


def _set_up(rules: Rules, account: Account, hour: Hour, clusters: int) -> list[Cluster]:
    clock = account.clock
    made = [Cluster(rules, account, hour) for _ in range(clusters)]
    for cluster in made:
        clock.add(cluster.service(), clock.random.random() * MONITOR_INTERVAL)
        clock.add(cluster.device(), clock.random.random() * FENCE_INTERVAL)
    return made
