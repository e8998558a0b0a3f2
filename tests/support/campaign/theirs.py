"""The agents that ours are compared with, on the same emulated cloud: ``fence_aws`` and ``awsvip``.

They have the metadata service's address built in, so it is given to the loopback interface of the private place that
they run in: nothing of theirs can leave it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from campaign.cells import Cell, cells_of
from campaign.clouds import Stage
from campaign.player import FENCE_MARGIN_SECONDS, POWER_SECONDS, Command, Player
from cloudha.testing.conformance.agents import Executables
from cloudha.testing.emulator import FaultServer
from cloudha.types import Kind
from private_node import PrivateNode

__all__ = ["METADATA_ADDRESS", "TheirPlayer", "their_cells"]

PROVIDER = "aws"
FENCE = Path("/usr/sbin/fence_aws")
FENCE_WORDS = ["/usr/bin/python3", "-tt", str(FENCE)]
FENCE_ACTIONS = ("off", "reboot", "on", "status", "monitor", "list")
VIP = Path("/usr/lib/ocf/resource.d/heartbeat/awsvip")
VIP_ACTIONS = ("start", "stop", "monitor")
METADATA_ADDRESS = "169.254.169.254"
# Its start and stop sleep for 3 s each, and every call of the command line takes a second.
VIP_SECONDS = 30.0


def their_cells() -> list[Cell]:
    """Return the cells that the agents on this machine can do."""
    found = []
    if FENCE.exists():
        found += cells_of(PROVIDER, "fence_aws", "", FENCE_ACTIONS)
    if VIP.exists() and shutil.which("aws"):
        found += cells_of(PROVIDER, "awsvip", Kind.PRIVATE.value, VIP_ACTIONS)
    return found


class TheirPlayer(Player):
    """Plays the cells of the other agents."""

    def __init__(self, stage: Stage, place: PrivateNode, executables: Executables) -> None:
        super().__init__(stage, place, executables)
        service = self.cloud.emulator.service  # type: ignore[attr-defined]  # the emulated AWS
        self._metadata = place.call(lambda: FaultServer(service, METADATA_ADDRESS, 80)).start()
        self.cloud.servers = (*self.cloud.servers, self._metadata)
        self._files = place.path("/run")

    def close(self) -> None:
        """End both servers."""
        super().close()
        self._metadata.close()

    def command(self, cell: Cell, **more: str) -> Command:  # noqa: ARG002 - they have parameters of their own
        """Return the process that the cell is about."""
        options = self.cloud.options()
        (self._files / "aws-config").write_text(f"[default]\nregion={options['region']}\n")
        environment = {
            "PATH": f"{os.path.dirname(shutil.which('aws') or '')}:/usr/sbin:/usr/bin:/sbin:/bin",
            "AWS_CONFIG_FILE": "/run/aws-config",
            "AWS_SHARED_CREDENTIALS_FILE": "/run/none",
            "AWS_ENDPOINT_URL": options["endpoint"],
        }
        return self._vip(cell, environment, options) if cell.kind else self._fence(cell, environment, options)

    def _fence(self, cell: Cell, environment: Mapping[str, str], options: Mapping[str, str]) -> Command:
        import boto3  # only where the provider is installed

        # The SDK of this environment is newer than Debian's, which knows no endpoint from a variable.
        library = os.path.dirname(os.path.dirname(boto3.__file__))
        words = [*FENCE_WORDS, "-o", cell.action, "-n", self.cloud.machines[1].id, "-r", options["region"]]
        words += ["-a", options["access_key"], "-s", options["secret_key"], "--power-timeout", f"{POWER_SECONDS:g}"]
        return Command(words, {**environment, "PYTHONPATH": library}, "", POWER_SECONDS + FENCE_MARGIN_SECONDS)

    def _vip(self, cell: Cell, environment: Mapping[str, str], options: Mapping[str, str]) -> Command:
        given = {
            **environment,
            "AWS_ACCESS_KEY_ID": options["access_key"],
            "AWS_SECRET_ACCESS_KEY": options["secret_key"],
            "AWS_MAX_ATTEMPTS": "1",
            "OCF_RESKEY_awscli": str(shutil.which("aws")),
            "OCF_RESKEY_secondary_private_ip": str(self.addresses(cell)[0]),
            "OCF_RESKEY_profile": "default",
            "OCF_RESKEY_CRM_meta_timeout": f"{VIP_SECONDS * 1000:.0f}",
            "OCF_ROOT": "/usr/lib/ocf",
            "OCF_RESOURCE_INSTANCE": "vip",
            "HA_LOGFILE": os.devnull,
        }
        return Command([str(VIP), cell.action], given, "", VIP_SECONDS)
