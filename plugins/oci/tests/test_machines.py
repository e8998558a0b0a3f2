"""Instances by the real SDK over HTTP."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable

import pytest

from cloudha.deadline import Deadline
from cloudha.errors import AmbiguousError
from cloudha.fencing import find_node
from cloudha.fencing import power_off as fence
from cloudha.host import Host
from cloudha.plugins import load
from cloudha.provider import (
    AccessDenied,
    Conflict,
    Context,
    Node,
    NodeQuery,
    NotFound,
    PowerState,
    Unavailable,
)
from cloudha.testing.emulator import Effect, Fault
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha_plugin_oci import machines
from cloudha_plugin_oci.emulator import OciEmulator
from cloudha_plugin_oci.emulator.power import terminate
from cloudha_plugin_oci.emulator.records import new_ocid

Contexts = Callable[..., Context]
Nodes = Callable[[str], Node]
ip = ipaddress.ip_address
OTHER = "ocid1.compartment.oc1..aaaaaaaaother"


def asked(oci: OciEmulator) -> list[str]:
    return [e.operation for e in oci.server.journal.entries() if not e.operation.startswith(("metadata", "identity"))]


def everything(context: Context, plug: str | None = None) -> list[Node]:
    found: list[Node] = []
    token: str | None = None
    for _ in range(20):
        answer = machines.list_nodes(context, NodeQuery(plug, token))
        found += answer.nodes
        token = answer.next
        if token is None:
            return found
    raise AssertionError("it does not end")


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("PROVISIONING", PowerState.STARTING),
        ("STARTING", PowerState.STARTING),
        ("RUNNING", PowerState.ON),
        ("STOPPING", PowerState.STOPPING),
        ("TERMINATING", PowerState.STOPPING),
        ("STOPPED", PowerState.OFF),
        ("TERMINATED", PowerState.TERMINATED),
        ("MOVING", PowerState.UNKNOWN),
        ("CREATING_IMAGE", PowerState.UNKNOWN),
    ],
)
def test_every_word_of_the_sdk_is_read(
    oci: OciEmulator, context: Contexts, node: Nodes, word: str, state: PowerState
) -> None:
    oci.account.records.change(node("n2").id, lifecycleState=word)
    if word == "STOPPED":
        oci.account.world.cut_power("n2")
    assert machines.power_state(context(), node("n2")).state is state


def test_a_new_word_is_unknown_and_never_off(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    oci.service.watch = None
    oci.account.records.change(node("n2").id, lifecycleState="STOPPED_FOR_EVER")
    reading = machines.power_state(context(), node("n2"))
    assert (reading.state, reading.raw) == (PowerState.UNKNOWN, "STOPPED_FOR_EVER")


def test_all_states_of_the_sdk_are_in_our_table() -> None:
    from oci.core.models import Instance

    words = {value for name, value in vars(Instance).items() if name.startswith("LIFECYCLE_STATE_")}
    assert set(machines.STATES) <= words
    assert words - set(machines.STATES) == {"MOVING", "CREATING_IMAGE"}, "these say nothing about power"


def test_power_off_does_not_wait_for_the_guest(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    accepted = machines.power_off(context(), node("n2"))
    assert accepted.request_ids[0]
    sent = next(e for e in oci.server.journal.entries() if e.operation == "power_off")
    assert "action=STOP" in sent.path
    assert "SOFTSTOP" not in sent.path


@pytest.mark.parametrize("idempotent", [True, False])
def test_a_stopped_instance_is_stopped_again_either_way(
    oci: OciEmulator, context: Contexts, node: Nodes, *, idempotent: bool
) -> None:
    oci.account.behaviour.idempotent_power = idempotent
    oci.account.world.cut_power("n2")
    stopped, started = machines.power_off(context(), node("n2")), machines.power_on(context(), node("n1"))
    assert stopped.request_ids
    assert started.request_ids
    assert (stopped.sent, started.sent) == (idempotent, idempotent), "a refusal is no consent"


def test_a_refusal_for_another_reason_is_no_success_of_a_machine_that_reads_as_off(
    oci: OciEmulator, context: Contexts, node: Nodes
) -> None:
    # What reads as stopped may be behind: it counts only with a refusal that has looked at the state itself.
    oci.account.world.cut_power("n2")
    oci.server.faults.add(Fault("power_off", Effect.ERROR, status=412))
    with pytest.raises(Conflict):
        machines.power_off(context(), node("n2"))
    assert asked(oci) == ["power_off"]


def test_stopping_and_starting_are_conflicts_for_now(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    oci.account.behaviour.stop = 60.0
    machines.power_off(context(), node("n2"))
    for again in (machines.power_off, machines.power_on):
        with pytest.raises(Conflict, match="STOPPING"):
            again(context(), node("n2"))


def test_a_terminated_instance_needs_no_stop(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    gone = node("n2")
    with oci.account.lock:
        terminate(oci.account, oci.account.records.get("instance", gone.id))
    for _ in range(200):
        reading = machines.power_state(context(), gone)
        if reading.state is PowerState.TERMINATED:
            break
        time.sleep(0.01)
    assert reading.state is PowerState.TERMINATED
    assert "TERMINATED" in machines.power_off(context(), gone).detail


def test_the_host_waits_for_stopping_and_then_says_off(oci: OciEmulator, world: MemoryWorld, context: Contexts) -> None:
    oci.account.behaviour.stop = 1.0
    made = context()
    host = Host(load("oci"), made.settings, Deadline(20), action="test")
    fence(host, [find_node(host, "n2")], interval=0.2)
    assert not world.powered("n2")
    assert world.powered("n1")


def test_an_instance_by_ocid_costs_one_request(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    found = everything(context(), node("n2").id)
    assert [n.name for n in found] == ["n2"]
    assert asked(oci) == ["instances.get"]


def test_an_unknown_ocid_is_no_machine(context: Contexts) -> None:
    assert everything(context(), new_ocid("instance")) == []
    assert everything(context(), new_ocid("vnic")) == []


def test_a_machine_by_hostname_label(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    vnic = oci.account.vnics(node("n2").id)[0]
    own = oci.account.main_address(vnic)
    oci.account.records.change(own["id"], hostnameLabel="db-second")
    found = everything(context(), "DB-Second")
    assert [(n.id, n.name) for n in found] == [(node("n2").id, "db-second")]


def test_a_display_name_and_a_hostname_label_that_mean_two_machines_are_ambiguous(
    oci: OciEmulator, world: MemoryWorld, context: Contexts, node: Nodes
) -> None:
    """Pacemaker's node n1 may be the label of one machine while another one is displayed as n1."""
    old = oci.account.adopt(world.add("n3", ip("10.0.1.33")))
    oci.account.records.change(old["id"], displayName="n1")
    oci.account.records.change(node("n1").id, displayName="renamed")
    made = context()
    with pytest.raises(AmbiguousError) as caught:
        find_node(Host(load("oci"), made.settings, Deadline(20), action="test"), "n1")
    assert old["id"] in str(caught.value)
    assert oci.account.named("renamed")["id"] in str(caught.value)


