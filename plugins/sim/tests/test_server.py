"""The reusable part: transport, faults, log and admin API, under an application that is not the simulated cloud."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudha.testing.emulator import Application, Effect, Fault, FaultBook, FaultServer, Reply, Request
from cloudha.testing.emulator.client import PATIENCE_SECONDS, Client, eventually

DOCUMENT = {"things": [{"name": "a", "parts": ["x"]}], "next": None}


class Things(Application):
    def __init__(self) -> None:
        self.done: list[str] = []

    def operation(self, request: Request) -> str:
        return request.path.strip("/").replace("/", ".") or "root"

    def answer(self, request: Request) -> Reply:
        self.done.append(f"{request.method} {request.path} {request.stale_seconds:g}")
        if request.path == "/bug":
            raise KeyError("bug")
        return Reply.json(DOCUMENT)


@pytest.fixture
def things() -> Things:
    return Things()


@pytest.fixture
def server(things: Things) -> Iterator[FaultServer]:
    with FaultServer(things, max_body=1000) as running:
        yield running


@pytest.fixture
def plain(server: FaultServer) -> Client:
    return Client(server.url)


def test_answers_and_logs(server: FaultServer, plain: Client) -> None:
    assert plain("GET", "/things/list?page=2").json() == DOCUMENT
    (entry,) = server.journal.entries()
    assert (entry.operation, entry.method, entry.path) == ("things.list", "GET", "/things/list?page=2")
    assert (entry.client, entry.status, entry.fault) == ("127.0.0.1", 200, "")
    assert [item["operation"] for item in plain.admin("GET", "log")["log"]] == ["things.list"]


def test_one_connection_serves_several_requests(server: FaultServer) -> None:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=PATIENCE_SECONDS)
    for _ in range(3):
        connection.request("GET", "/things")
        assert json.loads(connection.getresponse().read()) == DOCUMENT
    assert server.connections == 1
    connection.close()
    eventually(lambda: server.connections == 0)


@pytest.mark.parametrize(
    ("effect", "status"),
    [
        (Effect.THROTTLE, 429),
        (Effect.ERROR, 503),
        (Effect.UNAUTHORIZED, 401),
        (Effect.EXPIRED, 401),
        (Effect.FORBIDDEN, 403),
        (Effect.NOT_FOUND, 404),
        (Effect.CONFLICT, 409),
    ],
)
def test_refusals_name_their_code_and_do_nothing(
    server: FaultServer, plain: Client, things: Things, effect: Effect, status: int
) -> None:
    server.faults.add(Fault("things", effect))
    got, headers, body = plain("POST", "/things")
    assert got == status
    assert json.loads(body)["error"]["code"] == effect.value
    assert "retry-after" not in headers
    assert things.done == []


def test_a_lost_answer_comes_after_the_operation(server: FaultServer, plain: Client, things: Things) -> None:
    server.faults.add(Fault("things", Effect.ERROR, status=502, performed=True))
    assert plain("POST", "/things")[0] == 502
    assert things.done == ["POST /things 0"]


def test_throttle_says_how_long(server: FaultServer, plain: Client) -> None:
    server.faults.add(Fault("*", Effect.THROTTLE, retry_after=7))
    assert plain("GET", "/things").headers["retry-after"] == "7"


def test_garbage_missing_empty(server: FaultServer, plain: Client) -> None:
    spoilt: tuple[tuple[Fault, object], ...] = (
        (Fault("*", Effect.MISSING), {"things": [{"parts": ["x"]}]}),
        (Fault("*", Effect.MISSING, fields=("name",)), {"things": [{"parts": ["x"]}], "next": None}),
        (Fault("*", Effect.EMPTY), {"things": [], "next": None}),
    )
    for fault, document in spoilt:
        number = server.faults.add(fault)
        assert plain("GET", "/things").json() == document
        server.faults.remove(number)
    server.faults.add(Fault("*", Effect.GARBAGE))
    status, _, body = plain("GET", "/things")
    assert status == 200
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(body)


def test_cut_sends_half_of_the_body(server: FaultServer, plain: Client) -> None:
    server.faults.add(Fault("*", Effect.CUT))
    with pytest.raises(http.client.IncompleteRead) as caught:
        plain("GET", "/things")
    whole = len(Reply.json(DOCUMENT).body)
    assert len(caught.value.partial) == whole // 2
    assert caught.value.expected == whole - whole // 2


def test_drip_and_delay_are_complete_in_the_end(server: FaultServer, plain: Client) -> None:
    server.faults.add(Fault("*", Effect.DRIP, delay=0.0005, count=1))
    server.faults.add(Fault("*", Effect.DELAY, delay=0.05, count=1))
    assert plain("GET", "/things").json() == DOCUMENT
    assert plain("GET", "/things").json() == DOCUMENT
    assert [entry.fault for entry in server.journal.entries()] == ["drip", "delay"]


def test_stale_reaches_reads_only(server: FaultServer, plain: Client, things: Things) -> None:
    server.faults.add(Fault("*", Effect.STALE, age=4))
    plain("GET", "/things")
    plain("POST", "/things")
    assert things.done == ["GET /things 4", "POST /things 0"]


def test_hang_ends_when_the_server_closes(server: FaultServer) -> None:
    server.faults.add(Fault("*", Effect.HANG))
    with socket.create_connection((server.host, server.port), timeout=PATIENCE_SECONDS) as hanging:
        hanging.sendall(b"GET /things HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: len(server.journal.entries()) == 1)
        assert server.connections == 1
        server.close()
        assert hanging.recv(10) == b""
    assert server.journal.entries()[0].status == 0
    eventually(lambda: server.connections == 0)


def test_hang_ends_when_the_client_leaves(server: FaultServer) -> None:
    server.faults.add(Fault("*", Effect.HANG))
    with socket.create_connection((server.host, server.port), timeout=PATIENCE_SECONDS) as hanging:
        hanging.sendall(b"GET /things HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: server.connections == 1)
    eventually(lambda: server.connections == 0)


def test_refuse_everything_closes_the_port_and_opens_it_again(server: FaultServer, plain: Client) -> None:
    number = server.faults.add(Fault("*", Effect.REFUSE))
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            plain("GET", "/things")
    server.faults.remove(number)
    assert plain("GET", "/things").json() == DOCUMENT
    server.faults.add(Fault("*", Effect.REFUSE, seconds=0.1))
    with pytest.raises(ConnectionRefusedError):
        plain("GET", "/things")
    eventually(lambda: _answers(plain))


def test_refuse_of_one_operation_is_a_reset(server: FaultServer, plain: Client) -> None:
    server.faults.add(Fault("things", Effect.REFUSE))
    with pytest.raises(ConnectionResetError):
        plain("GET", "/things")
    assert plain("GET", "/others")[0] == 200


def test_a_server_that_refuses_can_be_closed(server: FaultServer) -> None:
    server.faults.add(Fault("*", Effect.REFUSE))
    server.close()
    server.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port), timeout=PATIENCE_SECONDS)


def test_admin_api_is_never_hit(server: FaultServer, plain: Client) -> None:
    made = plain.admin("POST", "faults", {"operation": "*", "effect": "hang", "count": 3})
    listed = plain.admin("GET", "faults")
    assert [(f["number"], f["effect"], f["hits"], f["spent"]) for f in listed["faults"]] == [
        (made["number"], "hang", 0, False)
    ]
    assert plain("DELETE", f"/_emulator/faults?number={made['number']}")[0] == 200
    assert plain("DELETE", f"/_emulator/faults?number={made['number']}")[0] == 404
    assert plain("GET", "/things").json() == DOCUMENT
    plain.admin("POST", "faults", {"operation": "things", "effect": "error"})
    assert plain.admin("POST", "reset") == {}
    assert plain("GET", "/things").json() == DOCUMENT
    assert len(server.journal.entries()) == 1


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"effect": "hang"},
        {"operation": "*", "effect": "explode"},
        {"operation": "*", "effect": "hang", "colour": 1},
        {"operation": "*", "effect": "hang", "count": "3"},
        {"operation": "*", "effect": "hang", "count": -1},
        {"operation": "*", "effect": "hang", "performed": 1},
        {"operation": "*", "effect": "missing", "fields": "name"},
        {"operation": "*", "effect": "refuse"},
    ],
)
def test_admin_refuses_nonsense(plain: Client, document: object) -> None:
    status, _, body = plain("POST", "/_emulator/faults", document)
    assert status == 400
    assert json.loads(body)["error"]["message"]
    assert plain("GET", "/_emulator/nothing")[0] == 404


def test_a_bug_of_the_application_is_a_500(plain: Client) -> None:
    assert plain("GET", "/bug")[0] == 500


def test_bodies_are_bounded(server: FaultServer, plain: Client, things: Things) -> None:
    assert plain("POST", "/things", "x" * 2000)[0] == 413
    assert plain("POST", "/things", headers={"Content-Length": "-5"})[0] == 411
    assert plain("POST", "/things", headers={"Transfer-Encoding": "chunked"})[0] == 411
    assert things.done == []
    assert server.journal.entries() == ()


def test_rubbish_instead_of_http_hurts_nobody(server: FaultServer, plain: Client) -> None:
    with socket.create_connection((server.host, server.port), timeout=PATIENCE_SECONDS) as rude:
        rude.sendall(b"\x00\xff\x16\x03\r\n\r\n")
        assert b"400" in rude.recv(4096)
    assert plain("GET", "/things").json() == DOCUMENT


def test_tls(things: Things, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(key)]
    command = ["/usr/bin/openssl", "req", "-x509", "-out", str(certificate), *made, *subject]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=str(certificate))
    with FaultServer(things, tls=tls) as server:
        assert server.url == f"https://127.0.0.1:{server.port}"
        connection = http.client.HTTPSConnection(server.host, server.port, timeout=PATIENCE_SECONDS, context=trusting)
        connection.request("GET", "/things")
        assert json.loads(connection.getresponse().read()) == DOCUMENT
        # A client that connects and says nothing is ended by close(), too.
        silent = socket.create_connection((server.host, server.port), timeout=PATIENCE_SECONDS)
        eventually(lambda: server.connections == 2)
    assert silent.recv(1) == b""
    silent.close()
    connection.close()


def test_matching() -> None:
    everything_but = Fault("*,!metadata.*", Effect.ERROR)
    assert everything_but.matches("power_off")
    assert not everything_but.matches("metadata.self")
    assert Fault("addresses.*, power_*", Effect.ERROR).matches("power_on")
    assert not Fault("addresses.*", Effect.ERROR).matches("addresses")


def test_counts_and_skips() -> None:
    book = FaultBook()
    number = book.add(Fault("a*", Effect.ERROR, after=2, count=2))
    hits = [book.take("ab") is not None for _ in range(6)]
    assert hits == [False, False, True, True, False, False]
    assert book.take("b") is None
    (standing,) = book.listing()
    assert (standing.seen, standing.hits, standing.spent, book.hits(number)) == (4, 2, True, 2)


def test_the_oldest_hits_and_the_next_takes_over() -> None:
    book = FaultBook()
    book.add(Fault("*", Effect.ERROR, count=1))
    book.add(Fault("*", Effect.CONFLICT))
    effects = [fault.effect for fault in (book.take("a"), book.take("a")) if fault]
    assert effects == [Effect.ERROR, Effect.CONFLICT]


def test_a_fault_ends_by_itself() -> None:
    book = FaultBook()
    book.add(Fault("*", Effect.ERROR, seconds=0.02))
    eventually(lambda: book.take("a") is None)


def test_counts_are_exact_under_threads(server: FaultServer, plain: Client) -> None:
    number = server.faults.add(Fault("*", Effect.ERROR, count=10))
    threads = [threading.Thread(target=lambda: [plain("GET", "/things") for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert server.faults.hits(number) == 10
    assert sorted(entry.status for entry in server.journal.entries()) == [200] * 10 + [503] * 10


def _answers(plain: Client) -> bool:
    try:
        return plain("GET", "/things")[0] == 200
    except ConnectionRefusedError:
        return False
