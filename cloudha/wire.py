"""One HTTP exchange over a socket whose every wait is bounded. Imported by :mod:`cloudha.web` at the first request."""

from __future__ import annotations

import http.client
import io
import ipaddress
import socket
import threading
from email.message import Message
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from cloudha.context import LEAST_SECONDS, Context
from cloudha.deadline import Deadline
from cloudha.errors import CloudhaError, ConfigurationError, LocalConfigurationError, Unavailable

if TYPE_CHECKING:
    # ssl is a large library, and metadata services speak plain HTTP.
    import ssl

    from _typeshed import WriteableBuffer

__all__ = ["exchange"]

AddressInfo = tuple[int, int, int, tuple[object, ...]]


def exchange(
    context: Context, method: str, url: str, headers: dict[str, str], body: bytes | None, max_bytes: int
) -> tuple[int, Message, bytes, str]:
    """Send one request; return status, headers, body and ``host:port``. Errors: :func:`cloudha.web.request`."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    origin = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    _check_headers(headers)
    connected = _connected(context, parts, host, port, origin)
    connection = http.client.HTTPConnection(host, port)
    # http.client only sends, reads by makefile(), and closes: the wrapper stands in for a socket.
    connection.sock = _Bounded(connected, context.deadline.within(context.timeouts.read))
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body, {"Accept": "application/json", "Connection": "close", **headers})
        response = connection.getresponse()
        content = response.read(max_bytes + 1)
    except TimeoutError:
        raise Unavailable(
            f"{origin} gave no complete answer in time", advice="check the API's health, and the path to it"
        ) from None
    except http.client.InvalidURL:
        raise ConfigurationError(f"the request's URL for {origin} has characters that HTTP does not allow") from None
    except (http.client.RemoteDisconnected, ConnectionError, http.client.IncompleteRead):
        raise Unavailable(
            f"{origin} closed the connection before the answer was complete", advice="check the API's health"
        ) from None
    except http.client.HTTPException as error:
        raise Unavailable(
            f"{origin} answered something that is not HTTP ({type(error).__name__})",
            advice="check the endpoint's port, and http against https",
        ) from None
    except OSError as error:
        raise Unavailable(f"the connection to {origin} failed: {_reason(error)}") from None
    finally:
        connected.close()
    if len(content) > max_bytes:
        raise Unavailable(f"{origin} answered more than {max_bytes} bytes", advice="check the endpoint")
    # read(n) does not complain when less than Content-Length comes.
    if response.length:
        raise Unavailable(
            f"{origin} closed the connection before the answer was complete", advice="check the API's health"
        )
    return response.status, response.headers, content, origin


def _check_headers(headers: dict[str, str]) -> None:
    """Refuse here what http.client would refuse with the value, perhaps a token, in its message."""
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise ConfigurationError(
                f"the value for the HTTP header {name} has characters that cannot be sent",
                advice="check the credentials for line ends and characters beyond ASCII",
            )


def _connected(context: Context, parts: SplitResult, host: str, port: int, origin: str) -> socket.socket:
    """Return a connected socket, with TLS for https, within the connect timeout for all of it."""
    limit = context.deadline.within(context.timeouts.connect)
    secure = _tls_context(context.settings.text("ca_file")) if parts.scheme == "https" else None
    last: CloudhaError = Unavailable(f"{origin} has no address")
    found = _resolved(host, port, limit)
    for count, (family, kind, protocol, place) in enumerate(found):
        plain = socket.socket(family, kind, protocol)
        try:
            # What is left is shared out, so that a dead first address does not cost the live second one its chance.
            plain.settimeout(max(limit.remaining / (len(found) - count), LEAST_SECONDS))
            plain.connect(place)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return plain if secure is None else _secured(secure, plain, host, origin)
        except TimeoutError:
            plain.close()
            last = Unavailable(
                f"connecting to {origin} timed out", advice="check the endpoint, the routes and the firewalls"
            )
        except ConnectionRefusedError:
            plain.close()
            last = Unavailable(f"{origin} refused the connection", advice="check the endpoint and that the API runs")
        except OSError as error:
            plain.close()
            last = Unavailable(f"connecting to {origin} failed: {_reason(error)}", advice="check the endpoint")
        except BaseException:
            plain.close()
            raise
    raise last


def _resolved(host: str, port: int, limit: Deadline) -> list[AddressInfo]:
    """Resolve a name in bounded time. The resolver knows no timeout, so a thread is left behind when it hangs."""
    found: list[AddressInfo] = []
    failed: list[OSError | UnicodeError] = []

    def resolve() -> None:
        try:
            answered = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.extend((family, kind, protocol, place) for family, kind, protocol, _, place in answered)
        except (OSError, UnicodeError) as error:
            failed.append(error)

    if _literal(host):
        resolve()
    else:
        thread = threading.Thread(target=resolve, daemon=True)
        thread.start()
        thread.join(limit.remaining)
        if thread.is_alive():
            raise Unavailable(f"resolving the name {host} timed out", advice="check the name service")
    if failed or not found:
        raise Unavailable(
            f"the name {host} cannot be resolved", advice="check the endpoint and the name service"
        ) from None
    return found


def _literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _tls_context(ca_file: str) -> ssl.SSLContext:
    import ssl  # see above

    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise LocalConfigurationError(
            f"parameter ca_file={ca_file!r} cannot be used: {_reason(error)}",
            advice="it must be a PEM file with certificate authorities, readable on this node",
        ) from None


def _secured(secure: ssl.SSLContext, plain: socket.socket, host: str, origin: str) -> socket.socket:
    import ssl  # see above

    try:
        return secure.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise Unavailable(
            f"{origin} has a certificate that is not trusted here: {error.verify_message}",
            advice="check ca_file, the endpoint's name and this machine's clock",
        ) from None
    except ssl.SSLError as error:
        raise Unavailable(
            f"TLS with {origin} failed: {_reason(error)}", advice="check https against http, and the port"
        ) from None


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


class _Bounded(io.RawIOBase):
    """A socket for http.client: each send and each receive ends at the deadline, whatever pace the peer chooses."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        super().__init__()
        self._socket = connected
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._limit()
        self._socket.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        self._limit()
        return self._socket.recv_into(buffer)

    def close(self) -> None:
        """Do nothing: http.client closes before it reads the body; :func:`exchange` closes the socket itself."""

    def _limit(self) -> None:
        left = self._deadline.remaining
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
