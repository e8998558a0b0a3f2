"""ocf-tester passes with provider=oci: the installed agent, at its real path, against the emulated OCI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cloudha.install import AGENTS, install, out_of_reach
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha_plugin_oci.emulator import Behaviour, make
from private_node import private_node

TESTER = "/usr/sbin/ocf-tester"
PLACE = "/usr/lib/ocf/resource.d"
HERE = "10.9.9.1"
# Milliseconds. A third of it is how long a monitor waits for the API before it calls itself degraded.
PATIENCE = "90000"
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/run/work",
    "TERM": "dumb",
    "LC_ALL": "C.UTF-8",
}


def test_ocf_tester(tmp_path_factory: pytest.TempPathFactory) -> None:
    for needed in (TESTER, f"{PLACE}/heartbeat"):
        if not os.path.exists(needed):
            pytest.skip(f"{needed} is not installed")
    # ocf-tester asks for the metadata as nobody.
    if hidden := out_of_reach(Path(sys.executable).resolve()):
        pytest.skip(f"only root can pass {hidden}, on the way to the interpreter")
    root = tmp_path_factory.mktemp("root")
    install(root)
    overlay = f"mount -t overlay -o ro,lowerdir={root}{PLACE}:{PLACE} overlay {PLACE}"
    memory = "mkdir -m 755 -p /run/work /run/resource-agents"
    with private_node(overlay, memory) as node:
        world = MemoryWorld([f"n1={HERE}", "n2=10.9.9.2"])
        cloud = node.call(lambda: make(world, HERE, 0, behaviour=Behaviour(stop=0.0, start=0.0)))
        cloud.start()
        options = {
            "provider": "oci",
            "ip": "10.9.9.100",
            "nic": "eth0",
            "CRM_meta_timeout": PATIENCE,
            **cloud.options(),
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        command = [TESTER, "-v", "-n", "vip", *words, f"/{AGENTS['floating-ip']}"]
        done = subprocess.run(
            [*node.prefix, *command], env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False
        )
        cloud.close()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "passed all tests" in done.stdout
