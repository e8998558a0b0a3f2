"""``cloudha plan``: descriptions good and bad, real pcs and crm_verify, and the whole way from older agents, walked."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cloudha.cli.main import main
from cloudha.install import install
from private_node import PrivateNode, private_node

CLOUDHA = str(Path(sys.executable).parent / "cloudha")
TOOLS = ("/usr/sbin/pcs", "/usr/sbin/cibadmin", "/usr/sbin/crm_verify", "/usr/sbin/crm_simulate")
CANARY = "CANARY+s3cr3t/x"
WORK = "/run/plan"

# A cluster without daemons: its configuration is a file, everything else is the real tools.
FAKE_PCS = """#!/bin/sh
LIVE=/run/plan/live.xml
case "$1 $2" in
"cluster cib") exec cp "$LIVE" "$3" ;;
"cluster cib-push") echo push >> "$LIVE.pushes"; [ ! -e "$LIVE.refuse" ] || { echo "no quorum" >&2; exit 1; }
    exec cp "$3" "$LIVE" ;;
-f*) if [ -e "$LIVE.refuse-create" ] && [ "$4" = create ]; then echo "Agent not found" >&2; exit 1; fi
    exec /usr/sbin/pcs "$@" ;;
*) for word; do # a file does not keep anybody waiting
        shift
        case "$word" in --wait*) ;; *) set -- "$@" "$word" ;; esac
    done
    /usr/sbin/pcs -f "$LIVE" "$@" && exec crm_resource --wait ;;
esac
"""
FAKE_CIBADMIN = """#!/bin/sh
[ "$1" = --empty ] || export CIB_file="${CIB_file:-/run/plan/live.xml}"
exec /usr/sbin/cibadmin "$@"
"""
# refresh forgets a resource, as the controllers do; wait lets the cluster act, and the probes find what is there.
FAKE_CRM_RESOURCE = """#!/bin/sh
LIVE=/run/plan/live.xml
case "$1" in
--refresh) exec sed -i "/<lrm_resource .*id=\\"$3\\"/,/<.lrm_resource>/d" "$LIVE" ;;
--wait) grep -q 'primitive id="vip-cloud"' "$LIVE" && probe=--op-fail=vip-cloud_monitor_0@n1=0
    /usr/sbin/crm_simulate -x "$LIVE" -S -O "$LIVE" $probe > /dev/null ;;
*) exec /bin/true ;;
esac
"""


def cloudha(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CLOUDHA, "plan", *map(str, words)], env={}, capture_output=True, text=True, timeout=100, check=False
    )


def written(folder: Path, text: str, name: str = "cluster.toml") -> Path:
    (folder / name).write_text(text)
    return folder / name


BASE = 'cluster = "web"\nprovider = "%s"\n[nodes]\nn1 = "i-1"\nn2 = "i-2"\n'


def script(folder: Path, text: str) -> str:
    """Return the commands for a description, one on a line, without the reasons."""
    done = CliRunner().invoke(main, ["plan", "--untried", str(written(folder, text))])
    assert done.exit_code == 0, done.output
    return done.stdout.replace("\\\n    ", "")


# -- descriptions ---------------------------------------------------------------------------------------------------


def test_the_example_is_a_good_description(tmp_path: Path) -> None:
    example = cloudha("--example")
    assert (example.returncode, example.stderr) == (0, "")
    done = cloudha("--untried", written(tmp_path, example.stdout))
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "note: the commands were not tried"
    assert "ocf:heartbeat:nginx" in done.stdout
    assert done.stdout.splitlines()[0] == "#!/bin/sh"
    assert done.stdout.splitlines()[-1].startswith("pcs cluster cib-push")
    assert max(map(len, done.stdout.splitlines())) < 130
    checked = subprocess.run(["/bin/sh", "-n"], input=done.stdout, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    # Each command has its reason above it.
    lines = done.stdout.splitlines()
    for before, line in pairwise(lines):
        assert not line.startswith('pcs -f "$work') or before.startswith("# "), line


def test_two_nodes_with_addresses_have_a_priority_delay(tmp_path: Path) -> None:
    addresses = "".join(f'[[address]]\nname = "v{n}"\nip = "10.0.0.{n}"\nnic = "eth0"\n' for n in (1, 2, 3))
    text = script(tmp_path, BASE % "aws" + addresses)
    assert "priority-fencing-delay=10s" in text
    assert "pcmk_delay_base=" not in text
    # No two sets of addresses weigh the same, and the first outweighs all others.
    assert re.findall(r" priority=(\d+)", text) == ["40", "20", "10"]


def test_two_nodes_without_addresses_have_a_fixed_delay(tmp_path: Path) -> None:
    text = script(tmp_path, BASE % "oci")
    assert "priority-fencing-delay" not in text
    assert "'pcmk_delay_base=n1:10s;n2:0s'" in text


def test_a_preferred_node_has_the_fixed_delay(tmp_path: Path) -> None:
    more = '[fencing]\nprefer = "n2"\nhead_start = "20s"\n[[address]]\nname = "vip"\nip = "10.0.0.1"\n'
    text = script(tmp_path, BASE % "aws" + more)
    assert "'pcmk_delay_base=n1:0s;n2:20s'" in text
    assert "priority" not in text


def test_three_nodes_need_no_delay(tmp_path: Path) -> None:
    text = script(tmp_path, BASE % "ibm" + 'n3 = "i-3"\n[[address]]\nname = "vip"\nip = "10.0.0.1"\n')
    assert "'pcmk_host_map=n1:i-1;n2:i-2;n3:i-3'" in text
    assert "delay" not in text
    assert "priority" not in text


@pytest.mark.parametrize(
    ("provider", "fencing", "address"),
    [
        (
            "aws",
            "power_timeout=240 pcmk_reboot_timeout=260 pcmk_off_timeout=260",
            "start timeout=180s stop timeout=180s",
        ),
        (
            "azure",
            "power_timeout=600 pcmk_reboot_timeout=620 pcmk_off_timeout=620",
            "start timeout=600s stop timeout=600s",
        ),
        ("oci", "power_timeout=240 pcmk_reboot_timeout=260 pcmk_off_timeout=260", "start timeout=60s stop timeout=60s"),
        (
            "ibm",
            "power_timeout=240 pcmk_reboot_timeout=260 pcmk_off_timeout=260",
            "start timeout=120s stop timeout=120s",
        ),
        ("sim", "power_timeout=50 pcmk_reboot_timeout=70 pcmk_off_timeout=70", "start timeout=30s stop timeout=30s"),
    ],
)
def test_times_fit_the_cloud(tmp_path: Path, provider: str, fencing: str, address: str) -> None:
    text = script(tmp_path, BASE % provider + '[[address]]\nname = "vip"\nip = "10.0.0.1"\n')
    assert fencing in text
    assert address in text
    monitor = {"azure": "interval=3600s timeout=120s", "ibm": "interval=600s timeout=60s"}.get(provider, "interval=60s")
    assert f"op monitor {monitor}" in text


def test_groups_options_and_preferences(tmp_path: Path) -> None:
    more = """
