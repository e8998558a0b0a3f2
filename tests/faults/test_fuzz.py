"""Whatever comes as input: no traceback, no hang, no exit code that claims something, and not more than a line.

CLOUDHA_FAULTS_EXAMPLES is how many inputs are parsed, CLOUDHA_FAULTS_PROCESSES how many are given to the real agents.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campaign.cells import Cell
from campaign.clouds import close, stages
from campaign.glass import SET_UP
from campaign.player import Player, execute
from cloudha import plugins
from cloudha.agents import fence_actions, floating_ip
from cloudha.agents.fence_input import from_arguments, from_lines
from cloudha.agents.fence_options import OWN_NAMES, STANDARD
from cloudha.agents.floating_ip_options import OWN
from cloudha.agents.process import Output
from cloudha.errors import CloudhaError, ConfigurationError
from cloudha.options import COMMON_OPTIONS, OptionType
from cloudha.testing.conformance.agents import Executables
from private_node import private_node

EXAMPLES = int(os.environ.get("CLOUDHA_FAULTS_EXAMPLES", "300"))
PROCESSES = int(os.environ.get("CLOUDHA_FAULTS_PROCESSES", "40"))
PARSING = settings(max_examples=EXAMPLES, deadline=2000, database=None, suppress_health_check=list(HealthCheck))
RUNNING = settings(PARSING, max_examples=PROCESSES, deadline=None)
FENCE_ACTIONS = ("off", "on", "reboot", "status", "monitor", "list", "list-status", "validate-all", "start", "stop")
ADDRESS_ACTIONS = ("start", "stop", "monitor", "validate-all", "reload-agent", "status", "reload")
# Their values are programs to run, files to write and times to wait; the real agents get them in a place of their own.
HARMFUL = frozenset({"password_script", "debug_file", "delay"})

FENCE_NAMES = sorted({known.option.name for known in STANDARD} | {option.name for option in COMMON_OPTIONS})
ADDRESS_NAMES = sorted({option.name for option in (*OWN, *COMMON_OPTIONS)} | {"CRM_meta_timeout", "CRM_meta_interval"})
# What is nearly right finds more than noise.
WORDS = (
    *("", " ", "0", "1", "-1", "1e9", "999999999999", "1.5", "5s", "10ms", "2min", "inf", "nan", "0x10", "٣", "²"),
    *("yes", "off", "true", "maybe", "n2", "m-0002", "10.9.9.9", "10.0.0.300", "fd00::1%lo", "::ffff:1.2.3.4", "::"),
    *("255.255.255.255", "http://127.0.0.1:1", "http://[::1", "https://u:p@h/", "http://h:99999", "/dev/null", "/"),
    *("/dev/zero", "/run", "../x", "~", "sim", "aws", "azure", "private", "public", "route", "always", "never", "lo"),
    *("eth0", "eth0:1", "a" * 16, "a/b", "32", "33", "129", "\x7f", "\u2028", "\U0001f4a9", "=", "==", "#", "%s", "{}"),
)
VALUES = st.one_of(st.sampled_from(WORDS), st.text(max_size=40), st.text(alphabet="0123456789.:/-, ", max_size=20))


def _names(known: list[str]) -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(known), st.sampled_from(known).map(str.upper), st.text(max_size=12))


FENCE_LINES = st.lists(st.tuples(_names(FENCE_NAMES), VALUES), max_size=8)
FENCE_INPUT = st.one_of(
    st.binary(max_size=400),
    FENCE_LINES.map(lambda pairs: "".join(f"{name}={value}\n" for name, value in pairs).encode("utf-8", "replace")),
)
ENVIRONMENT = st.dictionaries(_names(ADDRESS_NAMES).map(lambda name: f"OCF_RESKEY_{name}"), VALUES, max_size=8).map(
    lambda given: {_clean(name).replace("=", ""): _clean(value) for name, value in given.items()}
)


def _clean(text: str) -> str:
    """Leave out what no environment can hold."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


@pytest.fixture(scope="module")
def quiet() -> Output:
    output = Output("fuzz")
    output.quiet = True
    return output


@PARSING
@given(data=FENCE_INPUT)
def test_lines(quiet: Output, data: bytes) -> None:
    raw = from_lines(data)
    assert all(isinstance(value, str) for value in raw.values())
    raw = {name: value for name, value in raw.items() if name not in HARMFUL}
    for provider in (raw.get("provider", ""), "sim"):
        with contextlib.suppress(CloudhaError), mock.patch("sys.stderr"):
            fence_actions.prepare("status", {**raw, "provider": provider}, quiet, OWN_NAMES)


