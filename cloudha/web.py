"""HTTP for providers that need no SDK, and for metadata services: one request, one typed answer or one typed error.

Only the standard library, loaded when the first request is made. Never through a proxy: a node's metadata service and
its cloud's API are reached directly, and an agent's environment is nobody's configuration. No retries, no redirects:
the host retries, and a redirect is not the answer that was asked for.

::

    base = web.base_url(context, "endpoint")
    answer = web.request(context, "GET", web.join(base, "v1", "machines", node.id))
    web.raise_for_status(answer, node.label)
    state = web.field(answer.json(), "state", str)
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from cloudha.context import Context
from cloudha.errors import AccessDenied, ConfigurationError, Conflict, NotFound, Unavailable
from cloudha.record import Record
from cloudha.types import IPAddress

# For mypy, which knows the name. The real one is in typing, which metadata can do without.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from email.message import Message
    from typing import NoReturn, TypeVar

    T = TypeVar("T")

__all__ = ["Answer", "address", "base_url", "field", "join", "optional", "raise_for_status", "request"]

# A page of a thousand machines is some hundred kilobytes; more than this is no answer to anything we ask.
MOST_BYTES = 4 << 20
# An error's own words, enough to find it in the vendor's documents.
EXCERPT = 200
# Longer waits than an hour are mistakes of the server; the host's deadline is far shorter anyway.
MOST_RETRY_AFTER = 3600.0
REQUEST_ID_HEADERS = ("x-request-id", "x-ms-request-id", "x-amzn-requestid", "opc-request-id", "x-correlation-id")
UNREADABLE = "check that the endpoint is the cloud's own, and no proxy or captive portal answers in its place"


class Answer(Record):
    """An HTTP answer of any status, complete. ``headers`` have lower case names; ``origin`` is ``host:port``."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    origin: str = ""

    @property
    def request_id(self) -> str:
        """The vendor's id of the request, "" when there is none."""
        return next((self.headers[name] for name in REQUEST_ID_HEADERS if name in self.headers), "")

    def json(self) -> object:
        """Return the body's JSON document.

        :raises Unavailable: the body is no JSON, so nothing was answered.
        """
        import json  # not needed where the metadata service speaks plain text

        try:
            document: object = json.loads(self.body)
        except (ValueError, RecursionError):
            raise Unavailable(
                f"{self.origin} answered {self.status} with a body that is not JSON",
                advice=UNREADABLE,
                request_id=self.request_id,
            ) from None
        return document


def base_url(context: Context, parameter: str, default: str = "") -> str:
    """Return the URL in the setting *parameter* (else *default*), checked, without a slash at its end.

    :raises ConfigurationError: it is missing, or not ``http(s)://host[:port][/path]``.
    """
    from urllib.parse import urlsplit  # comes with http.client

    text = context.settings.text(parameter) or default
    if not text:
        raise ConfigurationError(f"parameter {parameter} is missing", advice=f"add {parameter}=http://HOST:PORT")
    try:
        parts = urlsplit(text)
        plain = text.isascii() and text.isprintable() and " " not in text and not parts.query and not parts.fragment
        good = plain and parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        good = good and parts.port != 0
    except ValueError:
        good = False
    if not good:
        # The text is not repeated: a URL with user and password in it is one of the mistakes caught here.
        raise ConfigurationError(
            f"parameter {parameter} is not a URL that can be used",
            advice="write http://HOST:PORT or https://HOST[:PORT][/PATH], without user, query or fragment",
        )
    return text.rstrip("/")


def join(base: str, *segments: str, **query: str | None) -> str:
    """Return *base* with quoted path segments and a query of those parameters that are not None."""
    from urllib.parse import quote, urlencode  # comes with http.client

    given = {name: value for name, value in query.items() if value is not None}
    path = "/".join([base, *(quote(segment, safe=":") for segment in segments)])
    return f"{path}?{urlencode(given)}" if given else path


def request(
    context: Context,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    document: object = None,
    max_bytes: int = MOST_BYTES,
) -> Answer:
    """Send one request (with a body, or a JSON document for one) and return the whole answer, whatever its status.

    Connecting (with the TLS handshake) takes at most ``context.timeouts.connect`` seconds, the whole answer at most
    ``context.timeouts.read``, however slowly its bytes come, and neither goes beyond the deadline. For https, the
    setting ``ca_file`` names the authorities to trust, else the system's are.

    :raises Unavailable: no complete answer: not resolved, refused, reset, timed out, cut, too large, not HTTP, TLS.
    :raises ConfigurationError: the URL or a header cannot be sent; *LocalConfigurationError* for a bad ``ca_file``.
    """
    # One import of what http.client brings along: the agents' metadata and usage paths never get here.
    from cloudha.wire import exchange

    sent = dict(headers or {})
    if document is not None:
        import json  # only for requests with a body

        body = json.dumps(document).encode()
        sent["Content-Type"] = "application/json"
    status, received, content, origin = exchange(context, method, url, sent, body, max_bytes)
    return Answer(status, _flat(received), content, origin)


