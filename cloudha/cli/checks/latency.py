"""How long does the cloud take for one read, now and from here?"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

from cloudha.cli.checks.answers import clock_offsets
from cloudha.cli.checks.case import Case
from cloudha.cli.checks.devices import plugs
from cloudha.cli.checks.finding import Finding, good, unknown_because, warn
from cloudha.cli.checks.targets import AddressTarget, FenceTarget, Target
from cloudha.errors import CloudhaError
from cloudha.types import AddressQuery, NodeQuery

__all__ = ["find"]

READS = 3
# One read takes a tenth of this from a neighbouring region; a fencing makes some half a dozen requests.
SLOW_SECONDS = 2.0


def find(case: Case) -> Iterator[Finding]:
    """Read three times by each way to the cloud, and keep the median for the timeouts and the dates for the clock."""
    for group in case.groups():
        target = group[0]
        if not target.usable:
            continue
        check = f"latency.{target.label}"
        try:
            median = _median(case, target)
        except CloudhaError as error:
            yield unknown_because(check, f"{target.label}: how long the cloud takes to answer", error)
            continue
        for member in group:
            member.latency = median
        text = f"{target.label}: {target.provider_name} answers in {median * 1000:.0f} ms (median of {READS})"
        if median > SLOW_SECONDS:
            why = "a fencing makes half a dozen requests, a start or stop as many"
            yield warn(check, text, why, "check the way to the API: endpoint, region, name service, firewalls")
        else:
            yield good(check, text)


def _median(case: Case, target: Target) -> float:
    read = _read(case, target)
    # The first one may fetch a token or resolve a name; the agents pay for that, too, but once in an action.
    took = []
    with clock_offsets() as offsets:
        for _ in range(READS):
            began = time.monotonic()
            read()
            took.append(time.monotonic() - began)
            # The last answer of a read is the API's; before it, the metadata service may have been asked.
            case.clock_offsets.setdefault(target.provider_name, []).extend(offsets[-1:])
            offsets.clear()
    return statistics.median(took)


def _read(case: Case, target: Target) -> Callable[[], object]:
    host = target.host(case.deadline)
    if isinstance(target, AddressTarget) and target.request:
        query = AddressQuery(target.request.kind, target.request.ip, case.me(target))
        return lambda: host.list_ips(query)
    node = NodeQuery(_some_plug(case, target) or None)
    return lambda: host.list_nodes(node)


def _some_plug(case: Case, target: Target) -> str:
    """Return a plug to ask for, so that the cost does not grow with the account."""
    if isinstance(target, FenceTarget) and target.resource:
        for name in case.member_names:
            for plug in plugs(target.resource, name):
                return plug
    return case.me(target)
