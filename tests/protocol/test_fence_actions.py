"""Every action of fence_cloud and its exit code, with the simulated cloud over HTTP."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from agent_process import Agents
from cloudha.testing.emulator import Effect, Fault
from cloudha_plugin_sim.emulator import SimEmulator
from cloudha_plugin_sim.records import State


def state(cloud: SimEmulator, machine: str) -> State:
    return cloud.cloud.truth().machines[machine].state


def wait_for(cloud: SimEmulator, machine: str, wanted: State) -> None:
    for _ in range(100):
        if state(cloud, machine) is wanted:
            return
        time.sleep(0.05)
    raise AssertionError(f"{machine} is {state(cloud, machine)}, not {wanted}")


def powered(cloud: SimEmulator, name: str) -> bool:
    return cloud.cloud.world.powered(name)


def test_off_cuts_the_power(agents: Agents, cloud: SimEmulator) -> None:
    done = agents.fence("off", plug="n2")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert not powered(cloud, "n2")
    assert powered(cloud, "n1")
    assert powered(cloud, "n3")


def test_on_starts_it(agents: Agents, cloud: SimEmulator) -> None:
    assert agents.fence("off", plug="n2").code == 0
    done = agents.fence("on", plug="n2")
    assert (done.code, done.err) == (0, "")
    assert state(cloud, "m-0002") is State.RUNNING


def test_on_of_a_running_machine_leaves_it_alone(agents: Agents, cloud: SimEmulator) -> None:
    before = cloud.cloud.truth().machines["m-0002"].serial
    assert agents.fence("on", plug="n2").code == 0
    assert cloud.cloud.truth().machines["m-0002"].serial == before


@pytest.mark.parametrize("action", ["reboot", ""])
def test_reboot_is_off_then_on_and_the_default(agents: Agents, cloud: SimEmulator, action: str) -> None:
    done = agents.fence(action, plug="n2")
    assert (done.code, done.err) == (0, "")
    # The cluster is not made to wait for the machine to come up again.
    assert state(cloud, "m-0002") in (State.STARTING, State.RUNNING)
    operations = cloud.server.journal.operations()
    assert operations.index("power_off") < operations.index("power_on")


def test_off_again_is_fine_and_asks_again(agents: Agents, cloud: SimEmulator) -> None:
    # The reading "stopped" may be older than the last start, so the stop is sent all the same.
    assert agents.fence("off", plug="n2").code == 0
    assert agents.fence("off", plug="n2").code == 0
    assert cloud.server.journal.operations().count("power_off") == 2


def test_status(agents: Agents) -> None:
    on = agents.fence("status", plug="n2")
    assert (on.code, on.err) == (0, "")
    assert "on" in on.out
    agents.fence("off", plug="n2")
    off = agents.fence("status", plug="n2")
    assert (off.code, off.err) == (2, "")
    assert "off" in off.out


def test_status_of_a_stopping_machine_is_not_off(agents: Agents, cloud: SimEmulator) -> None:
    cloud.cloud.behaviour.stop = 30.0
    cloud.cloud.off("m-0002")
    assert agents.fence("status", plug="n2").code == 0


@pytest.mark.parametrize("action", ["monitor", "start"])
def test_monitor(agents: Agents, action: str) -> None:
    done = agents.fence(action)
    assert (done.code, done.out, done.err) == (0, "", "")


def test_monitor_without_a_needed_permission(agents: Agents, cloud: SimEmulator) -> None:
    cloud.cloud.behaviour.denied = ("machines.power",)
    done = agents.fence("monitor")
    assert done.code == 1
    assert "machines.power" in done.one_line()


def test_stop_has_nothing_to_do(agents: Agents, cloud: SimEmulator) -> None:
    assert agents.fence("stop").code == 0
    assert cloud.server.journal.operations() == ()


def test_list(agents: Agents) -> None:
    done = agents.fence("list")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == ["m-0001,n1", "m-0002,n2", "m-0003,n3"]


@pytest.mark.parametrize("action", ["list", "list-status"])
def test_a_list_without_any_machine_is_an_error(agents: Agents, cloud: SimEmulator, action: str) -> None:
    """An empty list with exit code 0 takes all targets from Pacemaker."""
    cloud.fault(Fault("machines.list", Effect.EMPTY))
    done = agents.fence(action)
    assert (done.code, done.out) == (1, "")
    assert "no machine at all" in done.err


def test_list_status(agents: Agents, cloud: SimEmulator) -> None:
    cloud.cloud.behaviour.start = 30.0
    agents.fence("off", plug="n1")
    cloud.cloud.terminate("m-0002")
    wait_for(cloud, "m-0002", State.TERMINATED)
    agents.fence("off", plug="n3")
    cloud.cloud.on("m-0003")
    done = agents.fence("list-status")
    assert done.code == 0
    assert done.out.splitlines() == ["m-0001,n1,OFF", "m-0002,n2,OFF", "m-0003,n3,UNKNOWN"]


def test_list_of_several_pages(agents: Agents, cloud: SimEmulator) -> None:
    cloud.cloud.behaviour.page = 1
    assert len(agents.fence("list").out.splitlines()) == 3
    assert cloud.server.journal.operations().count("machines.list") == 3


def test_list_whose_second_page_fails_prints_nothing(agents: Agents, cloud: SimEmulator) -> None:
    cloud.cloud.behaviour.page = 1
    cloud.fault(Fault("machines.list", Effect.FORBIDDEN, after=1))
    done = agents.fence("list")
    assert (done.code, done.out) == (1, "")
    assert "403" in done.one_line()


@pytest.mark.parametrize("effect", [Effect.GARBAGE, Effect.MISSING, Effect.CUT, Effect.ERROR])
def test_a_listing_that_cannot_be_read_is_not_a_short_one(agents: Agents, cloud: SimEmulator, effect: Effect) -> None:
    cloud.fault(Fault("machines.list", effect))
    done = agents.fence("list", query_timeout=1)
    assert (done.code, done.out) == (1, "")
    done.one_line()


def test_names_with_separators_stay_one_word(agents: Agents, cloud: SimEmulator) -> None:
    cloud.cloud.describe("m-0002", name="web, db;\tone two", group="", restart_after=None)
    done = agents.fence("list-status")
    assert done.out.splitlines()[1] == "m-0002,web__db__one_two,ON"


def test_the_separator_of_lists(agents: Agents) -> None:
    assert agents.fence("list", separator=" ").out.splitlines()[0] in ("m-0001 n1", "m-0001,n1")
    assert agents.fence("list", separator=":").out.splitlines()[0] == "m-0001:n1"


@pytest.mark.parametrize("action", ["metadata", "meta-data"])
def test_metadata_needs_no_provider_and_no_network(installed: Agents, action: str) -> None:
    done = installed.fence(action)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("<?xml")
    assert done.out == installed.fence_raw("", "-o", action).out == installed.fence_raw("", f"--action={action}").out


def test_manpage(installed: Agents) -> None:
    done = installed.fence("manpage")
    assert (done.code, done.err) == (0, "")
    assert "--power-timeout" in done.out


def test_validate_all(agents: Agents) -> None:
    assert agents.fence("validate-all").code == 0
    # What 2.1.5 sends.
    assert agents.fence("validate-all", nodename="", port="").code == 0


def test_validate_all_looks_at_the_plug(agents: Agents, cloud: SimEmulator) -> None:
    cloud.cloud.describe("m-0002", name="n2", group="workers", restart_after=None)
    done = agents.fence("validate-all", plug="n2")
    assert done.code == 0
    assert "scaling group workers" in done.one_line()


def test_validate_all_with_the_target_that_tools_make_up(agents: Agents) -> None:
    # stonith_admin --validate and pcs --agent-validation (2.1.5) name a target "node1", which need not exist.
    done = agents.fence("validate-all", nodename="node1", port="node1")
    assert done.code == 0
    assert "node1" in done.one_line()


def test_validate_all_with_the_cloud_away_is_a_warning(agents: Agents, cloud: SimEmulator) -> None:
    cloud.fault(Fault("*", Effect.REFUSE))
    done = agents.fence("validate-all", plug="n2")
    assert done.code == 0
    assert "warning" in done.one_line()


def test_validate_all_refused_by_the_cloud_is_an_error(agents: Agents, cloud: SimEmulator) -> None:
    cloud.fault(Fault("whoami", Effect.UNAUTHORIZED))
    assert agents.fence("validate-all").code == 1


@pytest.mark.parametrize("plug", ["m-0002", "n2", "10.9.9.2"])
def test_plug_is_an_id_a_name_or_an_address(agents: Agents, cloud: SimEmulator, plug: str) -> None:
    assert agents.fence("off", plug=plug).code == 0
    assert not powered(cloud, "n2")


def test_an_address_is_compared_as_an_address(agents: Agents, cloud: SimEmulator) -> None:
    done = agents.fence("off", plug="10.9.9.20")
    assert done.code == 1
    assert all(powered(cloud, name) for name in ("n1", "n2", "n3"))


def test_an_ambiguous_name_is_refused_and_both_are_named(agents: Agents, cloud: SimEmulator) -> None:
    cloud.cloud.describe("m-0003", name="n2", group="", restart_after=None)
    for action in ("off", "on", "reboot", "status"):
        done = agents.fence(action, plug="n2")
        assert done.code == 1
        line = done.one_line()
        assert "m-0002" in line
        assert "m-0003" in line
    assert powered(cloud, "n2")
    assert powered(cloud, "n3")


@pytest.mark.parametrize("action", ["off", "on", "reboot", "status"])
def test_an_unknown_plug_is_never_off(agents: Agents, action: str) -> None:
    done = agents.fence(action, plug="n9")
    assert done.code == 1
    assert "n9" in done.one_line()


@pytest.mark.parametrize("action", ["off", "on", "reboot", "status"])
def test_no_plug(agents: Agents, action: str) -> None:
    done = agents.fence(action)
    assert done.code == 1
    assert "plug" in done.one_line()


def test_several_plugs_are_off_when_all_are(agents: Agents, cloud: SimEmulator) -> None:
    assert agents.fence("off", plug="n2,m-0003").code == 0
    assert not powered(cloud, "n2")
    assert not powered(cloud, "n3")
    assert powered(cloud, "n1")
    assert agents.fence("status", plug="n2,n3").code == 2
    # One of them on: not off.
    assert agents.fence("status", plug="n1,n2").code == 0


def test_several_plugs_one_of_which_fails(agents: Agents, cloud: SimEmulator) -> None:
    done = agents.fence("off", plug="n2,n9")
    assert done.code == 1
    assert "n9" in done.one_line()
    cloud.cloud.behaviour.stop = 0.1
    cloud.fault(Fault("power_off", Effect.FORBIDDEN, after=1))
    assert agents.fence("off", plug="n2,n3").code == 1


def test_the_separator_of_plugs(agents: Agents, cloud: SimEmulator) -> None:
    assert agents.fence("off", plug="n2+n3", plug_separator="+").code == 0
    assert not powered(cloud, "n3")


def test_a_machine_that_stops_already_is_waited_for(agents: Agents, cloud: SimEmulator) -> None:
    cloud.cloud.behaviour.stop = 1.5
    cloud.cloud.off("m-0002")
    done = agents.fence("off", plug="n2")
    assert (done.code, done.err) == (0, "")
    assert not powered(cloud, "n2")


def test_a_machine_that_starts_is_stopped_as_soon_as_it_can_be(agents: Agents, cloud: SimEmulator) -> None:
    cloud.cloud.behaviour.start = 1.5
    agents.fence("off", plug="n2")
    cloud.cloud.on("m-0002")
    done = agents.fence("off", plug="n2")
    assert (done.code, done.err) == (0, "")
    assert not powered(cloud, "n2")


def test_terminated_is_off_by_its_id_and_refused_by_name(agents: Agents, cloud: SimEmulator) -> None:
    cloud.cloud.terminate("m-0002")
    wait_for(cloud, "m-0002", State.TERMINATED)
    assert agents.fence("off", plug="m-0002").code == 0
    assert agents.fence("status", plug="m-0002").code == 2
    by_name = agents.fence("off", plug="n2")
    assert by_name.code == 1
    assert "terminated" in by_name.one_line()
    # Off is what a reboot confirms; that it cannot start again is said loudly.
    rebooted = agents.fence("reboot", plug="m-0002")
    assert rebooted.code == 0
    assert "NOT STARTED" in rebooted.one_line()
    assert agents.fence("on", plug="m-0002").code == 1


def test_a_name_means_the_living_machine(agents: Agents, cloud: SimEmulator) -> None:
    cloud.cloud.describe("m-0003", name="n2", group="", restart_after=None)
    cloud.cloud.behaviour.stop = 0.0
    cloud.cloud.terminate("m-0002")
    wait_for(cloud, "m-0002", State.TERMINATED)
    assert agents.fence("off", plug="n2").code == 0
    assert not powered(cloud, "n3")


def test_a_machine_that_is_started_behind_ones_back_before_off_was_seen(agents: Agents, cloud: SimEmulator) -> None:
    # The first stop's end is not seen: the readings that would show it are lost, and by then it starts again.
    cloud.cloud.behaviour.start = 1.0
    cloud.cloud.describe("m-0002", name="n2", group="workers", restart_after=0.0)
    cloud.fault(Fault("machines.get", Effect.ERROR, count=2))
    done = agents.fence("off", plug="n2", power_timeout=4)
    if done.code == 0:
        readings = [e for e in cloud.server.journal.entries() if e.operation == "machines.get" and e.status == 200]
        assert cloud.server.journal.operations().count("power_off") >= 1
        assert readings
    else:
        assert "n2" in done.one_line()


def test_a_machine_that_is_restarted_once_during_off_ends_off(agents: Agents, cloud: SimEmulator) -> None:
    cloud.cloud.behaviour.stop = 1.0
    cloud.cloud.behaviour.start = 0.3
    # Somebody power-cycles it while our stop request waits to be accepted.
    cloud.fault(Fault("power_off", Effect.THROTTLE, count=1, retry_after=1))
    cloud.cloud.restart("m-0002", 0.5)
    assert agents.fence("off", plug="n2").code == 0
    assert not powered(cloud, "n2")


def test_an_off_that_is_older_than_the_last_start_is_not_believed(agents: Agents, cloud: SimEmulator) -> None:
    cloud.cloud.off("m-0002")
    time.sleep(2)
    cloud.cloud.on("m-0002")
    cloud.cloud.behaviour.stop = 3.0
    # One reading comes from a replica that still has it stopped, as it was before that start.
    stale = cloud.fault(Fault("machines.get", Effect.STALE, count=1, age=1.5))
    assert state(cloud, "m-0002") is State.STARTING
    time.sleep(0.2)
    done = agents.fence("off", plug="n2")
    assert cloud.server.faults.hits(stale) == 1
    assert done.code == 0
    assert not powered(cloud, "n2"), "it was called off while it ran"


def test_method_onoff_only(agents: Agents) -> None:
    assert agents.fence("status", plug="n2", method="onoff").code == 0
    done = agents.fence("off", plug="n2", method="cycle")
    assert done.code == 1
    assert "onoff" in done.one_line()


def test_delay_comes_before_the_first_request(agents: Agents) -> None:
    done = agents.fence("off", plug="n2", delay="600ms")
    assert done.code == 0
    assert done.seconds >= 0.6
    # Neither a look nor a start is delayed.
    assert agents.fence("status", plug="n2", delay=30).seconds < 15
    assert agents.fence("on", plug="n2", delay=30).seconds < 15


def test_delay_is_not_part_of_power_timeout(agents: Agents) -> None:
    assert agents.fence("off", plug="n2", delay=2, power_timeout="1500ms").code == 0


def test_power_wait(agents: Agents, cloud: SimEmulator) -> None:
    done = agents.fence("off", plug="n2", power_wait="1")
    assert done.code == 0
    operations = [(entry.operation, entry.time) for entry in cloud.server.journal.entries()]
    asked = next(time for name, time in operations if name == "power_off")
    looked = next(time for name, time in operations if name == "machines.get")
    assert looked - asked >= 1.0


def test_quiet_says_nothing(agents: Agents) -> None:
    done = agents.fence("off", plug="n9", quiet="1")
    assert (done.code, done.out, done.err) == (1, "", "")


def test_disable_timeout(agents: Agents, cloud: SimEmulator) -> None:
    cloud.cloud.behaviour.stop = 2.0
    assert agents.fence("off", plug="n2", power_timeout=1).code == 1
    assert agents.fence("off", plug="n3", power_timeout=1, disable_timeout="true").code == 0


def test_a_reboot_whose_start_fails_is_done_and_says_so(agents: Agents, cloud: SimEmulator) -> None:
    cloud.fault(Fault("power_on", Effect.FORBIDDEN))
    done = agents.fence("reboot", plug="n2")
    assert done.code == 0
    line = done.one_line()
    assert "n2" in line
    assert "NOT STARTED" in line
    assert not powered(cloud, "n2")


def test_retry_on(agents: Agents, cloud: SimEmulator) -> None:
    agents.fence("off", plug="n2")
    cloud.fault(Fault("power_on", Effect.FORBIDDEN, count=1))
    assert agents.fence("on", plug="n2").code == 1
    cloud.server.faults.clear()
    cloud.fault(Fault("power_on", Effect.FORBIDDEN, count=1))
    assert agents.fence("on", plug="n2", retry_on=2).code == 0


def test_options_do_what_lines_do(agents: Agents, cloud: SimEmulator) -> None:
    assert agents.fence_words("-o", "status", "-n", "n2").code == 0
    assert agents.fence_words("--action=off", "--plug=n2").code == 0
    assert not powered(cloud, "n2")
    assert agents.fence_words("-o", "status", "--plug", "n2").code == 2
    assert agents.fence_words("-o", "on", "--plug", "m-0002").code == 0
    assert agents.fence_words("-n", "n2").code == 0
    assert agents.fence_words("-o", "list", "-C", ":").out.splitlines()[0] == "m-0001:n1"
    assert agents.fence_words("-o", "list-status").code == 0
    assert agents.fence_words("-o", "monitor").code == 0
    assert agents.fence_words("-o", "validate-all", "-m", "onoff").code == 0
    assert agents.fence_words("-o", "off", "--power_timeout=20", "-n", "n3").code == 0


def test_with_options_standard_input_is_not_read(agents: Agents, cloud: SimEmulator) -> None:
    done = agents.fence_raw("action=off\nplug=n2\n", "-o", "monitor", "--provider=sim", f"--endpoint={cloud.url}")
    assert done.code == 0
    assert powered(cloud, "n2")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(installed: Agents, option: str) -> None:
    done = installed.fence_raw("", option)
    assert (done.code, done.err) == (0, "")
    assert "--plug" in done.out


def test_version(installed: Agents) -> None:
    from cloudha import __version__

    assert installed.fence_raw("", "-V").out == installed.fence_raw("", "--version").out == f"{__version__}\n"


def test_unknown_state_word_is_unknown(agents: Agents, cloud: SimEmulator) -> None:
    cloud.fault(Fault("machines.*", Effect.MISSING, fields=("state",)))
    assert agents.fence("status", plug="n2", query_timeout=1).code == 1
    assert agents.fence("off", plug="n2", power_timeout=1).code == 1


def test_agents_fixture_is_for_one_cloud(agents: Agents) -> None:
    assert replace(agents, common={}).fence("monitor").code == 1
