"""Where IBM Cloud is: the API of a region, IAM and the metadata service; private and staging ones by parameters."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from cloudha import web
from cloudha.provider import CloudhaError, ConfigurationError, Context
from cloudha_plugin_ibm import metadata

__all__ = ["api", "identity", "region"]

# The regional endpoints of the VPC API all have this form; see REGIONAL_ENDPOINTS of the SDK's client.
API = "https://{region}.iaas.cloud.ibm.com"
VERSION_PATH = "/v1"
IDENTITY = "https://iam.cloud.ibm.com"
ZONE = re.compile(r"(?P<region>[a-z]{2,}(-[a-z0-9]+)+)-\d+\Z")
REGION = re.compile(r"[a-z]{2,}(-[a-z0-9]+)+\Z")


def api(context: Context) -> str:
    """Return the URL of the VPC API, with its version, as the SDK wants it.

    :raises ConfigurationError: the region is not known, or the endpoint is no URL that may see a token.
    """
    default = "" if context.settings.text("endpoint") else API.format(region=region(context))
    url = _guarded(context, "endpoint", default)
    return url if url.endswith(VERSION_PATH) else url + VERSION_PATH


def identity(context: Context) -> str:
    """Return the URL of IAM, which makes tokens of API keys."""
    return _guarded(context, "identity_endpoint", IDENTITY)


def region(context: Context) -> str:
    """Return the region: the parameter, else the one that this machine is in.

    :raises ConfigurationError: the parameter is no region's name, or this machine's cannot be found out.
    """
    given = context.settings.text("region")
    if given and not REGION.match(given):
        raise ConfigurationError(f"parameter region={given!r} is no region", advice="write region=us-south, or another")
    return given or context.once("ibm.region", lambda: _own_region(context))


def _own_region(context: Context) -> str:
    try:
        zone = metadata.zone(context)
    except ConfigurationError as error:
        raise ConfigurationError(
            f"the region is not known: {error.cause}", advice="add region=us-south, or yours"
        ) from None
    except CloudhaError as error:
        error.advice = f"add region=...; {error.advice}" if error.advice else "add region=..."
        raise
    found = ZONE.match(zone)
    if not found:
        raise ConfigurationError(
            f"this machine's zone {zone!r} names no region", advice="add region=us-south, or yours"
        )
    return found["region"]


def _guarded(context: Context, parameter: str, default: str) -> str:
    """Return the URL; unencrypted only where it names an address that no other network has."""
    url = web.base_url(context, parameter, default)
    parts = urlsplit(url)
    if parts.scheme != "https" and not _private(parts.hostname or ""):
        raise ConfigurationError(
            f"parameter {parameter} is not https: keys and tokens would travel unencrypted",
            advice="write https://HOST[:PORT]; http is for private and loopback addresses only",
        )
    return url


def _private(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False