def test_a_plug_that_is_an_address_never_means_the_holder(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    oci.account.add_private_ip(ip("10.0.1.50"), oci.account.vnics(node("n1").id)[0])
    assert everything(context(), "10.0.1.50") == []
    found = everything(context(), "10.0.1.12")
    assert [(n.id, n.addresses) for n in found] == [(node("n2").id, (ip("10.0.1.12"),))]
    assert everything(context(), "10.0.1.1") == [], "no part of an address"


def test_several_compartments_are_paged_one_after_the_other(
    oci: OciEmulator, world: MemoryWorld, context: Contexts, node: Nodes
) -> None:
    oci.account.behaviour.page = 1
    oci.account.adopt(world.add("n3", ip("10.0.1.33")), OTHER)
    oci.account.adopt(world.add("n4", ip("10.0.1.34")), OTHER)
    assert [n.name for n in everything(context())] == ["n1", "n2"], "this machine's compartment"
    both = context(compartment_id=f"{oci.account.named('n1')['compartmentId']}, {OTHER}")
    assert sorted(n.name for n in everything(both)) == ["n1", "n2", "n3", "n4"]
    assert [n.name for n in everything(both, "n4")] == ["n4", "n4"], "by both ways to name it"
    assert [n.id for n in everything(both, "10.0.1.34")] == [node("n4").id]


def test_pools_and_preemptible_instances_are_warned_of(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    pool = new_ocid("instancepool")
    oci.account.records.change(node("n1").id, freeformTags={"oci:compute:instancepool": pool})
    oci.account.records.change(
        node("n2").id,
        preemptibleInstanceConfig={"preemptionAction": {"type": "TERMINATE", "preserveBootVolume": False}},
    )
    first, second = (everything(context(), node(name).id)[0] for name in ("n1", "n2"))
    assert pool in first.warnings[0]
    assert "preemptible" in second.warnings[0]


def test_a_refused_listing_is_no_empty_account(oci: OciEmulator, context: Contexts) -> None:
    """OCI answers 404 where a policy is missing; for our own compartment that can mean nothing else."""
    oci.account.behaviour.denied = ("instances.list",)
    with pytest.raises(AccessDenied, match="NotAuthorizedOrNotFound") as caught:
        machines.list_nodes(context(), NodeQuery())
    assert "permissions.txt" in caught.value.advice


def test_a_name_is_not_believed_while_labels_cannot_be_seen(oci: OciEmulator, context: Contexts) -> None:
    oci.account.behaviour.denied = ("attachments.list",)
    with pytest.raises(AccessDenied):
        everything(context(), "n2")


def test_404_for_a_state_is_unknown(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    oci.account.behaviour.denied = ("instances.get",)
    with pytest.raises(NotFound, match="NotAuthorizedOrNotFound"):
        machines.power_state(context(), node("n2"))


def test_an_answer_about_another_instance_is_not_believed(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    oci.service.watch = None
    oci.account.records.change(node("n2").id, id=node("n1").id)
    with pytest.raises(Unavailable, match="something else"):
        machines.power_state(context(), Node(next(k for k, m in oci.account.machines.items() if m.name == "n2")))


def test_a_stale_answer_cannot_make_a_running_machine_off(
    oci: OciEmulator, world: MemoryWorld, context: Contexts, node: Nodes
) -> None:
    """The API is behind: it still says STOPPED of a machine that was started. The stop is sent all the same."""
    world.cut_power("n2")
    machines.power_state(context(), node("n2"))
    world.give_power("n2")
    machines.power_state(context(), node("n2"))
    oci.fault(Fault("instances.*", Effect.STALE, age=0.3, seconds=0.3))
    made = context()
    host = Host(load("oci"), made.settings, Deadline(20), action="test")
    fence(host, [node("n2")], interval=0.2)
    assert not world.powered("n2")
