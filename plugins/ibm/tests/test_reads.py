"""Reads without the SDK: the same requests and answers as with it, and what a monitor costs in requests and modules."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudha import install, kept_secrets
from cloudha.provider import AddressQuery, Context, Kind, NodeQuery, Purpose, SdkMissing, Unavailable
from cloudha.testing.emulator import Reply, Request
from cloudha_plugin_ibm import access, machines, metadata, private_addresses, reads, token_cache
from cloudha_plugin_ibm.client import call
from cloudha_plugin_ibm.emulator import IbmEmulator
from cloudha_plugin_ibm.emulator.network import give

Contexts = Callable[..., Context]
VIP = ipaddress.ip_address("10.240.0.50")
KILL_SECONDS = 60
# The agents' processes keep their token where agents do.
AGENTS_DIRECTORY = kept_secrets.DIRECTORY if os.geteuid() == 0 else kept_secrets.USER_DIRECTORY
SDK = {"ibm_vpc", "ibm_cloud_sdk_core", "requests", "urllib3"}
HEAVY = SDK | {"cryptography", "dataclasses", "hashlib", "logging", "tenacity"}
MONITOR = ("metadata.identity", "metadata.instance", "interfaces.get")


def of_everything(ibm: IbmEmulator) -> dict[str, tuple[tuple[str, ...], dict[str, Any]]]:
    """Return one call of each operation that is known without the SDK, as the plugin makes it."""
    account = ibm.account
    vpc, table, group = account.vpc.id, account.table.id, "0" * 32
    interface, subnet = next(iter(account.interfaces)), next(iter(account.subnets))
    return {
        "get_instance": ((account.machine_id("n2"),), {}),
        "get_virtual_network_interface": ((interface,), {}),
        "list_floating_ips": ((), {"limit": 100, "target_id": interface}),
        "list_instances": ((), {"limit": 1, "start": "1", "vpc_id": vpc, "resource_group_id": group}),
        "list_subnet_reserved_ips": ((subnet,), {"limit": 100}),
        "list_subnets": ((), {"limit": 100, "routing_table_id": table}),
        "list_virtual_network_interfaces": ((), {"limit": 1, "start": "1"}),
        "list_vpc_routing_table_routes": ((vpc, table), {"limit": 100}),
        "list_vpc_routing_tables": ((vpc,), {"limit": 100}),
        "list_vpcs": ((), {"limit": 100}),
    }


@pytest.mark.parametrize("operation", sorted(reads.PATHS))
def test_every_read_is_what_the_sdk_sends_and_gets(
    ibm: IbmEmulator, context: Contexts, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    calls, seen = of_everything(ibm), []
    assert set(calls) == set(reads.PATHS), "each operation is tried here"
    judge = ibm.service.watch
    assert judge is not None

    def look(name: str, request: Request, reply: Reply) -> None:
        judge(name, request, reply)
        if not name.startswith(("metadata.", "iam.")):
            kept = {header: request.headers.get(header, "") for header in ("authorization", "accept", "host")}
            seen.append((request.method, request.path, dict(request.query), kept))

    ibm.service.watch = look
    made = context()
    arguments, more = calls[operation]
    ours = call(made, operation, *arguments, **more)
    assert "ibm.client" not in vars(made)["_kept"], "no client of the SDK was made"
    monkeypatch.setattr(reads, "PATHS", {})
    theirs = call(made, operation, *arguments, **more)
    assert seen[0] == seen[1]
    for document in (ours.document, theirs.document):
        for echo in ("first", "next"):
            # The query as it came, in another order.
            document.pop(echo, None)
    assert (ours.document, ours.status) == (theirs.document, theirs.status)
    assert ours.request_id


def test_every_filter_of_the_plugin_is_known() -> None:
    """The SDK's name of a filter that the API has under another one must not get there as it is."""
    import inspect

    from ibm_vpc import VpcV1

    for operation in reads.PATHS:
        source = inspect.getsource(getattr(VpcV1, operation))
        for name, sent in reads.FILTERS.items():
            if f"{name}: Optional" in source:
                assert f"'{sent}': {name}" in source, operation


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [(202, "application/json", b"{}"), (200, "text/html", b"{}"), (200, "application/json", b""), (204, "", b"")],
)
def test_what_is_no_document_is_no_answer(
    ibm: IbmEmulator, context: Contexts, status: int, kind: str, body: bytes
) -> None:
    ibm.service.watch = None
    real = ibm.service.answer
    ibm.service.answer = lambda request: (  # type: ignore[method-assign]  # somebody else's answer
        Reply(status, body, {"Content-Type": kind}) if request.path.endswith("/instances") else real(request)
    )
    with pytest.raises(Unavailable):
        machines.list_nodes(context(), NodeQuery())


