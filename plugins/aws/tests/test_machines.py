from __future__ import annotations

from collections.abc import Callable

import pytest

from cloudha.provider import (
    AccessDenied,
    ConfigurationError,
    Conflict,
    Context,
    Node,
    NodeQuery,
    NotFound,
    PowerState,
    Unavailable,
)
from cloudha.testing.emulator import Effect, Fault
from cloudha.testing.emulator.client import eventually
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha_plugin_aws import provider
from cloudha_plugin_aws.emulator import AwsEmulator

New = Callable[..., Context]
Named = Callable[[str], Node]


def all_of(context: Context, plug: str | None = None) -> list[Node]:
    found: list[Node] = []
    page = None
    for _ in range(20):
        answer = provider.list_nodes(context, NodeQuery(plug, page))
        found.extend(answer.nodes)
        page = answer.next
        if page is None:
            return found
    raise AssertionError("the pages do not end")


def test_lists_all_machines_page_by_page(aws: AwsEmulator, context: New) -> None:
    aws.account.behaviour.page = 1
    assert [node.name for node in all_of(context())] == ["n1", "n2", "n3"]
    assert aws.server.journal.operations() == ("ec2.DescribeInstances",) * 3


@pytest.mark.parametrize("plug", ["n2", "10.0.1.12", "ip-10-0-1-12.eu-west-1.compute.internal"])
def test_a_plug_is_found_by_name_address_and_dns_name(context: New, node: Named, plug: str) -> None:
    (found,) = all_of(context(), plug)
    assert found.id == node("n2").id
    assert found.state is PowerState.ON
    assert plug in (found.name, *map(str, found.addresses))


def test_a_plug_is_found_by_id_in_one_request(aws: AwsEmulator, context: New, node: Named) -> None:
    (found,) = all_of(context(), node("n3").id)
    assert found.name == "n3"
    assert len(aws.server.journal.entries()) == 1


@pytest.mark.parametrize("plug", ["n9", "i-00000000000000000", "10.0.1.1", "192.0.2.1", "fd77::1", "n*", "?1"])
def test_what_is_not_there_is_not_found(context: New, plug: str) -> None:
    assert all_of(context(), plug) == []


def test_two_machines_of_one_name_are_both_returned(aws: AwsEmulator, context: New) -> None:
    aws.account.tag("n3", Name="n2")
    assert len(all_of(context(), "n2")) == 2


def test_an_address_that_floats_names_no_machine(aws: AwsEmulator, context: New) -> None:
    interface = aws.account.interface("n2")
    with aws.account.lock:
        aws.service.ec2.addresses.assign(interface, ["10.0.1.100"], move=False)
        aws.service.ec2.addresses.associate(aws.account.backend.addresses[0], interface, "10.0.1.100", move=False)
    (found,) = all_of(context(), "10.0.1.100")
    assert [str(address) for address in found.addresses] == ["10.0.1.12"]
    assert all_of(context(), "203.0.113.7")[0].addresses == found.addresses


@pytest.mark.parametrize(
    "text", ["tag:cluster=a", "Name=tag:cluster,Values=a,b", "Name=tag:cluster,Values=a tag:Name=n1", "tag:cluster=[a]"]
)
def test_filter_narrows_the_list(aws: AwsEmulator, context: New, text: str) -> None:
    aws.account.tag("n1", cluster="a")
    assert [node.name for node in all_of(context(filter=text))] == ["n1"]
    assert all_of(context(filter=text), "n2") == []


@pytest.mark.parametrize("text", ["nonsense", "a=", "=b", "Name=x"])
def test_a_filter_that_is_none_is_refused(context: New, text: str) -> None:
    with pytest.raises(ConfigurationError):
        all_of(context(filter=text))


def test_warns_of_scaling_groups_and_spot(aws: AwsEmulator, context: New) -> None:
    aws.account.tag("n1", aws__autoscaling__groupName="web")
    aws.account.instance("n2").lifecycle = "spot"
    aws.account.changed()
    warnings = {node.name: node.warnings for node in all_of(context())}
    assert "web" in warnings["n1"][0]
    assert "spot" in warnings["n2"][0]
    assert warnings["n3"] == ()


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("pending", PowerState.STARTING),
        ("running", PowerState.ON),
        ("stopping", PowerState.STOPPING),
        ("shutting-down", PowerState.STOPPING),
        ("stopped", PowerState.OFF),
        ("terminated", PowerState.TERMINATED),
        ("hibernated", PowerState.UNKNOWN),
    ],
)
def test_every_state(aws: AwsEmulator, context: New, node: Named, word: str, state: PowerState) -> None:
    instance = aws.account.instance("n2")
    aws.account.world.cut_power("n2") if word == "stopped" else None
    instance._state = type(instance._state)(word, 0)
    aws.account.changed()
    reading = provider.power_state(context(), node("n2"))
    assert (reading.state, reading.raw, reading.node_id) == (state, word, node("n2").id)


