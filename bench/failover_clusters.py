"""The clusters of ``failover.py``: who fences and who floats the address, and the settings that are varied."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import boto3

from cloudha.lab import cluster, control, faults, verbs
from cloudha.lab.disk import corosync_conf
from cloudha.lab.nodes import run_in
from cloudha.lab.problems import LabError, NotReady
from cloudha.lab.programs import PATH, poll
from cloudha.lab.state import LabState
from failover_clouds import endpoint, instances

__all__ = ["CONTESTANTS", "USUAL", "Contestant", "Settings", "apply", "set_up", "totem"]

TREE = Path(__file__).resolve().parents[1]
ADDRESS = str(verbs.ADDRESS)
# What is on the NIC, for every contestant: cluster.holder() looks for it.
VIP = "vip"
FENCE = "fence"
SETTLE_SECONDS = 60.0


@dataclass(frozen=True)
class Contestant:
    """``key``: its letter on the command line; ``provider``: of the lab, see :mod:`failover_clouds`."""

    key: str
    title: str
    provider: str
    ours: bool = True


CONTESTANTS = (
    Contestant("a", "fence_cloud + floating-ip, simulated cloud", "bench-sim"),
    Contestant("b", "fence_cloud + floating-ip, AWS", "bench-aws"),
    Contestant("c", "fence_aws + awsvip + IPaddr2, AWS", "bench-aws", ours=False),
)


@dataclass(frozen=True)
class Settings:
    """What is varied. Seconds, but for corosync's: milliseconds there. ``consensus_ms`` 0: corosync's own 1.2 * token.

    ``cluster``, ``fence``: more properties and more parameters, as pcs takes them. ``monitor``: the address's interval.
    """

    token_ms: int = 1000
    consensus_ms: int = 0
    priority_fencing_delay: int = 2
    fence: tuple[str, ...] = ()
    cluster: tuple[str, ...] = ()
    monitor: int = 5
    deeper_monitor: bool = True
    stickiness: int = 100
    preferred: str = ""
    nodes: int = 2


# What `pcs cluster setup` makes: corosync's own token (corosync.conf(5)); the lab's is shorter, to be quick.
USUAL = Settings(token_ms=3000)


def set_up(state: LabState, contestant: Contestant, settings: Settings) -> None:
    """Set the contestant's cluster up in a lab that is up, and wait until it runs.

    :raises LabError: it does not work.
    """
    if not contestant.ours:
        _lay_out_for_others(state)
    for command in _commands(state, contestant, settings):
        run_in(state, "node1", *command, seconds=60)
    if not poll(lambda: _runs(state), SETTLE_SECONDS, every=0.2):
        seen = cluster.any_view(state)
        raise NotReady(f"the resources do not start: {'; '.join(seen.failed) if seen else 'no node answers'}")
    if settings.token_ms != state.plan.token_ms or settings.consensus_ms:
        _set_totem(state, settings)


def _runs(state: LabState) -> bool:
    return cluster.holder(state, VIP) is not None and cluster.holder(state, FENCE) is not None


def _lay_out_for_others(state: LabState) -> None:
    """Write on the nodes' disks what the other agents need: where the API is, who they are, and an SDK that reads it.

    Debian's own SDK knows no endpoint from a file; Python finds that of this environment as root's.
    """
    given = control.options(state)
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = Path(boto3.__file__).parents[1]
    files = {
        ".aws/config": f"[default]\nregion = {given['region']}\nendpoint_url = {endpoint()}\n",
        ".aws/credentials": (
            f"[default]\naws_access_key_id = {given['access_key']}\naws_secret_access_key = {given['secret_key']}\n"
        ),
        f".local/lib/{python}/site-packages/sdk.pth": f"{library}\n",
    }
    for node in state.nodes:
        for name, text in files.items():
            file = node.disk / "root" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o600)
        run_in(state, node.name, _command_line(), "--version")


def _command_line() -> str:
    """Return the AWS command line.

    :raises LabError: there is none.
    """
    # Not one below /root: nodes have a /root of their own.
    found = shutil.which("aws", path=os.pathsep.join([str(TREE / ".venv" / "awscli" / "bin"), PATH]))
    if found is None:
        raise LabError("awsvip needs the AWS command line; make it with: make .venv/awscli/.done")
    return found


def _commands(state: LabState, contestant: Contestant, settings: Settings) -> list[list[str]]:
    """Return what is typed to set the cluster up."""
    draft = "/root/bench.xml"
    pcs = ["pcs", "-f", draft]
    ours = contestant.ours
    fence = [*(_our_fence(state) if ours else _their_fence(state)), *settings.fence]
    ops = ["op", "monitor", "interval=60s", "timeout=20s", "meta", "failure-timeout=30s"]
    return [
        ["pcs", "cluster", "cib", draft],
        ["cp", draft, f"{draft}.before"],
        [*pcs, "resource", "defaults", "update", f"resource-stickiness={settings.stickiness}"],
        *[[*pcs, "property", "set", pair] for pair in _properties(settings)],
        [*pcs, "stonith", "create", FENCE, *fence, *ops],
        *[[*pcs, *command] for command in (_our_address(state, settings) if ours else _their_address())],
        *([[*pcs, "constraint", "location", VIP, "prefers", f"{settings.preferred}=50"]] if settings.preferred else []),
        ["pcs", "cluster", "cib-push", draft, f"diff-against={draft}.before"],
    ]


def _properties(settings: Settings) -> list[str]:
    return [f"priority-fencing-delay={settings.priority_fencing_delay}s", *settings.cluster]


def _our_fence(state: LabState) -> list[str]:
    names = " ".join(node.name for node in state.plan.nodes)
    return ["fence_cloud", *_parameters(state), f"pcmk_host_list={names}"]


def _our_address(state: LabState, settings: Settings) -> list[list[str]]:
    address = [f"ip={ADDRESS}", "nic=eth0", "cidr_netmask=32"]
    ops = ["op", "start", "timeout=30s", "op", "stop", "timeout=30s"]
    ops += ["op", "monitor", f"interval={settings.monitor}s", "timeout=20s"]
    if settings.deeper_monitor:
        ops += ["op", "monitor", "interval=7s", "timeout=20s", "OCF_CHECK_LEVEL=10"]
    agent = ["ocf:cloudha:floating-ip", *_parameters(state), *address]
    return [["resource", "create", VIP, *agent, *ops, "meta", "priority=10"]]


def _parameters(state: LabState) -> list[str]:
    return [f"{key}={value}" for key, value in control.options(state).items()]


def _their_fence(state: LabState) -> list[str]:
    given = control.options(state)
    truth = faults.admin(state, "GET", "truth")
    plugs = ";".join(f"{name}:{instance}" for name, instance in sorted(instances(truth).items()))
    keys = [f"{key}={given[key]}" for key in ("region", "access_key", "secret_key")]
    return ["fence_aws", *keys, f"pcmk_host_map={plugs}"]


def _their_address() -> list[list[str]]:
    """Return a group, first the cloud's side and then the NIC's: as the vendors' documentation has it."""
    cloud = ["ocf:heartbeat:awsvip", f"secondary_private_ip={ADDRESS}", f"awscli={_command_line()}"]
    nic = ["ocf:heartbeat:IPaddr2", f"ip={ADDRESS}", "nic=eth0", "cidr_netmask=32"]
    group = ["--group", "address"]
    return [
        ["resource", "create", f"{VIP}-cloud", *cloud, "op", "monitor", "interval=20s", "timeout=30s", *group],
        ["resource", "create", VIP, *nic, "op", "monitor", "interval=10s", "timeout=20s", *group],
        ["resource", "meta", "address", "priority=10"],
    ]


