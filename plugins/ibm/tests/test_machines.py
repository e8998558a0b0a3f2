"""Instances by the real SDK over HTTP."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable

import pytest

from cloudha.provider import AccessDenied, Conflict, Context, Node, NodeQuery, NotFound, PowerState, Unavailable
from cloudha.testing.emulator import Effect, Fault
from cloudha_plugin_ibm import machines
from cloudha_plugin_ibm.emulator import IbmEmulator, documents, power
from cloudha_plugin_ibm.emulator.account import Account
from cloudha_plugin_ibm.emulator.behaviour import ApiError
from cloudha_plugin_ibm.emulator.references import group_id

Contexts = Callable[..., Context]
Nodes = Callable[[str], Node]


def asked(ibm: IbmEmulator) -> list[str]:
    return [entry.operation for entry in ibm.server.journal.entries() if not entry.operation.startswith("metadata")]


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("running", PowerState.ON),
        ("starting", PowerState.STARTING),
        ("pending", PowerState.STARTING),
        ("restarting", PowerState.STARTING),
        ("stopping", PowerState.STOPPING),
        ("deleting", PowerState.STOPPING),
        ("stopped", PowerState.OFF),
        ("failed", PowerState.UNKNOWN),
        ("paused", PowerState.UNKNOWN),
        ("hibernated", PowerState.UNKNOWN),
    ],
)
def test_a_status_is_read(ibm: IbmEmulator, context: Contexts, node: Nodes, word: str, state: PowerState) -> None:
    if word == "stopped":
        ibm.account.world.cut_power("n2")
    ibm.account.note(ibm.account.machines["n2"], word)
    reading = machines.power_state(context(), node("n2"))
    assert (reading.state, reading.raw) == (state, word)


def test_a_stop_is_forced(ibm: IbmEmulator, context: Contexts, node: Nodes) -> None:
    ibm.account.behaviour.guest = 3600.0
    sent: list[object] = []
    before = ibm.service.watch

    def watch(operation: str, request: object, reply: object) -> None:
        before and before(operation, request, reply)  # type: ignore[arg-type]  # handed on
        if operation == "power_off":
            sent.append(json.loads(request.body))  # type: ignore[attr-defined]  # the emulator's

    ibm.service.watch = watch
    accepted = machines.power_off(context(), node("n2"))
    assert accepted.request_ids[0]
    assert sent == [{"type": "stop", "force": True}]


@pytest.mark.parametrize("status", [400, 409])
@pytest.mark.parametrize("strict", [True, False])
def test_off_of_a_stopped_instance_is_success(
    ibm: IbmEmulator, context: Contexts, node: Nodes, *, strict: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ibm.account.behaviour.strict = strict
    monkeypatch.setattr(power, "ApiError", lambda _status, code, message: ApiError(status, code, message))
    ibm.account.world.cut_power("n2")
    accepted = machines.power_off(context(), node("n2"))
    assert accepted.sent is not strict, "a refusal is no consent"
    assert not ibm.account.world.powered("n2")


def test_on_of_a_running_instance_is_success(ibm: IbmEmulator, context: Contexts, node: Nodes) -> None:
    assert "already" in machines.power_on(context(), node("n2")).detail
    assert asked(ibm) == ["power_on", "machines.get"]


def test_on_while_stopping_is_a_conflict(ibm: IbmEmulator, context: Contexts, node: Nodes) -> None:
    ibm.account.behaviour.stop = 60.0
    machines.power_off(context(), node("n2"))
    with pytest.raises(Conflict, match="current status"):
        machines.power_on(context(), node("n2"))


def test_a_refusal_for_another_reason_is_no_success_of_a_machine_that_reads_as_off(
    ibm: IbmEmulator, context: Contexts, node: Nodes
) -> None:
    # What reads as stopped may be behind: it counts only with a refusal that has looked at the status itself.
    ibm.account.world.cut_power("n2")
    ibm.fault(Fault("power_off", Effect.CONFLICT))
    with pytest.raises(Conflict):
        machines.power_off(context(), node("n2"))
    assert asked(ibm) == ["power_off"]


def test_a_stop_that_hangs_is_forced_again(ibm: IbmEmulator, context: Contexts, node: Nodes) -> None:
    ibm.account.behaviour.stop = 60.0
    machines.power_off(context(), node("n2"))
    assert machines.power_state(context(), node("n2")).state is PowerState.STOPPING
    machines.power_off(context(), node("n2"))


def test_an_action_that_failed_at_once_is_no_acceptance(
    context: Contexts, node: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = documents.action
    monkeypatch.setattr(
        documents, "action", lambda virtual, kind, *, force: {**real(virtual, kind, force=force), "status": "failed"}
    )
    with pytest.raises(Unavailable, match="failed"):
        machines.power_off(context(), node("n2"))


@pytest.mark.parametrize("plug", ["n2", "N2", "10.240.0.12"])
def test_a_machine_costs_one_request(ibm: IbmEmulator, context: Contexts, plug: str) -> None:
    found = machines.list_nodes(context(), NodeQuery(plug)).nodes
    assert [(n.name, n.state) for n in found] == [("n2", PowerState.ON)]
    assert asked(ibm) == ["machines.list"]


def test_a_machine_by_its_id(ibm: IbmEmulator, context: Contexts, node: Nodes) -> None:
    assert [n.name for n in machines.list_nodes(context(), NodeQuery(node("n2").id)).nodes] == ["n2"]
    assert asked(ibm) == ["machines.get"]
    assert machines.list_nodes(context(), NodeQuery(ibm.account.machine_id("n9"))).nodes == ()


def test_a_plug_is_never_a_part_of_the_path(ibm: IbmEmulator, context: Contexts) -> None:
    for text in ("../vpcs", "n1/actions", "?x=1", ""):
        with pytest.raises(NotFound):
            machines.power_state(context(), Node(text))
    assert asked(ibm) == []


def test_machines_of_one_vpc_and_one_group(ibm: IbmEmulator, context: Contexts) -> None:
    account = ibm.account
    other = account.add_vpc("other-vpc")
    account.add_table("other-routes", other)
    world = account.world
    account.adopt(world.add("n3", ipaddress.ip_address("10.241.0.13")), vpc=other)  # type: ignore[attr-defined]  # in memory
    account.machines["n2"].group = "team"

    def names(**given: str) -> list[str]:
        return [n.name for n in machines.list_nodes(context(**given), NodeQuery()).nodes]

    assert names() == ["n1", "n2", "n3"]
    assert names(vpc="other-vpc") == names(vpc=other.id) == ["n3"]
    assert names(resource_group="team") == names(resource_group=group_id("team")) == ["n2"]
    assert names(vpc=account.vpc.name, resource_group="cluster") == ["n1"]
    # A plug is held to them, too.
    assert not machines.list_nodes(context(vpc="other-vpc"), NodeQuery("n1")).nodes
    assert not machines.list_nodes(context(resource_group="team"), NodeQuery(account.machine_id("n1"))).nodes


def test_one_address_in_two_vpcs_is_two_machines(ibm: IbmEmulator, context: Contexts) -> None:
    account: Account = ibm.account
    other = account.add_vpc("other-vpc")
    account.add_table("other-routes", other)
    account.adopt(account.world.add("n3", ipaddress.ip_address("10.240.0.12")), vpc=other)  # type: ignore[attr-defined]  # in memory
    found = machines.list_nodes(context(), NodeQuery("10.240.0.12")).nodes
    # The host refuses that, and names them both.
    assert [n.name for n in found] == ["n2", "n3"]
    assert [n.name for n in machines.list_nodes(context(vpc="other-vpc"), NodeQuery("10.240.0.12")).nodes] == ["n3"]


def test_pages_are_followed_by_their_token(ibm: IbmEmulator, context: Contexts) -> None:
    ibm.account.behaviour.page = 1
    first = machines.list_nodes(context(), NodeQuery())
    assert [n.name for n in first.nodes] == ["n1"]
    assert first.next == "1"
    second = machines.list_nodes(context(), NodeQuery(page=first.next))
    assert ([n.name for n in second.nodes], second.next) == (["n2"], None)


def test_a_page_without_items_that_goes_on_is_no_page(ibm: IbmEmulator, context: Contexts) -> None:
    ibm.account.behaviour.page = 1
    ibm.fault(Fault("machines.list", Effect.EMPTY))
    with pytest.raises(Unavailable, match="go on"):
        machines.list_nodes(context(), NodeQuery())


def test_members_of_groups_and_spot_are_warned_of(ibm: IbmEmulator, context: Contexts) -> None:
    ibm.account.machines["n1"].scaled = ibm.account.machines["n1"].spot = True
    (found,) = machines.list_nodes(context(), NodeQuery("n1")).nodes
    assert any("instance group" in text for text in found.warnings)
    assert any("spot" in text for text in found.warnings)


def test_reads_may_be_behind(ibm: IbmEmulator, context: Contexts, node: Nodes) -> None:
    ibm.account.behaviour.stale = 60.0
    ibm.account.world.cut_power("n2")
    assert machines.power_state(context(), node("n2")).state is PowerState.ON


def test_an_answer_about_another_instance_is_none(
    ibm: IbmEmulator, context: Contexts, node: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ibm.account.machines["n1"]
    monkeypatch.setattr(ibm.account, "instance", lambda _id: other)
    with pytest.raises(Unavailable, match="another instance"):
        machines.power_state(context(), node("n2"))


def test_what_nobody_may_do_is_refused_and_named(ibm: IbmEmulator, context: Contexts, node: Nodes) -> None:
    ibm.account.behaviour.denied = ("power_off",)
    with pytest.raises(AccessDenied, match="not_authorized") as caught:
        machines.power_off(context(), node("n2"))
    assert "permissions.md" in caught.value.advice
    assert caught.value.request_id
