"""Run the checks one after the other, each in its own time; one that fails to run is unknown, and stops no other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from cloudha.cli.checks import (
    access,
    addresses,
    agents,
    clock,
    configuration,
    delays,
    devices,
    exposure,
    latency,
    limits,
    machines,
    metadata,
    monitors,
    providers,
    software,
    timeouts,
)
from cloudha.cli.checks.case import Case
from cloudha.cli.checks.finding import Finding, unknown
from cloudha.deadline import Deadline
from cloudha.errors import CloudhaError, one_line
from cloudha.guard import Hung, bounded
from cloudha.record import Record

__all__ = ["CHECKS", "Check", "run_all"]

# What a hook is given is this much shorter than the check, so that it ends with its own error and not with ours.
MARGIN_SECONDS = 0.5
# No check may use up the time of all that come after it.
SHARE = 0.5


class Check(Record):
    """``name``: the group of its findings; ``seconds``: the most that it may take; ``about``: for the help text."""

    name: str
    find: Callable[[Case], Iterable[Finding]]
    seconds: float
    about: str


#: in this order: what later ones need comes first, and what needs nobody before what asks the cloud
CHECKS: tuple[Check, ...] = (
    Check("agents", agents.find, 15.0, "both agents in place, of this version, executable by everybody"),
    Check("software", software.find, 10.0, "versions of Pacemaker, Corosync and pcs"),
    Check("cluster", configuration.find, 5.0, "fencing enabled, no maintenance, nodes online"),
    Check("devices", devices.find, 5.0, "a fence device for each node"),
    Check("delays", delays.find, 5.0, "two nodes do not fence each other at the same time"),
    Check("secrets", exposure.find, 5.0, "no secret in the cluster's configuration"),
    Check("monitors", monitors.find, 2.0, "monitors and their intervals"),
    Check("provider", providers.find, 10.0, "each provider and its libraries installed, parameters valid"),
    Check("access", access.find, 20.0, "the cloud answers, knows us, and grants what is needed"),
    Check("metadata", metadata.find, 8.0, "the metadata service knows this machine"),
    Check("machines", machines.find, 20.0, "each node is one machine, and no machine two nodes"),
    Check("latency", latency.find, 15.0, "how long the cloud takes to answer, median of three"),
    Check("clock", clock.find, 2.0, "this machine's clock against the cloud's"),
    Check("timeouts", timeouts.find, 2.0, "timeouts against each other and against the latency"),
    Check("addresses", addresses.find, 20.0, "each floating address: subnet, who holds it, whom monitors ask"),
    Check("limits", limits.find, 15.0, "room for each floating address on the interfaces"),
)


def run_all(
    case: Case, overall: Deadline, skip: Collection[str] = (), begin: Callable[[str], None] | None = None
) -> list[Finding]:
    """Return what all checks found, those of groups or findings in *skip* left out.

    :param begin: told of each check that begins.
    """
    found: list[Finding] = []
    for check in CHECKS:
        if check.name in skip:
            continue
        if begin:
            begin(check.about)
        found += [finding for finding in _run(check, case, overall) if finding.check not in skip]
    return found


def _run(check: Check, case: Case, overall: Deadline) -> list[Finding]:
    limit = min(check.seconds, overall.remaining * SHARE)
    if overall.remaining <= MARGIN_SECONDS:
        return [_failed(check, "no time was left for it", "give more with --timeout")]
    case.deadline = Deadline(max(limit - MARGIN_SECONDS, limit * SHARE))
    # Filled as the check goes on: what it found before it hung counts.
    found: list[Finding] = []
    try:
        bounded(lambda: _collect(check, case, found), limit)
    except Hung:
        # A copy: the thread that hangs may still add to the list.
        return [*found, _failed(check, f"it did not end within {limit:.0f} s", "try again; look at the cloud's API")]
    except CloudhaError as error:
        return [*found, _failed(check, error.cause, error.advice)]
    except Exception as error:  # noqa: BLE001 - one check's mistake must neither hide the others nor read as good
        said = one_line(str(error))
        return [*found, _failed(check, f"{type(error).__name__}: {said}", "report this with what you did")]
    return found


def _collect(check: Check, case: Case, found: list[Finding]) -> None:
    for finding in check.find(case):
        found.append(finding)  # noqa: PERF402 - one by one, since it may hang between two


def _failed(check: Check, why: str, mend: str) -> Finding:
    what = f"could not be looked at ({check.about}): {why}"
    return unknown(f"{check.name}.failed", what, "not looked at is not good", mend)
