"""The server: listens, refuses when told to, keeps track of every connection so that close() ends them all."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import select
import socket
import ssl
import threading
from types import TracebackType
from typing import final

from cloudha.testing.emulator.admin import Admin
from cloudha.testing.emulator.application import Application
from cloudha.testing.emulator.connection import IDLE_SECONDS, Connection, Service
from cloudha.testing.emulator.faults import FaultBook
from cloudha.testing.emulator.journal import Journal

__all__ = ["FaultServer"]

BACKLOG = 128
MOST_BODY = 1 << 20
# How soon the end of a timed "refuse" is noticed.
REFUSING_POLL_SECONDS = 0.05
WAKE_MILLISECONDS = 1000
# RFC 5246, 6.2.1 and 7.2: an alert, version 1.2, two bytes long, fatal, handshake_failure.
HANDSHAKE_FAILURE = bytes((21, 3, 3, 0, 2, 2, 40))


@final
class FaultServer:
    """An HTTP/1.1 server (HTTPS with ``tls``) for an application, with faults, a log and the admin API.

    Listens from its construction on; requests are answered once :meth:`serve` or :meth:`start` runs.

    :param host: address to listen on.
    :param port: 0 for any free one.
    :param tls: a server-side context.
    :param max_body: bytes of a request's body, more is refused with 413.
    :raises OSError: the address or port cannot be used.
    """

    def __init__(
        self,
        application: Application,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: ssl.SSLContext | None = None,
        max_body: int = MOST_BODY,
    ) -> None:
        self.faults = FaultBook()
        self.journal = Journal()
        self._tls = tls
        self._closing = threading.Event()
        admin = Admin(application, self.faults, self.journal)
        self._service = Service(application, admin, self.faults, self.journal, self._closing, max_body)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._refusing = False
        self._listener = _listener(host, port)
        self.host, self.port = self._listener.getsockname()[:2]
        self.faults.watch(self._follow_faults)

    @property
    def url(self) -> str:
        """Where to reach it, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    def serve(self) -> None:
        """Answer requests until :meth:`close` is called from another thread."""
        while not self._closing.is_set():
            self._follow_faults()
            if self._refusing:
                self._closing.wait(REFUSING_POLL_SECONDS)
                continue
            # Shutting the listener down, in close() or for a fault, makes it readable: this wait ends at once.
            with contextlib.suppress(OSError, ValueError):
                poller = select.poll()
                poller.register(self._listener, select.POLLIN)
                poller.poll(WAKE_MILLISECONDS)
                connection, address = self._listener.accept()
                threading.Thread(target=self._converse, args=(connection, address[0]), daemon=True).start()

    def start(self) -> FaultServer:
        """Run :meth:`serve` in a daemon thread and return the server."""
        threading.Thread(target=self.serve, daemon=True, name=f"emulator-{self.port}").start()
        return self

    def close(self) -> None:
        """Stop listening and end every open connection, hanging ones too. Closing twice is fine."""
        self._closing.set()
        with self._lock:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> FaultServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        with self._lock:
            return len(self._open)

    def _follow_faults(self) -> None:
        """Stop or start listening, as the faults say; called at every change of them and while refusing.

        A listener that is shut down keeps its port (Linux), so that nobody else can take it meanwhile.
        """
        with self._lock:
            refuse = self.faults.refusing
            if refuse is self._refusing or self._closing.is_set():
                return
            self._refusing = refuse
            if refuse:
                self._listener.shutdown(socket.SHUT_RDWR)
            else:
                self._listener.listen(BACKLOG)

    def _converse(self, accepted: socket.socket, client: str) -> None:
        connection = self._wrapped(accepted)
        with self._lock:
            if self._closing.is_set():
                connection.close()
                return
            self._open.add(connection)
        try:
            # The client may vanish, or speak no TLS: its own affair.
            with contextlib.suppress(OSError):
                if self.faults.take_connection() is not None:
                    _refuse_handshake(connection)
                    return
                if isinstance(connection, ssl.SSLSocket):
                    connection.do_handshake()
                Connection(connection, _plain(client), self._service)
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _wrapped(self, accepted: socket.socket) -> socket.socket:
        if self._tls is None:
            return accepted
        accepted.settimeout(IDLE_SECONDS)
        # The handshake comes later: until then close() must already know the connection.
        return self._tls.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)


def _refuse_handshake(connection: socket.socket) -> None:
    """Answer whatever the client begins with by a TLS alert, below any TLS of our own."""
    raw = socket.socket(fileno=os.dup(connection.fileno()))
    with raw:
        raw.settimeout(IDLE_SECONDS)
        # Read first: closing with unread bytes would send a reset, and the alert would be lost.
        raw.recv(65536)
        raw.sendall(HANDSHAKE_FAILURE)
        raw.shutdown(socket.SHUT_WR)


def _plain(client: str) -> str:
    """Return the caller's address without a zone, and IPv4 as such on a socket that speaks both."""
    address = ipaddress.ip_address(client.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        if port == 0:
            # A port that the kernel chose is given up when listening stops; one that was asked for is kept.
            named = socket.socket(family, socket.SOCK_STREAM)
            named.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            named.bind((host, listener.getsockname()[1]))
            listener.close()
            listener = named
        listener.listen(BACKLOG)
        listener.settimeout(0)
    except OSError:
        listener.close()
        raise
    return listener
