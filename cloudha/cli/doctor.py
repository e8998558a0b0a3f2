"""``cloudha doctor``: everything that decides whether the next failover works, looked at now."""

from __future__ import annotations

import os
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import click
from rich.text import Text

from cloudha import __version__
from cloudha.cli.checks.case import Case
from cloudha.cli.checks.finding import EXITS, Finding, Level, sorted_worst_first, worst
from cloudha.cli.checks.gathering import Asked, gather
from cloudha.cli.checks.running import CHECKS, run_all
from cloudha.cli.output import Output, cell, json_option, table
from cloudha.cli.settings import DEFAULT_SECONDS, FILE_VARIABLE, PROVIDER_VARIABLE, option_pair, options_in
from cloudha.deadline import Deadline
from cloudha.errors import CloudhaError, one_line, shown

__all__ = ["doctor"]

STYLES = {Level.GOOD: "green", Level.WARN: "yellow", Level.BAD: "bold red", Level.UNKNOWN: "magenta"}
HIDDEN = "***"
GROUPS = "\n".join(
    textwrap.fill(f"{check.name:<10} {check.about}", 76, initial_indent="  ", subsequent_indent=" " * 13)
    for check in CHECKS
)
EPILOG = f"""\b
Checks, in their order:
{GROUPS}

\b
Exit code, as monitoring systems read it:
  0  all is good
  1  warnings
  2  something is bad: a failover will fail, or data are at risk
  3  something could not be looked at, and nothing is known to be bad
     (also when the doctor itself could not work)
"""


@click.command(epilog=EPILOG)
@click.option(
    "--provider",
    metavar="NAME",
    envvar=PROVIDER_VARIABLE,
    default="",
    help="Look at this cloud only; by default at all that the configuration names.",
)
@click.option(
    "-o",
    "option",
    metavar="NAME=VALUE",
    multiple=True,
    help="A parameter, in place of the one in the configuration. Repeatable.",
)
@click.option(
    "--options-from",
    metavar="FILE",
    envvar=FILE_VARIABLE,
    help="Parameters and secrets, one name=value on a line; mode 0600. - is standard input.",
)
@click.option(
    "--cib",
    metavar="FILE",
    default="",
    help="Judge this configuration (cibadmin --query > FILE), not that of the cluster here.",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/"),
    help="Look for the agents below this.",
)
@click.option(
    "--skip",
    metavar="CHECK",
    multiple=True,
    help="Leave out a check (agents), or one of its findings (agents.reach). Repeatable.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(1.0, 3600.0),
    metavar="SECONDS",
    default=DEFAULT_SECONDS,
    show_default=True,
    help="How long it may take.",
)
@click.option("-v", "--verbose", is_flag=True, help="Say every call to a provider on standard error.")
@json_option
def doctor(
    output: Output,
    *,
    provider: str,
    option: tuple[str, ...],
    options_from: str | None,
    cib: str,
    root: Path,
    skip: tuple[str, ...],
    timeout: float,
    verbose: bool,
) -> None:
    """Look at everything that decides whether the next failover works, worst first.

    On a node of a cluster no option is needed: the provider and its parameters are those of the cluster's own fence
    devices and floating addresses. Nothing is changed.
    """
    known = {check.name for check in CHECKS}
    for name in skip:
        if name.partition(".")[0] not in known:
            raise click.UsageError(f"There is no check {shown(name)}. There are: {', '.join(c.name for c in CHECKS)}.")
    overall = Deadline(timeout)
    given = dict(option_pair(text) for text in option)
    try:
        with output.waiting("looking at the cluster"):
            in_file = options_in(options_from) if options_from else {}
            name = provider or in_file.pop("provider", "")
            in_file.pop("provider", None)
            case = gather(Asked(name, given, in_file, cib, root.absolute(), verbose))
            findings = _redacted(run_all(case, overall, skip), case)
    except CloudhaError as error:
        _cannot(output, str(error))
    except Exception as error:  # noqa: BLE001 - a traceback's exit code would read as a mere warning
        _cannot(output, f"internal error: {type(error).__name__}; report it with what you did")
    _show(output, findings, (*skip, *(f"the cloud of {name}" for name in case.left_out)))
    # Not sys.exit: a hook that hangs in its thread must not be waited for.
    sys.stdout.flush()
    os._exit(EXITS[worst(findings)])


def _cannot(output: Output, why: str) -> NoReturn:
    if output.as_json:
        output.show({"level": Level.UNKNOWN, "exit": EXITS[Level.UNKNOWN], "error": one_line(why), "findings": []})
    click.echo(f"Error: {one_line(why, 2000)}", err=True)
    sys.stdout.flush()
    os._exit(EXITS[Level.UNKNOWN])


def _redacted(findings: Iterable[Finding], case: Case) -> list[Finding]:
    """Take every known secret out of what is shown: a cloud's error may repeat what was sent."""
    secrets = sorted(filter(None, case.secrets), key=len, reverse=True)

    def clean(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, HIDDEN)
        return one_line(text)

    return [f.replace(what=clean(f.what), why=clean(f.why), mend=clean(f.mend)) for f in findings]


def _show(output: Output, findings: list[Finding], skip: Iterable[str]) -> None:
    ordered = sorted_worst_first(findings)
    level = worst(findings)
    counts = Counter(finding.level for finding in findings)
    left_out = list(skip)
    document = {
        "level": level,
        "exit": EXITS[level],
        "version": __version__,
        "machine": os.uname().nodename,
        "counts": {each.value: counts[each] for each in Level},
        "skipped": left_out,
        "findings": ordered,
    }
    shown_table = table("level", "check", "finding")
    for finding in ordered:
        shown_table.add_row(cell(finding.level.value, STYLES[finding.level]), cell(finding.check), _told(finding))
    said = ", ".join(f"{counts[each]} {each.value}" for each in reversed(Level) if counts[each])
    summary = f"{level.value.upper()}: {said or 'nothing was looked at'}"
    if left_out:
        summary += f" (left out: {', '.join(left_out)})"
    output.show(document, shown_table, cell(summary, STYLES[level]))


def _told(finding: Finding) -> Text:
    told = cell(finding.what)
    if finding.why:
        told.append(f"\n{finding.why}", style="dim")
    if finding.mend:
        told.append(f"\n-> {finding.mend}")
    return told
