"""Every error of the SDK, and every error document of Azure Resource Manager, as one of cloudha's errors.

The exceptions are told by the names of their classes: nothing of the SDK is imported for a message. What is in no
table never was an answer, so it is :class:`~cloudha.errors.Unavailable` or, when the SDK did not raise it, a bug.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

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

__all__ = ["MOST_RETRY_AFTER", "WAY", "from_document", "sdk_missing", "translated", "unanswered"]

# Longer than any deadline of an action; a larger number is a mistake of the server.
MOST_RETRY_AFTER = 3600.0
ENDPOINT = "check that the endpoint is Azure Resource Manager's, and no proxy answers in its place"
WAY = (
    "check the way to Azure's API: DNS, routes, network security groups; a machine that is only behind an internal "
    "load balancer or a NIC without public address needs an outbound rule, a NAT gateway or a private endpoint"
)
LINE = "check the way to Azure's API: a proxy, firewall or load balancer between may break connections off"
PRINCIPAL = "check tenant_id, client_id and the secret or certificate, and whether it has expired"

# "does not have authorization to perform action 'A' over scope 'S'", and the form for a linked resource.
AUTHORIZATION = re.compile(r"perform action '(?P<action>[^']+)' over scope '(?P<scope>[^']+)'")
LINKED = re.compile(r"perform action\(?s?\)? '(?P<action>[^']+)' on the linked scope\(?s?\)? '(?P<scope>[^']+)'")
THROTTLED = frozenset({"toomanyrequests", "subscriptionrequeststhrottled", "resourcecollectionrequeststhrottled"})
# Refusals that another try may not meet, whatever their status.
PASSING = frozenset(
    {
        "allocationfailed",
        "internalerror",
        "internalexecutionerror",
        "internalservererror",
        "networkingInternalOperationError".lower(),
        "operationtimedout",
        "overconstrainedallocationrequest",
        "overconstrainedzonalallocationrequest",
        "serverbusy",
        "servertimeout",
        "serviceunavailable",
        "skunotavailable",
        "zonalallocationfailed",
    }
)
# The resource is in another state, or somebody else changes it now. Azure answers 400, 409, 412 or 429 with these.
STATE = frozenset(
    {
        "anotheroperationinprogress",
        "canceled",
        "canceledandsupersededduetoanotheroperation",
        "conflict",
        "etagmismatch",
        "ipconfigurationinuse",
        "operationcanceled",
        "operationnotallowed",
        "operationpreempted",
        "outdatedorpreempted",
        "preconditionfailed",
        "privateipaddressinuse",
        "privateipaddressisallocated",
        "publicipaddressinuse",
        "publicipaddressisinuse",
        "publicipreferencedbymultipleipconfigs",
        "referencedresourcenotprovisioned",
        "resourceisbusy",
        "retryableerror",
        "vmstarttimedout",
    }
)
LOCKED = frozenset({"scopelocked", "readonlydisabledsubscription", "disabledsubscription", "requestdisallowedbypolicy"})
GONE = frozenset(
    {
        "notfound",
        "parentresourcenotfound",
        "resourcegroupnotfound",
        "resourcenotfound",
        "subscriptionnotfound",
        "invalidsubscriptionid",
        "invalidresourcereference",
    }
)
HERE = frozenset({"privateipaddressnotinsubnet", "privateipaddressinreservedrange", "subnetnotinsamevnet"})
PARAMETERS = frozenset(
    {
        "badrequest",
        "invalidapiversionparameter",
        "invalidparameter",
        "invalidrequestcontent",
        "invalidrequestformat",
        "invalidresourcename",
        "invalidresourcetype",
        "missingapiversionparameter",
        "missingsubscriptionregistration",
        "noregisteredproviderfound",
        "unsupportedapiversion",
    }
)
LIMITS = ("limitreached", "limitexceeded", "quotaexceeded")
# Names of exceptions that never were an answer, base classes last; the first that is in the class's line counts.
UNANSWERED: tuple[tuple[str, type[CloudhaError], str], ...] = (
    ("CredentialUnavailableError", CredentialsMissing, PRINCIPAL),
    ("ServiceRequestTimeoutError", Unavailable, WAY),
    ("ServiceRequestError", Unavailable, WAY),
    ("ServiceResponseError", Unavailable, LINE),
    ("IncompleteReadError", Unavailable, LINE),
    ("StreamConsumedError", Unavailable, LINE),
    ("StreamClosedError", Unavailable, LINE),
    ("TooManyRedirectsError", Unavailable, ENDPOINT),
    ("DecodeError", Unavailable, ENDPOINT),
    ("DeserializationError", Unavailable, ENDPOINT),
    ("SerializationError", ConfigurationError, "check subscription_id, resource_group and the plug"),
    ("JSONDecodeError", Unavailable, ENDPOINT),
    ("UnicodeDecodeError", Unavailable, ENDPOINT),
    ("ClientAuthenticationError", AccessDenied, PRINCIPAL),
    ("AzureError", Unavailable, ENDPOINT),
    # requests' and urllib3's own, should azure-core ever let one through.
    ("RequestException", Unavailable, WAY),
    ("HTTPError", Unavailable, WAY),
    ("OSError", Unavailable, WAY),
)
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
TRUST = "check ca_file, the endpoint's name and this machine's clock"
# How the causes of cloudha.wire begin, or end, that say that there was no connection.
UNCONNECTED = ("connecting to ", "resolving the name ", "the name ")
REFUSED = ("refused the connection", "has no address")
IDENTITY_HOST = "check identity_endpoint, and the way to it"


def sdk_missing(error: ImportError) -> SdkMissing:
    """Return the error for an SDK that is not installed, or not whole."""
    return SdkMissing(
        f"the Azure SDK cannot be imported: {error}",
        advice="run: pip install azure-mgmt-compute azure-mgmt-network azure-identity, in cloudha's environment",
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
    if "ClientAuthenticationError" in names and isinstance(error.__cause__, Exception):
        # azure-identity makes this of everything, and keeps what really happened as the cause.
        cause = translated(error.__cause__, what)
        return cause or Unavailable(f"{type(error.__cause__).__name__} while asking for a token", advice=IDENTITY_HOST)
    response: Any = getattr(error, "response", None)
    status = getattr(error, "status_code", None)
    if "HttpResponseError" in names and response is not None and isinstance(status, int) and status >= 300:
        return from_document(status, response.headers, _body(response), what)
    for name, kind, advice in UNANSWERED:
        if name in names:
            text = str(error)
            return kind(f"{type(error).__name__}: {text}", advice=TRUST if UNTRUSTED in text else advice)
    return None


def unanswered(error: Unavailable) -> Unavailable:
    """Return the error of a request that was sent without the SDK, with the advice that fits Azure's networks."""
    # What failed about TLS has its advice already.
    if TRUST not in error.advice:
        # Told by the words of cloudha.wire: its errors before a connection stands, and after.
        unconnected = error.cause.startswith(UNCONNECTED) or error.cause.endswith(REFUSED)
        error.advice = WAY if unconnected else LINE
    return error


