"""Every error of OCI and of its SDK, as the host and an operator see it."""

from __future__ import annotations

import ast
import email.utils
import inspect
import ipaddress
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudha.provider import (
    AccessDenied,
    AddressChange,
    CloudhaError,
    ConfigurationError,
    Conflict,
    Context,
    Kind,
    LocalConfigurationError,
    Node,
    NodeQuery,
    NotFound,
    SdkMissing,
    Unavailable,
)
from cloudha.testing.emulator import Effect, Fault
from cloudha_plugin_oci import machines, private_addresses
from cloudha_plugin_oci.emulator import OciEmulator
from cloudha_plugin_oci.errors import from_answer, translated

Contexts = Callable[..., Context]


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "CannotParseRequest", ConfigurationError),
        (400, "InvalidParameter", LocalConfigurationError),
        (400, "MissingParameter", LocalConfigurationError),
        (400, "LimitExceeded", LocalConfigurationError),
        (400, "QuotaExceeded", LocalConfigurationError),
        (400, "RelatedResourceNotAuthorizedOrNotFound", AccessDenied),
        (401, "NotAuthenticated", AccessDenied),
        (402, "SignUpRequired", AccessDenied),
        (403, "NotAuthorized", AccessDenied),
        (403, "NotAllowed", AccessDenied),
        (404, "NotAuthorizedOrNotFound", NotFound),
        (404, "NotFound", NotFound),
        (404, "", Unavailable),
        (405, "MethodNotAllowed", Unavailable),
        (409, "IncorrectState", Conflict),
        (409, "Conflict", Conflict),
        (409, "InvalidatedRetryToken", Conflict),
        (409, "NotAuthorizedOrResourceAlreadyExists", Conflict),
        (412, "NoEtagMatch", Conflict),
        (429, "TooManyRequests", Unavailable),
        (500, "InternalServerError", Unavailable),
        (500, "OutOfHostCapacity", Unavailable),
        (501, "MethodNotImplemented", Unavailable),
        (502, "", Unavailable),
        (503, "ServiceUnavailable", Unavailable),
        (302, "", Unavailable),
    ],
)
def test_the_documented_codes(status: int, code: str, error: type[CloudhaError]) -> None:
    found = from_answer(status, code, "why", {"OPC-Request-Id": "r1"}, "ocid1.x")
    assert type(found) is error
    assert found.request_id == "r1"


def test_404_about_what_must_be_there_is_a_refusal() -> None:
    found = from_answer(404, "NotAuthorizedOrNotFound", "why", {}, "ocid1.compartment.x", certain=True)
    assert type(found) is AccessDenied
    assert "permissions.txt" in found.advice


def test_a_clock_that_is_off_is_said_to_be_so() -> None:
    for seconds, word in ((3600, "behind"), (-3600, "ahead")):
        date = email.utils.formatdate(time.time() + seconds, usegmt=True)
        found = from_answer(401, "NotAuthenticated", "why", {"Date": date}, "x")
        assert word in found.advice
        assert "clock" in found.advice
    near = from_answer(401, "NotAuthenticated", "why", {"Date": email.utils.formatdate(usegmt=True)}, "x")
    assert "dynamic group" in near.advice


def test_retry_after_is_kept_within_reason() -> None:
    for text, seconds in (("7", 7.0), ("1e9", 3600.0), ("soon", 0.0), ("-1", 0.0), ("nan", 0.0), ("", 0.0)):
        found = from_answer(429, "TooManyRequests", "why", {"retry-after": text}, "x")
        assert isinstance(found, Unavailable)
        assert found.retry_after == seconds


def test_every_exception_of_the_sdk_has_a_class() -> None:
    """An unknown one would count as a bug of the plugin; none of them may read as an answer."""
    from oci import exceptions

    for name, kind in inspect.getmembers(exceptions, inspect.isclass):
        if not issubclass(kind, Exception) or kind.__module__ != exceptions.__name__:
            continue
        made: Any = kind.__new__(kind)
        made.args, made.errors = ("why",), {"user": "malformed"}
        if issubclass(kind, exceptions.ServiceError):
            made.status, made.code, made.headers, made.message = 500, "InternalServerError", {}, "why"
        found = translated(made, "x")
        if name in NEVER_MET:
            continue
        assert isinstance(found, CloudhaError), name
        assert not isinstance(found, NotFound), name


