"""Look over the shoulder of whatever library asks a cloud: the dates on the answers.

Every vendor's SDK in use ends in the standard library's ``http.client``. So the reading of an answer's head is watched
there, in this process and for a moment only; nothing is changed, and no other way leads to a date that fits them all.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime

__all__ = ["clock_offsets"]

# A Date header has whole seconds, cut off.
HALF_OF_LAST_SECOND = 0.5


@contextmanager
def clock_offsets() -> Iterator[list[float]]:
    """Yield a list that grows by one offset with each answer that has a date: our clock less theirs, in seconds."""
    seen: list[float] = []
    real = http.client.HTTPResponse.begin

    def begin(response: http.client.HTTPResponse) -> None:
        real(response)
        offset = _offset(response)
        if offset is not None:
            seen.append(offset)

    http.client.HTTPResponse.begin = begin  # type: ignore[method-assign, assignment]  # put back below
    try:
        yield seen
    finally:
        http.client.HTTPResponse.begin = real  # type: ignore[method-assign]  # see above


def _offset(response: http.client.HTTPResponse) -> float | None:
    text = response.headers.get("Date", "") if response.headers else ""
    try:
        return time.time() - parsedate_to_datetime(text).timestamp() - HALF_OF_LAST_SECOND
    except (TypeError, ValueError, OverflowError):
        return None