def test_off_is_hard_and_ends_stopped(aws: AwsEmulator, context: New, node: Named, world: MemoryWorld) -> None:
    aws.account.behaviour.guest = 3600
    n2 = node("n2")
    accepted = provider.power_off(context(), n2)
    assert accepted.request_ids[0]
    eventually(lambda: provider.power_state(context(), n2).state is PowerState.OFF)
    assert not world.powered("n2")
    assert provider.power_off(context(), n2).detail == "was stopped"


def test_stopping_still_runs_and_cannot_be_started(
    aws: AwsEmulator, context: New, node: Named, world: MemoryWorld
) -> None:
    aws.account.behaviour.stop = 3600
    n2 = node("n2")
    provider.power_off(context(), n2)
    assert provider.power_state(context(), n2).state is PowerState.STOPPING
    assert world.powered("n2")
    with pytest.raises(Conflict, match="IncorrectInstanceState"):
        provider.power_on(context(), n2)


def test_on_boots(context: New, node: Named, world: MemoryWorld) -> None:
    n2 = node("n2")
    world.cut_power("n2")
    provider.power_on(context(), n2)
    eventually(lambda: provider.power_state(context(), n2).state is PowerState.ON)
    assert world.powered("n2")


def test_a_machine_that_is_starting_cannot_be_stopped(
    aws: AwsEmulator, context: New, node: Named, world: MemoryWorld
) -> None:
    aws.account.behaviour.start = 3600
    world.cut_power("n2")
    provider.power_on(context(), node("n2"))
    with pytest.raises(Conflict):
        provider.power_off(context(), node("n2"))


def test_a_machine_that_is_not_there_is_not_found(context: New) -> None:
    for hook in (provider.power_state, provider.power_off, provider.power_on):
        with pytest.raises(NotFound):
            hook(context(), Node("i-00000000000000000"))


def test_stop_protection_says_what_to_do(aws: AwsEmulator, context: New, node: Named) -> None:
    aws.account.instance("n2").disable_api_stop = True
    with pytest.raises(AccessDenied, match="disableApiStop") as caught:
        provider.power_off(context(), node("n2"))
    assert "--no-disable-api-stop" in caught.value.advice


# --- am I being stopped myself? -------------------------------------------------------------------------------------


def stop_myself(aws: AwsEmulator) -> None:
    aws.account.behaviour.stop = 3600
    with aws.account.lock:
        aws.service.ec2.power.stop([aws.account.instance("n1").id], skip_guest=True)


@pytest.mark.parametrize("policy", ["if_possible", "required"])
def test_a_machine_that_is_being_stopped_does_not_fence(
    aws: AwsEmulator, context: New, node: Named, policy: str
) -> None:
    stop_myself(aws)
    with pytest.raises(Conflict, match="stopping itself"):
        provider.power_off(context(race_check=policy), node("n2"))
    assert "ec2.StopInstances" not in aws.server.journal.operations()


@pytest.mark.parametrize("given", [{"race_check": "never"}, {"skip_race_check": "1"}])
def test_the_check_can_be_turned_off(aws: AwsEmulator, context: New, node: Named, given: dict[str, str]) -> None:
    stop_myself(aws)
    provider.power_off(context(**given), node("n2"))
    assert aws.server.journal.operations() == ("ec2.StopInstances",)


def test_the_check_without_a_metadata_service(aws: AwsEmulator, context: New, node: Named) -> None:
    aws.fault(Fault("metadata.*", Effect.ERROR))
    provider.power_off(context(), node("n2"))
    with pytest.raises(Unavailable):
        provider.power_off(context(race_check="required"), node("n2"))
    assert aws.server.journal.operations().count("ec2.StopInstances") == 1


def test_a_machine_may_fence_itself(aws: AwsEmulator, context: New, node: Named) -> None:
    provider.power_off(context(race_check="required"), node("n1"))
    assert "ec2.StopInstances" in aws.server.journal.operations()
