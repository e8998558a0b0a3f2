"""``cloudha policy``: what it prints is whole, no wider than asked for, and honest about what it cannot narrow."""

from __future__ import annotations

import importlib.resources
import json
import re
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agent_process import Ran, run
from cloudha.cli.main import main
from cloudha.types import Kind
from cloudha_plugin_azure import access as azure_access
from cloudha_plugin_ibm.policy import ROLES

COMMAND = str(Path(sysconfig.get_path("scripts")) / "cloudha")
MACHINES = {
    "aws": ("i-0aaaaaaaaaaaaaaaa", "i-0bbbbbbbbbbbbbbbb"),
    "azure": tuple(
        f"/subscriptions/sub-1/resourceGroups/ha/providers/Microsoft.Compute/virtualMachines/{name}"
        for name in ("n1", "n2")
    ),
    "oci": ("ocid1.instance.oc1.eu-frankfurt-1.aaaa", "ocid1.instance.oc1.eu-frankfurt-1.bbbb"),
    "ibm": ("0717_e21b7391-2ca2-4ab5-84a8-b92157a633b0", "0727_e21b7391-2ca2-4ab5-84a8-b92157a633b1"),
}
ALL_KINDS = [word for kind in Kind for word in ("--kind", kind.value)]
CLOUDS = pytest.mark.parametrize("provider", sorted(MACHINES))


def policy(provider: str, *words: str) -> dict[str, Any]:
    done = CliRunner().invoke(main, ["policy", provider, *words, "--json"])
    assert (done.exit_code, done.stderr) == (0, ""), done
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def documents(provider: str, *words: str) -> dict[str, str]:
    return {document["name"]: document["text"] for document in policy(provider, *words)["documents"]}


def shipped(provider: str) -> str:
    """The plugin's own list, as an installed plugin has it."""
    folder = importlib.resources.files(f"cloudha_plugin_{provider}")
    return next(item for item in folder.iterdir() if item.name.startswith("permissions.")).read_text()


def nodes_of(provider: str) -> Sequence[str]:
    return ["--nodes", ",".join(MACHINES[provider])]


def ran(*words: str) -> Ran:
    return run([COMMAND, "policy", *words], "", {})


# -- all clouds ------------------------------------------------------------------------------------------------------


@CLOUDS
def test_nothing_but_fencing_unless_asked_for(provider: str) -> None:
    found = policy(provider)
    assert (found["fencing"], found["kinds"], found["nodes"]) == (True, [], [])
    assert found["documents"]
    assert found["steps"]
    assert found["notes"]
    whole = "".join(document["text"] for document in found["documents"]).lower()
    for word in ("assignprivate", "associateaddress", "createroute", "networkinterfaces/write", "routetables/routes"):
        assert word not in whole
    for word in ("private_ip_update", "public_ip", "route_table", "subnetid", "floatingipid", "vpcid"):
        assert word not in whole


@CLOUDS
def test_machines_are_named_where_the_language_can(provider: str) -> None:
    found = policy(provider, *nodes_of(provider))
    whole = "".join(document["text"] for document in found["documents"]) + "".join(found["steps"])
    assert all(node in whole for node in MACHINES[provider])


@CLOUDS
def test_each_word_to_be_replaced_is_there_and_said(provider: str) -> None:
    for words in ([], ALL_KINDS, [*nodes_of(provider), *ALL_KINDS]):
        found = policy(provider, *words)
        whole = "".join(document["text"] for document in found["documents"]) + "".join(found["steps"])
        # Identifiers of the vendors in capitals have an underscore, or are a service's.
        capitals = set(re.findall(r"(?<![\w$-])[A-Z]{4,}(?![\w-])", whole)) - {"EOF"}
        assert capitals == set(found["replace"])


