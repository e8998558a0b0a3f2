"""The list of mutants fits the code: ``make mutants`` would otherwise try nothing, and say so only there."""

from __future__ import annotations

from pathlib import Path

import pytest

from mutants import MUTANTS, Mutant

TREE = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.breaks)
def test_fits(mutant: Mutant) -> None:
    assert (TREE / mutant.file).read_text().count(mutant.old) == 1
    assert mutant.new != mutant.old
    for file in (word for word in mutant.tests.split() if "/" in word):
        assert (TREE / file).exists()
