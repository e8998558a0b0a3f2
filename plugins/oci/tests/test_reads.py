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
from cryptography.hazmat.primitives.asymmetric import rsa
from oci._vendor import requests
from oci.auth.signers.security_token_signer import SecurityTokenSigner

from cloudha import install, kept_secrets
from cloudha.provider import Context, Kind, LocalConfigurationError, NodeQuery, Unavailable
from cloudha.testing.emulator import Effect, Fault, Request
from cloudha_plugin_oci import access, client, machines, reads, session_cache, signing
from cloudha_plugin_oci.client import COMPUTE, NETWORK, call
from cloudha_plugin_oci.emulator import OciEmulator
from cloudha_plugin_oci.emulator.account import COMPARTMENT
from cloudha_plugin_oci.emulator.records import REGION
from cloudha_plugin_oci.options import INSTANCE_PRINCIPAL

Contexts = Callable[..., Context]
VIP, PUBLIC, VIP6 = (ipaddress.ip_address(text) for text in ("10.0.1.50", "203.0.113.7", "2001:db8:77::50"))
KILL_SECONDS = 60
# The agents' processes keep their session where agents do.
AGENTS_DIRECTORY = kept_secrets.DIRECTORY if os.geteuid() == 0 else kept_secrets.USER_DIRECTORY
HEAVY = {"oci", "requests", "urllib3", "dataclasses", "tenacity", "logging", "hashlib"}
DEAR = {"cryptography.x509", "cryptography.hazmat.primitives.serialization"}


# --- the same as the SDK ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize("body", [None, b'{"ipAddress": "203.0.113.7"}'])
def test_a_signature_is_the_sdks(key: rsa.RSAPrivateKey, body: bytes | None) -> None:
    url = "https://iaas.eu-frankfurt-1.oraclecloud.com/20160918/privateIps?subnetId=ocid1.subnet.oc1..a&limit=1000"
    method = "GET" if body is None else "POST"
    ours = signing.headers("ST$token", key, method, url, body)
    theirs = requests.Request(method, url, data=body, headers={"date": ours["date"]}).prepare()
    SecurityTokenSigner("token", key)(theirs)
    assert dict(parts(ours["authorization"])) == dict(parts(theirs.headers["authorization"]))
    for name, value in ours.items():
        if name not in ("authorization", "host"):
            assert theirs.headers[name] == value


def parts(header: str) -> Iterator[tuple[str, str]]:
    kind, _, rest = header.partition(" ")
    yield "kind", kind
    for field in rest.split(",", 4):
        name, _, value = field.partition("=")
        yield name, value.strip('"')


def test_a_key_comes_back_from_its_numbers(key: rsa.RSAPrivateKey) -> None:
    numbers = signing.numbers_of(key)
    assert signing.private_key(numbers).private_numbers() == key.private_numbers()
    for part in set(numbers) - {"e"}:
        with pytest.raises(ValueError, match="fit"):
            signing.private_key({**numbers, part: numbers[part] + 2})
    assert set(numbers) == set(session_cache.PARTS)


def of_everything(oci: OciEmulator) -> dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """Return one call of each operation that is known here, as the plugin makes it."""
    account = oci.account
    machine = account.named("n1")["id"]
    vnic, held, held6 = account.vnics(machine)[0]["id"], account.address(VIP), account.address(VIP6)
    assert held is not None
    assert held6 is not None
    subnet = account.subnet["id"]
    return {
        "get_instance": (COMPUTE, (machine,), {}),
        "get_ipv6": (NETWORK, (held6["id"],), {}),
        "get_private_ip": (NETWORK, (held["id"],), {}),
        "get_public_ip_by_ip_address": (NETWORK, ({"ipAddress": str(PUBLIC)},), {}),
        "get_route_table": (NETWORK, (account.table["id"],), {}),
        "get_vnic": (NETWORK, (vnic,), {}),
        "list_instances": (COMPUTE, (COMPARTMENT,), {"display_name": "n1", "limit": 5}),
        "list_ipv6s": (NETWORK, (), {"subnet_id": subnet, "ip_address": str(VIP6), "limit": 1000}),
        "list_private_ips": (NETWORK, (), {"vnic_id": vnic, "limit": 1000, "page": "1"}),
        "list_public_ips": (NETWORK, ("REGION", COMPARTMENT), {"lifetime": "RESERVED", "limit": 1}),
        "list_vnic_attachments": (COMPUTE, (COMPARTMENT,), {"instance_id": machine, "limit": 1000}),
    }


