"""`cloudha doctor` through the installed executable: every finding that decides about a failover, and its exit code."""

from __future__ import annotations

import ipaddress
import json
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest

from agent_process import Ran, run
from cloudha import __version__
from cloudha.cli.checks import configuration, delays
from cloudha.cli.checks.case import Case
from cloudha.cli.checks.cib import parse_cib
from cloudha.cli.checks.finding import Finding, Level
from cloudha.cli.checks.hostmap import parse_host_map
from cloudha.errors import ConfigurationError
from cloudha.install import AGENTS
from cloudha.testing.emulator import Effect, Fault
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha.types import Kind
from cloudha_plugin_sim.emulator import SimEmulator
from cloudha_plugin_sim.records import State
from private_node import PrivateNode, private_node
from simulated_cloud import PUBLIC_ADDRESS, simulated_cloud

CLOUDHA = str(Path(sys.executable).parent / "cloudha")
TOKEN = "tok-5f1e9c7a"
# What is about this machine has its own tests.
HERE = ("--skip", "agents", "--skip", "software")
SECONDS = 60.0
Pairs = Mapping[str, str]
FENCE_OPS = '<op id="{id}-m" name="monitor" interval="60s" timeout="20s"/>'
ADDRESS_OPS = (
    '<op id="{id}-s" name="start" interval="0s" timeout="60s"/>'
    '<op id="{id}-p" name="stop" interval="0s" timeout="60s"/>'
    '<op id="{id}-m" name="monitor" interval="10s" timeout="30s"/>'
)


def pairs(owner: str, values: Pairs) -> str:
    return "".join(
        f'<nvpair id="{owner}-{name}" name={quoteattr(name)} value={quoteattr(value)}/>'
        for name, value in values.items()
    )


def primitive(key: str, kind: str, parameters: Pairs, operations: str, meta: Pairs | None = None) -> str:
    return (
        f'<primitive id="{key}" {kind}><instance_attributes id="{key}-ia">{pairs(key, parameters)}'
        f'</instance_attributes><meta_attributes id="{key}-ma">{pairs(key + "-meta", meta or {})}</meta_attributes>'
        f"<operations>{operations.format(id=key)}</operations></primitive>"
    )


def fence(key: str = "fence", operations: str = FENCE_OPS, meta: Pairs | None = None, /, **parameters: str) -> str:
    return primitive(key, 'class="stonith" type="fence_cloud"', parameters, operations, meta)


def address(key: str = "vip", operations: str = ADDRESS_OPS, /, **parameters: str) -> str:
    kind = 'class="ocf" provider="cloudha" type="floating-ip"'
    return primitive(key, kind, parameters, operations, {"priority": "10"})


def cib(*resources: str, nodes: tuple[str, ...] = ("n1", "n2"), status: str = "", **properties: str) -> str:
    wanted = {"stonith-enabled": "true", "priority-fencing-delay": "10s"}
    wanted |= {name.replace("_", "-"): value for name, value in properties.items()}
    members = "".join(f'<node id="{number}" uname="{name}"/>' for number, name in enumerate(nodes, 1))
    return (
        '<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="0">'
        f'<configuration><crm_config><cluster_property_set id="cib-bootstrap-options">{pairs("p", wanted)}'
        f"</cluster_property_set></crm_config><nodes>{members}</nodes><resources>{''.join(resources)}</resources>"
        f"<constraints/></configuration><status>{status}</status></cib>"
    )


def poll(ready: Callable[[], bool]) -> bool:
    for _ in range(500):
        if ready():
            return True
        time.sleep(0.02)
    return False