@PARSING
@given(
    words=st.lists(
        st.one_of(st.sampled_from(("-o", "-n", "-v", "--plug", "--", "-", "--password", "-p")), VALUES), max_size=6
    )
)
def test_options(words: list[str]) -> None:
    with contextlib.suppress(ConfigurationError):
        from_arguments(words, STANDARD)


@PARSING
@given(environ=ENVIRONMENT, action=st.sampled_from(ADDRESS_ACTIONS))
def test_environment(quiet: Output, environ: dict[str, str], action: str) -> None:
    provider = plugins.load("sim", ())
    given_ip = {"OCF_RESKEY_provider": "sim", "OCF_RESKEY_ip": "10.9.9.9"}
    for complete in (environ, {**environ, **given_ip}):
        with contextlib.suppress(CloudhaError):
            act = floating_ip._Action(action, complete, quiet)
            assert 0 < act.deadline.remaining < 10**6
            act._request()
            act._settings(provider)


@pytest.fixture(scope="module")
def fenced_off(executables: Executables) -> Iterator[Player]:
    """The simulated cloud's player, where whatever an agent writes is thrown away."""
    stage = next(stage for stage in stages() if stage.provider == "sim")
    with private_node(*SET_UP) as place:
        player = Player(stage, place, executables)
        player.operation_seconds = player.power_seconds = 3.0
        yield player
        close(player.cloud)


def _run(
    player: Player, kind: str, action: str, change: Callable[[str, dict[str, str]], tuple[str, dict[str, str]]]
) -> None:
    player.cloud.reset()
    cell = Cell("sim", "ours", kind, action, "on" if not kind else "free", "", "")
    command = player.command(cell)
    text, environment = change(command.text, dict(command.environment))
    # A delay of a day is what the operator asked for; killed for that is no fault.
    seen = execute(replace(command, text=text, environment=environment, seconds=25.0), player.place.prefix)
    patient = b"delay" in text.encode() or b"timeout" in text.encode() or "CRM_meta_timeout" in str(environment)
    assert not seen.late or patient, (text, environment, seen)
    assert "Traceback" not in seen.err + seen.out, (text, environment, seen)
    assert "internal error" not in seen.err, (text, environment, seen)
    assert all(line.isprintable() for line in seen.err.splitlines()), (text, environment, seen)
    assert seen.late or seen.code in ((0, 1, 2) if not kind else (0, 1, 2, 4, 5, 6, 7, 190)), (text, environment, seen)
    _truthful(player, cell, seen.code, text, environment)


def _truthful(player: Player, cell: Cell, code: int, text: str, environment: dict[str, str]) -> None:
    """However odd the parameters, no other machine is touched, and "off" is only said of one that is."""
    peer = player.cloud.machines[1]
    if not cell.kind and from_lines(text.encode()).get("action", "").lower() == "off" and code == 0:
        assert not all(player.cloud.powered(machine.id) for machine in player.cloud.machines), (text, environment)
    if cell.kind:
        assert player.cloud.powered(peer.id)


@RUNNING
@given(data=FENCE_INPUT, action=st.sampled_from(FENCE_ACTIONS))
def test_fence_cloud(fenced_off: Player, data: bytes, action: str) -> None:
    extra = data.decode("utf-8", "replace")
    _run(fenced_off, "", action, lambda text, environment: (f"{text}{extra}\n", environment))


FLAGS = sorted(known.option.name for known in STANDARD if known.option.type is OptionType.BOOLEAN)


@pytest.mark.parametrize("value", ["0", "no", "1", "true", ""])
@pytest.mark.parametrize("flag", FLAGS)
def test_no_flag_makes_off_a_lie(fenced_off: Player, flag: str, value: str) -> None:
    """The metadata lists every flag as a parameter, so an operator may well write it, with either value."""
    cell = Cell("sim", "ours", "", "off", "on", "", "")
    fenced_off.set_scene(cell)
    command = fenced_off.command(cell, **{flag: value})
    seen = execute(replace(command, seconds=25.0), fenced_off.place.prefix)
    assert seen.code != 0 or not fenced_off.cloud.powered(fenced_off.cloud.machines[1].id), seen


@RUNNING
@given(environ=ENVIRONMENT, action=st.sampled_from(ADDRESS_ACTIONS))
def test_floating_ip(fenced_off: Player, environ: dict[str, str], action: str) -> None:
    kept = {"OCF_RESKEY_endpoint", "OCF_RESKEY_metadata_endpoint"}
    more = {name: value for name, value in environ.items() if name and name not in kept}
    _run(fenced_off, "private", action, lambda text, environment: (text, {**environment, **more}))
