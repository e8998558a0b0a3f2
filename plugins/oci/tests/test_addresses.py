"""Addresses of each kind by the real SDK over HTTP; what the conformance kit cannot know about OCI."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import pytest

from cloudha.provider import (
    AccessDenied,
    AddressChange,
    AddressQuery,
    ConfigurationError,
    Conflict,
    Context,
    Kind,
    LocalConfigurationError,
    Node,
    NotFound,
    Unavailable,
    Verdict,
)
from cloudha.testing.emulator import Effect, Fault
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha_plugin_oci import evidence, private_addresses, public_addresses, route_addresses
from cloudha_plugin_oci.emulator import OciEmulator
from cloudha_plugin_oci.emulator.power import terminate
from cloudha_plugin_oci.emulator.records import new_ocid, rule

Contexts = Callable[..., Context]
Nodes = Callable[[str], Node]
ip = ipaddress.ip_address
PUBLIC = "203.0.113.7"
VIP, VIP6, OVERLAY = ip("10.0.1.50"), ip("2001:db8:77::50"), ip("198.51.100.10")


def asked(oci: OciEmulator) -> list[str]:
    return [e.operation for e in oci.server.journal.entries() if not e.operation.startswith(("metadata", "identity"))]


def change(node: Node, address: object = VIP, kind: Kind = Kind.PRIVATE, **more: object) -> AddressChange:
    return AddressChange(kind, address, node.id, **more)  # type: ignore[arg-type]  # addresses, all of them


def query(node: Node, address: object = VIP, kind: Kind = Kind.PRIVATE) -> AddressQuery:
    return AddressQuery(kind, address, node.id)  # type: ignore[arg-type]  # as above


# --- private ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [VIP, VIP6])
def test_an_address_that_is_not_there_is_created_reserved(
    oci: OciEmulator, context: Contexts, node: Nodes, address: object
) -> None:
    private_addresses.bind(context(), change(node("n1"), address))
    made = oci.account.address(address)  # type: ignore[arg-type]  # as above
    assert made is not None
    assert made["lifetime"] == "RESERVED"
    assert oci.account.holder(Kind.PRIVATE, address) == node("n1").id  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize("address", [VIP, VIP6])
@pytest.mark.parametrize("place", ["here", "elsewhere"])
def test_an_ephemeral_one_is_made_reserved(
    oci: OciEmulator, context: Contexts, node: Nodes, address: object, place: str
) -> None:
    where = oci.account.vnics(node("n1" if place == "here" else "n2").id)[0]
    held = oci.account.add_private_ip(address, where, lifetime="EPHEMERAL")  # type: ignore[arg-type]  # as above
    private_addresses.bind(context(), change(node("n1"), address))
    kind = "ipv6" if ":" in str(address) else "privateip"
    found = oci.account.records.get(kind, held["id"])
    assert found["lifetime"] == "RESERVED"
    assert oci.account.holder(Kind.PRIVATE, address) == node("n1").id  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize("address", [VIP, VIP6])
def test_a_move_is_one_request_that_changes_something_and_crosses_availability_domains(
    oci: OciEmulator, world: MemoryWorld, context: Contexts, node: Nodes, address: object
) -> None:
    one, other = oci.account.named("n1"), oci.account.named("n2")
    assert one["availabilityDomain"] != other["availabilityDomain"]
    oci.account.give(Kind.PRIVATE, address, other["id"])  # type: ignore[arg-type]  # as above
    held = oci.account.address(address)  # type: ignore[arg-type]  # as above
    world.cut_power("n2")
    private_addresses.bind(context(), change(node("n1"), address))
    assert [name for name in asked(oci) if not name.endswith((".list", ".get"))] in (
        ["private_ips.update"],
        ["ipv6s.update"],
    )
    assert oci.account.holder(Kind.PRIVATE, address) == one["id"]  # type: ignore[arg-type]  # as above
    assert oci.account.address(address)["id"] == held["id"], "the same object"  # type: ignore[arg-type,index]  # as above


@pytest.mark.parametrize("address", [VIP, VIP6])
@pytest.mark.parametrize("lifetime", ["RESERVED", "EPHEMERAL"])
def test_a_stop_keeps_the_object_and_what_leads_to_it(
    oci: OciEmulator, context: Contexts, node: Nodes, address: object, lifetime: str
) -> None:
    where = oci.account.vnics(node("n1").id)[0]
    held = oci.account.add_private_ip(address, where, lifetime=lifetime)  # type: ignore[arg-type]  # as above
    table = oci.account.add_table("others", [rule("192.168.7.0/24", held["id"])])
    private_addresses.unbind(context(), change(node("n1"), address))
    kept = oci.account.address(address)  # type: ignore[arg-type]  # as above
    assert kept is not None
    assert (kept["id"], kept["ipState"], kept["lifetime"]) == (held["id"], "AVAILABLE", "RESERVED")
    assert oci.account.records.get("routetable", table["id"])["routeRules"][0]["networkEntityId"] == held["id"]


def test_a_stop_cannot_take_what_moved_meanwhile(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    """Between the read and the request somebody moves the address: if-match makes that a conflict."""
    oci.account.give(Kind.PRIVATE, VIP, node("n1").id)
    real = oci.service._answers["private_ips.detach"]

    def meanwhile(*_: object) -> object:
        raise AssertionError("the etag does not match any more")

    oci.service._answers = {**oci.service._answers, "private_ips.detach": meanwhile}  # type: ignore[dict-item]  # never called
    first = oci.service.watch

    def watch(operation: str, request: object, reply: object) -> None:
        if operation == "private_ips.get":
            oci.account.give(Kind.PRIVATE, VIP, node("n2").id)
        first(operation, request, reply)  # type: ignore[misc,arg-type]  # the fixture's own

    oci.service.watch = watch
    with pytest.raises(Conflict, match="NoEtagMatch"):
        private_addresses.unbind(context(), change(node("n1")))
    oci.service._answers = {**oci.service._answers, "private_ips.detach": real}
    assert oci.account.holder(Kind.PRIVATE, VIP) == node("n2").id
    assert private_addresses.unbind(context(), change(node("n1"))).detail == "not bound there"


def test_without_takeover_the_move_holds_for_what_was_read_only(
    oci: OciEmulator, context: Contexts, node: Nodes
) -> None:
    oci.account.give(Kind.PRIVATE, VIP, node("n2").id)
    with pytest.raises(Conflict, match=node("n2").id):
        private_addresses.bind(context(), change(node("n1"), move=False))
    oci.account.give(Kind.PRIVATE, VIP, None)
    private_addresses.bind(context(), change(node("n1"), move=False))
    assert oci.account.holder(Kind.PRIVATE, VIP) == node("n1").id


def test_the_own_address_of_a_vnic_does_not_float(context: Contexts, node: Nodes) -> None:
    for call in (private_addresses.bind, private_addresses.unbind):
        with pytest.raises(ConfigurationError, match="own address"):
            call(context(), change(node("n1"), ip("10.0.1.11")))


def test_an_address_of_another_subnet_is_refused_on_this_node(context: Contexts, node: Nodes) -> None:
    with pytest.raises(LocalConfigurationError, match="CIDR") as caught:
        private_addresses.bind(context(), change(node("n1"), ip("10.99.0.5")))
    assert "one subnet" in caught.value.advice


def test_a_monitor_of_the_holder_costs_one_request(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    oci.account.give(Kind.PRIVATE, VIP, node("n1").id)
    anonymous = AddressQuery(Kind.PRIVATE, VIP)
    assert private_addresses.bindings(context(), anonymous).bindings[0].node_id == node("n1").id
    assert asked(oci) == ["private_ips.list"]
    oci.server.journal.clear()
    made = context(subnet_id=oci.account.subnet["id"])
    assert private_addresses.bindings(made, anonymous).bindings[0].node_id == node("n1").id
    assert asked(oci) == ["private_ips.list"]


def test_a_vnic_without_its_own_address_is_no_answer(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    oci.account.give(Kind.PRIVATE, VIP, node("n1").id)
    oci.server.faults.add(Fault("private_ips.list", Effect.EMPTY))
    with pytest.raises(Unavailable, match="lacks its primary one"):
        private_addresses.bindings(context(), AddressQuery(Kind.PRIVATE, VIP))


def test_nobody_is_asked_for_local_evidence(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    oci.account.give(Kind.PRIVATE, VIP, node("n1").id)
    assert evidence.evidence(context(), query(node("n1"))).verdict is Verdict.CANNOT_TELL
    assert oci.server.journal.operations() == ()


def test_a_holder_out_of_sight_is_somebody_else(
    oci: OciEmulator, world: MemoryWorld, context: Contexts, node: Nodes
) -> None:
    far = oci.account.adopt(world.add("n3", ip("10.0.1.33")), "ocid1.compartment.oc1..aaaaaaaaother")
    vnic = oci.account.vnics(far["id"])[0]
    oci.account.give(Kind.PRIVATE, VIP, far["id"])
    (binding,) = private_addresses.bindings(context(), query(node("n1"))).bindings
    assert binding.node_id == vnic["id"]
    both = context(compartment_id=f"{oci.account.named('n1')['compartmentId']},{far['compartmentId']}")
    (binding,) = private_addresses.bindings(both, query(node("n1"))).bindings
    assert binding.node_id == far["id"]


def test_a_refusal_about_our_own_vnic_is_not_absence(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    """A monitor then stays degraded; as NotFound it would fail, and the resource would move."""
    oci.account.behaviour.denied = ("vnics.get",)
    with pytest.raises(AccessDenied, match="NotAuthorizedOrNotFound"):
        private_addresses.bindings(context(), query(node("n1")))
    oci.account.behaviour.denied = ("private_ips.list",)
    with pytest.raises(AccessDenied, match="NotAuthorizedOrNotFound"):
        private_addresses.bindings(context(), query(node("n1")))


def test_reserved_addresses_survive_their_machine(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    oci.account.behaviour.stop = 0.0
    oci.account.give(Kind.PRIVATE, VIP, node("n2").id)
    with oci.account.lock:
        terminate(oci.account, oci.account.named("n2"))
    (binding,) = private_addresses.bindings(context(), query(node("n1"))).bindings
    assert binding.node_id is None
    private_addresses.bind(context(), change(node("n1")))
    assert oci.account.holder(Kind.PRIVATE, VIP) == node("n1").id


# --- which VNIC -------------------------------------------------------------------------------------------------------


def test_the_vnic_by_mac_by_ocid_by_subnet_and_by_default(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    instance = oci.account.named("n1")
    other = oci.account.add_subnet("10.0.2.0/24")
    second = oci.account.add_vnic(
        instance, ip("10.0.2.11"), "02:00:00:00:99:01", "n1-b", primary=False, subnet=other["id"]
    )
    address = ip("10.0.2.50")
    for given, mac in (
        ({"vnic_id": second["id"]}, ""),
        ({"subnet_id": other["id"]}, ""),
        ({}, "02:00:00:00:99:01"),
    ):
        private_addresses.bind(context(**given), change(node("n1"), address, mac=mac))
        found = oci.account.address(address)
        assert found is not None
        assert found["vnicId"] == second["id"]
        assert private_addresses.bindings(context(**given), query(node("n1"), address)).bindings[0].node_id
        private_addresses.unbind(context(**given), change(node("n1"), address, mac=mac))
        assert oci.account.holder(Kind.PRIVATE, address) is None
    private_addresses.bind(context(), change(node("n1")))
    found = oci.account.address(VIP)
    assert found is not None
    assert found["vnicId"] == oci.account.vnics(instance["id"])[0]["id"]


@pytest.mark.parametrize(
    "given", [{"vnic_id": new_ocid("vnic")}, {"subnet_id": new_ocid("subnet")}, {"mac": "02:00:00:00:77:77"}]
)
def test_a_vnic_that_this_machine_does_not_have(context: Contexts, node: Nodes, given: dict[str, str]) -> None:
    mac = given.pop("mac", "")
    with pytest.raises(LocalConfigurationError, match="has no VNIC"):
        private_addresses.bind(context(**given), change(node("n1"), mac=mac))


def test_a_machine_that_is_not_this_one_has_its_vnics_from_the_api(
    oci: OciEmulator, context: Contexts, node: Nodes
) -> None:
    private_addresses.bind(context(), change(node("n2")))
    assert oci.account.holder(Kind.PRIVATE, VIP) == node("n2").id
    assert "attachments.list" in asked(oci)


# --- public -----------------------------------------------------------------------------------------------------------


def test_a_public_address_goes_to_the_floating_private_one_and_moves_with_it(
    oci: OciEmulator, context: Contexts, node: Nodes
) -> None:
    oci.account.give(Kind.PRIVATE, VIP, node("n1").id)
    public_addresses.bind(context(private_ip=str(VIP)), change(node("n1"), ip(PUBLIC), Kind.PUBLIC))
    assert oci.account.holder(Kind.PUBLIC, ip(PUBLIC)) == node("n1").id
    private_addresses.bind(context(), change(node("n2")))
    assert oci.account.holder(Kind.PUBLIC, ip(PUBLIC)) == node("n2").id
    (binding,) = public_addresses.bindings(context(), query(node("n1"), ip(PUBLIC), Kind.PUBLIC)).bindings
    assert binding.node_id == node("n2").id


def test_a_private_address_that_the_vnic_lacks_is_named(context: Contexts, node: Nodes) -> None:
    with pytest.raises(LocalConfigurationError, match=str(VIP)) as caught:
        public_addresses.bind(context(private_ip=str(VIP)), change(node("n1"), ip(PUBLIC), Kind.PUBLIC))
    assert "start the private address first" in caught.value.advice


def test_a_public_address_on_its_way_is_neither_here_nor_there(
    oci: OciEmulator, context: Contexts, node: Nodes
) -> None:
    oci.account.behaviour.assign = 30.0
    made = context()
    public_addresses.bind(made, change(node("n1"), ip(PUBLIC), Kind.PUBLIC))
    with pytest.raises(Unavailable, match="ASSIGNING") as caught:
        public_addresses.bindings(made, query(node("n1"), ip(PUBLIC), Kind.PUBLIC))
    assert caught.value.retry_after > 0
    with pytest.raises(Conflict):
        public_addresses.bind(context(), change(node("n2"), ip(PUBLIC), Kind.PUBLIC))
    with pytest.raises(Conflict):
        public_addresses.unbind(context(), change(node("n1"), ip(PUBLIC), Kind.PUBLIC))


def test_an_assignment_that_fails_silently_is_told(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    oci.account.behaviour.fail_silently = True
    made = context()
    public_addresses.bind(made, change(node("n1"), ip(PUBLIC), Kind.PUBLIC))
    with pytest.raises(Conflict, match="failed silently"):
        public_addresses.bindings(made, query(node("n1"), ip(PUBLIC), Kind.PUBLIC))


def test_an_unknown_public_address_is_not_a_free_one(context: Contexts, node: Nodes) -> None:
    nowhere = ip("203.0.113.99")
    with pytest.raises(NotFound, match="NotAuthorizedOrNotFound"):
        public_addresses.bindings(context(), query(node("n1"), nowhere, Kind.PUBLIC))
    for call in (public_addresses.bind, public_addresses.unbind):
        with pytest.raises(NotFound, match="NotAuthorizedOrNotFound"):
            call(context(), change(node("n1"), nowhere, Kind.PUBLIC))


def test_an_ephemeral_public_address_is_refused(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    oci.account.add_public_ip("203.0.113.8", lifetime="EPHEMERAL")
    with pytest.raises(ConfigurationError, match="ephemeral"):
        public_addresses.bind(context(), change(node("n1"), ip("203.0.113.8"), Kind.PUBLIC))


def test_a_private_address_with_another_public_one_says_what_to_do(
    oci: OciEmulator, context: Contexts, node: Nodes
) -> None:
    oci.account.add_public_ip("203.0.113.8")
    public_addresses.bind(context(), change(node("n1"), ip("203.0.113.8"), Kind.PUBLIC))
    with pytest.raises(Conflict, match="already has") as caught:
        public_addresses.bind(context(), change(node("n1"), ip(PUBLIC), Kind.PUBLIC))
    assert "private_ip=" in caught.value.advice


# --- route ------------------------------------------------------------------------------------------------------------


def test_only_the_one_rule_changes(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    gateway, service = new_ocid("internetgateway"), new_ocid("servicegateway")
    rules = [
        rule("0.0.0.0/0", gateway, "the way out"),
        rule("198.51.100.0/24", gateway),
        rule("198.51.100.1/32", oci.account.main_address(oci.account.vnics(node("n2").id)[0])["id"]),
        {**rule("all-fra-services", service), "destinationType": "SERVICE_CIDR_BLOCK"},
    ]
    table = oci.account.records.change(oci.account.table["id"], routeRules=rules)
    oci.account.table = table
    made = context()
    route_addresses.bind(made, change(node("n1"), OVERLAY, Kind.ROUTE))
    now = oci.account.records.get("routetable", table["id"])["routeRules"]
    assert now[:4] == rules
    assert now[4]["destination"] == f"{OVERLAY}/32"
    route_addresses.bind(context(), change(node("n2"), OVERLAY, Kind.ROUTE))
    route_addresses.unbind(context(), change(node("n1"), OVERLAY, Kind.ROUTE))
    assert len(oci.account.records.get("routetable", table["id"])["routeRules"]) == 5
    route_addresses.unbind(context(), change(node("n2"), OVERLAY, Kind.ROUTE))
    assert oci.account.records.get("routetable", table["id"])["routeRules"] == rules


def test_an_ipv6_route_leads_to_an_ipv6_object(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    overlay = ip("2001:db8:99::10")
    with pytest.raises(LocalConfigurationError, match="0 IPv6 addresses"):
        route_addresses.bind(context(), change(node("n1"), overlay, Kind.ROUTE))
    for name, text in (("n1", "2001:db8:77::11"), ("n2", "2001:db8:77::12")):
        oci.account.add_private_ip(ip(text), oci.account.vnics(node(name).id)[0])
    for name in ("n1", "n2"):
        route_addresses.bind(context(), change(node(name), overlay, Kind.ROUTE))
        (binding,) = route_addresses.bindings(context(), query(node(name), overlay, Kind.ROUTE)).bindings
        assert binding.node_id == node(name).id == oci.account.holder(Kind.ROUTE, overlay)
    with pytest.raises(ConfigurationError, match="IPv6"):
        route_addresses.bind(context(private_ip="10.0.1.11"), change(node("n1"), overlay, Kind.ROUTE))
    route_addresses.unbind(context(), change(node("n2"), overlay, Kind.ROUTE))
    assert oci.account.holder(Kind.ROUTE, overlay) is None


def test_a_table_that_was_changed_meanwhile_is_read_again(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    first = oci.service.watch
    added = rule("192.168.0.0/16", new_ocid("drg"))
    times: list[int] = []

    def watch(operation: str, request: object, reply: object) -> None:
        if operation == "route_tables.get" and not times:
            times.append(1)
            rules = [*oci.account.table["routeRules"], added]
            oci.account.table = oci.account.records.change(oci.account.table["id"], routeRules=rules)
        first(operation, request, reply)  # type: ignore[misc,arg-type]  # the fixture's own

    oci.service.watch = watch
    with pytest.raises(Conflict, match="NoEtagMatch"):
        route_addresses.bind(context(), change(node("n1"), OVERLAY, Kind.ROUTE))
    route_addresses.bind(context(), change(node("n1"), OVERLAY, Kind.ROUTE))
    assert added in oci.account.table["routeRules"], "somebody else's rule"
    assert oci.account.holder(Kind.ROUTE, OVERLAY) == node("n1").id


def test_a_vnic_that_checks_source_and_destination_is_refused(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    vnic = oci.account.vnics(node("n1").id)[0]
    oci.account.records.change(vnic["id"], skipSourceDestCheck=False)
    with pytest.raises(LocalConfigurationError, match="source/destination check") as caught:
        route_addresses.bind(context(), change(node("n1"), OVERLAY, Kind.ROUTE))
    assert "--skip-source-dest-check true" in caught.value.advice


def test_a_rule_to_a_machine_that_is_gone_is_somebody_elses(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    """Its private IP went with it: the rule leads nowhere, and a probe must be able to say "not running"."""
    oci.account.behaviour.stop = 0.0
    oci.account.give(Kind.ROUTE, OVERLAY, node("n2").id)
    with oci.account.lock:
        terminate(oci.account, oci.account.named("n2"))
    (binding,) = route_addresses.bindings(context(), query(node("n1"), OVERLAY, Kind.ROUTE)).bindings
    assert binding.node_id not in (None, node("n1").id)
    route_addresses.bind(context(), change(node("n1"), OVERLAY, Kind.ROUTE))
    assert oci.account.holder(Kind.ROUTE, OVERLAY) == node("n1").id


def test_several_tables_are_held_in_part(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    second = oci.account.add_table("second", [])
    made = {"route_tables": f"{oci.account.table['id']},{second['id']}"}
    oci.account.give(Kind.ROUTE, OVERLAY, node("n1").id)
    found = route_addresses.bindings(context(**made), query(node("n1"), OVERLAY, Kind.ROUTE)).bindings
    assert [binding.node_id for binding in found] == [node("n1").id, None]
    route_addresses.bind(context(**made), change(node("n1"), OVERLAY, Kind.ROUTE))
    found = route_addresses.bindings(context(**made), query(node("n1"), OVERLAY, Kind.ROUTE)).bindings
    assert {binding.node_id for binding in found} == {node("n1").id}


@pytest.mark.parametrize("tables", [None, "rt-cluster"])
def test_route_tables_must_be_given_by_ocid(context: Contexts, node: Nodes, tables: str | None) -> None:
    with pytest.raises(ConfigurationError, match="route_tables"):
        route_addresses.bindings(context(route_tables=tables), query(node("n1"), OVERLAY, Kind.ROUTE))


def test_a_lost_answer_is_repaired_by_the_same_call(oci: OciEmulator, context: Contexts, node: Nodes) -> None:
    oci.fault(Fault("private_ips.create", Effect.REFUSE, count=1, performed=True))
    with pytest.raises(Unavailable):
        private_addresses.bind(context(), change(node("n1")))
    assert private_addresses.bind(context(), change(node("n1"))).detail == "already bound there"
