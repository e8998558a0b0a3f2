"""Azure's refusals as cloudha's errors: by the code in the document, whatever the status."""

from __future__ import annotations

import json

import pytest
from azure.core import exceptions as sdk

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
from cloudha_plugin_azure.errors import from_document, translated

CASES: list[tuple[int, str, type[CloudhaError]]] = [
    (400, "PrivateIPAddressInUse", Conflict),
    (400, "PrivateIPAddressIsAllocated", Conflict),
    (400, "PublicIPAddressInUse", Conflict),
    (400, "PrivateIPAddressNotInSubnet", LocalConfigurationError),
    (400, "IpConfigurationLimitReached", LocalConfigurationError),
    (400, "InvalidApiVersionParameter", ConfigurationError),
    (400, "InvalidResourceReference", NotFound),
    (400, "SomethingNew", Unavailable),
    (401, "ExpiredAuthenticationToken", AccessDenied),
    (401, "InvalidAuthenticationTokenTenant", AccessDenied),
    (403, "AuthorizationFailed", AccessDenied),
    (403, "LinkedAuthorizationFailed", AccessDenied),
    (403, "RequestDisallowedByPolicy", AccessDenied),
    (404, "ResourceNotFound", NotFound),
    (404, "ResourceGroupNotFound", NotFound),
    (404, "SubscriptionNotFound", NotFound),
    (404, "", Unavailable),
    (409, "OperationNotAllowed", Conflict),
    (409, "AnotherOperationInProgress", Conflict),
    (409, "Conflict", Conflict),
    (409, "ScopeLocked", AccessDenied),
    (409, "AllocationFailed", Unavailable),
    (409, "MissingSubscriptionRegistration", ConfigurationError),
    (412, "PreconditionFailed", Conflict),
    (429, "TooManyRequests", Unavailable),
    (429, "OperationNotAllowed", Unavailable),
    (429, "RetryableError", Unavailable),
    (429, "AnotherOperationInProgress", Conflict),
    (429, "ReferencedResourceNotProvisioned", Conflict),
    (500, "InternalServerError", Unavailable),
    (503, "", Unavailable),
    (302, "", Unavailable),
]


def body(code: str, message: str = "because") -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}).encode() if code else b"<html>proxy</html>"


@pytest.mark.parametrize(("status", "code", "kind"), CASES)
def test_a_refusal_has_its_class(status: int, code: str, kind: type[CloudhaError]) -> None:
    found = from_document(status, {"x-ms-request-id": "r-1", "Retry-After": "9"}, body(code), "n1")
    assert type(found) is kind
    assert found.request_id == "r-1"
    if isinstance(found, Unavailable):
        assert found.retry_after == 9


def test_a_missing_permission_is_named_with_its_scope() -> None:
    text = "The client 'x' does not have authorization to perform action 'A/b/action' over scope '/s/1' or it is bad."
    assert "permission A/b/action on /s/1 is missing" in str(
        from_document(403, {}, body("AuthorizationFailed", text), "")
    )
    text = (
        "The client has permission to perform action 'N/w' on scope '/s/1'; however, it does not have permission to "
        "perform action(s) 'V/subnets/join/action' on the linked scope(s) '/s/2' (respectively)."
    )
    found = str(from_document(403, {}, body("LinkedAuthorizationFailed", text), ""))
    assert "permission V/subnets/join/action on /s/2 is missing" in found


SDK_ERRORS = [
    error
    for error in vars(sdk).values()
    if isinstance(error, type) and issubclass(error, sdk.AzureError) and error.__module__ == sdk.__name__
]


@pytest.mark.parametrize("kind", SDK_ERRORS, ids=lambda kind: kind.__name__)
def test_every_exception_of_the_sdk_is_known(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    Exception.__init__(error, "text")
    # What one class's own text looks at.
    vars(error)["_error_format"] = None
    found = translated(error, "n1")
    assert isinstance(found, CloudhaError)
    assert not isinstance(found, NotFound)


def test_what_is_not_the_sdks_is_a_bug() -> None:
    assert translated(AttributeError("x"), "n1") is None
    assert translated(KeyError("x"), "n1") is None
    assert isinstance(translated(ModuleNotFoundError("azure"), "n1"), SdkMissing)
