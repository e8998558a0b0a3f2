"""``cloudha doctor`` on a real cluster that ``cloudha plan --apply`` set up: good, then broken in one place at a time.

Each break is seen as what it is, and the command that the doctor gives mends it: had it not, the next look would show.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from cloudha.lab import cluster, control, faults, verbs
from cloudha.lab.nodes import command_in, run_in
from cloudha.lab.programs import poll, run
from cloudha.lab.state import LabState
from lab_plays import API
from lab_stage import Start

pytestmark = pytest.mark.lab

# Not by the first line of the script: an agent counts as of another environment when its interpreter has another name,
# and it is the one of these tests that laid out the nodes.
CLOUDHA = (sys.executable, str(Path(sys.executable).parent / "cloudha"))
SECONDS = 90
SECRET = "tok-5f1e9c7a"
AGENTS = "/usr/lib/ocf/resource.d/cloudha"


@dataclass(frozen=True)
class Finding:
    check: str
    level: str
    what: str
    why: str
    mend: str


@dataclass(frozen=True)
class Patient:
    """The cluster, the parameters by which the cloud is reached, and the node from which it is looked at."""

    state: LabState
    options: dict[str, str]
    node: str = "node1"

    def run(self, *argv: str, seconds: float = 60) -> str:
        return run_in(self.state, self.node, *argv, seconds=seconds).out

    def look(self, *more: str) -> tuple[int, list[Finding]]:
        """Return the exit code, and all that is not good."""
        argv = [*command_in(self.state, self.node), *CLOUDHA, "doctor", "--json", *more]
        done = run(argv, seconds=SECONDS, check=False)
        document = json.loads(done.out)
        assert document["exit"] == done.code
        assert SECRET not in done.out + done.err
        findings = [Finding(**finding) for finding in document["findings"]]
        assert len(findings) > 5
        for finding in findings:
            assert finding.what
            assert finding.level == "good" or (finding.why and finding.mend), finding
        return done.code, [finding for finding in findings if finding.level != "good"]

    def sees(self, code: int, *checks: str) -> list[Finding]:
        """Return the findings that are not good: of these checks, one each, and no other."""
        found = self.look("--skip", "software")
        assert (found[0], [finding.check for finding in found[1]]) == (code, list(checks)), found
        return found[1]

    def mended_by(self, *commands: str) -> None:
        for command in commands:
            assert command.startswith("pcs "), command
            self.run("sh", "-euc", command)
        cluster.wait_idle(self.state)

    def parameter(self, resource: str, name: str, value: str) -> None:
        self.run("crm_resource", "--resource", resource, "--set-parameter", name, "--parameter-value", value)

    def operation(self, key: str, **attributes: str) -> None:
        pairs = " ".join(f'{name.replace("_", "-")}="{value}"' for name, value in attributes.items())
        self.run("cibadmin", "--modify", "--xml-text", f'<op id="{key}" {pairs}/>')


@pytest.fixture(scope="module")
def patient(start: Start) -> Patient:
    """A cluster as the documentation makes one: described, planned, applied on a node."""
    state = start("doctor", provider="sim", nodes=2, setup=False)
    options = {name: value for name, value in control.options(state).items() if name != "provider"}
    described = "".join(f"{name} = {json.dumps(value)}\n" for name, value in options.items())
    (state.node("node1").disk / "root/cluster.toml").write_text(
        'cluster = "doctor"\nprovider = "sim"\n[nodes]\nnode1 = "node1"\nnode2 = "node2"\n'
        f'[options]\n{described}[[address]]\nname = "vip"\nip = "{verbs.ADDRESS}"\nnic = "eth0"\n'
    )
    run_in(state, "node1", *CLOUDHA, "plan", "/root/cluster.toml", "--apply", "--yes", seconds=SECONDS)
    assert poll(lambda: all(cluster.holder(state, name) for name in ("vip", "fence")), SECONDS, every=0.3)
    cluster.wait_idle(state)
    return Patient(state, options)


@contextmanager
def fault(patient: Patient, operation: str) -> Iterator[None]:
    number = faults.add_fault(patient.state, operation, "refuse")
    try:
        yield
    finally:
        faults.clear_faults(patient.state, number)


def test_a_planned_cluster_is_good(patient: Patient) -> None:
    options = [word for name, value in patient.options.items() for word in ("-o", f"{name}={value}")]
    assert patient.look("--provider", "sim", *options) == (0, [])


def test_without_fencing(patient: Patient) -> None:
    patient.run("crm_attribute", "--name", "stonith-enabled", "--update", "false")
    (found,) = patient.sees(2, "cluster.stonith")
    assert "is not fenced" in found.why
    patient.mended_by(found.mend)


def test_machines_that_are_not_the_nodes(patient: Patient) -> None:
    patient.parameter("fence", "pcmk_host_map", "node1:node1;node2:renamed")
    (found,) = patient.sees(2, "machines.node2")
    assert "renamed" in found.what
    assert "waits for ever" in found.why
    patient.parameter("fence", "pcmk_host_map", "node1:node2;node2:node1")
    (found,) = patient.sees(2, "machines.here")
    assert "cuts the power of another" in found.why
    # Its command has room for what cloudha nodes shows.
    options = [word for name, value in patient.options.items() for word in ("-o", f"{name}={value}")]
    nodes = json.loads(patient.run(*CLOUDHA, "nodes", "--provider", "sim", *options, "--json"))["nodes"]
    plugs = ";".join(f"{node['name']}:{node['id']}" for node in nodes)
    command, _, advice = found.mend.partition(", with ")
    assert "cloudha nodes" in advice
    patient.mended_by(command.replace("NODE:MACHINE;...", plugs))
    patient.sees(0)


def test_a_secret_in_the_configuration(patient: Patient) -> None:
    patient.parameter("fence", "password", SECRET)
    (found,) = patient.sees(2, "secrets.fence")
    command = re.search(r"pcs stonith update \S+ password=", found.mend)
    assert command, found
    patient.mended_by(command[0])
    patient.sees(0)


def test_the_cloud_is_away(patient: Patient) -> None:
    with fault(patient, "metadata.*"):
        (found,) = patient.sees(2, "metadata.sim")
        assert "vip cannot start here" in found.why
        assert "API" not in found.mend
    with fault(patient, API):
        code, all_found = patient.look("--skip", "software")
        assert code == 2
        assert [finding.check for finding in all_found if finding.level == "bad"] == ["access.sim.api"]
        assert "nothing can be fenced or moved" in all_found[0].why
        # What only the API knows is not called good, nor bad.
        assert {finding.level for finding in all_found[1:]} == {"unknown"}
        assert {"machines.fence", "addresses.vip"} <= {finding.check for finding in all_found}
    patient.run("pcs", "resource", "cleanup")


def test_an_address_outside_the_subnet(patient: Patient) -> None:
    parameters = {"provider": "sim", **patient.options, "ip": "192.0.2.9", "nic": "eth0"}
    pairs = "".join(f'<nvpair id="far-{name}" name="{name}" value="{value}"/>' for name, value in parameters.items())
    patient.run(
        "cibadmin", "--create", "--scope", "resources", "--xml-text",
        '<primitive id="far" class="ocf" provider="cloudha" type="floating-ip">'
        f'<instance_attributes id="far-attributes">{pairs}</instance_attributes>'
        '<meta_attributes id="far-meta"><nvpair id="far-role" name="target-role" value="Stopped"/></meta_attributes>'
        "</primitive>",
    )  # fmt: skip
    beside = ("cluster.far", "monitors.far", "timeouts.far.start", "timeouts.far.stop")
    found = patient.sees(2, "addresses.far.subnet", *beside)
    assert "192.0.2.9 is not in the subnet of eth0 (10.77.0.0/24)" in found[0].what
    # It has no operations at all, either.
    patient.mended_by(*(finding.mend for finding in found[2:]))
    patient.sees(2, "addresses.far.subnet", "cluster.far")
    patient.run("pcs", "resource", "delete", "far")


def test_times_that_are_too_short(patient: Patient) -> None:
    before = operations(patient, "vip")
    # Not so short that a busy machine exceeds them now.
    patient.operation("vip-stop-interval-0s", timeout="25s", on_fail="block")
    patient.operation("vip-monitor-interval-10s", interval="2s")
    patient.operation("vip-monitor-interval-60s", timeout="14s")
    patient.parameter("fence", "pcmk_reboot_timeout", "30s")
    patient.operation("fence-monitor-interval-60s", timeout="14s", interval="120s")
    checks = ["timeouts.fence.reboot", "monitors.vip", "timeouts.fence.monitor", "timeouts.vip.stop"]
    found = patient.sees(2, *checks, "timeouts.vip.stop.on-fail", "timeouts.vip.monitor")
    patient.mended_by(*dict.fromkeys(finding.mend for finding in found))
    patient.sees(0)
    # What was not wrong is as before: intervals, levels and the other timeouts.
    wanted = {**before, ("stop", "0s"): {"timeout": "30s", "on-fail": "fence"}}
    wanted["monitor", "60s"] = {"timeout": "15s", "OCF_CHECK_LEVEL": "10"}
    assert operations(patient, "vip") == wanted
    assert operations(patient, "fence") == {("monitor", "120s"): {"timeout": "25s"}}


def operations(patient: Patient, resource: str) -> dict[tuple[str, str], dict[str, str]]:
    text = patient.run("cibadmin", "--query", "--xpath", f"//primitive[@id='{resource}']/operations")
    found = {}
    for op in ET.fromstring(text):  # noqa: S314 - of a cluster of ours
        more = {pair.get("name", ""): pair.get("value", "") for pair in op.iter("nvpair")}
        own = {name: value for name, value in op.attrib.items() if name not in ("id", "name", "interval")}
        found[op.get("name", ""), op.get("interval", "")] = {**own, **more}
    return found


def test_agents_that_are_missing_or_old(patient: Patient) -> None:
    # Not where the address is: a monitor, and then a stop, without an agent would get that node fenced.
    holder = cluster.holder(patient.state)
    patient = replace(patient, node="node2" if holder == "node1" else "node1")
    patient.run("mount", "-t", "tmpfs", "none", AGENTS)
    try:
        (found,) = patient.sees(2, "agents.floating-ip")
        assert "neither fence nor move" in found.why
        # What it says to type, with the interpreter of these tests.
        assert shlex.split(found.mend) == [CLOUDHA[1], "install"]
        patient.run(*CLOUDHA, "install")
        patient.sees(0)
    finally:
        patient.run("umount", AGENTS)
    older = "sed 's/^from .*/print(\"0.0.9\")/; s/^main.*//' /usr/sbin/fence_cloud > /run/older; chmod 755 /run/older"
    patient.run("sh", "-euc", f"{older}; mount --bind /run/older /usr/sbin/fence_cloud")
    try:
        (found,) = patient.sees(1, "agents.fence_cloud")
        assert "is version 0.0.9" in found.what
    finally:
        patient.run("umount", "/usr/sbin/fence_cloud")
    patient.sees(0)
