"""Every exception of botocore, by its class and by its code, and every fault over real HTTP."""

from __future__ import annotations

import inspect
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.exceptions
import botocore.parsers
import pytest
import urllib3.exceptions

from cloudha.provider import (
    AccessDenied,
    CloudhaError,
    ConfigurationError,
    Conflict,
    Context,
    CredentialsMissing,
    LocalConfigurationError,
    Node,
    NodeQuery,
    NotFound,
    SdkMissing,
    Unavailable,
    UnsupportedError,
)
from cloudha.testing.emulator import Effect, Fault
from cloudha.testing.emulator.client import Client
from cloudha_plugin_aws import errors, provider
from cloudha_plugin_aws.emulator import ACCESS_KEY, AwsEmulator

New = Callable[..., Context]
Named = Callable[[str], Node]


def answered(code: str, message: str = "words", status: int = 400, **headers: str) -> botocore.exceptions.ClientError:
    about: Any = {"RequestId": "req-1", "HTTPStatusCode": status, "HTTPHeaders": headers}
    return botocore.exceptions.ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": about}, "StopInstances"
    )


CODES = [
    (Unavailable, [*errors.THROTTLING, *errors.PASSING, "503", "502", "SomethingNew", "403", "418"]),
    (AccessDenied, [*errors.FORBIDDEN, *errors.BAD_CREDENTIALS, *errors.EXPIRED, *errors.CLOCK]),
    (AccessDenied, ["OperationNotPermitted", "Client.UnauthorizedOperation"]),
    (Conflict, [*errors.STATE]),
    (ConfigurationError, [*errors.PARAMETERS, "InvalidInstanceID.Malformed", "InvalidRouteTableId.Malformed"]),
    (LocalConfigurationError, ["PrivateIpAddressLimitExceeded", "AddressLimitExceeded"]),
    (UnsupportedError, ["UnsupportedOperation", "UnsupportedHibernationConfiguration"]),
    (
        NotFound,
        [
            "InvalidInstanceID.NotFound",
            "InvalidNetworkInterfaceID.NotFound",
            "InvalidAllocationID.NotFound",
            "InvalidAssociationID.NotFound",
            "InvalidAddress.NotFound",
            "InvalidRouteTableID.NotFound",
            "InvalidRoute.NotFound",
            "InvalidSubnetID.NotFound",
            "NoSuchEntity",
        ],
    ),
]


@pytest.mark.parametrize(("kind", "code"), [(kind, code) for kind, codes in CODES for code in sorted(codes)])
def test_every_code(kind: type[CloudhaError], code: str) -> None:
    found = errors.translated(answered(code), "ec2:StopInstances")
    assert type(found) is kind
    assert found.request_id == "req-1"
    assert code.removeprefix("Client.") in found.cause


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_the_status_counts_where_the_code_says_nothing(status: int) -> None:
    found = errors.translated(answered("", "<html>", status, **{"retry-after": "7"}))
    assert isinstance(found, Unavailable)
    assert found.retry_after == 7


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("[10.0.0.5] assigned, but move is not allowed.", Conflict),
        ("There is no route defined for '10.9.9.9/32' in the route table. Use CreateRoute instead.", Conflict),
        ("Address does not fall within the subnet's address range", LocalConfigurationError),
        ("Value () for parameter x is invalid", ConfigurationError),
    ],
)
def test_what_stands_under_one_code(message: str, kind: type[CloudhaError]) -> None:
    assert type(errors.translated(answered("InvalidParameterValue", message))) is kind


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (
            (
                "You are not authorized to perform this operation. User: arn:aws:sts::1:assumed-role/r/i is not "
                "authorized to perform: ec2:StartInstances on resource: arn:aws:ec2:eu-west-1:1:instance/i-1 because "
                "no identity-based policy allows it. Encoded authorization failure message: AbC"
            ),
            "ec2:StartInstances",
        ),
        (f"You are not authorized to perform this operation. Encoded authorization failure message: {'x' * 900}", ""),
        ("You are not authorized to perform this operation.", ""),
    ],
)
def test_the_missing_permission_is_named(message: str, name: str) -> None:
    found = errors.translated(answered("UnauthorizedOperation", message, 403), "ec2:StopInstances")
    assert found is not None
    assert f"permission {name or 'ec2:StopInstances'} is missing" in str(found)
    assert "Encoded" not in str(found)
    assert "permissions.json" in str(found)


