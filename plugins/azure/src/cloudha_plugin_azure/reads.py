"""Reads of Azure Resource Manager without its SDK: one GET with a bearer token, as a monitor sends it all the time.

Importing the SDK was four fifths of what a monitor cost: azure.mgmt.network with its models 0.23 s of CPU, azure.core
with requests 0.08 s, the request itself some milliseconds. A read uses nothing of that: neither models (see
:mod:`cloudha_plugin_azure.arm`) nor retries, redirects or logs. What changes something, and what proves who we are by a
secret or a certificate, stays with the SDK.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from cloudha import __version__, web
from cloudha.provider import Context, LocalConfigurationError, Unavailable
from cloudha_plugin_azure.clouds import cloud_of
from cloudha_plugin_azure.credentials import credential
from cloudha_plugin_azure.errors import from_document, translated, unanswered

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

__all__ = [
    "BEFORE_THE_END",
    "COMPUTE",
    "NETWORK",
    "UNREADABLE",
    "Answer",
    "answered",
    "authorities",
    "possible",
    "read",
    "scope",
    "url",
]

COMPUTE = "compute"
NETWORK = "network"
UNREADABLE = "check that the endpoint is Azure Resource Manager's, and no proxy answers in its place"
REQUEST_ID = "x-ms-request-id"
# Where the API has what the SDK's operations are about.
PLACES = {
    "virtual_machines": ("Microsoft.Compute", "virtualMachines"),
    "network_interfaces": ("Microsoft.Network", "networkInterfaces"),
    "public_ip_addresses": ("Microsoft.Network", "publicIPAddresses"),
    "route_tables": ("Microsoft.Network", "routeTables"),
}
# What the SDK's transport takes from the environment: with one of these in it, reads go the SDK's way, as writes do.
SDK_VARIABLES = frozenset({"http_proxy", "https_proxy", "all_proxy", "requests_ca_bundle", "curl_ca_bundle"})
BEFORE_THE_END = 0.8
# A page of some ten thousand interfaces.
MOST_BYTES = 64 << 20


class Answer(NamedTuple):
    """``document``: the body's JSON, None when it is empty. ``operation``: where a change under way is followed."""

    document: Any
    request_id: str
    operation: str
    status: int
    headers: Mapping[str, str]


def possible() -> bool:
    """Whether a read is as good without the SDK: nothing in the environment tells the SDK another way to the API."""
    return not any(value and name.lower() in SDK_VARIABLES for name, value in os.environ.items())


def url(
    context: Context, service: str, subscription: str, operations: str, *names: str, expand: str | None = None
) -> str:
    """Return the address of a resource (*names*: group and name), or of a list (the group, or nothing for all)."""
    cloud = cloud_of(context)
    version = cloud.compute_version if service == COMPUTE else cloud.network_version
    group = ("resourceGroups", names[0]) if names else ()
    segments = ("subscriptions", subscription, *group, "providers", *PLACES[operations], *names[1:])
    return web.join(cloud.api, *segments, **{"api-version": version, "$expand": expand})


def read(context: Context, place: str, what: str) -> Answer:
    """Send a GET to the API and return what it answers.

    :param place: an address of the API itself, since our token goes there.
    :raises CloudhaError: it was not answered, or refused.
    """
    # A file that cannot be read is the operator's mistake on this node, whatever the endpoint.
    authorities(context)
    headers = {
        "Authorization": f"Bearer {_token(context, what)}",
        # http.client would write port 443 out, which no other client does.
        "Host": urlsplit(place).netloc,
        "User-Agent": f"cloudha/{__version__}",
    }
    try:
        found = web.request(_sooner(context), "GET", place, headers=headers, max_bytes=MOST_BYTES)
    except Unavailable as error:
        raise unanswered(error) from None
    if found.status >= 300:
        raise from_document(found.status, found.headers, found.body, what)
    if found.status != 200:
        raise Unavailable(f"the API answered {found.status} for {what}, which is no answer to a read")
    return answered(found.json() if found.body.strip() else None, found.status, found.headers)


def answered(document: object, status: int, headers: Mapping[str, str]) -> Answer:
    """Return an answer with what its headers say (their names in lower case)."""
    operation = headers.get("azure-asyncoperation") or headers.get("location") or ""
    return Answer(document, headers.get(REQUEST_ID, ""), operation, status, headers)


def scope(context: Context) -> str:
    """Return what a token must be for, in the form that credentials take."""
    return f"{cloud_of(context).audience.rstrip('/')}/.default"


def authorities(context: Context) -> str | bool:
    """Return the file with the certificate authorities to trust, True for the usual ones.

    :raises LocalConfigurationError: it cannot be read.
    """
    path = context.settings.text("ca_file")
    if path and not os.access(path, os.R_OK):
        raise LocalConfigurationError(
            f"parameter ca_file={path!r} cannot be used: it is not there, or not readable",
            advice="it must be a PEM file with certificate authorities, readable on this node",
        )
    return path or True


def _sooner(context: Context) -> Context:
    """Return a context that ends a little before the host gives the call up: what is said here says more."""
    limits, most = context.timeouts, context.deadline.remaining * BEFORE_THE_END
    return Context(
        context.settings, context.deadline.within(most), connect_seconds=limits.connect, read_seconds=limits.read
    )


def _token(context: Context, what: str) -> str:
    try:
        known: TokenCredential = context.once("azure.credential", lambda: credential(context))
        return known.get_token(scope(context)).token
    except Exception as error:  # noqa: BLE001 - whatever an SDK raises; what is not its own goes on as it is
        raise translated(error, what) or error from None
