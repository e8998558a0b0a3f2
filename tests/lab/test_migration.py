"""The move from Debian's agents to ours on a real cluster: every line that ``cloudha plan`` proposes, pasted."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

import older_agents
from cloudha.lab import cluster, evidence, faults, verbs
from cloudha.lab.failover import READS, Cause, failover
from cloudha.lab.fencings import fencings
from cloudha.lab.nodes import command_in
from cloudha.lab.programs import Finished, poll, run
from cloudha.lab.state import LabState
from lab_plays import served, told
from lab_stage import Record, Stage, Start

pytest.importorskip("moto", reason="the emulated AWS needs moto: pip install 'cloudha-plugin-aws[emulator]'")
pytestmark = pytest.mark.lab

CLOUDHA = str(Path(sys.executable).parent / "cloudha")
SECONDS = 150
# The beginning of the key in the cluster's configuration: the example of AWS's documentation.
SECRET = "wJalrXUtnFEMI"
NEW = {"fence-cloud": "fence_cloud", "vip-cloud": "floating-ip", "web": "nginx", "mail": "Dummy"}
OLD = ("fence", "vip", "ip", "web", "mail")


@dataclass
class Walk:
    """The way as it was walked. ``parts``: the title of each and when it began and ended; ``said``: all output."""

    state: LabState
    proposed: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, tuple[float, float]] = field(default_factory=dict)
    said: str = ""
    #: where the address was when the agents were exchanged
    holder: str = ""
    #: what tells a restart: process id of the web server before and after the exchange of the addresses
    web: list[str] = field(default_factory=list)

    def propose(self) -> None:
        # The trial on a copy has its own tests; here everything is done in earnest.
        done = typed(self.state, "node1", f"{CLOUDHA} plan --from-cluster --json --untried")
        assert done.code == 0, done.err
        self.said += done.out + done.err
        self.proposed = json.loads(done.out)

    def lines(self, title: str) -> list[str]:
        return next(part["lines"] for part in self.proposed["way"] if part["title"].startswith(title))

    def paste(self, node: str, title: str) -> str:
        """Type a part of the way into a shell of that node, as it was printed."""
        begin = time.monotonic()
        done = typed(self.state, node, *self.lines(title))
        self.parts[title] = begin, time.monotonic()
        self.said += done.out + done.err
        assert done.code == 0, f"{title}: {done.out}\n{done.err}"
        return done.out


def typed(state: LabState, node: str, *lines: str) -> Finished:
    return run([*command_in(state, node), "bash"], feed="\n".join([*lines, ""]), seconds=SECONDS, check=False)


def runs(state: LabState, *names: str) -> bool:
    return poll(lambda: all(cluster.holder(state, name) for name in names), SECONDS, every=0.3)


@pytest.fixture(scope="module")
def before(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A cluster of the older agents, in which everything runs."""
    lacking = older_agents.lacking()
    if lacking:
        reason = f"the older agents are not here: {lacking}"
        assert os.environ.get("CLOUDHA_TEST_LAB") != "required", reason
        pytest.skip(reason)
    place = tmp_path_factory.mktemp("older")
    older_agents.announce(place)
    state = start("migration", provider=older_agents.PROVIDER, nodes=2, setup=False)
    older_agents.lay_out(state)
    old = older_agents.configuration(state)
    run([*command_in(state, "node1"), "cibadmin", "--modify", "--allow-create", "--xml-pipe"], feed=old)
    assert runs(state, *OLD), cluster.any_view(state)
    cluster.wait_idle(state)
    stage = Stage(state)
    assert poll(lambda: served(stage) == "node2", 30)
    yield stage
    sys.path.remove(str(place))


