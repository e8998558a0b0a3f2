"""Reads of the VPC API without its SDK: one GET with the token that all actions share, as a monitor sends it.

Importing the SDK was four fifths of what a monitor cost: its client is one module of four megabytes, 0.25 s of CPU,
with requests another 0.1 s; the request itself takes some milliseconds. A read uses nothing of that: neither models nor
retries, and no redirect, proxy or ``.netrc`` is followed either way. What changes something stays with the SDK.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from cloudha import __version__, web
from cloudha.provider import Context, LocalConfigurationError, Unavailable
from cloudha_plugin_ibm import endpoints
from cloudha_plugin_ibm.errors import ENDPOINT, from_document, of_token, unanswered

__all__ = ["API_VERSION", "GENERATION", "PATHS", "Answer", "insist_authorities", "read"]

# A pinned date means the same with every version of the SDK. At this one instances have network attachments.
API_VERSION = "2025-05-06"
GENERATION = 2
#: The SDK's operations that only read, and where in the API they do; {} is an argument.
PATHS = {
    "get_instance": "instances/{}",
    "get_virtual_network_interface": "virtual_network_interfaces/{}",
    "list_floating_ips": "floating_ips",
    "list_instances": "instances",
    "list_subnet_reserved_ips": "subnets/{}/reserved_ips",
    "list_subnets": "subnets",
    "list_virtual_network_interfaces": "virtual_network_interfaces",
    "list_vpc_routing_table_routes": "vpcs/{}/routing_tables/{}/routes",
    "list_vpc_routing_tables": "vpcs/{}/routing_tables",
    "list_vpcs": "vpcs",
}
# The SDK's names of filters, where the API has others.
FILTERS = {
    "resource_group_id": "resource_group.id",
    "routing_table_id": "routing_table.id",
    "target_id": "target.id",
    "vpc_id": "vpc.id",
    "vpc_name": "vpc.name",
}
# A page of a hundred instances is some hundred kilobytes; the SDK knows no bound.
MOST_BYTES = 64 << 20


class Answer(NamedTuple):
    """``document``: the body's JSON, None when it is empty."""

    document: Any
    request_id: str
    status: int


def read(context: Context, token: str, operation: str, *arguments: object, **options: object) -> Answer:
    """Send the GET of an operation and return what the API answers.

    :raises CloudhaError: it was not answered, or refused.
    """
    insist_authorities(context)
    what = "/".join(map(str, arguments)) or operation.removeprefix("list_")
    given = iter(arguments)
    segments = [str(next(given)) if part == "{}" else part for part in PATHS[operation].split("/")]
    query = {FILTERS.get(name, name): str(value) for name, value in options.items()}
    query |= {"version": API_VERSION, "generation": str(GENERATION)}
    place = web.join(endpoints.api(context), *segments, **query)
    headers = {
        "Authorization": f"Bearer {token}",
        # http.client would write port 443 out, which no other client does.
        "Host": urlsplit(place).netloc,
        "User-Agent": f"cloudha/{__version__}",
    }
    try:
        found = web.request(context, "GET", place, headers=headers, max_bytes=MOST_BYTES)
    except Unavailable as error:
        raise unanswered(error) from None
    if found.status >= 300:
        raise of_token(from_document(found.status, found.headers, found.body, what), found.status)
    if found.status != 200 or "json" not in found.headers.get("content-type", ""):
        # A page of a proxy, of whatever type, with a status that says success.
        raise Unavailable(f"the answer about {what} is no document", advice=ENDPOINT)
    return Answer(found.json(), found.request_id, found.status)


def insist_authorities(context: Context) -> None:
    """Insist that the file with the certificate authorities can be read, whether or not the endpoint needs it.

    :raises LocalConfigurationError: it cannot.
    """
    path = context.settings.text("ca_file")
    if path and not os.access(path, os.R_OK):
        raise LocalConfigurationError(
            f"parameter ca_file={path!r} cannot be used: it is not there, or not readable",
            advice="it must be a PEM file with certificate authorities, readable on this node",
        )
