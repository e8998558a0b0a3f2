from __future__ import annotations

import importlib.resources
import json
from collections.abc import Callable

import pytest

from cloudha.provider import AccessDenied, Context, Kind, Purpose, Unavailable, Verdict
from cloudha.testing.emulator import Effect, Fault
from cloudha_plugin_aws import provider
from cloudha_plugin_aws.emulator import AwsEmulator

New = Callable[..., Context]
POLICY = json.loads(importlib.resources.files("cloudha_plugin_aws").joinpath("permissions.json").read_text())
WANTED = [(Purpose.FENCING, Kind.PRIVATE), *((Purpose.ADDRESSES, kind) for kind in Kind)]
SIDS = {
    (Purpose.FENCING, Kind.PRIVATE): ("Look", "Fencing"),
    (Purpose.ADDRESSES, Kind.PRIVATE): ("Look", "PrivateAddress", "Ipv6Address"),
    (Purpose.ADDRESSES, Kind.PUBLIC): ("Look", "PublicAddress"),
    (Purpose.ADDRESSES, Kind.ROUTE): ("Look", "RouteAddress"),
}


@pytest.fixture
def ctx(aws: AwsEmulator, context: New) -> Context:
    return context(route_tables=aws.account.route_table().id)


def granted(context: Context, purpose: Purpose, kind: Kind) -> dict[str, Verdict]:
    return {p.name: p.granted for p in provider.check_access(context, purpose, kind, recurring=False).permissions}


@pytest.mark.parametrize(("purpose", "kind"), WANTED)
def test_all_is_granted_or_cannot_be_told(ctx: Context, purpose: Purpose, kind: Kind) -> None:
    found = granted(ctx, purpose, kind)
    assert Verdict.NO not in found.values()
    assert Verdict.YES in found.values()


@pytest.mark.parametrize(("purpose", "kind"), WANTED)
def test_the_policy_file_has_what_is_checked(ctx: Context, purpose: Purpose, kind: Kind) -> None:
    statements = {statement["Sid"]: statement["Action"] for statement in POLICY["Statement"]}
    allowed = {action for sid in SIDS[purpose, kind] for action in statements[sid]}
    assert set(granted(ctx, purpose, kind)) <= allowed


@pytest.mark.parametrize(
    ("purpose", "kind", "name"),
    [
        (Purpose.FENCING, Kind.PRIVATE, "ec2:DescribeInstances"),
        (Purpose.FENCING, Kind.PRIVATE, "ec2:StopInstances"),
        (Purpose.FENCING, Kind.PRIVATE, "ec2:StartInstances"),
        (Purpose.ADDRESSES, Kind.PRIVATE, "ec2:DescribeNetworkInterfaces"),
        (Purpose.ADDRESSES, Kind.PUBLIC, "ec2:DescribeAddresses"),
        (Purpose.ADDRESSES, Kind.ROUTE, "ec2:DescribeRouteTables"),
        (Purpose.ADDRESSES, Kind.ROUTE, "ec2:ReplaceRoute"),
        (Purpose.ADDRESSES, Kind.ROUTE, "ec2:DeleteRoute"),
    ],
)
def test_a_missing_one_is_found(aws: AwsEmulator, ctx: Context, purpose: Purpose, kind: Kind, name: str) -> None:
    aws.account.behaviour.denied = (name,)
    found = granted(ctx, purpose, kind)
    assert found.pop(name) is Verdict.NO
    assert Verdict.NO not in found.values()


@pytest.mark.parametrize(("purpose", "kind"), WANTED)
def test_nothing_is_changed(aws: AwsEmulator, ctx: Context, purpose: Purpose, kind: Kind) -> None:
    reads = aws.service.ec2.reads
    before = [reads.truth(name) for name in ("DescribeInstances", "DescribeRouteTables", "DescribeNetworkInterfaces")]
    provider.check_access(ctx, purpose, kind, recurring=False)
    assert before == [
        reads.truth(name) for name in ("DescribeInstances", "DescribeRouteTables", "DescribeNetworkInterfaces")
    ]


@pytest.mark.parametrize(("purpose", "kind"), WANTED)
def test_an_api_that_is_away_or_refuses_us_is_an_error(
    aws: AwsEmulator, ctx: Context, purpose: Purpose, kind: Kind
) -> None:
    number = aws.fault(Fault("ec2.*", Effect.ERROR))
    with pytest.raises(Unavailable):
        provider.check_access(ctx, purpose, kind, recurring=False)
    aws.server.faults.remove(number)
    aws.account.behaviour.expired = True
    with pytest.raises(AccessDenied):
        provider.check_access(ctx, purpose, kind, recurring=False)


def test_a_monitor_takes_no_start_from_the_account(aws: AwsEmulator, ctx: Context) -> None:
    # EC2 gives all clusters of an account 2 of them a second, in which their reboots must find room.
    aws.server.journal.clear()
    provider.check_access(ctx, Purpose.FENCING, Kind.PRIVATE, recurring=True)
    asked = [name for name in aws.server.journal.operations() if not name.startswith("metadata.")]
    assert asked == ["ec2.DescribeInstances", "ec2.StopInstances"]


def test_a_dry_run_for_which_there_is_no_room_says_nothing(aws: AwsEmulator, ctx: Context) -> None:
    aws.fault(Fault("ec2.StopInstances", Effect.THROTTLE))
    found = granted(ctx, Purpose.FENCING, Kind.PRIVATE)
    assert found["ec2:StopInstances"] is Verdict.CANNOT_TELL
    assert found["ec2:StartInstances"] is Verdict.YES
    aws.fault(Fault("ec2.DescribeInstances", Effect.THROTTLE))
    with pytest.raises(Unavailable):
        granted(ctx, Purpose.FENCING, Kind.PRIVATE)


def test_without_a_metadata_service_it_cannot_be_told(aws: AwsEmulator, ctx: Context) -> None:
    aws.fault(Fault("metadata.*", Effect.REFUSE))
    found = granted(ctx, Purpose.FENCING, Kind.PRIVATE)
    assert found["ec2:DescribeInstances"] is Verdict.YES
    assert found["ec2:StopInstances"] is Verdict.CANNOT_TELL


def test_as_whom(ctx: Context, context: New) -> None:
    identity = provider.check_access(ctx, Purpose.FENCING, Kind.PRIVATE, recurring=False).identity
    assert identity.startswith("AKIA")
    role = "arn:aws:iam::100000000001:role/fencing"
    assert (
        provider.check_access(context(role_arn=role), Purpose.FENCING, Kind.PRIVATE, recurring=False).identity == role
    )
