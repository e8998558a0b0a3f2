"""Reserved IPs by the real SDK over HTTP: moves, what is refused before anything is touched, a kill in between."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import pytest

from cloudha.provider import (
    AddressChange,
    AddressQuery,
    Binding,
    CloudhaError,
    ConfigurationError,
    Conflict,
    Context,
    Kind,
    LocalConfigurationError,
    NotFound,
    Unavailable,
    UnsupportedError,
)
from cloudha.testing.emulator import Effect, Fault
from cloudha_plugin_ibm import interfaces, metadata
from cloudha_plugin_ibm import private_addresses as addresses
from cloudha_plugin_ibm.emulator import IbmEmulator
from cloudha_plugin_ibm.emulator.network import give, unbind_reserved
from cloudha_plugin_ibm.emulator.records import Reserved

Contexts = Callable[..., Context]
VIP = ipaddress.ip_address("10.240.0.50")
CHANGES = ("reserved_ips.bind", "reserved_ips.unbind")


def change(ibm: IbmEmulator, name: str = "n1", **more: object) -> AddressChange:
    given = {"ip": VIP, **more}
    return AddressChange(Kind.PRIVATE, node_id=ibm.account.machine_id(name), **given)  # type: ignore[arg-type]  # fields


def query(ibm: IbmEmulator, name: str = "n1") -> AddressQuery:
    return AddressQuery(Kind.PRIVATE, VIP, ibm.account.machine_id(name))


def holder(ibm: IbmEmulator) -> str | None:
    return ibm.account.holder(Kind.PRIVATE, VIP)


def reserved(ibm: IbmEmulator) -> Reserved:
    return ibm.account.reserved_at(VIP)


def asked(ibm: IbmEmulator, *names: str) -> list[str]:
    found = [entry.operation for entry in ibm.server.journal.entries() if not entry.operation.startswith("metadata")]
    return [name for name in found if not names or name in names]


def refused(ibm: IbmEmulator, kind: type[CloudhaError], match: str, call: Callable[[], object]) -> CloudhaError:
    """Make the call, which must be refused without a change."""
    with pytest.raises(kind, match=match) as caught:
        call()
    assert asked(ibm, *CHANGES) == []
    return caught.value


def test_the_holder_is_seen_with_two_requests(ibm: IbmEmulator, context: Contexts) -> None:
    give(ibm.account, Kind.PRIVATE, VIP, "n1")
    (binding,) = addresses.bindings(context(), query(ibm)).bindings
    assert binding.node_id == ibm.account.machine_id("n1")
    assert asked(ibm) == ["machines.get", "interfaces.get"]


def test_another_holder_is_found_in_the_subnet_page_by_page(ibm: IbmEmulator, context: Contexts) -> None:
    ibm.account.behaviour.page = 3
    give(ibm.account, Kind.PRIVATE, VIP, "n2")
    (binding,) = addresses.bindings(context(), query(ibm)).bindings
    assert binding.node_id == ibm.account.machine_id("n2")
    assert asked(ibm, "reserved_ips.list") == ["reserved_ips.list"] * 3


def test_an_interface_that_is_another_machines_by_now_is_no_hint(
    ibm: IbmEmulator, context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IBM documents no freshness of its metadata: it may still name an interface that was moved to another machine."""
    give(ibm.account, Kind.PRIVATE, VIP, "n2")
    (binding,) = addresses.bindings(context(), query(ibm, "n2")).bindings
    monkeypatch.setattr(metadata, "interfaces", lambda *_: (binding.where,))
    (found,) = addresses.bindings(context(), query(ibm)).bindings
    assert found.node_id == ibm.account.machine_id("n2")


def test_a_move_unbinds_then_binds(ibm: IbmEmulator, context: Contexts) -> None:
    give(ibm.account, Kind.PRIVATE, VIP, "n2")
    accepted = addresses.bind(context(), change(ibm))
    assert holder(ibm) == ibm.account.machine_id("n1")
    assert asked(ibm, *CHANGES) == ["reserved_ips.unbind", "reserved_ips.bind"]
    assert len(accepted.request_ids) == 2