[options]
resource_group = "rg"
[fencing]
options = { filter = "cluster=web" }
monitor_interval = 7200
[[address]]
name = "lb"
ip = "10.0.0.1"
provider = "lb-probe"
nic = "eth0"
prefix = 24
group = "app"
prefers = "n2"
  [[address.service]]
  name = "data"
  agent = "ocf:heartbeat:Filesystem"
  options = { device = "/dev/sdc", directory = "/srv/my data", fstype = "xfs" }
  [[address.service]]
  name = "site"
  agent = "systemd:nginx"
  monitor = "15s"
  monitor_timeout = "1min"
[[address]]
name = "out"
ip = "192.0.2.9"
kind = "route"
options = { route_tables = ["a", "b"] }
group = "app"
"""
    text = script(tmp_path, BASE % "azure" + more)
    created = re.findall(r"(?:resource|stonith) create (\S+)", text)
    # Addresses before services, which may bind to them.
    assert created == ["fence", "lb", "out", "data", "site"]
    assert text.count("--group app") == 4
    fence = next(line for line in text.splitlines() if "stonith create" in line)
    assert "resource_group=rg" in fence
    assert "filter=cluster=web" in fence
    assert "interval=7200s timeout=120s" in fence
    balanced = next(line for line in text.splitlines() if "create lb" in line)
    assert "provider=lb-probe ip=10.0.0.1 nic=eth0 cidr_netmask=24 probe_port=60000" in balanced
    # What is Azure's is nothing to the load balancer's probe.
    assert "resource_group" not in balanced
    assert "kind=route" in text
    assert "route_tables=a,b" in text
    assert "'directory=/srv/my data'" in text
    assert "op monitor interval=15s timeout=60s" in text
    assert "constraint location app prefers n2=50" in text


AWS = BASE % "aws"
VIP = '[[address]]\nname = "vip"\nip = "10.0.0.1"\n'


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("cluster = web", "no TOML", "quotes"),
        (AWS.replace("cluster =", "clustr ="), "clustr", "did you mean cluster?"),
        ('provider = "aws"\n[nodes]\nn1 = "i-1"\nn2 = "i-2"\n', "cluster is missing", 'cluster = "web"'),
        (AWS.replace('"aws"', '"awss"'), "provider = 'awss'", "did you mean aws?"),
        (AWS.replace('"aws"', '"nimbus"'), "provider 'nimbus'", "pip install cloudha-plugin-nimbus"),
        (AWS.replace('"aws"', '"lb-probe"'), "provider = 'lb-probe' fences nobody", "[[address]]"),
        (AWS.replace('n2 = "i-2"', ""), "nodes has 1 node", "two"),
        (AWS.replace("i-2", "i-1"), "nodes.n2 = 'i-1' is the plug of n1", "own machine"),
        (AWS.replace("i-2", "i 2"), "nodes.n2 = 'i 2'", "without blanks"),
        (AWS.replace('"i-2"', "2"), "nodes.n2 = 2", "write its id"),
        (AWS + "[fencing]\npower_timeout = 'soon'\n", "fencing.power_timeout = 'soon'", "'2min'"),
        (AWS + "[fencing]\npower_timeout = 5\n", "fencing.power_timeout = 5", "10 at least"),
        (AWS + "[fencing]\nmonitor_timeout = 10\n", "fencing.monitor_timeout = 10", "20 at least"),
        (AWS + "[fencing]\nprefer = 'n3'\n", "fencing.prefer = 'n3'", "n1, n2"),
        (AWS + "[fencing]\noptions = { powertimeout = 3 }\n", "fencing.options.powertimeout", "known"),
        (AWS + "[options]\nregoin = 'x'\n", "options.regoin", "did you mean region?"),
        (AWS + "[options]\nendpoint = 'x'\n", "endpoint", "http://HOST"),
        (AWS + "[options]\nregion = ''\n", "options.region", "one line of text"),
        (AWS + VIP.replace("10.0.0.1", "10.0.0.500"), "address[1].ip = '10.0.0.500' is not an IP", "10.0.0.10"),
        (AWS + VIP.replace("10.0.0.1", "127.0.0.1"), "address[1].ip = '127.0.0.1' cannot float", "unicast"),
        (AWS + VIP.replace("10.0.0.1", "10.0.0.0/8"), "address[1].ip = '10.0.0.0/8' is not an IP", "without a netmask"),
        (AWS + VIP.replace('"vip"', '"1 vip"'), "address[1].name = '1 vip'", "letter"),
        (AWS + VIP + 'knid = "public"\n', "address[1].knid", "did you mean kind?"),
        (AWS + VIP + 'kind = "privat"\n', "address[1].kind = 'privat'", "did you mean private?"),
        (AWS + VIP + 'kind = "route"\n', "address[1].options.route_tables is missing", "tables"),
        (AWS + VIP + 'kind = "public"\nnic = "eth0"\n', "address[1].nic = 'eth0'", "take it out"),
        (AWS + VIP + 'nic = "eth0:1"\n', "address[1].nic = 'eth0:1'", "colon"),
        (AWS + VIP + "prefix = 24\n", "address[1].prefix = 24", "nic"),
        (AWS + VIP + 'nic = "eth0"\nprefix = 33\n', "address[1].prefix = 33", "1 to 32"),
        (AWS + VIP + VIP, "address[2].name: 'vip' is taken by address[1].name", "its own"),
        (AWS + VIP + "monitor_interval = 60\n", "address[1].monitor_interval = 60", "another"),
        (AWS + VIP + "service = 3\n", "address[1].service", "[[address[1].service]]"),
        (
            AWS + VIP + '[[address.service]]\nname = "w"\nagent = "nginx"\n',
            "service[1].agent = 'nginx'",
            "ocf:heartbeat",
        ),
        (AWS + VIP + '[[address.service]]\nname = "w"\n', "address[1].service[1].agent is missing", "ocf:heartbeat"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, key: str, says: str) -> None:
    done = CliRunner().invoke(main, ["plan", str(written(tmp_path, text))])
    assert done.exit_code == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    line = done.stderr.strip()
    assert line.startswith("Error: cluster.toml")
    assert key in line
    assert says in line


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (f'[options]\nsecret_key = "{CANARY}"\n', "options.secret_key is a secret"),
        (f'[options]\nsecretkey = "{CANARY}"\n', "did you mean secret_key?"),
        (f'[fencing]\noptions = {{ password = "{CANARY}" }}\n', "fencing.options.password"),
        (f'[fencing]\nsecret_key = "{CANARY}"\n', "fencing.secret_key"),
        (f'{VIP}options = {{ session-token = "{CANARY}" }}\n', "address[1].options.session_token is a secret"),
        (
            f'{VIP}service = [{{ name = "db", agent = "lsb:a", options = {{ replication_passwd = "{CANARY}" }} }}]\n',
            "replication_passwd sounds like a secret",
        ),
    ],
)
def test_secrets_are_refused_and_not_repeated(tmp_path: Path, more: str, says: str) -> None:
    done = cloudha(written(tmp_path, AWS + more))
    assert done.returncode == 1
    assert says in done.stderr
    assert CANARY not in done.stdout + done.stderr


def test_files_that_are_none(tmp_path: Path) -> None:
    for content in (b"\xff\xfe", b"x" * 1_048_577):
        (tmp_path / "c.toml").write_bytes(content)
        done = CliRunner().invoke(main, ["plan", str(tmp_path / "c.toml")])
        assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1)
    done = CliRunner().invoke(main, ["plan", str(tmp_path / "missing.toml")])
    assert "missing.toml cannot be read: No such file or directory; cloudha plan --example" in done.stderr
    for words in ([], ["--apply"], ["x", "--from-cluster"], ["--json", "--cib", "x"], ["x", "--nic", "eth0"]):
        assert CliRunner().invoke(main, ["plan", *words]).exit_code == 2, words
    refused = CliRunner().invoke(main, ["plan", "--apply", "--from-cib", "x", "--yes"])
    assert refused.exit_code == 2
    assert "one by one" in refused.stderr


# -- the real tools -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stage:
    """Both agents at their real places, and a cluster that is a file."""

    place: PrivateNode

    def path(self, name: str) -> Path:
        return self.place.path(f"{WORK}/{name}")

    def run(self, *command: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{WORK}/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": WORK,
            "LC_ALL": "C.UTF-8",
        }
        return subprocess.run(
            [*self.place.prefix, "/usr/bin/env", "-C", WORK, *command],
            env=environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def plan(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run(CLOUDHA, "plan", *words)

    def live(self, content: str) -> None:
        """Begin with this configuration, nothing pushed yet."""
        self.path("live.xml").write_text(content)
        for name in ("live.xml.pushes", "live.xml.refuse", "live.xml.refuse-create"):
            self.path(name).unlink(missing_ok=True)

    def pushes(self) -> int:
        found = self.path("live.xml.pushes")
        return len(found.read_text().splitlines()) if found.exists() else 0


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    for needed in (*TOOLS, "/usr/lib/ocf/resource.d/heartbeat/awsvip", "/usr/sbin/fence_aws"):
        if not os.path.exists(needed):
            pytest.skip(f"{needed} is not installed")
    root = tmp_path_factory.mktemp("root")
    install(root)
    overlays = [
        f"mount -t overlay -o ro,lowerdir={root}{folder}:{folder} overlay {folder}"
        for folder in ("/usr/sbin", "/usr/lib/ocf/resource.d")
    ]
    memory = ["mount -t tmpfs tmpfs /var/log", "mkdir -p /var/log/pcsd /var/log/pacemaker", f"mkdir -p {WORK}/bin"]
    with private_node(*overlays, *memory, "mkdir -p /run/resource-agents") as place:
        found = Stage(place)
        for name, content in (("pcs", FAKE_PCS), ("cibadmin", FAKE_CIBADMIN), ("crm_resource", FAKE_CRM_RESOURCE)):
            found.path(f"bin/{name}").write_text(content)
            found.path(f"bin/{name}").chmod(0o755)
        yield found


def cib(resources: str = "", constraints: str = "", more: str = "") -> str:
    """Return the configuration of a cluster of n1 and n2, both online."""
    nodes = "".join(f'<node id="{n}" uname="n{n}"/>' for n in (1, 2))
    states = "".join(
        f'<node_state id="{n}" uname="n{n}" in_ccm="true" crmd="online" join="member" expected="member">'
        f'<lrm id="{n}"><lrm_resources/></lrm></node_state>'
        for n in (1, 2)
    )
    return (
        '<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="0" '
        f'have-quorum="1" dc-uuid="1"><configuration><crm_config><cluster_property_set id="cib-bootstrap-options">'
        f'<nvpair id="cn" name="cluster-name" value="web"/></cluster_property_set></crm_config>'
        f"<nodes>{nodes}</nodes><resources>{resources}</resources><constraints>{constraints}</constraints>{more}"
        f"</configuration><status>{states}</status></cib>"
    )


def values(element: ET.Element, within: str = "instance_attributes") -> dict[str, str]:
    return {p.get("name", ""): p.get("value", "") for p in element.findall(f"{within}/nvpair")}


def test_pcs_and_crm_verify_accept_the_example(stage: Stage) -> None:
    stage.path("cluster.toml").write_text(CliRunner().invoke(main, ["plan", "--example"]).stdout)
    done = stage.plan("cluster.toml", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["verified"] is True
    assert found["remarks"] == []
    root = ET.fromstring(found["cib"])  # noqa: S314 - from pcs
    fence = root.find(".//primitive[@type='fence_cloud']")
    assert fence is not None
    assert values(fence)["pcmk_host_map"] == "n1:i-0aaaaaaaaaaaaaaaa;n2:i-0bbbbbbbbbbbbbbbb"
    group = root.find(".//group")
    assert group is not None
    assert [member.get("id") for member in group] == ["vip", "site"]
    operations = [(op.get("name"), op.get("interval"), op.get("timeout")) for op in group[0].iter("op")]
    assert operations == [
        ("monitor", "10s", "30s"),
        ("monitor", "60s", "30s"),
        ("start", "0s", "180s"),
        ("stop", "0s", "180s"),
    ]
    properties = values(root, "configuration/crm_config/cluster_property_set")
    assert properties["stonith-enabled"] == "true"
    assert properties["no-quorum-policy"] == "stop"
    assert properties["priority-fencing-delay"] == "10s"


MINIMAL = 'stickiness = 0\ncluster = "web"\nprovider = "sim"\n[nodes]\nn1 = "m-1"\nn2 = "m-2"\n'


def test_apply_is_one_push_that_can_be_taken_back(stage: Stage) -> None:
    stage.path("c.toml").write_text(MINIMAL)
    stage.live(cib())
    done = stage.plan("c.toml", "--apply", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert stage.pushes() == 1
    assert 'type="fence_cloud"' in stage.path("live.xml").read_text()
    # The commands are shown before anything is done.
    assert "stonith create fence fence_cloud" in done.stderr
    take_back = json.loads(done.stdout)["take_back"]
    assert take_back == [
        "pcs property unset no-quorum-policy stonith-enabled",
        "pcs stonith delete fence",
    ]
    # A second time: the name is taken, and the cluster is not touched.
    done = stage.plan("c.toml", "--apply", "--yes")
    assert done.returncode == 1
    assert "'fence' already exists" in done.stderr
    assert "nothing was changed" in done.stderr
    assert stage.pushes() == 1
    for command in take_back:
        taken = stage.run("/bin/sh", "-c", command)
        assert taken.returncode == 0, taken.stderr
    root = ET.fromstring(stage.path("live.xml").read_text())  # noqa: S314 - from pcs
    assert values(root, "configuration/crm_config/cluster_property_set") == {"cluster-name": "web"}
    assert root.find(".//primitive") is None


def test_apply_refuses_another_cluster(stage: Stage) -> None:
    stage.live(cib())
    for old, new, says in (
        ('"web"', '"db"', "in the cluster 'web'"),
        ("n2 =", "n3 =", "the cluster has n1, n2"),
    ):
        stage.path("c.toml").write_text(MINIMAL.replace(old, new))
        done = stage.plan("c.toml", "--apply", "--yes")
        assert done.returncode == 1
        assert says in done.stderr
    stage.path("c.toml").write_text(MINIMAL)
    done = stage.plan("c.toml", "--apply")
    assert done.returncode == 2
    assert "--yes" in done.stderr
    assert stage.pushes() == 0


def test_apply_asks(stage: Stage) -> None:
    stage.path("c.toml").write_text(MINIMAL)
    stage.live(cib())
    ours, theirs = pty.openpty()
    environment = {"PATH": f"{WORK}/bin:/usr/sbin:/usr/bin", "TERM": "dumb"}
    with subprocess.Popen(
        [*stage.place.prefix, "/usr/bin/env", "-C", WORK, CLOUDHA, "plan", "c.toml", "--apply"],
        env=environment,
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(theirs)
        os.write(ours, b"n\n")
        _, errors = process.communicate(timeout=100)
        os.close(ours)
    assert process.returncode == 1
    assert "Change the cluster web?" in errors
    assert "Aborted" in errors
    assert stage.pushes() == 0


def test_a_refused_push_is_said(stage: Stage) -> None:
    stage.path("c.toml").write_text(MINIMAL)
    stage.live(cib())
    stage.path("live.xml.refuse").touch()
    done = stage.plan("c.toml", "--apply", "--yes")
    assert done.returncode == 1
    assert "cib-push failed: no quorum" in done.stderr
    assert "done:" not in done.stdout


# -- from older agents ----------------------------------------------------------------------------------------------


def primitive(name: str, agent: str, more: str = "", /, **parameters: str) -> str:
    parts = agent.split(":")
    provider = f' provider="{parts[1]}"' if len(parts) == 3 else ""
    pairs = "".join(
        f'<nvpair id="{name}-instance_attributes-{key}" name="{key}" value="{value}"/>'
        for key, value in parameters.items()
    )
    attributes = f'<instance_attributes id="{name}-instance_attributes">{pairs}</instance_attributes>'
    return f'<primitive id="{name}" class="{parts[0]}"{provider} type="{parts[-1]}">{attributes}{more}</primitive>'


STOPPED = '<meta_attributes id="m"><nvpair id="m1" name="target-role" value="Stopped"/></meta_attributes>'
OLD = cib(
    resources="".join(
        (
            primitive(
                "faws",
                "stonith:fence_aws",
                region="eu-west-1",
                access_key=CANARY,
                secret_key=CANARY,
                port="i-1",
                pcmk_host_list="n1",
                power_timeout="300",
                pcmk_reboot_timeout="480",
                boto3_debug="off",
                skip_race_check="1",
                pcmk_delay_base="5s",
            ),
            primitive(
                "faz",
                "stonith:fence_azure_arm",
                username="app",
                password=CANARY,
                resourceGroup="rg",
                tenantId="t",
                subscriptionId="s",
                pcmk_host_map="n1:vm1;n2:vm2",
                cloud="usgov",
                network_fencing="1",
            ),
            primitive("fmsi", "stonith:fence_azure_arm", msi="true", cloud="germany", passwd_script="/x"),
            primitive("fibm", "stonith:fence_ibm_vpc", region="us-south", apikey=CANARY, limit="50", plug="vsi"),
            primitive(
                "fibmfile",
                "stonith:fence_ibm_vpc",
                region="us-south",
                apikey="@/etc/key",
                proxy=f"http://u:{CANARY}@p:1",
            ),
            '<group id="g">',
            primitive("vip", "ocf:heartbeat:awsvip", secondary_private_ip="10.0.1.100", profile="ha", api_delay="5"),
            primitive("ip", "ocf:heartbeat:IPaddr2", ip="10.0.1.100", nic="eth0:1", cidr_netmask="24", iflabel="x"),
            primitive("web", "ocf:heartbeat:nginx"),
            "</group>",
            primitive(
                "eip",
                "ocf:heartbeat:awseip",
                elastic_ip="203.0.113.7",
                allocation_id="eipalloc-1",
                private_ip_address="10.0.1.100",
                auth_type="role",
                region="eu-west-1",
            ),
            primitive(
                "over",
                "ocf:heartbeat:aws-vpc-move-ip",
                ip="192.168.9.9",
                routing_table="rtb-1,rtb-2",
                routing_table_role="arn:aws:iam::1:role/r",
                monapi="true",
            ),
            '<group id="lbg">',
            primitive("lbip", "ocf:heartbeat:IPaddr2", ip="10.0.2.5"),
            primitive("lb", "ocf:heartbeat:azure-lb", nc="/usr/bin/nc"),
            "</group>",
            primitive("oci", "ocf:heartbeat:ocivip", secondary_private_ip="10.0.3.3", ocicli="/x"),
            primitive("dns", "ocf:heartbeat:aws-vpc-route53", fullname="a.", hostedzoneid="Z"),
            primitive("kept", "stonith:fence_aws", secret_key="lrm://", plug="i-9"),
            primitive("odd", "ocf:heartbeat:awsvip", STOPPED, secondary_private_ip="10.0.4.4", mystery=CANARY),
        )
    ),
    constraints='<rsc_location id="loc-faws" rsc="faws" node="n1" score="-INFINITY"/>'
    '<rsc_order id="ord" first="g" then="eip"/>'
    '<rsc_location id="rule" rsc="over"><rule id="r" score="1"><expression id="e" attribute="x" operation="defined"/>'
    "</rule></rsc_location>",
)


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The move of everything, as JSON; --nic says which interface the silent ones have."""
    file = written(tmp_path_factory.mktemp("old"), OLD, "old.xml")
    done = cloudha("--from-cib", file, "--json", "--untried", "--nic", "ens5")
    assert done.returncode == 0, done.stderr
    assert CANARY not in done.stdout + done.stderr
    return dict(json.loads(done.stdout))


