"""What a lab needs of the machine. Whatever is missing is said in one line, with the command that brings it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from cloudha.lab.problems import LabError, RequirementMissing
from cloudha.lab.programs import PATH, run

__all__ = ["check_machine"]

# program: its package in Debian and Ubuntu (apt), Fedora and RHEL (dnf), SUSE (zypper)
PACKAGES = {
    "unshare": ("util-linux", "util-linux", "util-linux"),
    "nsenter": ("util-linux", "util-linux-core", "util-linux"),
    "setsid": ("util-linux", "util-linux", "util-linux"),
    "ip": ("iproute2", "iproute", "iproute2"),
    "tc": ("iproute2", "iproute-tc", "iproute2"),
    "corosync": ("corosync", "corosync", "corosync"),
    "pacemakerd": ("pacemaker", "pacemaker", "pacemaker"),
    "crm_mon": ("pacemaker-cli-utils", "pacemaker-cli", "pacemaker-cli"),
    "cibadmin": ("pacemaker-cli-utils", "pacemaker-cli", "pacemaker-cli"),
    "pcs": ("pcs", "pcs", "pcs"),
}
MANAGERS = (("apt-get", "apt-get install"), ("dnf", "dnf install"), ("zypper", "zypper install"))
AGENT_DIRECTORIES = {"/usr/lib/ocf/resource.d/heartbeat": ("resource-agents",) * 3}
# Everything that a node's boot asks of the kernel, tried in throw-away namespaces.
TRIAL = (
    "ip link add name a type veth peer name b && "
    "tc qdisc add dev a clsact && "
    "tc filter add dev a ingress bpf da bytecode '1,6 0 0 2' && "
    "mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper && "
    "mount -t overlay -o ro,lowerdir=/mnt/upper:/usr/sbin overlay /mnt/upper"
)


def check_machine() -> None:
    """Return when a lab can run here.

    :raises RequirementMissing: it cannot; the text says what to do.
    """
    if not sys.platform.startswith("linux"):
        raise RequirementMissing("a lab needs Linux: its nodes are Linux namespaces")
    if os.geteuid() != 0:
        raise RequirementMissing("a lab needs root, for namespaces and mounts; run it with: sudo")
    missing = _missing_packages()
    if missing:
        raise RequirementMissing(missing)
    try:
        run(["unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--", "true"])
    except LabError as error:
        raise RequirementMissing(
            f"this kernel or container does not allow new namespaces ({error}); "
            "use a machine of its own or a privileged container"
        ) from None
    try:
        run(["unshare", "--net", "--mount", "--propagation", "private", "--", "sh", "-c", TRIAL])
    except LabError as error:
        raise RequirementMissing(
            "the kernel lacks something that a lab needs (veth, overlay, sch_ingress, cls_bpf): "
            f"{str(error).rpartition('exit code ')[2]}; try: modprobe -a veth overlay sch_ingress cls_bpf"
        ) from None


def _missing_packages() -> str:
    """Return one line about programs that are not here, "" when all are."""
    lacking = {program: PACKAGES[program] for program in PACKAGES if shutil.which(program, path=PATH) is None}
    lacking |= {name: packages for name, packages in AGENT_DIRECTORIES.items() if not Path(name).is_dir()}
    if not lacking:
        return ""
    lines = {
        command: f"{command} {' '.join(sorted({packages[column] for packages in lacking.values()}))}"
        for column, (_program, command) in enumerate(MANAGERS)
    }
    here = [lines[command] for program, command in MANAGERS if shutil.which(program, path=PATH)]
    return f"not installed: {', '.join(lacking)}; install with: {' or: '.join(here or lines.values())}"