# Of operations that are not used here: uploads, waiters, composite operations, non-regional services.
NEVER_MET = {
    "ChecksumVerificationError",
    "CompositeOperationError",
    "MissingEndpointForNonRegionalServiceClientError",
    "DownloadFailedIncorrectDownloadSize",
    "DownloadTerminated",
    "MultipartUploadError",
    "ResumableDownloadException",
}


def test_an_sdk_that_is_missing_is_named() -> None:
    found = translated(ImportError("No module named 'oci'"), "x")
    assert type(found) is SdkMissing
    assert "pip install oci" in found.advice


def test_what_is_no_error_of_the_sdk_stays_what_it_is() -> None:
    assert translated(ZeroDivisionError(), "x") is None


def test_a_throttled_call_is_sent_each_time(oci: OciEmulator, context: Contexts) -> None:
    """The SDK's circuit breaker would answer by itself after ten refusals, for half a minute."""
    oci.fault(Fault("instances.list", Effect.THROTTLE, retry_after=2))
    made = context()
    for _ in range(15):
        with pytest.raises(Unavailable) as caught:
            machines.list_nodes(made, NodeQuery())
        assert caught.value.retry_after == 2
    assert oci.server.journal.operations().count("instances.list") == 15


def test_timeouts_are_ours(oci: OciEmulator, context: Contexts) -> None:
    made = context()
    machines.list_nodes(made, NodeQuery())
    oci.fault(Fault("instances.list", Effect.HANG))
    short = context(read_seconds=0.3)
    began = time.monotonic()
    with pytest.raises(Unavailable):
        machines.list_nodes(short, NodeQuery())
    assert time.monotonic() - began < 10.0


def test_a_request_id_and_advice_reach_the_operator(oci: OciEmulator, context: Contexts) -> None:
    oci.fault(Fault("instances.list", Effect.FORBIDDEN))
    with pytest.raises(AccessDenied) as caught:
        machines.list_nodes(context(), NodeQuery())
    text = str(caught.value)
    assert "\n" not in text
    assert "NotAuthorized" in text
    assert caught.value.request_id in text
    assert "permissions.txt" in text
    assert "https://docs.oracle.com" not in text, "the SDK's wall of links"


def test_412_is_met_with_a_fresh_read(oci: OciEmulator, context: Contexts, node: Callable[[str], Node]) -> None:
    oci.account.give(Kind.PRIVATE, ipaddress.ip_address("10.0.1.50"), node("n1").id)
    oci.fault(Fault("private_ips.detach", Effect.ERROR, status=412, count=1))
    change = AddressChange(Kind.PRIVATE, ipaddress.ip_address("10.0.1.50"), node("n1").id)
    with pytest.raises(Conflict):
        private_addresses.unbind(context(), change)
    private_addresses.unbind(context(), change)
    assert oci.account.holder(Kind.PRIVATE, change.ip) is None


def test_only_the_two_clients_are_imported() -> None:
    """The SDK has a client for each of 150 services; and nothing of it is imported at the top of a module."""
    import cloudha_plugin_oci

    found: set[str] = set()
    for path in Path(next(iter(cloudha_plugin_oci.__path__))).glob("*.py"):
        tree = ast.parse(path.read_text())
        top = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
        names = {getattr(n, "module", None) or n.names[0].name for n in top}
        assert not any(name.partition(".")[0] in ("oci", "cryptography") for name in names), path.name
        for item in ast.walk(tree):
            if isinstance(item, ast.ImportFrom) and item.module and item.module.startswith("oci.core"):
                found.add(item.module)
    assert found == {"oci.core.compute_client", "oci.core.virtual_network_client"}