def fates(moved: dict[str, Any], resource: str) -> dict[str, tuple[str, str, str]]:
    """Return old parameter -> (new one, value, fate) of a resource's move."""
    move = next(one for one in moved["moves"] if resource in [old["resource"] for old in one["old"]])
    return {row["old"] or f"+{row['new']}": (row["new"], row["value"], row["fate"]) for row in move["parameters"]}


def decisions(moved: dict[str, Any], resource: str) -> str:
    move = next(one for one in moved["moves"] if resource in [old["resource"] for old in one["old"]])
    return "\n".join(move["needs_your_decision"])


def test_fence_aws(moved: dict[str, Any]) -> None:
    found = fates(moved, "faws")
    assert found["faws: port"] == ("plug", "i-1", "moves")
    assert found["faws: secret_key"] == ("secret_key", "", "secret: not shown")
    assert found["faws: boto3_debug"][2] == "dropped"
    assert found["faws: pcmk_delay_base"] == ("pcmk_delay_base", "5s", "moves")
    # Longer than the cloud needs: the operator's choice stays.
    assert found["faws: power_timeout"] == ("power_timeout", "300", "moves")
    assert found["faws: pcmk_reboot_timeout"] == ("pcmk_reboot_timeout", "480", "moves")
    assert found["+pcmk_off_timeout"] == ("pcmk_off_timeout", "320", "moves")
    assert found["constraint loc-faws"][2] == "dropped"
    assert decisions(moved, "faws") == ""
    assert "cibsecret" in decisions(moved, "kept")