class Report:
    """What one run said, as JSON."""

    def __init__(self, ran: Ran) -> None:
        self.ran = ran
        self.document: dict[str, Any] = json.loads(ran.out)
        assert self.document["exit"] == ran.code, ran
        assert "Traceback" not in ran.err, ran

    def of(self, check: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = self.document["findings"]
        return [finding for finding in found if finding["check"] == check]

    def the(self, check: str, level: str) -> str:
        found = self.of(check)
        assert len(found) == 1, (check, self.document["findings"])
        assert found[0]["level"] == level, found
        assert level == "good" or (found[0]["why"] and found[0]["mend"]), found
        return found[0]["what"]

    def levels(self, level: str) -> list[str]:
        return [finding["check"] for finding in self.document["findings"] if finding["level"] == level]


Doctor = Callable[..., Report]


@pytest.fixture
def cloud() -> Iterator[SimEmulator]:
    emulator = simulated_cloud()
    # Whoever runs the tests is the machine n1.
    emulator.api.callers[ipaddress.ip_address("127.0.0.1")] = ipaddress.ip_address("10.9.9.1")
    emulator.start()
    yield emulator
    emulator.close()


@pytest.fixture
def sim(cloud: SimEmulator) -> dict[str, str]:
    return {"provider": "sim", "endpoint": cloud.url}


@pytest.fixture
def vip(sim: dict[str, str]) -> str:
    return address(**sim, ip=PUBLIC_ADDRESS, kind="public")


@pytest.fixture
def doctor(tmp_path: Path) -> Doctor:
    def examine(text: str, *words: str, env: Mapping[str, str] | None = None) -> Report:
        file = tmp_path / "cib.xml"
        file.write_text(text)
        command = [CLOUDHA, "doctor", "--json", "--cib", str(file), *HERE, *words]
        return Report(run(command, "", {**(env or {})}, seconds=SECONDS))

    return examine


def test_healthy(doctor: Doctor, sim: dict[str, str], vip: str) -> None:
    report = doctor(cib(fence(**sim, pcmk_host_map="n1:m-0001;n2:m-0002"), vip))
    assert report.ran.code == 0, report.document
    assert report.document["level"] == "good"
    assert report.document["skipped"] == ["agents", "software"]
    assert report.the("machines.nodes", "good") == "n1 is n1 (m-0001), n2 is n2 (m-0002)"
    assert "machines.power" in report.of("access.sim")[0]["what"]
    for check in ("cluster.stonith", "delays.priority", "secrets.cib", "metadata.sim", "latency.fence", "clock.sim"):
        report.the(check, "good")
    report.the("timeouts.fence", "good")
    report.the("addresses.vip.holder", "good")


def test_a_table_for_people(tmp_path: Path, sim: dict[str, str], vip: str) -> None:
    file = tmp_path / "cib.xml"
    file.write_text(cib(fence(**sim, pcmk_host_list="n1 n2"), vip, stonith_enabled="false"))
    ran = run([CLOUDHA, "doctor", "--cib", str(file), *HERE], "", {}, seconds=SECONDS)
    assert ran.code == 2, ran
    lines = ran.out.splitlines()
    assert lines[0].split() == ["level", "check", "finding"]
    assert lines[1].startswith("bad")
    assert "-> pcs property set stonith-enabled=true" in ran.out
    assert lines[-1].startswith("BAD: 1 bad, ")
    assert "(left out: agents, software)" in lines[-1]
    assert "\x1b" not in ran.out


def test_fencing_that_is_switched_off(doctor: Doctor, sim: dict[str, str]) -> None:
    device = fence("fence", FENCE_OPS, {"target-role": "Stopped"}, **sim, pcmk_host_list="n1 n2")
    report = doctor(cib(device, stonith_enabled="false", maintenance_mode="true"))
    assert report.ran.code == 2
    report.the("cluster.stonith", "bad")
    report.the("cluster.maintenance", "bad")
    report.the("devices.fence", "bad")
    report.the("devices.none", "bad")


def test_nodes_that_are_not_fenced(doctor: Doctor, sim: dict[str, str]) -> None:
    report = doctor(cib(fence(**sim, pcmk_host_list="n1 n9")))
    assert "n2" in report.the("devices.node", "bad")
    assert "n9" in report.the("devices.fence.names", "warn")
    assert report.ran.code == 2


def test_two_nodes_that_are_one_machine(doctor: Doctor, sim: dict[str, str]) -> None:
    # In the text, and behind two names of the same machine.
    written = doctor(cib(fence(**sim, pcmk_host_map="n1:m-0001;n2:m-0001")))
    assert "n1 and n2" in written.the("devices.fence.map", "bad")
    named = doctor(cib(fence(**sim, pcmk_host_map="n1:m-0001;n2:10.9.9.1")))
    assert named.of("devices.fence.map") == []
    assert "n1 (m-0001)" in named.the("machines.shared", "bad")
    assert (written.ran.code, named.ran.code) == (2, 2)


def test_machines_that_are_not_there(doctor: Doctor, cloud: SimEmulator, sim: dict[str, str]) -> None:
    cloud.cloud.describe("m-0003", name="n2", group="", restart_after=None)
    report = doctor(cib(fence(**sim, pcmk_host_map="n1:m-0009", pcmk_host_list="n2")))
    assert "m-0009" in report.the("machines.n1", "bad")
    assert "2 machines fit" in report.the("machines.n2", "bad")


def test_the_agents_own_list(doctor: Doctor, sim: dict[str, str]) -> None:
    report = doctor(cib(fence(**sim), nodes=("n1", "n7")))
    assert "n7" in report.the("machines.n7", "bad")
    assert report.of("machines.n1") == []
    assert report.the("machines.nodes", "good") == "n1 is n1 (m-0001)"


def test_a_machine_that_others_start(doctor: Doctor, cloud: SimEmulator, sim: dict[str, str]) -> None:
    cloud.cloud.describe("m-0002", name="n2", group="fleet", restart_after=None)
    report = doctor(cib(fence(**sim, pcmk_host_list="n1 n2")))
    assert "fleet" in report.the("machines.n2.warning", "warn")
    assert report.ran.code == 1


def test_the_status_section_counts(doctor: Doctor, cloud: SimEmulator, sim: dict[str, str]) -> None:
    cloud.cloud.behaviour.stop = 0.0
    cloud.cloud.off("m-0001")
    assert poll(lambda: cloud.cloud.machine("m-0001").state is State.STOPPED)
    up = '<node_state id="1" uname="n1" in_ccm="1700000000" crmd="1700000000" join="member" expected="member"/>'
    down = '<node_state id="2" uname="n2" in_ccm="false" crmd="offline" join="down" expected="down"/>'
    report = doctor(cib(fence(**sim, pcmk_host_map="n1:m-0001;n2:m-0002"), status=up + down))
    assert "n2" in report.the("cluster.node", "warn")
    # Online for the cluster, and off for the cloud: another machine is meant.
    report.the("machines.n1.state", "bad")


def levels(find: Callable[[Case], Iterable[Finding]], text: str) -> dict[str, Level]:
    """Run one check that asks nobody."""
    return {finding.check: finding.level for finding in find(Case(cib=parse_cib(text)))}


def test_an_address_that_the_cluster_leaves_alone() -> None:
    kind = 'class="ocf" provider="cloudha" type="floating-ip"'
    for meta, level in (({"is-managed": "false"}, Level.BAD), ({"target-role": "Stopped"}, Level.WARN)):
        vip = primitive("vip", kind, {"ip": "192.0.2.1"}, ADDRESS_OPS, meta)
        assert levels(configuration.find, cib(vip))["cluster.vip"] is level


def test_mutual_fencing() -> None:
    both = fence(pcmk_host_list="n1 n2")
    assert levels(delays.find, cib(both, priority_fencing_delay="0")) == {"delays.none": Level.WARN}
    assert levels(delays.find, cib(both, priority_fencing_delay="15s")) == {"delays.priority": Level.WARN}
    assert levels(delays.find, cib(both, address())) == {"delays.priority": Level.GOOD}
    other = fence("f2", pcmk_host_list="n2")
    for one in ({"pcmk_delay_base": "10s"}, {"pcmk_delay_max": "1min"}, {"delay": "15"}):
        devices = fence("f1", pcmk_host_list="n1", **one), other
        assert levels(delays.find, cib(*devices, priority_fencing_delay="0")) == {"delays.device": Level.GOOD}
    # The same for both is none; a map may make it differ.
    same = fence(pcmk_host_list="n1 n2", pcmk_delay_base="10s")
    assert levels(delays.find, cib(same, priority_fencing_delay="0")) == {"delays.none": Level.WARN}
    apart = fence(pcmk_host_list="n1 n2", pcmk_delay_base="n1:10s;n2:0s")
    assert levels(delays.find, cib(apart, priority_fencing_delay="0")) == {"delays.device": Level.GOOD}
    three = cib(fence(), nodes=("n1", "n2", "n3"), priority_fencing_delay="0")
    assert levels(delays.find, three) == {}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("n1:i-1;n2:i-2", {"n1": "i-1", "n2": "i-2"}),
        ("n1=i-1 n2:i-2,i-3\t", {"n1": "i-1", "n2": "i-2,i-3"}),
        # As Pacemaker does: the middle part becomes the node's name.
        ("n1:crn:v1", {"crn": "v1"}),
        (r"n1:crn\:v1;n2:a\ b", {"n1": "crn:v1", "n2": "a b"}),
        ("n1;:x;n2:", {}),
    ],
)
def test_the_map_of_hosts(text: str, wanted: dict[str, str]) -> None:
    assert parse_host_map(text) == wanted


