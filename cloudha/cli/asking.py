"""What stands between a person and a change: the plan and a question."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TypeVar

import click

from cloudha.cli.output import Output

__all__ = ["confirm", "dry_run_option", "need_terminal", "yes_option"]

F = TypeVar("F", bound=Callable[..., object])


def yes_option(verb: F) -> F:
    """Give *verb* the option ``--yes``, passed as ``yes``."""
    return click.option("-y", "--yes", is_flag=True, help="Do not ask.")(verb)


def dry_run_option(verb: F) -> F:
    """Give *verb* the option ``--dry-run``, passed as ``dry_run``."""
    text = "Only look, and say what would be asked of the cloud. Changes nothing."
    return click.option("--dry-run", is_flag=True, help=text)(verb)


def need_terminal(action: str) -> None:
    """Refuse to go on where nobody can be asked.

    :raises click.UsageError: standard input is no terminal.
    """
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"'{action}' asks first, and standard input is no terminal. Give --yes to go on without a question, or "
            "--dry-run to see what would happen."
        )


def confirm(output: Output, plan: Iterable[str], question: str) -> None:
    """Say the *plan* and ask; both on standard error, so that the result stays alone on standard output.

    :raises click.Abort: the answer is not yes.
    """
    for line in plan:
        output.remark(line)
    # click's own question leaves a blank on standard output.
    output.remark(f"{question} [y/N]")
    if sys.stdin.readline().strip().casefold() not in ("y", "yes"):
        raise click.Abort
