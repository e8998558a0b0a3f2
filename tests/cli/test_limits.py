"""`cloudha doctor` on how many addresses an interface carries, and may carry, on the emulated clouds."""

from __future__ import annotations

import importlib
import ipaddress
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest

from agent_process import run
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha.types import IPAddress, Kind
from cloudha_plugin_ibm.emulator.network import give

CLOUDHA = str(Path(sys.executable).parent / "cloudha")
# Nothing of this machine, and nothing that other tests are about.
SKIPPED = (
    *("agents", "software", "cluster", "devices", "delays", "secrets", "monitors", "provider", "access", "latency"),
    *("clock", "timeouts", "addresses"),
)
MOST = {"aws": 10, "azure": 256, "ibm": 8, "oci": 65}
VIP = ipaddress.ip_address("10.0.1.50")
OTHER = ipaddress.ip_address("10.0.1.51")
FILLERS = [ipaddress.ip_address("10.0.1.52") + n for n in range(300)]


class Stage:
    """A cloud with n1, which this machine is, and n2."""

    def __init__(self, name: str) -> None:
        module = importlib.import_module(f"cloudha_plugin_{name}.emulator")
        more: dict[str, Any] = {"reserved": [VIP, OTHER, *FILLERS[:10]]} if name == "ibm" else {}
        self.name = name
        self.emulator = module.make(MemoryWorld(["n1=10.0.1.11", "n2=10.0.1.12"]), "127.0.0.1", 0, **more)
        self.account = self.emulator.account
        self.account.myself = "n1"
        self.emulator.start()

    def give(self, ip: IPAddress) -> None:
        """Put the address on n1's interface."""
        if self.name == "aws":
            self.emulator.service.ec2.addresses.assign(self.account.interface("n1"), [str(ip)], move=True)
        elif self.name == "azure":
            self.account.give(Kind.PRIVATE, ip, "n1")
        elif self.name == "ibm":
            give(self.account, Kind.PRIVATE, ip, "n1")
        else:
            self.account.add_private_ip(ip, self.account.vnics(self.account.named("n1")["id"])[0])

    def doctor(self, folder: Path, *addresses: IPAddress, **more: str) -> dict[str, tuple[str, str]]:
        """Return what the doctor says of the limits: check -> level and text."""
        options = {"provider": self.name, **self.emulator.options()}
        vips = [
            _primitive(
                f"vip{n}", 'class="ocf" provider="cloudha" type="floating-ip"', {**options, "ip": str(ip), **more}
            )
            for n, ip in enumerate(addresses)
        ]
        fence = _primitive("fence", 'class="stonith" type="fence_cloud"', options)
        file = folder / "cib.xml"
        file.write_text(
            '<cib validate-with="pacemaker-3.9"><configuration><crm_config/><nodes><node id="1" uname="n1"/>'
            f'<node id="2" uname="n2"/></nodes><resources>{fence}{"".join(vips)}</resources><constraints/>'
            "</configuration><status/></cib>"
        )
        skipped = [word for name in SKIPPED for word in ("--skip", name)]
        done = run([CLOUDHA, "doctor", "--json", "--cib", str(file), *skipped], "", {"HOME": str(folder)})
        findings = json.loads(done.out)["findings"]
        return {f["check"]: (f["level"], f["what"]) for f in findings if f["check"].startswith("limits")}


def _primitive(key: str, kind: str, parameters: dict[str, str]) -> str:
    values = "".join(
        f'<nvpair id="{key}-{name}" name={quoteattr(name)} value={quoteattr(value)}/>'
        for name, value in parameters.items()
    )
    return f'<primitive id="{key}" {kind}><instance_attributes id="{key}-ia">{values}</instance_attributes></primitive>'


@contextmanager
def opened(name: str) -> Iterator[Stage]:
    stage = Stage(name)
    try:
        yield stage
    finally:
        stage.emulator.close()


@pytest.mark.parametrize("cloud", MOST)
def test_room(cloud: str, tmp_path: Path) -> None:
    most = MOST[cloud]
    with opened(cloud) as stage:
        found = stage.doctor(tmp_path, VIP)
        assert {name: level for name, (level, _) in found.items()} == {"limits.n1": "good", "limits.n2": "good"}
        assert f"carries 1 of {most} addresses" in found["limits.n1"][1]
        for ip in FILLERS[: most - 2]:
            stage.give(ip)
        level, what = stage.doctor(tmp_path, VIP, OTHER)["limits.n1"]
        assert level == "warn"
        assert "no room for all of vip0, vip1" in what
        stage.give(OTHER)
        found = stage.doctor(tmp_path, VIP, OTHER)
        assert found["limits.n1"][0] == "bad"
        assert f"carries {most} of {most} addresses" in found["limits.n1"][1]
        assert found["limits.n1"][1].endswith("and vip0 would be one more"), "the other is there already"
        assert found["limits.n2"][0] == "good"


def test_a_limit_that_may_not_be_read_is_not_known(tmp_path: Path) -> None:
    with opened("aws") as stage:
        stage.account.behaviour.denied = ("ec2:DescribeInstanceTypes",)
        level, what = stage.doctor(tmp_path, VIP)["limits.vip0"]
        assert level == "unknown"
        assert "ec2:DescribeInstanceTypes" in what


def test_what_takes_no_address_of_the_interface_is_left_out(tmp_path: Path) -> None:
    with opened("ibm") as stage:
        assert stage.doctor(tmp_path, ipaddress.ip_address("203.0.113.7"), kind="public") == {}