def test_what_a_resource_inherits() -> None:
    """Templates, groups, defaults, references and scores, as Pacemaker resolves them."""
    text = """<cib><configuration><crm_config>
      <cluster_property_set id="more" score="100"><nvpair id="x1" name="stonith-timeout" value="1min"/>
        <nvpair id="x2" name="stonith-enabled" value="false"/></cluster_property_set>
      <cluster_property_set id="cib-bootstrap-options"><nvpair id="x3" name="stonith-enabled" value="true"/>
      </cluster_property_set></crm_config>
      <nodes><node id="1" uname="n1"><instance_attributes id="n"><nvpair id="x4" name="standby" value="on"/>
      </instance_attributes></node></nodes>
      <resources><template id="t" class="ocf" provider="cloudha" type="floating-ip">
        <instance_attributes id="ta"><nvpair id="x5" name="provider" value="sim"/>
          <nvpair id="x6" name="ip" value="192.0.2.1"/></instance_attributes>
        <operations><op id="to" name="stop" interval="0" timeout="PT1M30S"/></operations></template>
      <group id="g"><meta_attributes id="gm"><nvpair id="x7" name="priority" value="5"/></meta_attributes>
        <primitive id="vip" template="t"><instance_attributes id="va"><nvpair id="x8" name="ip" value="192.0.2.2"/>
          </instance_attributes><instance_attributes id="vr" score="9"><rule id="r" score="1"/>
          <nvpair id="x9" name="ip" value="192.0.2.3"/></instance_attributes></primitive></group></resources>
      <rsc_defaults><meta_attributes id="rd"><nvpair id="xa" name="target-role" value="Stopped"/></meta_attributes>
      </rsc_defaults><op_defaults><meta_attributes id="od"><nvpair id="xb" name="timeout" value="2min"/>
      </meta_attributes></op_defaults></configuration></cib>"""
    found = parse_cib(text)
    assert found.properties == {"stonith-timeout": "1min", "stonith-enabled": "true"}
    assert found.members[0].standby
    (vip,) = found.addresses
    assert (vip.parameters, vip.meta["priority"], vip.stopped) == ({"provider": "sim", "ip": "192.0.2.2"}, "5", True)
    assert vip.operation("stop").timeout == 90.0


