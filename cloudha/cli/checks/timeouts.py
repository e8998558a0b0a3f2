"""Do the timeouts fit each other, what is recommended for the cloud, and how fast it answers now?

Pacemaker kills an agent at its timeout without warning. So the agent's own time must end before that, and there must be
enough of it for a slow request to be tried again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from cloudha.agents.fence_actions import ON_LEAST_SECONDS
from cloudha.cli.checks.case import Case
from cloudha.cli.checks.cib import Operation, Resource, seconds
from cloudha.cli.checks.finding import Finding, bad, good, warn
from cloudha.cli.checks.mending import change_operation
from cloudha.cli.checks.targets import AddressTarget, FenceTarget, Target
from cloudha.context import READ_SECONDS
from cloudha.deadline import operation_deadline
from cloudha.errors import CloudhaError
from cloudha.planning.times import address_times, fence_times

__all__ = ["find"]

# Pacemaker's own default of stonith-timeout, and of a stonith resource's monitor.
STONITH_SECONDS = 60.0
# The margin that the parameter's description asks for: for starting the agent, and the machine again.
POWER_MARGIN = 10.0
# Requests of one action when all goes well (find, ask, two looks; tokens of the first), rounded up.
REQUESTS = {"off": 8, "start": 6, "stop": 8, "monitor": 4}
# What its requests take now, this many times, is enough for an operation.
SLOW_TIMES = 3
# One request that hangs ends after READ_SECONDS; with less than this there is no time for another try.
SECOND_TRY_SECONDS = {"start": 20.0, "stop": 20.0, "monitor": 15.0}
FENCING_FAILS = (
    "Pacemaker kills the agent before it can confirm the power cut; the fencing fails, and the service waits"
)
FENCED = "a stop that is killed gets this node fenced"
EFFECT = {"start": "a start that is killed moves the service on", "stop": FENCED}
EFFECT["monitor"] = "a monitor that is killed restarts a healthy service"


def find(case: Case) -> Iterator[Finding]:
    """Look at every fence device and floating address."""
    for fence in case.fences:
        if fence.resource is not None:
            found = list(_fence(case, fence, fence.resource))
            yield from found or [_fit(fence)]
    for address in case.addresses:
        if address.resource is not None:
            found = [
                finding
                for name in ("start", "stop", "monitor")
                for finding in _operation(address, address.resource, address.resource.operation(name))
            ]
            yield from found or [_fit(address)]


def _fit(target: Target) -> Finding:
    measured = "" if target.latency is not None else " each other; how fast the cloud answers is not known"
    return good(f"timeouts.{target.label}", f"{target.label}: its timeouts fit{measured}")


def _fence(case: Case, target: FenceTarget, device: Resource) -> Iterator[Finding]:
    check = f"timeouts.{device.id}"
    try:
        standard = target.standard
    except CloudhaError as error:
        yield bad(check, f"{device.id}: {error.cause}", "the agent refuses to work with it", error.advice)
        return
    update = f"pcs stonith update {device.id}"
    own = standard.seconds("power_timeout")
    before = standard.seconds("delay")
    if not standard.flag("disable_timeout"):
        for action, after in (("off", 0.0), ("reboot", ON_LEAST_SECONDS)):
            allowed, name = _allowed(case, device, action)
            taken = f"{device.id}: {action} may take {own + before + after:g} s (power_timeout={own:g}"
            taken += f", delay={before:g}" if before else ""
            taken += f", starting again {after:g}" if after else ""
            taken += f"), and Pacemaker allows {allowed:g} s ({name})"
            enough = f"{update} pcmk_{action}_timeout={own + before + 2 * POWER_MARGIN:g}s"
            if own + before + after >= allowed:
                yield bad(f"{check}.{action}", taken, FENCING_FAILS, enough)
            elif own + before + POWER_MARGIN > allowed:
                yield warn(f"{check}.{action}", taken, f"on a loaded machine {FENCING_FAILS}", enough)
        yield from _slow(check, f"{device.id}: power_timeout", target, own, "off", f"{update} power_timeout=...")
        usual = fence_times(target.provider_name)
        if own < usual.power_timeout:
            what = f"{device.id}: power_timeout={own:g}, and {usual.power_timeout} is recommended: {usual.why}"
            why = "a stop that is accepted and takes longer counts as a failed fencing, and the service waits"
            long = f"{usual.pacemaker_timeout}s"
            mend = f"{update} power_timeout={usual.power_timeout} pcmk_off_timeout={long} pcmk_reboot_timeout={long}"
            yield warn(f"{check}.recommended", what, why, mend)
    yield from _monitor(check, device, standard.seconds("query_timeout"))


def _allowed(case: Case, device: Resource, action: str) -> tuple[float, str]:
    own = f"pcmk_{action}_timeout"
    for name, values in ((own, device.parameters), ("stonith-timeout", case.properties)):
        value = seconds(values.get(name, ""))
        if value is not None:
            return value, name
    return STONITH_SECONDS, "stonith-timeout, the default"


def _monitor(check: str, device: Resource, query: float) -> Iterator[Finding]:
    operation = device.operation("monitor")
    own = seconds(device.parameters.get("pcmk_monitor_timeout", ""))
    allowed = operation.timeout if own is None else own
    wanted = f"{query + POWER_MARGIN:g}s"
    if query >= allowed:
        yield warn(
            f"{check}.monitor",
            f"{device.id}: its monitor may take {query:g} s (query_timeout), and Pacemaker allows {allowed:g} s",
            "it is killed before it can say why it fails",
            f"pcs stonith update {device.id} pcmk_monitor_timeout={wanted}"
            if own is not None
            else change_operation(device, operation, timeout=wanted),
        )


def _operation(target: AddressTarget, resource: Resource, operation: Operation) -> Iterator[Finding]:
    name, allowed = operation.name, operation.timeout
    check = f"timeouts.{resource.id}.{name}"
    least = max(_usual(target, name), SECOND_TRY_SECONDS[name])
    needed = REQUESTS[name] * (target.latency or 0.0)
    changes = {"timeout": f"{max(allowed, least, math.ceil(SLOW_TIMES * needed)):g}s"}
    if name == "stop" and operation.on_fail in ("ignore", "block"):
        changes["on_fail"] = "fence"
    # One command for all that may be wrong with it: a second one would take the first one's change back.
    update = change_operation(resource, operation, **changes)
    said = f"{resource.id}: {name} has {allowed:g} s" + ("" if operation.explicit else ", Pacemaker's default")
    usable = operation_deadline(allowed).remaining
    if usable <= READ_SECONDS:
        say = warn if name == "monitor" else bad
        yield say(check, said, f"one slow request ({READ_SECONDS:g} s) uses it up: {EFFECT[name]}", update)
    elif allowed < least:
        why = f"for {target.provider_name} {least:g} s are recommended: {EFFECT[name]}"
        yield warn(check, said, why, update)
    yield from _slow(check, f"{resource.id}: {name}", target, usable, name, update)
    if name == "stop" and operation.on_fail in ("ignore", "block"):
        why = "the address may stay bound here while the service starts elsewhere"
        why = why if operation.on_fail == "ignore" else "after a failed stop the service is down until somebody comes"
        say = bad if operation.on_fail == "ignore" else warn
        yield say(f"{check}.on-fail", f"{resource.id}: stop has on-fail={operation.on_fail}", why, update)


def _usual(target: AddressTarget, name: str) -> float:
    """Return the seconds that are recommended for a start or stop in this cloud, 0 for a monitor."""
    if target.request is None:
        return 0.0
    times = address_times(target.provider_name, target.request.kind)
    return float({"start": times.start, "stop": times.stop}.get(name, 0))


def _slow(check: str, what: str, target: Target, usable: float, action: str, mend: str) -> Iterator[Finding]:
    """Hold the time that there is to what the requests of *action* take now."""
    if target.latency is None:
        return
    needed = target.latency * REQUESTS[action]
    text = f"{what} leaves {usable:g} s, and {REQUESTS[action]} requests now take {needed:.1f} s"
    if needed >= usable:
        yield bad(f"{check}.latency", text, EFFECT.get(action, FENCING_FAILS), mend)
    elif needed * 2 >= usable:
        yield warn(f"{check}.latency", text, f"little is left for tries: {EFFECT.get(action, FENCING_FAILS)}", mend)
