"""No secret is seen anywhere: output, log, process list, children's environment, files; whatever goes wrong.

CLOUDHA_FAULTS_SECRETS is the number of runs of each provider (0: every action, verbosity and trouble).
"""

from __future__ import annotations

import contextlib
import itertools
import random
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from campaign.cells import ADDRESS_ACTIONS, FENCE_ACTIONS, Cell
from campaign.clouds import close, stages
from campaign.glass import SET_UP, Glass
from campaign.player import Player
from campaign.run import METADATA_ADDRESS_ON_LOOPBACK
from campaign.troubles import TROUBLES, Duration, begin
from cloudha.options import OptionType
from cloudha.testing.conformance.agents import Executables
from cloudha.testing.conformance.hooks import secrets
from private_node import private_node

RUNS = 24
TOKENS = ("/run/cloudha/token.", "/run/cloudha/session.")
SECONDS = 3.0
# Where an action must come to its end.
PATIENT_SECONDS = 25.0
DEBUG_FILE = "/var/log/cloudha-debug"
LOUD: tuple[dict[str, str], ...] = ({}, {"verbose": "1"}, {"verbose_level": "3", "debug_file": DEBUG_FILE})
# The spoilt answers and refusals that come with texts of the cloud, which may repeat what was sent; and none.
SPOILT = ("401", "403", "expired token", "500", "web page", "missing fields", "cut in the body", "accepted, hangs", "")
INTERFACE = "eth0"


@pytest.fixture(scope="module")
def glasses(executables: Executables) -> Iterator[Callable[[str], Glass]]:
    made: dict[str, Glass] = {}
    with contextlib.ExitStack() as stack:

        def glass(provider: str) -> Glass:
            if provider not in made:
                stage = next(stage for stage in stages() if stage.provider == provider)
                place = stack.enter_context(private_node(METADATA_ADDRESS_ON_LOOPBACK, *SET_UP))
                player = Player(stage, place, executables)
                player.power_seconds, player.operation_seconds = SECONDS, 2 * SECONDS
                stack.callback(close, player.cloud)
                made[provider] = Glass(player)
                stack.callback(made[provider].close)
            made[provider].player.cloud.reset()
            made[provider].forget()
            return made[provider]

        yield glass


@pytest.fixture
def glass(glasses: Callable[[str], Glass], provider: str) -> Glass:
    return glasses(provider)


def _runs(player: Player, count: int, seed: int) -> list[tuple[Cell, dict[str, str], str]]:
    kinds = [kind.value for kind in player.stage.kinds]
    fence = [("", action) for action in FENCE_ACTIONS] if player.stage.fencing else []
    places = [*fence, *itertools.product(kinds, ADDRESS_ACTIONS)]
    found = []
    for (kind, action), loud, trouble in itertools.product(places, LOUD, SPOILT):
        if kind and loud:
            # floating-ip has no verbosity; its second and third time, it has an interface to look after.
            if kind == "public" or "verbose" not in loud:
                continue
            more = {"nic": INTERFACE}
        else:
            more = dict(loud)
        situation = (ADDRESS_ACTIONS if kind else FENCE_ACTIONS)[action][0]
        cell = Cell(player.stage.provider, "ours", kind, action, situation, trouble, Duration.GOOD.value)
        found.append((cell, more, trouble))
    return random.Random(seed).sample(found, min(count, len(found))) if count else found  # noqa: S311 - repeatable


def test_no_secret_is_seen(glass: Glass, number: Callable[[str, int], int]) -> None:
    player = glass.player
    shown: dict[str, list[str]] = {}
    for cell, more, trouble in _runs(player, number("SECRETS", RUNS), number("SEED", 1)):
        player.set_scene(cell)
        if trouble:
            begin(TROUBLES[trouble], Duration.GOOD, player.cloud, player.operations)
        seen = glass.run(player.command(cell, **more))
        for where, text in seen.where.items():
            if names := glass.secrets_in(text):
                shown[f"{cell.key} {more}: {where}"] = names
    player.cloud.reset()
    for name, text in glass.left().items():
        names = glass.secrets_in(text + name)
        if name.startswith(TOKENS):
            # A provider may keep a token there: for its owner alone, and with nothing that tokens are got with.
            assert stat.S_IMODE(player.place.path(name).stat().st_mode) == 0o600
            names = player.leaks(text + name)
        if names:
            shown[name] = names
    assert not shown, shown
    assert not secrets(player.provider, player.cloud) or glass.player.leaks(str(player.cloud.options()))


