"""The witness would notice: what was written down is made up here, with and without two holders."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import pytest

from cloudha.lab import evidence
from cloudha.lab.plan import make_plan
from cloudha.lab.state import LabState

VIP = ipaddress.ip_address("10.77.0.100")


@pytest.fixture
def state(tmp_path: Path) -> LabState:
    state = LabState(tmp_path / "paper")
    state.create(make_plan("paper", "sim", 2))
    return state


def answered(state: LabState, *answers: tuple[float, int, str]) -> None:
    with state.witness_log.open("a") as log:
        for at, question, node in answers:
            line = {"at": at, "asked": at, "time": 0, "address": str(VIP), "node": node, "question": question}
            log.write(json.dumps(line) + "\n")


def held(state: LabState, node: str, *changes: tuple[float, bool]) -> None:
    with state.node(node).held.open("a") as log:
        for at, now in changes:
            log.write(json.dumps({"at": at, "node": node, "address": str(VIP), "held": now}) + "\n")


def happened(state: LabState, at: float, what: str, node: str) -> None:
    with (state.directory / "events.jsonl").open("a") as log:
        log.write(json.dumps({"at": at, "time": 0, "what": what, "node": node, "detail": ""}) + "\n")


def test_a_clean_move_is_no_double_holder(state: LabState) -> None:
    answered(state, (1.0, 1, "node1"), (1.05, 2, "node1"), (3.0, 3, "node2"))
    held(state, "node1", (0.5, True), (1.1, False))
    held(state, "node2", (2.9, True))
    assert evidence.double_holders(state) == []


def test_one_question_with_two_answers(state: LabState) -> None:
    answered(state, (1.0, 1, "node1"), (1.01, 1, "node2"))
    assert evidence.double_holders(state) == ["question 1 to 10.77.0.100 was answered by node1 and node2"]


def test_configured_on_two_nics_at_once_though_nobody_saw_it(state: LabState) -> None:
    held(state, "node1", (0.5, True), (4.0, False))
    held(state, "node2", (3.0, True))
    (line,) = evidence.double_holders(state)
    assert "on the NICs of node1 and node2 at once, for 1.00 s" in line
    assert evidence.double_holders(state, since=4.5) == []


def test_a_node_that_lost_power_holds_nothing(state: LabState) -> None:
    held(state, "node1", (0.5, True))
    happened(state, 2.0, "power cut", "node1")
    held(state, "node2", (2.5, True))
    assert evidence.double_holders(state) == []
    held(state, "node2", (5.0, False))
    held(state, "node1", (4.0, True))
    assert len(evidence.double_holders(state)) == 1, "it came back, and took the address too early"


def test_outages(state: LabState) -> None:
    answered(state, *((t / 20, t, "node1") for t in range(1, 40)), *((t / 20, t, "node2") for t in range(100, 120)))
    (gap,) = evidence.outages(state, VIP, 0.0, 5.95)
    assert (gap.begin, gap.end) == (1.95, 5.0)
    assert evidence.outages(state, VIP, 0.0, 9.0)[-1].seconds == float("inf")


def test_half_a_line_and_a_long_log(state: LabState) -> None:
    answered(state, *((float(t), t, "node1") for t in range(1, 5000)))
    with state.witness_log.open("a") as log:
        log.write('{"at": 50')
    assert len(evidence.answers(state, 4990.0)) == 10
    assert len(evidence.answers(state)) == 4999
