"""What ``--dry-run`` says is what the same verb then sends, on every cloud: the emulator's log is the judge."""

from __future__ import annotations

import contextlib
import functools
import importlib
import ipaddress
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import botocore.loaders
import botocore.session
import pytest
from click.testing import CliRunner

import cloudha.cli.dry_run
import cloudha.deadline
from cloudha import discovery
from cloudha.cli.main import main
from cloudha.testing.emulator import Reply, Request
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha_plugin_aws.emulator import ACCESS_KEY, SECRET_KEY
from cloudha_plugin_oci.emulator.identities import Identities
from request_log import Declared, compare, declared_in

CLOUDS = ("aws", "azure", "ibm", "oci", "sim")
ADDRESSES = {"private": "10.0.1.50", "public": "203.0.113.7", "route": "198.51.100.10"}
# Where an SDK, or we, would look for more than the parameters say.
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "AWS_PROFILE", "AWS_REGION", "AWS_ACCESS_KEY_ID")


# The emulators are quick, and the pauses between polls long: the host's clock is this much faster here.
FASTER = 50


@functools.cache
def _identities() -> Identities:
    """OCI's keys and certificates, which take a while to make."""
    return Identities()


class Stage:
    """A cloud with n1, n2 and n3, n1 being this machine, and everything that it is asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        module = importlib.import_module(f"cloudha_plugin_{name}.emulator")
        world = MemoryWorld(["n1=10.0.1.11", "n2=10.0.1.12", "n3=10.0.1.13"])
        more: dict[str, Any] = {"public": [ipaddress.ip_address(ADDRESSES["public"])]}
        if name == "ibm":
            more["reserved"] = [ipaddress.ip_address(ADDRESSES["private"])]
        if name != "sim":
            more["behaviour"] = module.Behaviour(stop=0.02, start=0.02)
        self.emulator = module.make(world, "127.0.0.1", 0, **more)
        self.received: list[Request] = []
        self.secrets: dict[str, str] = {}
        if name == "sim":
            self.emulator.cloud.behaviour.stop = self.emulator.cloud.behaviour.start = 0.02
        else:
            self.emulator.account.myself = "n1"
        self._listen()
        self.emulator.start()
        self.options = dict(self.emulator.options())
        if name == "oci":
            self.emulator.service.identities = _identities()
        if name != "sim":
            self.options["route_tables"] = self.table()

    def table(self) -> str:
        account = self.emulator.account
        if self.name == "aws":
            return str(account.route_table().id)
        return {"azure": "rt-cluster", "ibm": "cluster-routes"}.get(self.name) or str(account.table["id"])

    def parameters(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return parameters that tell of n1 what is else asked for, and secrets."""
        account, n1 = self.emulator.account, "n1"
        if self.name == "aws":
            given = {"region": "eu-west-1", "access_key": ACCESS_KEY, "private_ip": "10.0.1.11", "race_check": "never"}
            return {**given, "interface_id": account.interface(n1).id}, {"secret_key": SECRET_KEY}
        if self.name == "azure":
            parts = account.machine_id(n1).split("/")
            given = {"subscription_id": parts[2], "resource_group": parts[4], "private_ip": "10.0.1.11"}
            known = self.emulator.service.identities
            principal = {"tenant_id": known.tenant_id, "client_id": known.client_id}
            return {**given, **principal, "interface_id": "n1-nic"}, {"client_secret": known.client_secret}
        if self.name == "ibm":
            return {"region": "us-south", "vpc": "cluster-vpc"}, {"api_key": self.emulator.service.identities.api_key}
        vnic = account.vnics(account.named(n1)["id"])[0]
        given = {"compartment_id": vnic["compartmentId"], "subnet_id": vnic["subnetId"], "private_ip": "10.0.1.11"}
        return {**given, "vnic_id": vnic["id"]}, {}

    def _listen(self) -> None:
        application = self.emulator.server._service.application
        answer: Callable[[Request], Reply] = application.answer

        def listening(request: Request) -> Reply:
            self.received.append(request)
            return answer(request)

        application.answer = listening

    def run(self, *words: str, **more: str) -> Any:
        """Run a verb with --json, and return what it printed."""
        self.received.clear()
        options = [word for name, value in {**self.options, **more}.items() for word in ("-o", f"{name}={value}")]
        words = (*words, "--provider", self.name, *options, "--json", "--timeout", "3600")
        secrets = {f"CLOUDHA_{name.upper()}": value for name, value in self.secrets.items()}
        done = CliRunner().invoke(main, words, env=secrets)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def same(self, *words: str, **more: str) -> list[Declared]:
        """Run a verb dry, then for good, and return the declared requests, having compared them with those made."""
        declared = declared_in(self.run(*words, "--dry-run", **more))
        self.run(*words, *([] if words[0] == "bind" and "--take" not in words else ["--yes"]), **more)
        problems = compare(declared, self.received)
        assert not problems, "\n".join([" ".join(words), *problems, "declared:", *(str(item) for item in declared)])
        return declared


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing but loopback is reached, nothing of this machine's own logins is read, and EC2's model is read once."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not ipaddress.ip_address(address[0]).is_loopback:
            raise AssertionError(f"a connection to {address}")
        real(self, address)

    folder = tmp_path_factory.mktemp("run")
    folder.chmod(0o700)
    loader = botocore.loaders.create_loader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        for name in VARIABLES:
            patch.delenv(name, raising=False)
        patch.setenv("AWS_CONFIG_FILE", str(folder / "config"))
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
        quick = SimpleNamespace(
            monotonic=lambda: time.monotonic() * FASTER, sleep=lambda seconds: time.sleep(seconds / FASTER)
        )
        patch.setattr(cloudha.deadline, "time", quick)
        # Half of a dry run's requests are about permissions, which test_verbs.py is about.
        patch.setattr(cloudha.cli.dry_run, "_access", lambda *_: (None, "not looked at here"))
        # Of an environment with all of a developer's tools, looking for plugins is a good part of the time.
        patch.setattr(discovery, "entries", functools.cache(discovery.entries))
        patch.setattr(botocore.session, "create_loader", lambda *_: loader)
        for place in ("DIRECTORY", "USER_DIRECTORY"):
            patch.setattr("cloudha.kept_secrets." + place, str(folder / "cloudha"))
        yield