def test_a_kill_between_the_two_is_resumed(ibm: IbmEmulator, context: Contexts) -> None:
    give(ibm.account, Kind.PRIVATE, VIP, "n2")
    ibm.fault(Fault("reserved_ips.bind", Effect.REFUSE, count=1))
    with pytest.raises(Unavailable):
        addresses.bind(context(), change(ibm))
    assert holder(ibm) is None
    assert reserved(ibm) in ibm.account.reserved.values(), "the address survives"
    (binding,) = addresses.bindings(context(), query(ibm)).bindings
    assert binding == Binding(VIP, None, reserved(ibm).id)
    addresses.bind(context(), change(ibm))
    assert holder(ibm) == ibm.account.machine_id("n1")


@pytest.mark.parametrize("operation", CHANGES)
def test_a_lost_answer_is_made_good_by_the_next_call(ibm: IbmEmulator, context: Contexts, operation: str) -> None:
    give(ibm.account, Kind.PRIVATE, VIP, "n2")
    ibm.fault(Fault(operation, Effect.REFUSE, count=1, performed=True))
    with pytest.raises(Unavailable):
        addresses.bind(context(), change(ibm))
    addresses.bind(context(), change(ibm))
    assert holder(ibm) == ibm.account.machine_id("n1")


def test_a_binding_that_takes_its_time_is_open_until_it_is_made(ibm: IbmEmulator, context: Contexts) -> None:
    give(ibm.account, Kind.PRIVATE, VIP, "n2")
    ibm.account.behaviour.network = 30.0
    with pytest.raises(Conflict, match="reserved_ip_in_use"):
        addresses.bind(context(), change(ibm))
    with pytest.raises(Unavailable, match="updating") as caught:
        addresses.bindings(context(), query(ibm))
    assert caught.value.retry_after > 0


@pytest.mark.parametrize("holding", ["n1", "n2", ""])
@pytest.mark.parametrize("call", [addresses.bind, addresses.unbind])
def test_auto_delete_is_refused_before_anything_is_touched(
    ibm: IbmEmulator, context: Contexts, holding: str, call: Callable[[Context, AddressChange], object]
) -> None:
    give(ibm.account, Kind.PRIVATE, VIP, holding)
    reserved(ibm).auto_delete = True
    if call is addresses.unbind and holding != "n1":
        call(context(), change(ibm))
        assert asked(ibm, *CHANGES) == []
        return
    error = refused(ibm, ConfigurationError, "auto_delete", lambda: call(context(), change(ibm)))
    assert f"--auto-delete false" in error.advice  # noqa: F541 - as the operator reads it
    assert reserved(ibm).id in error.advice


def test_the_emulated_cloud_destroys_what_has_auto_delete(ibm: IbmEmulator) -> None:
    give(ibm.account, Kind.PRIVATE, VIP, "n1")
    item = reserved(ibm)
    item.auto_delete = True
    unbind_reserved(ibm.account, ibm.account.interfaces_of("n1")[0], item.id)
    assert item.id not in ibm.account.reserved


def test_an_address_that_is_not_reserved_names_the_command(ibm: IbmEmulator, context: Contexts) -> None:
    there = change(ibm, ip=ipaddress.ip_address("10.240.0.77"))
    error = refused(ibm, NotFound, "no reserved IP 10.240.0.77", lambda: addresses.bind(context(), there))
    assert "subnet-reserved-ip-create" in error.advice
    found = addresses.bindings(context(), AddressQuery(Kind.PRIVATE, there.ip, there.node_id)).bindings
    assert [binding.node_id for binding in found] == [None]


@pytest.mark.parametrize("text", ["10.240.0.11", "10.240.0.12"])
def test_a_machines_own_address_is_refused(ibm: IbmEmulator, context: Contexts, text: str) -> None:
    ip = ipaddress.ip_address(text)
    ibm.account.reserved_at(ip).auto_delete = False
    refused(ibm, ConfigurationError, "own address", lambda: addresses.bind(context(), change(ibm, ip=ip)))


