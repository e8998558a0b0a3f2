"""Machines by the real SDK over HTTPS."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cloudha.provider import Conflict, Context, Node, NodeQuery, NotFound, PowerState, Unavailable
from cloudha.testing.emulator import Effect, Fault
from cloudha_plugin_azure import arm, machines
from cloudha_plugin_azure.emulator import AzureEmulator

Contexts = Callable[..., Context]


def asked(azure: AzureEmulator) -> list[str]:
    return [entry.operation for entry in azure.server.journal.entries()]


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("running", PowerState.ON),
        ("starting", PowerState.STARTING),
        ("stopping", PowerState.STOPPING),
        ("deallocating", PowerState.STOPPING),
        ("stopped", PowerState.OFF),
        ("deallocated", PowerState.OFF),
        ("hibernated", PowerState.UNKNOWN),
    ],
)
def test_a_power_word_is_read(
    azure: AzureEmulator, context: Contexts, node: Callable[[str], Node], word: str, state: PowerState
) -> None:
    azure.account.machines["n2"].power = word
    if word in ("stopped", "deallocated"):
        azure.account.world.cut_power("n2")
    assert machines.power_state(context(), node("n2")).state is state


def test_a_machine_by_name_costs_one_request_of_the_api(azure: AzureEmulator, context: Contexts) -> None:
    found = machines.list_nodes(context(), NodeQuery("N2")).nodes
    assert [n.name for n in found] == ["n2"]
    assert [name for name in asked(azure) if not name.startswith(("metadata", "identity"))] == ["machines.get"]


def test_a_machine_is_found_by_its_id_in_any_spelling(azure: AzureEmulator, context: Contexts) -> None:
    text = azure.account.machine_id("n2").replace("resourcegroups", "resourceGroups").upper()
    found = machines.list_nodes(context(), NodeQuery(text)).nodes
    assert [n.id for n in found] == [azure.account.machine_id("n2")]
    # The host compares ids with case, and names without.
    assert found[0].name.casefold() == text.casefold()


def test_power_off_does_not_wait_for_the_guest(
    azure: AzureEmulator, context: Contexts, node: Callable[[str], Node]
) -> None:
    accepted = machines.power_off(context(), node("n2"))
    assert accepted.request_ids[0]
    sent = next(e for e in azure.server.journal.entries() if e.operation == "power_off")
    assert "skipShutdown=true" in sent.path


def test_only_machines_with_the_tags_are_listed(azure: AzureEmulator, context: Contexts) -> None:
    azure.account.machines["n1"].tags["Cluster"] = "a"
    assert [n.name for n in machines.list_nodes(context(filter="cluster=a"), NodeQuery()).nodes] == ["n1"]
    assert not machines.list_nodes(context(filter="cluster=a"), NodeQuery("n2")).nodes


def test_scale_set_and_spot_are_warned_of(azure: AzureEmulator, context: Contexts) -> None:
    azure.account.machines["n1"].scale_set = "flex"
    azure.account.machines["n1"].priority = "Spot"
    found = machines.list_nodes(context(), NodeQuery("n1")).nodes[0]
    assert any("flex" in text for text in found.warnings)
    assert any("spot" in text for text in found.warnings)


def test_the_whole_subscription_has_two_machines_of_one_name(azure: AzureEmulator, context: Contexts) -> None:
    azure.account.machines["twin"] = type(azure.account.machines["n2"])(
        "n2", azure.account.machines["n2"].machine, "other-rg"
    )
    found = machines.list_nodes(context(resource_group="*"), NodeQuery("n2")).nodes
    assert len({n.id for n in found}) == 2


def test_a_wrong_resource_group_is_an_error_and_not_an_empty_page(context: Contexts) -> None:
    with pytest.raises(NotFound, match="ResourceGroupNotFound"):
        machines.list_nodes(context(resource_group="nowhere"), NodeQuery("n2"))


def test_too_many_reads_of_one_machine_are_throttled_with_a_wait(
    azure: AzureEmulator, context: Contexts, node: Callable[[str], Node]
) -> None:
    azure.account.behaviour.throttled = True
    one = context()

    def hurry() -> None:
        for _ in range(40):
            machines.power_state(one, node("n2"))

    with pytest.raises(Unavailable) as caught:
        hurry()
    assert 0 < caught.value.retry_after <= 10
    # The other machine has a bucket of its own.
    assert machines.power_state(one, node("n1")).state is PowerState.ON


def test_an_answer_without_a_view_is_no_state(
    azure: AzureEmulator, context: Contexts, node: Callable[[str], Node]
) -> None:
    azure.fault(Fault("machines.get", Effect.MISSING, fields=("instanceView",)))
    with pytest.raises(Unavailable):
        machines.power_state(context(), node("n2"))


def test_a_view_without_statuses_is_unknown(
    azure: AzureEmulator, context: Contexts, node: Callable[[str], Node]
) -> None:
    azure.fault(Fault("machines.get", Effect.EMPTY))
    assert machines.power_state(context(), node("n2")).state is PowerState.UNKNOWN


def test_off_while_starting_is_a_conflict(azure: AzureEmulator, context: Contexts, node: Callable[[str], Node]) -> None:
    azure.account.machines["n2"].power = "starting"
    with pytest.raises(Conflict, match="OperationNotAllowed"):
        machines.power_off(context(), node("n2"))


@pytest.mark.parametrize(
    "elsewhere",
    ["https://127.0.0.2:1/x", "http://127.0.0.1/x", "https://u@127.0.0.1/x", "https://127.0.0.1:x/", "nonsense"],
)
def test_the_next_page_is_only_asked_for_where_the_first_was(
    azure: AzureEmulator, context: Contexts, elsewhere: str
) -> None:
    with pytest.raises(Unavailable, match="another address"):
        machines.list_nodes(context(), NodeQuery(page=elsewhere))
    assert "machines.list" not in asked(azure)


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("https://management.azure.com:443/subscriptions/s?x=1", True),
        ("https://westeurope.management.azure.com/subscriptions/s", True),
        ("https://management.azure.com.example.org/subscriptions/s", False),
    ],
)
def test_azures_own_ways_to_write_its_address(context: Contexts, url: str, own: bool) -> None:  # noqa: FBT001 - a table
    assert arm._is_arm(context(endpoint=None), url) is own
