"""The installed agents on an emulated Azure, beyond the conformance kit: limits, failing operations, other writers."""

from __future__ import annotations

import ipaddress
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from cloudha import install
from cloudha.local_mark import MarkKey, clear_mark
from cloudha.provider import Kind
from cloudha.testing.conformance.waiting import eventually
from cloudha.testing.emulator import Reply, Request
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha_plugin_azure.emulator import AzureEmulator
from cloudha_plugin_azure.emulator.account import new_etag

IP = ipaddress.ip_address("10.0.1.50")
KILL_SECONDS = 60
Ran = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("agents")
    install.install(path)
    return path


def run(command: list[str], text: str, environment: Mapping[str, str]) -> Ran:
    return subprocess.run(
        command, input=text, env=environment, capture_output=True, text=True, timeout=KILL_SECONDS, check=False
    )


@pytest.fixture
def fence(azure: AzureEmulator, root: Path) -> Callable[..., Ran]:
    def act(action: str, seconds: int = 40) -> Ran:
        given = {"action": action, "provider": "azure", "plug": "n2", "power_timeout": str(seconds), **azure.options()}
        text = "".join(f"{name}={value}\n" for name, value in given.items())
        return run([str(root / install.AGENTS["fence_cloud"])], text, {})

    return act


def statuses(azure: AzureEmulator, operation: str) -> list[int]:
    return [entry.status for entry in azure.server.journal.entries() if entry.operation == operation]


def test_a_fencing_stays_within_the_limits_of_the_machine(
    azure: AzureEmulator, world: MemoryWorld, fence: Callable[..., Ran]
) -> None:
    azure.account.behaviour.throttled = True
    # What a busy minute has left of 36 reads and 12 power requests; the buckets refill at 12 and 4 a minute.
    for _ in range(33):
        azure.service.limits.take("view", "n2")
    for _ in range(10):
        azure.service.limits.take("power", "n2")
    done = fence("reboot")
    assert done.returncode == 0, done.stderr
    assert set(statuses(azure, "machines.get")) == {200}
    assert statuses(azure, "power_off") == statuses(azure, "power_on") == [202]
    # Confirmed is the off; the start is only asked for.
    assert eventually(lambda: world.powered("n2"))


def test_a_login_that_is_away_is_one_line(azure: AzureEmulator, root: Path) -> None:
    """The SDK logs a failed login by itself, and a log without a handler ends on standard error."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        closed = f"https://127.0.0.1:{server.getsockname()[1]}"
    known = azure.service.identities
    given = {"tenant_id": known.tenant_id, "client_id": known.client_id, "client_secret": known.client_secret}
    given |= {"action": "status", "provider": "azure", "plug": "n2", "query_timeout": "5", **azure.options()}
    given["identity_endpoint"] = closed
    text = "".join(f"{name}={value}\n" for name, value in given.items())
    done = run([str(root / install.AGENTS["fence_cloud"])], text, {})
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_an_operation_that_never_ends_is_not_off(
    azure: AzureEmulator, world: MemoryWorld, fence: Callable[..., Ran]
) -> None:
    azure.account.behaviour.never_ends = True
    done = fence("off", 8)
    assert done.returncode == 1
    assert done.stderr.startswith("fence_cloud: azure: off: n2"), done.stderr
    assert world.powered("n2")


def test_an_operation_that_fails_is_not_off(
    azure: AzureEmulator, world: MemoryWorld, fence: Callable[..., Ran]
) -> None:
    azure.account.behaviour.fail_next = "InternalExecutionError"
    done = fence("off", 8)
    assert done.returncode == 1, done.stderr
    assert world.powered("n2")


def test_a_write_lost_to_another_writer_is_redone_from_a_fresh_read(azure: AzureEmulator, root: Path) -> None:
    azure.account.give(Kind.PRIVATE, IP, "n2")
    left = {"n1-nic": 1, "n2-nic": 1}
    judge = azure.service.watch

    def another(operation: str, request: Request, reply: Reply) -> None:
        """Right after our read of an interface, somebody else writes a tag to it."""
        name = request.path.rpartition("/")[2].lower()
        if judge is not None:
            judge(operation, request, reply)
        if operation == "nics.get" and left.get(name):
            left[name] -= 1
            with azure.account.lock:
                azure.account.nics[name]["tags"]["changed"] = "meanwhile"
                azure.account.nics[name]["etag"] = new_etag()

    azure.service.watch = another
    given = {"provider": "azure", "ip": str(IP), "CRM_meta_timeout": "30000", **azure.options()}
    environment = {f"OCF_RESKEY_{name}": value for name, value in given.items()} | {"OCF_ROOT": "/usr/lib/ocf"}
    command = [str(root / install.AGENTS["floating-ip"]), "start"]
    try:
        done = run(command, "", environment)
    finally:
        clear_mark(MarkKey("azure", Kind.PRIVATE, IP))
    assert done.returncode == 0, done.stderr
    assert 412 in statuses(azure, "nics.put")
    assert azure.account.holder(Kind.PRIVATE, IP) == azure.account.machine_id("n1")
    for name in ("n1-nic", "n2-nic"):
        assert azure.account.nics[name]["tags"]["changed"] == "meanwhile", "the other's change was undone"
