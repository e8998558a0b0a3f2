"""The order of a move: fencing is never absent, and no address leaves its node."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cloudha.options import TRUE_WORDS
from cloudha.planning.building import FLOATING_IP, FORGET_SECONDS, address_operations
from cloudha.planning.cib import Configuration, Constraint
from cloudha.planning.moving import ADDRESS_AGENT, Move
from cloudha.planning.old_agents import OLD
from cloudha.planning.script import one_push, whole_or_not
from cloudha.planning.steps import Step, carry, pcs, shell_lines
from cloudha.planning.times import address_times, fence_times
from cloudha.types import Kind

__all__ = ["Part", "parts"]

GOOD = "all three looks at the end are good. If not, stay in maintenance mode: the services run on meanwhile"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the way, to be run on its own: what is typed, and which steps change the configuration.

    ``check`` says what must be true before the next part.
    """

    title: str
    lines: tuple[str, ...]
    steps: tuple[Step, ...]
    check: str


def parts(configuration: Configuration, moves: Sequence[Move]) -> list[Part]:
    """Return the parts for the moves that have nothing open, fencing first."""
    ready = [move for move in moves if not move.open]
    fencing = [move for move in ready if move.fences]
    seamless = [move for move in ready if not move.fences and not move.agent.restart]
    restarting = [move for move in ready if not move.fences and move.agent.restart]
    way = []
    fresh = [move for move in fencing if not move.begun]
    if fresh:
        way.append(_new_devices(configuration, fresh))
    if fencing:
        way += [_test(configuration), _old_devices(configuration, fencing)]
    way += _unfinished(configuration)
    if seamless:
        way += _addresses(configuration, seamless)
    if restarting:
        way.append(_restart(configuration, restarting))
    return way


def _new_devices(configuration: Configuration, moves: Sequence[Move]) -> Part:
    steps = []
    for move in moves:
        times = fence_times(move.agent.provider)
        words = [f"{name}={value}" for name, value in move.parameters.items()]
        meta = {"failure-timeout": f"{FORGET_SECONDS}s", **move.meta}
        steps.append(
            pcs(
                f"Beside {move.old[0].name}, which stays until the new one was tried.",
                *("stonith", "create", move.name, "fence_cloud", *words),
                *("op", "monitor", f"interval={times.monitor_interval}s", f"timeout={times.monitor_timeout}s"),
                *("meta", *(f"{name}={value}" for name, value in meta.items())),
            )
        )
        steps += [carry(one.old, one.parameter, move.name, one.name) for one in move.carried]
    steps += _levels(configuration, moves)
    names = ", ".join(move.name for move in moves)
    return Part(
        "create the new fencing beside the old",
        tuple(whole_or_not(one_push(steps))),
        tuple(steps),
        f"'pcs status' shows {names} Started, and no failed action",
    )


def _levels(configuration: Configuration, moves: Sequence[Move]) -> list[Step]:
    """Return the steps that let the new device fence first, and the old one when that fails, while both are there."""
    if configuration.levels:
        return []
    steps = []
    for node in configuration.nodes:
        aimed = [move for move in moves if _fences(move, node)]
        for number, name in enumerate([move.name for move in aimed] + [move.old[0].name for move in aimed], 1):
            steps.append(
                pcs(
                    f"{node} is fenced by the new device first, by the old one when that fails.",
                    *("stonith", "level", "add", str(number), node, name),
                )
            )
    return steps


def _fences(move: Move, node: str) -> bool:
    """Say whether the device is for that node; without a list it asks the cloud, and may be for every one."""
    listed = re.split(r"[\s,;]+", move.parameters.get("pcmk_host_list", ""))
    listed += [pair.partition(":")[0] for pair in re.split(r"[\s;]+", move.parameters.get("pcmk_host_map", ""))]
    names = [name for name in listed if name]
    return node in names if names else True


def _test(configuration: Configuration) -> Part:
    nodes = configuration.nodes or ("NODE",)
    return Part(
        "try it, when every node may be restarted once",
        (
            "# On every node, with the parameters of the new device; access, metadata and machines are to be good:",
            "#   cloudha doctor",
            "# Then, one after the other, each when the one before is back. What runs on a node moves away from it:",
            *(f"#   pcs stonith fence {node}" for node in nodes),
            "#   pcs stonith history show",
        ),
        (),
        "every node was fenced once and came back; 'journalctl -t cloudha' on the others has a line for each",
    )


def _old_devices(configuration: Configuration, moves: Sequence[Move]) -> Part:
    steps = [
        pcs("The new device has fenced; pcs stops the old one, then removes it.", "stonith", "delete", move.old[0].name)
        for move in moves
    ]
    if _levels(configuration, moves) or any(move.begun for move in moves):
        steps.append(pcs("One device for each node needs no levels.", "stonith", "level", "clear"))
    lines = [line for step in steps for line in ("", *shell_lines(step, "pcs"))]
    return Part(
        "remove the old fencing",
        tuple(whole_or_not(lines[1:])),
        tuple(steps),
        "'pcs stonith status' shows the new devices",
    )


