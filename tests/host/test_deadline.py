"""The one clock: what waits, and for how long at the most."""

from __future__ import annotations

import time

import pytest

from cloudha.deadline import Deadline, operation_deadline


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    return waits


def test_no_wait_goes_beyond_it(slept: list[float]) -> None:
    Deadline(5).sleep(60)
    Deadline(0).sleep(60)
    Deadline(5).sleep(-1)
    (only,) = slept
    assert 0 < only <= 5


def test_a_part_of_it_ends_no_later() -> None:
    assert Deadline(5).within(60).remaining <= 5
    assert Deadline(60).within(5).remaining <= 5
    assert Deadline(60).within(-1).passed


@pytest.mark.parametrize(("timeout", "left"), [(600, 540), (60, 54), (20, 17), (5, 2.5), (1, 0.5)])
def test_an_operation_keeps_a_margin_below_pacemakers_kill(timeout: float, left: float) -> None:
    assert left - 0.2 < operation_deadline(timeout).remaining <= left
