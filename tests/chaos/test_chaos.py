"""A small campaign, and the proof that its judges see what they are there for. ``make chaos`` plays the long one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from chaos_book import Book, Setup, read_results
from chaos_campaign import Bounds, campaign
from chaos_plan import HOLDER, Kind, Trouble, plan_round
from chaos_report import write_report
from chaos_round import Result
from chaos_writer import Entry, judge_log
from cloudha.lab import software

# The holder is isolated; loses power beside a split; is isolated while the agents that fence it are killed.
SEED, ROUNDS, SECONDS = 23, 3, 100.0


def entries(*lines: tuple[str, str, int]) -> list[Entry]:
    return [Entry(node, "boot", start, sequence, float(at)) for at, (node, start, sequence) in enumerate(lines)]


def test_the_plan_hangs_on_the_seed_alone() -> None:
    plans = [plan_round(7, number, nodes) for number in range(200) for nodes in (2, 3)]
    assert plans == [plan_round(7, number, nodes) for number in range(200) for nodes in (2, 3)]
    assert plans != [plan_round(8, number, nodes) for number in range(200) for nodes in (2, 3)]
    assert {trouble.kind for plan in plans for trouble in plan} == set(Kind)
    assert {len(plan) for plan in plans} == {1, 2}


def test_a_log_without_interleaving_is_right() -> None:
    log = entries(("a", "1", 0), ("a", "1", 1), ("b", "2", 0), ("b", "2", 1), ("a", "3", 0), ("a", "3", 1))
    assert judge_log(log) == []


@pytest.mark.parametrize(
    "log",
    [
        [("a", "1", 0), ("b", "2", 0), ("a", "1", 1)],
        [("a", "1", 0), ("b", "2", 0), ("b", "2", 1), ("a", "1", 1), ("b", "2", 2)],
        [("a", "1", 0), ("a", "2", 0), ("a", "1", 1)],
        [("a", "1", 0), ("b", "2", 5)],
        [("a", "1", 0), ("a", "1", 2)],
    ],
    ids=["once more", "both", "two on one node", "never started", "a line is lost"],
)
def test_interleaving_is_seen(log: list[tuple[str, str, int]]) -> None:
    assert judge_log(entries(*log))


def test_a_campaign_goes_on_where_it_ended(tmp_path: Path) -> None:
    setup = Setup(3, ["sim"], [2], 4)
    book = Book(tmp_path, setup)
    book.add(Result(0, "sim", 2, ["power cut"], ["power cut"], failovers=[("node1", "node2", 4.0)]))
    with (tmp_path / "seed-3.jsonl").open("a") as file:
        file.write('{"round": 1, "prov')  # the machine was switched off
    assert Book(tmp_path, setup).rounds == 1
    assert len(read_results(tmp_path)[3]) == 1
    with pytest.raises(ValueError, match="another setup"):
        Book(tmp_path, Setup(3, ["sim"], [3], 4))


@pytest.mark.lab
def test_a_short_campaign(lab_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not lab_root.exists()
    played: list[Result] = []
    campaign(Setup(SEED, ["sim"], [2], ROUNDS), Bounds(ROUNDS, SECONDS), tmp_path / "results", played.append)
    report = write_report(read_results(tmp_path / "results"), tmp_path / "results").read_text()
    with capsys.disabled():
        print(f"\n{report}")
    assert [result.violations for result in played] == [[] for _ in played]
    assert [result.error for result in played] == ["" for _ in played]
    assert len(played) >= 2
    assert sum(len(result.failovers) for result in played) >= 1
    assert all(result.lines for result in played)


def long_isolation(plan: Sequence[Trouble]) -> bool:
    """Whether the holder is cut off, and nothing else happens, for longer than its fencing takes."""
    (first, *more) = plan
    return (first.kind, first.whom) == (Kind.ISOLATION, HOLDER) and first.seconds > 13 and not more


LIAR = """#!/bin/sh
# Says yes to everything, and does nothing but describe itself.
while read -r line; do case "$line" in action=*) action="${line#action=}";; esac; done
case "$action" in metadata) exec "$(dirname "$0")/fence_honest" -o metadata;; esac
exit 0
"""


@pytest.mark.lab
def test_a_fence_agent_that_lies_is_noticed(lab_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were off not off, the campaign would say so: the holder goes on writing while the other one has taken over."""
    assert not lab_root.exists()
    build = software.build_layer

    def build_with_liar(layer: Path) -> None:
        build(layer)
        agent = layer / "usr/sbin/fence_cloud"
        agent.rename(agent.with_name("fence_honest"))
        agent.write_text(LIAR)
        agent.chmod(0o755)

    monkeypatch.setattr("cloudha.lab.verbs.build_layer", build_with_liar)
    monkeypatch.setattr("chaos_lab.HEAL_SECONDS", 60.0)
    seed = next(seed for seed in range(1000) if long_isolation(plan_round(seed, 0, 2)))
    played: list[Result] = []
    campaign(Setup(seed, ["sim"], [2], 1), Bounds(1, SECONDS), tmp_path / "results", played.append)
    found = " ".join(text for result in played for text in result.violations)
    assert "wrong off" in found
    assert "shared log" in found
    assert (tmp_path / "results/evidence" / f"seed-{seed}-round-0" / "events.jsonl").exists()
    assert json.loads((tmp_path / "results" / f"seed-{seed}.jsonl").read_text().splitlines()[1])["timeline"]
