"""AWS's XML: its errors, and ways to spoil an answer for a fault."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

__all__ = ["ec2_error", "emptied", "hollow", "sts_error", "with_request_id", "without"]

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def ec2_error(code: str, message: str) -> bytes:
    """Return an error as EC2 writes it."""
    return (
        f"{HEAD}<Response><Errors><Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
        f"</Errors><RequestID>{uuid.uuid4()}</RequestID></Response>"
    ).encode()


def sts_error(code: str, message: str) -> bytes:
    """Return an error as STS writes it."""
    return (
        f'{HEAD}<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
        f"<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    ).encode()


def with_request_id(text: str) -> bytes:
    """Give each answer a request id of its own; moto's is always the same."""
    own = str(uuid.uuid4())
    for name in ("requestId", "RequestID", "RequestId"):
        start, end = text.find(f"<{name}>"), text.find(f"</{name}>")
        if 0 <= start < end:
            return (text[: start + len(name) + 2] + own + text[end:]).encode()
    return text.encode()


def without(body: bytes, names: Collection[str]) -> bytes:
    """Leave elements of these names out, wherever they are. ``InstanceId`` also means ``instanceId``."""
    lower = {name.lower() for name in names}
    return _changed(body, lambda child: _local(child).lower() in lower)


def hollow(body: bytes) -> bytes:
    """Leave out every element that has text and no elements in it."""
    return _changed(body, lambda child: len(child) == 0)


def emptied(body: bytes) -> bytes:
    """Leave every list empty."""
    return _changed(body, lambda child: _local(child) in ("item", "member"))


def _changed(body: bytes, unwanted: Callable[[ET.Element], bool]) -> bytes:
    root = ET.fromstring(body)  # noqa: S314 - our own answer
    for parent in list(root.iter()):
        for child in list(parent):
            if unwanted(child):
                parent.remove(child)
    return HEAD.encode() + ET.tostring(root)


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]
