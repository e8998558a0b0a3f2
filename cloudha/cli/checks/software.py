"""Are Pacemaker, Corosync and pcs here, and recent enough for both agents?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloudha.cli.checks.case import Case
from cloudha.cli.checks.finding import Finding, bad, good, unknown, warn
from cloudha.cli.checks.programs import find as find_program
from cloudha.cli.checks.programs import run
from cloudha.errors import CloudhaError
from cloudha.record import Record

__all__ = ["find"]

RUN_SECONDS = 10.0
VERSION = re.compile(r"\d+(?:\.\d+)+")


class _Wanted(Record):
    """``least``: below it the agents were never tried; ``recent``: below it something is missing, see ``lacks``."""

    name: str
    command: tuple[str, ...]
    least: tuple[int, ...]
    recent: tuple[int, ...]
    lacks: str
    package: str


WANTED = (
    # priority-fencing-delay came with 2.0.4, OCF 1.1 (reload-agent, unique-group) with 2.1.0, says its change log.
    _Wanted(
        "pacemaker",
        ("pacemakerd", "--version"),
        (2, 0, 3),
        (2, 1, 0),
        "OCF 1.1: a changed parameter restarts the address, and before 2.0.4 there is no priority-fencing-delay",
        "pacemaker",
    ),
    _Wanted("corosync", ("corosync", "-v"), (2, 4), (3, 0), "knet, and with it more than one link", "corosync"),
    _Wanted("pcs", ("pcs", "--version"), (0, 10), (0, 11), "OCF 1.1: the same address in two resources", "pcs"),
)
SHELL = "crm"


def find(case: Case) -> Iterator[Finding]:
    """Ask each program for its version."""
    for wanted in WANTED:
        yield _program(wanted, case)


def _program(wanted: _Wanted, case: Case) -> Finding:
    check = f"software.{wanted.name}"
    program = find_program(wanted.command[0])
    install = f"install the package {wanted.package}"
    if not program:
        return _missing(wanted, case, install)
    look = f"look at it with: {' '.join(wanted.command)}"
    try:
        ran = run([program, *wanted.command[1:]], min(RUN_SECONDS, case.deadline.remaining))
    except CloudhaError as error:
        return unknown(check, f"the version of {wanted.name} is unknown: {error.cause}", "not looked at", look)
    found = VERSION.search(ran.out)
    if ran.code or not found:
        return unknown(check, f"the version of {wanted.name} is unknown: {ran.said}", "not looked at", look)
    version = tuple(int(part) for part in found[0].split("."))
    if version < wanted.least:
        least = ".".join(map(str, wanted.least))
        why = "the agents were not tried with it"
        return bad(check, f"{wanted.name} {found[0]} is older than {least}", why, f"update to {least} or later")
    if version < wanted.recent:
        recent = ".".join(map(str, wanted.recent))
        return warn(
            check, f"{wanted.name} {found[0]} is older than {recent}", f"it lacks {wanted.lacks}", f"update to {recent}"
        )
    return good(check, f"{wanted.name} {found[0]}")


def _missing(wanted: _Wanted, case: Case, install: str) -> Finding:
    check = f"software.{wanted.name}"
    if case.from_file:
        what = f"{wanted.name} is not installed here, and this machine need not be a node of the cluster"
        return unknown(check, what, "each node needs it", "run cloudha doctor on each node, or --skip software")
    if wanted.name == "pcs":
        if find_program(SHELL):
            return good(check, "crmsh is here instead of pcs")
        why = "the commands in the documentation need it; the cluster does not"
        return warn(check, "neither pcs nor crmsh is installed", why, install)
    return bad(check, f"{wanted.name} is not installed", "this node takes no part in any cluster", install)