def test_secrets_in_the_configuration(doctor: Doctor, sim: dict[str, str]) -> None:
    report = doctor(cib(fence(**sim, pcmk_host_list="n1 n2", password=TOKEN)))
    assert "password" in report.the("secrets.fence", "bad")
    assert report.ran.code == 2
    assert TOKEN not in report.ran.out + report.ran.err
    # What cibsecret leaves there is none.
    doctor(cib(fence(**sim, pcmk_host_list="n1 n2", password="lrm://"))).the("secrets.cib", "good")
    strange = doctor(cib(fence(provider="nowhere", pcmk_host_list="n1 n2", secret_key=TOKEN)))
    strange.the("secrets.fence", "bad")
    strange.the("provider.nowhere", "bad")
    assert TOKEN not in strange.ran.out + strange.ran.err


def test_secrets_reach_the_cloud_and_nothing_else(tmp_path: Path, doctor: Doctor) -> None:
    emulator = simulated_cloud(token=TOKEN).start()
    try:
        text = cib(fence(provider="sim", endpoint=emulator.url, pcmk_host_list="n1 n2"), priority_fencing_delay="0")
        other = ("--skip", "metadata", "--skip", "delays")
        refused = doctor(text, *other)
        refused.the("access.sim.credentials", "bad")
        secret = {"CLOUDHA_PASSWORD": TOKEN}
        known = doctor(text, *other, "-v", env=secret)
        assert known.ran.code == 0, known.document
        assert TOKEN not in known.ran.out + known.ran.err
        file = tmp_path / "options"
        file.write_text(f"provider=sim\npassword={TOKEN}\n")
        file.chmod(0o600)
        assert doctor(text, *other, "--options-from", str(file)).ran.code == 0
        exposed = run([CLOUDHA, "doctor", "--provider", "sim", "-o", f"password={TOKEN}"], "", {}, seconds=SECONDS)
        assert exposed.code == 3
        assert "CLOUDHA_PASSWORD" in exposed.one_line()
        assert TOKEN not in exposed.err
    finally:
        emulator.close()


