"""The session that actions share: private, whole, of this instance, and never trusted longer than it is good."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudha import kept_secrets
from cloudha.provider import AccessDenied, Context, Node, NodeQuery, NotFound, Unavailable
from cloudha.testing.emulator import Effect, Fault
from cloudha.testing.emulator.client import eventually
from cloudha_plugin_oci import credentials, machines, session_cache
from cloudha_plugin_oci.emulator import OciEmulator
from cloudha_plugin_oci.emulator.records import new_ocid

Contexts = Callable[..., Context]
SECOND_TIME = ["metadata.instance", "instances.list"]


def listed(context: Context) -> set[str]:
    return {node.name for node in machines.list_nodes(context, NodeQuery()).nodes}


def again(oci: OciEmulator, context: Context) -> list[str]:
    """Return what is asked for by another action."""
    oci.server.journal.clear()
    assert listed(context) == {"n1", "n2"}
    return list(oci.server.journal.operations())


def the_file(directory: Path) -> Path:
    (path,) = directory.iterdir()
    return path


def test_a_second_action_asks_for_no_session(oci: OciEmulator, context: Contexts) -> None:
    assert again(oci, context()).count("identity.federate") == 1
    assert again(oci, context()) == SECOND_TIME


def test_it_is_for_its_owner_alone(context: Contexts, cache_directory: Path) -> None:
    listed(context())
    path = the_file(cache_directory)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(cache_directory.stat().st_mode) == 0o700
    document = json.loads(path.read_text())["document"]
    assert not any(part in path.name for part in (document["token"], *document["key"].values()))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.chmod(0o640),
        lambda path: path.write_text("{}"),
        lambda path: path.write_text(path.read_text()[:-20]),
        lambda path: path.write_text(path.read_text().replace('"n": "', '"n": "0')[::-1]),
        lambda path: os.link(path, path.with_name("another-name")),
        lambda path: (path.rename(path.with_name("moved")), path.symlink_to(path.with_name("moved"))),
        lambda path: [path.unlink(), os.mkfifo(path, 0o600)],  # type: ignore[func-returns-value]  # one after the other
        lambda path: path.parent.chmod(0o777),
        lambda path: changed(path, since=time.time() + 600),
        lambda path: changed(path, until=time.time() + 30),
        lambda path: changed_document(path, "key", "p", "b"),
        lambda path: changed_document(path, "key", "p", None),
        lambda path: changed_document(path, "token", ""),
    ],
)
def test_what_cannot_be_trusted_is_not_used(
    oci: OciEmulator, context: Contexts, cache_directory: Path, spoil: Callable[[Path], object]
) -> None:
    listed(context())
    spoil(the_file(cache_directory))
    assert again(oci, context()).count("identity.federate") == 1


def changed(path: Path, **fields: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def changed_document(path: Path, *place: str | None) -> None:
    *keys, last, value = place
    document = json.loads(path.read_text())["document"]
    found = document
    for key in keys:
        found = found[key]
    found[last] = value
    changed(path, document=document)


def test_another_instance_has_a_session_of_its_own(oci: OciEmulator, context: Contexts) -> None:
    listed(context())
    oci.account.myself = "n2"
    assert again(oci, context()).count("identity.federate") == 1


def test_an_old_one_is_replaced_while_it_still_serves(
    oci: OciEmulator, context: Contexts, cache_directory: Path
) -> None:
    listed(context())
    changed(the_file(cache_directory), since=time.time() - 1000, until=time.time() + 190)
    number = oci.fault(Fault("identity.federate", Effect.ERROR))
    assert again(oci, context()).count("identity.federate") == 1
    assert oci.server.faults.hits(number) == 1
    oci.server.faults.clear()
    assert again(oci, context()).count("identity.federate") == 1
    assert again(oci, context()) == SECOND_TIME


def test_one_that_is_refused_is_replaced_once(oci: OciEmulator, context: Contexts, cache_directory: Path) -> None:
    listed(context())
    before = the_file(cache_directory).read_text()
    oci.fault(Fault("instances.list", Effect.UNAUTHORIZED, count=1))
    found = again(oci, context())
    assert found.count("identity.federate") == 1
    assert found.count("instances.list") == 2
    assert the_file(cache_directory).read_text() != before
    oci.server.faults.clear()
    oci.fault(Fault("instances.list", Effect.UNAUTHORIZED))
    oci.server.journal.clear()
    with pytest.raises(AccessDenied):
        listed(context())
    assert oci.server.journal.operations().count("instances.list") == 2


def test_a_change_with_one_that_is_refused_is_sent_again_with_a_new_one(
    oci: OciEmulator, context: Contexts, node: Callable[[str], Node]
) -> None:
    listed(context())
    oci.fault(Fault("power_off", Effect.UNAUTHORIZED, count=1))
    oci.server.journal.clear()
    machines.power_off(context(), node("n2"))
    found = oci.server.journal.operations()
    assert found.count("power_off") == 2
    assert found.count("identity.federate") == 1
    eventually(lambda: not oci.account.world.powered("n2"))


def test_a_refusal_of_an_old_one_is_believed_for_one_action(
    oci: OciEmulator, context: Contexts, cache_directory: Path
) -> None:
    """What an instance may do can follow from its session; the next action asks with a new one."""
    listed(context())
    oci.fault(Fault("instances.list", Effect.FORBIDDEN, count=1))
    oci.server.journal.clear()
    with pytest.raises(AccessDenied):
        listed(context())
    assert "identity.federate" not in oci.server.journal.operations()
    assert not list(cache_directory.iterdir())
    listed(context())
    with pytest.raises(NotFound):
        machines.power_state(context(), Node(new_ocid("instance")))
    assert not list(cache_directory.iterdir())
    # Of one that is new, a refusal says nothing.
    with pytest.raises(NotFound):
        machines.power_state(context(), Node(new_ocid("instance")))
    assert list(cache_directory.iterdir())


def test_without_a_place_there_is_no_cache(
    oci: OciEmulator, context: Contexts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("DIRECTORY", "USER_DIRECTORY"):
        monkeypatch.setattr(kept_secrets, name, str(tmp_path / "not" / "there"))
    for _ in range(2):
        assert again(oci, context()).count("identity.federate") == 1


def test_other_credentials_leave_no_file(
    oci: OciEmulator, context: Contexts, cache_directory: Path, tmp_path: Path
) -> None:
    config = oci.service.identities.write_config(tmp_path)
    listed(context(auth="api_key", config_file=str(config)))
    assert not cache_directory.exists()


@pytest.mark.parametrize("seconds", [-10.0, 30.0])
def test_a_token_that_ends_soon_is_not_kept(
    oci: OciEmulator, context: Contexts, cache_directory: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(credentials, "_end_of", lambda _: time.time() + seconds)
    made = context()
    listed(made)
    listed(made)
    assert oci.server.journal.operations().count("identity.federate") == 1
    assert not list(cache_directory.iterdir())


@pytest.mark.parametrize("token", ["", "no-token", "a.b.c", "a.e30.c", "a.eyJleHAiOiBOYU59.c", "a.W10.c"])
def test_a_token_that_does_not_say_when_it_ends(token: str) -> None:
    assert credentials._end_of(token) == 0.0


def test_what_was_left_by_a_killed_process_goes(context: Contexts, cache_directory: Path) -> None:
    cache_directory.mkdir(mode=0o700)
    left = cache_directory / f"{session_cache.PREFIX}1-aa~"
    other = cache_directory / "token.ibm.x"
    for path in (left, other):
        path.touch(mode=0o600)
        os.utime(path, (0, 0))
    listed(context())
    assert not left.exists()
    assert other.exists(), "another plugin's"


def test_names_hold_no_more_than_a_file_system_takes() -> None:
    long = session_cache.name_of("ocid1.instance.oc1.x" + "a" * 200, "http://h/opc/v2", "https://h")
    assert len(long) < 255
    assert long != session_cache.name_of("ocid1.instance.oc1.x" + "b" * 200, "http://h/opc/v2", "https://h")


def test_no_session_is_lost_when_the_federation_is_away(oci: OciEmulator, context: Contexts) -> None:
    oci.fault(Fault("identity.federate", Effect.ERROR))
    with pytest.raises(Unavailable):
        listed(context())
    oci.server.faults.clear()
    listed(context())
    oci.fault(Fault("identity.federate", Effect.ERROR))
    assert again(oci, context()) == SECOND_TIME
