"""The hooks that fencing stands on: finding the machine, seeing its power, changing it."""
# ruff: noqa: S101 - asserts are what a test kit is made of

from __future__ import annotations

import pytest

from cloudha.deadline import Deadline
from cloudha.errors import Conflict, NotFound
from cloudha.testing.conformance.checks import Checks
from cloudha.testing.conformance.cloud import Capability, TestCloud
from cloudha.testing.conformance.hooks import Hooks
from cloudha.testing.conformance.waiting import MOST_SECONDS, POLL_SECONDS, eventually, stays
from cloudha.types import Node, PowerState, Purpose, Verdict

__all__ = ["PowerChecks"]

# Far longer than any check runs: a stop that is under way stays so.
NEVER_SECONDS = 120.0
# Long enough for several looks at a machine that is on its way down.
VISIBLE_SECONDS = 0.5


class PowerChecks(Checks):
    """Checks of list_nodes, power_state, power_off, power_on and, for fencing, check_access."""

    @pytest.fixture
    def fencing(self, hooks: Hooks) -> Hooks:
        """The hooks, of a provider that fences."""
        self.need(Capability.FENCING)
        return hooks

    def test_list_nodes_shows_both_machines(self, fencing: Hooks, cloud: TestCloud) -> None:
        """``fence_cloud -o list`` tells Pacemaker whom it can fence."""
        found = {node.id: node for node in fencing.list_nodes()}
        for machine in cloud.machines:
            assert machine.id in found
            assert found[machine.id].name == machine.name
            assert found[machine.id].state is PowerState.ON

    @pytest.mark.parametrize("form", ["id", "name", "address"])
    def test_list_nodes_finds_a_machine_by(self, form: str, fencing: Hooks, cloud: TestCloud) -> None:
        """A plug is an id, a name or an address; one that does not fit leaves the node unfenced."""
        for machine in cloud.machines:
            found = fencing.list_nodes(_plug(machine, form))
            assert machine.id in {node.id for node in found}
            if form == "address":
                assert machine.addresses[0] in {a for node in found if node.id == machine.id for a in node.addresses}

    def test_list_nodes_answers_an_unknown_plug_with_an_empty_page(self, fencing: Hooks, cloud: TestCloud) -> None:
        """The host then says what to check; any machine in its place could be shot instead."""
        fitting = [node for node in fencing.list_nodes(cloud.missing_id) if cloud.missing_id in (node.id, node.name)]
        assert not fitting

    def test_list_nodes_returns_both_machines_of_one_name(self, fencing: Hooks, cloud: TestCloud) -> None:
        """The host refuses an ambiguous name. With one of them left out, it would shoot the other."""
        self.need(Capability.SAME_NAMES)
        first, second = cloud.machines
        cloud.rename(second.id, first.name)
        assert {node.id for node in fencing.list_nodes(first.name)} >= {first.id, second.id}

    def test_list_nodes_is_complete_over_all_pages(self, fencing: Hooks, cloud: TestCloud) -> None:
        """A machine on the second page must be found, and a listing must end."""
        self.need(Capability.PAGING)
        everyone = cloud.crowd()
        found = [node.id for node in fencing.list_nodes()]
        assert everyone <= set(found)
        assert len(found) == len(set(found)), "a machine is listed twice"

    def test_power_state_says_on_and_off(self, fencing: Hooks, cloud: TestCloud) -> None:
        """The state is of the very machine that was asked about, and of its twin it says nothing."""
        first, second = cloud.machines
        cloud.set_power(second.id, on=False)
        readings = [fencing.power_state(first), fencing.power_state(second)]
        assert [reading.node_id for reading in readings] == [first.id, second.id]
        assert [reading.state for reading in readings] == [PowerState.ON, PowerState.OFF]

    def test_power_state_is_asked_of_the_cloud_every_time(self, fencing: Hooks, cloud: TestCloud) -> None:
        """A remembered "off" of a machine that somebody started again lets two nodes write to one disk."""
        fencing.keep_context()
        machine = cloud.machines[1]
        cloud.set_power(machine.id, on=False)
        assert fencing.power_state(machine).state is PowerState.OFF
        cloud.set_power(machine.id, on=True)
        assert fencing.power_state(machine).state is PowerState.ON

    def test_power_state_never_says_off_of_a_machine_that_runs(self, fencing: Hooks, cloud: TestCloud) -> None:
        """A machine that is stopping still writes; "off" makes the cluster start its services elsewhere at once."""
        machine = cloud.machines[1]
        cloud.transition(VISIBLE_SECONDS)
        fencing.ask("power_off", node=machine)
        deadline = Deadline(MOST_SECONDS)
        while not (state := fencing.power_state(machine).state).is_off and not deadline.passed:
            deadline.sleep(POLL_SECONDS)
        assert state.is_off, "a stopped machine is never reported as off: fencing would never end"
        assert not cloud.powered(machine.id), f"{state} was said of a machine that runs"

    def test_list_nodes_never_says_off_of_a_machine_that_runs(self, fencing: Hooks, cloud: TestCloud) -> None:
        """``fence_cloud -o status`` takes its answer from the listing."""
        machine = cloud.machines[1]
        cloud.transition(NEVER_SECONDS)
        fencing.ask("power_off", node=machine)
        states = [node.state for node in fencing.list_nodes(machine.id) if node.id == machine.id]
        assert states
        assert not any(state.is_off for state in states)

    def test_power_off_returns_when_accepted(self, fencing: Hooks, cloud: TestCloud) -> None:
        """The host waits, with the action's deadline and a poll that other machines share; a hook has no clock."""
        machine = cloud.machines[1]
        cloud.transition(NEVER_SECONDS)
        fencing.ask("power_off", node=machine)
        assert cloud.powered(machine.id)

    def test_power_off_cuts_that_machine_only(self, fencing: Hooks, cloud: TestCloud) -> None:
        """The survivor must survive."""
        first, second = cloud.machines
        fencing.ask("power_off", node=second)
        assert eventually(lambda: not cloud.powered(second.id)), "power_off was accepted, and the machine runs on"
        assert stays(lambda: cloud.powered(first.id))

    def test_power_off_again_is_success(self, fencing: Hooks, cloud: TestCloud) -> None:
        """The host repeats a stop whose answer was lost; an error then would fail a fencing that has worked."""
        machine = cloud.machines[1]
        cloud.set_power(machine.id, on=False)
        fencing.ask("power_off", node=machine)
        assert stays(lambda: not cloud.powered(machine.id))

    def test_power_off_while_stopping_is_success_or_conflict(self, fencing: Hooks, cloud: TestCloud) -> None:
        """The host meets a conflict by looking again; any other error would fail the fencing."""
        machine = cloud.machines[1]
        cloud.transition(VISIBLE_SECONDS)
        fencing.ask("power_off", node=machine)
        _accepted_or_conflict(fencing, "power_off", machine)
        assert eventually(lambda: not cloud.powered(machine.id))

    def test_power_on_starts_the_machine(self, fencing: Hooks, cloud: TestCloud) -> None:
        """The second half of a reboot."""
        machine = cloud.machines[1]
        cloud.set_power(machine.id, on=False)
        fencing.ask("power_on", node=machine)
        assert eventually(lambda: cloud.powered(machine.id))
        assert eventually(lambda: fencing.power_state(machine).state is PowerState.ON)

    def test_power_on_again_is_success(self, fencing: Hooks, cloud: TestCloud) -> None:
        """The host repeats a start whose answer was lost."""
        machine = cloud.machines[1]
        fencing.ask("power_on", node=machine)
        assert stays(lambda: cloud.powered(machine.id))

    def test_power_on_while_stopping_is_success_or_conflict(self, fencing: Hooks, cloud: TestCloud) -> None:
        """The host meets a conflict by looking again."""
        machine = cloud.machines[1]
        cloud.transition(NEVER_SECONDS)
        fencing.ask("power_off", node=machine)
        _accepted_or_conflict(fencing, "power_on", machine)

    @pytest.mark.parametrize("hook", ["power_state", "power_off", "power_on"])
    def test_a_missing_machine_is_not_found(self, hook: str, fencing: Hooks, cloud: TestCloud) -> None:
        """It may be the wrong region or account that is asked: an error, and never "off"."""
        with pytest.raises(NotFound):
            fencing.ask(hook, node=Node(cloud.missing_id, name=cloud.machines[1].name))
        assert stays(lambda: all(cloud.powered(machine.id) for machine in cloud.machines))

    def test_check_access_for_fencing_is_granted(self, fencing: Hooks) -> None:
        """``fence_cloud -o monitor`` is this call: a permission that is missing shows before the first fencing."""
        report = fencing.check_access(Purpose.FENCING)
        assert report.permissions, "no permission is named"
        refused = [permission.name for permission in report.permissions if permission.granted is Verdict.NO]
        assert not refused


def _plug(machine: Node, form: str) -> str:
    return {"id": machine.id, "name": machine.name, "address": str(machine.addresses[0])}[form]


def _accepted_or_conflict(hooks: Hooks, hook: str, machine: Node) -> None:
    try:
        hooks.ask(hook, node=machine)
    except Conflict:
        return
