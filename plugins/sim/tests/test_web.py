"""The core's HTTP client (cloudha.web) against servers that misbehave below HTTP."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudha import web
from cloudha.deadline import Deadline
from cloudha.provider import (
    AccessDenied,
    CloudhaError,
    ConfigurationError,
    Conflict,
    Context,
    LocalConfigurationError,
    NotFound,
    Settings,
    Unavailable,
)
from cloudha.testing.emulator import Application, Effect, Fault, FaultServer, Reply, Request
from cloudha.testing.emulator.client import PATIENCE_SECONDS

Serve = Callable[[bytes], str]


class Echo(Application):
    def operation(self, request: Request) -> str:
        return request.path

    def answer(self, request: Request) -> Reply:
        return Reply.json({"path": request.path, "query": dict(request.query), "body": request.body.decode()})


def context(read_seconds: float = PATIENCE_SECONDS, deadline: float = PATIENCE_SECONDS, **settings: str) -> Context:
    return Context(Settings(settings), Deadline(deadline), read_seconds=read_seconds)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Answer one connection with these very bytes, then close it."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def answer(content: bytes) -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(content)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass

    def start(content: bytes) -> str:
        threads.append(threading.Thread(target=answer, args=(content,), daemon=True))
        threads[-1].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    listener.close()


def test_everything_is_quoted() -> None:
    with FaultServer(Echo()) as server:
        url = web.join(server.url, "a b/c", "fd00::1", "ü", query="x&y=ü", nothing=None)
        answer = web.request(context(), "POST", url, document={"k": 1})
        assert answer.json() == {"path": "/a b/c/fd00::1/ü", "query": {"query": "x&y=ü"}, "body": '{"k": 1}'}


def test_ipv6() -> None:
    with FaultServer(Echo(), "::1") as server:
        assert server.url == f"http://[::1]:{server.port}"
        answer = web.request(context(), "GET", web.base_url(context(endpoint=server.url + "/"), "endpoint") + "/x")
        assert (answer.status, answer.origin) == (200, f"[::1]:{server.port}")


def test_never_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with FaultServer(Echo()) as server:
        assert web.request(context(), "GET", server.url).status == 200


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "closed the connection"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab", "closed the connection"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000 + b"\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 2000, "more than 1000 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000, "more than 1000 bytes"),
    ],
)
def test_what_is_no_answer(serve: Serve, content: bytes, says: str) -> None:
    url = serve(content)
    with pytest.raises(Unavailable, match=says) as caught:
        web.request(context(), "GET", url, max_bytes=1000)
    assert url.removeprefix("http://") in caught.value.cause


def test_a_body_of_exactly_the_most(serve: Serve) -> None:
    url = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000)
    assert len(web.request(context(), "GET", url, max_bytes=1000).body) == 1000


def test_a_redirect_is_no_answer(serve: Serve) -> None:
    url = serve(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
    answer = web.request(context(), "GET", url)
    with pytest.raises(Unavailable, match="302"):
        web.raise_for_status(answer, "m")


@pytest.mark.parametrize("effect", [Effect.HANG, Effect.DRIP])
def test_the_deadline_bounds_every_answer(effect: Effect) -> None:
    with FaultServer(Echo()) as server:
        server.faults.add(Fault("*", effect))
        clock = Deadline(PATIENCE_SECONDS)
        with pytest.raises(Unavailable, match="in time"):
            web.request(context(deadline=0.3), "GET", server.url)
        assert not clock.passed


def test_a_listener_that_does_not_accept() -> None:
    # A full backlog drops further connects, as a dead host behind a firewall does.
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        waiting = [socket.socket() for _ in range(4)]
        for connection in waiting:
            connection.settimeout(0)
            connection.connect_ex(full.getsockname())
        with pytest.raises(Unavailable, match="timed out"):
            web.request(context(deadline=0.3), "GET", url)
        for connection in waiting:
            connection.close()


def test_names_that_do_not_resolve() -> None:
    # Refused by the resolver itself, before anything is sent.
    with pytest.raises(Unavailable, match="cannot be resolved"):
        web.request(context(), "GET", f"http://{'x' * 70}.example/")


def test_a_resolver_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        release.wait(PATIENCE_SECONDS)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with pytest.raises(Unavailable, match="name service"):
        web.request(context(deadline=0.2), "GET", "http://api.example/")
    release.set()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=x", "-addext", "subjectAltName=IP:127.0.0.1"]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(tmp_path / "key.pem")]
    command = ["/usr/bin/openssl", "req", "-x509", "-out", str(path), *key, *subject]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    return path


def test_tls(certificate: Path, tmp_path: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, tmp_path / "key.pem")
    with FaultServer(Echo(), tls=tls) as server:
        assert web.request(context(ca_file=str(certificate)), "GET", server.url).status == 200
        with pytest.raises(Unavailable, match="not trusted"):
            web.request(context(), "GET", server.url)
        other_name = server.url.replace("127.0.0.1", "localhost")
        with pytest.raises(Unavailable, match="not trusted"):
            web.request(context(ca_file=str(certificate)), "GET", other_name)
        with pytest.raises(LocalConfigurationError, match="ca_file"):
            web.request(context(ca_file="/nonexistent.pem"), "GET", server.url)
        (tmp_path / "rubbish.pem").write_text("rubbish")
        with pytest.raises(LocalConfigurationError, match="ca_file"):
            web.request(context(ca_file=str(tmp_path / "rubbish.pem")), "GET", server.url)
        with pytest.raises(Unavailable):
            web.request(context(), "GET", server.url.replace("https", "http"))
        server.faults.add(Fault("*", Effect.CUT, count=1))
        server.faults.add(Fault("*", Effect.HANG, count=1))
        for _ in range(2):
            with pytest.raises(Unavailable):
                web.request(context(read_seconds=0.3, ca_file=str(certificate)), "GET", server.url)


def test_https_against_a_plain_port() -> None:
    with FaultServer(Echo()) as server, pytest.raises(Unavailable, match="TLS"):
        web.request(context(), "GET", server.url.replace("http", "https"))


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:80",
        "ftp://h",
        "http://",
        "http://h:0",
        "http://h:99999",
        "http://h:x",
        "http://user:secret@h",
        "http://h/?q=secret",
        "http://h/#secret",
        "http://h h",
        "http://h\n",
        "http://[::1",
        "http://hö",
    ],
)
def test_urls_that_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="endpoint") as caught:
        web.base_url(context(endpoint=text), "endpoint")
    assert "secret" not in str(caught.value)


def test_urls_that_are_taken() -> None:
    assert web.base_url(context(endpoint="https://h.example:8443/api/"), "endpoint") == "https://h.example:8443/api"
    assert web.base_url(context(), "endpoint", "http://h") == "http://h"
    with pytest.raises(ConfigurationError, match="endpoint is missing"):
        web.base_url(context(), "endpoint")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Unavailable),
        (401, AccessDenied),
        (403, AccessDenied),
        (404, NotFound),
        (409, Conflict),
        (412, Conflict),
        (429, Unavailable),
        (418, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
        (599, Unavailable),
        (304, Unavailable),
    ],
)
def test_what_statuses_mean(status: int, error: type[CloudhaError]) -> None:
    answer = web.Answer(status, {"x-request-id": "r-1"}, b"<html>\n" + b"x" * 9999, "h:1")
    with pytest.raises(error) as caught:
        web.raise_for_status(answer, "m-0001")
    assert type(caught.value) is error
    assert caught.value.request_id == "r-1"
    assert "h:1" in caught.value.cause
    assert "m-0001" in caught.value.cause
    assert len(caught.value.cause) < 300
    for fine in (200, 202, 204):
        web.raise_for_status(web.Answer(fine, {}, b""), "m")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "nan"}, 0),
        ({"retry-after": "inf"}, 3600),
        ({"retry-after": "1e99"}, 3600),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0),
        ({"retry-after": "Fri, 31 Dec 2100 23:59:59 GMT"}, 3600),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT", "date": "Fri, 31 Dec 1999 23:59:49 GMT"}, 10),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 -0000", "date": "rubbish"}, 0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float) -> None:
    for status in (429, 503):
        with pytest.raises(Unavailable) as caught:
            web.raise_for_status(web.Answer(status, headers, b""), "m")
        assert caught.value.retry_after == seconds


def test_json_that_is_none() -> None:
    for body in (b"", b"{", b"\xff\xfe\x00", b"[" * 100_000):
        with pytest.raises(Unavailable, match="not JSON"):
            web.Answer(200, {}, body, "h:1").json()


def test_fields() -> None:
    document: object = {"text": "a", "number": 1, "truth": True, "null": None, "ip": "10.0.0.1", "list": []}
    assert web.field(document, "text", str) == "a"
    assert web.field(document, "truth", bool) is True
    assert web.optional(document, "null", str) is None
    assert web.optional(document, "text", str) == "a"
    assert str(web.address(document, "ip")) == "10.0.0.1"
    for unreadable in (
        lambda: web.field(document, "nothing", str),
        lambda: web.optional(document, "nothing", str),
        lambda: web.field(document, "null", str),
        lambda: web.field(document, "truth", int),
        lambda: web.field(document, "number", bool),
        lambda: web.field(document, "number", str),
        lambda: web.optional(document, "number", str),
        lambda: web.address(document, "text"),
        lambda: web.field([document], "text", str),
        lambda: web.field(None, "text", str),
        lambda: web.optional("text", "text", str),
    ):
        with pytest.raises(Unavailable, match="answer"):
            unreadable()


def test_importing_a_provider_loads_no_http() -> None:
    heavy = (
        "'http', 'email', 'ssl', 'urllib', 'logging', 'argparse', 'socket', 'json', 'subprocess', 'importlib.metadata'"
    )
    program = f"import sys, cloudha_plugin_sim.provider; print([m for m in ({heavy}) if m in sys.modules])"
    # Without the site module, which may load anything: then with the paths that this process has.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-S", "-c", program]
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS
    )
    assert result.stdout.strip() == "[]"
