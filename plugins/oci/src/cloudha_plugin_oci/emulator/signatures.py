"""OCI's request signatures (draft-cavage-http-signatures-08, "Request Signatures" of OCI's API documents), verified.

What is signed, and how the text is put together, is written here from the documents, not from the SDK.
"""

from __future__ import annotations

import base64
import email.utils
import hashlib
import hmac
import re
import time
from typing import NamedTuple
from urllib.parse import quote, urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from cloudha.testing.emulator import Request
from cloudha_plugin_oci.emulator.behaviour import OciError

__all__ = ["Signed", "refused", "signed", "verify"]

PART = re.compile(r'(\w+)="([^"]*)"')
# "A request is refused if its date is more than five minutes off".
MOST_SKEW = 300.0
ALWAYS = {"date", "(request-target)"}
WITH_BODY = {"content-length", "content-type", "x-content-sha256"}
BODIES = ("POST", "PUT", "PATCH")


class Signed(NamedTuple):
    """The parts of an Authorization header."""

    key_id: str
    headers: tuple[str, ...]
    signature: bytes


def refused(why: str) -> OciError:
    """Return OCI's 401, which says little; the reason here is for whoever debugs a test."""
    return OciError(401, "NotAuthenticated", f"The required information to complete authentication is missing: {why}")


def signed(request: Request) -> Signed:
    """Read the Authorization header.

    :raises OciError: 401, it is missing or not as the documents say.
    """
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    parts = dict(PART.findall(rest))
    if scheme.lower() != "signature" or parts.get("algorithm") != "rsa-sha256" or parts.get("version") != "1":
        raise refused("no signature of version 1 with rsa-sha256")
    try:
        signature = base64.b64decode(parts["signature"], validate=True)
        return Signed(parts["keyId"], tuple(parts["headers"].split()), signature)
    except (KeyError, ValueError):
        raise refused("an incomplete signature") from None


def verify(request: Request, given: Signed, key: rsa.RSAPublicKey, *, host: bool = True, skew: float = 0.0) -> None:
    """Insist that the request was signed with that key, now, and with all that must be signed.

    :param host: whether the header ``host`` must be signed; the federation's requests do without.
    :param skew: how many seconds the service's clock is ahead.
    :raises OciError: 401.
    """
    needed = ALWAYS | ({"host"} if host else set()) | (WITH_BODY if request.method in BODIES else set())
    missing = needed - set(given.headers)
    if missing:
        raise refused(f"not signed: {', '.join(sorted(missing))}")
    date = email.utils.parsedate_to_datetime(request.headers.get("date", "")) if "date" in request.headers else None
    if date is None or abs(date.timestamp() - (time.time() + skew)) > MOST_SKEW:
        raise refused("the date is too far off")
    if request.method in BODIES:
        wanted = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
        if not hmac.compare_digest(wanted, request.headers.get("x-content-sha256", "")):
            raise refused("x-content-sha256 is not the body's")
    text = "\n".join(f"{name}: {_value(request, name)}" for name in given.headers)
    try:
        key.verify(given.signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise refused("the signature does not fit") from None


def _value(request: Request, name: str) -> str:
    if name == "(request-target)":
        # The server has decoded the path and the query; OCIDs and addresses read the same either way.
        query = f"?{urlencode(dict(request.query))}" if request.query else ""
        return f"{request.method.lower()} {quote(request.path)}{query}"
    if name not in request.headers:
        raise refused(f"{name} is signed and not sent")
    return request.headers[name]