def test_timeouts_too_short(doctor: Doctor, sim: dict[str, str]) -> None:
    device = fence(**sim, pcmk_host_list="n1 n2", power_timeout="240", query_timeout="25")
    operations = ADDRESS_OPS.replace('timeout="60s"', 'timeout="5s"')
    report = doctor(cib(device, address("vip", operations, **sim, ip=PUBLIC_ADDRESS, kind="public")))
    assert "stonith-timeout" in report.the("timeouts.fence.off", "bad")
    report.the("timeouts.fence.reboot", "bad")
    report.the("timeouts.fence.monitor", "warn")
    report.the("timeouts.vip.start", "bad")
    report.the("timeouts.vip.stop", "bad")
    assert report.ran.code == 2
    own = fence(**sim, pcmk_host_list="n1 n2", power_timeout="240", pcmk_off_timeout="260s", pcmk_reboot_timeout="5min")
    doctor(cib(own)).the("timeouts.fence", "good")


def test_operations_that_say_nothing(doctor: Doctor, sim: dict[str, str]) -> None:
    report = doctor(cib(fence("fence", "", **sim), address("vip", "", **sim, ip=PUBLIC_ADDRESS, kind="public")))
    assert "30 s are recommended" in report.of("timeouts.vip.start")[0]["why"]
    report.the("timeouts.vip.stop", "warn")
    report.the("monitors.vip", "warn")
    report.the("monitors.fence", "warn")
    assert report.ran.code == 1


# pcs puts an operation with these attributes, and no others, in the place of the first of that name.
RARE = '<op id="{id}-m" name="monitor" interval="3600s" timeout="5s" on-fail="restart"/>'
SEVERAL = (
    '<op id="{id}-p" name="stop" interval="0s" timeout="5s" on-fail="ignore"/>'
    '<op id="{id}-m" name="monitor" interval="2s" timeout="30s" on-fail="ignore" role="Started"/>'
    '<op id="{id}-d" name="monitor" interval="60s" timeout="5s"><instance_attributes id="{id}-l">'
    '<nvpair id="{id}-n" name="OCF_CHECK_LEVEL" value="10"/></instance_attributes></op>'
    '<op id="{id}-t" name="monitor" interval="60s" timeout="30s"/>'
)


