"""Will the cluster act at all when a node is lost?"""

from __future__ import annotations

from collections.abc import Iterator

from cloudha.cli.checks.case import Case
from cloudha.cli.checks.cib import Cib, is_true
from cloudha.cli.checks.finding import Finding, bad, good, unknown, warn

__all__ = ["find"]

SPLIT = "after a loss of the network both sides may run the service and write to the same disk"


def find(case: Case) -> Iterator[Finding]:
    """Look at the cluster's properties and nodes."""
    cib = case.cib
    if cib is None:
        yield unknown(
            "cluster.cib",
            f"the cluster's configuration could not be read: {case.no_cib}",
            "most of what decides about a failover is in it",
            "run it as root on a node whose cluster runs, or give a file: cibadmin --query > FILE, then --cib FILE",
        )
        return
    yield _stonith(cib)
    yield from _management(cib)
    yield from _quorum(cib)
    yield from _nodes(cib)
    yield from _resources(cib)


def _stonith(cib: Cib) -> Finding:
    value = cib.properties.get("stonith-enabled", cib.properties.get("stonith_enabled", "true"))
    if not is_true(value):
        return bad(
            "cluster.stonith",
            f"stonith-enabled={value}",
            f"a lost node is not fenced: {SPLIT}",
            "pcs property set stonith-enabled=true",
        )
    return good("cluster.stonith", "fencing is enabled")


def _management(cib: Cib) -> Iterator[Finding]:
    found = False
    if is_true(cib.properties.get("maintenance-mode", "false")):
        found = True
        yield bad(
            "cluster.maintenance",
            "maintenance-mode=true",
            "the cluster starts, stops and moves nothing",
            "pcs property set maintenance-mode=false",
        )
    if is_true(cib.properties.get("stop-all-resources", "false")):
        found = True
        yield bad(
            "cluster.stopped",
            "stop-all-resources=true",
            "the cluster keeps every resource stopped",
            "pcs property set stop-all-resources=false",
        )
    if not is_true(cib.properties.get("startup-fencing", "true")):
        found = True
        yield warn(
            "cluster.startup-fencing",
            "startup-fencing=false",
            f"a node that was never seen counts as off: {SPLIT}",
            "pcs property set startup-fencing=true",
        )
    if not found:
        yield good("cluster.management", "the cluster manages its resources")


def _quorum(cib: Cib) -> Iterator[Finding]:
    policy = cib.properties.get("no-quorum-policy", "stop")
    members = [member for member in cib.members if not member.remote]
    if policy == "ignore":
        yield warn(
            "cluster.quorum",
            "no-quorum-policy=ignore",
            "a part of the cluster without a majority goes on; only fencing then stands between it and the data",
            "pcs property set no-quorum-policy=stop; with two nodes, two_node: 1 in corosync.conf does the rest",
        )
    else:
        yield good("cluster.quorum", f"without a majority: {policy}")
    if len(members) < 2:
        yield warn(
            "cluster.size",
            f"the cluster has {len(members)} node{'' if len(members) == 1 else 's'}",
            "there is nowhere to fail over to",
            "pcs cluster node add NAME",
        )


def _nodes(cib: Cib) -> Iterator[Finding]:
    # A node that is away or on standby takes nothing over.
    fit = []
    for member in cib.members:
        if member.online is False:
            yield warn(
                "cluster.node",
                f"node {member.name} is not online",
                "it takes nothing over",
                f"pcs cluster start {member.name}",
            )
        elif member.standby:
            yield warn(
                "cluster.node",
                f"node {member.name} is on standby",
                "it takes nothing over",
                f"pcs node unstandby {member.name}",
            )
        elif member.maintenance:
            yield warn(
                "cluster.node",
                f"node {member.name} is in maintenance",
                "the cluster leaves its resources alone",
                f"pcs node unmaintenance {member.name}",
            )
        else:
            fit.append(member.name)
    if fit:
        told = any(member.online is not None for member in cib.members)
        yield good("cluster.nodes", f"nodes that can take over: {', '.join(fit)}{'' if told else ' (if online)'}")


def _resources(cib: Cib) -> Iterator[Finding]:
    for resource in cib.addresses:
        if not is_true(resource.meta.get("is-managed", "true")) or is_true(resource.meta.get("maintenance", "false")):
            yield bad(
                f"cluster.{resource.id}",
                f"{resource.id} is not managed",
                "the cluster neither starts nor stops it; it stays where it is",
                f"pcs resource manage {resource.id}",
            )
        elif resource.stopped:
            yield warn(
                f"cluster.{resource.id}",
                f"{resource.id} has target-role=Stopped",
                "it runs nowhere, and a failover does not start it",
                f"pcs resource enable {resource.id}",
            )
