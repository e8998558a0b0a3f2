"""The verbs of the installed cloudha command, on a simulated cloud over HTTP."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import pty
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from agent_process import Ran, run, started
from cloudha.cli.completion import completion
from cloudha.testing.emulator import Effect, Fault
from cloudha.types import IPAddress, Kind
from cloudha_plugin_sim.emulator import API_ONLY, SimEmulator
from cloudha_plugin_sim.records import State
from simulated_cloud import PUBLIC_ADDRESS, simulated_cloud

COMMAND = str(Path(sysconfig.get_path("scripts")) / "cloudha")
FLOATING = ipaddress.ip_address("10.9.9.100")
TOKEN = "tok-5f1e9c7a"
CHANGES = {"power_off", "power_on", "bind_ip", "unbind_ip"}
NOISY = """
from cloudha.provider import *
from cloudha.provider import hookimpl

@hookimpl
def provider_info():
    return ProviderInfo(title="Noisy")

@hookimpl
def list_nodes(context, query):
    print("a line that no program expects")
    return NodePage((Node("i-1", "evil\\x1b[31m\\nname [bold]x[/bold]", PowerState.UNKNOWN),))
"""

CHOOSY = """
from cloudha.provider import *
from cloudha.provider import hookimpl

@hookimpl
def provider_info():
    return ProviderInfo(title="Choosy", kinds=(Kind.PRIVATE, Kind.ROUTE))

@hookimpl
def list_ips(context, query):
    region = context.settings.text("region")
    if region == "elsewhere":
        raise LocalConfigurationError("this machine is none of the cloud's")
    if region == "none" or query.kind is Kind.ROUTE:
        raise ConfigurationError("parameter route_tables is missing")
    return BindingPage(())
"""

SILENT = """
from cloudha.provider import *
from cloudha.provider import hookimpl

@hookimpl
def provider_info():
    return ProviderInfo(title="Silent")

@hookimpl
def list_nodes(context, query):
    return NodePage((Node("i-1", "n1", PowerState.ON),))

@hookimpl
def power_state(context, node):
    return PowerReading(node.id, PowerState.ON)

@hookimpl
def power_off(context, node):
    raise AssertionError("a dry run changes nothing")
