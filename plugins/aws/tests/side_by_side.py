"""Run Debian's agents and ours on the same emulated AWS, and print what each did as JSON.

Started by test_side_by_side.py in a network namespace of its own, since the older agents have the metadata service's
address built in. Arguments: the path of fence_cloud, of floating-ip, and of the AWS command line ("" for none).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import boto3

from cloudha.testing.emulator import Effect, Fault, FaultServer
from cloudha.testing.emulator.client import eventually
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha_plugin_aws.emulator import ACCESS_KEY, API_ONLY, SECRET_KEY, Behaviour, make

FENCE_AWS = ["/usr/bin/python3", "-tt", "/usr/sbin/fence_aws"]
AWSVIP = "/usr/lib/ocf/resource.d/heartbeat/awsvip"
METADATA_ADDRESS = "169.254.169.254"
REGION = "eu-west-1"
ADDRESS = "10.0.1.100"
# After this, Pacemaker would have killed an agent that was given 8 seconds.
KILL_SECONDS = 16
POWER_SECONDS = "8"
KILLED = -9


class Stage:
    """An emulated AWS, with this machine as n1."""

    def __init__(self, fence_cloud: str, floating_ip: str, command_line: str) -> None:
        self.fence_cloud, self.floating_ip, self.command_line = fence_cloud, floating_ip, command_line
        self.world = MemoryWorld(["n1=10.0.1.11", "n2=10.0.1.12"])
        self.aws = make(self.world, "127.0.0.1", 0, behaviour=Behaviour(stop=0.3, start=0.3)).start()
        self.metadata = FaultServer(self.aws.service, METADATA_ADDRESS, 80).start()
        self.aws.account.myself = "n1"
        self.n2 = self.aws.account.instance("n2")
        self.directory = tempfile.TemporaryDirectory()
        self.files = Path(self.directory.name)
        (self.files / "config").write_text(f"[default]\nregion={REGION}\n")

    def fence(self, action: str, *, keys: bool = True, before: Callable[[], object] = int) -> dict[str, int]:
        """Run one action with both fence agents, each after *before*."""
        theirs = ["-o", action, "-n", self.n2.id, "-r", REGION, "--power-timeout", POWER_SECONDS]
        ours = {"action": action, "nodename": "n2", "plug": self.n2.id, "provider": "aws", "region": REGION}
        ours |= {"power_timeout": POWER_SECONDS, **self.aws.options()}
        if keys:
            theirs += ["-a", ACCESS_KEY, "-s", SECRET_KEY]
            ours |= {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
        # The SDK of this environment is newer than Debian's python3-boto3, which knows no endpoint from a variable.
        library = os.path.dirname(os.path.dirname(boto3.__file__))
        before()
        found = {"theirs": self._run([*FENCE_AWS, *theirs], {"PYTHONPATH": library, "AWS_ENDPOINT_URL": self.aws.url})}
        before()
        return {**found, "ours": self._run([self.fence_cloud], {}, ours)}

    def address(self, action: str) -> dict[str, int]:
        """Run one action with both resource agents."""
        keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
        theirs = {
            **keys,
            "AWS_ENDPOINT_URL": self.aws.url,
            "AWS_MAX_ATTEMPTS": "1",
            "OCF_RESKEY_awscli": self.command_line,
            "OCF_RESKEY_secondary_private_ip": ADDRESS,
            "OCF_RESKEY_profile": "default",
            "OCF_RESKEY_api_delay": "0",
            "HA_LOGFILE": os.devnull,
        }
        ours = {
            "OCF_RESKEY_provider": "aws",
            "OCF_RESKEY_ip": ADDRESS,
            "OCF_RESKEY_CRM_meta_timeout": "8000",
            "OCF_RESKEY_CRM_meta_interval": "10000",
            "OCF_RESKEY_access_key": ACCESS_KEY,
            "OCF_RESKEY_secret_key": SECRET_KEY,
            **{f"OCF_RESKEY_{key}": value for key, value in self.aws.options().items()},
        }
        both = {"OCF_ROOT": "/usr/lib/ocf", "OCF_RESOURCE_INSTANCE": "vip", "OCF_CHECK_LEVEL": "10"}
        return {
            "theirs": self._run([AWSVIP, action], {**both, **theirs}),
            "ours": self._run([self.floating_ip, action], {**both, **ours}),
        }

    def bound(self) -> bool:
        """Whether this machine has the address."""
        interface = self.aws.account.interface("n1")
        return any(item["PrivateIpAddress"] == ADDRESS for item in interface.private_ip_addresses)

    def give(self) -> None:
        """Let this machine have the address."""
        with self.aws.account.lock:
            self.aws.service.ec2.addresses.assign(self.aws.account.interface("n1"), [ADDRESS], move=True)

    def _run(self, command: list[str], environment: Mapping[str, str], lines: Mapping[str, str] | None = None) -> int:
        text = "".join(f"{name}={value}\n" for name, value in (lines or {}).items())
        files = {"AWS_CONFIG_FILE": str(self.files / "config"), "AWS_SHARED_CREDENTIALS_FILE": str(self.files / "none")}
        everywhere = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **files}
        try:
            done = subprocess.run(
                command,
                env={**everywhere, **environment},
                input=text.encode(),
                capture_output=True,
                timeout=KILL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return KILLED
        return done.returncode


def healthy(stage: Stage) -> dict[str, object]:
    found: dict[str, object] = {}
    for step, action in enumerate(("list", "monitor", "status", "off", "status", "on", "status", "reboot")):
        found[f"{step} {action}"] = stage.fence(action)
        eventually(lambda: stage.n2.state in ("running", "stopped"))
    return found


def no_credentials(stage: Stage) -> dict[str, object]:
    stage.aws.account.behaviour.role = ""
    return {action: stage.fence(action, keys=False) for action in ("monitor", "list")}


def _refence(stage: Stage, seconds: float) -> None:
    """Let a stop be under way, as after a first try of the cluster that was cut short."""
    eventually(lambda: str(stage.n2.state) in ("running", "stopped"))
    with stage.aws.account.lock:
        if stage.n2.state == "stopped":
            stage.world.give_power("n2")
            stage.aws.service.ec2.power.follow_world()
        stage.aws.account.behaviour.stop = seconds
        stage.aws.service.ec2.power.stop([stage.n2.id], skip_guest=True)


def stopping(stage: Stage) -> dict[str, object]:
    return {"off": stage.fence("off", before=lambda: _refence(stage, 3.0))}


def terminated(stage: Stage) -> dict[str, object]:
    with stage.aws.account.lock:
        stage.aws.service.ec2.power.terminate([stage.n2.id])
    eventually(lambda: str(stage.n2.state) == "terminated")
    return {"off": stage.fence("off")}


def hanging(stage: Stage) -> dict[str, object]:
    stage.aws.fault(Fault(API_ONLY, Effect.HANG))
    return {"off": stage.fence("off")}


def address_healthy(stage: Stage) -> dict[str, object]:
    return {f"{step} {action}": stage.address(action) for step, action in enumerate(("monitor", "start", "stop"))}


def address_throttled(stage: Stage) -> dict[str, object]:
    stage.give()
    stage.aws.fault(Fault(API_ONLY, Effect.THROTTLE))
    found: dict[str, object] = {action: stage.address(action) for action in ("monitor", "stop")}
    return {**found, "bound": stage.bound()}


SCENES: dict[str, Callable[[Stage], dict[str, object]]] = {
    "healthy": healthy,
    "no credentials": no_credentials,
    "stopping": stopping,
    "terminated": terminated,
    "hanging": hanging,
}
ADDRESS_SCENES: dict[str, Callable[[Stage], dict[str, object]]] = {
    "address healthy": address_healthy,
    "address throttled": address_throttled,
}


def main() -> None:
    """Play every scene on a stage of its own."""
    fence_cloud, floating_ip, command_line = sys.argv[1:4]
    found = {}
    for name, scene in {**SCENES, **(ADDRESS_SCENES if command_line else {})}.items():
        stage = Stage(fence_cloud, floating_ip, command_line)
        found[name] = scene(stage)
        stage.aws.close()
        stage.metadata.close()
        stage.directory.cleanup()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