@pytest.fixture(scope="module")
def walk(before: Stage) -> Walk:
    state = before.state
    walk = Walk(state)
    walk.propose()
    assert [move["needs_your_decision"] for move in walk.proposed["moves"]] == [[], []]
    first = walk.proposed["way"]
    walk.paste("node1", "create the new fencing")
    assert runs(state, "fence-cloud"), cluster.any_view(state)
    _try_fencing(walk)
    # The node with the first proposal on its screen was restarted: what is left is proposed again.
    walk.propose()
    assert walk.proposed["way"] == first[1:]
    walk.paste("node1", "remove the old fencing")
    assert runs(state, "fence-cloud"), cluster.any_view(state)
    cluster.wait_idle(state)
    # Mostly the first node; a fenced node that is back before its peer takes over has its preference's way.
    walk.holder = before.holder
    walk.web.append(before.run(walk.holder, "cat", "/run/nginx.pid"))
    _exchange(walk)
    walk.web.append(before.run(walk.holder, "cat", "/run/nginx.pid"))
    return walk


def _try_fencing(walk: Walk) -> None:
    """Do what the second part says: the doctor on every node, then fence them one by one."""
    commands = [line.removeprefix("#   ") for line in walk.lines("try it") if line.startswith("#   ")]
    begin = time.monotonic()
    assert commands[0] == "cloudha doctor"
    for node in ("node1", "node2"):
        done = typed(walk.state, node, commands[0].replace("cloudha", CLOUDHA) + " --json")
        walk.said += done.out
        found = {finding["check"]: finding["level"] for finding in json.loads(done.out)["findings"]}
        good = {"access.aws", "metadata.aws", "machines.here", "machines.nodes", "devices.nodes"}
        assert good <= {check for check, level in found.items() if level == "good"}, found
        assert [check for check, level in found.items() if level == "bad"] == ["secrets.fence-cloud"]
    assert commands[1:-1] == ["pcs stonith fence node1", "pcs stonith fence node2"]
    for command, by in zip(commands[1:-1], ("node2", "node1"), strict=True):
        done = typed(walk.state, by, command)
        assert "fenced" in done.out + done.err, done
        cluster.wait_online(walk.state, SECONDS, ["node1", "node2"])
        cluster.wait_idle(walk.state, SECONDS)
        assert runs(walk.state, *OLD, "fence-cloud"), cluster.any_view(walk.state)
    walk.parts["try it"] = begin, time.monotonic()
    assert [fencing.target for fencing in fencings(walk.state, begin)] == ["node1", "node2"]


def _exchange(walk: Walk) -> None:
    looks = walk.paste("node1", "exchange the addresses")
    # The three looks: found where the address is; no history of the old ones; nothing would be done.
    assert re.findall(r"resource (\S+) is running on: (\S+)", looks) == [("vip-cloud", walk.holder)]
    assert "<lrm_resource" not in looks
    summary, _, executed = looks.partition("Transition Summary:")[2].partition("Executing Cluster Transition:")
    assert summary.split() == []
    assert not re.search(r"\b(start|stop|demote|fence|shutdown) on\b", executed), executed
    walk.paste("node1", "leave maintenance mode")
    cluster.wait_idle(walk.state, SECONDS)
    # A monitor of every new resource, and what it would lead to.
    time.sleep(1)
    cluster.wait_idle(walk.state, SECONDS)
    begin = walk.parts["exchange the addresses"][0]
    walk.parts["exchange"] = begin, time.monotonic()


def test_the_new_agents_run_and_nothing_of_the_old_is_left(walk: Walk, before: Stage) -> None:
    seen = cluster.any_view(walk.state)
    assert seen is not None
    assert set(seen.running) == set(NEW)
    assert {seen.running[name] for name in ("vip-cloud", "web", "mail")} == {(walk.holder,)}
    assert seen.failed == ()
    content = before.run("node1", "cibadmin", "--query")
    root = ET.fromstring(content)  # noqa: S314 - of a cluster of ours
    assert {item.get("id"): item.get("type") for item in root.iter("primitive")} == NEW
    assert [item.get("id") for item in root.findall(".//group/primitive")] == ["vip-cloud", "web"]
    assert [item.get("name") for item in root.findall(".//group/meta_attributes/nvpair")] == ["priority"]
    found = [set(item.attrib.values()) & {*NEW, "service"} for item in root.iterfind("configuration/constraints/*")]
    assert found == [{"service"}, {"mail", "vip-cloud"}, {"mail", "vip-cloud"}]
    assert not root.findall(".//fencing-level")
    assert "maintenance-mode" not in content
    assert {item.get("id") for item in root.iter("lrm_resource")} == set(NEW)
    for node in before.nodes:
        done = run([*command_in(walk.state, node), "crm_verify", "-L", "-V"])
        assert (done.out + done.err).strip() == ""


