"""An emulated AWS in this network namespace, and what is compared on it: our agents, Debian's, and the floor."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import boto3

from cloudha import install
from cloudha.testing.emulator import Effect, Fault, FaultServer
from cloudha.testing.emulator.client import eventually
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha_plugin_aws.emulator import ACCESS_KEY, SECRET_KEY, Behaviour, make
from measure import Command

__all__ = [
    "AWSVIP",
    "FENCE_AWS",
    "FENCE_AZURE",
    "FENCE_IBM",
    "REGION",
    "Agents",
    "Stage",
    "floor",
    "interpreter",
    "paper",
]

FLOOR = Path(__file__).with_name("floor.py")
DEBIAN = ("/usr/bin/python3", "-tt")
FENCE_AWS = (*DEBIAN, "/usr/sbin/fence_aws")
FENCE_AZURE = (*DEBIAN, "/usr/sbin/fence_azure_arm")
FENCE_IBM = (*DEBIAN, "/usr/sbin/fence_ibm_vpc")
AWSVIP = "/usr/lib/ocf/resource.d/heartbeat/awsvip"
METADATA_ADDRESS = "169.254.169.254"
REGION = "eu-west-1"
ADDRESS = "10.0.1.100"
PATHS = "/usr/sbin:/usr/bin:/sbin:/bin"
# As from one availability zone to the regional API: what is measured are agents, but their waits are real.
LATENCY_SECONDS = 0.02
# Long enough for every agent that asks often to be seen asking.
STOP_SECONDS = 2.0


class Agents:
    """Our agents, as the installer writes them below *root* for this environment."""

    def __init__(self, root: Path) -> None:
        install.install(root)
        self.fence = str(root / install.AGENTS["fence_cloud"])
        self.address = str(root / install.AGENTS["floating-ip"])


def interpreter() -> Command:
    """The bare interpreter, with the same first line as our agents have."""
    return Command((sys.executable, "-I", "-c", "pass"), {})


def paper(path: str, *words: str) -> Command:
    """An agent that prints its metadata."""
    return Command((path, *words), {"PATH": PATHS, "OCF_ROOT": "/usr/lib/ocf"})


def floor(*requests: str) -> Command:
    """Just these requests, each ``METHOD URL [name:value ...]``."""
    return Command((sys.executable, "-I", str(FLOOR), *" -- ".join(requests).split()), {})


class Stage:
    """An emulated AWS, with this machine as n1."""

    def __init__(self, ours: Agents, machines: int = 2) -> None:
        self.ours = ours
        self.world = MemoryWorld([f"n{n}=10.0.{n // 200 + 1}.{n % 200 + 10}" for n in range(1, machines + 1)])
        self.aws = make(self.world, "127.0.0.1", 0, behaviour=Behaviour(stop=STOP_SECONDS, start=0.2)).start()
        self.metadata = FaultServer(self.aws.service, METADATA_ADDRESS, 80).start()
        self.aws.account.myself = "n1"
        self.aws.fault(Fault("ec2.*,sts.*", Effect.DELAY, delay=LATENCY_SECONDS))
        self.n2 = self.aws.account.instance("n2")
        self.folder = tempfile.TemporaryDirectory()
        (Path(self.folder.name) / "config").write_text(f"[default]\nregion={REGION}\n")

    @property
    def servers(self) -> tuple[FaultServer, FaultServer]:
        """What the agents ask: the API, and the metadata service at the address that is built into theirs."""
        return self.aws.server, self.metadata

    def close(self) -> None:
        """End it."""
        self.aws.close()
        self.metadata.close()
        self.folder.cleanup()

    # -- what is compared ----------------------------------------------------------------------------------------

    def fence(self, action: str) -> tuple[Command, Command]:
        """Return ours and fence_aws, for one action on n2."""
        given = {"action": action, "nodename": "n2", "plug": self.n2.id, "provider": "aws", "region": REGION}
        given |= {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY, **self.aws.options()}
        # Ten thousand machines take longer than Pacemaker's monitor may.
        given["query_timeout"] = "60"
        text = "".join(f"{name}={value}\n" for name, value in given.items())
        # The SDK of this environment for both; Debian's own knows no endpoint from a variable.
        library = os.path.dirname(os.path.dirname(boto3.__file__))
        keys = ("-a", ACCESS_KEY, "-s", SECRET_KEY)
        theirs = (*FENCE_AWS, "-o", action, "-n", self.n2.id, "-r", REGION, *keys)
        around = {**self._around(), "PYTHONPATH": library, "AWS_ENDPOINT_URL": self.aws.url}
        return Command((self.ours.fence,), self._around(), text), Command(theirs, around)

    def address(self, action: str, command_line: str) -> tuple[Command, Command]:
        """Return ours and awsvip, for one action on the address."""
        both = {"OCF_ROOT": "/usr/lib/ocf", "OCF_RESOURCE_INSTANCE": "vip", "OCF_CHECK_LEVEL": "0"}
        ours = {
            "OCF_RESKEY_provider": "aws",
            "OCF_RESKEY_ip": ADDRESS,
            "OCF_RESKEY_CRM_meta_timeout": "60000",
            "OCF_RESKEY_CRM_meta_interval": "10000",
            "OCF_RESKEY_access_key": ACCESS_KEY,
            "OCF_RESKEY_secret_key": SECRET_KEY,
            "OCF_RESKEY_region": REGION,
            **{f"OCF_RESKEY_{name}": value for name, value in self.aws.options().items()},
        }
        theirs = {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_ENDPOINT_URL": self.aws.url,
            "OCF_RESKEY_awscli": command_line,
            "OCF_RESKEY_secondary_private_ip": ADDRESS,
            "OCF_RESKEY_profile": "default",
            "HA_LOGFILE": os.devnull,
        }
        return (
            Command((self.ours.address, action), {**self._around(), **both, **ours}),
            Command((AWSVIP, action), {**self._around(), **both, **theirs}),
        )

    def floor_of_monitor(self) -> Command:
        """Return the requests of a monitor at depth 0: a token, the interfaces, the addresses of the first."""
        base = f"{self.aws.url}/latest"
        token = "X-aws-ec2-metadata-token:token"
        macs = f"{base}/meta-data/network/interfaces/macs/"
        mac = self.world.machines()[0].mac
        return floor(
            f"PUT {base}/api/token X-aws-ec2-metadata-token-ttl-seconds:60",
            f"GET {macs} {token}",
            f"GET {macs}{mac}/local-ipv4s {token}",
        )

    def _around(self) -> Mapping[str, str]:
        folder = self.folder.name
        files = {"AWS_CONFIG_FILE": f"{folder}/config", "AWS_SHARED_CREDENTIALS_FILE": f"{folder}/none"}
        return {"PATH": PATHS, **files}

    # -- the state before a run ----------------------------------------------------------------------------------

    def running(self) -> None:
        """Let n2 run."""
        eventually(lambda: str(self.n2.state) in ("running", "stopped"))
        with self.aws.account.lock:
            if str(self.n2.state) == "stopped":
                self.world.give_power("n2")
                self.aws.service.ec2.power.follow_world()

    def bound(self) -> None:
        """Let this machine have the address."""
        with self.aws.account.lock:
            self.aws.service.ec2.addresses.assign(self.aws.account.interface("n1"), [ADDRESS], move=True)

    def free(self) -> None:
        """Let nobody have the address."""
        with self.aws.account.lock, contextlib.suppress(ValueError):
            self.aws.service.ec2.addresses.take_away(ADDRESS)
