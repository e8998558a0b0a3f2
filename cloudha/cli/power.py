"""``cloudha off``, ``on`` and ``reboot``: the same way as fence_cloud, for a person who is asked first.

The cluster is not told. What is said to be off is as certain as for the cluster: see :mod:`cloudha.fencing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import click

from cloudha import fencing
from cloudha.audit import Outcome
from cloudha.cli.asking import confirm, dry_run_option, need_terminal, yes_option
from cloudha.cli.dry_run import power_calls, show_dry_run
from cloudha.cli.machines import find_nodes
from cloudha.cli.output import Output, cell, json_option
from cloudha.cli.settings import Cloud, provider_options
from cloudha.deadline import Deadline
from cloudha.errors import CloudhaError, Unconfirmed
from cloudha.host import Host
from cloudha.options import Audience
from cloudha.types import Node, PowerState, Purpose

__all__ = ["off", "on", "reboot"]

# As fence_cloud's stonith_status_sleep.
INTERVAL_SECONDS = 1.0
HOOKS = {"off": ("power_off",), "on": ("power_on",), "reboot": ("power_off", "power_on")}
EFFECTS = {
    "off": "its power is cut at once, without a shutdown",
    "on": "it is started",
    "reboot": "its power is cut at once, without a shutdown; then it is started",
}
TO_THE_CLUSTER = (
    "A cluster that the machine belongs to is not told: 'pcs stonith fence NODE' tells it, and does the same."
)
QUESTIONS = {"off": "Cut the power of", "on": "Start", "reboot": "Reboot"}
VERBS = {"power_off": ("cutting the power of", "off"), "power_on": ("starting", "on")}


def _options(verb: Callable[..., None]) -> Callable[..., None]:
    return click.argument("nodes", metavar="NODE...", nargs=-1, required=True)(
        provider_options(yes_option(dry_run_option(json_option(verb))))
    )


@click.command()
@_options
def off(output: Output, cloud: Cloud, nodes: tuple[str, ...], *, yes: bool, dry_run: bool) -> None:
    """Cut the power of every NODE (id, name or address), and see that it is off."""
    _switch(output, cloud, "off", nodes, yes=yes, dry_run=dry_run)


@click.command()
@_options
def on(output: Output, cloud: Cloud, nodes: tuple[str, ...], *, yes: bool, dry_run: bool) -> None:
    """Start every NODE (id, name or address), and see that it is on."""
    _switch(output, cloud, "on", nodes, yes=yes, dry_run=dry_run)


@click.command()
@_options
def reboot(output: Output, cloud: Cloud, nodes: tuple[str, ...], *, yes: bool, dry_run: bool) -> None:
    """Cut the power of every NODE, see that it is off, start it, and see that it is on.

    Off and on have --timeout seconds each.
    """
    _switch(output, cloud, "reboot", nodes, yes=yes, dry_run=dry_run)


def _switch(output: Output, cloud: Cloud, action: str, names: Sequence[str], *, yes: bool, dry_run: bool) -> None:
    if not (yes or dry_run):
        need_terminal(action)
    host = cloud.host(action, Audience.FENCE)
    host.require("list_nodes", "power_state", *HOOKS[action])
    with output.waiting(f"looking for {', '.join(names)}"):
        targets = find_nodes(host, names)
    plan = list(_plan(action, targets))
    document: dict[str, object] = {"provider": cloud.name, "action": action}
    if dry_run:
        calls = power_calls(host, HOOKS[action], names, targets)
        show_dry_run(output, host, {**document, "nodes": targets}, plan, calls, purpose=Purpose.FENCING)
        return
    if not yes:
        labels = ", ".join(node.label for node in targets)
        confirm(output, plan, f"{QUESTIONS[action]} {labels}?")
    began = Deadline(0)
    for hook in HOOKS[action]:
        _drive(output, cloud, host, hook, targets, already_off=hook == "power_on" and action == "reboot")
    state = VERBS[HOOKS[action][-1]][1]
    output.show(
        {
            **document,
            "nodes": [{"id": node.id, "name": node.name, "before": node.state, "state": state} for node in targets],
            "seconds": round(began.elapsed, 1),
        },
        *(cell(f"{node.label} is {state} (confirmed)") for node in targets),
    )


def _plan(action: str, targets: Sequence[Node]) -> Iterator[str]:
    for node in targets:
        yield f"{node.label}, now {node.state.value}: {EFFECTS[action]}"
        yield from (f"  warning: {text}" for text in node.warnings)
    if action != "on":
        yield TO_THE_CLUSTER


def _drive(output: Output, cloud: Cloud, host: Host, hook: str, targets: Sequence[Node], *, already_off: bool) -> None:
    """Do one half. What a person thought about before, or the first half took, is not counted."""
    doing, _ = VERBS[hook]
    labels = ", ".join(node.label for node in targets)
    host.go_on(Deadline(cloud.timeout))
    # What was read before a machine went off does not count for starting it.
    fresh = [node.replace(state=PowerState.OFF) for node in targets] if already_off else targets
    try:
        with output.waiting(f"{doing} {labels}"):
            if hook == "power_off":
                fencing.power_off(host, fresh, interval=INTERVAL_SECONDS)
            else:
                fencing.power_on(host, fresh, interval=INTERVAL_SECONDS)
    except KeyboardInterrupt:
        for node in targets:
            _log_interrupted(host, hook, node)
        raise host.placed(
            Unconfirmed(
                f"interrupted while {doing} it; the request may have been sent, and may still succeed",
                advice="look with: cloudha status NODE",
            ),
            labels,
        ) from None
    except CloudhaError as error:
        if isinstance(error, Unconfirmed):
            error.advice = "look with: cloudha status NODE; where it takes longer, give --timeout"
        if already_off:
            output.remark(f"{labels}: OFF IS CONFIRMED, BUT NOT THAT IT WAS STARTED AGAIN")
        raise error from None


def _log_interrupted(host: Host, hook: str, node: Node) -> None:
    host.audit(
        hook,
        outcome=Outcome.UNKNOWN,
        target=node.id,
        node=node,
        before=node.state.value,
        after="",
        seconds=host.deadline.elapsed,
    )