def test_a_mending_command_keeps_what_is_not_wrong(doctor: Doctor, sim: dict[str, str]) -> None:
    vip = address("vip", SEVERAL, **sim, ip=PUBLIC_ADDRESS, kind="public")
    report = doctor(cib(fence("fence", RARE, **sim, pcmk_host_list="n1 n2"), vip))

    def mends(check: str) -> set[str]:
        return {finding["mend"] for finding in report.of(check)}

    assert mends("timeouts.fence.monitor") == {
        "pcs stonith update fence op monitor interval=3600s timeout=25s on-fail=restart"
    }
    # All that is wrong with an operation is one command, or the second would take the first one's change back.
    stop = {"pcs resource update vip op stop timeout=30s on-fail=fence"}
    assert mends("timeouts.vip.stop") == mends("timeouts.vip.stop.on-fail") == stop
    assert mends("timeouts.vip.monitor") == {
        "pcs resource op delete vip-d && pcs resource op add vip monitor interval=60s timeout=15s OCF_CHECK_LEVEL=10"
    }
    assert mends("monitors.vip") == {
        "pcs resource op delete vip-t",
        "pcs resource update vip op monitor interval=10s timeout=30s role=Started",
    }
    # One that is not there is added with all that it needs.
    assert mends("timeouts.vip.start") == {"pcs resource update vip op start timeout=30s"}
    none = doctor(cib(fence("fence", "", **sim, pcmk_host_list="n1 n2"), address("vip", "", **sim, ip=PUBLIC_ADDRESS)))
    assert none.of("monitors.fence")[0]["mend"] == "pcs stonith update fence op monitor interval=60s timeout=20s"
    assert none.of("monitors.vip")[0]["mend"] == "pcs resource update vip op monitor interval=10s timeout=30s"


def test_a_slow_cloud(doctor: Doctor, cloud: SimEmulator, sim: dict[str, str]) -> None:
    cloud.fault(Fault("machines.list", Effect.DELAY, delay=0.6))
    report = doctor(cib(fence(**sim, pcmk_host_map="n1:m-0001;n2:m-0002", power_timeout="4")))
    assert "take" in report.the("timeouts.fence.latency", "bad")


def test_the_cloud_is_away(doctor: Doctor) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        away = {"provider": "sim", "endpoint": f"http://127.0.0.1:{nobody.getsockname()[1]}"}
        vip = address(**away, ip=PUBLIC_ADDRESS, kind="public")
        report = doctor(cib(fence(**away, pcmk_host_map="n1:m-0001;n2:m-0002"), vip), "--timeout", "6")
    assert report.ran.code == 2
    report.the("access.sim.api", "bad")
    for check in ("machines.fence", "latency.fence", "clock.sim", "metadata.sim", "addresses.vip"):
        report.the(check, "unknown")
    # What needs no cloud is known all the same.
    report.the("cluster.stonith", "good")
    report.the("monitors.vip", "good")


def test_a_hanging_cloud_ends_in_time(doctor: Doctor, cloud: SimEmulator, sim: dict[str, str]) -> None:
    cloud.fault(Fault("*", Effect.HANG))
    report = doctor(cib(fence(**sim, pcmk_host_list="n1 n2")), "--timeout", "3")
    assert report.ran.code in (2, 3)
    assert not any(check.startswith(("access", "machines", "latency")) for check in report.levels("good"))


def test_missing_permissions(doctor: Doctor, cloud: SimEmulator, sim: dict[str, str], vip: str) -> None:
    cloud.cloud.behaviour.denied = ("machines.power",)
    report = doctor(cib(fence(**sim, pcmk_host_list="n1 n2"), vip))
    assert "machines.power" in report.the("access.sim.permission", "bad")
    assert report.ran.code == 2


def test_a_wrong_clock(doctor: Doctor, cloud: SimEmulator, sim: dict[str, str]) -> None:
    cloud.fault(Fault("whoami", Effect.SKEW))
    report = doctor(cib(fence(**sim, pcmk_host_list="n1 n2")))
    report.the("access.sim.credentials", "bad")
    assert "behind" in report.the("clock.sim", "bad")


