"""The instance metadata service, version 2: who this machine is, its VNICs, and its certificates. No SDK.

The service is reached directly, never through a proxy, with the header that keeps forged requests out. What it says of
VNICs is who they are (their OCIDs, MACs and primary addresses): floating addresses it does not know.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from cloudha import web
from cloudha.provider import (
    AccessDenied,
    Context,
    CredentialsMissing,
    LocalConfigurationError,
    Node,
    NotFound,
    PowerState,
    Unavailable,
)

__all__ = ["Certificates", "LocalVnic", "certificates", "compartment", "node", "node_id", "realm", "vnics"]

# The address is the same on every instance of OCI.
ENDPOINT = "http://169.254.169.254"
VERSION = "/opc/v2"
# Oracle's SDK reads the same variable for the instance's certificates: one setting for both.
ENDPOINT_VARIABLE = "OCI_METADATA_BASE_URL"
HEADERS = {"Authorization": "Bearer Oracle"}
MOST_BYTES = 262_144
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")
INSTANCE = "ocid1.instance."
ELSEWHERE = "on a machine that is no OCI instance give region=, compartment_id=, subnet_id= and node="
NO_CERTIFICATE = "give auth=api_key, or check that this is an OCI instance and root may reach its metadata service"


class LocalVnic(NamedTuple):
    """A VNIC of this machine; ``mac`` in lower case. ``subnet``: its IPv4 range, "" where that is not said."""

    id: str
    mac: str
    subnet: str = ""


class Certificates(NamedTuple):
    """What makes this instance a principal: its certificate, the private key of that, the intermediate; all PEM."""

    leaf: bytes
    key: bytes
    intermediate: bytes


def node(context: Context) -> Node:
    """Return this instance.

    :raises Unavailable: the service does not answer.
    :raises LocalConfigurationError: this is no instance of OCI.
    """
    return Node(node_id(context), web.field(_instance(context), "displayName", str), PowerState.ON)


def node_id(context: Context) -> str:
    """Return this instance's OCID."""
    found = web.field(_instance(context), "id", str)
    if not found.startswith(INSTANCE):
        raise LocalConfigurationError("the metadata service names no instance", advice=ELSEWHERE)
    return found


def compartment(context: Context) -> str:
    """Return the OCID of the compartment that this instance is in."""
    return web.field(_instance(context), "compartmentId", str)


def realm(context: Context) -> tuple[str, str]:
    """Return the region (``eu-frankfurt-1``) and the realm's domain (``oraclecloud.com``) that this instance is in."""
    info = web.field(_instance(context), "regionInfo", dict)
    return web.field(info, "regionIdentifier", str), web.field(info, "realmDomainComponent", str)


def vnics(context: Context) -> tuple[LocalVnic, ...]:
    """Return this instance's VNICs. An OCID of a VNIC belongs to one instance as long as it exists."""
    document = _json(context, "vnics/")
    if not isinstance(document, list) or not document:
        raise Unavailable("the metadata service lists no VNIC", advice=ELSEWHERE)
    found = tuple(
        LocalVnic(
            web.field(item, "vnicId", str),
            web.field(item, "macAddr", str).lower(),
            str(item.get("subnetCidrBlock") or ""),
        )
        for item in document
    )
    if not all(MAC.match(item.mac) for item in found):
        raise Unavailable("the metadata service lists a VNIC whose MAC is none", advice=ELSEWHERE)
    return found


def certificates(context: Context) -> Certificates:
    """Return the instance's certificates, which change several times a day.

    :raises CredentialsMissing: the instance has none.
    """
    return Certificates(*(_pem(context, f"identity/{name}.pem") for name in ("cert", "key", "intermediate")))


def endpoint(context: Context) -> str:
    """Return the metadata service's URL: the parameter, else the SDK's own variable, else the well-known address."""
    if context.settings.text("metadata_endpoint"):
        base = web.base_url(context, "metadata_endpoint")
        return base if base.endswith(VERSION) else base + VERSION
    return os.environ.get(ENDPOINT_VARIABLE, "").strip().rstrip("/") or ENDPOINT + VERSION


def _instance(context: Context) -> object:
    """Return the document about this instance, asked for once: who we are does not change."""
    return context.once("oci.metadata", lambda: _json(context, "instance/"))


def _json(context: Context, path: str) -> object:
    try:
        answer = _get(context, path)
        if answer.status == 404:
            raise LocalConfigurationError(f"{answer.origin} is no metadata service of OCI", advice=ELSEWHERE)
        web.raise_for_status(answer, "this machine's metadata")
    except (AccessDenied, NotFound) as error:
        raise Unavailable(error.cause, advice=ELSEWHERE) from None
    return answer.json()


def _pem(context: Context, path: str) -> bytes:
    answer = _get(context, path)
    if answer.status == 404:
        raise CredentialsMissing(f"{answer.origin} has no certificate for this machine", advice=NO_CERTIFICATE)
    try:
        web.raise_for_status(answer, "this instance's certificate")
    except (AccessDenied, NotFound) as error:
        raise CredentialsMissing(error.cause, advice=NO_CERTIFICATE) from None
    body = answer.body.strip()
    if not body.startswith(b"-----BEGIN ") or not body.endswith(b"-----"):
        # Never shown, not even in part: it may be the private key.
        raise Unavailable(f"{answer.origin} answered something that is no certificate", advice=ELSEWHERE)
    return body + b"\n"


def _get(context: Context, path: str) -> web.Answer:
    return web.request(context, "GET", f"{endpoint(context)}/{path}", headers=HEADERS, max_bytes=MOST_BYTES)
