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
from cloudha_plugin_oci.emulator import Behaviour, OciEmulator, make
from cloudha_plugin_oci.emulator.identities import Identities
from cloudha_plugin_oci.emulator.models import problems
from cloudha_plugin_oci.options import OPTIONS
from cloudha_plugin_oci.reads import SDK_VARIABLES

# Ends a test that would hang; nothing is measured with it.
PATIENCE = 20.0
PUBLIC = "203.0.113.7"
VARIABLES = (
    "OCI_METADATA_BASE_URL",
    "OCI_RESOURCE_PRINCIPAL_VERSION",
    "OCI_RESOURCE_PRINCIPAL_RPST",
    "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM",
    "OCI_RESOURCE_PRINCIPAL_REGION",
    "OCI_REGION",
    *(form for name in SDK_VARIABLES for form in (name, name.upper())),
)


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
    """Where sessions are kept meanwhile: a directory of the test's own, and no variable of the environment counts."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    os.chmod(run, 0o700)
    directory = run / "cloudha"
    monkeypatch.setattr(kept_secrets, "DIRECTORY", str(directory))
    monkeypatch.setattr(kept_secrets, "USER_DIRECTORY", str(directory))
    return directory


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld(["n1=10.0.1.11", "n2=10.0.1.12"])


@pytest.fixture(scope="session")
def identities() -> Identities:
    """Keys and certificates, which take a while to make."""
    return Identities()


@pytest.fixture
def oci(world: MemoryWorld, identities: Identities) -> Iterator[OciEmulator]:
    """An emulated OCI; this test is its machine n1. Every body must survive the SDK's own models."""
    emulator = make(world, "127.0.0.1", 0, public=[ip(PUBLIC)], behaviour=Behaviour(stop=0.02, start=0.02))
    emulator.service.identities = identities
    emulator.account.myself = "n1"
    findings: list[str] = []

    def watch(operation: str, request: Request, reply: Reply) -> None:
        findings.extend(f"{operation}: {problem}" for problem in problems(operation, request, reply))

    emulator.service.watch = watch
    emulator.start()
    yield emulator
    emulator.service.reset()
    emulator.close()
    assert not findings, findings[:5]


@pytest.fixture
def context(oci: OciEmulator) -> Callable[..., Context]:
    """Make contexts with the instance principal; other parameters as an operator writes them, None for "not given"."""

    def new(*, read_seconds: float = PATIENCE, **given: str | None) -> Context:
        raw = {**oci.options(), "route_tables": oci.account.table["id"], **given}
        settings = parse((*COMMON_OPTIONS, *OPTIONS), {k: v for k, v in raw.items() if v is not None})
        return Context(settings, Deadline(PATIENCE), read_seconds=read_seconds)

    return new


@pytest.fixture
def node(oci: OciEmulator) -> Callable[[str], Node]:
    return lambda name: Node(oci.account.named(name)["id"], name)