def test_addresses_that_cannot_move(doctor: Doctor, cloud: SimEmulator, sim: dict[str, str]) -> None:
    own = address("own", **sim, ip="10.9.9.2")
    unknown_one = address("gone", **sim, ip="192.0.2.99", kind="public")
    taken = address("taken", **sim, ip=PUBLIC_ADDRESS, kind="public", takeover="never")
    cloud.cloud.bind(Kind.PUBLIC, ipaddress.ip_address(PUBLIC_ADDRESS), "m-0003", move=True, mac="")
    report = doctor(cib(fence(**sim, pcmk_host_list="n1 n2"), own, taken, unknown_one))
    assert "m-0002" in report.the("addresses.own.own", "bad")
    # The file need not be of this machine, whose subnets then say nothing.
    report.the("addresses.own.subnet", "unknown")
    assert "m-0003" in report.the("addresses.taken.holder", "bad")
    assert report.ran.code == 2


def test_the_same_address_twice(doctor: Doctor, sim: dict[str, str], vip: str) -> None:
    again = address("again", **sim, ip=PUBLIC_ADDRESS, kind="public")
    assert PUBLIC_ADDRESS in doctor(cib(fence(**sim), vip, again)).the("addresses.twice", "bad")


def test_parameters_that_are_wrong(doctor: Doctor, sim: dict[str, str]) -> None:
    report = doctor(cib(fence(**sim, pcmk_host_list="n1 n2", regoin="x"), address(**sim, ip="10.0.0.300")))
    assert "regoin" in report.the("provider.fence.parameters", "warn")
    assert "10.0.0.300" in report.the("provider.vip", "bad")


def test_what_is_left_out_is_said(doctor: Doctor, sim: dict[str, str]) -> None:
    text = cib(fence(**sim, pcmk_host_list="n1 n2"), priority_fencing_delay="0")
    report = doctor(text, "--skip", "delays.none")
    assert report.ran.code == 0, report.document
    assert report.document["skipped"] == ["agents", "software", "delays.none"]
    other = doctor(cib(fence(**sim), address(provider="lb-probe", ip="10.9.9.100"), fence("bare")), "--provider", "sim")
    assert "the cloud of vip" in other.document["skipped"]
    other.the("provider.bare", "bad")
    typo = run([CLOUDHA, "doctor", "--skip", "dealys"], "", {}, seconds=SECONDS)
    assert typo.code == 2
    assert "delays" in typo.err


def test_no_configuration(tmp_path: Path) -> None:
    for content in ("<cib/>", "no xml", '<!DOCTYPE x [<!ENTITY a "b">]><cib/>'):
        with pytest.raises(ConfigurationError):
            parse_cib(content)
    file = tmp_path / "cib.xml"
    file.write_text("<cib/>")
    ran = run([CLOUDHA, "doctor", "--cib", str(file)], "", {}, seconds=SECONDS)
    assert (ran.code, ran.out) == (3, ""), ran
    assert "cibadmin --query" in ran.one_line()


def program(folder: Path, name: str, text: str, code: int = 0) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\ncat <<'EOF'\n{text}\nEOF\nexit {code}\n")
    path.chmod(0o755)


def test_on_a_node_the_cluster_itself_is_asked(tmp_path: Path, sim: dict[str, str], vip: str) -> None:
    """Plain ``cloudha doctor``, with stand-ins for the cluster's programs."""
    place, root = tmp_path / "bin", tmp_path / "root"
    place.mkdir()
    assert run([CLOUDHA, "install", "--root", str(root)], "", {}).code == 0
    swapped = fence(**sim, pcmk_host_map=f"{socket.gethostname()}:m-0002;n2:m-0001")
    program(place, "cibadmin", cib(swapped, vip, nodes=(socket.gethostname(), "n2")))
    program(place, "pacemakerd", "Pacemaker 2.0.5-10")
    program(place, "corosync", "Corosync Cluster Engine, version '3.1.7'")
    program(place, "pcs", "0.9.169")
    env = {"PATH": f"{place}:/usr/bin:/bin"}
    command = [CLOUDHA, "doctor", "--json", "--root", str(root), "--skip", "agents.reach"]
    report = Report(run(command, "", env, seconds=SECONDS))
    for name in AGENTS:
        assert __version__ in report.the(f"agents.{name}", "good")
    report.the("software.pacemaker", "warn")
    report.the("software.corosync", "good")
    report.the("software.pcs", "bad")
    # The metadata service knows this machine for n1's, and the map does not.
    assert "m-0001" in report.the("machines.here", "bad")
    assert report.ran.code == 2

    program(place, "cibadmin", "", 102)
    (root / AGENTS["fence_cloud"]).chmod(stat.S_IRUSR)
    agent = root / AGENTS["floating-ip"]
    agent.write_text(agent.read_text() + "# changed\n")
    report = Report(run(command, "", env, seconds=SECONDS))
    report.the("cluster.cib", "unknown")
    report.the("provider.none", "unknown")
    report.the("agents.fence_cloud", "bad")
    report.the("agents.floating-ip", "warn")

    command[command.index(str(root))] = str(tmp_path / "empty")
    report = Report(run([*command, "--provider", "sim", "-o", f"endpoint={sim['endpoint']}"], "", env, seconds=SECONDS))
    report.the("agents.fence_cloud", "bad")
    report.the("access.sim", "good")


