"""Reads without the SDK: the same requests and answers as with it, and what a monitor costs in requests and modules."""

from __future__ import annotations

import ipaddress
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudha import install
from cloudha.provider import Context, Kind, LocalConfigurationError, NodeQuery, Unavailable
from cloudha.testing.emulator import Effect, Fault, Reply, Request
from cloudha_plugin_azure import machines, reads
from cloudha_plugin_azure.arm import COMPUTE, NETWORK, call, page
from cloudha_plugin_azure.emulator import AzureEmulator
from cloudha_plugin_azure.emulator.account import GROUP, TABLE

Contexts = Callable[..., Context]
VIP = "10.0.1.50"
KILL_SECONDS = 60
HEAVY = {
    "azure",
    "msal",
    "requests",
    "urllib3",
    "aiohttp",
    "cryptography",
    "dataclasses",
    "tenacity",
    "logging",
    "hashlib",
}
# Each operation that is known without the SDK, as the plugin calls it.
GETS: dict[str, tuple[str, tuple[str, ...], dict[str, str]]] = {
    "virtual_machines": (COMPUTE, (GROUP, "n2"), {"expand": "instanceView"}),
    "network_interfaces": (NETWORK, (GROUP, "n1-nic"), {}),
    "route_tables": (NETWORK, (GROUP, TABLE), {}),
}
LISTS: dict[str, tuple[str, dict[str, str]]] = {
    "virtual_machines": (COMPUTE, {"expand": "instanceView"}),
    "network_interfaces": (NETWORK, {}),
    "public_ip_addresses": (NETWORK, {}),
}


@pytest.fixture
def seen(azure: AzureEmulator) -> list[tuple[Any, ...]]:
    """What the API is sent, in order."""
    sent: list[tuple[Any, ...]] = []
    judge = azure.service.watch

    def look(operation: str, request: Request, reply: Reply) -> None:
        if judge is not None:
            judge(operation, request, reply)
        if not operation.startswith(("metadata.", "identity.")):
            kept = {name: request.headers.get(name, "") for name in ("authorization", "host")}
            sent.append((request.method, request.path, dict(request.query), kept))

    azure.service.watch = look
    return sent


@pytest.mark.parametrize("operations", sorted(GETS))
def test_a_resource_is_read_as_the_sdk_reads_it(
    context: Contexts, seen: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, operations: str
) -> None:
    service, names, more = GETS[operations]
    made = context()
    ours = call(made, service, operations, "get", *names, **more)
    assert f"azure.{service}" not in vars(made)["_kept"], "no client of the SDK was made"
    monkeypatch.setattr(reads, "possible", lambda: False)
    theirs = call(made, service, operations, "get", *names, **more)
    assert seen[0] == seen[1]
    assert (ours.document, ours.status, ours.operation) == (theirs.document, theirs.status, theirs.operation)
    assert ours.request_id


@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.parametrize("operations", sorted(LISTS))
def test_a_list_is_read_as_the_sdk_reads_it(
    azure: AzureEmulator,
    context: Contexts,
    seen: list[tuple[Any, ...]],
    monkeypatch: pytest.MonkeyPatch,
    operations: str,
    *,
    everywhere: bool,
) -> None:
    azure.account.behaviour.page = 1
    azure.account.add_public_ip("second", "203.0.113.8")
    service, more = LISTS[operations]
    method, names = ("list_all", ()) if everywhere else ("list", (GROUP,))
    made = context()

    def pages() -> list[tuple[list[Any], str | None]]:
        found = [page(made, service, operations, method, *names, token=None, **more)]
        found.append(page(made, service, operations, method, *names, token=found[0][1], **more))
        return found

    ours = pages()
    assert f"azure.{service}" not in vars(made)["_kept"], "no client of the SDK was made"
    monkeypatch.setattr(reads, "possible", lambda: False)
    assert ours == pages()
    assert ours[0][1] is not None
    assert seen[:2] == seen[2:]


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "REQUESTS_CA_BUNDLE"])
def test_where_the_environment_has_another_way_the_sdk_reads(
    azure: AzureEmulator, context: Contexts, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert reads.possible()
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert not reads.possible()
    if name == "HTTPS_PROXY":
        with pytest.raises(Unavailable):
            machines.list_nodes(context(), NodeQuery())
        assert "machines.list" not in azure.server.journal.operations()


def test_an_authority_that_is_not_there(context: Contexts) -> None:
    given = {"subscription_id": "s", "resource_group": "g", "ca_file": "/not/there.pem"}
    with pytest.raises(LocalConfigurationError, match="ca_file"):
        machines.list_nodes(context(**given), NodeQuery())


@pytest.mark.parametrize(
    ("effect", "words"),
    [(Effect.CUT, "break connections off"), (Effect.HANG, "break connections off"), (Effect.GARBAGE, "endpoint")],
)
def test_what_went_wrong_has_its_advice(azure: AzureEmulator, context: Contexts, effect: Effect, words: str) -> None:
    azure.fault(Fault("machines.list", effect))
    with pytest.raises(Unavailable) as caught:
        machines.list_nodes(context(read_seconds=0.4), NodeQuery())
    assert words in caught.value.advice


def test_no_answer_of_another_status_is_one(azure: AzureEmulator, context: Contexts) -> None:
    azure.service.watch = None
    real = azure.service.answer

    def accepted(request: Request) -> Reply:
        reply = real(request)
        return Reply(202, reply.body, reply.headers) if request.path.endswith("/virtualMachines") else reply

    azure.service.answer = accepted  # type: ignore[method-assign]  # somebody else's answer
    with pytest.raises(Unavailable, match="202"):
        machines.list_nodes(context(), NodeQuery())


# --- what it costs ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("agents")
    install.install(path)
    return path


def imported(command: list[str], text: str, environment: dict[str, str]) -> set[str]:
    """Return the modules that a run of an agent imports; the run must end with 0."""
    done = subprocess.run(
        [sys.executable, "-I", "-X", "importtime", *command],
        input=text,
        env=environment,
        capture_output=True,
        text=True,
        timeout=KILL_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def unwanted(names: set[str], some: set[str]) -> set[str]:
    return {name for name in names for no in some if name == no or name.startswith(f"{no}.")}


def test_a_monitor_is_one_request_and_no_sdk(azure: AzureEmulator, root: Path) -> None:
    azure.account.give(Kind.PRIVATE, ipaddress.ip_address(VIP), "n1")
    given = {"provider": "azure", "ip": VIP, "CRM_meta_timeout": "60000", **azure.options()}
    environment = {f"OCF_RESKEY_{name}": value for name, value in given.items()} | {"OCF_ROOT": "/usr/lib/ocf"}
    names = imported([str(root / install.AGENTS["floating-ip"]), "monitor"], "", environment)
    assert azure.server.journal.operations() == ("metadata.instance", "identity.token", "nics.list")
    assert unwanted(names, HEAVY) == set()


def test_a_status_needs_no_sdk(azure: AzureEmulator, root: Path) -> None:
    given = {"action": "status", "provider": "azure", "plug": "n2", **azure.options()}
    text = "".join(f"{name}={value}\n" for name, value in given.items())
    names = imported([str(root / install.AGENTS["fence_cloud"])], text, {})
    assert azure.server.journal.operations() == ("metadata.instance", "identity.token", "machines.get")
    assert unwanted(names, HEAVY) == set()