@CLOUDS
def test_a_name_is_no_id(provider: str) -> None:
    done = CliRunner().invoke(main, ["policy", provider, "--nodes", "n1"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "'n1' is no" in done.stderr


def test_none_and_wrong_ones() -> None:
    assert "brings no policy documents; see: cloudha describe sim" in ran("sim").one_line()
    assert ran("aws", "--no-fencing").code == 2
    assert "kind=route is not offered" in ran("lb-probe", "--kind", "route").one_line()
    secret = ran("aws", "-o", "secret_key=sk-1234")
    assert secret.code == 1
    assert "sk-1234" not in secret.err


def test_one_document_alone_can_go_into_a_file() -> None:
    done = ran("aws", "--kind", "route", "-o", "region=eu-west-1")
    assert done.code == 0
    assert json.loads(done.out)["Version"] == "2012-10-17"
    assert "replace TABLE: " in done.err
    assert "apply: aws iam put-role-policy" in done.err
    assert "note: " in done.err


def test_documents_are_saved_and_never_written_over(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert ran("oci", "--save", str(folder)).code == 0
    assert sorted(path.name for path in folder.iterdir()) == ["matching-rule.txt", "statements.json"]
    (folder / "matching-rule.txt").unlink()
    (folder / "statements.json").write_text("mine")
    done = ran("oci", "--save", str(folder))
    assert done.code == 1
    assert "is there already" in done.one_line()
    assert [path.name for path in folder.iterdir()] == ["statements.json"]
    assert (folder / "statements.json").read_text() == "mine"


# -- each cloud ------------------------------------------------------------------------------------------------------


def test_aws_is_the_shipped_policy_made_narrow() -> None:
    whole = {item["Sid"]: item for item in json.loads(shipped("aws"))["Statement"]}
    text = documents("aws", *ALL_KINDS)["policy.json"]
    made = {item["Sid"]: item for item in json.loads(text)["Statement"]}
    assert made.keys() == whole.keys()
    assert all(made[sid]["Action"] == whole[sid]["Action"] for sid in whole)
    assert "REGION" not in text
    assert "ACCOUNT" not in text


def test_aws_with_machines_region_and_tables() -> None:
    given = ["-o", "region=us-gov-west-1", "-o", "route_tables=rtb-1,rtb-2"]
    text = documents("aws", *nodes_of("aws"), "--kind", "public", "--kind", "route", *given)["policy.json"]
    made = {item["Sid"]: item for item in json.loads(text)["Statement"]}
    instances = [f"arn:aws-us-gov:ec2:us-gov-west-1:*:instance/{node}" for node in MACHINES["aws"]]
    assert made["Fencing"]["Resource"] == instances
    assert "Condition" not in made["Fencing"]
    assert set(instances) < set(made["PublicAddress"]["Resource"])
    assert not any(resource.endswith("instance/*") for resource in made["PublicAddress"]["Resource"])
    assert made["RouteAddress"]["Resource"] == [
        f"arn:aws-us-gov:ec2:us-gov-west-1:*:route-table/{table}" for table in ("rtb-1", "rtb-2")
    ]
    assert made.keys() == {"Look", "Fencing", "PublicAddress", "RouteAddress"}


@pytest.mark.parametrize("kind", list(Kind))
def test_aws_without_fencing_looks_for_no_machines(kind: Kind) -> None:
    text = documents("aws", "--no-fencing", "--kind", kind.value)["policy.json"]
    assert "Instances" not in text
    assert "ec2:DescribeNetworkInterfaces" in text


def test_azure_power_is_for_the_machines_alone() -> None:
    found = policy("azure", *nodes_of("azure"))
    looking, power = (json.loads(document["text"]) for document in found["documents"])
    assert all(action.endswith("/read") for action in looking["Actions"])
    fencing = next(role for role in json.loads(shipped("azure")) if role["Name"] == "cloudha fencing")
    assert {*looking["Actions"], *power["Actions"]} == set(fencing["Actions"])
    assert set(azure_access.FENCING) <= set(fencing["Actions"])
    assert looking["AssignableScopes"] == power["AssignableScopes"] == ["/subscriptions/sub-1/resourceGroups/ha"]
    assigned = [step for step in found["steps"] if '"cloudha power"' in step and "assignment" in step]
    assert [step.rpartition(" ")[2] for step in assigned] == list(MACHINES["azure"])


@pytest.mark.parametrize("kind", list(Kind))
def test_azure_roles_hold_what_is_checked(kind: Kind) -> None:
    made = documents("azure", "--no-fencing", "--kind", kind.value, "-o", "resource_group=ha")
    (role,) = (json.loads(text) for text in made.values())
    assert set(azure_access.NEEDED[kind]) <= set(role["Actions"])
    assert role["AssignableScopes"] == ["/subscriptions/SUBSCRIPTION/resourceGroups/ha"]


def test_azure_names_are_completed() -> None:
    given = ["-o", "subscription_id=sub-1", "-o", "resource_group=ha"]
    assert policy("azure", "--nodes", "n1 n2", *given)["steps"] == policy("azure", *nodes_of("azure"))["steps"]


def test_oci_has_every_shipped_statement() -> None:
    whole = [line for line in shipped("oci").splitlines() if line.startswith("Allow ")]
    made = json.loads(documents("oci", *ALL_KINDS)["statements.json"])
    assert made == list(dict.fromkeys(whole))
    placed = json.loads(documents("oci", "-o", "compartment_id=ocid1.compartment.x")["statements.json"])
    assert len(placed) == 2
    assert all(line.endswith(" in compartment id ocid1.compartment.x") for line in placed)


def test_oci_says_that_it_cannot_name_the_machines() -> None:
    found = policy("oci", *nodes_of("oci"))
    rule, statements = (document["text"] for document in found["documents"])
    first, second = MACHINES["oci"]
    assert rule == f"ANY {{instance.id = '{first}', instance.id = '{second}'}}\n"
    assert first not in statements
    assert any("no variable for single instances" in note for note in found["notes"])
    keyed = policy("oci", "-o", "auth=api_key")
    assert [document["name"] for document in keyed["documents"]] == ["statements.json"]
    assert "Allow group GROUP to" in keyed["documents"][0]["text"]


@pytest.mark.parametrize("words", [[], ALL_KINDS, nodes_of("ibm"), ["-o", "api_key_file=/nowhere"]])
def test_ibm_is_a_script(words: Sequence[str]) -> None:
    text = documents("ibm", *words)["policy.sh"]
    assert subprocess.run(["/bin/sh", "-n"], input=text, text=True, check=False).returncode == 0
    table = shipped("ibm")
    for command in text.splitlines():
        if "-policy-create" in command:
            roles = re.findall(r"--roles (\S+)", command)[0].split(",")
            assert set(roles) <= set(ROLES)
            assert all(role in table for role in roles)


def test_ibm_power_is_for_the_machines_alone() -> None:
    text = documents("ibm", *nodes_of("ibm"), "-o", "resource_group=ha")["policy.sh"]
    given = [line for line in text.splitlines() if "-policy-create" in line]
    assert [re.findall(r"--roles (\S+) --attributes \"(\S+)\"", line)[0] for line in given] == [
        ("Viewer", "instanceId=*"),
        *(("Operator,Editor", f"instanceId={node}") for node in MACHINES["ibm"]),
    ]
    assert given[0].endswith("--resource-group-name ha")


# -- any plugin ------------------------------------------------------------------------------------------------------

PROVIDER = """
from cloudha.provider import ProviderInfo, hookimpl

@hookimpl
def provider_info():
    return ProviderInfo(title="Mine")
"""
GOOD = """
from cloudha.policy import Document, Policy

def policy(request):
    return Policy((Document("p.txt", f"{request.fencing} {request.nodes}"),))
"""


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        pytest.param(GOOD, 0, "True ('a',)", id="good"),
        pytest.param("def policy(request):\n    return None\n", 1, "answered NoneType, not Policy", id="no answer"),
        pytest.param("import nowhere\n", 1, "ModuleNotFoundError", id="broken"),
        pytest.param("", 1, "AttributeError", id="empty"),
        pytest.param(None, 1, "brings no policy documents", id="none"),
    ],
)
def test_a_plugins_own(tmp_path: Path, source: str | None, code: int, said: str) -> None:
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "provider.py").write_text(PROVIDER)
    if source is not None:
        (package / "policy.py").write_text(source)
    info = tmp_path / "cloudha_plugin_mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cloudha-plugin-mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[cloudha.providers]\nmine = mine.provider\n")
    done = run([COMMAND, "policy", "mine", "--nodes", "a"], "", {"PYTHONPATH": str(tmp_path)})
    assert done.code == code
    assert said in done.out + done.err
    assert "Traceback" not in done.err


def test_the_agents_do_not_load_it() -> None:
    source = "import sys, cloudha.agents.fence_actions, cloudha_plugin_aws.provider as p; p.provider_info()\n"
    source += "print([m for m in sys.modules if 'policy' in m or m.startswith(('cloudha.cli', 'click', 'rich'))])"
    assert run([sys.executable, "-c", source], "", {}).out == "[]\n"
