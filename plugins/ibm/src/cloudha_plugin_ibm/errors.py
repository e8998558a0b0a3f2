"""Every error of the SDK, and every error document of the VPC API, as one of cloudha's errors.

The exceptions are told by the names of their classes: nothing of the SDK is imported for a message. What is in no table
never was an answer, so it is :class:`~cloudha.errors.Unavailable` or, when it is not the SDK's, a bug. IBM documents
that its codes "can be added, removed, or modified", so that the status decides where a code is not known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cloudha.provider import (
    AccessDenied,
    CloudhaError,
    ConfigurationError,
    Conflict,
    LocalConfigurationError,
    NotFound,
    SdkMissing,
    Unavailable,
)

__all__ = ["TokenRefused", "from_document", "of_token", "sdk_missing", "translated", "unanswered"]

# Longer than any deadline of an action; a larger number is a mistake of the server.
MOST_RETRY_AFTER = 3600.0
EXCERPT = 300
ENDPOINT = "check that the endpoint is the VPC API of the region, and no proxy answers in its place"
WAY = (
    "check the way to the VPC API: DNS, routes, security groups; a machine without public gateway or floating IP needs "
    "endpoint=https://REGION.private.iaas.cloud.ibm.com and identity_endpoint=https://private.iam.cloud.ibm.com"
)
TRUST = "check ca_file, the endpoint's name and this machine's clock"
CREDENTIALS = "check the API key or trusted profile, identity_endpoint= and this machine's clock"
ROLES = "grant the roles in permissions.md; a new access policy takes some minutes"

UNKNOWN = 401
THROTTLED = ("too_many_requests", "rate_limit", "throttl")
PASSING = ("internal_error", "service_error", "service_unavailable", "timeout", "temporarily")
REFUSED = ("not_authorized", "forbidden", "access_denied", "unauthorized_operation")
UNKNOWN_TOKEN = ("not_authenticated", "unauthenticated", "invalid_token", "token_expired", "unauthorized")
GONE = ("not_found",)
# The resource is in another state, in use, or somebody else changes it now. The API answers 400 or 409 with these.
STATE = (
    "conflict",
    "in_use",
    "inuse",
    "_bound",
    "already_",
    "invalid_state",
    "invalid_status",
    "invalid_action",
    "not_available",
    "pending",
    "busy",
    "being_updated",
    "precondition",
)
# "An action was requested on a resource which is not supported at the current status of the resource."
STATE_MESSAGE = "current status"
LIMITS = ("over_quota", "quota", "limit_exceeded", "exceeded_limit", "too_many_")
PARAMETERS = ("bad_field", "invalid_value", "invalid_request", "invalid_", "missing_", "validation", "bad_request")

# Names of exceptions that never were an answer, base classes last; the first that is in the class's line counts.
UNANSWERED: tuple[tuple[str, type[CloudhaError], str], ...] = (
    ("SSLError", Unavailable, TRUST),
    ("InvalidURL", ConfigurationError, "check endpoint="),
    ("InvalidSchema", ConfigurationError, "check endpoint="),
    ("MissingSchema", ConfigurationError, "check endpoint="),
    ("InvalidHeader", ConfigurationError, CREDENTIALS),
    ("RequestException", Unavailable, WAY),
    # urllib3's own, should requests ever let one through: its base class, and not urllib's of the same name.
    ("HTTPError", Unavailable, WAY),
    ("JSONDecodeError", Unavailable, ENDPOINT),
    ("UnicodeDecodeError", Unavailable, ENDPOINT),
    ("OSError", Unavailable, WAY),
)


class TokenRefused(AccessDenied):
    """The API does not know the token (401), which says nothing of what it may do."""


def of_token(error: CloudhaError, status: object) -> CloudhaError:
    """Return the error, as :class:`TokenRefused` where the status says that it is about the token."""
    if status != UNKNOWN:
        return error
    return TokenRefused(error.cause, advice=error.advice, request_id=error.request_id)


def sdk_missing(error: ImportError) -> SdkMissing:
    """Return the error for an SDK that is not installed, or not whole."""
    return SdkMissing(
        f"the SDK of IBM Cloud VPC cannot be imported: {error}",
        advice="run: pip install ibm-vpc, in cloudha's environment",
    )


def translated(error: Exception, what: str) -> CloudhaError | None:
    """Return what an exception of the SDK means; None when it is not the SDK's and so a bug.

    :param what: the resource that was asked about, for the message.
    """
    if isinstance(error, CloudhaError):
        return error
    if isinstance(error, ImportError):
        return sdk_missing(error)
    names = {kind.__name__ for kind in type(error).__mro__}
    response: Any = getattr(error, "http_response", None)
    status = getattr(error, "status_code", None)
    if "ApiException" in names:
        if response is None or not isinstance(status, int) or status < 300:
            # A success whose body is no JSON.
            return Unavailable(f"the answer about {what} cannot be read", advice=ENDPOINT)
        return from_document(status, response.headers, _body(response), what)
    for name, kind, advice in UNANSWERED:
        if name in names:
            return kind(f"{type(error).__name__} for {what}: {str(error)[:EXCERPT]}", advice=advice)
    return None


def unanswered(error: Unavailable) -> Unavailable:
    """Return the error of a request that was sent without the SDK, with the advice that fits IBM Cloud's networks."""
    # What failed about TLS has its advice already.
    if TRUST not in error.advice:
        error.advice = WAY
    return error


