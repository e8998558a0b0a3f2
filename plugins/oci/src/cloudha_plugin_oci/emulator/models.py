"""Hold the emulator's documents to Oracle's: every answer is read and written again by the SDK's own models.

Nothing may be lost (a field that no model has), nothing changed (a wrong type), and no word used that a model does not
list. The same goes for the bodies that are sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from dateutil.parser import isoparse
from oci.auth.signers.security_token_signer import SecurityTokenSigner
from oci.base_client import BaseClient
from oci.core.models import core_type_mapping

from cloudha.testing.emulator import Reply, Request

__all__ = ["problems"]

# Operation -> model of the answer, model of the body ("" for none); lists are lists of the former.
MODELS = {
    "instances.list": ("Instance", ""),
    "instances.get": ("Instance", ""),
    "power_off": ("Instance", ""),
    "power_on": ("Instance", ""),
    "attachments.list": ("VnicAttachment", ""),
    "vnics.get": ("Vnic", ""),
    "private_ips.list": ("PrivateIp", ""),
    "private_ips.get": ("PrivateIp", ""),
    "private_ips.create": ("PrivateIp", "CreatePrivateIpDetails"),
    "private_ips.update": ("PrivateIp", "UpdatePrivateIpDetails"),
    "private_ips.detach": ("PrivateIp", ""),
    "ipv6s.list": ("Ipv6", ""),
    "ipv6s.get": ("Ipv6", ""),
    "ipv6s.create": ("Ipv6", "CreateIpv6Details"),
    "ipv6s.update": ("Ipv6", "UpdateIpv6Details"),
    "ipv6s.detach": ("Ipv6", ""),
    "public_ips.list": ("PublicIp", ""),
    "public_ips.get": ("PublicIp", ""),
    "public_ips.by_address": ("PublicIp", "GetPublicIpByIpAddressDetails"),
    "public_ips.update": ("PublicIp", "UpdatePublicIpDetails"),
    "route_tables.get": ("RouteTable", ""),
    "route_tables.update": ("RouteTable", "UpdateRouteTableDetails"),
    "subnets.get": ("Subnet", ""),
}
LIST = re.compile(r"list\[(.+)\]\Z")
STAMP = re.compile(r"\d{4}-\d\d-\d\dT")


def problems(operation: str, request: Request, reply: Reply) -> list[str]:
    """Return what does not fit, in the request's body and in a successful answer; nothing for what has no model."""
    answer, body = MODELS.get(operation, ("", ""))
    found: list[str] = []
    if body and request.body.strip() and reply.status < 400:
        found += _differences(json.loads(request.body), body, "request")
    if answer and reply.status < 300 and reply.body.strip():
        document = json.loads(reply.body)
        for item in document if isinstance(document, list) else [document]:
            found += _differences(item, answer, "answer")
    if answer and reply.status >= 400 and set(json.loads(reply.body)) != {"code", "message"}:
        found.append("an error document is {code, message}")
    return found


def _differences(document: Any, model: str, where: str) -> Iterator[str]:  # noqa: ANN401 - any JSON
    client = _client()
    read = client.deserialize_response_data(json.dumps(document).encode(), model)
    try:
        written = client.sanitize_for_serialization(read)
    except TypeError as error:
        yield f"{where} {model}: {error}"
        return
    yield from _compared(document, written, f"{where} {model}")
    yield from _words(read, f"{where} {model}")


def _compared(sent: Any, written: Any, where: str) -> Iterator[str]:  # noqa: ANN401 - any JSON
    if isinstance(sent, dict) and isinstance(written, dict):
        for name in sorted(set(sent) | set(written)):
            if name not in written:
                yield f"{where}.{name} is lost"
            elif name not in sent:
                yield f"{where}.{name} has come out of nothing"
            else:
                yield from _compared(sent[name], written[name], f"{where}.{name}")
    elif isinstance(sent, list) and isinstance(written, list) and len(sent) == len(written):
        for number, (one, other) in enumerate(zip(sent, written, strict=True)):
            yield from _compared(one, other, f"{where}[{number}]")
    elif isinstance(sent, str) and isinstance(written, str) and STAMP.match(sent) and STAMP.match(written):
        if isoparse(sent) != isoparse(written):
            yield f"{where} is another moment"
    elif sent != written or type(sent) is not type(written):
        yield f"{where} was {sent!r} and came back as {written!r}"


def _words(read: Any, where: str) -> Iterator[str]:  # noqa: ANN401 - any of the SDK's models
    """Find what the SDK maps to UNKNOWN_ENUM_VALUE: words that its models do not list."""
    for name, kind in getattr(read, "swagger_types", {}).items():
        value = getattr(read, name)
        if isinstance(value, str) and value == "UNKNOWN_ENUM_VALUE":
            yield f"{where}.{name} has a word that the model does not list"
        if LIST.match(kind) and isinstance(value, list):
            for item in value:
                yield from _words(item, f"{where}.{name}")


def _client() -> Any:  # noqa: ANN401 - the SDK's, which has no types
    """Return the SDK's reader and writer, without a network: neither its endpoint nor its signer is used."""
    if "client" not in _KEPT:
        # Of a class that the SDK lets go without a configuration; nothing is ever signed with it.
        signer = SecurityTokenSigner.__new__(SecurityTokenSigner)
        _KEPT["client"] = BaseClient(
            "emulator", {}, signer, core_type_mapping, service_endpoint="http://127.0.0.1", base_path="/20160918"
        )
    return _KEPT["client"]


_KEPT: dict[str, Any] = {}
