"""A lab's cluster as Debian's fence_aws, awsvip and IPaddr2 run it on the emulated AWS: where a move begins.

The older agents have the metadata service's address built in, so the emulator listens there, too, in the lab's own
network. The control plane finds :func:`aws` by an entry point like any other: see :func:`announce`.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from cloudha.lab import control, faults, verbs
from cloudha.lab.programs import PATH, run
from cloudha.lab.state import LabState
from cloudha.lab.world import Emulator, World
from lab_plays import NGINX

__all__ = ["PROVIDER", "announce", "command_line", "configuration", "lacking", "lay_out"]

TREE = Path(__file__).resolve().parents[2]
PROVIDER = "older-aws"
REGION = "eu-west-1"
SYSTEM_PYTHON = "/usr/bin/python3"
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
METADATA_ADDRESS = "169.254.169.254"
OCF = "class='ocf' provider='heartbeat'"
DUMMY = "class='ocf' provider='pacemaker' type='Dummy'"
FENCE_AWS = "class='stonith' type='fence_aws'"
AGENTS = (
    "/usr/sbin/fence_aws",
    *(f"/usr/lib/ocf/resource.d/heartbeat/{name}" for name in ("awsvip", "IPaddr2", "nginx")),
)


class Emulated:
    """The emulated AWS, under the name of the provider that the agents know."""

    def __init__(self, emulator: Emulator, options: Mapping[str, str]) -> None:
        self._emulator = emulator
        self._options = options

    def serve(self) -> None:
        self._emulator.serve()

    def close(self) -> None:
        self._emulator.close()

    def options(self) -> Mapping[str, str]:
        return {**self._options, **self._emulator.options()}


def aws(world: World, host: str, port: int) -> Emulator:
    """Make the emulated AWS, its metadata service also where the older agents look for it."""
    from cloudha.testing.emulator import FaultServer
    from cloudha_plugin_aws.emulator import ACCESS_KEY, SECRET_KEY, make

    # Listening on the gateway's address comes first: it fails everywhere but in the lab's own network.
    emulator = make(world, host, port, region=REGION)
    run(["ip", "address", "replace", f"{METADATA_ADDRESS}/32", "dev", "lo"])
    FaultServer(emulator.service, METADATA_ADDRESS, 80).start()
    keys = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
    return Emulated(emulator, {"provider": "aws", "region": REGION, **keys})


def announce(folder: Path) -> None:
    """Make it known, here and to all that the lab starts."""
    info = folder / "older_agents-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: older-agents\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[cloudha.emulators]\n{PROVIDER} = {__name__}:aws\n")
    sys.path.append(str(folder))


def command_line() -> str | None:
    """Return the AWS command line that the older agents use, None when there is none."""
    # Nodes have a /root of their own.
    folders = [folder for folder in os.environ.get("PATH", "").split(os.pathsep) if not folder.startswith("/root/")]
    return shutil.which("aws", path=os.pathsep.join([str(TREE / ".venv/awscli/bin"), *folders, PATH]))


def lacking() -> str:
    """Say what of the older agents is not on this machine, "" when all is."""
    missing = [path for path in AGENTS if not os.access(path, os.X_OK)]
    if command_line() is None:
        missing.append("the AWS command line (make .venv/awscli/.done)")
    # fence_aws is to find the SDK of this environment, see lay_out().
    if not os.path.realpath(SYSTEM_PYTHON).endswith(PYTHON):
        missing.append(f"{SYSTEM_PYTHON} as {PYTHON}")
    return ", ".join(missing)


def lay_out(state: LabState) -> None:
    """Write on the nodes' disks what an operator of the older agents has there, and what the web server serves."""
    import boto3

    given = control.options(state)
    keys = f"aws_access_key_id = {given['access_key']}\naws_secret_access_key = {given['secret_key']}\n"
    files = {
        ".aws/config": f"[default]\nregion = {REGION}\nendpoint_url = {state.plan.endpoint}\n",
        ".aws/credentials": f"[default]\n{keys}",
        # Debian's own SDK knows no endpoint from a file; Python finds that of this environment as root's.
        f".local/lib/{PYTHON}/site-packages/sdk.pth": f"{Path(boto3.__file__).parents[1]}\n",
    }
    for node in state.nodes:
        for name, text in files.items():
            file = node.disk / "root" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            file.chmod(0o600)
        (node.disk / "etc/pacemaker/nginx.conf").write_text(NGINX.format(node=node.name))


def configuration(state: LabState) -> str:
    """Return what was configured, long ago, as the vendors' documentation has it: resources and constraints, as XML.

    A group with the address in the cloud, the same on the interface, and a web server; beside it something that follows
    the address; fencing with keys in the configuration. It began on the last node.
    """
    given = control.options(state)
    truth = faults.admin(state, "GET", "truth")
    plugs = ";".join(f"{name}:{instance}" for name, instance in sorted(_instances(truth).items()))
    # Without it they sleep for three seconds after each change.
    cli = {"awscli": command_line() or "", "api_delay": "0"}
    keys = {name: given[name] for name in ("region", "access_key", "secret_key")}
    nic = {"ip": str(verbs.ADDRESS), "nic": "eth0", "cidr_netmask": "32"}
    members = (
        _primitive("vip", f"{OCF} type='awsvip'", 20, {"secondary_private_ip": str(verbs.ADDRESS), **cli}),
        _primitive("ip", f"{OCF} type='IPaddr2'", 10, nic),
        _primitive("web", f"{OCF} type='nginx'", 10, {"configfile": "/etc/pacemaker/nginx.conf"}),
    )
    # Three processes for each of their calls take long on a busy machine.
    patience = _set("meta_attributes", "patience", {"timeout": "90s"})
    defaults = _set("meta_attributes", "defaults", {"resource-stickiness": "100"})
    return (
        f"<configuration><rsc_defaults>{defaults}</rsc_defaults><op_defaults>{patience}</op_defaults>"
        f"<resources>{_primitive('fence', FENCE_AWS, 60, {**keys, 'pcmk_host_map': plugs})}"
        f"<group id='service'>{_set('meta_attributes', 'service-meta', {'priority': '10'})}{''.join(members)}</group>"
        f"{_primitive('mail', DUMMY, 10, {})}</resources><constraints>"
        f"<rsc_location id='first' rsc='service' node='{state.plan.nodes[-1].name}' score='50'/>"
        "<rsc_colocation id='together' rsc='mail' with-rsc='ip' score='INFINITY'/>"
        "<rsc_order id='after' first='ip' then='mail'/></constraints></configuration>"
    )


def _primitive(name: str, kind: str, interval: int, parameters: Mapping[str, str]) -> str:
    op = f"<op id='{name}-monitor' name='monitor' interval='{interval}s'/>"
    attributes = _set("instance_attributes", f"{name}-attributes", parameters)
    return f"<primitive id='{name}' {kind}>{attributes}<operations>{op}</operations></primitive>"


def _set(tag: str, key: str, values: Mapping[str, str]) -> str:
    pairs = "".join(f"<nvpair id='{key}-{name}' name='{name}' value={quoteattr(v)}/>" for name, v in values.items())
    return f"<{tag} id='{key}'>{pairs}</{tag}>"


def _instances(truth: Mapping[str, Any]) -> dict[str, str]:
    """Return machine name to instance id."""
    found = {}
    for reservation in truth["DescribeInstances"]["Reservations"]:
        for instance in reservation["Instances"]:
            tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
            found[tags["Name"]] = instance["InstanceId"]
    return found
