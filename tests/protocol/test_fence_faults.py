"""fence_cloud and a cloud that misbehaves: nothing unconfirmed is ever a success, and every action ends in time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from agent_process import Agents, at_once
from cloudha.testing.emulator import Effect, Fault
from cloudha_plugin_sim.emulator import SimEmulator
from simulated_cloud import simulated_cloud

# An action with this timeout (seconds) must be over within the bound, on a machine under load too.
SHORT = 1
BOUND = 12

FAULTS = [
    Fault("*", Effect.REFUSE),
    Fault("*", Effect.HANG),
    Fault("*", Effect.CUT),
    Fault("*", Effect.DRIP, delay=1.0),
    Fault("*", Effect.GARBAGE),
    Fault("*", Effect.MISSING),
    Fault("*", Effect.ERROR, status=500),
    Fault("*", Effect.THROTTLE, retry_after=1),
    Fault("*", Effect.UNAUTHORIZED),
    Fault("*", Effect.EXPIRED),
    Fault("*", Effect.FORBIDDEN),
    Fault("*", Effect.NOT_FOUND),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.effect.value)
def test_every_fault_ends_every_action_with_1(agents: Agents, cloud: SimEmulator, fault: Fault) -> None:
    cloud.fault(fault)
    short = replace(agents, common={**agents.common, "power_timeout": str(SHORT), "query_timeout": str(SHORT)})
    actions = ("off", "reboot", "status", "monitor", "list")
    results = at_once(*(partial(short.fence, action, plug="n2") for action in actions))
    for action, done in zip(actions, results, strict=True):
        assert (action, done.code, done.out) == (action, 1, "")
        done.one_line()
        assert done.seconds < BOUND
    assert cloud.cloud.world.powered("n2")


@pytest.mark.parametrize("effect", [Effect.REFUSE, Effect.HANG, Effect.ERROR])
def test_a_reboot_without_a_confirmed_off_fails(agents: Agents, cloud: SimEmulator, effect: Effect) -> None:
    cloud.fault(Fault("machines.get", effect))
    done = agents.fence("reboot", plug="n2", power_timeout=SHORT)
    assert done.code == 1
    assert "accepted" in done.one_line()
    assert "power_on" not in cloud.server.journal.operations()
    assert done.seconds < BOUND


@pytest.mark.parametrize("operation", ["machines.list", "machines.get", "power_off"])
def test_a_throttled_off_ends_right(agents: Agents, cloud: SimEmulator, operation: str) -> None:
    cloud.fault(Fault(operation, Effect.THROTTLE, count=2, retry_after=0.7))
    done = agents.fence("off", plug="n2")
    assert (done.code, done.err) == (0, "")
    assert not cloud.cloud.world.powered("n2")
    hit = [entry.time for entry in cloud.server.journal.entries() if entry.operation == operation]
    assert hit[1] - hit[0] >= 0.7
    assert hit[2] - hit[1] >= 0.7


def test_a_retry_after_beyond_the_deadline_is_not_waited_for(agents: Agents, cloud: SimEmulator) -> None:
    cloud.fault(Fault("power_off", Effect.THROTTLE, retry_after=600))
    done = agents.fence("off", plug="n2")
    assert done.code == 1
    assert done.seconds < 20
    assert "429" in done.one_line()


@pytest.mark.parametrize("effect", [Effect.CUT, Effect.GARBAGE, Effect.MISSING])
def test_a_stop_whose_answer_was_lost_is_asked_again(agents: Agents, cloud: SimEmulator, effect: Effect) -> None:
    cloud.fault(Fault("power_off", effect, count=1))
    assert agents.fence("off", plug="n2").code == 0
    assert not cloud.cloud.world.powered("n2")


def test_a_conflict_is_met_by_looking_again(agents: Agents, cloud: SimEmulator) -> None:
    cloud.fault(Fault("power_off", Effect.CONFLICT, count=2))
    assert agents.fence("off", plug="n2").code == 0
    assert not cloud.cloud.world.powered("n2")


def test_not_found_after_the_stop_is_no_proof(agents: Agents, cloud: SimEmulator) -> None:
    cloud.fault(Fault("machines.get", Effect.NOT_FOUND))
    done = agents.fence("off", plug="n2", power_timeout=SHORT)
    assert done.code == 1
    done.one_line()


def test_stale_readings_after_the_stop_are_waited_out(agents: Agents, cloud: SimEmulator) -> None:
    cloud.cloud.behaviour.stale = 1.0
    assert agents.fence("off", plug="n2").code == 0
    assert not cloud.cloud.world.powered("n2")


def test_a_slow_stop_is_unconfirmed(agents: Agents, cloud: SimEmulator) -> None:
    cloud.cloud.behaviour.stop = 30
    done = agents.fence("off", plug="n2", power_timeout=SHORT)
    assert done.code == 1
    line = done.one_line()
    assert "accepted" in line
    assert "stopping" in line
    assert "power_timeout" in line
    assert done.seconds < BOUND


def test_an_empty_list_is_not_a_missing_machine_that_is_off(agents: Agents, cloud: SimEmulator) -> None:
    cloud.fault(Fault("machines.list", Effect.EMPTY))
    assert agents.fence("off", plug="n2").code == 1
    assert agents.fence("status", plug="n2").code == 1


@pytest.mark.parametrize("password", [None, "wrong"])
@pytest.mark.parametrize("action", ["monitor", "list", "off", "status"])
def test_without_the_right_credentials_nothing_succeeds(
    installed: Agents, token_cloud: SimEmulator, action: str, password: str | None
) -> None:
    given: dict[str, Any] = {"password": password} if password else {}
    done = installed.fence(action, provider="sim", endpoint=token_cloud.url, plug="n2", **given)
    assert (done.code, done.out) == (1, "")
    line = done.one_line()
    assert "401" in line
    assert "credentials" in line
    assert "wrong" not in line.replace("wrong or expired", "").replace("a wrong one", "")


def test_expired_credentials(installed: Agents, token_cloud: SimEmulator) -> None:
    token_cloud.api.token_expired = True
    for action in ("monitor", "list", "off"):
        done = installed.fence(
            action, provider="sim", endpoint=token_cloud.url, plug="n2", password=token_cloud.api.token
        )
        assert (done.code, done.out) == (1, "")
        assert "expired" in done.one_line()
        assert token_cloud.api.token not in done.err


def test_the_right_credentials(installed: Agents, token_cloud: SimEmulator) -> None:
    common = {"provider": "sim", "endpoint": token_cloud.url, "plug": "n2"}
    agents = replace(installed, common=common)
    token = token_cloud.api.token
    assert agents.fence("monitor", password=token).code == 0
    assert agents.fence("monitor", passwd=token).code == 0
    assert agents.fence("monitor", env={"CLOUDHA_PASSWORD": token}).code == 0
    assert agents.fence_words("-o", "monitor", env={"CLOUDHA_PASSWORD": token}).code == 0
    assert agents.fence("off", password=token).code == 0
    assert not token_cloud.cloud.world.powered("n2")
    # What is given on standard input counts for more than the environment.
    assert agents.fence("monitor", password=token, env={"CLOUDHA_PASSWORD": "other"}).code == 0


def test_the_emulator_that_ended(installed: Agents) -> None:
    emulator = simulated_cloud().start()
    emulator.close()
    done = installed.fence("off", provider="sim", endpoint=emulator.url, plug="n2", power_timeout=1)
    assert done.code == 1
    done.one_line()
