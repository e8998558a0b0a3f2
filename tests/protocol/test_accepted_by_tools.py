"""The tools that administrators use accept both agents, which are at their real paths in a private mount namespace."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agent_process import Agents
from cloudha.install import out_of_reach
from cloudha_plugin_sim.emulator import SimEmulator
from private_node import PrivateNode, private_node
from simulated_cloud import simulated_cloud

FENCE_SCHEMA = "/usr/share/cluster/relaxng/metadata.rng"
OCF_1_0_FOLDER = "/usr/share/resource-agents"
OCF_SCHEMAS = ("/usr/share/pcs/data/ocf-1.1.rng", "/usr/share/pacemaker/ocf-1.1.rng")
WORK = "/run/work"
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": WORK,
    "TERM": "dumb",
    "LC_ALL": "C.UTF-8",
    "CIB_file": f"{WORK}/cib.xml",
}


@dataclass(frozen=True)
class Tools:
    """Runs an administrator's commands where the agents are at their real paths."""

    place: PrivateNode
    cloud: SimEmulator
    agents: Agents

    def run(self, *command: str, text: str = "") -> subprocess.CompletedProcess[str]:
        if not Path(command[0]).exists():
            pytest.skip(f"{command[0]} is not installed")
        return subprocess.run(
            [*self.place.prefix, "/usr/bin/env", "-C", WORK, *command],
            env=ENVIRONMENT,
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def new_cib(self) -> None:
        made = self.run("/usr/sbin/cibadmin", "--empty")
        assert made.returncode == 0, made.stderr
        self.place.path(f"{WORK}/cib.xml").write_text(made.stdout)

    def add_fencing(self) -> None:
        """Make the CIB one that crm_verify likes: resources without fencing are an error to it."""
        words = ["fence_cloud", "provider=sim", f"endpoint={self.cloud.url}"]
        done = self.run("/usr/sbin/pcs", "-f", "cib.xml", "stonith", "create", "fence", *words)
        assert done.returncode == 0, done.stderr

    def verify(self) -> None:
        done = self.run("/usr/sbin/crm_verify", "-x", "cib.xml", "-V")
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def real_place(installed: Agents) -> Iterator[PrivateNode]:
    """A private node in which the agents lie over /usr/sbin and /usr/lib/ocf/resource.d."""
    overlays = [
        f"mount -t overlay -o ro,lowerdir={installed.root}{folder}:{folder} overlay {folder}"
        for folder in ("/usr/sbin", "/usr/lib/ocf/resource.d")
    ]
    for needed in ("/usr/lib/ocf/resource.d/heartbeat", "/usr/sbin/crm_resource"):
        if not os.path.exists(needed):
            pytest.skip(f"{needed} is not installed")
    memory = [
        "mount -t tmpfs tmpfs /var/log",
        "mkdir -p /var/log/pcsd /var/log/crmsh /var/log/pacemaker",
        f"mkdir -m 755 -p {WORK} /run/resource-agents",
    ]
    with private_node(*overlays, *memory) as node:
        yield node


@pytest.fixture
def tools(real_place: PrivateNode, installed: Agents) -> Iterator[Tools]:
    """The tools, an empty CIB and a cloud for the agents that they run."""
    cloud = real_place.call(lambda: simulated_cloud("10.9.9.1"))
    cloud.start()
    found = Tools(real_place, cloud, replace(installed, root=Path("/"), prefix=real_place.prefix))
    found.new_cib()
    yield found
    cloud.close()


def test_fence_metadata_fits_the_schema(tools: Tools) -> None:
    if not os.path.exists(FENCE_SCHEMA):
        pytest.skip(f"{FENCE_SCHEMA} is not installed")
    text = tools.agents.fence_raw("", "-o", "metadata").out
    done = tools.run("/usr/bin/xmllint", "--noout", "--relaxng", FENCE_SCHEMA, "-", text=text)
    assert done.returncode == 0, done.stderr


def test_address_metadata_fits_both_versions(tools: Tools) -> None:
    text = tools.agents.address_raw(["meta-data"], {}).out
    if os.path.exists(OCF_1_0_FOLDER):
        # As ocf-tester does it: the DTD is named in the document, relative to this folder.
        command = ["/usr/bin/env", "-C", OCF_1_0_FOLDER, "/usr/bin/xmllint", "--noout", "--valid", "-"]
        done = tools.run(*command, text=text)
        assert (done.returncode, done.stderr) == (0, "")
    schemas = [path for path in OCF_SCHEMAS if os.path.exists(path)]
    if not schemas:
        pytest.skip("no schema of OCF 1.1 is installed")
    for schema in schemas:
        done = tools.run("/usr/bin/xmllint", "--noout", "--relaxng", schema, "-", text=text)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def reachable_by_nobody() -> None:
    """Whether other users can run the agents, as they can where cloudha belongs (/opt), and not below /root."""
    hidden = out_of_reach(Path(sys.executable))
    if hidden:
        pytest.skip(f"only root can pass {hidden}, on the way to the interpreter; clone into another folder")


@pytest.mark.usefixtures("reachable_by_nobody")
def test_ocf_tester(tools: Tools) -> None:
    options = {"provider": "sim", "endpoint": tools.cloud.url, "ip": "10.9.9.100", "nic": "eth0"}
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    done = tools.run("/usr/sbin/ocf-tester", "-v", "-n", "vip", *words, tools.agents.address_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "passed all tests" in done.stdout


def test_stonith_admin(tools: Tools) -> None:
    done = tools.run("/usr/sbin/stonith_admin", "--metadata", "--agent", "fence_cloud")
    assert done.returncode == 0
    assert 'name="fence_cloud"' in done.stdout
    listed = tools.run("/usr/sbin/stonith_admin", "--list-installed")
    assert "fence_cloud" in listed.stdout.split()
    good = ["--option", "provider=sim", "--option", f"endpoint={tools.cloud.url}"]
    validate = ["/usr/sbin/stonith_admin", "--validate", "--agent", "fence_cloud"]
    done = tools.run(*validate, *good)
    assert done.returncode == 0, done.stdout + done.stderr
    bad = tools.run(*validate, *good, "--option", "power_timeout=soon")
    assert bad.returncode != 0
    assert "power_timeout" in bad.stdout + bad.stderr
    bad = tools.run(*validate, "--option", "provider=nimbus")
    assert bad.returncode != 0
    assert "cloudha-plugin-nimbus" in bad.stdout + bad.stderr


def test_crm_resource(tools: Tools) -> None:
    command = [
        "/usr/sbin/crm_resource",
        "--validate",
        "--class",
        "ocf",
        "--provider",
        "cloudha",
        "--agent",
        "floating-ip",
    ]
    good = ["--option", "provider=sim", "--option", f"endpoint={tools.cloud.url}"]
    done = tools.run(*command, *good, "--option", "ip=10.9.9.100")
    assert done.returncode == 0, done.stdout + done.stderr
    bad = tools.run(*command, *good, "--option", "ip=10.9.9.500")
    assert bad.returncode != 0
    assert "not configured" in bad.stdout + bad.stderr
    shown = tools.run("/usr/sbin/crm_resource", "--show-metadata", "ocf:cloudha:floating-ip")
    assert shown.returncode == 0
    assert "unique-group" in shown.stdout


def test_pcs_stonith(tools: Tools) -> None:
    create = ["/usr/sbin/pcs", "-f", "cib.xml", "stonith", "create"]
    good = ["fence_cloud", "provider=sim", f"endpoint={tools.cloud.url}", "pcmk_host_map=n1:m-0001;n2:m-0002"]
    done = tools.run(*create, "f1", *good, "power_timeout=40")
    assert (done.returncode, done.stderr) == (0, "")
    done = tools.run(*create, "f2", *good, "bogus=1")
    assert done.returncode != 0
    assert "bogus" in done.stderr
    done = tools.run(*create, "f3", "fence_cloud", "pcmk_host_list=n1")
    assert done.returncode != 0
    assert "'provider'" in done.stderr
    described = tools.run("/usr/sbin/pcs", "stonith", "describe", "fence_cloud")
    assert "power_timeout" in described.stdout
    tools.verify()


def test_pcs_stonith_with_validation_by_the_agent(tools: Tools) -> None:
    create = ["/usr/sbin/pcs", "-f", "cib.xml", "stonith", "create", "f1", "fence_cloud", "provider=sim"]
    done = tools.run(*create, "endpoint=nonsense", "--agent-validation")
    if "--agent-validation" in done.stderr and "option" in done.stderr:
        pytest.skip("this pcs cannot ask the agent")
    assert done.returncode != 0
    assert "endpoint" in done.stderr
    done = tools.run(*create, f"endpoint={tools.cloud.url}", "--agent-validation")
    assert done.returncode == 0, done.stderr


def test_pcs_resource(tools: Tools) -> None:
    tools.add_fencing()
    create = ["/usr/sbin/pcs", "-f", "cib.xml", "resource", "create"]
    good = ["ocf:cloudha:floating-ip", "provider=sim", f"endpoint={tools.cloud.url}"]
    done = tools.run(*create, "vip", *good, "ip=10.9.9.100", "nic=eth0", "op", "monitor", "interval=10s")
    assert (done.returncode, done.stderr) == (0, "")
    again = tools.run(*create, "vip2", *good, "ip=10.9.9.100")
    assert again.returncode != 0
    assert "not unique" in again.stderr
    other = tools.run(*create, "vip2", *good, "ip=10.9.9.101")
    assert other.returncode == 0
    unknown = tools.run(*create, "vip3", *good, "ip=10.9.9.102", "bogus=1")
    assert unknown.returncode != 0
    assert "bogus" in unknown.stderr
    missing = tools.run(*create, "vip3", *good)
    assert missing.returncode != 0
    assert "'ip'" in missing.stderr
    described = tools.run("/usr/sbin/pcs", "resource", "describe", "ocf:cloudha:floating-ip")
    assert "unique group: address" in described.stdout
    tools.verify()


def test_pcs_resource_default_operations(tools: Tools) -> None:
    tools.add_fencing()
    create = ["/usr/sbin/pcs", "-f", "cib.xml", "resource", "create", "vip", "ocf:cloudha:floating-ip", "provider=sim"]
    assert tools.run(*create, f"endpoint={tools.cloud.url}", "ip=10.9.9.100").returncode == 0
    shown = tools.run("/usr/sbin/pcs", "-f", "cib.xml", "resource", "config", "vip").stdout
    assert "interval=10s" in shown
    assert "OCF_CHECK_LEVEL=10" in shown
    tools.verify()


def test_crmsh(tools: Tools) -> None:
    tools.add_fencing()
    for name in ("ocf:cloudha:floating-ip", "stonith:fence_cloud"):
        done = tools.run("/usr/sbin/crm", "ra", "info", name)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "provider*" in done.stdout
    endpoint = f"endpoint={tools.cloud.url}"
    for words in (
        ["vip", "ocf:cloudha:floating-ip", "params", "provider=sim", endpoint, "ip=10.9.9.100", "op", "monitor",
         "interval=10s", "timeout=30s"],
        ["f1", "stonith:fence_cloud", "params", "provider=sim", endpoint, "pcmk_host_list=n1 n2"],
    ):  # fmt: skip
        done = tools.run("/usr/sbin/crm", "configure", "primitive", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "ERROR" not in done.stdout + done.stderr
    shown = tools.run("/usr/sbin/crm", "configure", "show").stdout
    assert "ocf:cloudha:floating-ip" in shown
    assert "stonith:fence_cloud" in shown
    tools.verify()


@pytest.mark.usefixtures("reachable_by_nobody")
def test_nobody_may_ask_for_the_metadata(tools: Tools) -> None:
    done = tools.run("/bin/su", "nobody", "-s", "/bin/sh", "-c", f"{tools.agents.address_path} meta-data")
    assert (done.returncode, done.stderr) == (0, "")


def test_metadata_names_every_option_of_every_provider(tools: Tools) -> None:
    import xml.etree.ElementTree as ET

    from cloudha import plugins
    from cloudha.options import COMMON_OPTIONS, Audience

    fence = ET.fromstring(tools.agents.fence_raw("", "-o", "metadata").out)  # noqa: S314 - our own document
    address = ET.fromstring(tools.agents.address_raw(["meta-data"], {}).out)  # noqa: S314 - our own document
    for root, left_out in ((address, Audience.FENCE), (fence, Audience.ADDRESS)):
        names = [parameter.get("name") for parameter in root.iter("parameter")]
        assert sorted(names, key=str) == sorted(set(names), key=str), "a parameter is there twice"
        wanted = [*COMMON_OPTIONS, *plugins.load("sim").info.options]
        assert {option.name for option in wanted if option.audience is not left_out} <= set(names)
    assert [action.get("name") for action in address.iter("action")].count("monitor") == 2
