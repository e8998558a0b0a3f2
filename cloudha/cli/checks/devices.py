"""Is there a fence device of ours for each node, and for each node a machine of its own?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from cloudha.cli.checks.case import Case
from cloudha.cli.checks.cib import Cib, Resource
from cloudha.cli.checks.finding import Finding, bad, good, unknown, warn
from cloudha.cli.checks.hostmap import coverage
from cloudha.errors import CloudhaError
from cloudha.fencing import check_plugs

__all__ = ["WRONG_MACHINE", "find", "in_use", "plugs"]

UNFENCED = "when it is lost the cluster waits for ever, and starts nothing elsewhere"
WRONG_MACHINE = "fencing one node cuts the power of another one, and the lost node goes on writing"
CREATE = "pcs stonith create fence fence_cloud provider=... pcmk_host_map='NODE:MACHINE;...'"


def in_use(cib: Cib) -> tuple[Resource, ...]:
    """Return the fence devices of ours that are not switched off."""
    return tuple(resource for resource in cib.fences if not resource.stopped)


def plugs(resource: Resource, node: str) -> tuple[str, ...]:
    """Return the machines that *resource* is asked to switch off for *node*, as they are written."""
    separator = resource.parameters.get("plug_separator", "") or resource.parameters.get("plug-separator", "")
    try:
        return check_plugs(coverage(resource).plug_of(node), separator or ",")
    except CloudhaError:
        return ()


def find(case: Case) -> Iterator[Finding]:
    """Look at what is written down; :mod:`.machines` asks the cloud."""
    cib = case.cib
    if cib is None:
        return
    for resource in cib.fences:
        if resource.stopped:
            yield bad(
                f"devices.{resource.id}",
                f"fence device {resource.id} has target-role=Stopped",
                "Pacemaker does not use it",
                f"pcs resource enable {resource.id}",
            )
    if not in_use(cib):
        yield _none(cib)
        return
    yield from _nodes(cib)
    yield from _strangers(cib)
    yield from _shared(cib)
    yield from _topology(cib)


def _none(cib: Cib) -> Finding:
    if cib.other_fences:
        names = ", ".join(f"{resource.id} ({resource.agent})" for resource in cib.other_fences)
        return unknown(
            "devices.none",
            f"no fence_cloud device is configured, but others are: {names}",
            "what other agents do is not looked at here",
            f"try them with: pcs stonith fence NODE; or {CREATE}",
        )
    return bad("devices.none", "no fence device is configured", f"no node can be fenced: {UNFENCED}", CREATE)


def _nodes(cib: Cib) -> Iterator[Finding]:
    covered = []
    for member in cib.members:
        says = [coverage(resource).covers(member.name) for resource in in_use(cib)]
        if any(says):
            covered.append(member.name)
        elif None in says:
            continue  # the agent's list decides
        elif cib.other_fences:
            yield unknown(
                "devices.node",
                f"no fence_cloud device is for node {member.name}; other agents may be",
                UNFENCED,
                f"look with: stonith_admin --list {member.name}",
            )
        else:
            yield bad(
                "devices.node",
                f"no fence device is for node {member.name}",
                UNFENCED,
                f"add it to pcmk_host_map or pcmk_host_list: pcs stonith update {in_use(cib)[0].id} pcmk_host_map=...",
            )
    if covered:
        yield good("devices.nodes", f"fence devices are configured for: {', '.join(covered)}")


def _strangers(cib: Cib) -> Iterator[Finding]:
    known = {member.name.casefold() for member in cib.members}
    for resource in in_use(cib):
        names = coverage(resource).names or ()
        strange = sorted(name for name in names if name.casefold() not in known)
        if strange:
            yield warn(
                f"devices.{resource.id}.names",
                f"{resource.id} names {', '.join(strange)}, and the cluster has no such node",
                "it may be a node's name with a typing error; a colon in a machine's name needs a backslash before it",
                f"pcs stonith config {resource.id}; the nodes: {', '.join(member.name for member in cib.members)}",
            )


def _shared(cib: Cib) -> Iterator[Finding]:
    for resource in in_use(cib):
        owners: dict[str, list[str]] = defaultdict(list)
        for member in cib.members:
            if coverage(resource).covers(member.name):
                for plug in plugs(resource, member.name):
                    owners[plug.casefold()].append(member.name)
        for plug, names in owners.items():
            if len(names) > 1:
                yield bad(
                    f"devices.{resource.id}.map",
                    f"{resource.id}: {' and '.join(names)} are both the machine {plug}",
                    WRONG_MACHINE,
                    f"pcs stonith update {resource.id} pcmk_host_map='NODE:MACHINE;...', each machine once",
                )


def _topology(cib: Cib) -> Iterator[Finding]:
    known = {resource.id for resource in cib.resources}
    for target, device in cib.levels:
        if device not in known:
            yield bad(
                "devices.topology",
                f"the fencing topology of {target} names the device {device}, which is not there",
                "with a topology, only its levels are used",
                f"pcs stonith level remove ... {device}",
            )
