"""floating-ip with the provider, from the environment to the exit code, against the truth."""
# ruff: noqa: S101 - asserts are what a test kit is made of

from __future__ import annotations

from cloudha.testing.conformance.agents import Agents, Run
from cloudha.testing.conformance.checks import Checks
from cloudha.testing.conformance.cloud import Capability, Fault, Scope, TestCloud
from cloudha.types import IPAddress, Kind

__all__ = ["AddressFlowChecks"]

SUCCESS, NOT_RUNNING = 0, 7
DEEP = 10


class AddressFlowChecks(Checks):
    """Checks of the resource agent with a cloud that works. Each machine's agent runs as that machine."""

    def test_start_binds_it_here(self, kind: Kind, agents: Agents, cloud: TestCloud) -> None:
        """0 tells the cluster that the address answers on this node; it depends on it and starts what comes next."""
        ip = cloud.addresses(kind, 4)[0]
        self._start(kind, agents, cloud, ip)

    def test_start_again_is_success(self, kind: Kind, agents: Agents, cloud: TestCloud) -> None:
        """Idempotent, as OCF asks."""
        ip = cloud.addresses(kind, 4)[0]
        cloud.give(kind, ip, cloud.machines[0].id)
        self._start(kind, agents, cloud, ip)

    def test_start_takes_it_over(self, kind: Kind, agents: Agents, cloud: TestCloud) -> None:
        """A failover: the other machine was fenced, and still holds the address."""
        ip = cloud.addresses(kind, 4)[0]
        cloud.give(kind, ip, cloud.machines[1].id)
        cloud.set_power(cloud.machines[1].id, on=False)
        self._start(kind, agents, cloud, ip)

    def test_start_without_takeover_fails(self, kind: Kind, agents: Agents, cloud: TestCloud) -> None:
        """The other machine keeps what it has, and start does not claim it."""
        ip = cloud.addresses(kind, 4)[0]
        cloud.give(kind, ip, cloud.machines[1].id)
        run = agents.address("start", kind, ip, takeover="never")
        assert run.code not in (SUCCESS, NOT_RUNNING), str(run)
        assert cloud.holder(kind, ip) == cloud.machines[1].id

    def test_start_by_the_nodes_name(self, kind: Kind, agents: Agents, cloud: TestCloud) -> None:
        """``node=`` says who we are where the machine cannot find out."""
        self.need(Capability.FENCING)
        cloud.local(None)
        ip = cloud.addresses(kind, 4)[0]
        run = agents.address("start", kind, ip, node=cloud.machines[1].name)
        assert run.code == SUCCESS, str(run)
        assert cloud.holder(kind, ip) == cloud.machines[1].id

    def test_monitor_tells_here_from_there(self, kind: Kind, agents: Agents, cloud: TestCloud) -> None:
        """0 on the holder and 7 on the other, by local evidence and by the API."""
        ip = cloud.addresses(kind, 4)[0]
        for here in cloud.machines:
            cloud.local(here)
            found = []
            for holder in (here.id, None, *(m.id for m in cloud.machines if m.id != here.id)):
                cloud.give(kind, ip, holder)
                runs = [agents.start_address("monitor", kind, ip, level=level) for level in (0, DEEP)]
                found.append([run.wait().code for run in runs])
            assert found == [[SUCCESS] * 2, [NOT_RUNNING] * 2, [NOT_RUNNING] * 2]

    def test_monitor_is_silent_when_all_is_well(self, kind: Kind, agents: Agents, cloud: TestCloud) -> None:
        """It runs every few seconds; every word is a line in the log."""
        ip = cloud.addresses(kind, 4)[0]
        cloud.give(kind, ip, cloud.machines[0].id)
        run = agents.address("monitor", kind, ip, level=DEEP)
        assert (run.code, run.stdout, run.stderr) == (SUCCESS, "", "")

    def test_stop_unbinds_it(self, kind: Kind, agents: Agents, cloud: TestCloud) -> None:
        """0 lets the cluster start it on another node; its neighbour stays."""
        ip, other = cloud.addresses(kind, 4)
        cloud.give(kind, ip, cloud.machines[0].id)
        cloud.give(kind, other, cloud.machines[0].id)
        run = self._stop(kind, agents, ip)
        assert cloud.holder(kind, ip) is None, str(run)
        assert cloud.holder(kind, other) == cloud.machines[0].id, "another address was unbound, too"

    def test_stop_again_is_success(self, kind: Kind, agents: Agents, cloud: TestCloud) -> None:
        """A failed stop gets the node fenced."""
        self._stop(kind, agents, cloud.addresses(kind, 4)[0])

    def test_stop_takes_nothing_from_another_machine(self, kind: Kind, agents: Agents, cloud: TestCloud) -> None:
        """A late stop on the old node must not cut off the new one."""
        ip = cloud.addresses(kind, 4)[0]
        cloud.give(kind, ip, cloud.machines[1].id)
        self._stop(kind, agents, ip)
        assert cloud.holder(kind, ip) == cloud.machines[1].id

    def test_validate_all_accepts_it(self, kind: Kind, agents: Agents, cloud: TestCloud) -> None:
        """``pcs resource create`` asks before anything is started."""
        run = agents.address("validate-all", kind, cloud.addresses(kind, 4)[0], level=DEEP)
        assert run.code == SUCCESS, str(run)
        assert run.stdout == ""

    def test_start_and_stop_survive_what_passes(
        self, kind: Kind, passing_fault: Fault, agents: Agents, cloud: TestCloud
    ) -> None:
        """A throttled call, an error, a lost answer to a change that was made: start and stop still work."""
        ip = cloud.addresses(kind, 4)[0]
        scope = Scope.CHANGES if passing_fault is Fault.CUT else Scope.API
        cloud.inject(passing_fault, scope, times=2)
        self._start(kind, agents, cloud, ip)
        cloud.inject(passing_fault, scope, times=2)
        self._stop(kind, agents, ip)
        assert cloud.holder(kind, ip) is None

    def test_ipv6_starts_and_stops(self, kind: Kind, agents: Agents, cloud: TestCloud) -> None:
        """The same with the other family."""
        self.need(Capability.IPV6)
        ip = cloud.addresses(kind, 6)[0]
        self._start(kind, agents, cloud, ip)
        assert agents.address("monitor", kind, ip, level=DEEP).code == SUCCESS
        self._stop(kind, agents, ip)
        assert cloud.holder(kind, ip) is None

    def _start(self, kind: Kind, agents: Agents, cloud: TestCloud, ip: IPAddress) -> Run:
        run = agents.address("start", kind, ip)
        assert run.code == SUCCESS, str(run)
        assert cloud.holder(kind, ip) == cloud.machines[0].id, f"it is not bound here: {run}"
        assert run.stdout == ""
        assert not agents.leaks(run), "a secret is shown"
        return run

    def _stop(self, kind: Kind, agents: Agents, ip: IPAddress) -> Run:
        run = agents.address("stop", kind, ip)
        assert run.code == SUCCESS, str(run)
        assert run.stdout == ""
        assert not agents.leaks(run), "a secret is shown"
        return run
