"""A machine without a way out: its metadata service answers, and Azure's API cannot be connected to."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from cloudha import install
from cloudha.provider import Context, Kind, Purpose, Unavailable
from cloudha.testing.emulator import Effect, Fault
from cloudha_plugin_azure import access
from cloudha_plugin_azure.emulator import AzureEmulator
from cloudha_plugin_azure.emulator.account import GROUP, SUBSCRIPTION

Contexts = Callable[..., Context]
KILL_SECONDS = 60
TRIES = 3
OUTBOUND = ("outbound rule", "NAT gateway", "internal load balancer")


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that drops every connection, as a network without outbound access does: a queue that is full."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        with socket.create_connection(server.getsockname()):
            yield f"https://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def closed() -> str:
    """An address where nobody listens, as with a firewall that refuses."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return f"https://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("way", ["silent", "closed"])
@pytest.mark.parametrize("purpose", Purpose, ids=lambda purpose: purpose.value)
def test_the_permission_check_names_what_is_missing(
    azure: AzureEmulator, context: Contexts, purpose: Purpose, way: str, request: pytest.FixtureRequest
) -> None:
    assert azure.url
    one = context(endpoint=request.getfixturevalue(way))
    with pytest.raises(Unavailable) as caught:
        access.report(one, purpose, Kind.PRIVATE)
    assert "metadata service answers" in caught.value.cause
    assert all(word in caught.value.advice for word in OUTBOUND)


def test_it_is_the_token_service_for_a_service_principal(azure: AzureEmulator, context: Contexts, closed: str) -> None:
    known = azure.service.identities
    given = {"tenant_id": known.tenant_id, "client_id": known.client_id, "client_secret": known.client_secret}
    with pytest.raises(Unavailable) as caught:
        access.report(context(identity_endpoint=closed, **given), Purpose.FENCING, Kind.PRIVATE)
    assert all(word in caught.value.advice for word in OUTBOUND)


def test_without_metadata_it_is_not_that_certain(azure: AzureEmulator, context: Contexts, closed: str) -> None:
    known = azure.service.identities
    given = {"tenant_id": known.tenant_id, "client_id": known.client_id, "client_secret": known.client_secret}
    azure.fault(Fault("metadata.*", Effect.ERROR))
    one = context(endpoint=closed, subscription_id=SUBSCRIPTION, resource_group=GROUP, **given)
    with pytest.raises(Unavailable) as caught:
        access.report(one, Purpose.FENCING, Kind.PRIVATE)
    assert "metadata service answers" not in caught.value.cause
    assert "outbound rule" in caught.value.advice


@pytest.mark.parametrize("effect", [Effect.ERROR, Effect.THROTTLE, Effect.CUT])
def test_an_api_that_is_reached_is_not_suspected(azure: AzureEmulator, context: Contexts, effect: Effect) -> None:
    azure.fault(Fault("permissions.list", effect))
    with pytest.raises(Unavailable) as caught:
        access.report(context(), Purpose.FENCING, Kind.PRIVATE)
    assert "outbound" not in str(caught.value)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("agents")
    install.install(path)
    return path


def says_it(command: list[str], text: str, environment: Mapping[str, str], code: int) -> bool:
    """Whether the agent names it. The last try may be cut short by the deadline, and then that is what is told."""
    for _ in range(TRIES):
        done = subprocess.run(
            command, input=text, env=environment, capture_output=True, text=True, timeout=KILL_SECONDS, check=False
        )
        assert done.returncode == code, done.stderr
        if all(word in done.stderr for word in OUTBOUND):
            return True
        assert "no time left" in done.stderr or "did not come back" in done.stderr, done.stderr
    return False


@pytest.mark.parametrize("way", ["silent", "closed"])
@pytest.mark.parametrize(("action", "code"), [("monitor", 1), ("validate-all", 0)])
def test_fence_cloud_says_it(
    azure: AzureEmulator, root: Path, action: str, code: int, way: str, request: pytest.FixtureRequest
) -> None:
    given = {**azure.options(), "endpoint": request.getfixturevalue(way), "action": action, "provider": "azure"}
    text = "".join(f"{name}={value}\n" for name, value in {**given, "query_timeout": "12"}.items())
    # "valid, and could not be asked" is no error of validate-all: the warning is what an operator reads.
    assert says_it([str(root / install.AGENTS["fence_cloud"])], text, {}, code)


@pytest.mark.parametrize("way", ["silent", "closed"])
def test_floating_ip_says_it(azure: AzureEmulator, root: Path, way: str, request: pytest.FixtureRequest) -> None:
    given = {**azure.options(), "endpoint": request.getfixturevalue(way), "provider": "azure", "ip": "10.0.1.50"}
    environment = {f"OCF_RESKEY_{name}": value for name, value in given.items()}
    environment |= {"OCF_RESKEY_CRM_meta_timeout": "15000", "OCF_ROOT": "/usr/lib/ocf"}
    assert says_it([str(root / install.AGENTS["floating-ip"]), "start"], "", environment, 1)