def test_addresses_of_others_are_refused(ibm: IbmEmulator, context: Contexts) -> None:
    gateway = change(ibm, ip=ipaddress.ip_address("10.240.0.1"))
    refused(ibm, ConfigurationError, "IBM Cloud itself", lambda: addresses.bind(context(), gateway))
    reserved(ibm).other = "load_balancer"
    refused(ibm, ConfigurationError, "load_balancer", lambda: addresses.bind(context(), change(ibm)))
    (binding,) = addresses.bindings(context(), query(ibm)).bindings
    assert binding.node_id == "load_balancer other", "somebody has it"


def test_a_full_interface_is_refused_before_the_address_is_taken_away(ibm: IbmEmulator, context: Contexts) -> None:
    give(ibm.account, Kind.PRIVATE, VIP, "n2")
    for number in range(60, 67):
        give(ibm.account, Kind.PRIVATE, ibm.account.reserve(ipaddress.ip_address(f"10.240.0.{number}")).ip, "n1")
    refused(ibm, LocalConfigurationError, "8 addresses", lambda: addresses.bind(context(), change(ibm)))
    assert holder(ibm) == ibm.account.machine_id("n2")


def test_a_share_mount_targets_interface_keeps_its_address(ibm: IbmEmulator, context: Contexts) -> None:
    subnet = next(iter(ibm.account.subnets.values()))
    share = ibm.account.add_interface("share", "02:00:00:00:00:99", ipaddress.ip_address("10.240.0.99"), subnet)
    share.share = True
    reserved(ibm).interface = share.id
    refused(ibm, ConfigurationError, "share_mount_target", lambda: addresses.bind(context(), change(ibm)))


def test_an_interface_without_a_machine_loses_the_address(ibm: IbmEmulator, context: Contexts) -> None:
    subnet = next(iter(ibm.account.subnets.values()))
    spare = ibm.account.add_interface("spare", "02:00:00:00:00:99", ipaddress.ip_address("10.240.0.99"), subnet)
    reserved(ibm).interface = spare.id
    (binding,) = addresses.bindings(context(), query(ibm)).bindings
    assert (binding.node_id, binding.where) == (None, spare.id)
    addresses.bind(context(), change(ibm, move=False))
    assert holder(ibm) == ibm.account.machine_id("n1")


def test_without_move_another_machine_keeps_it(ibm: IbmEmulator, context: Contexts) -> None:
    give(ibm.account, Kind.PRIVATE, VIP, "n2")
    refused(ibm, Conflict, "is bound to", lambda: addresses.bind(context(), change(ibm, move=False)))


def test_the_interface_is_chosen_by_its_mac_or_id(ibm: IbmEmulator, context: Contexts) -> None:
    account = ibm.account
    subnet = next(iter(account.subnets.values()))
    second = account.add_interface("n1-second", "02:00:00:00:01:00", ipaddress.ip_address("10.240.0.21"), subnet, "n1")
    addresses.bind(context(), change(ibm, mac=second.mac))
    assert reserved(ibm).interface == second.id
    # The other interface of the same machine: the operator has said which.
    first = account.interfaces_of("n1")[0]
    addresses.bind(context(interface_id=first.name), change(ibm, move=False))
    assert reserved(ibm).interface == first.id
    with pytest.raises(LocalConfigurationError, match="02:00:00:00:09:09"):
        addresses.bind(context(), change(ibm, mac="02:00:00:00:09:09"))
    with pytest.raises(LocalConfigurationError, match="n2-vni"):
        addresses.bind(context(interface_id="n2-vni"), change(ibm))


def test_unbind_takes_it_from_this_machine_only(ibm: IbmEmulator, context: Contexts) -> None:
    give(ibm.account, Kind.PRIVATE, VIP, "n2")
    assert not addresses.unbind(context(), change(ibm)).request_ids
    assert holder(ibm) == ibm.account.machine_id("n2")
    give(ibm.account, Kind.PRIVATE, VIP, "n1")
    assert addresses.unbind(context(), change(ibm)).request_ids
    assert holder(ibm) is None
    assert reserved(ibm).id in ibm.account.reserved


