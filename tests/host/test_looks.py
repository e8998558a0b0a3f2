"""How often a cloud must say what the cluster acts on: clouds that answer by a script, word for word."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cloudha import fencing, local_mark, plugins
from cloudha.addresses import FloatingAddress, Request, mark_key
from cloudha.deadline import Deadline
from cloudha.errors import NotFound, Unavailable, Unconfirmed
from cloudha.host import Host
from cloudha.options import Settings
from cloudha.types import Kind, Node, PowerState, Verdict
from fake_providers import HEAD, MakeDistribution

NODE = Node("i-1", "n1", PowerState.ON)
REQUEST = Request(Kind.PRIVATE, ipaddress.ip_address("10.0.0.10"))
# Each hook takes its next answer; the last one stands.
SCRIPTED = f"""{HEAD}
@hookimpl
def provider_info():
    return ProviderInfo("Scripted", kinds=(Kind.PRIVATE,), poll_seconds=0.1)

SAYS = {{}}

def said(hook):
    CALLS.append(hook)
    answers = SAYS[hook]
    return answers.pop(0) if len(answers) > 1 else answers[0]

@hookimpl
def list_nodes(context, query):
    return NodePage(tuple(SAYS["list_nodes"]))

@hookimpl
def power_state(context, node):
    state = said("power_state")
    if state == "away":
        raise Unavailable("the API is away")
    if state == "no such":
        raise NotFound("no such machine")
    return PowerReading(node.id, state)

@hookimpl
def power_off(context, node):
    SAYS.setdefault("power_off", ["accepted"])
    answer = said("power_off")
    if answer == "conflict":
        raise Conflict("it is starting")
    return Accepted(sent=answer != "needless")

@hookimpl
def power_on(context, node):
    CALLS.append("power_on")
    return Accepted()

@hookimpl
def local_node(context):
    return Node("i-1", "n1")

@hookimpl
def local_evidence(context, query):
    return Evidence(said("local_evidence"), "metadata service")

@hookimpl
def list_ips(context, query):
    holders = said("list_ips")
    if holders == "more":
        return BindingPage((), next="2")
    holders = holders if isinstance(holders, tuple) else (holders,) * (holders is not None)
    return BindingPage(tuple(Binding(query.ip, holder) for holder in holders))

@hookimpl
def bind_ip(context, change):
    if SAYS.get("bind_ip") == ["conflict"]:
        raise Conflict("somebody else's change is under way")
    return Accepted()

@hookimpl
def unbind_ip(context, change):
    CALLS.append("unbind_ip")
    return Accepted(sent=SAYS.get("unbind_ip") != ["nothing to do"])
"""


def host(
    distribution: MakeDistribution, action: str, seconds: float, **says: Sequence[object]
) -> tuple[Host, list[str]]:
    """Return a host whose provider answers as *says*, and the calls that it gets."""
    distribution("scripted", SCRIPTED)
    provider = plugins.load("scripted")
    module = sys.modules["fake_cloudha_plugin_scripted"]
    vars(module)["SAYS"].update({hook: list(answers) for hook, answers in says.items()})
    calls: list[str] = vars(module)["CALLS"]
    return Host(provider, Settings({}), Deadline(seconds), action=action), calls


@pytest.fixture(autouse=True)
def no_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks of these tests are not this machine's."""
    set_mark, read_mark, clear_mark = local_mark.set_mark, local_mark.read_mark, local_mark.clear_mark
    folder = str(tmp_path / "marks")
    monkeypatch.setattr(local_mark, "set_mark", lambda key: set_mark(key, directory=folder))
    monkeypatch.setattr(local_mark, "read_mark", lambda key: read_mark(key, directory=folder))
    monkeypatch.setattr(local_mark, "clear_mark", lambda key: clear_mark(key, directory=folder))


@pytest.mark.parametrize("between", ["STOPPING", "ON", "STARTING", "UNKNOWN"])
def test_off_and_something_else_in_turn_is_never_off(distribution: MakeDistribution, between: str) -> None:
    turns = [PowerState.OFF, PowerState[between]] * 50
    it, _ = host(distribution, "off", 3.0, power_state=turns)
    with pytest.raises(Unconfirmed):
        fencing.power_off(it, [NODE], interval=0.1)


def test_a_stop_that_was_refused_as_needless_must_stay_so(
    distribution: MakeDistribution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fencing, "SETTLE_SECONDS", 1.0)
    it, calls = host(distribution, "off", 10.0, power_off=["needless"], power_state=[PowerState.OFF])
    fencing.power_off(it, [NODE], interval=0.1)
    assert it.deadline.elapsed >= 1.0
    assert calls[0] == calls[-1] == "power_off", "refused again at the end"
    assert calls.count("power_state") > fencing.LOOKS


