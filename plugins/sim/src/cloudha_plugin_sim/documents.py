"""The JSON documents of the API: what it answers with, and how it reads what it is sent."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from cloudha.testing.emulator import Reply, Request
from cloudha.types import IPAddress, Kind
from cloudha_plugin_sim.records import Address, CloudError, Instance

__all__ = ["address_document", "error_reply", "machine_document", "read_body", "read_ip", "read_kind"]


def machine_document(instance: Instance) -> dict[str, object]:
    """``{"id", "name", "state", "group", "nics": [{"id", "mac", "address"}]}``."""
    return {
        "id": instance.id,
        "name": instance.name,
        "state": instance.state.value,
        "group": instance.group,
        "nics": [{"id": nic.id, "mac": nic.mac, "address": str(nic.address)} for nic in instance.nics],
    }


def address_document(address: Address) -> dict[str, object]:
    """``{"kind", "ip", "machine": id or null, "where", "own"}``."""
    return {
        "kind": address.kind.value,
        "ip": str(address.ip),
        "machine": address.machine,
        "where": address.where,
        "own": address.own,
    }


def error_reply(error: CloudError) -> Reply:
    """``{"error": {"code", "message"}}``, with Retry-After when the error says so."""
    headers = {} if error.retry_after is None else {"Retry-After": f"{error.retry_after:.3f}"}
    return Reply.json({"error": {"code": error.code, "message": error.message}}, status=error.status, headers=headers)


def read_body(request: Request, wanted: Mapping[str, Any]) -> dict[str, object]:
    """Return the body's fields, which must be among the wanted ones and of their types (a type, or a tuple of them).

    :raises CloudError: 400.
    """
    try:
        document = request.json()
    except ValueError:
        raise CloudError(400, "invalid", "the body is not JSON") from None
    if not isinstance(document, dict):
        raise CloudError(400, "invalid", "the body is not an object")
    for name, value in document.items():
        if name not in wanted or not isinstance(value, wanted[name]):
            raise CloudError(400, "invalid", f"field {name} is unknown, or of the wrong type")
    return document


def read_kind(text: str) -> Kind:
    """Return the kind of address; :class:`CloudError` 400."""
    try:
        return Kind(text)
    except ValueError:
        raise CloudError(400, "invalid", "kind is private, public or route") from None


def read_ip(text: str) -> IPAddress:
    """Return the parsed address; :class:`CloudError` 400."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise CloudError(400, "invalid", "that is no IP address") from None
