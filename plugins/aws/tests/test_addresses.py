"""Every kind of address: who has it, moving it, giving it up, and what must not happen."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import pytest

from cloudha.provider import (
    Accepted,
    AddressChange,
    AddressQuery,
    AmbiguousError,
    ConfigurationError,
    Conflict,
    Context,
    IPAddress,
    Kind,
    LocalConfigurationError,
    Node,
    NotFound,
    Unavailable,
    UnsupportedError,
)
from cloudha.testing.emulator import Effect, Fault
from cloudha.testing.emulator.client import eventually
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha_plugin_aws import provider
from cloudha_plugin_aws.emulator import AwsEmulator

New = Callable[..., Context]
Named = Callable[[str], Node]
FLOATING = {
    Kind.PRIVATE: ipaddress.ip_address("10.0.1.100"),
    Kind.PUBLIC: ipaddress.ip_address("203.0.113.7"),
    Kind.ROUTE: ipaddress.ip_address("192.168.9.9"),
}
IPV6 = ipaddress.ip_address("fd77::100")
ALL = [*FLOATING.items(), (Kind.PRIVATE, IPV6)]
KINDS = pytest.mark.parametrize(("kind", "ip"), ALL, ids=["private", "public", "route", "ipv6"])
CHANGES = frozenset(
    {
        "ec2.AssignPrivateIpAddresses",
        "ec2.AssignIpv6Addresses",
        "ec2.AssociateAddress",
        "ec2.CreateRoute",
        "ec2.DeleteRoute",
        "ec2.DisassociateAddress",
        "ec2.ReplaceRoute",
        "ec2.UnassignIpv6Addresses",
        "ec2.UnassignPrivateIpAddresses",
    }
)


@pytest.fixture
def ctx(aws: AwsEmulator, context: New) -> Context:
    return context(route_tables=aws.account.route_table().id)


def holders(context: Context, kind: Kind, ip: IPAddress, node_id: str = "") -> set[str | None]:
    page = provider.list_ips(context, AddressQuery(kind, ip, node_id))
    assert page.next is None
    assert all(binding.ip == ip and binding.where for binding in page.bindings)
    return {binding.node_id for binding in page.bindings} - {None}


def bind(context: Context, kind: Kind, ip: IPAddress, node: Node, *, move: bool = True, mac: str = "") -> Accepted:
    return provider.bind_ip(context, AddressChange(kind, ip, node.id, move=move, mac=mac))


def unbind(context: Context, kind: Kind, ip: IPAddress, node: Node) -> Accepted:
    return provider.unbind_ip(context, AddressChange(kind, ip, node.id))


def changes(aws: AwsEmulator) -> int:
    return sum(operation in CHANGES for operation in aws.server.journal.operations())


@KINDS
def test_bound_moved_and_given_up(ctx: Context, node: Named, world: MemoryWorld, kind: Kind, ip: IPAddress) -> None:
    assert holders(ctx, kind, ip) == set()
    assert bind(ctx, kind, ip, node("n1")).request_ids
    assert holders(ctx, kind, ip) == {node("n1").id}
    assert world.routes()[ip] == "n1"
    bind(ctx, kind, ip, node("n2"))
    assert holders(ctx, kind, ip) == {node("n2").id}
    assert world.routes()[ip] == "n2"
    unbind(ctx, kind, ip, node("n2"))
    assert holders(ctx, kind, ip) == set()
    assert ip not in world.routes()


@KINDS
def test_a_move_is_one_request_where_aws_has_one(
    aws: AwsEmulator, ctx: Context, node: Named, kind: Kind, ip: IPAddress
) -> None:
    bind(ctx, kind, ip, node("n1"))
    aws.server.journal.clear()
    bind(ctx, kind, ip, node("n2"))
    assert changes(aws) == (2 if ip.version == 6 else 1)


@KINDS
def test_repeating_changes_nothing(aws: AwsEmulator, ctx: Context, node: Named, kind: Kind, ip: IPAddress) -> None:
    bind(ctx, kind, ip, node("n1"))
    aws.server.journal.clear()
    bind(ctx, kind, ip, node("n1"))
    bind(ctx, kind, ip, node("n1"), move=False)
    unbind(ctx, kind, ip, node("n2"))
    assert holders(ctx, kind, ip) == {node("n1").id}
    assert changes(aws) == 0
    unbind(ctx, kind, ip, node("n1"))
    unbind(ctx, kind, ip, node("n1"))
    assert changes(aws) == 1


@KINDS
def test_without_move_it_is_not_taken_away(ctx: Context, node: Named, kind: Kind, ip: IPAddress) -> None:
    bind(ctx, kind, ip, node("n2"))
    with pytest.raises(Conflict):
        bind(ctx, kind, ip, node("n1"), move=False)
    assert holders(ctx, kind, ip) == {node("n2").id}
    unbind(ctx, kind, ip, node("n2"))
    bind(ctx, kind, ip, node("n1"), move=False)
    assert holders(ctx, kind, ip) == {node("n1").id}


@KINDS
def test_a_stopped_machine_still_holds_it_until_it_is_taken(
    ctx: Context, node: Named, kind: Kind, ip: IPAddress
) -> None:
    bind(ctx, kind, ip, node("n2"))
    provider.power_off(ctx, node("n2"))
    eventually(lambda: provider.power_state(ctx, node("n2")).state.is_off)
    assert holders(ctx, kind, ip) == {node("n2").id}
    bind(ctx, kind, ip, node("n1"))
    assert holders(ctx, kind, ip) == {node("n1").id}


@KINDS
def test_a_lost_answer_is_repaired_by_repeating(
    aws: AwsEmulator, ctx: Context, node: Named, kind: Kind, ip: IPAddress
) -> None:
    bind(ctx, kind, ip, node("n2"))
    for operation in CHANGES:
        aws.fault(Fault(operation, Effect.ERROR, count=1, performed=True))
    for _ in range(4):
        try:
            bind(ctx, kind, ip, node("n1"))
        except Unavailable:
            continue
        break
    assert holders(ctx, kind, ip) == {node("n1").id}


@KINDS
@pytest.mark.parametrize(
    "effect",
    [Effect.THROTTLE, Effect.ERROR, Effect.CUT, Effect.GARBAGE, Effect.MISSING, Effect.REFUSE],
)
def test_a_spoilt_answer_is_never_nobody(
    aws: AwsEmulator, ctx: Context, node: Named, kind: Kind, ip: IPAddress, effect: Effect
) -> None:
    bind(ctx, kind, ip, node("n1"))
    aws.fault(Fault("ec2.*", effect, after=0))
    with pytest.raises(Unavailable):
        holders(ctx, kind, ip)
    with pytest.raises(Unavailable):
        unbind(ctx, kind, ip, node("n1"))


MISSING = {
    Kind.PRIVATE: ("networkInterfaceId", "privateIpAddressesSet", "macAddress", "networkInterfaceSet"),
    Kind.PUBLIC: ("publicIp", "networkInterfaceId", "associationId", "addressesSet"),
    Kind.ROUTE: ("routeTableId", "routeSet", "destinationCidrBlock", "routeTableSet"),
}


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind in Kind for field in MISSING[kind]])
def test_a_missing_field_is_never_nobody(aws: AwsEmulator, ctx: Context, node: Named, kind: Kind, field: str) -> None:
    bind(ctx, kind, FLOATING[kind], node("n1"))
    aws.fault(Fault("ec2.*", Effect.MISSING, fields=(field,)))
    with pytest.raises(Unavailable):
        holders(ctx, kind, FLOATING[kind])


@pytest.mark.parametrize("kind", [Kind.PUBLIC, Kind.ROUTE])
def test_the_machine_is_looked_up_when_only_the_interface_is_named(
    aws: AwsEmulator, ctx: Context, node: Named, kind: Kind
) -> None:
    bind(ctx, kind, FLOATING[kind], node("n1"))
    aws.fault(Fault("ec2.DescribeAddresses,ec2.DescribeRouteTables", Effect.MISSING, fields=("instanceId",)))
    assert holders(ctx, kind, FLOATING[kind]) == {node("n1").id}
    unbind(ctx, kind, FLOATING[kind], node("n1"))
    assert changes(aws) == 2


@KINDS
def test_a_delayed_effect_is_seen_in_time(
    aws: AwsEmulator, ctx: Context, node: Named, kind: Kind, ip: IPAddress
) -> None:
    aws.account.behaviour.bind = 0.2
    bind(ctx, kind, ip, node("n1"))
    eventually(lambda: holders(ctx, kind, ip) == {node("n1").id})


def test_an_address_is_no_part_of_another(ctx: Context, node: Named) -> None:
    bind(ctx, Kind.PRIVATE, ipaddress.ip_address("10.0.1.100"), node("n1"))
    assert holders(ctx, Kind.PRIVATE, ipaddress.ip_address("10.0.1.10")) == set()


# --- which interface ------------------------------------------------------------------------------------------------


@KINDS
def test_nic_by_mac_and_by_id(aws: AwsEmulator, context: New, node: Named, kind: Kind, ip: IPAddress) -> None:
    second = aws.account.add_interface("n1", "02:00:00:00:01:01", "10.0.1.21")
    second.source_dest_check = False
    aws.account.changed()
    tables = aws.account.route_table().id
    ctx = context(route_tables=tables)
    bind(ctx, kind, ip, node("n1"), mac="02:00:00:00:01:01")
    (binding,) = provider.list_ips(ctx, AddressQuery(kind, ip)).bindings
    assert binding.where == (tables if kind is Kind.ROUTE else second.id)
    bind(ctx, kind, ip, node("n1"))
    again = context(route_tables=tables, interface_id=second.id)
    bind(again, kind, ip, node("n1"), move=False) if ip.version == 6 else bind(again, kind, ip, node("n1"))
    (binding,) = provider.list_ips(ctx, AddressQuery(kind, ip)).bindings
    assert binding.where == (tables if kind is Kind.ROUTE else second.id)
    # Given up from whatever interface of the machine has it.
    unbind(ctx, kind, ip, node("n1"))
    assert holders(ctx, kind, ip) == set()


@pytest.mark.parametrize("given", [{"interface_id": "eni-0"}, {"mac": "02:00:00:00:09:09"}])
def test_an_interface_that_is_not_here_is_this_nodes_mistake(context: New, node: Named, given: dict[str, str]) -> None:
    mac = given.pop("mac", "")
    with pytest.raises(LocalConfigurationError):
        bind(context(**given), Kind.PRIVATE, FLOATING[Kind.PRIVATE], node("n1"), mac=mac)


# --- private --------------------------------------------------------------------------------------------------------


def test_another_subnet_is_this_nodes_mistake(ctx: Context, node: Named) -> None:
    with pytest.raises(LocalConfigurationError, match="subnet") as caught:
        bind(ctx, Kind.PRIVATE, FLOATING[Kind.PRIVATE], node("n3"))
    assert "kind=route" in caught.value.advice


def test_a_primary_address_is_neither_taken_nor_given_up(ctx: Context, node: Named) -> None:
    primary = ipaddress.ip_address("10.0.1.12")
    with pytest.raises(ConfigurationError):
        bind(ctx, Kind.PRIVATE, primary, node("n1"))
    with pytest.raises(ConfigurationError, match="primary"):
        unbind(ctx, Kind.PRIVATE, primary, node("n2"))
    assert holders(ctx, Kind.PRIVATE, primary) == {node("n2").id}


def test_a_full_interface_says_so(aws: AwsEmulator, ctx: Context, node: Named) -> None:
    aws.account.behaviour.addresses = 1
    with pytest.raises(LocalConfigurationError, match="PrivateIpAddressLimitExceeded"):
        bind(ctx, Kind.PRIVATE, FLOATING[Kind.PRIVATE], node("n1"))


def test_an_elastic_ip_moves_along(context: New, node: Named) -> None:
    ctx = context(private_ip="10.0.1.100")
    bind(ctx, Kind.PRIVATE, FLOATING[Kind.PRIVATE], node("n1"))
    bind(ctx, Kind.PUBLIC, FLOATING[Kind.PUBLIC], node("n1"))
    bind(ctx, Kind.PRIVATE, FLOATING[Kind.PRIVATE], node("n2"))
    assert holders(ctx, Kind.PUBLIC, FLOATING[Kind.PUBLIC]) == {node("n2").id}


def other_vpc(aws: AwsEmulator, address: str) -> str:
    """Put the address on an interface of another VPC with the same range."""
    backend = aws.account.backend
    vpc = backend.create_vpc("10.0.0.0/16")
    subnet = backend.create_subnet(vpc.id, "10.0.1.0/24", availability_zone="eu-west-1a")
    interface = backend.create_network_interface(subnet, address)
    aws.account.changed()
    return str(interface.id)


def test_the_same_address_in_another_vpc_is_somebody_elses(aws: AwsEmulator, ctx: Context, node: Named) -> None:
    bind(ctx, Kind.PRIVATE, FLOATING[Kind.PRIVATE], node("n1"))
    foreign = other_vpc(aws, "10.0.1.100")
    for asked in ("", node("n1").id, node("n2").id):
        (binding,) = provider.list_ips(ctx, AddressQuery(Kind.PRIVATE, FLOATING[Kind.PRIVATE], asked)).bindings
        assert (binding.node_id, binding.where) == (node("n1").id, aws.account.interface("n1").id)
        assert binding.where != foreign
    aws.fault(Fault("metadata.*", Effect.ERROR))
    with pytest.raises(AmbiguousError):
        holders(ctx, Kind.PRIVATE, FLOATING[Kind.PRIVATE])


def test_all_addresses_that_can_float(ctx: Context, node: Named) -> None:
    bind(ctx, Kind.PRIVATE, FLOATING[Kind.PRIVATE], node("n1"))
    bind(ctx, Kind.PRIVATE, IPV6, node("n1"))
    page = provider.list_ips(ctx, AddressQuery(Kind.PRIVATE))
    assert [binding.ip for binding in page.bindings] == [FLOATING[Kind.PRIVATE], IPV6]
    assert {binding.ip for binding in provider.list_ips(ctx, AddressQuery(Kind.PUBLIC)).bindings} == {
        FLOATING[Kind.PUBLIC]
    }


# --- public ---------------------------------------------------------------------------------------------------------


def test_an_elastic_ip_that_is_not_ours(ctx: Context, node: Named) -> None:
    # AWS lists those of this account whether they are bound or not: the other account may have it bound to n1.
    unknown = ipaddress.ip_address("203.0.113.99")
    for ask in (
        lambda: holders(ctx, Kind.PUBLIC, unknown),
        lambda: unbind(ctx, Kind.PUBLIC, unknown, node("n1")),
        lambda: bind(ctx, Kind.PUBLIC, unknown, node("n1")),
    ):
        with pytest.raises(NotFound, match="no Elastic IP"):
            ask()


def test_mapped_to_the_private_address_that_was_chosen(aws: AwsEmulator, context: New, node: Named) -> None:
    bind(context(), Kind.PRIVATE, FLOATING[Kind.PRIVATE], node("n1"))
    bind(context(), Kind.PUBLIC, FLOATING[Kind.PUBLIC], node("n1"))
    bind(context(private_ip="10.0.1.100"), Kind.PUBLIC, FLOATING[Kind.PUBLIC], node("n1"), move=False)
    (address,) = aws.service.ec2.reads.truth("DescribeAddresses")["Addresses"]
    assert address["PrivateIpAddress"] == "10.0.1.100"
    with pytest.raises(LocalConfigurationError, match="private address"):
        bind(context(private_ip="10.0.1.200"), Kind.PUBLIC, FLOATING[Kind.PUBLIC], node("n1"))


def test_the_interface_with_the_chosen_private_address(aws: AwsEmulator, context: New, node: Named) -> None:
    second = aws.account.add_interface("n1", "02:00:00:00:01:01", "10.0.1.21")
    bind(context(private_ip="10.0.1.21"), Kind.PUBLIC, FLOATING[Kind.PUBLIC], node("n1"))
    (binding,) = provider.list_ips(context(), AddressQuery(Kind.PUBLIC, FLOATING[Kind.PUBLIC])).bindings
    assert (binding.node_id, binding.where) == (node("n1").id, second.id)


def test_another_elastic_ip_of_the_machine_is_left_alone(aws: AwsEmulator, context: New, node: Named) -> None:
    other = ipaddress.ip_address("203.0.113.8")
    aws.account.add_elastic_ip(str(other))
    bind(context(), Kind.PUBLIC, other, node("n1"))
    with pytest.raises(LocalConfigurationError, match="no private address"):
        bind(context(), Kind.PUBLIC, FLOATING[Kind.PUBLIC], node("n1"))
    bind(context(), Kind.PRIVATE, FLOATING[Kind.PRIVATE], node("n1"))
    bind(context(), Kind.PUBLIC, FLOATING[Kind.PUBLIC], node("n1"))
    for ip in (other, FLOATING[Kind.PUBLIC]):
        assert holders(context(), Kind.PUBLIC, ip) == {node("n1").id}


def test_ipv6_is_no_elastic_ip(ctx: Context) -> None:
    with pytest.raises(UnsupportedError):
        holders(ctx, Kind.PUBLIC, IPV6)


def test_an_elastic_ip_that_was_moved_meanwhile_stays(aws: AwsEmulator, ctx: Context, node: Named) -> None:
    bind(ctx, Kind.PUBLIC, FLOATING[Kind.PUBLIC], node("n1"))
    aws.fault(Fault("ec2.DisassociateAddress", Effect.NOT_FOUND))
    assert unbind(ctx, Kind.PUBLIC, FLOATING[Kind.PUBLIC], node("n1")).detail == "moved meanwhile"


# --- route ----------------------------------------------------------------------------------------------------------


def test_every_table_is_changed_and_across_zones(aws: AwsEmulator, context: New, node: Named) -> None:
    first, second = aws.account.route_table(), aws.account.backend.create_route_table(aws.account.vpc.id)
    aws.account.changed()
    ctx = context(route_tables=f"{first.id},{second.id}")
    overlay = FLOATING[Kind.ROUTE]
    bind(context(route_tables=first.id), Kind.ROUTE, overlay, node("n1"))
    page = provider.list_ips(ctx, AddressQuery(Kind.ROUTE, overlay))
    assert {(b.where, b.node_id) for b in page.bindings} == {(first.id, node("n1").id), (second.id, None)}
    bind(ctx, Kind.ROUTE, overlay, node("n3"))
    page = provider.list_ips(ctx, AddressQuery(Kind.ROUTE, overlay))
    assert {(b.where, b.node_id) for b in page.bindings} == {(first.id, node("n3").id), (second.id, node("n3").id)}
    unbind(ctx, Kind.ROUTE, overlay, node("n3"))
    assert holders(ctx, Kind.ROUTE, overlay) == set()


def test_an_ipv6_overlay(ctx: Context, node: Named) -> None:
    overlay = ipaddress.ip_address("fd99::9")
    bind(ctx, Kind.ROUTE, overlay, node("n1"))
    assert holders(ctx, Kind.ROUTE, overlay) == {node("n1").id}
    unbind(ctx, Kind.ROUTE, overlay, node("n1"))
    assert holders(ctx, Kind.ROUTE, overlay) == set()


def test_the_source_check_must_be_off(aws: AwsEmulator, ctx: Context, node: Named) -> None:
    aws.account.interface("n1").source_dest_check = True
    aws.account.changed()
    with pytest.raises(LocalConfigurationError, match="source/destination") as caught:
        bind(ctx, Kind.ROUTE, FLOATING[Kind.ROUTE], node("n1"))
    assert "--no-source-dest-check" in caught.value.advice
    assert changes(aws) == 0


def test_route_tables_are_wanted_and_must_exist(context: New) -> None:
    with pytest.raises(ConfigurationError, match="route_tables"):
        holders(context(), Kind.ROUTE, FLOATING[Kind.ROUTE])
    with pytest.raises(NotFound, match="InvalidRouteTableID"):
        holders(context(route_tables="rtb-00000000"), Kind.ROUTE, FLOATING[Kind.ROUTE])


def test_other_routes_are_never_touched(aws: AwsEmulator, ctx: Context, node: Named) -> None:
    before = aws.service.ec2.reads.truth("DescribeRouteTables")
    bind(ctx, Kind.ROUTE, FLOATING[Kind.ROUTE], node("n1"))
    unbind(ctx, Kind.ROUTE, FLOATING[Kind.ROUTE], node("n1"))
    assert aws.service.ec2.reads.truth("DescribeRouteTables") == before