@pytest.mark.parametrize(
    ("stops", "states"),
    [
        pytest.param(["needless"], [PowerState.OFF] * 4 + [PowerState.ON], id="reads as on after a while"),
        pytest.param(["needless"], [PowerState.OFF, PowerState.STARTING] * 50, id="starting between two looks"),
        pytest.param(["needless", "accepted"], [PowerState.OFF] * 5 + [PowerState.ON], id="accepted at last"),
        pytest.param(["needless", "conflict"], [PowerState.OFF], id="not allowed at last"),
    ],
)
def test_a_needless_stop_alone_is_no_proof(
    distribution: MakeDistribution, monkeypatch: pytest.MonkeyPatch, stops: list[str], states: list[PowerState]
) -> None:
    monkeypatch.setattr(fencing, "SETTLE_SECONDS", 1.0)
    it, calls = host(distribution, "off", 4.0, power_off=stops, power_state=states)
    with pytest.raises(Unconfirmed):
        fencing.power_off(it, [NODE], interval=0.1)
    assert calls.count("power_off") >= 2


@pytest.mark.parametrize("state", [state for state in PowerState if not state.is_off])
def test_nothing_but_off_is_off(distribution: MakeDistribution, state: PowerState) -> None:
    it, _ = host(distribution, "off", 2.0, power_state=[state])
    with pytest.raises(Unconfirmed):
        fencing.power_off(it, [NODE], interval=0.1)


def test_what_is_off() -> None:
    assert {state for state in PowerState if state.is_off} == {PowerState.OFF, PowerState.TERMINATED}


def test_off_twice_in_a_row_is_off(distribution: MakeDistribution) -> None:
    it, calls = host(distribution, "off", 10.0, power_state=[PowerState.OFF, PowerState.STOPPING, PowerState.OFF])
    fencing.power_off(it, [NODE], interval=0.1)
    assert calls.count("power_state") == 4


def test_a_machine_that_reads_as_off_before_the_stop_is_stopped_all_the_same(distribution: MakeDistribution) -> None:
    it, calls = host(distribution, "off", 10.0, power_state=[PowerState.OFF])
    fencing.power_off(it, [NODE.replace(state=PowerState.OFF)], interval=0.1)
    assert calls[0] == "power_off"
    assert calls.count("power_state") == 2


def test_not_here_once_is_not_not_running(distribution: MakeDistribution) -> None:
    it, _ = host(distribution, "monitor", 10.0, local_evidence=[Verdict.CANNOT_TELL], list_ips=[None, "i-1"])
    assert FloatingAddress(it, REQUEST).monitor(ask_api=False).running


def test_not_here_twice_is_not_running(distribution: MakeDistribution) -> None:
    it, _ = host(distribution, "monitor", 10.0, local_evidence=[Verdict.CANNOT_TELL], list_ips=[None])
    assert not FloatingAddress(it, REQUEST).monitor(ask_api=False).running


def test_a_stop_is_not_done_while_the_metadata_service_still_has_it(distribution: MakeDistribution) -> None:
    yes, no = Verdict.YES, Verdict.NO
    it, calls = host(distribution, "stop", 20.0, local_evidence=[yes, yes, yes, no], list_ips=[None])
    FloatingAddress(it, REQUEST).unbind()
    assert calls.count("local_evidence") >= 4
    assert "unbind_ip" in calls


def test_a_stop_that_the_metadata_service_never_confirms_is_no_stop(distribution: MakeDistribution) -> None:
    it, _ = host(distribution, "stop", 2.5, local_evidence=[Verdict.YES], list_ips=[None])
    with pytest.raises(Unconfirmed):
        FloatingAddress(it, REQUEST).unbind()


def test_a_mark_that_cannot_be_read_may_be_there(
    distribution: MakeDistribution, monkeypatch: pytest.MonkeyPatch
) -> None:
    it, calls = host(distribution, "stop", 20.0, local_evidence=[Verdict.CANNOT_TELL], list_ips=[None])
    monkeypatch.setattr(local_mark, "read_mark", lambda _: Verdict.CANNOT_TELL)
    FloatingAddress(it, REQUEST).unbind()
    assert "unbind_ip" in calls


def test_the_metadata_service_says_here_and_the_api_does_not(distribution: MakeDistribution) -> None:
    it, _ = host(distribution, "monitor", 10.0, local_evidence=[Verdict.YES], list_ips=[None])
    with pytest.raises(Unconfirmed, match="nobody holds it"):
        FloatingAddress(it, REQUEST).monitor(ask_api=True)


@pytest.mark.parametrize("holders", [("i-1", "i-2"), ("i-1", None), (None, "i-1")])
def test_here_in_part_is_neither_running_nor_stopped(
    distribution: MakeDistribution, holders: tuple[str | None, ...]
) -> None:
    it, _ = host(distribution, "monitor", 2.5, local_evidence=[Verdict.CANNOT_TELL], list_ips=[holders])
    with pytest.raises(Unconfirmed, match="in part"):
        FloatingAddress(it, REQUEST).monitor(ask_api=False)
    with pytest.raises(Unconfirmed):
        FloatingAddress(it, REQUEST).unbind()


def test_a_holder_on_the_second_page_holds_it(distribution: MakeDistribution) -> None:
    it, _ = host(distribution, "monitor", 10.0, local_evidence=[Verdict.NO], list_ips=["more", "i-1"])
    assert FloatingAddress(it, REQUEST).monitor(ask_api=False).running