def test_fence_azure_arm(moved: dict[str, Any]) -> None:
    found = fates(moved, "faz")
    assert found["faz: username"] == ("client_id", "app", "moves")
    assert found["faz: password"] == ("client_secret", "", "secret: not shown")
    assert found["faz: resourceGroup"] == ("resource_group", "rg", "moves")
    assert found["faz: cloud"] == ("cloud", "usgov", "moves")
    assert found["faz: network_fencing"][2] == "dropped"
    assert found["+power_timeout"] == ("power_timeout", "600", "moves")
    assert "germany" in decisions(moved, "fmsi")
    assert "passwd_script" in decisions(moved, "fmsi")


def test_fence_ibm_vpc(moved: dict[str, Any]) -> None:
    assert fates(moved, "fibm")["fibm: apikey"] == ("api_key", "", "secret: not shown")
    assert fates(moved, "fibmfile")["fibmfile: apikey"] == ("api_key_file", "/etc/key", "moves")
    assert "proxy" in decisions(moved, "fibmfile")


def test_awsvip_takes_its_ipaddr2_along(moved: dict[str, Any]) -> None:
    found = fates(moved, "vip")
    assert found["vip: secondary_private_ip"] == ("ip", "10.0.1.100", "moves")
    assert found["vip: api_delay"][2] == "dropped"
    assert found["ip: nic"] == ("nic", "eth0", "moves")
    assert found["ip: cidr_netmask"] == ("cidr_netmask", "24", "moves")
    assert decisions(moved, "vip") == ""
    assert "mystery" in decisions(moved, "odd")
    assert "target-role" in decisions(moved, "odd")