def test_no_secret_was_shown(walk: Walk) -> None:
    assert SECRET not in walk.said
    assert len(walk.said) > 1000


def test_fencing_was_never_absent(walk: Walk) -> None:
    """Pacemaker keeps every version of its configuration: in each one there was a device for both nodes."""
    kept = sorted((walk.state.node("node1").disk / "var/lib/pacemaker/cib").glob("cib-*.raw"))
    versions = [ET.parse(file).getroot() for file in kept]  # noqa: S314 - of a cluster of ours
    versions.sort(key=lambda root: int(root.get("epoch", "0")))
    devices = [{item.get("type") for item in root.findall(".//primitive[@class='stonith']")} for root in versions]
    first = next(number for number, types in enumerate(devices) if types)
    assert {"fence_aws", "fence_cloud"} in devices
    assert devices[-1] == {"fence_cloud"}
    assert all(devices[first:])
    assert not any("stonith-enabled" in ET.tostring(root, encoding="unicode") for root in versions)


def test_the_new_device_fenced(walk: Walk) -> None:
    for victim, by in (("node1", "node2"), ("node2", "node1")):
        log = (walk.state.node(by).disk / "var/log/pacemaker/pacemaker.log").read_text(errors="replace")
        assert re.findall(rf"targeting {victim} using (\S+) returned (\S+)", log) == [("fence-cloud", "0")]


def changes(walk: Walk, title: str) -> set[str]:
    """Return what was changed in the cloud meanwhile. What is answered with 412 is a trial without effect (DryRun)."""
    begin, end = walk.parts[title]
    asked = [
        str(entry["operation"]).partition(".")
        for entry in faults.requests(walk.state)
        if begin < float(str(entry["time"])) < end and entry["status"] == 200
    ]
    return {name for service, _, name in asked if service == "ec2" and not READS.match(name)}


def test_the_address_never_left(walk: Walk, record_property: Record) -> None:
    begin, end = walk.parts["exchange"]
    assert evidence.double_holders(walk.state, 0.0) == []
    # The address moves with the service, which need not move: see walk().
    power = {"StopInstances", "StartInstances"}
    assert power <= changes(walk, "try it") <= {*power, "AssignPrivateIpAddresses"}
    assert changes(walk, "exchange") == set()
    held = [h for h in evidence.holdings(walk.state, begin) if h.begin < end]
    assert [(h.node, h.begin < begin, h.end > end) for h in held] == [(walk.holder, True, True)]
    assert walk.web[0] == walk.web[1], "the web server was not restarted"
    for title in ("try it", "exchange"):
        gap = longest_gap(walk.state, *walk.parts[title])
        record_property(f"{title}: seconds without an answer", round(gap, 2))
        print(f"\n{title}: at most {gap:.2f} s without an answer")
    for title, (since, until) in walk.parts.items():
        print(f"{title}: {until - since:.1f} s")


def longest_gap(state: LabState, begin: float, end: float) -> float:
    """Return the longest time between two answers; the client asks twenty times a second."""
    moments = [answer.at for answer in evidence.answers(state, begin - 1.0, verbs.ADDRESS) if answer.at <= end]
    return max(later - earlier for earlier, later in pairwise(moments))


def test_then_a_power_cut_fails_over(walk: Walk, before: Stage, record_property: Record) -> None:
    before.begin = time.monotonic()
    story = told(failover(walk.state, Cause.POWER), record_property)
    assert story.fenced == (story.victim,) == (walk.holder,)
    assert story.holder == before.other(walk.holder)
    assert runs(walk.state, "vip-cloud", "web", "mail")
    assert poll(lambda: served(before) == story.holder, 30)
    assert evidence.double_holders(walk.state, 0.0) == []