@contextlib.contextmanager
def opened(name: str) -> Iterator[Stage]:
    stage = Stage(name)
    try:
        yield stage
    finally:
        stage.emulator.close()


@pytest.fixture(scope="module", params=CLOUDS)
def stage(request: pytest.FixtureRequest, quiet: None) -> Iterator[Stage]:  # noqa: ARG001 - its surroundings
    with opened(request.param) as made:
        yield made


def test_power(stage: Stage) -> None:
    """By name, id and address."""
    machine = stage.run("off", "n2", "--dry-run")["nodes"][0]["id"]
    off = stage.same("off", machine)
    assert [item["changes"] for item in off].count(True) == 1
    stage.same("on", "n2")
    both = stage.same("reboot", "n2", "10.0.1.13")
    assert [item["changes"] for item in both].count(True) == 4


@pytest.mark.parametrize("kind", ADDRESSES)
def test_addresses(stage: Stage, kind: str) -> None:
    words = (ADDRESSES[kind], "--kind", kind, "--node")
    stage.same("bind", *words, "n1")
    taken = stage.same("bind", *words, "n2", "--take")
    assert any(item["changes"] for item in taken)
    stage.same("unbind", *words, "n2")


@pytest.mark.parametrize(
    ("cloud", "address", "kind"),
    [("aws", "fd77::100", "private"), ("aws", "fd99::9", "route"), ("oci", "2001:db8:77::50", "private")],
)
def test_ipv6(quiet: None, cloud: str, address: str, kind: str) -> None:  # noqa: ARG001 - its surroundings
    with opened(cloud) as stage:
        words = (address, "--kind", kind, "--node")
        stage.same("bind", *words, "n1")
        stage.same("bind", *words, "n2", "--take")
        stage.same("unbind", *words, "n2")


