"""Every exception of botocore as one of the project's errors. What is unknown is :class:`Unavailable`, no answer.

Codes: "Error codes for the Amazon EC2 API" and "Common errors" of AWS STS; exceptions: ``botocore.exceptions``.
"""

from __future__ import annotations

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
    UnsupportedError,
)

__all__ = ["DRY_RUN", "THROTTLING", "sdk_missing", "translated"]

# The answer of a dry run that would have succeeded.
DRY_RUN = "DryRunOperation"
THROTTLING = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
PASSING = frozenset(
    {
        "IDPCommunicationError",
        "InsufficientInstanceCapacity",
        "InsufficientCapacity",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "Unavailable",
    }
)
CLOCK = frozenset({"RequestTimeTooSkewed", "RequestInTheFuture", "InvalidSignatureException", "SignatureDoesNotMatch"})
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
FORBIDDEN = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"})
BAD_CREDENTIALS = frozenset(
    {
        "AuthFailure",
        "Blocked",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "OptInRequired",
        "PendingVerification",
        "RegionDisabledException",
        "UnrecognizedClientException",
    }
)
STATE = frozenset(
    {
        "ConcurrentTagAccess",
        DRY_RUN,
        "DependencyViolation",
        "IncorrectInstanceState",
        "IncorrectInterfaceState",
        "IncorrectState",
        "InvalidIPAddress.InUse",
        "InvalidNetworkInterface.InUse",
        "Resource.AlreadyAssigned",
        "Resource.AlreadyAssociated",
        "ResourceAlreadyAssigned",
        "RouteAlreadyExists",
    }
)
PARAMETERS = frozenset(
    {
        "InvalidAction",
        "InvalidInput",
        "InvalidParameter",
        "InvalidParameterCombination",
        "InvalidParameterValue",
        "MissingAction",
        "MissingParameter",
        "NoSuchVersion",
        "UnknownOperation",
        "UnknownOperationException",
        "UnknownParameter",
        "ValidationError",
    }
)
# What AWS says in a sentence under the general code InvalidParameterValue.
PRESENT_STATE = re.compile(r"assigned, but move is not allowed|no route defined", re.IGNORECASE)
WRONG_SUBNET = re.compile(r"not (fall|lie|reside)? ?with?in|address range", re.IGNORECASE)
SIGNED_AT = re.compile(r"signature (expired|not yet current)|clock|15 minutes", re.IGNORECASE)
PERFORM = re.compile(r"perform:? ([a-z0-9-]+:[A-Za-z0-9*]+)")
SECONDS = re.compile(r"[0-9]{1,4}(\.[0-9]{1,9})?")
ENCODED = re.compile(r"\s*Encoded authorization failure message:.*\Z", re.DOTALL)

WAY = "check the way to the endpoint (routes, security groups, proxy)"
CREDENTIALS = "attach a role to the instance, or give access_key= and secret_key=, or profile="
FILES = "check root's ~/.aws/config and ~/.aws/credentials on this node"
# Names of exceptions that never were an answer, subclasses included; the first that fits counts.
UNANSWERED: tuple[tuple[str, type[CloudhaError], str], ...] = (
    ("NoCredentialsError", CredentialsMissing, CREDENTIALS),
    ("NoAuthTokenError", CredentialsMissing, CREDENTIALS),
    ("CredentialRetrievalError", CredentialsMissing, CREDENTIALS),
    ("SSOError", CredentialsMissing, CREDENTIALS),
    ("LoginError", CredentialsMissing, CREDENTIALS),
    ("TokenRetrievalError", CredentialsMissing, CREDENTIALS),
    ("RefreshWithMFAUnsupportedError", CredentialsMissing, CREDENTIALS),
    ("SSLError", Unavailable, "check ca_file and the endpoint's name"),
    ("ConnectionError", Unavailable, WAY),
    ("HTTPClientError", Unavailable, WAY),
    ("IncompleteReadError", Unavailable, WAY),
    ("ChecksumError", Unavailable, WAY),
    ("FlexibleChecksumError", Unavailable, WAY),
    ("MetadataRetrievalError", Unavailable, WAY),
    ("ResponseParserError", Unavailable, "check that the endpoint is EC2's, and no proxy answers in its place"),
    ("EventStreamError", Unavailable, WAY),
    ("NoRegionError", ConfigurationError, "add region=..."),
    # Files of this node: another one may have them right.
    ("ProfileNotFound", LocalConfigurationError, FILES),
    ("ConfigParseError", LocalConfigurationError, FILES),
    ("ConfigNotFound", LocalConfigurationError, FILES),
    ("InvalidConfigError", LocalConfigurationError, FILES),
    ("PartialCredentialsError", LocalConfigurationError, FILES),
    ("DataNotFoundError", SdkMissing, "install boto3 again: its data files are not complete"),
    ("BotoCoreError", ConfigurationError, "check region=, endpoint= and the AWS configuration"),
    # The socket's, urllib3's and the XML parser's own, should botocore ever let one through.
    ("OSError", Unavailable, WAY),
    ("HTTPError", Unavailable, WAY),
    ("HTTPException", Unavailable, WAY),
    ("ParseError", Unavailable, WAY),
)


