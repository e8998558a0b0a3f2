"""A node's disk before its first boot: corosync's configuration, an empty CIB, host names, log directories."""

from __future__ import annotations

import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

from cloudha.lab import plan as plans
from cloudha.lab.plan import Plan
from cloudha.lab.programs import run

__all__ = ["BOUND_DIRECTORIES", "BOUND_FILES", "make_disk"]

# What of the disk appears in the node at the same place below /.
BOUND_DIRECTORIES = (
    "etc/corosync",
    "etc/pacemaker",
    "var/lib/pacemaker",
    "var/lib/corosync",
    "var/lib/pcsd",
    "var/log",
    "root",
)
BOUND_FILES = ("etc/hosts", "etc/hostname", "etc/resolv.conf")
CLUSTER_USER, CLUSTER_GROUP = "hacluster", "haclient"
# Pacemaker's daemons refuse directories of other owners and modes.
PACEMAKER_DIRECTORIES = {
    "var/lib/pacemaker/blackbox": 0o750,
    "var/lib/pacemaker/cib": 0o750,
    "var/lib/pacemaker/cores": 0o750,
    "var/lib/pacemaker/pengine": 0o750,
    "var/log/pacemaker": 0o770,
    "var/log/pacemaker/bundles": 0o770,
    "var/log/crmsh": 0o775,
}
PLAIN_DIRECTORIES = ("etc/corosync/uidgid.d", "var/log/corosync", "var/log/pcsd", "var/log/nginx", "var/log/cluster")
# The first election waits this long for a designated controller that is already there; nobody is.
DC_DEADTIME = "1s"


def make_disk(disk: Path, plan: Plan, name: str) -> None:
    """Write the disk of the node *name*.

    :raises LabError: cibadmin does not run. :raises LookupError: the cluster's user is missing.
    """
    for part in (*BOUND_DIRECTORIES, *PLAIN_DIRECTORIES):
        (disk / part).mkdir(parents=True, exist_ok=True)
    for part, mode in PACEMAKER_DIRECTORIES.items():
        directory = disk / part
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(mode)
        shutil.chown(directory, CLUSTER_USER, CLUSTER_GROUP)
    shutil.chown(disk / "var/lib/pacemaker", CLUSTER_USER, CLUSTER_GROUP)
    (disk / "etc/hostname").write_text(f"{name}\n")
    (disk / "etc/hosts").write_text(_hosts(plan))
    (disk / "etc/resolv.conf").write_text("")
    (disk / "etc/corosync/corosync.conf").write_text(corosync_conf(plan))
    cib = disk / "var/lib/pacemaker/cib/cib.xml"
    cib.write_text(seed_cib())
    cib.chmod(0o600)
    shutil.chown(cib, CLUSTER_USER, CLUSTER_GROUP)


def _hosts(plan: Plan) -> str:
    lines = ["127.0.0.1 localhost", "::1 localhost", f"{plans.GATEWAY} cloud", f"{plans.CLIENT} client"]
    lines += [f"{node.address} {node.name}" for node in plan.nodes]
    return "\n".join([*lines, ""])


def corosync_conf(plan: Plan) -> str:
    """Return corosync.conf: no encryption, since nobody else is on this network.

    ``wait_for_all`` stays on: without it a fenced node that boots alone would fence the healthy holder.
    """
    nodes = "".join(
        f"    node {{\n        name: {n.name}\n        nodeid: {n.number}\n        ring0_addr: {n.address}\n    }}\n"
        for n in plan.nodes
    )
    two = "    two_node: 1\n    wait_for_all: 1\n" if plan.count == 2 else ""
    return (
        f"totem {{\n    version: 2\n    cluster_name: {plan.name}\n    transport: knet\n"
        f"    crypto_cipher: none\n    crypto_hash: none\n    token: {plan.token_ms}\n}}\n"
        f"nodelist {{\n{nodes}}}\n"
        f"quorum {{\n    provider: corosync_votequorum\n{two}}}\n"
        "logging {\n    to_stderr: no\n    to_syslog: no\n    to_logfile: yes\n"
        "    logfile: /var/log/corosync/corosync.log\n    timestamp: hires\n}\n"
    )


def seed_cib() -> str:
    """Return an empty CIB of the installed Pacemaker (a newer feature set stops its controller), plus dc-deadtime."""
    root = ET.fromstring(run(["cibadmin", "--empty"]).out)  # noqa: S314  # made by the cluster's own program just now
    # Above the empty one's epoch, so that no node thinks that it has none.
    root.set("epoch", "1")
    config = root.find("configuration/crm_config")
    if config is None:
        raise LookupError("cibadmin --empty: no crm_config in it")
    options = ET.SubElement(config, "cluster_property_set", id="cib-bootstrap-options")
    ET.SubElement(options, "nvpair", id="cib-bootstrap-options-dc-deadtime", name="dc-deadtime", value=DC_DEADTIME)
    return ET.tostring(root, encoding="unicode") + "\n"
