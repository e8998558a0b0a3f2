"""Routes by the real SDK over HTTP: zones, egress and ingress tables, what is refused."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import pytest

from cloudha.provider import (
    AddressChange,
    AddressQuery,
    ConfigurationError,
    Conflict,
    Context,
    Kind,
    LocalConfigurationError,
    NotFound,
    Unavailable,
)
from cloudha.testing.emulator import Effect, Fault
from cloudha_plugin_ibm import route_addresses as addresses
from cloudha_plugin_ibm.emulator import IbmEmulator
from cloudha_plugin_ibm.emulator.network import give
from cloudha_plugin_ibm.emulator.records import Route, Table

Contexts = Callable[..., Context]
VIP = ipaddress.ip_address("198.51.100.10")
CHANGES = ("routes.create", "routes.change", "routes.delete")
ZONES = ("us-south-1", "us-south-2")


def change(ibm: IbmEmulator, name: str = "n1", *, move: bool = True) -> AddressChange:
    return AddressChange(Kind.ROUTE, VIP, ibm.account.machine_id(name), move)


def query(ibm: IbmEmulator, name: str = "n1") -> AddressQuery:
    return AddressQuery(Kind.ROUTE, VIP, ibm.account.machine_id(name))


def changes(ibm: IbmEmulator) -> list[str]:
    return [entry.operation for entry in ibm.server.journal.entries() if entry.operation in CHANGES]


def routes(table: Table) -> list[tuple[str, str]]:
    return sorted((route.zone, route.hop) for route in table.routes if route.destination == f"{VIP}/32")


@pytest.fixture
def two_zones(ibm: IbmEmulator) -> IbmEmulator:
    """A third machine, in another zone; all subnets use one table."""
    machine = ibm.account.world.add("n3", ipaddress.ip_address("10.240.64.13"))  # type: ignore[attr-defined]  # in memory
    ibm.account.adopt(machine, zone="us-south-2")
    return ibm


def test_a_first_start_makes_a_route_for_each_zone_with_clients(two_zones: IbmEmulator, context: Contexts) -> None:
    addresses.bind(context(), change(two_zones))
    assert routes(two_zones.account.table) == [(zone, "10.240.0.11") for zone in ZONES]
    found = addresses.bindings(context(), query(two_zones)).bindings
    assert {b.node_id for b in found} == {two_zones.account.machine_id("n1")}
    assert [b.where for b in found] == [f"cluster-routes/{zone}" for zone in ZONES]


def test_a_move_across_zones_changes_every_route(two_zones: IbmEmulator, context: Contexts) -> None:
    give(two_zones.account, Kind.ROUTE, VIP, "n1")
    addresses.bind(context(), change(two_zones, "n3"))
    assert routes(two_zones.account.table) == [(zone, "10.240.64.13") for zone in ZONES]
    assert changes(two_zones) == ["routes.change"] * 2


def test_a_zone_without_its_route_is_bound_in_part(two_zones: IbmEmulator, context: Contexts) -> None:
    give(two_zones.account, Kind.ROUTE, VIP, "n1")
    table = two_zones.account.table
    table.routes.remove(next(r for r in table.routes if r.zone == "us-south-2"))
    found = addresses.bindings(context(), query(two_zones)).bindings
    assert [b.node_id for b in found] == [two_zones.account.machine_id("n1"), None]
    addresses.bind(context(), change(two_zones))
    assert routes(table) == [(zone, "10.240.0.11") for zone in ZONES]


def test_in_an_ingress_table_the_route_moves_with_the_machine_to_its_zone(
    two_zones: IbmEmulator, context: Contexts
) -> None:
    table = two_zones.account.add_table("outside", two_zones.account.vpc, ingress=True)
    one = context(route_tables="outside")
    addresses.bind(one, change(two_zones))
    assert routes(table) == [("us-south-1", "10.240.0.11")]
    table.routes[-1].advertise = True
    addresses.bind(one, change(two_zones, "n3"))
    assert routes(table) == [("us-south-2", "10.240.64.13")]
    assert changes(two_zones) == ["routes.create", "routes.create", "routes.delete"], "never a moment without a route"
    assert table.routes[-1].advertise, "advertised as before"


def test_other_routes_are_left_alone(ibm: IbmEmulator, context: Contexts) -> None:
    before = list(ibm.account.table.routes)
    addresses.bind(context(), change(ibm))
    addresses.unbind(context(), change(ibm))
    assert ibm.account.table.routes == before


def test_spoofing_must_be_allowed(ibm: IbmEmulator, context: Contexts) -> None:
    ibm.account.interfaces_of("n1")[0].spoofs = False
    with pytest.raises(LocalConfigurationError, match="IP spoofing") as caught:
        addresses.bind(context(), change(ibm))
    assert "--allow-ip-spoofing true" in caught.value.advice
    assert changes(ibm) == []


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [("origin", "service", "by a service"), ("action", "drop", "does not deliver"), ("zone", "us-south-1", "several")],
)
def test_routes_that_cannot_be_moved_are_refused(
    ibm: IbmEmulator, context: Contexts, field: str, value: str, match: str
) -> None:
    give(ibm.account, Kind.ROUTE, VIP, "n2")
    table = ibm.account.table
    if field == "zone":
        twin = Route("r006-twin", "twin", f"{VIP}/32", value, "10.240.0.11")
        table.routes.append(twin)
    else:
        setattr(table.routes[-1], field, value)
    with pytest.raises(ConfigurationError, match=match):
        addresses.bind(context(), change(ibm))
    assert changes(ibm) == []


def test_a_hop_out_of_sight_is_somebody(ibm: IbmEmulator, context: Contexts) -> None:
    give(ibm.account, Kind.ROUTE, VIP, "n2")
    ibm.account.table.routes[-1].hop = "10.240.0.200"
    (binding,) = addresses.bindings(context(), query(ibm)).bindings
    assert binding.node_id == "10.240.0.200"
    with pytest.raises(Conflict, match=r"10\.240\.0\.200"):
        addresses.bind(context(), change(ibm, move=False))
    assert changes(ibm) == []


def test_unbind_deletes_only_what_leads_here(ibm: IbmEmulator, context: Contexts) -> None:
    give(ibm.account, Kind.ROUTE, VIP, "n2")
    addresses.unbind(context(), change(ibm))
    assert routes(ibm.account.table) == [("us-south-1", "10.240.0.12")]


def test_a_route_that_is_being_changed_leads_nowhere_certain(ibm: IbmEmulator, context: Contexts) -> None:
    give(ibm.account, Kind.ROUTE, VIP, "n1")
    ibm.account.table.routes[-1].state = "updating"
    with pytest.raises(Unavailable, match="updating"):
        addresses.bindings(context(), query(ibm))


def test_tables_are_named_and_known(ibm: IbmEmulator, context: Contexts) -> None:
    with pytest.raises(ConfigurationError, match="route_tables"):
        addresses.bindings(context(route_tables=None), query(ibm))
    with pytest.raises(NotFound, match="nowhere"):
        addresses.bindings(context(route_tables="nowhere"), query(ibm))
    by_id = context(route_tables=ibm.account.table.id, vpc="cluster-vpc")
    assert [b.node_id for b in addresses.bindings(by_id, query(ibm)).bindings] == [None]
    with pytest.raises(NotFound, match="no VPC another"):
        addresses.bindings(context(vpc="another"), query(ibm))


@pytest.mark.parametrize("effect", [Effect.EMPTY, Effect.MISSING])
@pytest.mark.parametrize("operation", ["routes.list", "tables.list"])
def test_an_answer_that_lacks_something_never_says_free(
    ibm: IbmEmulator, context: Contexts, operation: str, effect: Effect
) -> None:
    give(ibm.account, Kind.ROUTE, VIP, "n1")
    ibm.fault(Fault(operation, effect))
    with pytest.raises((Unavailable, NotFound)):
        addresses.bindings(context(), query(ibm))
