"""Reads of OCI's API without its SDK: one signed request, as a monitor sends it every few seconds.

Importing the SDK was three quarters of what a monitor cost: ``import oci`` 0.22 s of CPU, a client and its models
0.13 s more. A read uses nothing of that but the signature (:mod:`cloudha_plugin_oci.signing`). What changes something,
and what the SDK knows of configuration files, regions and realms, stays with the SDK.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from cloudha import __version__, web
from cloudha.provider import Context, LocalConfigurationError, Unavailable
from cloudha_plugin_oci import metadata, signing
from cloudha_plugin_oci.credentials import Caller
from cloudha_plugin_oci.errors import ENDPOINT, from_answer, of_token, said, unanswered
from cloudha_plugin_oci.options import INSTANCE_PRINCIPAL

__all__ = ["OPERATIONS", "Answer", "authorities", "place", "possible", "read"]

VERSION = "/20160918"
#: The SDK's operations that only read: where they do, {} for an argument; and the names of other arguments.
OPERATIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "get_instance": ("instances/{}", ()),
    "get_ipv6": ("ipv6/{}", ()),
    "get_private_ip": ("privateIps/{}", ()),
    "get_public_ip_by_ip_address": ("publicIps/actions/getByIpAddress", ()),
    "get_route_table": ("routeTables/{}", ()),
    "get_vnic": ("vnics/{}", ()),
    "list_instances": ("instances", ("compartmentId",)),
    "list_ipv6s": ("ipv6", ()),
    "list_private_ips": ("privateIps", ()),
    "list_public_ips": ("publicIps", ("scope", "compartmentId")),
    "list_vnic_attachments": ("vnicAttachments", ("compartmentId",)),
}
# The SDK's names of filters, where the API has others.
FILTERS = {
    "display_name": "displayName",
    "instance_id": "instanceId",
    "ip_address": "ipAddress",
    "subnet_id": "subnetId",
    "vnic_id": "vnicId",
}
# What the SDK's transport takes from the environment: with one of these in it, reads go the SDK's way, as writes do.
SDK_VARIABLES = frozenset({"http_proxy", "https_proxy", "all_proxy", "requests_ca_bundle", "curl_ca_bundle"})
# A page of a thousand instances.
MOST_BYTES = 64 << 20


class Answer(NamedTuple):
    """``document``: the body's JSON, None when it is empty. ``etag``: for ``if_match``, "". ``next``: of a list, ""."""

    document: Any
    request_id: str
    etag: str
    next: str


def possible(context: Context) -> bool:
    """Whether a read is as good without the SDK: nothing in the environment tells the SDK another way to the API."""
    # With an authority of one's own, the SDK is told to leave the environment alone.
    return bool(context.settings.text("ca_file")) or not any(
        value and name.lower() in SDK_VARIABLES for name, value in os.environ.items()
    )


def place(context: Context, known: str) -> str:
    """Return the API's URL, "" where only the SDK knows it: that of another region than this instance's.

    :param known: the region that came with the credentials, "" for none.
    """
    if context.settings.text("endpoint"):
        base = web.base_url(context, "endpoint")
        return base if base.endswith(VERSION) else base + VERSION
    wanted = context.settings.text("region") or known
    if wanted and context.settings.text("auth") != INSTANCE_PRINCIPAL:
        return ""
    region, domain = metadata.realm(context)
    return f"https://iaas.{region}.{domain}{VERSION}" if wanted in ("", region) else ""


def read(
    context: Context,
    who: Caller,
    base: str,
    operation: str,
    *arguments: object,
    what: str,
    certain: bool,
    **more: object,
) -> Answer:
    """Send the request of an operation and return what OCI answers.

    :raises CloudhaError: it was not answered, or refused.
    """
    authorities(context)
    path, names = OPERATIONS[operation]
    given = list(arguments)
    segments = [str(given.pop(0)) if part == "{}" else part for part in path.split("/")]
    # One read is a POST, since what it looks for is in the body.
    body = json.dumps(given.pop(0)).encode() if "actions" in segments else None
    query = dict(zip(names, map(str, given), strict=True))
    query |= {FILTERS.get(name, name): str(value) for name, value in more.items()}
    url = web.join(base, *segments, **query)
    method = "GET" if body is None else "POST"
    headers = {"user-agent": f"cloudha/{__version__}", "opc-request-id": os.urandom(16).hex().upper()}
    headers |= signing.headers(who.key_id, who.key, method, url, body)
    try:
        found = web.request(context, method, url, headers=headers, body=body, max_bytes=MOST_BYTES)
    except Unavailable as error:
        raise unanswered(error) from None
    if 300 <= found.status < 400:
        raise Unavailable(f"a redirect ({found.status}) for {what}, which is not followed", advice=ENDPOINT)
    if found.status >= 400:
        raise of_token(from_answer(found.status, *said(found), found.headers, what, certain=certain), found.status)
    request_id = found.headers.get("opc-request-id", "")
    if found.status != 200 or not request_id:
        raise Unavailable(f"the answer about {what} is none of OCI's", advice=ENDPOINT, request_id=request_id)
    etag, following = found.headers.get("etag", ""), found.headers.get("opc-next-page", "")
    return Answer(found.json() if found.body.strip() else None, request_id, etag, following)


def authorities(context: Context) -> str:
    """Return the file with the certificate authorities to trust, "" for the usual ones.

    :raises LocalConfigurationError: it cannot be read.
    """
    path = context.settings.text("ca_file")
    if path and not os.access(path, os.R_OK):
        raise LocalConfigurationError(
            f"parameter ca_file={path!r} cannot be used: it is not there, or not readable",
            advice="it must be a PEM file with certificate authorities, readable on this node",
        )
    return path
