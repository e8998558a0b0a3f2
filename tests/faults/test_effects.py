"""The effects of the emulators' server that the campaign needs beside the conformance kit's."""

from __future__ import annotations

import email.utils
import socket
import ssl
import time
from collections.abc import Iterator

import pytest

from cloudha.testing.emulator import Application, Effect, Fault, FaultServer, Reply, Request
from cloudha.testing.emulator.client import PATIENCE_SECONDS, Client

DOCUMENT = {"things": ["a", "b"], "name": "x"}
AN_HOUR = 3600


class Things(Application):
    def operation(self, request: Request) -> str:
        return request.path.strip("/")

    def answer(self, request: Request) -> Reply:
        return Reply(202) if request.path == "/accepted" else Reply.json(DOCUMENT)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(Things()) as running:
        yield running


def test_a_malformed_answer_is_whole_to_http_and_no_document(server: FaultServer) -> None:
    server.faults.add(Fault("things", Effect.MALFORMED, count=1))
    answer = Client(server.url)("GET", "/things")
    assert answer.status == 200
    assert int(answer.headers["content-length"]) == len(answer.body) > 0
    with pytest.raises(ValueError, match=r"delimiter|Unterminated|Expecting"):
        answer.json()
    assert Client(server.url)("GET", "/things").json() == DOCUMENT


def test_a_skewed_server_says_its_own_time(server: FaultServer) -> None:
    server.faults.add(Fault("things", Effect.SKEW, count=1))
    answer = Client(server.url)("GET", "/things")
    assert answer.status == 401
    assert answer.json()["error"]["code"] == "expired"
    theirs = email.utils.parsedate_to_datetime(answer.headers["date"]).timestamp()
    assert AN_HOUR - 60 < theirs - time.time() < AN_HOUR + 60
    again = email.utils.parsedate_to_datetime(Client(server.url)("GET", "/things").headers["date"]).timestamp()
    assert abs(again - time.time()) < 60


def test_a_handshake_fails(server: FaultServer) -> None:
    number = server.faults.add(Fault("*", Effect.TLS, count=2))
    with socket.create_connection((server.host, server.port), PATIENCE_SECONDS) as plain:
        plain.sendall(b"GET /things HTTP/1.1\r\n\r\n")
        assert plain.recv(100) == b"\x15\x03\x03\x00\x02\x02\x28"
        assert plain.recv(100) == b""
    context = ssl.create_default_context()
    with (
        socket.create_connection((server.host, server.port), PATIENCE_SECONDS) as raw,
        pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"),
    ):
        context.wrap_socket(raw, server_hostname="localhost")
    assert server.faults.hits(number) == 2
    assert Client(server.url)("GET", "/things").json() == DOCUMENT


def test_a_handshake_that_fails_for_one_operation_is_none(server: FaultServer) -> None:
    """The operation is not known yet, so that such a fault never hits."""
    server.faults.add(Fault("things", Effect.TLS))
    assert Client(server.url)("GET", "/things").json() == DOCUMENT


def test_an_answer_without_a_body_has_no_list_to_empty(server: FaultServer) -> None:
    server.faults.add(Fault("*", Effect.EMPTY))
    assert Client(server.url)("GET", "/accepted").status == 202
    assert Client(server.url)("GET", "/things").json() == {"things": [], "name": "x"}
