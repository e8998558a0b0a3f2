"""fence_cloud with the provider, from standard input to exit code, against the truth."""
# ruff: noqa: S101 - asserts are what a test kit is made of

from __future__ import annotations

from pathlib import Path

import pytest

from cloudha.testing.conformance.agents import Agents
from cloudha.testing.conformance.checks import Checks
from cloudha.testing.conformance.cloud import Capability, Fault, Scope, TestCloud
from cloudha.testing.conformance.waiting import eventually

__all__ = ["FenceFlowChecks"]

# So slow that a request made at once still meets the machine on its way.
SLOW_SECONDS = 1.0


class FenceFlowChecks(Checks):
    """Checks of the STONITH agent with a cloud that works."""

    @pytest.fixture
    def fence(self, agents: Agents) -> Agents:
        """The agents, of a provider that fences."""
        self.need(Capability.FENCING)
        return agents

    def test_fence_off_cuts_the_power(self, fence: Agents, cloud: TestCloud) -> None:
        """0 lets the cluster start the node's services elsewhere: it must be off, and the other must not be."""
        first, second = cloud.machines
        run = fence.fence("off", second.name)
        assert run.code == 0, str(run)
        assert not cloud.powered(second.id), "off was confirmed of a machine that runs"
        assert cloud.powered(first.id), "the other machine was shot, too"
        assert run.stdout == ""

    def test_fence_off_of_a_machine_that_is_off(self, fence: Agents, cloud: TestCloud) -> None:
        """Two nodes may fence the same peer; both are right."""
        machine = cloud.machines[1]
        cloud.set_power(machine.id, on=False)
        run = fence.fence("off", machine.id)
        assert run.code == 0, str(run)
        assert not cloud.powered(machine.id)

    def test_fence_off_of_a_machine_that_is_starting(self, fence: Agents, cloud: TestCloud) -> None:
        """The cloud may refuse it for now; the machine must be off in the end."""
        machine = cloud.machines[1]
        cloud.set_power(machine.id, on=False)
        cloud.transition(SLOW_SECONDS)
        assert fence.fence("on", machine.id, seconds=SLOW_SECONDS / 2).code == 1
        run = fence.fence("off", machine.id)
        assert run.code == 0, str(run)
        assert not cloud.powered(machine.id)

    def test_fence_off_by_address(self, fence: Agents, cloud: TestCloud) -> None:
        """pcmk_host_map may name a node's address."""
        machine = cloud.machines[1]
        run = fence.fence("off", str(machine.addresses[0]))
        assert run.code == 0, str(run)
        assert not cloud.powered(machine.id)

    def test_fence_off_of_an_unknown_machine_fails(self, fence: Agents, cloud: TestCloud) -> None:
        """Nobody is shot, and nobody is said to be off."""
        run = fence.fence("off", cloud.missing_id)
        assert run.code == 1, str(run)
        assert run.stderr.strip(), "it failed without a word"
        assert all(cloud.powered(machine.id) for machine in cloud.machines)

    def test_fence_off_of_an_ambiguous_name_fails(self, fence: Agents, cloud: TestCloud) -> None:
        """One of two machines of a name is the wrong one; the message names both."""
        self.need(Capability.SAME_NAMES)
        first, second = cloud.machines
        cloud.rename(second.id, first.name)
        run = fence.fence("off", first.name)
        assert run.code == 1, str(run)
        assert first.id in run.stderr
        assert second.id in run.stderr
        assert all(cloud.powered(machine.id) for machine in cloud.machines)

    def test_fence_on_starts_the_machine(self, fence: Agents, cloud: TestCloud) -> None:
        """``pcs stonith`` on, and unfencing."""
        machine = cloud.machines[1]
        cloud.set_power(machine.id, on=False)
        run = fence.fence("on", machine.name)
        assert run.code == 0, str(run)
        assert cloud.powered(machine.id)

    def test_fence_reboot_ends_with_the_machine_on(self, fence: Agents, cloud: TestCloud) -> None:
        """Pacemaker's default action: off, confirmed, then on."""
        machine = cloud.machines[1]
        run = fence.fence("reboot", machine.name)
        assert run.code == 0, str(run)
        assert eventually(lambda: cloud.powered(machine.id)), f"it was not started again: {run}"

    def test_fence_status_says_on_and_off(self, fence: Agents, cloud: TestCloud) -> None:
        """0 is on, 2 is off."""
        first, second = cloud.machines
        cloud.set_power(second.id, on=False)
        runs = [fence.start_fence("status", machine.id) for machine in (first, second)]
        assert [run.wait().code for run in runs] == [0, 2]

    def test_fence_status_sees_a_restart(self, fence: Agents, cloud: TestCloud) -> None:
        """A fenced machine that somebody starts again is on, and is fenced anew."""
        machine = cloud.machines[1]
        assert fence.fence("off", machine.id).code == 0
        cloud.set_power(machine.id, on=True)
        assert fence.fence("status", machine.id).code == 0
        run = fence.fence("off", machine.id)
        assert run.code == 0, str(run)
        assert not cloud.powered(machine.id)

    @pytest.mark.parametrize("action", ["monitor", "validate-all"])
    def test_fence_is_healthy(self, action: str, fence: Agents, cloud: TestCloud) -> None:
        """The recurring monitor of the stonith resource: 0 and not a word, since every word is a warning in the log."""
        run = fence.fence(action, cloud.machines[1].name if action == "validate-all" else "")
        assert run.code == 0, str(run)
        assert run.stdout + run.stderr == ""

    def test_fence_list_shows_everybody(self, fence: Agents, cloud: TestCloud) -> None:
        """Pacemaker's targets: id and name of each machine, one line each."""
        machines = cloud.machines
        cloud.set_power(machines[1].id, on=False)
        listing, states = (run.wait() for run in (fence.start_fence("list"), fence.start_fence("list-status")))
        assert listing.code == states.code == 0, f"{listing}; {states}"
        assert {f"{machine.id},{machine.name}" for machine in machines} <= set(listing.stdout.splitlines())
        wanted = {f"{m.id},{m.name},{state}" for m, state in zip(machines, ("ON", "OFF"), strict=True)}
        assert wanted <= set(states.stdout.splitlines())

    def test_fence_off_survives_what_passes(self, passing_fault: Fault, fence: Agents, cloud: TestCloud) -> None:
        """A throttled call, an error, a lost answer to a stop that was made: the fencing still works."""
        machine = cloud.machines[1]
        # A lost answer matters most where the change has happened.
        cloud.inject(passing_fault, Scope.CHANGES if passing_fault is Fault.CUT else Scope.API, times=2)
        run = fence.fence("off", machine.id)
        assert run.code == 0, str(run)
        assert not cloud.powered(machine.id)

    def test_fence_debugging_shows_no_secret(self, fence: Agents, cloud: TestCloud, tmp_path: Path) -> None:
        """What an operator switches on in trouble is then sent around."""
        debug = tmp_path / "debug"
        run = fence.fence("off", cloud.machines[1].id, verbose="1", debug_file=str(debug))
        assert run.code == 0, str(run)
        assert run.stderr, "verbose, and not a word"
        assert not fence.leaks(run, debug.read_text()), "a secret is shown"