def sdk_missing(error: ImportError) -> SdkMissing:
    """Return the error for an SDK that is not installed, or not whole."""
    return SdkMissing(
        f"the AWS SDK cannot be imported: {error}",
        advice="run: pip install boto3, in the environment that cloudha is in (or install the package python3-boto3)",
    )


def translated(error: Exception, permission: str = "") -> CloudhaError | None:
    """Return what an exception of the SDK means; None when it is not the SDK's and so a bug.

    :param permission: what the operation needs, such as ``ec2:StopInstances``, for refusals that do not say it.
    """
    if isinstance(error, CloudhaError):
        return error
    if isinstance(error, ImportError):
        return sdk_missing(error)
    names = {kind.__name__ for kind in type(error).__mro__}
    if "ClientError" in names:
        response: Mapping[str, Any] = getattr(error, "response", {})
        return _answered(response, str(error), permission)
    return _unanswered(error, names)


def _answered(response: Mapping[str, Any], text: str, permission: str) -> CloudhaError:  # noqa: PLR0911, PLR0912, C901 - one case for each family of codes
    said = response.get("Error") or {}
    about = response.get("ResponseMetadata") or {}
    # Old endpoints prefix the side that is at fault: Client.UnauthorizedOperation.
    code = str(said.get("Code", "")).removeprefix("Client.").removeprefix("Server.")
    message = ENCODED.sub("", str(said.get("Message") or text))
    status = about.get("HTTPStatusCode")
    request_id = str(about.get("RequestId") or "")
    cause = f"{code}: {message}" if code else message
    wait = _seconds((about.get("HTTPHeaders") or {}).get("retry-after", ""))
    if code in THROTTLING or status == 429:
        advice = "the account's API requests are throttled in this region"
        return Unavailable(cause, advice=advice, request_id=request_id, retry_after=wait)
    if code in PASSING or (isinstance(status, int) and status >= 500):
        return Unavailable(cause, advice="AWS has a fault or lacks capacity", request_id=request_id, retry_after=wait)
    if code in CLOCK and (code.startswith("Request") or SIGNED_AT.search(message)):
        advice = "set this machine's clock (chronyc tracking)"
        return AccessDenied(cause, advice=advice, request_id=request_id)
    if code in EXPIRED:
        advice = "renew the credentials, or use the instance's role; check this machine's clock"
        return AccessDenied(cause, advice=advice, request_id=request_id)
    if code in FORBIDDEN:
        return _forbidden(code, message, permission, request_id)
    if code in BAD_CREDENTIALS or code in CLOCK:
        advice = "check the access key, the secret key, the region's partition and this machine's clock"
        return AccessDenied(cause, advice=advice, request_id=request_id)
    if code.endswith((".NotFound", "NotFoundException")) or code == "NoSuchEntity":
        advice = "check the id, the region and the account"
        return NotFound(cause, advice=advice, request_id=request_id)
    if code in STATE or (code == "InvalidParameterValue" and PRESENT_STATE.search(message)):
        return Conflict(cause, request_id=request_id)
    if code == "OperationNotPermitted":
        advice = "turn stop protection off: aws ec2 modify-instance-attribute --no-disable-api-stop"
        return AccessDenied(cause, advice=advice, request_id=request_id)
    if code.startswith("Unsupported"):
        return UnsupportedError(cause, advice="AWS does not offer this for this machine", request_id=request_id)
    if code.endswith("LimitExceeded"):
        advice = "free an address on this interface, or use another nic or a larger instance type"
        return LocalConfigurationError(cause, advice=advice, request_id=request_id)
    if code == "InvalidParameterValue" and WRONG_SUBNET.search(message):
        advice = "a private address moves within one subnet (and zone) only; across zones use kind=route"
        return LocalConfigurationError(cause, advice=advice, request_id=request_id)
    if code in PARAMETERS or code.endswith(".Malformed"):
        return ConfigurationError(cause, advice="check the parameters and the endpoint", request_id=request_id)
    # A code that AWS has not written down (or a proxy's page): try again rather than ban the resource everywhere.
    return Unavailable(
        f"{cause} (HTTP {status})", advice="check that the endpoint is EC2's", request_id=request_id, retry_after=wait
    )


def _forbidden(code: str, message: str, permission: str, request_id: str) -> AccessDenied:
    found = PERFORM.search(message)
    name = found[1] if found else permission
    return AccessDenied(
        f"permission {name} is missing ({code}: {message})" if name else f"{code}: {message}",
        advice=f"grant {name or 'it'} to these credentials, see permissions.json",
        request_id=request_id,
    )


def _unanswered(error: Exception, names: set[str]) -> CloudhaError | None:
    for name, kind, advice in UNANSWERED:
        if name in names:
            return kind(f"{type(error).__name__}: {error}", advice=advice)
    return None


def _seconds(text: str) -> float:
    """Return the Retry-After in seconds, 0.0 when there is none (EC2 sends none; a proxy before it may)."""
    return float(text) if SECONDS.fullmatch(text) else 0.0