def test_a_wrong_clock_is_said() -> None:
    found = errors.translated(answered("SignatureDoesNotMatch", "Signature expired: 2026 is now earlier than 2027"))
    assert "clock" in str(found)


NOT_ANSWERED = {
    Unavailable: {
        "ChecksumError",
        "ConnectTimeoutError",
        "ConnectionClosedError",
        "ConnectionError",
        "EndpointConnectionError",
        "FlexibleChecksumError",
        "HTTPClientError",
        "IncompleteReadError",
        "MetadataRetrievalError",
        "ProxyConnectionError",
        "ReadTimeoutError",
        "ResponseStreamingError",
        "SSLError",
    },
    CredentialsMissing: {
        "CredentialRetrievalError",
        "LoginAuthorizationCodeError",
        "LoginError",
        "LoginInsufficientPermissions",
        "LoginRefreshRequired",
        "LoginTokenLoadError",
        "NoAuthTokenError",
        "NoCredentialsError",
        "RefreshWithMFAUnsupportedError",
        "SSOError",
        "SSOTokenLoadError",
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
    },
    LocalConfigurationError: {
        "ConfigNotFound",
        "ConfigParseError",
        "InfiniteLoopConfigError",
        "InvalidConfigError",
        "PartialCredentialsError",
        "ProfileNotFound",
    },
    SdkMissing: {"DataNotFoundError", "UnknownServiceError"},
}


def of_botocore() -> list[type[Exception]]:
    kinds = [kind for _, kind in inspect.getmembers(botocore.exceptions, inspect.isclass)]
    return [kind for kind in kinds if issubclass(kind, botocore.exceptions.BotoCoreError)]


@pytest.mark.parametrize("kind", of_botocore(), ids=lambda kind: kind.__name__)
def test_every_exception_of_botocore(kind: type[Exception]) -> None:
    # Their messages have fields of all sorts; the class is what counts.
    error = kind.__new__(kind)
    wanted = next((ours for ours, names in NOT_ANSWERED.items() if kind.__name__ in names), ConfigurationError)
    assert type(errors.translated(error)) is wanted


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (botocore.parsers.ResponseParserError("Unable to parse response"), Unavailable),
        (TimeoutError("timed out"), Unavailable),
        (ConnectionResetError("reset"), Unavailable),
        (urllib3.exceptions.ProtocolError("broken"), Unavailable),
        (ssl.SSLError("bad"), Unavailable),
        (ImportError("No module named 'boto3'"), SdkMissing),
    ],
)
def test_others_that_come_through(error: Exception, kind: type[CloudhaError]) -> None:
    assert type(errors.translated(error)) is kind


def test_a_bug_stays_a_bug() -> None:
    assert errors.translated(KeyError("x")) is None
    assert errors.translated(TypeError("x")) is None


# --- over real HTTP -------------------------------------------------------------------------------------------------

FAULTS: list[tuple[Effect, type[CloudhaError]]] = [
    (Effect.THROTTLE, Unavailable),
    (Effect.ERROR, Unavailable),
    (Effect.UNAUTHORIZED, AccessDenied),
    (Effect.EXPIRED, AccessDenied),
    (Effect.FORBIDDEN, AccessDenied),
    (Effect.NOT_FOUND, NotFound),
    (Effect.CONFLICT, Conflict),
    (Effect.HANG, Unavailable),
    (Effect.REFUSE, Unavailable),
    (Effect.CUT, Unavailable),
    (Effect.GARBAGE, Unavailable),
    (Effect.MISSING, Unavailable),
]


