"""Will a loss be noticed, soon enough and not at the price of the cloud's request limits?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from cloudha.cli.checks.case import Case
from cloudha.cli.checks.cib import Operation, Resource
from cloudha.cli.checks.devices import in_use
from cloudha.cli.checks.finding import Finding, good, warn
from cloudha.cli.checks.mending import change_operation, remove_operation
from cloudha.planning.times import Monitor, address_times, fence_times
from cloudha.types import Kind

__all__ = ["find"]

# Every monitor of a fence device is requests to the API on one node; accounts share a budget of them.
FENCE_LEAST_SECONDS = 30.0
# Beyond an hour, a revoked permission is found out by the failover rather than by a monitor.
FENCE_MOST_SECONDS = 3600.0
ADDRESS_MOST_SECONDS = 300.0
# Of the recommended interval: what is shorter than this spends the request limit for little.
FENCE_SHARE = 0.1
ADDRESS_SHARE = 0.5


def find(case: Case) -> Iterator[Finding]:
    """Look at the recurring monitors of every fence device and floating address."""
    if case.cib is None:
        return
    for device in in_use(case.cib):
        lost = "that it cannot fence any more (a revoked permission) shows at the next failover"
        times = fence_times(device.parameters.get("provider", ""))
        usual = Monitor(times.monitor_interval, times.monitor_timeout)
        least = max(FENCE_LEAST_SECONDS, usual.interval * FENCE_SHARE)
        yield from _intervals(device, least, max(FENCE_MOST_SECONDS, usual.interval), lost, usual)
    for resource in case.cib.addresses:
        lost = "that the address was lost is never noticed"
        usual = _address_monitor(resource)
        yield from _intervals(resource, usual.interval * ADDRESS_SHARE, ADDRESS_MOST_SECONDS, lost, usual)


def _address_monitor(resource: Resource) -> Monitor:
    text = resource.parameters.get("kind", "")
    kind = next((kind for kind in Kind if kind.value == text), Kind.PRIVATE)
    monitors = address_times(resource.parameters.get("provider", ""), kind).monitors
    return min(monitors, key=lambda monitor: monitor.interval)


def _intervals(resource: Resource, least: float, most: float, lost: str, usual: Monitor) -> Iterator[Finding]:
    check = f"monitors.{resource.id}"
    recurring = [op for op in resource.operations if op.name == "monitor" and op.interval > 0 and op.enabled]
    every = f"{usual.interval}s"
    if not recurring:
        add = change_operation(resource, Operation("monitor"), interval=every, timeout=f"{usual.timeout}s")
        yield warn(check, f"{resource.id} has no recurring monitor", lost, add)
        return
    fine = True
    for interval, count in Counter(op.interval for op in recurring).items():
        if count > 1:
            fine = False
            why = "Pacemaker knows operations by name and interval, and runs one of them only"
            last = [op for op in recurring if op.interval == interval][-1]
            what = f"{resource.id} has {count} monitors with interval {interval:g} s"
            yield warn(check, what, why, remove_operation(resource, last))
    most_often = min(recurring, key=lambda op: op.interval)
    shortest = most_often.interval
    # One command for all that is wrong with a monitor: a second one would take the first one's change back.
    mend = _mended(resource, most_often, interval=every)
    if shortest < least:
        fine = False
        why = "it spends the account's request limit, and a throttled API fails when it is needed"
        yield warn(check, f"{resource.id}: a monitor every {shortest:g} s", why, mend)
    if shortest > most:
        fine = False
        yield warn(check, f"{resource.id}: a monitor every {shortest:g} s only", f"until then {lost}", mend)
    for operation in recurring:
        if operation.on_fail == "ignore":
            fine = False
            what = f"{resource.id}: monitor has on-fail=ignore"
            beyond = operation == most_often and not least <= shortest <= most
            yield warn(check, what, lost, mend if beyond else _mended(resource, operation))
    if fine:
        yield good(check, f"{resource.id}: {' and '.join(_said(operation) for operation in recurring)}")


def _mended(resource: Resource, operation: Operation, **changes: str) -> str:
    ignored = {"on_fail": ""} if operation.on_fail == "ignore" else {}
    return change_operation(resource, operation, **changes, **ignored)


def _said(operation: Operation) -> str:
    level = f" (level {operation.level})" if operation.level not in ("", "0") else ""
    return f"a monitor every {operation.interval:g} s{level}"
