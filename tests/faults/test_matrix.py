"""A sample of the fault matrix: no agent lies, all end in time, and each failure is one clear line without a secret.

``make faults`` plays all of it. CLOUDHA_FAULTS_SAMPLE and CLOUDHA_FAULTS_SEED choose another sample.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from campaign.cells import ADDRESS_ACTIONS, FENCE_ACTIONS, Cell, all_cells, sampled
from campaign.clouds import stages
from campaign.judge import Verdict
from campaign.player import OPERATION_SECONDS, POWER_SECONDS, Player, Result, execute
from campaign.report import write_report
from campaign.run import Book, play
from campaign.troubles import TROUBLES, Duration
from cloudha.testing.conformance.agents import Executables

COUNT, SEED = 150, 7
# Agents mostly wait for what does not answer.
LANES = 6
SECONDS = 600.0
# Where it is not 0: off, and not running.
EXPECTED = {("status", "off"): 2, **dict.fromkeys(((m, "there") for m in ("monitor", "monitor-deep", "probe")), 7)}


@pytest.fixture(scope="module")
def results(
    executables: Executables, tmp_path_factory: pytest.TempPathFactory, number: Callable[[str, int], int]
) -> list[Result]:
    folder: Path = tmp_path_factory.mktemp("faults")
    cells = sampled(all_cells(stages()), number("SAMPLE", COUNT), number("SEED", SEED))
    book = Book(folder / "cells.jsonl")
    left = play(cells, book, executables, lanes=LANES, seconds=SECONDS)
    assert not left, f"{left} cells were not played in {SECONDS:.0f} s"
    found = list(book.results.values())
    write_report(found, folder, left)
    assert (folder / "faults.svg").read_text().startswith("<svg")
    return found


def _played(player: Player, kind: str, action: str, situation: str, trouble: str) -> Result:
    player.power_seconds, player.operation_seconds = POWER_SECONDS, OPERATION_SECONDS
    cell = Cell(player.stage.provider, "ours", kind, action, situation, trouble, Duration.GOOD.value)
    result = player.play(cell)
    assert result is not None
    return result


@pytest.mark.parametrize("action", ["list", "list-status"])
def test_an_empty_list_is_no_answer(player: Player, action: str) -> None:
    """Exit code 0 and no line would make Pacemaker forget its targets; whoever asks is a machine of that cloud."""
    result = _played(player, "", action, "on", "empty list")
    assert not result.bad, result


@pytest.mark.parametrize("trouble", ["wrong JSON/XML", "web page", "cut in the body", "missing fields"])
def test_a_spoilt_answer_stays_out_of_the_log(player: Player, trouble: str) -> None:
    """Where local evidence is good, too, the remark about the cloud is one line, without the cloud's whole answer."""
    result = _played(player, player.stage.kinds[0].value, "monitor-deep", "here", trouble)
    assert not result.bad, result


@pytest.mark.parametrize("kind", ["", "private", "public", "route"])
def test_without_trouble_every_scene_ends_well(player: Player, kind: str) -> None:
    """What fails by itself proves nothing when it fails in trouble."""
    if not (player.stage.fencing if not kind else kind in {each.value for each in player.stage.kinds}):
        pytest.skip("this provider does not do that")
    wrong = {}
    for action, situations in (ADDRESS_ACTIONS if kind else FENCE_ACTIONS).items():
        for situation in situations:
            cell = Cell(player.stage.provider, "ours", kind, action, situation, "500", Duration.ONCE.value)
            player.set_scene(cell)
            seen = execute(player.command(cell), player.place.prefix)
            if seen.code != EXPECTED.get((action, situation), 0):
                wrong[action, situation] = f"{seen.code}: {seen.err}"
    assert not wrong, wrong


def _named(results: list[Result]) -> str:
    return "\n".join(f"{r.cell.key}: {r.code}: {r.lie or r.complaints}: {r.said}" for r in results)


def test_the_sample_is_fair(results: list[Result]) -> None:
    """Every trouble was met, and nearly all cells really were hit by theirs."""
    assert {result.cell.trouble for result in results} == set(TROUBLES)
    effects = [result for result in results if TROUBLES[result.cell.trouble].effect]
    assert sum(result.hits > 0 for result in effects) > len(effects) / 2


def test_nobody_lies(results: list[Result]) -> None:
    wrong = [result for result in results if result.verdict == Verdict.WRONG.value]
    assert not wrong, _named(wrong)


@pytest.mark.parametrize("complaint", ["not in time", "traceback", "line", "shows", "standard output"])
def test_nothing_to_complain_of(results: list[Result], complaint: str) -> None:
    wrong = [result for result in results if any(complaint in said for said in result.complaints)]
    assert not wrong, _named(wrong)