def _flat(message: Message) -> dict[str, str]:
    return {name.lower(): value for name, value in message.items()}


def raise_for_status(answer: Answer, what: str) -> None:
    """Return if the status is 2xx, else raise the error that it means.

    401 and 403 are :class:`AccessDenied`, 404 is :class:`NotFound`, 409 and 412 are :class:`Conflict`, 429 and 5xx
    :class:`Unavailable` with the server's Retry-After. Whatever else comes (a redirect, another 4xx) is no answer to
    the question and :class:`Unavailable`, too; a provider whose cloud documents more handles that before.

    :param what: the machine or address that was asked about, for the message.
    """
    status = answer.status
    if 200 <= status < 300:
        return
    said = _said(answer.body)
    cause = f"{answer.origin} answered {status} for {what}" + (f": {said}" if said else "")
    found = answer.request_id
    match status:
        case 401:
            raise AccessDenied(cause, advice="check the credentials: wrong or expired", request_id=found)
        case 403:
            raise AccessDenied(cause, advice="grant these credentials the permission", request_id=found)
        case 404:
            raise NotFound(cause, advice="check the name, the endpoint, the region and the account", request_id=found)
        case 409 | 412:
            raise Conflict(cause, request_id=found)
        case 429:
            raise Unavailable(
                cause, advice="the API throttles", request_id=found, retry_after=_retry_after(answer.headers)
            )
        case _ if status >= 500:
            raise Unavailable(
                cause, advice="the API has a fault", request_id=found, retry_after=_retry_after(answer.headers)
            )
    raise Unavailable(cause, advice=UNREADABLE, request_id=found)


def _said(body: bytes) -> str:
    """Return the message in a vendor's JSON error, else the beginning of the text, "" for a web page."""
    import json  # an error is not a hot path

    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        text = body[:EXCERPT].decode("utf-8", "replace").strip()
        return "" if text.startswith("<") else text
    for _ in range(3):
        if isinstance(document, list) and document:
            document = document[0]
        elif isinstance(document, dict):
            message = document.get("message") or document.get("Message")
            if isinstance(message, str):
                return message[:EXCERPT]
            document = document.get("error") or document.get("errors")
    return body[:EXCERPT].decode("utf-8", "replace").strip()


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds that the header asks for (a number or an HTTP date), 0.0 when it is absent or unreadable."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return 0.0
    try:
        seconds = float(text)
    except ValueError:
        seconds = _seconds_until(text, headers.get("date", ""))
    # Written so that "nan" gives 0.
    return min(seconds, MOST_RETRY_AFTER) if seconds > 0 else 0.0


def _seconds_until(text: str, now_text: str) -> float:
    from datetime import datetime, timezone  # only for a date in Retry-After, which is rare
    from email.utils import parsedate_to_datetime

    try:
        then = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return 0.0
    try:
        # By the server's own clock: ours may be wrong.
        now = parsedate_to_datetime(now_text)
    except (TypeError, ValueError):
        now = datetime.now(timezone.utc)
    aware = [stamp if stamp.tzinfo else stamp.replace(tzinfo=timezone.utc) for stamp in (then, now)]
    return (aware[0] - aware[1]).total_seconds()


def field(document: object, name: str, kind: type[T]) -> T:
    """Return the field *name* of a JSON object, which must be there and of that type (True is no int).

    :raises Unavailable: it is not. An answer that cannot be read is no answer.
    """
    if not isinstance(document, dict):
        _unreadable(f"is not an object with a field {name}")
    if name not in document:
        _unreadable(f"lacks the field {name}")
    value = document[name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        _unreadable(f"has a field {name} that is not of type {kind.__name__}")
    return value


def optional(document: object, name: str, kind: type[T]) -> T | None:
    """Return the field *name*, which must be there and of that type or null (None).

    :raises Unavailable: as :func:`field`. A missing field is not null: it may be an answer that was cut short.
    """
    if isinstance(document, dict) and name in document and document[name] is None:
        return None
    return field(document, name, kind)


def address(document: object, name: str) -> IPAddress:
    """Return the field *name* as a parsed address.

    :raises Unavailable: as :func:`field`, and when the text is no IP address.
    """
    text = field(document, name, str)
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        _unreadable(f"has a field {name} that is no IP address")


def _unreadable(how: str) -> NoReturn:
    raise Unavailable(f"the answer {how}", advice=UNREADABLE)
