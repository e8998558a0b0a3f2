"""What runs every few seconds on every node imports only what it needs. Counted, not timed."""

from __future__ import annotations

import sys

import pytest

from agent_process import Agents, run
from cloudha_plugin_sim.emulator import SimEmulator

HEAVY = {
    "argparse",
    "asyncio",
    "click",
    "concurrent",
    "dataclasses_json",
    "email.mime",
    "getpass",
    "importlib.metadata",
    "logging",
    "rich",
    "tempfile",
    "tenacity",
    "xml",
    # What only the command for people asks a plugin.
    "cloudha.cli",
    "cloudha.limits",
    "cloudha.policy",
    "cloudha.requests",
    "cloudha_plugin_sim.requests",
}
# Half of the price of metadata, before they were left out: see cloudha/record.py and cloudha/installed.py.
DEAR = {"dataclasses", "inspect", "pluggy", "typing"}
NETWORK = {"http.client", "urllib.request", "ssl", "socket", "subprocess", "json"}


def imported(agents: Agents, path: str, words: list[str], standard_input: str, env: dict[str, str]) -> set[str]:
    """Return the modules that a run of the agent imports; the run must end with 0."""
    command = [*agents.prefix, sys.executable, "-I", "-X", "importtime", path, *words]
    done = run(command, standard_input, env)
    assert done.code == 0, done.err[-500:]
    lines = [line for line in done.said if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def present(names: set[str], unwanted: set[str]) -> set[str]:
    return {name for name in names for no in unwanted if name == no or name.startswith(no + ".")}


@pytest.mark.parametrize("words", [["-o", "metadata"], []])
def test_fence_metadata(installed: Agents, words: list[str]) -> None:
    names = imported(installed, installed.fence_path, words, "" if words else "action=metadata\n", {})
    assert present(names, HEAVY | DEAR | NETWORK) == set()


def test_floating_ip_meta_data(installed: Agents) -> None:
    names = imported(installed, installed.address_path, ["meta-data"], "", {})
    assert present(names, HEAVY | DEAR | NETWORK) == set()


@pytest.mark.parametrize("action", ["monitor", "status", "list", "off"])
def test_fence(agents: Agents, cloud: SimEmulator, action: str) -> None:
    text = f"action={action}\nprovider=sim\nendpoint={cloud.url}\nplug=n2\n"
    names = imported(agents, agents.fence_path, [], text, {})
    assert present(names, HEAVY | {"subprocess", "urllib.request"}) == set()


@pytest.mark.parametrize("action", ["start", "monitor", "stop"])
def test_floating_ip(node: Agents, action: str) -> None:
    if action != "start":
        assert node.address("start").code == 0
    names = imported(node, node.address_path, [action], "", node.variables())
    assert present(names, HEAVY | {"subprocess", "urllib.request", "getopt"}) == set()


def test_requests_of_the_hot_paths(node: Agents, node_cloud: SimEmulator) -> None:
    assert node.address("start").code == 0
    node_cloud.server.journal.clear()
    assert node.address("monitor").code == 0
    assert node_cloud.server.journal.operations() == ("metadata.self",)
    node_cloud.server.journal.clear()
    assert node.fence("monitor").code == 0
    assert node_cloud.server.journal.operations() == ("whoami",)
    node_cloud.server.journal.clear()
    assert node.fence("status", plug="n2").code == 0
    assert node_cloud.server.journal.operations() == ("machines.list",)
