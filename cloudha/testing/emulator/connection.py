"""One connection of a client: reads requests, lets a fault have its way, writes answers."""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import threading
import time
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, unquote, urlsplit

from cloudha.testing.emulator.admin import PREFIX, Admin
from cloudha.testing.emulator.application import Application, Reply, Request
from cloudha.testing.emulator.faults import Effect, Fault, FaultBook
from cloudha.testing.emulator.journal import Journal

__all__ = ["Connection", "Service"]

logger = logging.getLogger(__name__)

# A client that keeps a connection open for reuse sends the next request sooner than this.
IDLE_SECONDS = 60.0
GARBAGE = b"<html><body><h1>It works!</h1></body></html>\n"
# The operation is not done, unless the fault says so; the other effects spoil the answer of one that was.
LOSING = frozenset(Effect) - {
    Effect.CUT,
    Effect.DELAY,
    Effect.DRIP,
    Effect.EMPTY,
    Effect.GARBAGE,
    Effect.MALFORMED,
    Effect.MISSING,
    Effect.STALE,
}
# How far a server's clock is ahead of the caller's, with Effect.SKEW.
SKEW_SECONDS = 3600
STATUS = {
    Effect.THROTTLE: HTTPStatus.TOO_MANY_REQUESTS,
    Effect.UNAUTHORIZED: HTTPStatus.UNAUTHORIZED,
    Effect.EXPIRED: HTTPStatus.UNAUTHORIZED,
    Effect.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Effect.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Effect.CONFLICT: HTTPStatus.CONFLICT,
    Effect.SKEW: HTTPStatus.UNAUTHORIZED,
}


@dataclass(frozen=True, slots=True)
class Service:
    """What all connections of a server share. ``closing`` is set when the server ends."""

    application: Application
    admin: Admin
    faults: FaultBook
    journal: Journal
    closing: threading.Event
    max_body: int


class Connection(BaseHTTPRequestHandler):
    """Serves one client until it closes; made by the server in a thread of its own, which it occupies."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    request: socket.socket
    headers: HTTPMessage

    def __init__(self, connection: socket.socket, client: str, service: Service) -> None:
        self.service = service
        self.client = client
        super().__init__(connection, (client, 0), None)  # type: ignore[arg-type]  # the base only stores the server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing: the journal is the log."""

    def do_GET(self) -> None:
        """Serve one request of any method."""
        body = self._body()
        if body is None:
            return
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, unquote(parts.path), query, headers, body, self.client)
        if request.path.startswith(PREFIX):
            self._send(self.service.admin.answer(request))
        else:
            self._serve(request)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815 - the base looks for these names

    def _body(self) -> bytes | None:
        """Return the request's body; None when it was refused and the connection ends."""
        text = self.headers.get("Content-Length", "0")
        refused = 0
        if "Transfer-Encoding" in self.headers or not text.isascii() or not text.isdigit():
            refused = HTTPStatus.LENGTH_REQUIRED
        elif int(text) > self.service.max_body:
            refused = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        if refused:
            self.close_connection = True
            self._send(Reply.json({"error": {"code": "body", "message": "body refused"}}, status=refused))
            return None
        body = self.rfile.read(int(text))
        if len(body) < int(text):
            self.close_connection = True
            return None
        return body

    def _serve(self, request: Request) -> None:
        operation = self.service.application.operation(request)
        fault = self.service.faults.take(operation)
        effect = fault.effect.value if fault else ""
        entry = self.service.journal.begin(operation, request.method, self.path, request.client, effect)
        reply = self._reply(request, fault)
        if reply is None:
            return
        entry.status = int(reply.status)
        if fault and fault.effect is Effect.CUT:
            self._cut(reply)
        elif fault and fault.effect is Effect.DRIP:
            self._drip(reply, fault.delay)
        else:
            self._send(reply)

    def _reply(self, request: Request, fault: Fault | None) -> Reply | None:
        """Return what to answer; None when the fault has ended the connection without any answer."""
        if fault is None:
            return self._answer(request)
        if fault.effect not in LOSING:
            return self._spoilt(request, fault)
        if fault.performed:
            self._answer(request)
        if fault.effect is Effect.HANG:
            self._hang()
            return None
        if fault.effect is Effect.REFUSE:
            self._reset()
            return None
        status = STATUS.get(fault.effect, fault.status)
        skewed = fault.effect is Effect.SKEW
        code = Effect.EXPIRED.value if skewed else fault.effect.value
        refusal = self.service.application.refusal(request, status, code)
        more = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
        if skewed:
            more["Date"] = self.date_time_string(int(time.time()) + SKEW_SECONDS)
        return replace(refusal, headers={**refusal.headers, **more})

    def _spoilt(self, request: Request, fault: Fault) -> Reply:
        if fault.effect is Effect.DELAY:
            self.service.closing.wait(fault.delay)
        if fault.effect is Effect.STALE and request.method == "GET":
            request = replace(request, stale_seconds=fault.age)
        reply = self._answer(request)
        match fault.effect:
            case Effect.GARBAGE:
                return Reply(200, GARBAGE, {"Content-Type": "text/html"})
            case Effect.MALFORMED:
                return replace(reply, body=reply.body[: len(reply.body) // 2])
            case Effect.MISSING:
                return self.service.application.without_fields(reply, fault)
            case Effect.EMPTY:
                return self.service.application.without_items(reply)
        return reply

    def _answer(self, request: Request) -> Reply:
        """Return the application's answer, or a 500 for a bug of the emulator, which is logged."""
        try:
            return self.service.application.answer(request)
        except Exception:
            logger.exception("%s %s", request.method, request.path)
            return self.service.application.refusal(request, 500, "internal")

    def _head(self, reply: Reply) -> bytes:
        own = {"Date": self.date_time_string(), **reply.headers, "Content-Length": str(len(reply.body))}
        if self.close_connection:
            own["Connection"] = "close"
        lines = [f"{name}: {value}" for name, value in own.items()]
        phrase = next((known.phrase for known in HTTPStatus if known == reply.status), "Unnamed")
        return "\r\n".join([f"HTTP/1.1 {reply.status:d} {phrase}", *lines, "", ""]).encode("latin-1")

    def _send(self, reply: Reply) -> None:
        body = b"" if self.command == "HEAD" else reply.body
        self._write(self._head(reply) + body)

    def _cut(self, reply: Reply) -> None:
        self.close_connection = True
        body = reply.body or b"{}"
        self._write(self._head(replace(reply, body=body)) + body[: len(body) // 2])

    def _drip(self, reply: Reply, delay: float) -> None:
        for byte in self._head(reply) + reply.body:
            if not self._write(bytes((byte,))) or self.service.closing.wait(delay):
                return

    def _write(self, data: bytes) -> bool:
        """Send, and say whether it could be sent: a client may go away whenever it likes."""
        try:
            self.connection.sendall(data)
        except OSError:
            self.close_connection = True
            return False
        return True

    def _hang(self) -> None:
        """Read and answer nothing until either side closes; closing the server ends this read, too."""
        self.close_connection = True
        self.connection.settimeout(None)
        with contextlib.suppress(OSError):
            while self.connection.recv(4096):
                pass

    def _reset(self) -> None:
        self.close_connection = True
        # Lingering zero seconds makes close() send RST; the server's close() must not come with a FIN first.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
