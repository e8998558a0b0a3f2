from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from pathlib import Path

import botocore.loaders
import botocore.session
import pytest

from cloudha.deadline import Deadline
from cloudha.options import COMMON_OPTIONS, parse
from cloudha.provider import Context, IPAddress, Node
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha.testing.loopback import only_loopback
from cloudha_plugin_aws.emulator import ACCESS_KEY, SECRET_KEY, AwsEmulator, Behaviour, make
from cloudha_plugin_aws.options import OPTIONS

LOADER = botocore.loaders.create_loader()
# Ends a test that would hang; nothing is measured with it.
PATIENCE = 20.0
ELASTIC = "203.0.113.7"
VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_EC2_METADATA_SERVICE_ENDPOINT",
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
def _no_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The variables and the AWS files of who runs the tests do not count."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest.fixture(autouse=True)
def _one_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    """EC2's service model is large: a process of the agents reads it once, these tests would do so for each context."""
    monkeypatch.setattr(botocore.session, "create_loader", lambda *_: LOADER)


@pytest.fixture
def world() -> MemoryWorld:
    # n1 and n2 in one subnet, n3 in another zone.
    return MemoryWorld(["n1=10.0.1.11", "n2=10.0.1.12", "n3=10.0.2.11"])


@pytest.fixture
def aws(world: MemoryWorld) -> Iterator[AwsEmulator]:
    """An emulated AWS; this test is its machine n1."""
    emulator = make(world, "127.0.0.1", 0, public=[ip(ELASTIC)], behaviour=Behaviour(stop=0.02, start=0.02))
    emulator.account.myself = "n1"
    emulator.start()
    yield emulator
    emulator.close()


@pytest.fixture
def context(aws: AwsEmulator) -> Callable[..., Context]:
    """Make contexts with a fixed key; other parameters as an operator writes them, None for "not given"."""

    def new(*, read_seconds: float = PATIENCE, **given: str | None) -> Context:
        raw = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY, "region": "eu-west-1", **aws.options(), **given}
        settings = parse((*COMMON_OPTIONS, *OPTIONS), {k: v for k, v in raw.items() if v is not None})
        return Context(settings, Deadline(PATIENCE), read_seconds=read_seconds)

    return new


@pytest.fixture
def node(aws: AwsEmulator) -> Callable[[str], Node]:
    return lambda name: Node(aws.account.instance(name).id, name)
