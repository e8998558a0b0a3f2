"""What a person can do with a lab. Plain functions: the command line and the tests call the same."""

from __future__ import annotations

import contextlib
import ipaddress
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import FrameType

from cloudha.lab import cleaning, cluster, control, power
from cloudha.lab.cluster import ClusterView
from cloudha.lab.disk import make_disk
from cloudha.lab.load_balancer import start_load_balancer, wait_routed
from cloudha.lab.network import Network, Scope
from cloudha.lab.nodes import run_in
from cloudha.lab.plan import FLOATING, Plan, make_plan
from cloudha.lab.requirements import check_machine
from cloudha.lab.software import build_layer
from cloudha.lab.state import LabState, open_lab
from cloudha.lab.witness import start_witness
from cloudha.types import IPAddress

__all__ = [
    "LabStatus",
    "NodeStatus",
    "Step",
    "cut",
    "down",
    "heal",
    "on",
    "partition",
    "removed_at_the_end",
    "standby",
    "status",
    "unstandby",
    "up",
]

ADDRESS = FLOATING[0]
FORM_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Step:
    """A step of ``up`` that is done, ``seconds`` after its begin; ``commands``: what was typed for it, if anything."""

    seconds: float
    text: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """One machine: its power, and how much of the network it has lost (None: nothing)."""

    name: str
    address: ipaddress.IPv4Address
    powered: bool
    partition: Scope | None


@dataclass(frozen=True, slots=True)
class LabStatus:
    """The lab from outside, and its cluster from inside (None when no node answers)."""

    plan: Plan
    nodes: tuple[NodeStatus, ...]
    routes: dict[IPAddress, str]
    control: bool
    cluster: ClusterView | None


def up(
    name: str = "lab",
    *,
    provider: str = "sim",
    address_provider: str = "",
    nodes: int = 2,
    setup: bool = True,
    report: Callable[[Step], None] = lambda _step: None,
) -> LabState:
    """Build the lab and return when its cluster has formed and, with *setup*, the address answers.

    *provider* fences; the address is floated by *address_provider*, by default the same. With ``lb-probe`` the lab has
    a load balancer. Whatever ends it early, SIGINT and SIGTERM included, removes what was built.

    :raises RequirementMissing: this machine cannot; the text says what to do.
    :raises LabError: the lab is up already, or it cannot be built.
    """
    plan = make_plan(name, provider, nodes, address_provider=address_provider)
    check_machine()
    control.load_factory(provider)
    if plan.balanced:
        control.check_provider(plan.address_provider)
    state = open_lab(name)
    begin = time.monotonic()

    def done(text: str, *commands: str) -> None:
        report(Step(time.monotonic() - begin, text, commands))

    with _removed_on_failure(state):
        state.create(plan)
        Network(state).create()
        build_layer(state.layer)
        for node in plan.nodes:
            make_disk(state.node(node.name).disk, plan, node.name)
        control.start_control(state)
        start_witness(state)
        if plan.balanced:
            start_load_balancer(state)
        balancer = ", and a load balancer" if plan.balanced else ""
        done(f"cloud and client are up, control plane of provider {provider} at {plan.endpoint}{balancer}")
        for_each(state, lambda node: power.give_power(state, node))
        done(f"{plan.count} nodes have power")
        cluster.wait_online(state, FORM_SECONDS, [node.name for node in plan.nodes])
        done("cluster formed: all nodes online, with quorum")
        if setup:
            typed = cluster.configure(state, ADDRESS)
            if plan.balanced:
                wait_routed(state)
            done(f"fencing is on, {ADDRESS} runs on {cluster.holder(state)}", *typed)
    return state


def for_each(state: LabState, act: Callable[[str], None]) -> None:
    """Do the same to all nodes at once, and raise the first error."""
    with ThreadPoolExecutor(max_workers=len(state.plan.nodes)) as pool:
        for future in [pool.submit(act, node.name) for node in state.plan.nodes]:
            future.result()


@contextlib.contextmanager
def _removed_on_failure(state: LabState) -> Iterator[None]:
    """Remove the lab when the block fails or is interrupted."""
    with _signals_raise():
        try:
            yield
        except BaseException:
            _ignore_signals()
            if state.created:
                cleaning.remove(state)
            raise


@contextlib.contextmanager
def removed_at_the_end(state: LabState) -> Iterator[None]:
    """Remove the lab after the block, however that ends."""
    with _signals_raise():
        try:
            yield
        finally:
            _ignore_signals()
            cleaning.remove(state)


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _ignore_signals() -> None:
    """Let nothing interrupt the removal."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """Turn the signals that end a program into an exception in the block."""
    main_thread = threading.current_thread() is threading.main_thread()

    def interrupted(number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    numbers = SIGNALS if main_thread else ()
    before = {number: signal.signal(number, interrupted) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def down(name: str = "lab") -> bool:
    """Remove the lab, whole or half built; return whether there was one."""
    return cleaning.remove(open_lab(name))


def status(state: LabState) -> LabStatus:
    """Return what the lab is like now."""
    plan = state.plan
    network = Network(state)
    cut_off = network.partitions()
    return LabStatus(
        plan=plan,
        nodes=tuple(
            NodeStatus(node.name, node.address, power.powered(state, node.name), cut_off.get(node.name))
            for node in plan.nodes
        ),
        routes=network.routes(),
        control=control.control_pid(state) is not None,
        cluster=cluster.any_view(state),
    )


def cut(state: LabState, node: str) -> None:
    """Cut the node's power, as if somebody pulled the plug: the cloud learns of it by itself or not at all."""
    state.plan.node(node)
    power.cut_power(state, node, "by hand")


def on(state: LabState, node: str) -> None:
    """Give the node power."""
    state.plan.node(node)
    power.give_power(state, node, "by hand")


def partition(state: LabState, node: str, scope: Scope = Scope.NODES) -> None:
    """Cut the node off from the other nodes, or from everything."""
    Network(state).partition(node, scope)
    state.note("partition", node, scope.value)


def heal(state: LabState, node: str | None = None) -> None:
    """End the partition of that node, None: every one."""
    if node is not None:
        state.plan.node(node)
    Network(state).heal(node)
    state.note("healed", node or "")


def standby(state: LabState, node: str) -> None:
    """Put the node on standby, as an administrator does: its resources move away, nobody is fenced."""
    state.note("standby", node)
    run_in(state, node, "pcs", "node", "standby", node, seconds=60)


def unstandby(state: LabState, node: str) -> None:
    """Let the node have resources again."""
    run_in(state, node, "pcs", "node", "unstandby", node, seconds=60)
    state.note("unstandby", node)
