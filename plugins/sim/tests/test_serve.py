"""The simulated cloud as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudha.errors import ConfigurationError, LocalConfigurationError
from cloudha.testing.emulator.client import PATIENCE_SECONDS, Client
from cloudha_plugin_sim.serve import run

COMMAND = [sys.executable, "-m", "cloudha_plugin_sim"]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Client]]:
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("t0ken\n")
    arguments = ["--listen", "127.0.0.1:0", "--nodes", "n1=127.0.0.1,n2", "--addresses", "203.0.113.7"]
    more = ["--token-file", str(token), "--transition", "0"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*COMMAND, *arguments, *more], stdout=pipe, stderr=pipe, text=True, env=environment
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://\S+", line)
            assert found, line
            yield process, Client(found[0])
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_runs_until_told(running: tuple[subprocess.Popen[str], Client], number: signal.Signals) -> None:
    process, client = running
    assert client("GET", "/v1/machines").status == 401
    answer = client("GET", "/v1/machines", headers={"Authorization": "Bearer t0ken"}).json()
    assert [machine["name"] for machine in answer["machines"]] == ["n1", "n2"]
    assert client("GET", "/metadata/v1/self").json()["name"] == "n1"
    process.send_signal(number)
    assert process.wait(PATIENCE_SECONDS) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("listen", "nodes", "addresses"),
    [
        ("127.0.0.1", "n1", ""),
        ("127.0.0.1:99999", "n1", ""),
        ("127.0.0.1:0", " ,", ""),
        ("127.0.0.1:0", "n1=rubbish", ""),
        ("127.0.0.1:0", "n1", "rubbish"),
        ("192.0.2.1:1", "n1", ""),
    ],
)
def test_refuses(listen: str, nodes: str, addresses: str) -> None:
    with pytest.raises(ConfigurationError):
        run(listen, nodes, addresses=addresses)


def test_refuses_a_token_that_others_can_read(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t0ken")
    token.chmod(0o644)
    with pytest.raises(LocalConfigurationError, match="chmod 600"):
        run("127.0.0.1:0", "n1", token_file=str(token))


def test_a_clear_line_on_the_command_line() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    result = subprocess.run(
        [*COMMAND, "--listen", "nowhere", "--nodes", "n1"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert result.returncode == 2
    assert "HOST:PORT" in result.stderr
    assert "Traceback" not in result.stderr
