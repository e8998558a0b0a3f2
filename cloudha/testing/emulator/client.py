"""A plain client for tests and labs: what an emulator really says, without any provider between."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from cloudha.deadline import Deadline

__all__ = ["Client", "Response", "eventually"]

# Ends a test that would hang; nothing is measured with it, so a loaded machine does no harm.
PATIENCE_SECONDS = 20.0
POLL_SECONDS = 0.01


class Response(NamedTuple):
    """An answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - tests reach into the document as they like
        """Return the body's document."""
        return json.loads(self.body)


class Client:
    """Sends one request at a time, each on a connection of its own.

    :param url: of an emulator, ``http`` only.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.port = parts.port or 80

    def __call__(
        self, method: str, path: str, document: object = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Send a request, with a JSON document for its body; an answer of any status is returned."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE_SECONDS)
        try:
            body = None if document is None else json.dumps(document).encode()
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Response(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def admin(self, method: str, path: str, document: object = None) -> Any:  # noqa: ANN401 - as above
        """Send a request to the admin API and return its document.

        :raises RuntimeError: it was refused; the message is the API's.
        """
        response = self(method, f"/_emulator/{path}", document)
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {response.body.decode(errors='replace')}")
        return response.json()


def eventually(true: Callable[[], bool]) -> None:
    """Return when *true* becomes true.

    :raises TimeoutError: it never did.
    """
    deadline = Deadline(PATIENCE_SECONDS)
    while not true():
        if deadline.passed:
            raise TimeoutError("it never became true")
        deadline.sleep(POLL_SECONDS)
