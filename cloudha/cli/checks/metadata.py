"""Does the machine's metadata service answer, and does it know which machine this is?"""

from __future__ import annotations

from collections.abc import Iterator

from cloudha.cli.checks.case import Case
from cloudha.cli.checks.finding import Finding, bad, good, unknown, warn
from cloudha.cli.checks.targets import Target
from cloudha.errors import CloudhaError, Unavailable

__all__ = ["find"]

PATIENCE_SECONDS = 3.0


def find(case: Case) -> Iterator[Finding]:
    """Ask it once for each provider."""
    seen: set[str] = set()
    for group in case.groups():
        target = group[0]
        if target.provider_name not in seen and target.usable and target.provider.implements("local_node"):
            seen.add(target.provider_name)
            yield _asked(case, target)


def _asked(case: Case, target: Target) -> Finding:
    name = target.provider_name
    check = f"metadata.{name}"
    try:
        # The metadata service is no part of the API: an API that is away says nothing about it.
        host = target.connected
        host.go_on(case.deadline)
        node = host.local_node(min(PATIENCE_SECONDS, case.deadline.remaining))
    except CloudhaError as error:
        return _silent(case, target, check, error)
    case.local[name] = node
    return good(check, f"this machine is {node.label}")


def _silent(case: Case, target: Target, check: str, error: CloudhaError) -> Finding:
    what = f"the metadata service does not say which machine this is: {error.cause}"
    addresses = [t for t in case.addresses if t.provider_name == target.provider_name and t.request]
    nameless = [t.label for t in addresses if t.request and not t.request.node]
    if case.from_file:
        mend = "run cloudha doctor on each node, or --skip metadata"
        return unknown(check, what, "this machine need not be a node of the cluster", mend)
    # What does not answer advises to look at the API, which this is not.
    mend = "" if isinstance(error, Unavailable) else error.advice
    mend = mend or "check that this machine may use it, the route to it, firewalls and proxies"
    if nameless:
        why = f"{', '.join(nameless)} cannot start here, nor answer a monitor while the API is away"
        return bad(check, what, why, mend)
    return warn(check, what, "monitors have no local evidence while the API is away", mend)