@pytest.mark.parametrize("cloud", ["azure", "ibm", "oci"])
def test_several_route_tables(quiet: None, cloud: str) -> None:  # noqa: ARG001 - its surroundings
    with opened(cloud) as stage:
        account = stage.emulator.account
        second = {
            "azure": lambda: account.add_table("a-second")["name"],
            "ibm": lambda: account.add_table("a-second", account.vpc).id,
            "oci": lambda: account.add_table("a-second", [])["id"],
        }[cloud]()
        words = (ADDRESSES["route"], "--kind", "route", "--node")
        tables = {"route_tables": f"{stage.options['route_tables']},{second}"}
        assert [item["changes"] for item in stage.same("bind", *words, "n1", **tables)].count(True) > 1
        stage.same("unbind", *words, "n1", **tables)


def test_a_change_that_takes_a_while(quiet: None) -> None:  # noqa: ARG001 - its surroundings
    with opened("azure") as stage:
        stage.emulator.account.behaviour.network = 0.05
        words = (ADDRESSES["private"], "--node")
        stage.same("bind", *words, "n1")
        stage.same("bind", *words, "n2", "--take")
        stage.same("unbind", *words, "n2")


@pytest.mark.parametrize("cloud", [cloud for cloud in CLOUDS if cloud != "sim"])
def test_parameters_are_filled_in(quiet: None, cloud: str) -> None:  # noqa: ARG001 - its surroundings
    with opened(cloud) as stage:
        given, stage.secrets = stage.parameters()
        kind = {"ibm": "route", "oci": "private"}.get(cloud, "public")
        words = (ADDRESSES[kind], "--kind", kind, "--node", "n1")
        said = json.dumps([stage.same("bind", *words, **given), stage.same("unbind", *words, **given)])
        for name in ("interface_id", "subnet_id", "resource_group", "vnic_id", "compartment_id"):
            assert given.get(name, "").lower() in said.lower()
        assert not any(secret in said for secret in stage.secrets.values())


def test_what_differs_is_found() -> None:
    """The comparison itself: a request more, less, in another order, or with other parameters."""
    off = {"hook": "power_off", "request": "POST /m/1/off?hard=1", "body": "", "changes": True, "when": ""}
    look = {"hook": "power_state", "request": "GET /m/{machine}", "body": "", "changes": False, "when": ""}
    bind = {"hook": "bind_ip", "request": "PUT /a/1", "body": '{"to": "{nic}"}', "changes": True, "when": ""}
    declared = [off, look, bind]
    sent = [asked("GET", "/m/7"), asked("POST", "/m/1/off", hard="1"), asked("PUT", "/a/1", b'{"to": "n"}')]
    assert compare(declared, sent) == []
    assert compare([look, bind], sent)
    assert compare([{**off, "request": "POST /m/2/off", "when": "sometimes"}, *declared], sent) == []
    assert compare([{**off, "request": "POST /m/2/off"}, *declared], sent)
    assert compare(declared, sent[:2])
    assert compare(declared, [*sent, sent[2]])
    assert compare(declared, [sent[0], sent[2], sent[1]])
    assert compare(declared, sent[1:])
    assert compare(declared, [sent[0], asked("POST", "/m/1/off"), sent[2]])
    assert compare(declared, [*sent[:2], asked("PUT", "/a/1", b'{"to": "n", "more": 1}')])


def asked(method: str, path: str, body: bytes = b"", **query: str) -> Request:
    return Request(method, path, query, {}, body, "127.0.0.1")


def test_a_declaration_imports_no_sdk() -> None:
    code = f"import sys, {', '.join(f'cloudha_plugin_{cloud}.requests' for cloud in CLOUDS)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert not {"boto3", "botocore", "azure", "ibm_vpc", "oci", "requests", "click"} & set(done.stdout.split())


def test_people_see_the_requests(quiet: None) -> None:  # noqa: ARG001 - its surroundings
    with opened("sim") as stage:
        options = [word for name, value in stage.options.items() for word in ("-o", f"{name}={value}")]
        done = CliRunner().invoke(main, ["off", "n2", "--dry-run", "--provider", "sim", *options])
        assert done.exit_code == 0
        lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
        at = lines.index("changes POST /v1/machines/m-0002/off")
        assert lines.index("reads GET /v1/machines?plug=n2") < at < lines.index("reads GET /v1/machines/m-0002")
        assert "repeated until two looks in a row find it off" in done.stdout
