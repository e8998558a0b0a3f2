"""What stands between a person and a change: the plan, a question, and the dry run that ends there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TypeVar

import click
from rich.console import RenderableType

from cloudha.cli.output import Output, cell, table
from cloudha.errors import CloudhaError
from cloudha.host import Host
from cloudha.record import Record
from cloudha.types import AccessReport, Kind, Purpose, Verdict

__all__ = ["Call", "confirm", "dry_run_option", "need_terminal", "show_dry_run", "yes_option"]

F = TypeVar("F", bound=Callable[..., object])

VERDICT_STYLES = {Verdict.YES: "green", Verdict.NO: "red", Verdict.CANNOT_TELL: "yellow"}


class Call(Record):
    """A hook that would be called. ``changes``: whether it asks for a change; ``when``: how often, and why."""

    hook: str
    target: str
    changes: bool
    when: str


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


def show_dry_run(
    output: Output,
    host: Host,
    document: dict[str, object],
    plan: Iterable[str],
    calls: Iterable[Call],
    *,
    purpose: Purpose,
    kind: Kind = Kind.PRIVATE,
) -> None:
    """Print the hooks that would be called, and the permissions that the provider names for the purpose.

    A provider does not say which requests its hooks make; the permissions are the vendor's own names for them, and are
    looked at as ``fence_cloud -o monitor`` does, which changes nothing.

    :raises SystemExit: with 1 when a permission is known to be missing.
    """
    listed = list(calls)
    report, trouble = _access(output, host, purpose, kind)
    permissions = report.permissions if report else ()
    output.show(
        {
            **document,
            "dry_run": True,
            "calls": listed,
            "identity": report.identity if report else "",
            "permissions": permissions,
            "permissions_unknown": trouble,
        },
        *(cell(line) for line in plan),
        "",
        table("hook", "of", "", "when", rows=[(cell(c.hook, "bold"), c.target, _effect(c), c.when) for c in listed]),
        "",
        *_permissions(report, trouble, purpose),
        cell("Dry run: nothing was changed.", "bold"),
    )
    if any(permission.granted is Verdict.NO for permission in permissions):
        output.remark("permissions are missing: this would fail")
        raise SystemExit(1)


def _effect(call: Call) -> RenderableType:
    return cell("changes", "bold red") if call.changes else cell("reads", "dim")


def _access(output: Output, host: Host, purpose: Purpose, kind: Kind) -> tuple[AccessReport | None, str]:
    if not host.provider.implements("check_access"):
        return None, "the provider does not check permissions"
    try:
        with output.waiting("looking at the permissions"):
            return host.check_access(purpose, kind), ""
    except CloudhaError as error:
        return None, str(error)


def _permissions(report: AccessReport | None, trouble: str, purpose: Purpose) -> list[RenderableType]:
    if report is None:
        return [cell(f"permissions: not known: {trouble}", "yellow"), ""]
    whose = f" that {report.identity} has, of those" if report.identity else ""
    rows = [
        (permission.name, cell(permission.granted.value, VERDICT_STYLES[permission.granted]), permission.detail)
        for permission in report.permissions
    ]
    return [
        cell(f"permissions{whose} needed for {purpose.value}:", "bold"),
        table("", "", "", rows=rows),
        "",
    ]