@pytest.fixture(scope="module")
def place() -> Iterator[PrivateNode]:
    with private_node() as node:
        yield node


def test_subnets(tmp_path: Path, place: PrivateNode) -> None:
    """In a network of its own, where this machine is the cloud's n1."""
    emulator = place.call(lambda: simulated_cloud("10.9.9.1")).start()
    try:
        sim = {"provider": "sim", "endpoint": emulator.url}
        good = address("good", **sim, ip="10.9.9.100", nic="eth0")
        other = address("other", **sim, ip="10.9.8.100", nic="eth0")
        inside = address("inside", **sim, ip="10.9.9.101", nic="eth0", kind="route")
        nowhere = address("nowhere", **sim, ip="10.9.9.102", nic="eth7")
        folder = tmp_path / "bin"
        folder.mkdir()
        program(folder, "cibadmin", cib(fence(**sim, pcmk_host_list="n1 n2"), good, other, inside, nowhere))
        command = [*place.prefix, CLOUDHA, "doctor", "--json", *HERE]
        report = Report(run(command, "", {"PATH": f"{folder}:/usr/bin:/bin"}, seconds=SECONDS))
        assert "10.9.9.0/24" in report.the("addresses.good.subnet", "good")
        report.the("addresses.good.evidence", "good")
        report.the("addresses.other.subnet", "bad")
        report.the("addresses.inside.subnet", "bad")
        report.the("addresses.nowhere.subnet", "bad")
        assert report.ran.code == 2
    finally:
        emulator.close()


def test_aws(tmp_path: Path, doctor: Doctor) -> None:
    """One cloud with an SDK: dry runs, the role's credentials, dates on its answers."""
    pytest.importorskip("moto", reason="the emulated AWS needs the plugin's extra")
    from cloudha_plugin_aws.emulator import make

    world = MemoryWorld(["n1=10.0.1.11", "n2=10.0.1.12"])
    emulator = make(world, "127.0.0.1", 0, public=[ipaddress.ip_address("203.0.113.7")])
    emulator.account.myself = "n1"
    emulator.start()
    env = {"AWS_CONFIG_FILE": str(tmp_path / "a"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "b")}
    env["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = emulator.url
    try:
        aws = {"provider": "aws", **emulator.options()}
        hosts = ";".join(f"{name}:{emulator.account.instance(name).id}" for name in ("n1", "n2"))
        eip = address("eip", **aws, ip="203.0.113.7", kind="public")
        report = doctor(cib(fence(**aws, pcmk_host_map=hosts), eip), env=env)
    finally:
        emulator.close()
    assert "ec2:StopInstances" in report.of("access.aws")[0]["what"]
    # Associating has no dry run without an address: what cannot be told is not good.
    assert "ec2:AssociateAddress" in report.the("access.aws.untried", "unknown")
    report.the("provider.aws.boto3", "good")
    report.the("metadata.aws", "good")
    report.the("machines.nodes", "good")
    report.the("clock.aws", "good")
    report.the("addresses.eip.holder", "good")
    assert report.ran.code == 3, report.levels("bad") + report.levels("warn")
