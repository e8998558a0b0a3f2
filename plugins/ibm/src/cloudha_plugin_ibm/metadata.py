"""The VPC metadata service: who this machine is, and tokens of its trusted profile. No SDK.

The service is off on an instance until somebody switches it on. It is reached directly, never through a proxy. Paths
and the dates in ``version`` are those of IBM's "VPC Metadata API" and "VPC Identity API".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from cloudha import web
from cloudha.provider import (
    AccessDenied,
    CloudhaError,
    Context,
    CredentialsMissing,
    LocalConfigurationError,
    Node,
    NotFound,
    PowerState,
    Unavailable,
)

__all__ = ["Token", "iam_token", "identify", "interfaces", "node", "read_token", "vpc", "zone"]

# The address is the same on every machine of IBM Cloud VPC.
ENDPOINT = "http://169.254.169.254"
# The dates that the SDK's own authenticator uses, and one at which instances have network attachments.
TOKEN_VERSION = "2022-03-01"  # noqa: S105 - a version of the API
INSTANCE_VERSION = "2025-05-06"
FLAVOR = {"Metadata-Flavor": "ibm"}
# The shortest that the SDK asks for; it is used for one or two requests.
IDENTITY_SECONDS = 300
MOST_BYTES = 262_144
# Under this name the instance's document is kept for the action.
INSTANCE = "ibm.metadata"
VNI = "virtual_network_interface"
ELSEWHERE = "on a machine that is not in IBM Cloud VPC give region=, node= and api_key_file="
OFF = "switch it on: ibmcloud is instance-update INSTANCE --metadata-service true"
UNLINKED = "link a trusted profile to the instance, check trusted_profile=, or give api_key_file="


class Token(NamedTuple):
    """An IAM token, and for how many seconds from when it was asked for it is good."""

    value: str
    seconds: int


def node(context: Context) -> Node:
    """Return this machine.

    :raises Unavailable: the service does not answer.
    :raises LocalConfigurationError: this is no machine of IBM Cloud VPC.
    """
    document = _instance(context)
    return Node(web.field(document, "id", str), web.field(document, "name", str), PowerState.ON)


def zone(context: Context) -> str:
    """Return the zone that this machine is in."""
    return web.field(web.field(_instance(context), "zone", dict), "name", str)


def vpc(context: Context) -> str:
    """Return the id of the VPC that this machine is in."""
    return web.field(web.field(_instance(context), "vpc", dict), "id", str)


def interfaces(context: Context, machine: str) -> tuple[str, ...]:
    """Return the ids of the VNIs that this machine has, by what was asked of the service in this action already.

    A hint: IBM documents no freshness. () where nothing was asked yet, this is another machine, or it does not say.
    """
    try:
        document = context.once(INSTANCE, _nothing)
        if web.field(document, "id", str) != machine:
            return ()
        held = [web.field(item, VNI, dict) for item in web.field(document, "network_attachments", list)]
        return tuple(web.field(reference, "id", str) for reference in held)
    except (LookupError, Unavailable):
        return ()


def iam_token(context: Context, profile: str) -> Token:
    """Ask for a token of a trusted profile: by id, CRN or name, "" for the instance's default one.

    :raises CredentialsMissing: no such profile is linked to the instance.
    """
    url = web.join(_endpoint(context), "instance_identity", "v1", "iam_token", version=TOKEN_VERSION)
    body = {"trusted_profile": identify(profile)} if profile else {}
    answer = web.request(context, "POST", url, headers=_authorized(context), document=body, max_bytes=MOST_BYTES)
    what = "a token of the trusted profile"
    if 400 <= answer.status < 500 and answer.status != 429:
        # 400 profile_not_linked, 404 not_found, 403: whatever the reason, there is no token to be had.
        try:
            web.raise_for_status(answer, what)
        except CloudhaError as error:
            raise CredentialsMissing(error.cause, advice=UNLINKED, request_id=error.request_id) from None
    web.raise_for_status(answer, what)
    return read_token(answer.json())


def identify(profile: str) -> Mapping[str, str]:
    """Return what names a trusted profile in a request."""
    if profile.startswith("crn:"):
        return {"crn": profile}
    return {"id": profile} if profile.startswith("Profile-") else {"name": profile}


def read_token(document: object) -> Token:
    """Read an answer that holds a token, from here or from IAM.

    :raises Unavailable: it is none.
    """
    value, seconds = web.field(document, "access_token", str), web.field(document, "expires_in", int)
    if not value or not value.isascii() or not value.isprintable() or " " in value or seconds <= 0:
        raise Unavailable("the answer holds something that is no token", advice="check the endpoint")
    return Token(value, seconds)


def _instance(context: Context) -> object:
    """Return the instance's document, asked for once: who we are does not change."""
    return context.once(INSTANCE, lambda: _read(context))


def _nothing() -> object:
    raise LookupError


def _read(context: Context) -> object:
    url = web.join(_endpoint(context), "metadata", "v1", "instance", version=INSTANCE_VERSION)
    try:
        answer = web.request(context, "GET", url, headers=_authorized(context), max_bytes=MOST_BYTES)
        if answer.status == 404:
            raise LocalConfigurationError(f"{answer.origin} is no metadata service of IBM Cloud VPC", advice=ELSEWHERE)
        web.raise_for_status(answer, "this machine's metadata")
    except (AccessDenied, NotFound) as error:
        raise Unavailable(error.cause, advice=ELSEWHERE) from None
    document = answer.json()
    web.field(document, "id", str)
    return document


def _authorized(context: Context) -> dict[str, str]:
    """Return the headers of a request: the service answers only those who have asked it for a token before."""
    return {**FLAVOR, "Authorization": f"Bearer {context.once('ibm.identity', lambda: _identity(context))}"}


def _identity(context: Context) -> str:
    url = web.join(_endpoint(context), "instance_identity", "v1", "token", version=TOKEN_VERSION)
    try:
        answer = web.request(
            context, "PUT", url, headers=FLAVOR, document={"expires_in": IDENTITY_SECONDS}, max_bytes=MOST_BYTES
        )
        if answer.status in (403, 404):
            raise LocalConfigurationError(
                f"the metadata service of this machine is off, or {answer.origin} is none", advice=f"{OFF}; {ELSEWHERE}"
            )
        web.raise_for_status(answer, "this machine's identity")
    except AccessDenied as error:
        raise Unavailable(error.cause, advice=OFF) from None
    except Unavailable as error:
        error.advice = f"{OFF}; {ELSEWHERE}"
        raise
    return read_token(answer.json()).value


def _endpoint(context: Context) -> str:
    return web.base_url(context, "metadata_endpoint", ENDPOINT)
