"""Does the cloud answer, does it know us, and may we do what fencing and each kind of address need?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cloudha.cli.checks.answers import clock_offsets
from cloudha.cli.checks.case import Case
from cloudha.cli.checks.finding import Finding, bad, good, unknown
from cloudha.cli.checks.targets import AddressTarget, FenceTarget, Target
from cloudha.errors import AccessDenied, CloudhaError, Conflict, CredentialsMissing, NotFound, Unavailable
from cloudha.types import AccessReport, Kind, Purpose, Verdict

__all__ = ["find"]

# A healthy API answers at once; this leaves room to try again where it throttles.
PATIENCE_SECONDS = 8.0
NO_FAILOVER = "from this node nothing can be fenced or moved"


def find(case: Case) -> Iterator[Finding]:
    """Ask once for each purpose, kind of address and set of parameters; what differs in the address alone is one."""
    for group in case.groups():
        if isinstance(group[0], FenceTarget):
            yield from _asked(case, group, "fencing", Purpose.FENCING, Kind.PRIVATE)
        requests = [target.request for target in group if isinstance(target, AddressTarget)]
        for kind in dict.fromkeys(request.kind for request in requests if request):
            yield from _asked(case, group, f"{kind.value} addresses", Purpose.ADDRESSES, kind)


def _asked(case: Case, group: Sequence[Target], what: str, purpose: Purpose, kind: Kind) -> Iterator[Finding]:
    first = group[0]
    if not first.usable:
        return
    name = first.provider_name
    if not first.provider.implements("check_access"):
        where = f"permissions for {what} cannot be asked for: provider {name!r} has no check_access"
        yield unknown(f"access.{name}", where, "not looked at is not good", "try the agents by hand")
        return
    try:
        # A refusal has a date, too, and a wrong clock is a common reason for one. Any other error may have come after
        # an answer of the metadata service, whose clock is not the matter.
        with clock_offsets() as offsets:
            report = first.host(case.deadline.within(PATIENCE_SECONDS)).check_access(purpose, kind)
    except CloudhaError as error:
        if isinstance(error, AccessDenied) and not isinstance(error, CredentialsMissing):
            case.clock_offsets.setdefault(name, []).extend(offsets[-1:])
        yield _refused(case, group, what, error)
        return
    yield from _granted(name, what, report)


def _refused(case: Case, group: Sequence[Target], what: str, error: CloudhaError) -> Finding:
    name = group[0].provider_name
    if group[0].away is not None:
        return unknown(f"access.{name}", f"permissions for {what}: {error.cause}", "not looked at", error.advice)
    for target in group:
        target.away = error
    if isinstance(error, Unavailable):
        # Of the same API, other parameters would only show the same, and cost the time for the other checks.
        for other in case.targets():
            if other.provider_name == name and other.raw.get("endpoint") == group[0].raw.get("endpoint"):
                other.away = error
        cause = f"the API of {name} did not answer: {error.cause}"
        return bad(f"access.{name}.api", cause, NO_FAILOVER, error.advice)
    if isinstance(error, Conflict | NotFound):
        return unknown(f"access.{name}", f"permissions for {what}: {error.cause}", "not looked at", error.advice)
    word = "credentials" if isinstance(error, AccessDenied) else "parameters"
    return bad(f"access.{name}.{word}", f"{name}, {what}: {error.cause}", NO_FAILOVER, error.advice)


def _granted(name: str, what: str, report: AccessReport) -> Iterator[Finding]:
    if not report.permissions:
        where = f"{what}: the provider names no permission"
        yield unknown(f"access.{name}", where, "not looked at is not good", "report this to the provider's author")
    identity = f" (as {report.identity})" if report.identity else ""
    by_verdict = {verdict: [p for p in report.permissions if p.granted is verdict] for verdict in Verdict}
    for permission in by_verdict[Verdict.NO]:
        detail = f": {permission.detail}" if permission.detail else ""
        yield bad(
            f"access.{name}.permission",
            f"{what}: permission {permission.name} is missing{identity}{detail}",
            "the cloud will refuse it when it is needed",
            f"grant it; which are needed: cloudha describe {name}",
        )
    if by_verdict[Verdict.CANNOT_TELL]:
        names = ", ".join(permission.name for permission in by_verdict[Verdict.CANNOT_TELL])
        why = next((p.detail for p in by_verdict[Verdict.CANNOT_TELL] if p.detail), "")
        yield unknown(
            f"access.{name}.untried",
            f"{what}: whether these are granted cannot be told: {names}{identity}",
            f"only doing it shows it{f' ({why})' if why else ''}",
            f"in a quiet hour: pcs stonith fence NODE, pcs resource move RESOURCE; then --skip access.{name}.untried",
        )
    if by_verdict[Verdict.YES]:
        names = ", ".join(permission.name for permission in by_verdict[Verdict.YES])
        yield good(f"access.{name}", f"{what}: {names} granted{identity}")
