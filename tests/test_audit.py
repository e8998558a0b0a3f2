"""The audit line as the logging daemon's socket receives it."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudha import __version__, audit
from cloudha.audit import AuditEvent, Outcome, record

FENCED = AuditEvent(
    agent="fence_cloud",
    action="off",
    instance="fence-n2",
    provider="sim",
    what="power_off",
    node_id="i-2",
    node_name="n2",
    target="n2",
    before="on (running)",
    after="off (stopped)",
    request_ids=("req-1", "req-2"),
    seconds=1.23456,
    outcome=Outcome.CONFIRMED,
)


class Daemon:
    """A socket like /dev/log; what it receives is read only when asked for."""

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "log")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(5)

    def read(self) -> tuple[int, dict[str, Any]]:
        data = self.socket.recv(65536)
        assert len(data) <= audit.MOST_BYTES
        assert b"\n" not in data
        found = re.fullmatch(r"<(\d+)>cloudha\[(\d+)\]: (\{.*\})", data.decode())
        assert found
        assert int(found[2]) == os.getpid()
        return int(found[1]), json.loads(found[3])


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    listening = Daemon(tmp_path)
    yield listening
    listening.socket.close()


def changed(**values: Any) -> AuditEvent:
    required = {"agent": "floating-ip", "action": "start", "provider": "sim", "what": "bind_ip"}
    return AuditEvent(**{**required, "outcome": Outcome.FAILED, **values})


def test_whole_line(daemon: Daemon) -> None:
    record(FENCED, path=daemon.path)
    priority, line = daemon.read()
    assert priority == 3 * 8 + 5
    assert line == {
        "agent": "fence_cloud",
        "action": "off",
        "instance": "fence-n2",
        "pid": os.getpid(),
        "provider": "sim",
        "what": "power_off",
        "node_id": "i-2",
        "node_name": "n2",
        "target": "n2",
        "before": "on (running)",
        "after": "off (stopped)",
        "request_ids": "req-1 req-2",
        "seconds": 1.235,
        "outcome": "confirmed",
        "version": __version__,
    }


@pytest.mark.parametrize(("outcome", "severity"), [("confirmed", 5), ("failed", 3), ("unknown", 4)])
def test_severity_follows_the_outcome(daemon: Daemon, outcome: str, severity: int) -> None:
    record(changed(outcome=Outcome(outcome), error="Unavailable", detail="throttled"), path=daemon.path)
    priority, line = daemon.read()
    assert priority == 24 + severity
    assert (line["outcome"], line["error"], line["detail"]) == (outcome, "Unavailable", "throttled")
    assert "before" not in line


def test_secrets_are_taken_out_of_every_text(daemon: Daemon) -> None:
    secrets = ("hunter2", 'quo"te\\d \u00fc', "-----BEGIN\nKEY\n-----", "hunter22", "")
    dirty = " / ".join((*secrets, "-----BEGIN KEY -----"))
    texts = ("instance", "node_id", "node_name", "target", "before", "after", "error", "detail", "action")
    record(changed(**dict.fromkeys(texts, dirty), request_ids=(dirty,)), secrets=secrets, path=daemon.path)
    _, line = daemon.read()
    for name in (*texts, "request_ids"):
        assert line[name] == "*** / *** / *** / *** / / ***"[: audit.MOST_SHORT], name


@pytest.mark.parametrize("character", ["x", "\u00fc", "\U0001f525", '"', "\\", "\n", "\0", "\udc80", "\u2028"])
def test_evidence_is_shortened_rather_than_the_line_lost(daemon: Daemon, character: str) -> None:
    texts = [*audit.SHORT_TEXTS, *(name for name in audit.LONG_TEXTS if name != "request_ids")]
    long = dict.fromkeys(texts, "begin" + character * 100_000)
    record(changed(**long, request_ids=(character * 300,) * 300), path=daemon.path)
    _, line = daemon.read()
    assert all(line[name].startswith("begin") for name in texts)
    assert line["version"] == __version__


def test_what_identifies_the_change_is_shortened_last(daemon: Daemon) -> None:
    long = {"before": "b" * 5000, "after": "a" * 5000, "detail": "d" * 5000, "node_id": "i-" + "0" * 60}
    record(changed(**long, target="10.0.0.10", request_ids=("req-" + "1" * 60,)), path=daemon.path)
    _, line = daemon.read()
    assert line["node_id"] == "i-" + "0" * 60
    assert line["target"] == "10.0.0.10"
    assert line["request_ids"] == "req-" + "1" * 60
    assert line["before"].endswith("b...")


def test_daemon_that_hangs_does_not_hang_us(daemon: Daemon) -> None:
    """More lines than its queue takes, and nobody reads: the rest is lost, nothing waits."""
    for _ in range(2000):
        record(FENCED, path=daemon.path)
    daemon.read()
    record(FENCED, path=daemon.path)


def test_nobody_listens(tmp_path: Path) -> None:
    stale = tmp_path / "stale"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as gone:
        gone.bind(str(stale))
    stream = tmp_path / "stream"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(stream))
        other.listen()
        ordinary = tmp_path / "file"
        ordinary.write_text("")
        for path in (tmp_path / "missing", stale, stream, ordinary, tmp_path / ("x" * 200)):
            record(FENCED, path=str(path))
        record(FENCED, path="a\0b")
        assert ordinary.read_text() == ""


def test_default_place_is_the_system_log() -> None:
    assert audit.SOCKET == "/dev/log"
