"""The cluster in the nodes: waiting for it, asking it, and setting it up as an administrator does."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from cloudha.lab import control
from cloudha.lab.nodes import run_in
from cloudha.lab.plan import PROBE_PORT
from cloudha.lab.power import booted, powered
from cloudha.lab.problems import LabError, NotReady
from cloudha.lab.programs import poll
from cloudha.lab.state import LabState
from cloudha.types import IPAddress

__all__ = ["ClusterView", "configure", "holder", "setup_commands", "view", "wait_idle", "wait_online"]

VIP = "vip"
FENCE = "fence"
DRAFT, BEFORE = "/root/lab.xml", "/root/before.xml"


@dataclass(frozen=True, slots=True)
class ClusterView:
    """The cluster as one of its nodes sees it.

    ``online``: nodes that joined; ``running``: resource to the nodes where it is active; ``failed``: resource
    operations that failed, one line each.
    """

    seen_from: str
    quorate: bool
    dc: str
    online: tuple[str, ...]
    running: dict[str, tuple[str, ...]]
    failed: tuple[str, ...]


def runs(resource: ET.Element) -> bool:
    """Whether it runs now.

    One that is starting is listed as active, too, with what is pending beside it, and so is one that could not start.
    """
    return resource.get("active") == "true" and resource.get("failed") != "true" and not resource.get("pending")


def view(state: LabState, name: str) -> ClusterView:
    """Ask the node *name* for its view.

    :raises LabError: it has no power, or its cluster does not answer.
    """
    text = run_in(state, name, "crm_mon", "-1", "--output-as=xml", "--inactive", seconds=10).out
    try:
        root = ET.fromstring(text)  # noqa: S314  # the cluster's own program, in a node of ours
    except ET.ParseError:
        raise LabError(f"{name}: crm_mon gives no XML") from None
    dc = root.find("summary/current_dc")
    running: dict[str, tuple[str, ...]] = {}
    for resource in root.iter("resource"):
        nodes = [str(node.get("name")) for node in resource.findall("node")]
        key = str(resource.get("id"))
        running[key] = (*running.get(key, ()), *(nodes if runs(resource) else ()))
    failed = [
        f"{item.get('op_key')} on {item.get('node')}: {item.get('exitstatus')} {item.get('exitreason') or ''}".strip()
        for item in root.iterfind("failures/failure")
    ]
    return ClusterView(
        seen_from=name,
        quorate=dc is not None and dc.get("with_quorum") == "true",
        dc=str(dc.get("name") or "") if dc is not None else "",
        online=tuple(
            str(node.get("name"))
            for node in root.iterfind("nodes/node")
            if node.get("online") == "true" and node.get("pending") == "false" and node.get("unclean") == "false"
        ),
        running=running,
        failed=tuple(failed),
    )


def any_view(state: LabState) -> ClusterView | None:
    """Return the view of the first node that has quorum and answers; without one, of any that answers."""
    second = None
    for node in state.plan.nodes:
        if booted(state.node(node.name)):
            try:
                seen = view(state, node.name)
            except LabError:
                continue  # just booting or just dying; another one may know
            if seen.quorate:
                return seen
            second = second or seen
    return second


def holder(state: LabState, resource: str = VIP) -> str | None:
    """Return the node on which the cluster says the resource runs, None when nowhere or in two places."""
    seen = any_view(state)
    nodes = seen.running.get(resource, ()) if seen else ()
    return nodes[0] if len(nodes) == 1 else None


def wait_online(state: LabState, seconds: float = 60.0, nodes: Sequence[str] = ()) -> None:
    """Wait until each of *nodes* (by default all that have power) sees all of them online, with quorum.

    :raises NotReady: not within *seconds*.
    """

    def all_online() -> bool:
        wanted = set(nodes or [n.name for n in state.plan.nodes if powered(state, n.name)])
        if not wanted:
            return False
        for name in sorted(wanted):
            if not booted(state.node(name)):
                return False
            try:
                seen = view(state, name)
            except LabError:
                return False
            if not seen.quorate or not wanted <= set(seen.online):
                return False
        return True

    if not poll(all_online, seconds, every=0.2):
        raise NotReady(f"lab {state.name}: the cluster did not form within {seconds:g} s; try: cloudha lab logs")


def wait_idle(state: LabState, seconds: float = 60.0) -> None:
    """Wait until the cluster has nothing left to do.

    :raises NotReady: not within *seconds*.
    """
    seen = any_view(state)
    if seen is None:
        raise NotReady(f"lab {state.name}: no node answers")
    limit = str(int(seconds))
    done = run_in(
        state, seen.seen_from, "crm_resource", "--wait", "--timeout", limit, seconds=seconds + 10, check=False
    )
    if not done.ok:
        raise NotReady(f"the cluster is still busy after {seconds:g} s: {' '.join(done.err.split())}")


def setup_commands(state: LabState, ip: IPAddress) -> list[list[str]]:
    """Return the commands that set the cluster up: fencing and one address, as typed on a node."""
    agent = [f"{key}={value}" for key, value in control.options(state).items()]
    names = " ".join(node.name for node in state.plan.nodes)
    draft = ["pcs", "-f", DRAFT]
    # A failed monitor of the fencing (the API was away) is forgotten after a while: nobody has to clean it up.
    fence_ops = ["op", "monitor", "interval=60s", "timeout=20s", "meta", "failure-timeout=30s"]
    address = [f"ip={ip}", "nic=eth0", f"cidr_netmask={ip.max_prefixlen}"]
    floats = agent
    if state.plan.balanced:
        floats = [f"provider={state.plan.address_provider}", f"probe_port={PROBE_PORT}"]
    ops = ["op", "start", "timeout=30s", "op", "stop", "timeout=30s"]
    # Every 5 s what the node itself can see; every 7 s what the cloud says.
    ops += ["op", "monitor", "interval=5s", "timeout=20s"]
    ops += ["op", "monitor", "interval=7s", "timeout=20s", "OCF_CHECK_LEVEL=10"]
    commands = [
        ["pcs", "cluster", "cib", DRAFT],
        ["cp", DRAFT, BEFORE],
        [*draft, "resource", "defaults", "update", "resource-stickiness=100"],
    ]
    if state.plan.count == 2:
        # Both sides of a split can fence: the node that has the address (priority 10) gets a head start.
        delay = f"priority-fencing-delay={state.plan.priority_fencing_delay}s"
        commands.append([*draft, "property", "set", delay])
    return [
        *commands,
        [*draft, "stonith", "create", FENCE, "fence_cloud", *agent, f"pcmk_host_list={names}", *fence_ops],
        [*draft, "resource", "create", VIP, "ocf:cloudha:floating-ip", *floats, *address, *ops, "meta", "priority=10"],
        ["pcs", "cluster", "cib-push", DRAFT, f"diff-against={BEFORE}"],
    ]


def configure(state: LabState, ip: IPAddress) -> list[str]:
    """Set the cluster up on the first node, wait until the address runs, and return the commands as typed.

    :raises LabError: a command fails; the text is what it said.
    :raises NotReady: the resources do not start.
    """
    first = state.plan.nodes[0].name
    typed = []
    for command in setup_commands(state, ip):
        run_in(state, first, *command, seconds=60)
        typed.append(shlex.join(command))
    if not poll(lambda: holder(state) is not None and holder(state, FENCE) is not None, 60, every=0.2):
        seen = any_view(state)
        raise NotReady(f"the resources do not start: {'; '.join(seen.failed) if seen else 'no node answers'}")
    return typed
