from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudha.deadline import Deadline
from cloudha.options import COMMON_OPTIONS, parse
from cloudha.provider import Context, IPAddress, Node
from cloudha.testing.emulator import Reply, Request
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha.testing.loopback import only_loopback
from cloudha_plugin_azure.emulator import AzureEmulator, Behaviour, make
from cloudha_plugin_azure.emulator.openapi import Specification
from cloudha_plugin_azure.options import OPTIONS
from cloudha_plugin_azure.reads import SDK_VARIABLES

# Ends a test that would hang; nothing is measured with it.
PATIENCE = 20.0
# Microsoft's OpenAPI documents are not ours to copy: beside the checkout, or where the variable says.
SPECIFICATIONS = Path(os.environ.get("CLOUDHA_AZURE_SPECS") or Path(__file__).parents[4] / "shared" / "specs" / "azure")
PUBLIC = "203.0.113.7"
VARIABLES = (
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    "IDENTITY_ENDPOINT",
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
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def world() -> MemoryWorld:
    return MemoryWorld(["n1=10.0.1.11", "n2=10.0.1.12"])


@pytest.fixture(scope="session")
def specification() -> Specification | None:
    """Microsoft's OpenAPI documents, where this machine has them."""
    return Specification(SPECIFICATIONS) if SPECIFICATIONS.is_dir() else None


@pytest.fixture
def azure(world: MemoryWorld, specification: Specification | None) -> Iterator[AzureEmulator]:
    """An emulated Azure; this test is its machine n1. Every request and answer must fit Microsoft's documents."""
    emulator = make(world, "127.0.0.1", 0, public=[ip(PUBLIC)], behaviour=Behaviour(stop=0.02, start=0.02))
    emulator.account.myself = "n1"
    findings: list[str] = []

    def watch(operation: str, request: Request, reply: Reply) -> None:
        if specification is not None:
            findings.extend(f"{operation}: {problem}" for problem in specification.problems(request, reply))

    emulator.service.watch = watch
    emulator.start()
    yield emulator
    emulator.close()
    assert not findings, findings[:5]


@pytest.fixture
def context(azure: AzureEmulator) -> Callable[..., Context]:
    """Make contexts with the managed identity; other parameters as an operator writes them, None for "not given"."""

    def new(*, read_seconds: float = PATIENCE, **given: str | None) -> Context:
        raw = {**azure.options(), "route_tables": "rt-cluster", **given}
        settings = parse((*COMMON_OPTIONS, *OPTIONS), {k: v for k, v in raw.items() if v is not None})
        return Context(settings, Deadline(PATIENCE), read_seconds=read_seconds)

    return new


@pytest.fixture
def node(azure: AzureEmulator) -> Callable[[str], Node]:
    return lambda name: Node(azure.account.machine_id(name), name)