def _create(configuration: Configuration, move: Move) -> list[Step]:
    """Return the steps that put the new resource in the old one's place, constraints included, and delete the old."""
    kind = Kind(move.parameters.get("kind", "private"))
    times = address_times(move.agent.provider, kind)
    first = move.old[0]
    order = [one.name for one in configuration.primitives]
    # Where the first of them is: services between them may bind to the address.
    grouped = min((old for old in move.old if old.group), key=lambda old: order.index(old.name), default=first)
    words = [f"{name}={value}" for name, value in move.parameters.items()]
    meta = {"failure-timeout": f"{FORGET_SECONDS}s", **move.meta}
    steps = [
        pcs(
            f"In the place of {' and '.join(old.name for old in move.old)}.",
            *(
                "resource",
                "create",
                move.name,
                FLOATING_IP,
                *words,
                "--no-default-ops",
                "op",
                *address_operations(times),
            ),
            *("meta", *(f"{name}={value}" for name, value in meta.items())),
            *(("--group", grouped.group, "--before", grouped.name) if grouped.group else ()),
        )
    ]
    olds = {old.name for old in move.old}
    for constraint in configuration.constraints:
        if constraint.plain and constraint.names & olds:
            steps += _same_constraint(constraint, olds, move.name)
    for old in move.old:
        # Forced: on a draft pcs stops nothing, and asks no cluster.
        steps.append(
            pcs("The configuration only; what runs is not touched.", "resource", "delete", old.name, "--force")
        )
    return steps


def _same_constraint(constraint: Constraint, olds: set[str], new: str) -> list[Step]:
    at = {key: new if value in olds else value for key, value in constraint.attributes.items()}
    why = f"As {at.get('id', 'before')}, for the new resource."
    score = at.get("score", "INFINITY")
    if constraint.kind == "rsc_location" and "node" in at:
        return [pcs(why, "constraint", "location", at["rsc"], "prefers", f"{at['node']}={score}")]
    if constraint.kind == "rsc_colocation" and at.get("rsc") != at.get("with-rsc"):
        roles = [at.get("rsc-role", ""), at.get("with-rsc-role", "")]
        words = [word for word in (roles[0], at["rsc"], "with", roles[1], at["with-rsc"], f"score={score}") if word]
        return [pcs(why, "constraint", "colocation", "add", *words)]
    if constraint.kind == "rsc_order" and at.get("first") != at.get("then"):
        words = [at.get("first-action", "start"), at["first"], "then", at.get("then-action", "start"), at["then"]]
        words += [f"{key}={at[key]}" for key in ("kind", "symmetrical") if key in at]
        return [pcs(why, "constraint", "order", *words)]
    return []


def _addresses(configuration: Configuration, moves: Sequence[Move]) -> list[Part]:
    steps = tuple(step for move in moves for step in _create(configuration, move))
    if "resource-stickiness" not in configuration.defaults:
        why = "Without it the cluster may find another node better when maintenance mode ends, and move everything."
        steps = (pcs(why, "resource", "defaults", "update", "resource-stickiness=100"), *steps)
    olds = [old.name for move in moves for old in move.old]
    news = [move.name for move in moves]
    lines = [
        "# Nothing is started, stopped or repaired from here on: the address stays where it is.",
        "pcs property set maintenance-mode=true",
        "crm_resource --wait",
        "",
        *one_push(steps),
        "",
        *_forget(olds),
        "",
        *_looks(news, olds),
    ]
    return [Part("exchange the addresses in maintenance mode", tuple(whole_or_not(lines)), steps, GOOD), _leave(news)]


def _unfinished(configuration: Configuration) -> list[Part]:
    """Return what is left of an exchange that ended after its push, as with the connection to the node."""
    olds = [one.name for one in configuration.orphans if one.agent in OLD or one.agent == ADDRESS_AGENT]
    news = [one.name for one in configuration.primitives if one.agent == FLOATING_IP]
    if not olds or not news or configuration.properties.get("maintenance-mode", "").lower() not in TRUE_WORDS:
        return []
    lines = ["work=$(mktemp -d) && trap 'rm -rf \"$work\"' EXIT", *_forget(olds), "", *_looks(news, olds)]
    return [Part("finish the exchange that was begun", tuple(whole_or_not(lines)), (), GOOD), _leave(news)]


def _forget(olds: Sequence[str]) -> list[str]:
    return [
        "# Forget the old resources, or the cluster would stop them at the end, and with them the address.",
        *(f"crm_resource --refresh --resource {name} --force" for name in olds),
        "crm_resource --wait",
    ]


def _looks(news: Sequence[str], olds: Sequence[str]) -> list[str]:
    histories = "|".join(map(re.escape, olds))
    return [
        "# Each was found running, on the node that has the address:",
        *(f"crm_resource --locate --resource {name}" for name in news),
        "# This prints nothing; else repeat the refresh above:",
        f"cibadmin --query --scope status | grep -E '<lrm_resource .*id=\"({histories})\"' || :",
        "# What the cluster would do without maintenance mode: nothing is stopped, moved or restarted:",
        'cibadmin --query > "$work/look.xml"',
        'pcs -f "$work/look.xml" property unset maintenance-mode',
        'crm_simulate --simulate --xml-file "$work/look.xml" | sed -n "/Transition Summary/,/Revised/p"',
    ]


def _leave(news: Sequence[str]) -> Part:
    check = f"'pcs status' shows {', '.join(news)} Started where the addresses are, and no failed action"
    return Part("leave maintenance mode", ("pcs property unset maintenance-mode",), (), check)


def _restart(configuration: Configuration, moves: Sequence[Move]) -> Part:
    steps = tuple(step for move in moves for step in _create(configuration, move))
    # Its address was found by the group, so it is in one.
    groups = dict.fromkeys(move.old[0].group for move in moves)
    lines = [
        "# Both answer on the same port, so that one must end before the other begins: the service is interrupted.",
        *whole_or_not([f"pcs resource disable {' '.join(groups)} --wait=600", "", *one_push(steps)]),
        "",
        "# Whatever came of it: if nothing was exchanged, the old one starts again.",
        f"pcs resource enable {' '.join(groups)} --wait=600",
    ]
    return Part(
        f"exchange what answers the load balancer ({', '.join(groups)} is interrupted)",
        tuple(lines),
        steps,
        "'pcs status' shows everything Started, and the load balancer's probe succeeds on that node",
    )
