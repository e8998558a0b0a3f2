"""Making troubles in a lab, each in a thread of its own, and taking them away again."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Sequence

from chaos_plan import EVERYBODY, HOLDER, OTHER, Kind, Trouble
from chaos_processes import children, daemons, kill, words
from cloudha.lab import faults, power, verbs
from cloudha.lab.network import Scope
from cloudha.lab.nodes import run_in
from cloudha.lab.power import booted, powered, start_time
from cloudha.lab.problems import LabError
from cloudha.lab.state import LabState
from lab_plays import API

__all__ = ["lossless", "make", "make_all", "names"]

MOST_KILLS = 4
LOOK_SECONDS = 0.004
PARENTS = ("pacemaker-execd", "pacemaker-fenced")
LOSSLESS = ("tc", "qdisc", "delete", "dev", "eth0", "clsact")


def names(trouble: Trouble, nodes: Sequence[str], holder: str) -> list[str]:
    """Return the nodes that a trouble is about."""
    others = [node for node in nodes if node != holder]
    if trouble.whom == HOLDER:
        return [holder]
    if trouble.whom == EVERYBODY:
        return list(nodes)
    if trouble.whom.startswith(OTHER):
        return [others[int(trouble.whom.removeprefix(OTHER)) - 1]]
    return []


def make_all(state: LabState, plan: Sequence[Trouble], holder: str) -> list[str]:
    """Let all troubles of a round happen, return when the last is over, and tell what could not be done."""
    nodes = [node.name for node in state.plan.nodes]
    said: list[str] = []

    def one(trouble: Trouble) -> None:
        time.sleep(trouble.at)
        whom = names(trouble, nodes, holder)
        try:
            said.extend(make(state, trouble, whom))
        except LabError as error:
            # The other trouble was quicker: a node without power loses no packets.
            said.append(f"{trouble.kind.value}: {error}")

    threads = [threading.Thread(target=one, args=(trouble,), name=trouble.kind.value) for trouble in plan]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


def make(state: LabState, trouble: Trouble, whom: Sequence[str]) -> list[str]:
    """Let one trouble happen, and return after its end, with what is to be said of it.

    :raises LabError: it cannot, as things are.
    """
    match trouble.kind:
        case Kind.POWER:
            for node in whom:
                power.cut_power(state, node, "chaos")
        case Kind.ISOLATION | Kind.SPLIT:
            part(state, trouble, whom)
        case Kind.API | Kind.THROTTLE:
            throttled = trouble.kind is Kind.THROTTLE
            effect, after = ("throttle", trouble.amount) if throttled else (trouble.detail, None)
            faults.add_fault(state, API, effect, seconds=trouble.seconds, retry_after=after)
            time.sleep(trouble.seconds)
        case Kind.AGENTS:
            return kill_agents(state, trouble, whom)
        case Kind.DAEMON:
            return [kill_daemon(state, node, trouble.detail) for node in whom]
        case Kind.LOSS:
            lose_packets(state, trouble, whom)
    return []


def part(state: LabState, trouble: Trouble, whom: Sequence[str]) -> None:
    """Cut nodes off for a while."""
    scope = Scope.NODES if trouble.kind is Kind.SPLIT else Scope.EVERYTHING
    for node in whom:
        verbs.partition(state, node, scope)
    time.sleep(trouble.seconds)
    for node in whom:
        verbs.heal(state, node)


def kill_daemon(state: LabState, node: str, daemon: str) -> str:
    """Kill a daemon of the cluster."""
    pid = daemons(state, node).get(daemon, 0)
    if not pid or not kill(pid, start_time(pid)):
        return f"{daemon} does not run on {node}"
    state.note("killed", node, daemon)
    return f"{daemon} of {node} is killed"


def kill_agents(state: LabState, trouble: Trouble, whom: Sequence[str]) -> list[str]:
    """Kill the agent wherever it runs, each when it has run for a while, until time is up or it has been enough."""
    end = time.monotonic() + trouble.seconds
    said: list[str] = []
    parents: list[tuple[str, int]] = []
    look_again = 0.0
    seen: set[int] = set()
    while time.monotonic() < end and len(said) < MOST_KILLS:
        if time.monotonic() > look_again:
            running = {node: daemons(state, node) for node in whom}
            parents = [(node, own[p]) for node, own in running.items() for p in PARENTS if p in own]
            look_again = time.monotonic() + 1.0
        for node, parent in parents:
            for child in children(parent):
                argv = words(child)
                born = start_time(child)
                if child in seen or not any(word.endswith(f"/{trouble.detail}") for word in argv):
                    continue
                seen.add(child)
                time.sleep(trouble.amount)
                if kill(child, born):
                    action = argv[-1] if not argv[-1].endswith(trouble.detail) else ""
                    state.note("killed", node, f"{trouble.detail} {action}".strip())
                    said.append(f"{trouble.detail} {action} of {node} is killed")
        time.sleep(LOOK_SECONDS)
    return said or [f"no {trouble.detail} ran long enough"]


def lose_packets(state: LabState, trouble: Trouble, whom: Sequence[str]) -> None:
    """Let the NICs lose so many percent of all packets, in and out. Goes away with the node's power."""
    # netem would do the same, where the kernel has it. Classic BPF: load a random number; below the limit return 2
    # (TC_ACT_SHOT), else 0 (TC_ACT_OK).
    limit = math.floor(trouble.amount / 100 * 2**32)
    program = f"4,32 0 0 4294963256,53 0 1 {limit},6 0 0 0,6 0 0 2"
    for node in whom:
        with contextlib.suppress(LabError):  # it has just lost its power
            run_in(state, node, "tc", "qdisc", "replace", "dev", "eth0", "clsact")
            for direction in ("ingress", "egress"):
                run_in(state, node, "tc", "filter", "add", "dev", "eth0", direction, "bpf", "da", "bytecode", program)
            state.note("loses packets", node, f"{trouble.amount:g} %")
    time.sleep(trouble.seconds)
    lossless(state, whom)


def lossless(state: LabState, whom: Sequence[str]) -> None:
    """Let no NIC lose packets any more."""
    for node in whom:
        if powered(state, node) and booted(state.node(node)):
            with contextlib.suppress(LabError):
                run_in(state, node, *LOSSLESS, check=False)
