"""Every error of the SDK, and every error document of OCI, as one of cloudha's errors.

The exceptions are told by the names of their classes: nothing of the SDK is imported for a message. The codes are those
of "API Errors" in Oracle's documents. 404 NotAuthorizedOrNotFound never proves absence: OCI answers it as well where a
policy is missing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from cloudha import web
from cloudha.provider import (
    AccessDenied,
    CloudhaError,
    ConfigurationError,
    Conflict,
    CredentialsMissing,
    LocalConfigurationError,
    NotFound,
    SdkMissing,
    Unavailable,
)

__all__ = ["GRANT", "TokenRefused", "from_answer", "of_token", "said", "sdk_missing", "translated", "unanswered"]

# Longer than any deadline of an action; a larger number is a mistake of the server.
MOST_RETRY_AFTER = 3600.0
# OCI refuses requests whose date is more than five minutes off.
MOST_SKEW = 300.0
ENDPOINT = "check that the endpoint is OCI's Core Services, and no proxy answers in its place"
WAY = (
    "check the way to OCI's API: DNS, route rules, security lists; an instance without public address needs a NAT "
    "gateway or a service gateway"
)
GRANT = "grant the policy statements in permissions.txt; OCI does not say which one is missing"
PRINCIPAL = (
    "check auth=, that the instance is in the dynamic group or the API key belongs to the user, and this machine's "
    "clock"
)
TRUST = "check ca_file, the endpoint's name and this machine's clock"
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
UNKNOWN = 401
LIMITS = frozenset({"limitexceeded", "quotaexceeded", "outofcapacity", "outofhostcapacity"})
REFUSED = frozenset({"notauthorized", "notallowed", "signuprequired", "relatedresourcenotauthorizedornotfound"})
# Names of exceptions that never were an answer, base classes last; the first that is in the class's line counts.
UNANSWERED: tuple[tuple[str, type[CloudhaError], str], ...] = (
    ("ConfigFileNotFound", CredentialsMissing, "create it (oci setup config), or give config_file=, or another auth="),
    ("ProfileNotFound", LocalConfigurationError, "check config_profile="),
    ("InvalidConfig", LocalConfigurationError, "check user, tenancy, fingerprint, key_file and region in config_file"),
    ("InvalidKeyFilePath", CredentialsMissing, "check key_file in config_file"),
    ("InvalidPrivateKey", LocalConfigurationError, "check key_file and pass_phrase in config_file"),
    ("CircuitBreakerError", Unavailable, WAY),
    ("ConnectTimeout", Unavailable, WAY),
    ("RequestException", Unavailable, WAY),
    ("ClientError", Unavailable, ENDPOINT),
    # urllib3's own, and what a body that is no UTF-8 leads to.
    ("HTTPError", Unavailable, WAY),
    ("UnicodeDecodeError", Unavailable, ENDPOINT),
    ("JSONDecodeError", Unavailable, ENDPOINT),
    ("OSError", Unavailable, WAY),
)


class TokenRefused(AccessDenied):
    """OCI does not know the signature or its token (401), which says nothing of what it may do."""


def of_token(error: CloudhaError, status: object) -> CloudhaError:
    """Return the error, as :class:`TokenRefused` where the status says that it is about who asks."""
    if status != UNKNOWN:
        return error
    return TokenRefused(error.cause, advice=error.advice, request_id=error.request_id)


def unanswered(error: Unavailable) -> Unavailable:
    """Return the error of a request that was sent without the SDK, with the advice that fits OCI's networks."""
    # What failed about TLS has its advice already.
    if TRUST not in error.advice:
        error.advice = WAY
    return error


def said(answer: web.Answer) -> tuple[str, str]:
    """Return the code and message of a refusal, "" for a body that is no error document."""
    try:
        document = answer.json()
    except Unavailable:
        return "", ""
    if not isinstance(document, dict):
        return "", ""
    return str(document.get("code") or ""), str(document.get("message") or "")


def sdk_missing(error: ImportError) -> SdkMissing:
    """Return the error for an SDK that is not installed, or not whole."""
    return SdkMissing(
        f"the OCI SDK cannot be imported: {error}", advice="run: pip install oci, in cloudha's environment"
    )