@pytest.mark.parametrize(("effect", "kind"), FAULTS, ids=[effect.value for effect, _ in FAULTS])
def test_every_fault(aws: AwsEmulator, context: New, node: Named, effect: Effect, kind: type[CloudhaError]) -> None:
    aws.fault(Fault("ec2.*", effect))
    ctx = context(read_seconds=0.3)
    for ask in (
        lambda: provider.list_nodes(ctx, NodeQuery()),
        lambda: provider.power_state(ctx, node("n2")),
        lambda: provider.power_off(ctx, node("n2")),
        lambda: provider.power_on(ctx, node("n2")),
    ):
        with pytest.raises(kind) as caught:
            ask()
        assert type(caught.value) is kind


def test_nothing_is_sent_twice(aws: AwsEmulator, context: New, node: Named) -> None:
    aws.fault(Fault("ec2.*", Effect.ERROR))
    with pytest.raises(Unavailable):
        provider.power_state(context(), node("n2"))
    assert len(aws.server.journal.entries()) == 1


def test_the_servers_wait_is_passed_on(aws: AwsEmulator, context: New, node: Named) -> None:
    aws.fault(Fault("ec2.*", Effect.THROTTLE, retry_after=9))
    with pytest.raises(Unavailable, match="RequestLimitExceeded") as caught:
        provider.power_state(context(), node("n2"))
    assert caught.value.retry_after == 9


def test_the_account_is_throttled(aws: AwsEmulator, context: New) -> None:
    aws.account.behaviour.rate, aws.account.behaviour.burst = 0.001, 1
    aws.service._level = 1.0
    ctx = context()
    provider.list_nodes(ctx, NodeQuery())
    with pytest.raises(Unavailable, match="RequestLimitExceeded"):
        provider.list_nodes(ctx, NodeQuery())


def test_nobody_listens(context: New) -> None:
    with pytest.raises(Unavailable):
        provider.list_nodes(context(endpoint="http://127.0.0.1:9"), NodeQuery())


