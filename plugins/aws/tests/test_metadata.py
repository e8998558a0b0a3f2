from __future__ import annotations

import ipaddress
import subprocess
import sys
from collections.abc import Callable

import pytest

from cloudha.provider import AddressQuery, Context, Kind, LocalConfigurationError, Unavailable, Verdict
from cloudha.testing.emulator import Effect, Fault
from cloudha.testing.emulator.client import Client
from cloudha_plugin_aws import metadata, provider
from cloudha_plugin_aws.emulator import AwsEmulator

New = Callable[..., Context]
FLOATING = ipaddress.ip_address("10.0.1.100")


def give(aws: AwsEmulator, machine: str) -> None:
    with aws.account.lock:
        aws.service.ec2.addresses.assign(aws.account.interface(machine), [str(FLOATING)], move=True)


def evidence(context: Context, ip: str = "10.0.1.100", kind: Kind = Kind.PRIVATE, node_id: str = "") -> Verdict:
    return provider.local_evidence(context, AddressQuery(kind, ipaddress.ip_address(ip), node_id)).verdict


def test_this_machine(aws: AwsEmulator, context: New) -> None:
    found = provider.local_node(context())
    assert (found.id, found.name) == (aws.account.instance("n1").id, "n1")
    assert found.addresses == (ipaddress.ip_address("10.0.1.11"),)
    assert "ec2" not in "".join(aws.server.journal.operations())


def test_this_machine_without_tags_in_its_metadata(aws: AwsEmulator, context: New) -> None:
    aws.account.behaviour.metadata_tags = False
    assert provider.local_node(context()).name == ""


def test_who_asks_is_seen_by_the_address(aws: AwsEmulator) -> None:
    assert aws.account.identify(ipaddress.ip_address("10.0.1.12")) is aws.account.instance("n2")
    assert aws.account.identify(ipaddress.ip_address("127.0.0.1")) is aws.account.instance("n1")


def test_evidence_follows_the_address_at_once(aws: AwsEmulator, context: New) -> None:
    assert evidence(context()) is Verdict.NO
    give(aws, "n1")
    assert evidence(context()) is Verdict.YES
    assert evidence(context(), ip="10.0.1.10") is Verdict.NO
    give(aws, "n2")
    assert evidence(context()) is Verdict.NO


def test_evidence_sees_every_interface(aws: AwsEmulator, context: New) -> None:
    aws.account.add_interface("n1", "02:00:00:00:01:01", "10.0.1.21")
    assert evidence(context(), ip="10.0.1.21") is Verdict.YES


@pytest.mark.parametrize(
    ("kind", "ip"), [(Kind.PUBLIC, "203.0.113.7"), (Kind.ROUTE, "192.168.9.9"), (Kind.PRIVATE, "fd77::100")]
)
def test_no_evidence_where_aws_names_none(aws: AwsEmulator, context: New, kind: Kind, ip: str) -> None:
    assert evidence(context(), ip=ip, kind=kind) is Verdict.CANNOT_TELL
    assert aws.server.journal.operations() == ()


def test_evidence_is_about_this_machine_only(aws: AwsEmulator, context: New) -> None:
    give(aws, "n1")
    assert evidence(context(), node_id=aws.account.instance("n1").id) is Verdict.YES
    assert evidence(context(), node_id=aws.account.instance("n2").id) is Verdict.CANNOT_TELL


@pytest.mark.parametrize("operation", ["metadata.token", "metadata.interfaces"])
@pytest.mark.parametrize(
    "effect", [e for e in Effect if e not in (Effect.DELAY, Effect.STALE, Effect.DRIP, Effect.TLS)]
)
def test_a_spoilt_answer_is_no_evidence(aws: AwsEmulator, context: New, operation: str, effect: Effect) -> None:
    give(aws, "n1")
    aws.fault(Fault(operation, effect))
    assert evidence(context(read_seconds=0.3)) is Verdict.CANNOT_TELL


@pytest.mark.parametrize(
    "effect", [e for e in Effect if e not in (Effect.DELAY, Effect.STALE, Effect.DRIP, Effect.TLS)]
)
def test_a_spoilt_identity_is_an_error(aws: AwsEmulator, context: New, effect: Effect) -> None:
    aws.fault(Fault("metadata.identity", effect))
    with pytest.raises((Unavailable, LookupError, Exception)) as caught:
        provider.local_node(context(read_seconds=0.3))
    assert type(caught.value).__module__ == "cloudha.errors"


@pytest.mark.parametrize("status", [403, 404, 405])
def test_no_metadata_service_of_aws(aws: AwsEmulator, context: New, status: int) -> None:
    aws.fault(Fault("metadata.token", Effect.ERROR, status=status))
    with pytest.raises(LocalConfigurationError):
        provider.local_node(context())


def test_an_api_outage_does_not_matter_here(aws: AwsEmulator, context: New) -> None:
    aws.fault(Fault("ec2.*,sts.*", Effect.HANG))
    give(aws, "n1")
    assert evidence(context(access_key=None, secret_key=None, region=None)) is Verdict.YES


def test_few_requests(aws: AwsEmulator, context: New) -> None:
    evidence(context())
    assert aws.server.journal.operations() == ("metadata.token", "metadata.interfaces", "metadata.interfaces")


def test_the_token_is_enforced(aws: AwsEmulator) -> None:
    client = Client(aws.url)
    assert client("GET", "/latest/meta-data/instance-id").status == 401
    assert client("PUT", "/latest/api/token").status == 400
    assert client("GET", "/latest/api/token").status == 403


def test_where_it_is(aws: AwsEmulator, context: New, monkeypatch: pytest.MonkeyPatch) -> None:
    assert metadata.endpoint(context(metadata_endpoint=None)) == "http://169.254.169.254"
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1/")
    assert metadata.endpoint(context(metadata_endpoint=None)) == "http://127.0.0.1:1"
    assert metadata.endpoint(context()) == aws.url


def test_no_sdk_is_imported_for_metadata_and_evidence() -> None:
    program = (
        "import sys; from cloudha_plugin_aws import provider, evidence, metadata; provider.provider_info();"
        "print([n for n in sys.modules if n.split('.')[0] in ('boto3', 'botocore', 'urllib3', 'moto')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