def test_unbind_of_what_somebody_else_has_just_unbound(ibm: IbmEmulator, context: Contexts) -> None:
    give(ibm.account, Kind.PRIVATE, VIP, "n1")
    ibm.fault(Fault("reserved_ips.unbind", Effect.NOT_FOUND, count=1))
    addresses.unbind(context(), change(ibm))


@pytest.mark.parametrize("operation", ["reserved_ips.list", "interfaces.get", "machines.get"])
@pytest.mark.parametrize("effect", [Effect.EMPTY, Effect.MISSING, Effect.NOT_FOUND])
def test_an_answer_that_lacks_something_never_says_free(
    ibm: IbmEmulator, context: Contexts, operation: str, effect: Effect
) -> None:
    give(ibm.account, Kind.PRIVATE, VIP, "n2")
    ibm.fault(Fault(operation, effect))
    if (operation, effect) == ("interfaces.get", Effect.EMPTY):
        # An interface without addresses: the subnet's listing is what counts.
        assert addresses.bindings(context(), query(ibm)).bindings[0].node_id == ibm.account.machine_id("n2")
        return
    with pytest.raises((Unavailable, NotFound, LocalConfigurationError)):
        addresses.bindings(context(), query(ibm))


def test_a_listing_without_its_next_page_is_not_whole(ibm: IbmEmulator, context: Contexts) -> None:
    ibm.account.behaviour.page = 3
    give(ibm.account, Kind.PRIVATE, VIP, "n2")
    ibm.fault(Fault("reserved_ips.list", Effect.MISSING, fields=("next",)))
    with pytest.raises(Unavailable, match="not whole"):
        addresses.bindings(context(), query(ibm))


def test_a_target_that_is_missing_is_a_free_address_only_where_the_interface_agrees(
    ibm: IbmEmulator, context: Contexts
) -> None:
    give(ibm.account, Kind.PRIVATE, VIP, "n1")
    ibm.fault(Fault("reserved_ips.list", Effect.MISSING, fields=("target",)))
    assert addresses.bindings(context(), query(ibm)).bindings[0].node_id == ibm.account.machine_id("n1")


def test_who_asks_from_elsewhere_names_the_network(ibm: IbmEmulator, context: Contexts) -> None:
    ibm.account.myself = "nobody"
    give(ibm.account, Kind.PRIVATE, VIP, "n2")
    me = {"region": "us-south", "api_key": ibm.service.identities.api_key}
    anybody = AddressQuery(Kind.PRIVATE, VIP)
    (binding,) = addresses.bindings(context(**me), anybody).bindings
    assert binding.node_id == ibm.account.machine_id("n2")
    assert addresses.bindings(context(vpc="cluster-vpc", **me), anybody).bindings == (binding,)
    with pytest.raises(NotFound, match="no subnet"):
        addresses.bindings(context(vpc="another", **me), anybody)
    with pytest.raises(NotFound, match="no subnet"):
        addresses.bindings(context(resource_group="another", **me), anybody)


def test_an_instance_with_child_interfaces_is_told_what_it_lacks(ibm: IbmEmulator, context: Contexts) -> None:
    made_before = {"name": "n1", "network_attachments": [], "network_interfaces": [{"id": "0717-1"}]}
    with pytest.raises(LocalConfigurationError, match="child network interfaces"):
        interfaces.attachments(made_before)
    # No instance is without any: the answer is broken, and that may pass.
    ibm.fault(Fault("machines.get", Effect.EMPTY))
    with pytest.raises(Unavailable, match="names no interface"):
        addresses.bind(context(), change(ibm))


def test_there_is_no_ipv6(ibm: IbmEmulator, context: Contexts) -> None:
    six = ipaddress.ip_address("2001:db8::1")
    for call in (addresses.bind, addresses.unbind):
        refused(ibm, UnsupportedError, "IPv6", lambda call=call: call(context(), change(ibm, ip=six)))  # type: ignore[misc]  # the loop's