@pytest.mark.parametrize("given", [{"endpoint": "nonsense"}, {"endpoint": "http://u:p@127.0.0.1"}])
def test_endpoints_that_are_none(context: New, given: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        provider.list_nodes(context(**given), NodeQuery())


def test_a_file_of_authorities_that_is_none(context: New) -> None:
    with pytest.raises(LocalConfigurationError, match="ca_file"):
        provider.list_nodes(context(ca_file="/nonexistent"), NodeQuery())


# --- credentials and region -----------------------------------------------------------------------------------------

NOTHING = {"access_key": None, "secret_key": None}


def test_the_instances_role(aws: AwsEmulator, context: New) -> None:
    provider.list_nodes(context(**NOTHING, region=None), NodeQuery())
    operations = aws.server.journal.operations()
    assert "metadata.credentials" in operations
    assert operations[-1] == "ec2.DescribeInstances"


def test_no_credentials_at_all(aws: AwsEmulator, context: New) -> None:
    aws.account.behaviour.role = ""
    with pytest.raises(CredentialsMissing, match="NoCredentials"):
        provider.list_nodes(context(**NOTHING), NodeQuery())
    aws.fault(Fault("metadata.*", Effect.REFUSE))
    with pytest.raises(CredentialsMissing):
        provider.list_nodes(context(**NOTHING), NodeQuery())
    assert "ec2.DescribeInstances" not in aws.server.journal.operations()


def test_a_role_whose_credentials_cannot_be_fetched_now_may_be_later(aws: AwsEmulator, context: New) -> None:
    # The role's name comes, its credentials do not.
    aws.fault(Fault("metadata.credentials", Effect.ERROR, count=1, after=1))
    with pytest.raises(Unavailable, match="cluster-node"):
        provider.list_nodes(context(**NOTHING), NodeQuery())


def test_a_profile(aws: AwsEmulator, context: New, tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[other]\naws_access_key_id=AKIAOTHER00000000000\naws_secret_access_key=x\n")
    (tmp_path / "config").write_text("[profile other]\nregion=eu-west-1\n")
    aws.account.behaviour.keys = ("AKIAOTHER00000000000",)
    provider.list_nodes(context(**NOTHING, region=None, profile="other"), NodeQuery())
    with pytest.raises(LocalConfigurationError, match="ProfileNotFound"):
        provider.list_nodes(context(**NOTHING, profile="absent"), NodeQuery())


def test_the_environment(aws: AwsEmulator, context: New, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
    provider.list_nodes(context(**NOTHING, endpoint=None), NodeQuery())
    assert aws.server.journal.operations() == ("ec2.DescribeInstances",)


def test_a_key_is_whole_or_none(context: New) -> None:
    for half in ({"secret_key": None}, {"access_key": None}):
        with pytest.raises(ConfigurationError, match="go together"):
            provider.list_nodes(context(**half), NodeQuery())


def test_an_unknown_key(aws: AwsEmulator, context: New) -> None:
    aws.account.behaviour.keys = ("AKIAOTHER00000000000",)
    with pytest.raises(AccessDenied, match="AuthFailure"):
        provider.list_nodes(context(), NodeQuery())


def test_a_role_is_assumed(aws: AwsEmulator, context: New) -> None:
    role = "arn:aws:iam::100000000001:role/fencing"
    provider.list_nodes(context(role_arn=role), NodeQuery())
    assert aws.server.journal.operations() == ("sts.AssumeRole", "ec2.DescribeInstances")
    aws.account.behaviour.denied = ("sts:AssumeRole",)
    with pytest.raises(AccessDenied, match="permission sts:AssumeRole is missing"):
        provider.list_nodes(context(role_arn=role), NodeQuery())


def test_the_region_that_this_machine_is_in(aws: AwsEmulator, context: New) -> None:
    provider.list_nodes(context(region=None), NodeQuery())
    aws.fault(Fault("metadata.*", Effect.ERROR))
    with pytest.raises(Unavailable):
        provider.list_nodes(context(region=None), NodeQuery())


def test_the_region_is_not_known(aws: AwsEmulator, context: New) -> None:
    aws.fault(Fault("metadata.token", Effect.NOT_FOUND))
    with pytest.raises(ConfigurationError, match="region"):
        provider.list_nodes(context(region=None), NodeQuery())


@pytest.mark.parametrize("region", ["us-gov-west-1", "cn-north-1", "eu-south-2"])
def test_every_partition_has_its_own_host(context: New, region: str) -> None:
    from cloudha_plugin_aws import client

    ctx = context(region=region, endpoint=None)
    url = client._client(ctx).meta.endpoint_url
    assert url == f"https://ec2.{region}.amazonaws.com" + (".cn" if region.startswith("cn") else "")


def test_an_old_boto3_stops_with_force_only(
    aws: AwsEmulator, context: New, node: Named, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cloudha_plugin_aws import machines

    monkeypatch.setattr(machines, "members", lambda *_: frozenset({"InstanceIds", "Force"}))
    aws.account.behaviour.guest = 3600
    provider.power_off(context(), node("n2"))
    assert provider.power_state(context(), node("n2")).raw == "stopping"


@pytest.mark.parametrize("library", ["boto3", "botocore"])
def test_an_sdk_that_is_not_installed(aws: AwsEmulator, library: str) -> None:
    program = f"""
import sys
sys.modules["{library}"] = None
from cloudha.deadline import Deadline
from cloudha.errors import SdkMissing
from cloudha.provider import Context, NodeQuery, Secret, Settings
from cloudha_plugin_aws import provider
given = {{"endpoint": "{aws.url}", "region": "r", "access_key": "a", "secret_key": Secret("s")}}
try:
    provider.list_nodes(Context(Settings(given), Deadline(5)), NodeQuery())
except SdkMissing as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install boto3" in done.stdout


def test_secrets_stay_inside(context: New) -> None:
    ctx = context(secret_key="s3cr3t-s3cr3t", session_token="t0k3n-t0k3n", endpoint="http://127.0.0.1:9")
    with pytest.raises(Unavailable) as caught:
        provider.list_nodes(ctx, NodeQuery())
    assert "s3cr3t" not in str(caught.value)
    assert "t0k3n" not in f"{caught.value!r} {ctx.settings!r}"


def test_faults_and_truth_over_http(aws: AwsEmulator) -> None:
    truth = Client(aws.url).admin("GET", "truth")
    assert len(truth["DescribeInstances"]["Reservations"]) == 3