def from_document(status: int, headers: Mapping[str, str], body: bytes, what: str) -> CloudhaError:
    """Return what an answer that is no success means.

    :param body: ``{"errors": [{"code", "message", "more_info", "target"}], "trace"}``, or anything.
    """
    code, message, trace = _said(body)
    cause = f"{code}: {message} ({what})" if code else f"HTTP {status} for {what} without a reason"
    error = _meaning(status, code.lower(), cause, what)
    if status in (400, 422) and STATE_MESSAGE in message and not isinstance(error, AccessDenied):
        error = Conflict(cause)
    known = {name.lower(): str(value) for name, value in headers.items()}
    error.request_id = trace or known.get("x-request-id", "")
    if isinstance(error, Unavailable):
        error.retry_after = _seconds(known.get("retry-after", ""))
    return error


def _meaning(status: int, code: str, cause: str, what: str) -> CloudhaError:  # noqa: PLR0911 - one for each family
    if status == 429 or _has(code, THROTTLED):
        return Unavailable(cause, advice="IBM Cloud throttles the requests of this account")
    if status >= 500 or (code and _has(code, PASSING)):
        return Unavailable(cause, advice="IBM Cloud has a fault")
    if status == 403 or _has(code, REFUSED):
        return AccessDenied(cause, advice=ROLES)
    if status == UNKNOWN or _has(code, UNKNOWN_TOKEN):
        return AccessDenied(cause, advice=CREDENTIALS)
    if _has(code, GONE) and status in (400, 404):
        return NotFound(cause, advice="check the name or id, region=, vpc=, resource_group= and the account")
    if _has(code, LIMITS) and status in (400, 409):
        return LocalConfigurationError(cause, advice="free one on this machine, use another nic=, or raise the quota")
    if status in (409, 412) or (status == 400 and _has(code, STATE)):
        return Conflict(cause)
    if status in (400, 422) and _has(code, PARAMETERS):
        return ConfigurationError(cause, advice=f"check the parameters about {what}")
    # A reason that IBM has not written down, or a proxy's page: rather try again than ban the resource everywhere.
    return Unavailable(f"{cause} (HTTP {status})", advice=ENDPOINT)


def _has(code: str, words: tuple[str, ...]) -> bool:
    return any(word in code for word in words)


def _said(body: bytes) -> tuple[str, str, str]:
    """Return the first error's code and message, and the trace; "" for a body that is no error document."""
    try:
        document = json.loads(body)
        errors = document["errors"]
        first = errors[0]
        return str(first["code"]), str(first.get("message") or ""), str(document.get("trace") or "")
    except (ValueError, RecursionError, TypeError, KeyError, IndexError, AttributeError):
        return "", "", ""


def _body(response: Any) -> bytes:  # noqa: ANN401 - requests' answer, and it may be cut off
    try:
        content = response.content
    except Exception:  # noqa: BLE001 - the status alone counts then
        return b""
    return content if isinstance(content, bytes) else b""


def _seconds(text: str) -> float:
    """Return Retry-After in seconds; a date in it, which IBM does not send, counts as none."""
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return min(seconds, MOST_RETRY_AFTER) if seconds > 0 else 0.0
