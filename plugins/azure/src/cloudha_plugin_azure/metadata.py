"""The instance metadata service: who this machine is, and tokens of its managed identity. No SDK.

The service is reached directly, never through a proxy. What it says of addresses is a hint: Microsoft does not say how
soon it follows a change.
"""

from __future__ import annotations

import ipaddress
import os

from cloudha import web
from cloudha.provider import (
    AccessDenied,
    Context,
    CredentialsMissing,
    IPAddress,
    LocalConfigurationError,
    Node,
    NotFound,
    PowerState,
    Unavailable,
)
from cloudha_plugin_azure.resource_ids import canonical, parse

__all__ = ["Token", "listed_addresses", "location", "node", "token"]

# The address is the same on every machine of Azure.
ENDPOINT = "http://169.254.169.254"
# azure-identity reads the same variable for the managed identity's tokens: one setting for both.
ENDPOINT_VARIABLE = "AZURE_POD_IDENTITY_AUTHORITY_HOST"
INSTANCE_VERSION = "2021-02-01"
TOKEN_VERSION = "2018-02-01"  # noqa: S105 - a version of the API
MOST_BYTES = 262_144
ELSEWHERE = "on a machine that is not in Azure give subscription_id=, resource_group= and node="
NO_IDENTITY = "assign a managed identity to the machine, check client_id=, or give client_secret= or certificate_file="
# Under this name the part about the machine is kept for the action.
MACHINE = "azure.metadata"
# "IMDS returns 404 or 410 while it is being updated": both pass.
PASSING = (404, 410)

Token = tuple[str, int]


def node(context: Context) -> Node:
    """Return this machine.

    :raises Unavailable: the service does not answer.
    :raises LocalConfigurationError: this is no machine of Azure.
    """
    compute = _compute(context)
    text = web.field(compute, "resourceId", str)
    if parse(text) is None:
        raise LocalConfigurationError("the metadata service names no virtual machine", advice=ELSEWHERE)
    return Node(canonical(text), web.field(compute, "name", str), PowerState.ON)


def location(context: Context) -> tuple[str, str]:
    """Return the subscription and the resource group that this machine is in."""
    compute = _compute(context)
    return web.field(compute, "subscriptionId", str), web.field(compute, "resourceGroupName", str)


def listed_addresses(context: Context) -> frozenset[IPAddress]:
    """Return every address, private and public, that the service lists now: a hint, it may lag behind."""
    found: set[IPAddress] = set()
    document = _document(context)
    # One request serves both: who we are does not change.
    context.once(MACHINE, lambda: web.field(document, "compute", dict))
    network = web.field(document, "network", dict)
    for interface in web.field(network, "interface", list):
        for version in ("ipv4", "ipv6"):
            for item in web.field(web.field(interface, version, dict), "ipAddress", list):
                texts = [str(item.get(name) or "") for name in ("privateIpAddress", "publicIpAddress")]
                try:
                    found.update(ipaddress.ip_address(text) for text in texts if text)
                except ValueError:
                    raise Unavailable("the metadata service lists an address that is none") from None
    return frozenset(found)


def token(context: Context, audience: str, client_id: str) -> Token:
    """Ask for a token of the managed identity; *client_id* "" for the only, or the system-assigned one.

    :return: the token and when it expires (seconds since 1970).
    :raises CredentialsMissing: the machine has no such identity.
    """
    query = {"api-version": TOKEN_VERSION, "resource": audience, "client_id": client_id or None}
    url = web.join(endpoint(context), "metadata", "identity", "oauth2", "token", **query)
    answer = web.request(context, "GET", url, headers={"Metadata": "true"}, max_bytes=MOST_BYTES)
    if answer.status == 400:
        try:
            web.raise_for_status(answer, "a token of the managed identity")
        except Unavailable as error:
            raise CredentialsMissing(error.cause, advice=NO_IDENTITY) from None
    if answer.status in PASSING:
        raise Unavailable(f"{answer.origin} answered {answer.status} for a token", advice="the service is updated")
    web.raise_for_status(answer, "a token of the managed identity")
    document = answer.json()
    value, expires = web.field(document, "access_token", str), web.field(document, "expires_on", str)
    if not value or not value.isascii() or not value.isprintable() or not expires.isdigit():
        raise Unavailable("the metadata service answered something that is no token", advice=ELSEWHERE)
    return value, int(expires)


def endpoint(context: Context) -> str:
    """Return the metadata service's URL: the parameter, else the SDK's own variable, else the well-known address."""
    if context.settings.text("metadata_endpoint"):
        return web.base_url(context, "metadata_endpoint")
    return os.environ.get(ENDPOINT_VARIABLE, "").rstrip("/") or ENDPOINT


def _compute(context: Context) -> dict[str, object]:
    """Return the part about the machine, asked for once: who we are does not change."""
    found: dict[str, object] = context.once(MACHINE, lambda: web.field(_document(context), "compute", dict))
    return found


def _document(context: Context) -> object:
    url = web.join(endpoint(context), "metadata", "instance", **{"api-version": INSTANCE_VERSION})
    try:
        answer = web.request(context, "GET", url, headers={"Metadata": "true"}, max_bytes=MOST_BYTES)
        if answer.status == 404:
            raise LocalConfigurationError(f"{answer.origin} is no metadata service of Azure", advice=ELSEWHERE)
        web.raise_for_status(answer, "this machine's metadata")
    except (AccessDenied, NotFound) as error:
        raise Unavailable(error.cause, advice=ELSEWHERE) from None
    return answer.json()