def test_a_plug_is_an_address_and_not_a_part_of_one(distribution: MakeDistribution) -> None:
    """Whatever the provider's own search lets through."""
    others = [
        Node("i-1", "n1", addresses=(ipaddress.ip_address("10.0.0.11"), ipaddress.ip_address("fd00::1:2"))),
        Node("i-11", "n11", addresses=(ipaddress.ip_address("110.0.0.1"),)),
    ]
    it, _ = host(distribution, "off", 5.0, list_nodes=others)
    for plug in ("10.0.0.1", "fd00::1", "i-", "n", "1", ""):
        with pytest.raises(NotFound):
            fencing.find_node(it, plug)
    assert fencing.find_node(it, "FD00:0:0::1:2").id == "i-1"
    assert fencing.find_node(it, "N11").id == "i-11"


@pytest.mark.parametrize("answer", ["away", "no such"])
def test_no_answer_after_the_stop_is_not_off(distribution: MakeDistribution, answer: str) -> None:
    it, calls = host(distribution, "off", 3.0, power_state=[PowerState.STOPPING, answer])
    with pytest.raises(Unconfirmed):
        fencing.power_off(it, [NODE], interval=0.1)
    assert calls.count("power_state") > 1


def test_of_two_machines_both_must_be_off(distribution: MakeDistribution) -> None:
    turns = [PowerState.OFF, PowerState.ON] * 50
    it, _ = host(distribution, "off", 3.0, power_state=turns)
    with pytest.raises(Unconfirmed):
        fencing.power_off(it, [NODE, Node("i-2", "n2", PowerState.ON)], interval=0.1)


def test_off_without_an_accepted_stop_is_not_believed(distribution: MakeDistribution) -> None:
    it, _ = host(distribution, "off", 2.0, power_state=[PowerState.OFF], power_off=["conflict"])
    with pytest.raises(Unconfirmed, match="not accepted"):
        fencing.power_off(it, [NODE], interval=0.1)


def test_when_time_is_up_a_start_tells_what_was_refused(distribution: MakeDistribution) -> None:
    """Time runs out in a pause, so that the last question is not even asked: that is not what an operator must know."""
    it, _ = host(distribution, "start", 2.0, list_ips=[None], bind_ip=["conflict"])
    with pytest.raises(Unconfirmed, match="change is under way"):
        FloatingAddress(it, REQUEST).start()


def test_when_time_is_up_a_stop_of_a_machine_tells_what_was_refused(distribution: MakeDistribution) -> None:
    it, _ = host(distribution, "off", 2.0, power_state=[PowerState.ON, "away"], power_off=["conflict"])
    with pytest.raises(Unconfirmed, match="it is starting"):
        fencing.power_off(it, [NODE], interval=0.1)


def test_an_address_that_was_started_here_is_unbound_whatever_the_api_says(distribution: MakeDistribution) -> None:
    it, calls = host(distribution, "stop", 20.0, local_evidence=[Verdict.CANNOT_TELL], list_ips=[None])
    address = FloatingAddress(it, REQUEST)
    local_mark.set_mark(mark_key("scripted", REQUEST))
    address.unbind()
    assert "unbind_ip" in calls


def test_the_evidence_of_this_machine_is_none_of_another(distribution: MakeDistribution) -> None:
    it, _ = host(
        distribution,
        "monitor",
        10.0,
        local_evidence=[Verdict.YES],
        list_ips=["i-1"],
        list_nodes=[Node("i-1", "n1"), Node("i-2", "n2")],
    )
    assert not FloatingAddress(it, REQUEST.replace(node="n2")).monitor(ask_api=False).running


def test_what_was_started_here_is_not_stopped_by_an_old_answer(distribution: MakeDistribution) -> None:
    """The API tells of the time before the start for some looks, and the provider finds nothing to send."""
    it, calls = host(
        distribution,
        "stop",
        30.0,
        local_evidence=[Verdict.CANNOT_TELL],
        list_ips=[*[None] * 6, "i-1"],
        unbind_ip=["nothing to do"],
    )
    local_mark.set_mark(mark_key("scripted", REQUEST))
    with pytest.raises((Unconfirmed, Unavailable)):
        FloatingAddress(it, REQUEST).unbind()
    assert calls.count("list_ips") > 6


def test_an_address_that_another_node_has_is_stopped_in_the_end(distribution: MakeDistribution) -> None:
    it, _ = host(
        distribution,
        "stop",
        10.0,
        local_evidence=[Verdict.CANNOT_TELL],
        list_ips=["i-2"],
        unbind_ip=["nothing to do"],
    )
    local_mark.set_mark(mark_key("scripted", REQUEST))
    FloatingAddress(it, REQUEST).unbind()


def test_on_is_asked_for_whatever_was_read(distribution: MakeDistribution) -> None:
    it, calls = host(distribution, "on", 10.0, power_state=[PowerState.ON])
    fencing.power_on(it, [NODE], interval=0.1)
    assert calls.count("power_on") == 1
