"""How fence_cloud reads its input: lines from Pacemaker, options from people, and secrets in neither log nor list."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent_process import Agents
from cloudha_plugin_sim.emulator import SimEmulator
from cloudha_plugin_sim.records import State

SECRET = "hunter2-3b1f"


def status(agents: Agents, text: str | bytes) -> int:
    common = "".join(f"{name}={value}\n" for name, value in agents.common.items())
    data = text.encode() if isinstance(text, str) else text
    return agents.fence_raw(b"action=status\n" + common.encode() + data).code


@pytest.mark.parametrize(
    "text",
    [
        "plug=n2\n",
        "plug=n2",
        "plug=n2\r\n",
        "\n\n  \n# a comment\n   # another = one\nplug=n2\n",
        "  plug = n2  \n",
        "plug=n9\nplug=n2\n",
        "PLUG=n2\n",
        "port=n2\n",
        "nodename=n2\n",
        "nodename=n2\nplug=\n",
        "nodename=n2\nport=\n",
        "nodename=cluster-name\nplug=n2\n",
        "nodename=cluster-name\nport=n2\n",
        "plug=n2\nnodename=\nport=\n",
        "plug=n2\nport=\n",
        "plug=n2\nno equals sign here\n=\n=value\n",
        "plug=n2\nsome_new_parameter=x\n",
        "plug=n2\nlogin-timeout=5\n",
        "plug=n2\nlogin_timeout=5\n",
        "plug=n2\nstonith-status-sleep=1\npower_timeout=20s\n",
        "plug=n2\nverbose=0\n",
    ],
)
def test_lines(agents: Agents, text: str) -> None:
    assert status(agents, text) == 0


def test_the_last_value_wins_also_between_both_names_of_the_target(agents: Agents) -> None:
    assert status(agents, "plug=n2\nplug=n9\n") == 1
    assert status(agents, "port=n9\nplug=n2\n") == 0
    assert status(agents, "plug=n9\nport=n2\n") == 0


def test_hyphen_and_underscore_are_one(agents: Agents) -> None:
    assert status(agents, "plug=n2+n3\nplug-separator=+\n") == 0
    assert status(agents, "plug=n2+n3\nplug_separator=+\n") == 0
    assert status(agents, "plug=n2+n3\nplug-separator=/\nplug_separator=+\n") == 0


def test_a_value_may_hold_the_equals_sign(token_cloud: SimEmulator, installed: Agents) -> None:
    token_cloud.api.token = "a=b=="
    assert installed.fence("monitor", provider="sim", endpoint=token_cloud.url, password="a=b==").code == 0


def test_binary_rubbish_around_good_lines(agents: Agents) -> None:
    rubbish = bytes(range(256)) * 200 + b"\n\x00\xff\xfe=\x80\n"
    assert status(agents, rubbish + b"plug=n2\n" + rubbish) == 0


def test_lines_of_a_megabyte(agents: Agents) -> None:
    assert status(agents, b"x" * (1 << 20) + b"\nplug=n2\n" + b"y=" + b"z" * (1 << 20)) == 0


def test_input_of_only_rubbish(installed: Agents) -> None:
    for data in (b"", b"\n", os.urandom(1 << 16), b"\x00" * (1 << 20), b"action", b"=" * 4096):
        done = installed.fence_raw(data)
        assert (done.code, done.out) == (1, "")
        assert "provider" in done.one_line()


@pytest.mark.parametrize("value", ["1", "yes", "on", "true", "True", "YES"])
def test_words_for_true(agents: Agents, value: str) -> None:
    assert agents.fence("off", plug="n9", quiet=value).err == ""


@pytest.mark.parametrize("value", ["0", "no", "off", "false"])
def test_words_for_false(agents: Agents, value: str) -> None:
    agents.fence("off", plug="n9", quiet=value).one_line()


def test_a_misspelt_name_of_a_secret_is_not_echoed(agents: Agents) -> None:
    for name in ("passwrod", "pasword", "secret", "password-", "pass word", "access_key_secret"):
        done = agents.fence_raw(
            f"action=off\nprovider=sim\nendpoint={agents.common['endpoint']}\nplug=n9\nverbose=1\n{name}={SECRET}\n"
        )
        assert done.code == 1
        assert SECRET not in done.err + done.out
    # A line without an equals sign may be half a secret.
    assert SECRET not in agents.fence_raw(f"action=off\n{SECRET}\n").err


@pytest.mark.parametrize(
    "words",
    [
        [f"--password={SECRET}"],
        ["--password", SECRET],
        ["-p", SECRET],
        [f"-p{SECRET}"],
        [f"--passwrod={SECRET}"],
        [f"--passwd={SECRET}"],
        [f"--pass={SECRET}"],
        [SECRET],
        ["-Z", SECRET],
        [f"-Z{SECRET}"],
    ],
)
def test_a_secret_on_the_command_line_is_refused_and_not_echoed(agents: Agents, words: list[str]) -> None:
    done = agents.fence_words("-o", "monitor", *words)
    assert (done.code, done.out) == (1, "")
    assert SECRET not in done.one_line()


def test_the_refusal_says_what_to_do_instead(agents: Agents) -> None:
    line = agents.fence_words("-o", "monitor", "-p", SECRET).one_line()
    assert "standard input" in line
    assert "CLOUDHA_PASSWORD" in line


def test_a_secret_is_in_no_output(token_cloud: SimEmulator, installed: Agents, scripts: Path) -> None:
    token_cloud.api.token = SECRET
    log = scripts / "debug.log"
    common = {"provider": "sim", "endpoint": token_cloud.url, "verbose": "1", "debug_file": str(log)}
    agents = replace(installed, common=common)
    for action in ("monitor", "list", "status", "off", "reboot"):
        done = agents.fence(action, plug="n2", password=SECRET)
        assert done.code == 0
        assert SECRET not in done.out + done.err
    wrong = agents.fence("off", plug=SECRET, password=SECRET)
    assert wrong.code == 1
    assert SECRET not in wrong.err
    assert SECRET not in log.read_text()


@pytest.mark.parametrize("where", ["endpoint", "identity_endpoint", "metadata_endpoint"])
def test_a_password_inside_a_url_is_not_echoed(installed: Agents, where: str) -> None:
    given: dict[str, Any] = {"endpoint": "http://127.0.0.1:1", where: f"http://user:{SECRET}@127.0.0.1:1"}
    done = installed.fence("monitor", provider="sim", query_timeout=1, **given)
    assert done.code == 1
    assert SECRET not in done.one_line()


def test_password_script(token_cloud: SimEmulator, installed: Agents, scripts: Path) -> None:
    agents = replace(installed, common={"provider": "sim", "endpoint": token_cloud.url})
    good = script(scripts, "good", f"echo {token_cloud.api.token}")
    assert agents.fence("monitor", password_script=good).code == 0
    assert agents.fence("monitor", passwd_script=good).code == 0
    assert agents.fence_words("-o", "monitor", "-S", good).code == 0
    for bad in (
        script(scripts, "fails", f"echo {SECRET}; echo {SECRET} >&2; exit 3"),
        script(scripts, "silent", "exit 0"),
        "/nowhere/at/all",
        "relative",
        str(scripts),
    ):
        done = agents.fence("off", plug="n2", password_script=bad)
        assert done.code == 1
        line = done.one_line()
        assert "password_script" in line
        assert SECRET not in line


def script(folder: Path, name: str, body: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_verbose_says_every_call(agents: Agents) -> None:
    done = agents.fence("status", plug="n2", verbose="1")
    assert done.code == 0
    assert any("list_nodes" in line for line in done.said)
    assert agents.fence("status", plug="n2", verbose_level="2").err
    assert agents.fence_words("-v", "-o", "status", "-n", "n2").err
    assert agents.fence_words("-vvv", "-o", "status", "-n", "n2").err
    assert not agents.fence("status", plug="n2").err


def test_debug_file(agents: Agents, scripts: Path) -> None:
    log = scripts / "debug.log"
    done = agents.fence("status", plug="n2", debug_file=str(log))
    assert (done.code, done.err) == (0, "")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "list_nodes" in log.read_text()
    before = log.read_text()
    agents.fence_words("-o", "status", "-n", "n2", "-D", str(log))
    assert log.read_text().startswith(before)
    assert len(log.read_text()) > len(before)


def test_a_debug_file_behind_a_link_or_nowhere_is_left_out(agents: Agents, scripts: Path) -> None:
    target = scripts / "target"
    target.write_text("")
    link = scripts / "link"
    link.symlink_to(target)
    for path in (str(link), "/nowhere/at/all", str(scripts)):
        done = agents.fence("status", plug="n2", debug_file=path)
        assert done.code == 0
        assert "debug_file" in done.one_line()
    assert target.read_text() == ""


def test_a_debug_file_that_is_a_pipe_does_not_hang(agents: Agents, scripts: Path) -> None:
    os.mkfifo(scripts / "pipe")
    done = agents.fence("status", plug="n2", debug_file=str(scripts / "pipe"))
    assert done.code == 0
    assert "debug_file" in done.one_line()


def test_a_full_disk_does_not_stop_fencing(agents: Agents, cloud: SimEmulator) -> None:
    assert agents.fence("off", plug="n2", debug_file="/dev/full").code == 0
    assert not cloud.cloud.world.powered("n2")


@pytest.mark.parametrize("line", ["help=1", "help=0", "version=1", "Version=no", "--help=1", "help"])
def test_a_word_for_people_does_not_end_a_fence(agents: Agents, cloud: SimEmulator, line: str) -> None:
    common = "".join(f"{name}={value}\n" for name, value in agents.common.items())
    done = agents.fence_raw(f"action=off\n{common}plug=n2\n{line}\n")
    assert (done.code, done.out) == (0, "")
    assert cloud.cloud.truth().machines["m-0002"].state is State.STOPPED