def test_other_addresses(moved: dict[str, Any]) -> None:
    found = fates(moved, "eip")
    assert found["+kind"] == ("kind", "public", "moves")
    assert found["eip: private_ip_address"] == ("private_ip", "10.0.1.100", "moves")
    assert found["eip: allocation_id"][2] == "dropped"
    assert found["constraint ord"][2] == "moves"
    found = fates(moved, "over")
    assert found["over: interface"] == ("nic", "eth0", "moves")
    assert found["over: routing_table"] == ("route_tables", "rtb-1,rtb-2", "moves")
    assert found["over: routing_table_role"] == ("role_arn", "arn:aws:iam::1:role/r", "moves")
    assert "constraint rule" in decisions(moved, "over")
    found = fates(moved, "lb")
    assert found["lb: port"] == ("probe_port", "61000", "moves")
    assert found["lbip: ip"] == ("ip", "10.0.2.5", "moves")
    assert found["+nic"] == ("nic", "ens5", "moves")
    found = fates(moved, "oci")
    assert found["oci: cidr_netmask"] == ("cidr_netmask", "24", "moves")
    assert found["+nic"] == ("nic", "ens5", "moves")
    assert moved["left_as_they_are"]["dns"].startswith("changes a name")


def test_the_way_has_only_what_is_decided(moved: dict[str, Any]) -> None:
    titles = [part["title"].partition(" (")[0] for part in moved["way"]]
    assert titles == [
        "create the new fencing beside the old",
        "try it, when every node may be restarted once",
        "remove the old fencing",
        "exchange the addresses in maintenance mode",
        "leave maintenance mode",
        "exchange what answers the load balancer",
    ]
    text = "\n".join(line for part in moved["way"] for line in part["lines"])
    created = re.findall(r"(?:resource|stonith) create (\S+)", text)
    assert created == ["faws-cloud", "faz-cloud", "fibm-cloud", "vip-cloud", "eip-cloud", "oci-cloud", "lb-cloud"]
    assert "resource defaults update resource-stickiness=100" in text
    # In the place of the first of the two, so that what follows still finds the address.
    assert re.search(r"create lb-cloud [^#]*--before lbip\n", text)
    # Nothing of the way has an argument that is a secret.
    assert "secret_key=" not in text
    for part in moved["way"]:
        checked = subprocess.run(
            ["/bin/sh", "-n"], input="\n".join(part["lines"]), capture_output=True, text=True, check=False
        )
        assert (checked.returncode, checked.stderr) == (0, "")