def translated(error: Exception, what: str, *, certain: bool = False) -> CloudhaError | None:
    """Return what an exception of the SDK means; None when it is not the SDK's and so a bug.

    :param what: the thing that was asked about, for the message.
    :param certain: it is known to be there (our own compartment, our own VNIC), so that 404 can only mean a refusal.
    """
    if isinstance(error, CloudhaError):
        return error
    if isinstance(error, ImportError):
        return sdk_missing(error)
    names = {kind.__name__ for kind in type(error).__mro__}
    status = getattr(error, "status", None)
    if "ServiceError" in names and isinstance(status, int):
        found: Any = error
        return from_answer(
            status, str(found.code or ""), str(found.message or ""), found.headers or {}, what, certain=certain
        )
    for name, kind, advice in UNANSWERED:
        if name in names:
            return kind(f"{type(error).__name__}: {_said(error)}", advice=TRUST if UNTRUSTED in str(error) else advice)
    return None


def from_answer(
    status: int, code: str, message: str, headers: Mapping[str, str], what: str, *, certain: bool = False
) -> CloudhaError:
    """Return what an answer that is no success means.

    :param code: OCI's error code, "" where the body was no error document.
    """
    cause = f"{code}: {message}" if code else f"HTTP {status} for {what} without a reason"
    error = _meaning(status, code.lower(), cause, message, what, certain=certain)
    skew = _skew(headers)
    if status == 401 and abs(skew) > MOST_SKEW:
        ahead = "behind" if skew > 0 else "ahead"
        error.advice = (
            f"set this machine's clock: it is {abs(skew):.0f} s {ahead} of OCI's, which refuses more than 300"
        )
    error.request_id = str(_header(headers, "opc-request-id"))
    if isinstance(error, Unavailable):
        error.retry_after = _seconds(_header(headers, "retry-after"))
    return error


def _meaning(status: int, code: str, cause: str, message: str, what: str, *, certain: bool) -> CloudhaError:  # noqa: PLR0911, C901 - one case for each family of codes
    if status == 429 or code == "toomanyrequests":
        return Unavailable(cause, advice="OCI throttles requests of this user or tenancy")
    if status >= 500:
        return Unavailable(cause, advice="OCI has a fault, or lacks capacity")
    if status == 401 or code == "notauthenticated":
        return AccessDenied(cause, advice=PRINCIPAL)
    if status in (402, 403) or code in REFUSED:
        return AccessDenied(f"{cause} ({what})", advice=GRANT)
    if status == 404 and code:
        if certain and code == "notauthorizedornotfound":
            return AccessDenied(f"{cause} ({what})", advice=f"{GRANT}, nor whether the OCID is wrong")
        return NotFound(f"{cause} ({what})", advice=f"check the OCID, region and endpoint; else {GRANT}")
    if status in (409, 412):
        return Conflict(cause)
    if code in LIMITS:
        return LocalConfigurationError(
            cause, advice="free an address of this VNIC, use another nic, or raise the limit"
        )
    if status == 400 and "already in use" in message.lower():
        return Conflict(cause)
    if code in ("invalidparameter", "missingparameter"):
        return LocalConfigurationError(
            cause, advice=f"check the parameters about {what}: an address moves within one subnet, see ip= and nic="
        )
    if status == 400 and code:
        return ConfigurationError(cause, advice=f"check the parameters about {what}")
    # A reason that OCI has not written down, or a proxy's page: rather try again than ban the resource everywhere.
    return Unavailable(f"{cause} (HTTP {status})", advice=ENDPOINT)


def _said(error: Exception) -> str:
    """Return the first of the error's texts: the SDK appends its links, and nests what requests has raised."""
    inner: object = error
    for _ in range(4):
        arguments = getattr(inner, "args", None)
        if not arguments:
            break
        inner = arguments[0]
    return str(inner)


def _skew(headers: Mapping[str, str]) -> float:
    """Return how many seconds the server's clock is ahead of ours, 0.0 when it does not say."""
    try:
        return parsedate_to_datetime(_header(headers, "date")).timestamp() - time.time()
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _header(headers: Mapping[str, str], name: str) -> str:
    return str(next((value for known, value in headers.items() if str(known).lower() == name), "") or "")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return min(seconds, MOST_RETRY_AFTER) if seconds > 0 else 0.0
