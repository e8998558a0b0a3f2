"""The page of a trial: chapters of what was typed, why, and what was said. Nothing of what cloudha says is edited."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fresh_machine import Machine, Said

__all__ = ["Chapter", "Step", "play"]

KILLED = -9
WIDTH = 120


@dataclass(frozen=True)
class Step:
    """A command, as it is typed, and why.

    :param answers: in turn, a text to wait for, and what is typed then.
    :param code: the exit code that is expected; another one makes the trial fail.
    :param tool: whose many lines these are: they are counted, and only the last *keep* are shown.
    :param pause: seconds to wait before.
    :param online: with a way out, for apt and pip.
    :param seconds: after which it is killed.
    """

    why: str
    command: str
    answers: Sequence[tuple[str, str]] = ()
    code: int = 0
    tool: str = ""
    keep: int = 0
    pause: float = 0
    online: bool = False
    seconds: float = 90


@dataclass(frozen=True)
class Chapter:
    """Steps that belong together, one after another on one machine."""

    title: str
    about: str
    steps: Sequence[Step]


def play(chapters: Sequence[Chapter], on: Machine, until: float, surprises: list[str]) -> Iterator[str]:
    """Type everything, and yield the page piece by piece.

    :param until: the time (monotonic) after which nothing more is typed.
    :param surprises: gets a line for each command that did not end as expected.
    """
    for chapter in chapters:
        yield f"## {chapter.title}\n\n{_prose(chapter.about)}\n"
        for step in chapter.steps:
            left = until - time.monotonic() - step.pause
            if left <= 0:
                surprises.append(f"no time left for: {step.command}")
                return
            time.sleep(step.pause)
            said = on.type(step.command, answers=step.answers, online=step.online, seconds=min(step.seconds, left))
            if said.code != step.code:
                surprises.append(f"{step.command}: exit code {said.code}, not {step.code}\n{said.text}")
            yield _told(step, said)


def _told(step: Step, said: Said) -> str:
    lines = said.text.splitlines()
    if step.tool and len(lines) > step.keep:
        left_out = len(lines) - step.keep
        lines = [f"[{left_out} lines of {step.tool}]", *lines[left_out:]]
    if said.code == KILLED:
        lines.append("[killed: it took too long]")
    elif said.code:
        lines.append(f"[exit code {said.code}]")
    shown = "\n".join(lines)
    answer = f"\n```text\n{shown}\n```\n" if shown else "\nIt says nothing.\n"
    return f"{_prose(step.why)}\n\n```\n{step.command}\n```\n{answer}"


def _prose(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
