from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudha import kept_secrets
from cloudha.deadline import Deadline
from cloudha.options import COMMON_OPTIONS, parse
from cloudha.provider import Context, IPAddress, Node
from cloudha.testing.emulator import Reply, Request
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha.testing.loopback import only_loopback
from cloudha_plugin_ibm.emulator import Behaviour, IbmEmulator, make
from cloudha_plugin_ibm.emulator.sdk_models import problems
from cloudha_plugin_ibm.options import OPTIONS

# Ends a test that would hang; nothing is measured with it.
PATIENCE = 20.0
PRIVATE = "10.240.0.50"
PUBLIC = "203.0.113.7"
ROUTED = "198.51.100.10"
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "REQUESTS_CA_BUNDLE", "IBM_CREDENTIALS_FILE", "VPC_URL", "VPC_APIKEY")


def ip(text: str) -> IPAddress:
    return ipaddress.ip_address(text)


# Of each module: labs that are tested in the same process have other addresses.
@pytest.fixture(autouse=True, scope="module")
def _only_loopback() -> Iterator[None]:
    """No test reaches anything but this machine, whatever is under test."""
    with only_loopback():
        yield


@pytest.fixture(autouse=True)
def cache_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where tokens are kept meanwhile: a directory of the test's own, and no variable of the environment counts."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    directory = run / "cloudha"
    monkeypatch.setattr(kept_secrets, "DIRECTORY", str(directory))
    monkeypatch.setattr(kept_secrets, "USER_DIRECTORY", str(directory))
    os.chmod(run, 0o700)
    return directory


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld(["n1=10.240.0.11", "n2=10.240.0.12"])


@pytest.fixture
def ibm(world: MemoryWorld) -> Iterator[IbmEmulator]:
    """An emulated IBM Cloud; this test is its machine n1. Every answer must go through the SDK's models unchanged."""
    emulator = make(
        world,
        "127.0.0.1",
        0,
        reserved=[ip(PRIVATE)],
        public=[ip(PUBLIC)],
        behaviour=Behaviour(stop=0.02, start=0.02),
    )
    emulator.account.myself = "n1"
    findings: list[str] = []

    def watch(operation: str, _: Request, reply: Reply) -> None:
        findings.extend(f"{operation}: {problem}" for problem in problems(operation, reply))

    emulator.service.watch = watch
    emulator.start()
    yield emulator
    emulator.close()
    assert not findings, findings[:5]


@pytest.fixture
def context(ibm: IbmEmulator) -> Callable[..., Context]:
    """Make contexts with the trusted profile; other parameters as an operator writes them, None for "not given"."""

    def new(*, read_seconds: float = PATIENCE, **given: str | None) -> Context:
        raw = {**ibm.options(), "route_tables": "cluster-routes", **given}
        settings = parse((*COMMON_OPTIONS, *OPTIONS), {k: v for k, v in raw.items() if v is not None})
        return Context(settings, Deadline(PATIENCE), read_seconds=read_seconds)

    return new


@pytest.fixture
def node(ibm: IbmEmulator) -> Callable[[str], Node]:
    return lambda name: Node(ibm.account.machine_id(name), name)