def test_whether_fencing_would_work_is_asked_of_the_sdk_too(context: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ibm_vpc", None)
    assert machines.list_nodes(context(), NodeQuery()).nodes
    with pytest.raises(SdkMissing):
        access.report(context(), Purpose.FENCING, Kind.PRIVATE)


# --- the metadata service says where to look, the API what is so ------------------------------------------------------


def held(ibm: IbmEmulator, context: Context) -> tuple[str | None, list[str]]:
    """Return who has the address, and what the API was asked for it."""
    ibm.server.journal.clear()
    (found,) = private_addresses.bindings(context, AddressQuery(Kind.PRIVATE, VIP)).bindings
    return found.node_id, [name for name in ibm.server.journal.operations() if not name.startswith(("meta", "iam"))]


def test_the_holder_asks_the_api_once(ibm: IbmEmulator, context: Contexts) -> None:
    give(ibm.account, Kind.PRIVATE, VIP, "n1")
    assert held(ibm, context()) == (ibm.account.machine_id("n1"), ["interfaces.get"])


def test_who_else_has_it_is_found_out_as_ever(ibm: IbmEmulator, context: Contexts) -> None:
    give(ibm.account, Kind.PRIVATE, VIP, "n2")
    found, asked = held(ibm, context())
    assert found == ibm.account.machine_id("n2")
    assert "machines.get" in asked
    give(ibm.account, Kind.PRIVATE, VIP, "")
    assert held(ibm, context())[0] is None


def test_metadata_of_the_past_prove_nothing(
    ibm: IbmEmulator, context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interface that was this machine's, and has the address on another one now; and one that is gone."""
    give(ibm.account, Kind.PRIVATE, VIP, "n2")
    theirs = next(i.id for i in ibm.account.interfaces.values() if i.machine == "n2")
    monkeypatch.setattr(metadata, "interfaces", lambda *_: ("0717-gone", theirs))
    assert held(ibm, context())[0] == ibm.account.machine_id("n2")


@pytest.mark.parametrize(
    "document",
    [
        {"id": "i"},
        {"id": "i", "network_attachments": []},
        {"id": "i", "network_attachments": [{"id": "a"}]},
        {"id": "i", "network_attachments": [{"virtual_network_interface": {"name": "x"}}]},
        {"id": "other", "network_attachments": [{"virtual_network_interface": {"id": "v"}}]},
        None,
    ],
)
def test_metadata_that_do_not_say_are_left_out(context: Contexts, document: object) -> None:
    made = context()
    if document is not None:
        made.once(metadata.INSTANCE, lambda: document)
    assert metadata.interfaces(made, "i") == ()


# --- what it costs ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("agents")
    install.install(path)
    return path


@pytest.fixture
def agents_cache(ibm: IbmEmulator) -> Iterator[None]:
    """The agents' own directory, from which the emulator's tokens are removed afterwards."""
    directory = Path(AGENTS_DIRECTORY.format(uid=os.geteuid()))
    if not directory.parent.is_dir():
        pytest.skip(f"there is no {directory.parent}")
    yield
    port = ibm.url.rpartition(":")[2]
    for path in directory.glob(f"{token_cache.PREFIX}*{port}*"):
        path.unlink()


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


@pytest.mark.usefixtures("agents_cache")
def test_a_monitor_is_one_request_and_no_sdk(ibm: IbmEmulator, root: Path) -> None:
    give(ibm.account, Kind.PRIVATE, VIP, "n1")
    given = {"provider": "ibm", "ip": str(VIP), "CRM_meta_timeout": "60000", **ibm.options()}
    environment = {f"OCF_RESKEY_{name}": value for name, value in given.items()} | {"OCF_ROOT": "/usr/lib/ocf"}
    command = [str(root / install.AGENTS["floating-ip"]), "monitor"]
    imported(command, "", environment)
    ibm.server.journal.clear()
    names = imported(command, "", environment)
    assert ibm.server.journal.operations() == MONITOR
    assert unwanted(names, HEAVY) == set()


@pytest.mark.usefixtures("agents_cache")
def test_a_status_needs_no_sdk(ibm: IbmEmulator, root: Path) -> None:
    given = {"action": "status", "provider": "ibm", "plug": "n2", **ibm.options()}
    text = "".join(f"{name}={value}\n" for name, value in given.items())
    command = [str(root / install.AGENTS["fence_cloud"])]
    imported(command, text, {})
    ibm.server.journal.clear()
    names = imported(command, text, {})
    assert ibm.server.journal.operations() == ("machines.list",)
    assert unwanted(names, HEAVY) == set()
