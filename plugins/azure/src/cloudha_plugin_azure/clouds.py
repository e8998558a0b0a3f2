"""Where Azure's API is: the public cloud, the sovereign ones, Azure Stack Hub, and endpoints of one's own."""

from __future__ import annotations

from typing import NamedTuple

from cloudha import web
from cloudha.provider import ConfigurationError, Context

__all__ = ["Cloud", "cloud_of"]

# The oldest versions that have all that is used; a pinned version means the same in every cloud and SDK.
# Compute: 2023-09-01 is the first whose list of a resource group takes $expand=instanceView.
COMPUTE_VERSION = "2024-03-01"
NETWORK_VERSION = "2025-03-01"
PERMISSIONS_VERSION = "2022-04-01"
# Azure Stack Hub's API profile 2020-09-01-hybrid ("Resource provider API versions supported by profiles").
STACK_COMPUTE_VERSION = "2020-06-01"
STACK_NETWORK_VERSION = "2018-11-01"
STACK_PERMISSIONS_VERSION = "2015-07-01"
STACK_DISCOVERY_VERSION = "2015-01-01"


class Cloud(NamedTuple):
    """``api`` and ``authority`` are URLs; ``audience`` is what a token must be for; the versions are the API's."""

    api: str
    authority: str
    audience: str
    compute_version: str = COMPUTE_VERSION
    network_version: str = NETWORK_VERSION
    permissions_version: str = PERMISSIONS_VERSION
    #: whether a listing can include each machine's power state
    lists_power: bool = True


KNOWN = {
    "public": Cloud(
        "https://management.azure.com", "https://login.microsoftonline.com", "https://management.azure.com/"
    ),
    "china": Cloud(
        "https://management.chinacloudapi.cn",
        "https://login.chinacloudapi.cn",
        "https://management.core.chinacloudapi.cn/",
    ),
    "usgov": Cloud(
        "https://management.usgovcloudapi.net",
        "https://login.microsoftonline.us",
        "https://management.core.usgovcloudapi.net/",
    ),
}


def cloud_of(context: Context) -> Cloud:
    """Return the cloud that the parameters mean, asked for once.

    :raises ConfigurationError: an endpoint is missing or no https URL: a token must not travel unencrypted.
    """
    return context.once("azure.cloud", lambda: _cloud_of(context))


def _cloud_of(context: Context) -> Cloud:
    name = context.settings.text("cloud") or "public"
    found = _stack(context) if name == "stack" else KNOWN[name]
    api = web.base_url(context, "endpoint", found.api)
    authority = web.base_url(context, "identity_endpoint", found.authority)
    for parameter, url in (("endpoint", api), ("identity_endpoint", authority)):
        if not url.startswith("https://"):
            raise ConfigurationError(f"parameter {parameter} is not https", advice="write https://HOST[:PORT]")
    return found._replace(api=api, authority=authority)


def _stack(context: Context) -> Cloud:
    """Ask the installation itself for what its tokens are for."""
    if not context.settings.text("endpoint"):
        raise ConfigurationError(
            "cloud=stack needs endpoint=", advice="add endpoint=https://management.REGION.FQDN of your Azure Stack Hub"
        )
    api = web.base_url(context, "endpoint")
    url = web.join(api, "metadata", "endpoints", **{"api-version": STACK_DISCOVERY_VERSION})
    answer = web.request(context, "GET", url)
    web.raise_for_status(answer, "the endpoints of this Azure Stack Hub")
    issuer = web.field(answer.json(), "authentication", dict)
    audiences = web.field(issuer, "audiences", list)
    if not audiences or not isinstance(audiences[0], str):
        raise ConfigurationError("this Azure Stack Hub names no audience", advice="check endpoint=")
    authority = web.field(issuer, "loginEndpoint", str).rstrip("/")
    versions = (STACK_COMPUTE_VERSION, STACK_NETWORK_VERSION, STACK_PERMISSIONS_VERSION)
    return Cloud(api, authority, audiences[0], *versions, lists_power=False)