def apply(state: LabState, old: Settings, new: Settings) -> None:
    """Change a running cluster of ours from *old* to *new* settings.

    :raises LabError: a command fails, or corosync does not take its new settings.
    """
    for pair in _properties(old)[1:]:
        run_in(state, "node1", "pcs", "property", "set", "--force", f"{pair.partition('=')[0]}=", seconds=60)
    for pair in _properties(new):
        run_in(state, "node1", "pcs", "property", "set", pair, seconds=60)
    gone = [f"{pair.partition('=')[0]}=" for pair in old.fence]
    if gone or new.fence:
        run_in(state, "node1", "pcs", "stonith", "update", FENCE, *gone, *new.fence, seconds=60)
    _set_totem(state, new)


def _set_totem(state: LabState, settings: Settings) -> None:
    plan = dataclasses.replace(state.plan, token_ms=settings.token_ms)
    text = corosync_conf(plan)
    if settings.consensus_ms:
        text = text.replace("    token: ", f"    consensus: {settings.consensus_ms}\n    token: ", 1)
    for node in state.nodes:
        (node.disk / "etc/corosync/corosync.conf").write_text(text)
    run_in(state, "node1", "corosync-cfgtool", "-R")
    wanted = {"token": settings.token_ms, "consensus": settings.consensus_ms or settings.token_ms * 12 // 10}
    for name in (node.name for node in state.plan.nodes):
        if not poll(lambda name=name: wanted.items() <= totem(state, name).items(), 5.0):  # type: ignore[misc]
            raise NotReady(f"{name}: corosync runs with {totem(state, name)}, not {wanted}")


def totem(state: LabState, node: str) -> dict[str, int]:
    """Return the timeouts that corosync runs with there, in milliseconds."""
    found: dict[str, int] = {}
    for line in run_in(state, node, "corosync-cmapctl", "runtime.config.totem.").out.splitlines():
        key, _, value = line.partition(" = ")
        name = key.split(" ")[0].rpartition(".")[2]
        if value.isdecimal():
            found[name] = int(value)
    return found