def test_without_nic_it_is_a_decision(tmp_path: Path) -> None:
    done = cloudha("--from-cib", written(tmp_path, OLD, "old.xml"), "--untried")
    assert done.returncode == 0, done.stderr
    assert CANARY not in done.stdout + done.stderr
    assert "give --nic NAME" in done.stdout
    assert "create lb-cloud" not in done.stdout
    assert "needs your decision" in done.stdout
    assert "secret: not shown" in done.stdout


@pytest.mark.parametrize("content", ["", "<cib/>", "<a>", "{}", '<!DOCTYPE cib [<!ENTITY a "b">]><cib/>'])
def test_what_is_no_cib(tmp_path: Path, content: str) -> None:
    done = CliRunner().invoke(main, ["plan", "--from-cib", str(written(tmp_path, content, "x.xml"))])
    assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1)
    assert "pcs cluster cib FILE" in done.stderr


def test_nothing_to_move(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["plan", "--from-cib", str(written(tmp_path, cib(), "x.xml"))])
    assert done.exit_code == 0
    assert done.output.startswith("x.xml: no resource of an agent")


def test_the_whole_way_is_tried_without_secrets(stage: Stage) -> None:
    old = primitive("f1", "stonith:fence_aws", plug="i-1", pcmk_host_list="n1 n2", secret_key=CANARY)
    stage.path("old.xml").write_text(re.sub("<nodes>.*</nodes>", "<nodes/>", cib(resources=old)))
    done = stage.plan("--from-cib", "old.xml", "--cib")
    assert (done.returncode, done.stderr) == (0, "")
    assert CANARY not in done.stdout
    only = [*ET.fromstring(done.stdout).iter("primitive")]  # noqa: S314 - from pcs
    assert [one.get("id") for one in only] == ["f1-cloud"]
    assert values(only[0])["secret_key"] == "***"
    assert values(only[0])["pcmk_host_list"] == "n1 n2"