@pytest.mark.parametrize("operation", sorted(reads.OPERATIONS))
def test_every_read_is_what_the_sdk_sends_and_gets(
    oci: OciEmulator, context: Contexts, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    for address in (VIP, VIP6):
        oci.account.give(Kind.PRIVATE, address, oci.account.named("n1")["id"])
    calls = of_everything(oci)
    assert set(calls) == set(reads.OPERATIONS), "each operation is tried here"
    service, arguments, more = calls[operation]
    made, seen = context(), []
    watch = oci.service.watch
    assert watch is not None

    def look(name: str, request: Request, reply: Any) -> None:
        watch(name, request, reply)
        if not name.startswith(("metadata.", "identity.")):
            seen.append((request.method, request.path, dict(request.query), request.body))

    oci.service.watch = look
    ours = call(made, service, operation, *arguments, **more)
    assert "oci.network.1" not in vars(made)["_kept"], "no client of the SDK was made"
    monkeypatch.setattr(reads, "possible", lambda _: False)
    theirs = call(made, service, operation, *arguments, **more)
    assert seen[0] == seen[1]
    assert (ours.document, ours.etag, ours.next) == (theirs.document, theirs.etag, theirs.next)
    assert ours.request_id
    assert theirs.request_id


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "http_proxy", "ALL_PROXY", "REQUESTS_CA_BUNDLE"])
def test_where_the_environment_has_another_way_the_sdk_reads(
    oci: OciEmulator, context: Contexts, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert not reads.possible(context())
    assert reads.possible(context(ca_file="/some/authorities.pem")), "the SDK is told to leave the environment alone"
    if name == "http_proxy":
        with pytest.raises(Unavailable):
            machines.list_nodes(context(), NodeQuery())
        assert "instances.list" not in oci.server.journal.operations()


def test_a_region_that_only_the_sdk_knows(context: Contexts) -> None:
    assert reads.place(context(endpoint=None), "") == f"https://iaas.{REGION}.oraclecloud.com/20160918"
    assert reads.place(context(endpoint=None, region=REGION), "") == f"https://iaas.{REGION}.oraclecloud.com/20160918"
    assert reads.place(context(endpoint=None, region="eu-paris-1"), "") == ""
    assert reads.place(context(endpoint=None, auth="api_key"), "eu-paris-1") == ""
    assert reads.place(context(endpoint="https://iaas.example/20160918"), "") == "https://iaas.example/20160918"


def test_an_authority_that_is_not_there(context: Contexts) -> None:
    with pytest.raises(LocalConfigurationError, match="ca_file"):
        machines.list_nodes(context(ca_file="/not/there.pem"), NodeQuery())


@pytest.mark.parametrize("effect", [Effect.REFUSE, Effect.CUT, Effect.HANG])
def test_the_way_out_is_named(oci: OciEmulator, context: Contexts, effect: Effect) -> None:
    oci.fault(Fault("instances.list", effect))
    with pytest.raises(Unavailable) as caught:
        machines.list_nodes(context(read_seconds=0.4), NodeQuery())
    assert "service gateway" in caught.value.advice


def test_whether_fencing_would_work_is_asked_of_the_sdk_too(context: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    from cloudha.provider import Purpose, SdkMissing

    monkeypatch.setitem(sys.modules, "oci.core.compute_client", None)
    assert machines.list_nodes(context(), NodeQuery()).nodes
    with pytest.raises(SdkMissing):
        access.report(context(), Purpose.FENCING, Kind.PRIVATE)


# --- what it costs ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("agents")
    install.install(path)
    return path


@pytest.fixture
def agents_cache(oci: OciEmulator) -> Iterator[None]:
    """The agents' own directory, from which the emulator's sessions are removed afterwards."""
    directory = Path(AGENTS_DIRECTORY.format(uid=os.geteuid()))
    if not directory.parent.is_dir():
        pytest.skip(f"there is no {directory.parent}")
    yield
    port = oci.url.rpartition(":")[2]
    for path in directory.glob(f"{session_cache.PREFIX}*{port}*"):
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
def test_a_monitor_is_one_request_and_no_sdk(oci: OciEmulator, root: Path) -> None:
    oci.account.give(Kind.PRIVATE, VIP, oci.account.named("n1")["id"])
    given = {"provider": "oci", "ip": str(VIP), "CRM_meta_timeout": "60000", **oci.options()}
    environment = {f"OCF_RESKEY_{name}": value for name, value in given.items()} | {"OCF_ROOT": "/usr/lib/ocf"}
    command = [str(root / install.AGENTS["floating-ip"]), "monitor"]
    imported(command, "", environment)
    assert oci.server.journal.operations().count("identity.federate") == 1
    oci.server.journal.clear()
    names = imported(command, "", environment)
    assert oci.server.journal.operations() == ("metadata.instance", "metadata.vnics", "private_ips.list")
    assert unwanted(names, HEAVY | DEAR) == set()


@pytest.mark.usefixtures("agents_cache")
def test_a_status_needs_no_sdk(oci: OciEmulator, root: Path) -> None:
    given = {"action": "status", "provider": "oci", "plug": oci.account.named("n2")["id"], **oci.options()}
    text = "".join(f"{name}={value}\n" for name, value in given.items())
    command = [str(root / install.AGENTS["fence_cloud"])]
    imported(command, text, {})
    oci.server.journal.clear()
    names = imported(command, text, {})
    assert oci.server.journal.operations() == ("metadata.instance", "instances.get")
    assert unwanted(names, HEAVY | DEAR) == set()


def test_the_sdk_is_made_ready_for_changes_only(oci: OciEmulator, context: Contexts) -> None:
    made = context()
    assert made.settings.text("auth") == INSTANCE_PRINCIPAL
    machines.list_nodes(made, NodeQuery())
    assert not any(name.startswith("oci.compute") for name in vars(made)["_kept"])
    client.insist_sdk(made)
    assert any(name.startswith("oci.compute") for name in vars(made)["_kept"])
    assert oci.server.journal.operations().count("identity.federate") == 1