"""


@dataclass(frozen=True)
class Command:
    """The command, with the parameters of one cloud."""

    cloud: SimEmulator

    def __call__(self, *words: str, env: Mapping[str, str] | None = None, text: str = "", here: bool = True) -> Ran:
        given = ("-o", f"endpoint={self.cloud.url}") if here else ()
        return run([COMMAND, *words, *given], text, {"CLOUDHA_PROVIDER": "sim", **(env or {})})

    def json(self, *words: str) -> Any:
        """Return what the verb prints with --json, having checked that it is all it prints."""
        done = self(*words, "--json")
        assert done.code == 0, done
        return json.loads(done.out)

    @property
    def asked(self) -> tuple[str, ...]:
        return self.cloud.server.journal.operations()

    @property
    def changed(self) -> bool:
        """Whether a change was so much as asked for."""
        return bool(CHANGES & set(self.asked))

    def powered(self, name: str) -> bool:
        return self.cloud.cloud.world.powered(name)

    def holder(self, ip: IPAddress = FLOATING, kind: Kind = Kind.PRIVATE) -> str | None:
        found = self.cloud.cloud.truth().addresses.get((kind, ip))
        return found.machine if found else None


@pytest.fixture
def cloud() -> Iterator[SimEmulator]:
    emulator = simulated_cloud().start()
    yield emulator
    emulator.close()


@pytest.fixture
def cloudha(cloud: SimEmulator) -> Command:
    return Command(cloud)


@pytest.fixture
def guarded() -> Iterator[Command]:
    """A cloud that wants a token."""
    emulator = simulated_cloud(token=TOKEN).start()
    yield Command(emulator)
    emulator.close()


def failed(done: Ran, *words: str) -> str:
    """Return the line of an error, having checked that it is one and that nothing else was printed."""
    assert (done.code, done.out) == (1, ""), done
    line = done.one_line()
    assert line.startswith("Error: ")
    assert all(word in line for word in words), line
    return line


def installed(folder: Path, source: str, module: str = "own_provider") -> Mapping[str, str]:
    """Return the environment in which a provider of this source is found."""
    (folder / "own_provider.py").write_text(source)
    info = folder / "cloudha_plugin_own-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cloudha-plugin-own\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[cloudha.providers]\nown = {module}\n")
    return {"PYTHONPATH": str(folder), "CLOUDHA_PROVIDER": "own"}


def wait_until(true: Callable[[], bool]) -> None:
    for _ in range(200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it does not become true")


# -- looking ---------------------------------------------------------------------------------------------------------


def test_describe(cloudha: Command) -> None:
    done = cloudha("describe", "sim", here=False)
    assert (done.code, done.err) == (0, "")
    assert "Simulated cloud" in done.out
    assert "None are needed" in done.out, "the permissions that come with the plugin"
    assert "\x1b" not in done.out
    found = json.loads(cloudha("describe", "sim", "--json", here=False).out)
    assert found["kinds"] == ["private", "public", "route"]
    assert all(found["abilities"].values())
    options = {option["name"]: option for option in found["options"]}
    assert options["password"]["secret"] is True
    assert options["endpoint"]["common"] is True
    assert found["permissions"]["name"] == "permissions.md"


def test_describe_what_a_provider_lacks(cloudha: Command) -> None:
    found = json.loads(cloudha("describe", "lb-probe", "--json", here=False).out)
    assert found["abilities"] == {"fencing": False, "floating addresses": True, "check of permissions": True}
    assert found["hooks"]["power_off"] is False


def test_nodes(cloudha: Command, cloud: SimEmulator) -> None:
    cloud.cloud.describe("m-0003", name="n3", group="asg", restart_after=None)
    done = cloudha("nodes")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[1].split() == ["n1", "m-0001", "on", "10.9.9.1"]
    assert "warning: n3 (m-0003): member of the scaling group asg" in done.out
    found = cloudha.json("nodes")
    assert [node["id"] for node in found["nodes"]] == ["m-0001", "m-0002", "m-0003"]
    assert found["nodes"][0] == {"id": "m-0001", "name": "n1", "state": "on", "addresses": ["10.9.9.1"], "warnings": []}


def test_status_by_name_id_and_address(cloudha: Command, cloud: SimEmulator) -> None:
    assert "n2 (m-0002) is on" in cloudha("status", "n2").out
    cloud.cloud.off("m-0002")
    wait_until(lambda: cloud.cloud.truth().machines["m-0002"].state is State.STOPPED)
    assert cloudha.json("status", "m-0002")["state"] == "off", "known: exit code 0"
    assert cloudha.json("status", "10.9.9.2")["raw"] == "stopped"


def test_what_is_not_known_is_a_failure(cloudha: Command, cloud: SimEmulator) -> None:
    failed(cloudha("status", "n9"), "sim: status: n9", "no such machine")
    cloud.fault(Fault(API_ONLY, Effect.REFUSE))
    failed(cloudha("status", "n2", "--json", "--timeout", "1"), "sim: status: n2")


# -- power -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", [["off", "n2"], ["reboot", "n2"], ["on", "n2"]])
def test_without_a_terminal_or_yes_nothing_happens(cloudha: Command, verb: list[str]) -> None:
    done = cloudha(*verb)
    assert (done.code, done.out) == (2, "")
    assert "--yes" in done.err
    assert cloudha.asked == ()


def test_off_on_and_reboot(cloudha: Command) -> None:
    found = cloudha.json("off", "n2", "m-0002", "n3", "--yes")
    assert [(node["id"], node["before"], node["state"]) for node in found["nodes"]] == [
        ("m-0002", "on", "off"),
        ("m-0003", "on", "off"),
    ]
    assert [cloudha.powered(name) for name in ("n1", "n2", "n3")] == [True, False, False]
    done = cloudha("on", "n2", "--yes")
    assert (done.code, done.out, done.err) == (0, "n2 (m-0002) is on (confirmed)\n", "")
    assert cloudha.powered("n2")
    assert cloudha.json("reboot", "n3", "-y")["nodes"][0]["state"] == "on"
    assert cloudha.powered("n3")
    assert cloudha.asked.count("power_off") == 3


def test_one_unknown_machine_stops_everything(cloudha: Command, cloud: SimEmulator) -> None:
    failed(cloudha("off", "n2", "n9", "--yes"), "n9")
    cloud.cloud.describe("m-0003", name="n2", group="", restart_after=None)
    failed(cloudha("off", "n2", "--yes"), "n2", "m-0002", "m-0003", "use the id")
    assert not cloudha.changed


def test_a_dry_run_changes_nothing(cloudha: Command) -> None:
    found = cloudha.json("reboot", "n2", "--dry-run")
    assert [(call["hook"], call["changes"]) for call in found["calls"]] == [
        ("list_nodes", False),
        ("power_off", True),
        ("power_state", False),
        ("power_on", True),
        ("power_state", False),
    ]
    assert [request["request"] for request in found["calls"][1]["requests"]] == ["POST /v1/machines/m-0002/off"]
    assert [permission["name"] for permission in found["permissions"]] == ["machines.read", "machines.power"]
    assert found["nodes"][0]["id"] == "m-0002"
    done = cloudha("off", "n2", "--dry-run")
    assert done.code == 0
    assert "its power is cut at once" in done.out
    assert "nothing was changed" in done.out
    assert not cloudha.changed


def test_a_dry_run_finds_what_would_be_refused(cloudha: Command, cloud: SimEmulator) -> None:
    cloud.cloud.behaviour.denied = ("machines.power",)
    done = cloudha("off", "n2", "--dry-run", "--json")
    assert done.code == 1
    assert {p["name"]: p["granted"] for p in json.loads(done.out)["permissions"]}["machines.power"] == "no"
    assert not cloudha.changed


def test_a_provider_need_not_declare_its_requests(cloudha: Command, tmp_path: Path) -> None:
    env = installed(tmp_path, SILENT)
    found = cloudha("off", "i-1", "--dry-run", "--json", env=env, here=False)
    assert [call["requests"] for call in json.loads(found.out)["calls"]] == [None, None, None]
    done = cloudha("off", "i-1", "--dry-run", env=env, here=False)
    assert done.code == 0
    assert "power_off" in done.out
    assert "requests" not in done.out


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def requests(planned):\n    return [planned.hook]\n", "did not answer a tuple of ApiRequest"),
        ("def requests(planned):\n    raise LookupError('x')\n", "its requests raised LookupError: x"),
        ("", "has no attribute 'requests'"),
    ],
)
def test_a_declaration_that_is_none(cloudha: Command, tmp_path: Path, source: str, said: str) -> None:
    package = tmp_path / "own"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "requests.py").write_text(source)
    (package / "own_provider.py").write_text(SILENT)
    env = installed(tmp_path, "", "own.own_provider")
    failed(cloudha("off", "i-1", "--dry-run", env=env, here=False), "cloudha-plugin-own 1.0", said)


def test_what_is_not_confirmed_fails(cloudha: Command, cloud: SimEmulator) -> None:
    cloud.cloud.behaviour.stop = 60
    failed(cloudha("off", "n2", "--yes", "--timeout", "2"), "power_off was accepted", "stopping", "cloudha status")


def test_providers_are_listed_for_people_and_for_programs() -> None:
    lines = subprocess.run([COMMAND, "providers"], capture_output=True, text=True, check=True).stdout.splitlines()
    shown = subprocess.run([COMMAND, "providers", "--json"], capture_output=True, text=True, check=True).stdout
    found = {item["provider"]: item for item in json.loads(shown)["providers"]}
    assert sorted(found) == [line.partition(":")[0] for line in lines]
    assert found["sim"]["kinds"] == ["private", "public", "route"]
    assert found["sim"]["fencing"] is True


def test_an_interruption_says_what_is_unknown(cloudha: Command, cloud: SimEmulator) -> None:
    cloud.cloud.behaviour.stop = 60
    # A suite that runs in the background of a script ignores the signal, and so does what it starts.
    words = ["/usr/bin/env", "--default-signal=INT", COMMAND, "off", "n2", "--yes", "-o", f"endpoint={cloud.url}"]
    with started(words, {"CLOUDHA_PROVIDER": "sim"}) as process:
        wait_until(lambda: "power_off" in cloudha.asked)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, b"")
    assert b"may have been sent, and may still succeed" in err
    assert b"Traceback" not in err


@pytest.mark.parametrize(("answer", "goes_on"), [(b"n\n", False), (b"\n", False), (b"y\n", True)])
def test_on_a_terminal_it_asks(cloudha: Command, answer: bytes, goes_on: bool) -> None:  # noqa: FBT001 - a case
    words = [COMMAND, "off", "n2", "--json", "--provider", "sim", "-o", f"endpoint={cloudha.cloud.url}"]
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer)
        done = subprocess.run(words, stdin=theirs, capture_output=True, env={}, timeout=30, check=False)
    finally:
        os.close(ours)
        os.close(theirs)
    assert "n2 (m-0002), now on: its power is cut at once" in done.stderr.decode()
    assert "Cut the power of n2 (m-0002)? [y/N]" in done.stderr.decode()
    assert done.returncode == (0 if goes_on else 1)
    assert cloudha.powered("n2") is not goes_on
    assert cloudha.changed is goes_on
    if goes_on:
        assert done.stdout.startswith(b"{")
        json.loads(done.stdout)
    else:
        assert done.stdout == b""


# -- addresses -------------------------------------------------------------------------------------------------------


def test_bind_look_take_and_unbind(cloudha: Command, cloud: SimEmulator) -> None:
    cloud.cloud.behaviour.bind = 0.3
    done = cloudha("bind", str(FLOATING), "--node", "n1")
    assert (done.code, done.out) == (0, "10.9.9.100 is bound to n1 (m-0001) (confirmed)\n")
    assert cloudha.holder() == "m-0001"
    found = cloudha.json("ips", str(FLOATING))
    assert found["addresses"] == [
        {"ip": "10.9.9.100", "kind": "private", "node_id": "m-0001", "node_name": "n1", "where": "nic-0001-0"}
    ]

    before = cloudha.asked.count("bind_ip")
    failed(cloudha("bind", str(FLOATING), "--node", "n2"), "m-0001 holds it", "--take")
    assert cloudha("bind", str(FLOATING), "--node", "n2", "--take").code == 2, "it would ask"
    assert cloudha.asked.count("bind_ip") == before
    taken = cloudha.json("bind", str(FLOATING), "--node", "n2", "--take", "--yes")
    assert cloudha.holder() == "m-0002"
    assert [holding["node_id"] for holding in taken["before"]] == ["m-0001"]
    assert [holding["node_id"] for holding in taken["after"]] == ["m-0002"]

    assert cloudha("unbind", str(FLOATING), "--node", "n2").code == 2, "it would ask"
    assert cloudha.holder() == "m-0002"
    assert cloudha("unbind", str(FLOATING), "--node", "n2", "--yes").code == 0
    assert cloudha.holder() is None


def test_unbind_leaves_another_holder_alone(cloudha: Command, cloud: SimEmulator) -> None:
    cloud.cloud.bind(Kind.PRIVATE, FLOATING, "m-0001")
    done = cloudha("unbind", str(FLOATING), "--node", "n2", "--yes")
    assert (done.code, done.out) == (0, "10.9.9.100 is not bound to n2 (m-0002) (confirmed)\n")
    assert cloudha.holder() == "m-0001"


def test_a_binding_that_is_not_seen_fails(cloudha: Command, cloud: SimEmulator) -> None:
    cloud.cloud.behaviour.bind = 60
    failed(cloudha("bind", str(FLOATING), "--node", "n1", "--timeout", "2"), "bind_ip was accepted", "nobody")


@pytest.mark.parametrize("verb", ["bind", "unbind"])
def test_a_dry_run_of_an_address_changes_nothing(cloudha: Command, cloud: SimEmulator, verb: str) -> None:
    cloud.cloud.bind(Kind.PRIVATE, FLOATING, "m-0001")
    node = {"bind": ("--node", "n2", "--take"), "unbind": ("--node", "n1")}[verb]
    found = cloudha.json(verb, str(FLOATING), *node, "--dry-run")
    assert [(call["hook"], call["changes"]) for call in found["calls"]] == [
        ("list_nodes", False),
        ("list_ips", False),
        (f"{verb}_ip", True),
        ("list_ips", False),
        ("list_ips", False),
    ]
    assert [permission["name"] for permission in found["permissions"]] == ["addresses.read", "addresses.write"]
    assert cloudha.holder() == "m-0001"
    assert not cloudha.changed


def test_ips_of_every_kind(cloudha: Command, cloud: SimEmulator) -> None:
    cloud.cloud.bind(Kind.ROUTE, ipaddress.ip_address("192.0.2.77"), "m-0003")
    found = {(a["kind"], a["ip"]): a["node_id"] for a in cloudha.json("ips")["addresses"]}
    assert found["route", "192.0.2.77"] == "m-0003"
    assert found["public", PUBLIC_ADDRESS] is None
    done = cloudha("ips", "192.0.2.99", "--kind", "private")
    assert (done.code, done.out) == (0, "192.0.2.99 is bound nowhere as a private address\n")
    assert cloudha("ips", "10.9.9.300").code == 2


def test_an_unanswered_question_is_no_empty_list(cloudha: Command, cloud: SimEmulator) -> None:
    cloud.fault(Fault(API_ONLY, Effect.REFUSE))
    failed(cloudha("ips", "--timeout", "1"))
    failed(cloudha("nodes", "--timeout", "1", "--json"))


def test_a_kind_that_could_not_be_asked_is_not_bound_nowhere(cloudha: Command, tmp_path: Path) -> None:
    env = installed(tmp_path, CHOOSY)
    done = cloudha("ips", "192.0.2.99", env=env, here=False)
    assert (done.code, done.out) == (0, "192.0.2.99 is bound nowhere as a private address\n")
    assert done.one_line() == "kind=route is left out: parameter route_tables is missing"
    failed(cloudha("ips", "--kind", "route", env=env, here=False), "route_tables")
    failed(cloudha("ips", "-o", "region=none", env=env, here=False), "route_tables")
    failed(cloudha("ips", "-o", "region=elsewhere", env=env, here=False), "none of the cloud's")


# -- parameters ------------------------------------------------------------------------------------------------------


def test_secrets(guarded: Command, tmp_path: Path) -> None:
    failed(guarded("nodes"), "sim: nodes")
    shown = failed(guarded("nodes", "-o", f"password={TOKEN}"), "CLOUDHA_PASSWORD", "--options-from")
    assert TOKEN not in shown
    assert guarded("nodes", env={"CLOUDHA_PASSWORD": TOKEN}).code == 0
    file = tmp_path / "options"
    file.write_text(f"# for the command\nprovider=sim\npassword={TOKEN}\n")
    file.chmod(0o640)
    assert TOKEN not in failed(guarded("nodes", "--options-from", str(file)), "chmod 600")
    file.chmod(0o600)
    assert guarded("nodes", "--options-from", str(file), env={"CLOUDHA_PROVIDER": ""}).code == 0
    done = guarded("nodes", "--options-from", "-", "-v", text=f"password = {TOKEN}\n")
    assert done.code == 0
    assert "list_nodes after" in done.err
    assert TOKEN not in done.err


def test_a_bad_line_is_named_and_not_shown(cloudha: Command) -> None:
    assert "tok-" not in failed(cloudha("nodes", "--options-from", "-", text=f"region=x\n{TOKEN}\n"), "line 2")


def test_parameters(cloudha: Command) -> None:
    failed(cloudha("nodes", "-o", "enpoint=http://127.0.0.1:1"), "enpoint", "did you mean endpoint?")
    failed(cloudha("nodes", "-o", "endpoint=ftp://x", here=False), "sim: parameter endpoint is not a URL")
    assert cloudha("nodes", "-o", "endpoint").code == 2
    missing = cloudha("nodes", env={"CLOUDHA_PROVIDER": ""})
    assert (missing.code, missing.out) == (2, "")
    assert "sim" in missing.err
    failed(cloudha("nodes", "--provider", "nowhere"), "pip install cloudha-plugin-nowhere")


# -- output ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def noisy(tmp_path: Path) -> Mapping[str, str]:
    """The environment in which a provider is found that prints, and whose machine has a name that is none."""
    return installed(tmp_path, NOISY)


def test_what_a_library_prints_is_no_result(cloudha: Command, noisy: Mapping[str, str]) -> None:
    done = cloudha("nodes", "--json", env=noisy, here=False)
    assert json.loads(done.out)["nodes"][0]["id"] == "i-1"
    assert "a line that no program expects" in done.err


def test_a_name_is_no_markup_and_no_control_sequence(cloudha: Command, noisy: Mapping[str, str]) -> None:
    done = cloudha("nodes", env={**noisy, "FORCE_COLOR": "", "TERM": "xterm"}, here=False)
    assert "\x1b" not in done.out
    assert "[31m name [bold]x[/bold]" in done.out
    assert len(done.out.splitlines()) == 2


def test_an_unknown_state_is_exit_code_1(cloudha: Command, noisy: Mapping[str, str]) -> None:
    done = cloudha("status", "i-1", "--json", env=noisy, here=False)
    assert done.code == 1
    assert json.loads(done.out)["state"] == "unknown"


def test_no_fencing_is_said(cloudha: Command, noisy: Mapping[str, str]) -> None:
    failed(cloudha("off", "i-1", "--yes", env=noisy, here=False), "it has no power_state, power_off")


# -- completion ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("cloudha statu", {"status"}),
        ("cloudha off --provider si", {"sim"}),
        ("cloudha describe lb", {"lb-probe"}),
        ("cloudha nodes --provider sim -o endp", {"endpoint="}),
        ("cloudha nodes --provider sim -o pass", set()),
        ("cloudha bind 10.0.0.1 --kind r", {"route"}),
    ],
)
def test_completion(words: str, wanted: set[str]) -> None:
    env = {"_CLOUDHA_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    done = run([COMMAND], "", env)
    assert done.err == ""
    assert {line.partition(",")[2] for line in done.out.splitlines() if line} == wanted


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_for_a_shell(shell: str) -> None:
    done = CliRunner().invoke(click.Group("cloudha", {"completion": completion}), ["completion", shell])
    if shell == "bash" and "bash" in done.stderr:  # pragma: no cover - click wants a recent bash
        pytest.skip(done.stderr)
    assert done.exit_code == 0
    assert "_CLOUDHA_COMPLETE" in done.output
    with contextlib.suppress(FileNotFoundError):
        assert subprocess.run([shell, "-n"], input=done.output, text=True, check=False).returncode == 0