def test_the_way_is_walked(stage: Stage) -> None:
    """A cluster that runs fence_aws, awsvip and IPaddr2: each part by its own lines, with the real tools."""
    stage.live(
        cib(
            resources=primitive("f1", "stonith:fence_aws", plug="i-1", pcmk_host_list="n1", secret_key=CANARY)
            + '<group id="g">'
            + primitive("vip", "ocf:heartbeat:awsvip", secondary_private_ip="10.0.1.100")
            + primitive("ip", "ocf:heartbeat:IPaddr2", ip="10.0.1.100", nic="eth0", cidr_netmask="24")
            + "</group>",
            more='<rsc_defaults><meta_attributes id="d"><nvpair id="d1" name="resource-stickiness" value="1"/>'
            "</meta_attributes></rsc_defaults>",
        )
    )
    live = stage.path("live.xml")
    assert stage.run("/usr/sbin/crm_simulate", "-x", f"{WORK}/live.xml", "-S", "-O", f"{WORK}/live.xml").returncode == 0
    # Not tried by itself: that is what follows, with the lines that people see.
    done = stage.plan("--from-cluster", "--json", "--untried")
    assert done.returncode == 0, done.stderr
    assert CANARY not in done.stdout
    found = json.loads(done.stdout)
    for number, part in enumerate(found["way"]):
        # What prints nothing when all is well ends the shell here when it prints something.
        lines = [line.replace("|| :", "&& exit 9 || :") if "| grep -E" in line else line for line in part["lines"]]
        walked = stage.run("/bin/sh", "-eu", text="\n".join([*lines, ":"]))
        assert walked.returncode == 0, f"{part['title']}: {walked.stderr}"
        assert CANARY not in walked.stdout + walked.stderr
        root = ET.fromstring(live.read_text())  # noqa: S314 - from pcs
        devices = {one.get("type"): one for one in root.iter("primitive") if one.get("class") == "stonith"}
        # Fencing is never absent, and tried beside the old one.
        assert set(devices) == ({"fence_aws", "fence_cloud"} if number < 2 else {"fence_cloud"})
        assert values(devices["fence_cloud"])["secret_key"] == CANARY
        if number == 1:
            # Whoever looks again finds what is left of the way: the node with the first answer was fenced, too.
            again = stage.plan("--from-cluster", "--json", "--untried")
            assert again.returncode == 0, again.stderr
            assert json.loads(again.stdout)["way"] == found["way"][1:]
        if number == 0:
            levels = {(one.get("index"), one.get("devices")) for one in root.iter("fencing-level")}
            assert levels == {("1", "f1-cloud"), ("2", "f1")}
        if part["title"].startswith("exchange"):
            # What the operator looks at: nothing would be done.
            actions = walked.stdout.partition("Executing Cluster Transition:")[2]
            assert not re.search(r"\b(start|stop|demote|fence|shutdown) on\b", actions), actions
            assert "Transition Summary" in walked.stdout
    end = stage.run("/usr/sbin/crm_simulate", "-x", f"{WORK}/live.xml", "-S")
    assert "vip-cloud\t(ocf:cloudha:floating-ip):\t Started n1" in end.stdout
    assert not re.search(r"\b(start|stop) on\b", end.stdout.partition("Executing Cluster Transition:")[2]), end.stdout
    assert "maintenance-mode" not in live.read_text()
    assert "fencing-level" not in live.read_text()


