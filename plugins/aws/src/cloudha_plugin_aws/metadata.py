"""The instance metadata service, version 2 (IMDSv2): who this machine is and which addresses it has. No SDK.

Every request carries a session token, which is asked for once in an action. An answer that cannot be read is
:class:`~cloudha.errors.Unavailable`, never "no addresses".
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping

from cloudha import web
from cloudha.provider import (
    AccessDenied,
    Context,
    IPAddress,
    LocalConfigurationError,
    Node,
    NotFound,
    PowerState,
    Unavailable,
)

__all__ = ["Identity", "held_addresses", "instance_id", "local_vpcs", "node", "role_attached", "this_region"]

# The address is the same on every machine of AWS.
ENDPOINT = "http://169.254.169.254"
# botocore reads the same variable for the role's credentials: one setting for both.
ENDPOINT_VARIABLE = "AWS_EC2_METADATA_SERVICE_ENDPOINT"
# An action is over within minutes; a token that outlives it is of no use to anybody.
TOKEN_LIFE = "300"  # noqa: S105 - seconds, as the header wants them
TOKEN_HEADER = "X-aws-ec2-metadata-token"  # noqa: S105 - the name of a header
INSTANCE = re.compile(r"i-[0-9a-f]{8,17}\Z")
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")
MOST_BYTES = 65_536
ELSEWHERE = "on a machine that is no EC2 instance, give region= and node="
AWAY = "in a container the metadata hop limit must be 2; elsewhere check HttpEndpoint in its metadata options"

Identity = Mapping[str, object]


def endpoint(context: Context) -> str:
    """Return the metadata service's URL: the parameter, else botocore's own variable, else the well-known address."""
    if context.settings.text("metadata_endpoint"):
        return web.base_url(context, "metadata_endpoint")
    return os.environ.get(ENDPOINT_VARIABLE, "").rstrip("/") or ENDPOINT


def node(context: Context) -> Node:
    """Return this machine. Its name is the Name tag where the machine may read its tags, else "".

    :raises Unavailable: the service does not answer.
    :raises LocalConfigurationError: it is turned off, or this is no EC2 instance.
    """

    def make() -> Node:
        document = identity(context)
        name = _optional_text(context, "meta-data/tags/instance/Name")
        return Node(instance_id(context), name, PowerState.ON, (web.address(document, "privateIp"),))

    return context.once("aws.node", make)


def identity(context: Context) -> Identity:
    """Return the instance identity document (``instanceId``, ``region``, ``privateIp``), asked for once."""

    def make() -> Identity:
        try:
            document = _get(context, "dynamic/instance-identity/document").json()
        except NotFound as error:
            raise LocalConfigurationError(error.cause, advice=ELSEWHERE) from None
        if not INSTANCE.match(web.field(document, "instanceId", str)):
            raise Unavailable("the metadata service's instance id is none", advice=ELSEWHERE)
        return document  # type: ignore[return-value]  # web.field has refused all but objects

    return context.once("aws.identity", make)


def instance_id(context: Context) -> str:
    """Return this machine's instance id."""
    return web.field(identity(context), "instanceId", str)


def this_region(context: Context) -> str:
    """Return the region that this machine is in."""
    return web.field(identity(context), "region", str)


def held_addresses(context: Context, version: int) -> frozenset[IPAddress]:
    """Return every private address of that IP version on any interface of this machine, primary ones included."""
    return frozenset(ip for mac in _macs(context) for ip in _addresses(context, mac, version))


def local_vpcs(context: Context) -> frozenset[str]:
    """Return the ids of the VPCs that this machine's interfaces are in."""
    return frozenset(
        _text(context, f"meta-data/network/interfaces/macs/{mac}/vpc-id").strip() for mac in _macs(context)
    )


def role_attached(context: Context) -> str:
    """Return the name of the role whose credentials the service hands out, "" when the machine has none."""
    return _optional_text(context, "meta-data/iam/security-credentials/").strip()


def _addresses(context: Context, mac: str, version: int) -> list[IPAddress]:
    name = "local-ipv4s" if version == 4 else "ipv6s"
    # The interface was listed a moment ago: a missing item means that it has no address of that version.
    lines = _optional_text(context, f"meta-data/network/interfaces/macs/{mac}/{name}").split()
    try:
        found = [ipaddress.ip_address(line) for line in lines]
    except ValueError:
        found = []
    if len(found) != len(lines) or any(ip.version != version for ip in found):
        raise Unavailable(f"the metadata service's {name} of {mac} are not addresses")
    return found


def _macs(context: Context) -> list[str]:
    lines = _text(context, "meta-data/network/interfaces/macs/").split()
    macs = [line.rstrip("/") for line in lines]
    if not macs or not all(MAC.match(mac) for mac in macs):
        raise Unavailable("the metadata service's list of interfaces cannot be read")
    return macs


def _optional_text(context: Context, path: str) -> str:
    try:
        return _text(context, path)
    except NotFound:
        return ""


def _text(context: Context, path: str) -> str:
    answer = _get(context, path)
    # A page of something else that answers at this address (a proxy) must not be taken for a value.
    if "html" in answer.headers.get("content-type", "") or answer.body.lstrip()[:1] == b"<":
        raise Unavailable(f"{answer.origin} answered a web page for {path}", advice=ELSEWHERE)
    return answer.body.decode("utf-8", "replace")


def _get(context: Context, path: str) -> web.Answer:
    headers = {TOKEN_HEADER: context.once("aws.imds", lambda: _token(context))}
    answer = web.request(context, "GET", f"{endpoint(context)}/latest/{path}", headers=headers, max_bytes=MOST_BYTES)
    if answer.status == 401:
        raise Unavailable("the metadata service refuses the token that it has just given out")
    web.raise_for_status(answer, f"the metadata {path}")
    return answer


def _token(context: Context) -> str:
    try:
        answer = web.request(
            context,
            "PUT",
            f"{endpoint(context)}/latest/api/token",
            headers={f"{TOKEN_HEADER}-ttl-seconds": TOKEN_LIFE},
            max_bytes=MOST_BYTES,
        )
        if answer.status == 403:
            raise LocalConfigurationError(
                "this machine's metadata service is turned off",
                advice="run: aws ec2 modify-instance-metadata-options --http-endpoint enabled --instance-id ...",
            )
        if 400 <= answer.status < 500 and answer.status != 429:
            raise LocalConfigurationError(f"{answer.origin} is no metadata service of AWS", advice=ELSEWHERE)
        web.raise_for_status(answer, "a metadata token")
    except Unavailable as error:
        error.advice = "; ".join(filter(None, (error.advice, AWAY)))
        raise
    except (AccessDenied, NotFound) as error:
        raise Unavailable(error.cause, advice=AWAY) from None
    token = answer.body.decode("ascii", "replace").strip()
    if not token or len(token) > 1024 or not token.isprintable() or " " in token or "<" in token:
        raise Unavailable("the metadata service answered something that is no token", advice=ELSEWHERE)
    return token
