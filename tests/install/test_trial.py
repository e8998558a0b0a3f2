"""The trial's terminal: what it writes down is what somebody would see. The trial itself is `scripts/trial`."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest

from cloudha.cli.main import main

TREE = Path(__file__).parents[2]
sys.path.insert(0, str(TREE / "packaging"))

from screen import on_screen  # noqa: E402 - found by the line above
from trial_package import CHAPTERS as PACKAGE  # noqa: E402 - as above
from trial_pip import CHAPTERS as PIP  # noqa: E402 - as above

ESC = "\x1b"


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("one\r\ntwo\r\n", "one\ntwo"),
        (f"{ESC}[1mbold{ESC}[0m {ESC}[38;5;4mblue{ESC}[39m", "bold blue"),
        # A spinner: a line that is written again and again, and erased in the end.
        (f"{ESC}[?25l* asking\r{ESC}[2K+ asking\r\n{ESC}[?25h\r{ESC}[1A{ESC}[2Kanswer\r\n", "answer"),
        (" 10 %\r 50 %\r100 %\r\n", "100 %"),
        (f"long line\rshort{ESC}[K\r\n", "short"),
        (f"{ESC}7{ESC}[1;30r{ESC}8unpacking\r\n", "unpacking"),
        (f"{ESC}]0;a title\x07shown\r\n", "shown"),
        ("a\tb\r\n", "a       b"),
        ("abc\b\bX\r\n", "aXc"),
        ("\r\n\r\nbetween\r\n\r\nblanks\r\n\r\n", "between\n\nblanks"),
    ],
)
def test_what_stays_on_the_screen(written: str, seen: str) -> None:
    assert on_screen(written) == seen


def test_every_verb_is_tried() -> None:
    verbs = set(main.list_commands(click.Context(main)))
    assert len(verbs) >= 15
    typed = " ".join(step.command for chapter in (*PACKAGE, *PIP) for step in chapter.steps)
    # The simulated cloud runs in every lab; a completion is for a shell that somebody sits at.
    missing = {verb for verb in verbs - {"sim", "completion"} if f"cloudha {verb}" not in typed}
    assert not missing