def from_document(status: int, headers: Mapping[str, str], body: bytes, what: str) -> CloudhaError:
    """Return what an answer that is no success means.

    :param body: ``{"error": {"code", "message"}}``, or OAuth's ``{"error", "error_description"}``, or anything.
    """
    code, message = _said(body)
    request_id = str(headers.get("x-ms-request-id") or headers.get("x-ms-correlation-request-id") or "")
    cause = f"{code}: {message}" if code else f"HTTP {status} for {what} without a reason"
    wait = _seconds(str(headers.get("Retry-After") or headers.get("retry-after") or ""))
    error = _meaning(status, code.lower(), cause, message, what)
    error.request_id = request_id
    if isinstance(error, Unavailable):
        error.retry_after = wait
    return error


def _meaning(status: int, code: str, cause: str, message: str, what: str) -> CloudhaError:  # noqa: PLR0911, C901 - one case for each family of codes
    # A code that names the present state counts more than the status that it comes with.
    if status == 429 and code not in STATE - {"operationnotallowed", "retryableerror"}:
        return Unavailable(cause, advice="Azure throttles requests for this machine or subscription")
    if code in THROTTLED:
        return Unavailable(cause, advice="Azure throttles requests for this machine or subscription")
    if code in PASSING or status >= 500:
        return Unavailable(cause, advice="Azure has a fault, or lacks capacity")
    if code in LOCKED:
        return AccessDenied(cause, advice="remove the lock or policy from the resource, or exempt it")
    if status == 403 or code in ("authorizationfailed", "linkedauthorizationfailed"):
        return _forbidden(cause, message)
    if status == 401 or code.startswith(("expiredauthentication", "invalidauthentication", "authenticationfailed")):
        return AccessDenied(cause, advice=f"{PRINCIPAL}; check this machine's clock, cloud= and identity_endpoint=")
    if _of_identity(code) or message.startswith("AADSTS"):
        return AccessDenied(cause, advice=PRINCIPAL)
    if code in GONE:
        return NotFound(cause, advice="check the name, subscription_id, resource_group and cloud")
    if code in STATE or (status in (409, 412) and code not in PARAMETERS):
        return Conflict(cause)
    if code in HERE:
        return LocalConfigurationError(
            cause, advice="a private address moves within one subnet only: check ip= and nic=, or use kind=route"
        )
    if code.endswith(LIMITS):
        return LocalConfigurationError(cause, advice="free an ipConfiguration of this interface, or use another nic")
    if code in PARAMETERS:
        return ConfigurationError(cause, advice=f"check the parameters about {what}, and cloud=")
    # A reason that Azure has not written down, or a proxy's page: rather try again than ban the resource everywhere.
    return Unavailable(f"{cause} (HTTP {status})", advice=ENDPOINT)


def _forbidden(cause: str, message: str) -> AccessDenied:
    found = LINKED.search(message) or AUTHORIZATION.search(message)
    if not found:
        return AccessDenied(cause, advice="grant the identity the role in permissions.json")
    return AccessDenied(
        f"permission {found['action']} on {found['scope']} is missing ({cause})",
        advice="assign the role in permissions.json there; a new assignment takes up to ten minutes",
    )


def _of_identity(code: str) -> bool:
    """Whether it is one of the codes with which the service that issues tokens refuses (RFC 6749)."""
    return code in ("invalid_client", "unauthorized_client", "invalid_grant", "invalid_scope", "invalid_resource")


def _said(body: bytes) -> tuple[str, str]:
    """Return code and message; "" for a body that is no error document."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(document, dict):
        return "", ""
    error = document.get("error", document)
    if isinstance(error, dict):
        return str(error.get("code") or ""), str(error.get("message") or "")
    return str(error or ""), str(document.get("error_description") or "")


def _body(response: Any) -> bytes:  # noqa: ANN401 - azure-core's answers have several classes
    try:
        content = response.content if isinstance(getattr(response, "content", None), bytes) else response.body()
    except Exception:  # noqa: BLE001 - a body that was cut off; the status alone counts then
        return b""
    return content if isinstance(content, bytes) else b""


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return min(seconds, MOST_RETRY_AFTER) if seconds > 0 else 0.0
