"""Is each node of the cluster exactly one machine of the cloud, and each machine at most one node?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from cloudha import fencing
from cloudha.cli.checks.case import Case
from cloudha.cli.checks.devices import WRONG_MACHINE, plugs
from cloudha.cli.checks.finding import Finding, bad, good, unknown, unknown_because, warn
from cloudha.cli.checks.hostmap import coverage
from cloudha.cli.checks.targets import FenceTarget
from cloudha.errors import AmbiguousError, CloudhaError, NotFound
from cloudha.types import Node

__all__ = ["find"]

MAP = "pcs stonith update {} pcmk_host_map='NODE:MACHINE;...', with the ids that cloudha nodes shows"
UNFENCED = "it cannot be fenced: the cluster waits for ever when it is lost"


def find(case: Case) -> Iterator[Finding]:
    """Let the cloud resolve what each device is asked to switch off, as the agent would."""
    if case.cib is None or not case.fences:
        return
    found = _Found()
    devices = [target for target in case.fences if target.resource is not None and target.usable]
    for target in devices:
        yield from _device(case, target, found)
    yield from _uncovered(case, found)
    yield from _shared(case, found)
    yield from _states(case)
    yield from _local(case)
    if case.machines:
        pairs = ", ".join(f"{name} is {node.label}" for name, node in case.machines.items())
        yield good("machines.nodes", pairs)


class _Found:
    """``owners``: machine to the nodes that are it; ``asked``: nodes about which a device said anything at all."""

    def __init__(self) -> None:
        self.owners: dict[str, dict[str, Node]] = defaultdict(dict)
        self.asked: set[str] = set()
        self.incomplete = False


def _device(case: Case, target: FenceTarget, found: _Found) -> Iterator[Finding]:
    assert target.resource is not None  # noqa: S101 - find() passes no others
    resource = target.resource
    covers = coverage(resource)
    listed: set[str] | None = None
    for name in case.member_names:
        says = covers.covers(name)
        try:
            if says is None:
                listed = _listed(case, target) if listed is None else listed
                says = covers.plug_of(name).casefold() in listed
            if not says:
                continue
            found.asked.add(name)
            machines = {node.id: node for node in _machines(case, target, name)}
        except NotFound as error:
            what = f"{resource.id}: no machine fits {', '.join(plugs(resource, name))} (node {name}): {error.cause}"
            yield bad(f"machines.{name}", what, UNFENCED, MAP.format(resource.id))
        except AmbiguousError as error:
            yield bad(f"machines.{name}", f"{resource.id}: {error.cause}", UNFENCED, MAP.format(resource.id))
        except CloudhaError as error:
            found.incomplete = True
            yield unknown_because(f"machines.{resource.id}", f"{resource.id}: the machine of node {name}", error)
            return
        else:
            yield from _one(case, resource.id, name, machines, found)


def _listed(case: Case, target: FenceTarget) -> set[str]:
    """Return what the agent's list tells Pacemaker, which splits it into ids and names."""
    nodes = list(fencing.nodes(target.host(case.deadline)))
    return {text.casefold() for node in nodes for text in (node.id, node.name) if text}


def _machines(case: Case, target: FenceTarget, name: str) -> list[Node]:
    assert target.resource is not None  # noqa: S101 - see above
    host = target.host(case.deadline)
    return [fencing.find_node(host, plug) for plug in plugs(target.resource, name)]


def _one(case: Case, device: str, name: str, machines: dict[str, Node], found: _Found) -> Iterator[Finding]:
    if len(machines) > 1:
        labels = ", ".join(node.label for node in machines.values())
        what = f"{device}: node {name} is {len(machines)} machines: {labels}"
        yield warn(f"machines.{name}", what, "all of them lose power when it is fenced", MAP.format(device))
    for node in machines.values():
        found.owners[node.id][name] = node
    known = case.machines.get(name)
    if known is not None and known.id not in machines:
        labels = ", ".join(node.label for node in machines.values())
        what = f"node {name} is {known.label} for one fence device, and {labels} for {device}"
        yield bad(f"machines.{name}", what, WRONG_MACHINE, MAP.format(device))
    elif len(machines) == 1:
        case.machines[name] = next(iter(machines.values()))


def _uncovered(case: Case, found: _Found) -> Iterator[Finding]:
    """Name the nodes that no device lists; those that the configuration itself leaves out are told by devices."""
    dynamic = [t for t in case.fences if t.resource and coverage(t.resource).names is None]
    for name in case.member_names:
        if name in found.asked or not dynamic:
            continue
        what = f"no fence device lists a machine called {name}"
        if found.incomplete:
            yield unknown(f"machines.{name}", f"{what}, as far as the cloud answered", UNFENCED, "try again")
        else:
            yield bad(f"machines.{name}", what, UNFENCED, MAP.format(dynamic[0].label))


def _shared(case: Case, found: _Found) -> Iterator[Finding]:
    for owners in found.owners.values():
        if len(owners) > 1:
            machine = next(iter(owners.values()))
            what = f"{' and '.join(owners)} are the same machine: {machine.label}"
            for name in owners:
                case.machines.pop(name, None)
            yield bad("machines.shared", what, WRONG_MACHINE, MAP.format(case.fences[0].label))


def _states(case: Case) -> Iterator[Finding]:
    online = {member.name: member.online for member in case.cib.members} if case.cib else {}
    for name, node in case.machines.items():
        if online.get(name) and node.state.is_off:
            what = f"node {name} is online, and its machine {node.label} is {node.state.value}"
            yield bad(f"machines.{name}.state", what, WRONG_MACHINE, MAP.format(case.fences[0].label))
        for text in node.warnings:
            why = "what starts a machine again behind the cluster's back undoes a fencing"
            yield warn(f"machines.{name}.warning", f"{node.label}: {text}", why, "see the provider's page")


def _local(case: Case) -> Iterator[Finding]:
    """Hold the map to what the metadata service says of this very machine: two names may be swapped."""
    local = next((case.local[t.provider_name] for t in case.fences if t.provider_name in case.local), None)
    if not case.is_node or local is None or case.here not in case.machines:
        return
    mine = case.machines[case.here]
    if mine.id != local.id:
        owner = case.name_of(local.id)
        of = f", which the fence devices take for {owner}" if owner else ""
        what = f"this node ({case.here}) is the machine {local.label}{of}; they take it for {mine.label}"
        yield bad("machines.here", what, WRONG_MACHINE, MAP.format(case.fences[0].label))
    else:
        yield good("machines.here", f"the fence devices mean this very machine by {case.here}")
