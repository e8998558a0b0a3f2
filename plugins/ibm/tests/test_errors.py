"""Refusals and exceptions as cloudha's errors: by the code in the document, else by the status."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import requests
import urllib3
from ibm_cloud_sdk_core import ApiException

from cloudha.provider import (
    AccessDenied,
    CloudhaError,
    ConfigurationError,
    Conflict,
    Context,
    LocalConfigurationError,
    NodeQuery,
    NotFound,
    SdkMissing,
    Unavailable,
)
from cloudha.testing.emulator import Effect, Fault
from cloudha_plugin_ibm import machines
from cloudha_plugin_ibm.emulator import IbmEmulator
from cloudha_plugin_ibm.errors import from_document, translated

CASES: list[tuple[int, str, type[CloudhaError]]] = [
    (400, "bad_field", ConfigurationError),
    (400, "invalid_value", ConfigurationError),
    (400, "missing_field", ConfigurationError),
    (400, "validation_required_field_missing", ConfigurationError),
    (400, "not_found", NotFound),
    (400, "over_quota", LocalConfigurationError),
    (400, "reserved_ip_in_use", Conflict),
    (400, "something_new", Unavailable),
    (401, "not_authenticated", AccessDenied),
    (401, "", AccessDenied),
    (403, "not_authorized", AccessDenied),
    (403, "", AccessDenied),
    (404, "not_found", NotFound),
    (404, "vpn_server_certificate_not_found", NotFound),
    (404, "", Unavailable),
    (409, "share_operation_pending", Conflict),
    (409, "source_volume_busy", Conflict),
    (409, "", Conflict),
    (409, "quota_exceeded", LocalConfigurationError),
    (412, "precondition_failed", Conflict),
    (429, "too_many_requests", Unavailable),
    (429, "", Unavailable),
    (500, "internal_error", Unavailable),
    (503, "service_unavailable", Unavailable),
    (504, "", Unavailable),
    (302, "", Unavailable),
    (418, "something_new", Unavailable),
]
STATE = "An action was requested on a resource which is not supported at the current status of the resource."


def body(code: str, message: str = "because") -> bytes:
    if not code:
        return b"<html>proxy</html>"
    return json.dumps({"errors": [{"code": code, "message": message, "more_info": "x"}], "trace": "t-1"}).encode()


@pytest.mark.parametrize(("status", "code", "kind"), CASES)
def test_a_refusal_has_one_meaning(status: int, code: str, kind: type[CloudhaError]) -> None:
    error = from_document(status, {"Retry-After": "7", "X-Request-Id": "r-1"}, body(code), "n2")
    assert type(error) is kind
    assert error.request_id == ("t-1" if code else "r-1")
    assert "n2" in error.cause
    if isinstance(error, Unavailable):
        assert error.retry_after == 7
    if not isinstance(error, Conflict):
        assert error.advice


@pytest.mark.parametrize("status", [400, 409, 422])
def test_a_state_that_forbids_it_is_told_by_its_words(status: int) -> None:
    assert type(from_document(status, {}, body("something_new", STATE), "n2")) is Conflict


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"null", b'{"errors": []}', b'{"errors": {}}', b'{"errors": ["x"]}', b'{"errors": [{}]}', b"\xff"],
)
def test_a_body_that_is_no_error_document_leaves_the_status(content: bytes) -> None:
    assert type(from_document(500, {}, content, "n2")) is Unavailable
    assert type(from_document(403, {}, content, "n2")) is AccessDenied


@pytest.mark.parametrize(
    ("text", "seconds"), [("3", 3.0), ("0.5", 0.5), ("-1", 0.0), ("soon", 0.0), ("1e9", 3600.0), ("nan", 0.0)]
)
def test_retry_after_is_bounded(text: str, seconds: float) -> None:
    error = from_document(429, {"Retry-After": text}, b"", "n2")
    assert isinstance(error, Unavailable)
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (requests.ConnectionError("refused"), Unavailable),
        (requests.ConnectTimeout("slow"), Unavailable),
        (requests.ReadTimeout("slow"), Unavailable),
        (requests.exceptions.RetryError("too many"), Unavailable),
        (requests.TooManyRedirects("many"), Unavailable),
        (requests.exceptions.SSLError("certificate"), Unavailable),
        (requests.exceptions.ProxyError("proxy"), Unavailable),
        (requests.exceptions.ChunkedEncodingError("cut"), Unavailable),
        (requests.exceptions.ContentDecodingError("gzip"), Unavailable),
        (requests.exceptions.InvalidURL("url"), ConfigurationError),
        (requests.exceptions.InvalidHeader("header"), ConfigurationError),
        (urllib3.exceptions.ProtocolError("cut"), Unavailable),
        (urllib3.exceptions.LocationParseError("url"), Unavailable),
        (json.JSONDecodeError("no", "x", 0), Unavailable),
        (OSError("no file descriptors"), Unavailable),
        (ImportError("ibm_vpc"), SdkMissing),
        (ApiException(200, message="Error processing the HTTP response"), Unavailable),
        (NotFound("ours"), NotFound),
    ],
)
def test_an_exception_that_the_sdk_lets_through(error: Exception, kind: type[CloudhaError]) -> None:
    found = translated(error, "n2")
    assert type(found) is kind


def test_every_exception_of_requests_is_known() -> None:
    kinds = [
        kind for kind in vars(requests.exceptions).values() if isinstance(kind, type) and issubclass(kind, OSError)
    ]
    assert len(kinds) > 15
    for kind in kinds:
        try:
            error = kind("text")
        except TypeError:
            # Takes a document, as JSONDecodeError does.
            continue
        assert translated(error, "n2") is not None, kind


@pytest.mark.parametrize("error", [KeyError("x"), TypeError("x"), AttributeError("x"), ValueError("x")])
def test_a_bug_stays_one(error: Exception) -> None:
    assert translated(error, "n2") is None


@pytest.mark.parametrize(
    ("effect", "kind"),
    [
        (Effect.THROTTLE, Unavailable),
        (Effect.ERROR, Unavailable),
        (Effect.HANG, Unavailable),
        (Effect.REFUSE, Unavailable),
        (Effect.CUT, Unavailable),
        (Effect.GARBAGE, Unavailable),
        (Effect.MISSING, Unavailable),
        (Effect.FORBIDDEN, AccessDenied),
        (Effect.NOT_FOUND, NotFound),
        (Effect.CONFLICT, Conflict),
    ],
)
def test_a_fault_of_the_api(
    ibm: IbmEmulator, context: Callable[..., Context], effect: Effect, kind: type[CloudhaError]
) -> None:
    number = ibm.fault(Fault("machines.list", effect, retry_after=3))
    with pytest.raises(kind) as caught:
        machines.list_nodes(context(read_seconds=0.4), NodeQuery())
    assert ibm.server.faults.hits(number) == 1, "no retries of the SDK's own"
    assert "eyJ" not in f"{caught.value} {caught.value!r}", "no token"
    if effect is Effect.THROTTLE:
        assert isinstance(caught.value, Unavailable)
        assert caught.value.retry_after == 3


def test_a_redirect_is_not_followed(ibm: IbmEmulator, context: Callable[..., Context]) -> None:
    ibm.fault(Fault("machines.list", Effect.ERROR, status=307))
    with pytest.raises(Unavailable):
        machines.list_nodes(context(), NodeQuery())


def test_the_way_out_is_named(ibm: IbmEmulator, context: Callable[..., Context]) -> None:
    ibm.fault(Fault("machines.list", Effect.REFUSE))
    with pytest.raises(Unavailable) as caught:
        machines.list_nodes(context(), NodeQuery())
    assert "private.iaas" in caught.value.advice