def test_the_glass_sees(glass: Glass) -> None:
    """An agent that showed its secrets would be caught: this shell does everything wrong."""
    player = glass.player
    known = secrets(player.provider, player.cloud)
    if not known:
        pytest.skip("this provider has no secrets")
    secret = min(known.values())
    script = 'echo "$S"; echo "$S" >&2; echo "$S" >/tmp/x; { echo "$S"; } >/run/y; /usr/sbin/ip "$S"; sleep 0.2; true'
    command = replace(player.command(_any_cell(player)), words=["/bin/sh", "-c", script], environment={"S": secret})
    seen = glass.run(command)
    assert glass.secrets_in(seen.where["standard output"])
    assert glass.secrets_in(seen.where["standard error"])
    assert glass.secrets_in(seen.where["process list"])
    left = glass.left()
    assert {name for name, text in left.items() if glass.secrets_in(text)} == {
        "/mnt/tmp/up/x",
        "/run/y",
        "/mnt/children",
    }


def test_tokens_are_known(glass: Glass) -> None:
    """The glass knows the tokens that were sent, where the cloud has any."""
    player = glass.player
    player.power_seconds = PATIENT_SECONDS
    try:
        assert glass.run(player.command(_any_cell(player))).code == 0
    finally:
        player.power_seconds = SECONDS
    if secrets(player.provider, player.cloud):
        assert glass.tokens or glass.player.stage.provider == "sim"


def test_a_secret_under_a_wrong_name_is_not_repeated(glass: Glass) -> None:
    """A name that is mistyped must not print the secret into the cluster's log."""
    player = glass.player
    for name, value in secrets(player.provider, player.cloud).items():
        for wrong in (f"{name}s", f"my-{name}", "passwort", f"{name} "):
            command = player.command(_any_cell(player), **{wrong: value, "verbose": "1"})
            seen = glass.run(command)
            assert not any(glass.secrets_in(text) for text in seen.where.values()), (wrong, seen)


def test_a_file_with_a_secret(glass: Glass) -> None:
    """It is refused where others can read it, and its content is never shown, whatever it is."""
    player, place = glass.player, glass.player.place
    files = [option.name for option in player.provider.info.options if option.type is OptionType.SECRET_FILE]
    canary = "canary-file-93ac51d07b"
    for name in files:
        for mode in (0o600, 0o644, 0o640):
            path = place.path("/run/secret-file")
            path.write_text(f"{canary}\n")
            path.chmod(mode)
            seen = glass.run(player.command(_any_cell(player), **{name: "/run/secret-file", "verbose": "1"}))
            path.unlink()
            texts = [*seen.where.values(), *glass.left().values()]
            assert not any(canary in text for text in texts), (name, mode, seen)
            if mode != 0o600:
                assert seen.code == 1, (name, mode, seen)
                assert "can be read by others" in seen.where["standard error"], (name, seen)


@pytest.mark.parametrize("through", ["password_script", "nic", "an SDK"])
def test_children_get_no_secret(glass: Glass, through: str) -> None:
    """Whatever the agents start gets an environment without the secrets that they were given in theirs."""
    player = glass.player
    player.operation_seconds = PATIENT_SECONDS
    known = secrets(player.provider, player.cloud)
    if not known:
        pytest.skip("this provider has no secrets")
    if through == "an SDK":
        cell = Cell(player.stage.provider, "ours", player.stage.kinds[0].value, "start", "free", "", "")
        command = player.command(cell)
    elif through == "nic":
        cell = Cell(player.stage.provider, "ours", player.stage.kinds[0].value, "start", "free", "", "")
        command = player.command(cell, nic=INTERFACE)
    else:
        script = player.place.path("/run/password")
        script.write_text(f"#!/bin/sh\n/usr/sbin/ip link >/dev/null 2>&1\necho {known.get('password', 'none')}\n")
        script.chmod(0o700)
        command = player.command(_any_cell(player), password_script="/run/password", **dict.fromkeys(known, ""))
        given = {f"CLOUDHA_{name.upper()}": value for name, value in known.items() if name != "password"}
        command = replace(command, environment=given)
    glass.run(replace(command, seconds=PATIENT_SECONDS))
    player.operation_seconds = 2 * SECONDS
    notes = glass.left().get("/mnt/children", "")
    assert notes or through == "an SDK", "no child was seen"
    assert not glass.secrets_in(notes), glass.secrets_in(notes)


def _any_cell(player: Player) -> Cell:
    return Cell(player.stage.provider, "ours", "", "monitor", "on", "", Duration.GOOD.value)
