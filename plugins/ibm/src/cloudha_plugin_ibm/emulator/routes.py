"""The operations of the emulated services: their names, methods and paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from cloudha.testing.emulator import Request

__all__ = ["PUBLIC", "found"]


class Operation(NamedTuple):
    """One operation; ``name`` is what faults and the log call it."""

    name: str
    method: str
    path: re.Pattern[str]


def _operation(name: str, method: str, path: str) -> Operation:
    return Operation(name, method, re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)))


INTERFACE = "/v1/virtual_network_interfaces/{interface}"
TABLES = "/v1/vpcs/{vpc}/routing_tables"
ROUTES = f"{TABLES}/{{table}}/routes"
OPERATIONS = (
    _operation("machines.list", "GET", "/v1/instances"),
    _operation("machines.get", "GET", "/v1/instances/{machine}"),
    _operation("power", "POST", "/v1/instances/{machine}/actions"),
    _operation("vpcs.list", "GET", "/v1/vpcs"),
    _operation("subnets.list", "GET", "/v1/subnets"),
    _operation("reserved_ips.list", "GET", "/v1/subnets/{subnet}/reserved_ips"),
    _operation("interfaces.list", "GET", "/v1/virtual_network_interfaces"),
    _operation("interfaces.get", "GET", INTERFACE),
    _operation("reserved_ips.bind", "PUT", f"{INTERFACE}/ips/{{reserved}}"),
    _operation("reserved_ips.unbind", "DELETE", f"{INTERFACE}/ips/{{reserved}}"),
    _operation("floating_ips.list", "GET", "/v1/floating_ips"),
    _operation("floating_ips.bind", "PATCH", "/v1/floating_ips/{floating}"),
    _operation("floating_ips.unbind", "DELETE", f"{INTERFACE}/floating_ips/{{floating}}"),
    _operation("tables.list", "GET", TABLES),
    _operation("routes.list", "GET", ROUTES),
    _operation("routes.create", "POST", ROUTES),
    _operation("routes.change", "PATCH", f"{ROUTES}/{{route}}"),
    _operation("routes.delete", "DELETE", f"{ROUTES}/{{route}}"),
    _operation("iam.token", "POST", "/identity/token"),
    _operation("metadata.identity", "PUT", "/(instance_identity|identity)/v1/token"),
    _operation("metadata.iam_token", "POST", "/(instance_identity/v1/iam_token|identity/v1/iam_tokens)"),
    _operation("metadata.instance", "GET", "/metadata/v1/instance"),
)
#: what needs no IAM token
PUBLIC = ("iam.", "metadata.")


def found(request: Request) -> tuple[str, Mapping[str, str]] | None:
    """Return the operation's name and the parts of its path, None for no operation."""
    for operation in OPERATIONS:
        match = operation.path.fullmatch(request.path)
        if match and operation.method == request.method:
            return (_power(request) if operation.name == "power" else operation.name), match.groupdict()
    return None


def _power(request: Request) -> str:
    """Return which of the actions is asked for: a fence's own requests have a name of their own."""
    try:
        body = request.json()
    except ValueError:
        return "power_unknown"
    kinds = {"stop": "power_off", "start": "power_on"}
    return kinds.get(str(body.get("type")), "power_unknown") if isinstance(body, dict) else "power_unknown"