@pytest.mark.parametrize("agent", ["awsvip", "azure-lb"])
def test_pasted_lines_end_at_the_first_failure(stage: Stage, agent: str) -> None:
    """A shell that somebody types into goes on after an error: the old resource must not go without the new one."""
    parameters = {"secondary_private_ip": "10.0.1.100"} if agent == "awsvip" else {}
    stage.live(
        cib(
            '<group id="g">'
            + primitive("vip", f"ocf:heartbeat:{agent}", **parameters)
            + primitive("ip", "ocf:heartbeat:IPaddr2", ip="10.0.1.100", nic="eth0", cidr_netmask="24")
            + "</group>"
        )
    )
    done = stage.plan("--from-cluster", "--json", "--untried")
    assert done.returncode == 0, done.stderr
    part = next(part for part in json.loads(done.stdout)["way"] if part["title"].startswith("exchange"))
    stage.path("live.xml.refuse-create").touch()
    pasted = stage.run("/bin/bash", text="\n".join([*part["lines"], "echo still here", ""]))
    assert "Agent not found" in pasted.stderr
    assert pasted.stdout.endswith("still here\n")
    assert stage.pushes() == 0
    root = ET.fromstring(stage.path("live.xml").read_text())  # noqa: S314 - from pcs
    assert [one.get("id") for one in root.iter("primitive")] == ["vip", "ip"]
    # What was stopped for the exchange is started again.
    assert "Stopped" not in stage.path("live.xml").read_text()


@pytest.mark.parametrize("maintenance", ["true", "false"])
def test_an_exchange_that_was_left_is_finished(tmp_path: Path, maintenance: str) -> None:
    """The connection to the node broke after the push: the old resources run on, and nobody has them configured."""
    mode = f'<nvpair id="mm" name="maintenance-mode" value="{maintenance}"/>'
    history = "".join(
        f'<lrm_resource id="{name}" type="{kind}" class="ocf" provider="{provider}"/>'
        for name, kind, provider in (
            ("vip", "awsvip", "heartbeat"), ("ip", "IPaddr2", "heartbeat"), ("left", "Dummy", "pacemaker"),
            ("vip-cloud", "floating-ip", "cloudha"),
        )
    )  # fmt: skip
    content = cib(primitive("vip-cloud", "ocf:cloudha:floating-ip", provider="aws", ip="10.0.1.100", nic="eth0"))
    content = content.replace("</cluster_property_set>", f"{mode}</cluster_property_set>")
    content = content.replace("<lrm_resources/>", f"<lrm_resources>{history}</lrm_resources>", 1)
    done = cloudha("--from-cib", written(tmp_path, content, "x.xml"), "--json", "--untried")
    assert done.returncode == 0, done.stderr
    way = json.loads(done.stdout)["way"]
    if maintenance == "false":
        # The cluster has stopped them, or is about to: nothing can be kept from that any more.
        assert way == []
        return
    assert [part["title"] for part in way] == ["finish the exchange that was begun", "leave maintenance mode"]
    text = "\n".join(way[0]["lines"])
    assert re.findall(r"--refresh --resource (\S+)", text) == ["vip", "ip"]
    assert re.findall(r"--locate --resource (\S+)", text) == ["vip-cloud"]
    assert "cib-push" not in text
    people = cloudha("--from-cib", tmp_path / "x.xml", "--untried").stdout
    assert people.startswith("== 1. finish the exchange")
