"""Floating IPs by the real SDK over HTTP."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

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
from cloudha_plugin_ibm import public_addresses as addresses
from cloudha_plugin_ibm.emulator import IbmEmulator, documents
from cloudha_plugin_ibm.emulator.account import Account
from cloudha_plugin_ibm.emulator.network import give
from cloudha_plugin_ibm.emulator.records import Floating

Contexts = Callable[..., Context]
VIP = ipaddress.ip_address("203.0.113.7")
CHANGES = ("floating_ips.bind", "floating_ips.unbind")


def change(ibm: IbmEmulator, name: str = "n1", *, move: bool = True) -> AddressChange:
    return AddressChange(Kind.PUBLIC, VIP, ibm.account.machine_id(name), move)


def holder(ibm: IbmEmulator) -> str | None:
    return ibm.account.holder(Kind.PUBLIC, VIP)


def changes(ibm: IbmEmulator) -> list[str]:
    return [entry.operation for entry in ibm.server.journal.entries() if entry.operation in CHANGES]


def test_a_move_is_one_request(ibm: IbmEmulator, context: Contexts) -> None:
    give(ibm.account, Kind.PUBLIC, VIP, "n2")
    addresses.bind(context(), change(ibm))
    assert holder(ibm) == ibm.account.machine_id("n1")
    assert changes(ibm) == ["floating_ips.bind"]


def test_another_zone_is_refused_before_anything_is_touched(ibm: IbmEmulator, context: Contexts) -> None:
    ibm.account.floating_at(VIP).zone = "us-south-2"
    with pytest.raises(LocalConfigurationError, match=r"us-south-2.*us-south-1") as caught:
        addresses.bind(context(), change(ibm))
    assert "kind=route" in caught.value.advice
    assert changes(ibm) == []


def test_an_interface_with_another_floating_ip_is_refused(ibm: IbmEmulator, context: Contexts) -> None:
    other = ibm.account.add_floating(ipaddress.ip_address("203.0.113.8"))
    give(ibm.account, Kind.PUBLIC, other.ip, "n1")
    with pytest.raises(LocalConfigurationError, match=r"203\.0\.113\.8"):
        addresses.bind(context(), change(ibm))
    assert changes(ibm) == []


def test_a_gateways_address_is_refused(ibm: IbmEmulator, context: Contexts) -> None:
    ibm.account.floating_at(VIP).gateway = True
    with pytest.raises(ConfigurationError, match="public_gateway"):
        addresses.bind(context(), change(ibm))
    (binding,) = addresses.bindings(context(), AddressQuery(Kind.PUBLIC, VIP)).bindings
    assert binding.node_id == "public_gateway gateway", "somebody has it"


def test_without_move_another_machine_keeps_it(ibm: IbmEmulator, context: Contexts) -> None:
    give(ibm.account, Kind.PUBLIC, VIP, "n2")
    with pytest.raises(Conflict, match="is bound to"):
        addresses.bind(context(), change(ibm, move=False))
    assert changes(ibm) == []


def test_unbind_names_the_interface_so_that_no_other_one_loses_it(ibm: IbmEmulator, context: Contexts) -> None:
    give(ibm.account, Kind.PUBLIC, VIP, "n2")
    assert not addresses.unbind(context(), change(ibm)).request_ids
    give(ibm.account, Kind.PUBLIC, VIP, "n1")
    addresses.unbind(context(), change(ibm))
    assert holder(ibm) is None
    (entry,) = [e for e in ibm.server.journal.entries() if e.operation == "floating_ips.unbind"]
    assert ibm.account.interfaces_of("n1")[0].id in entry.path


def test_a_holder_that_is_shown_as_a_child_interface_is_the_same_one(
    ibm: IbmEmulator, context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    # "the identifier is that of the corresponding network attachment": what older clients see of a VNI.
    give(ibm.account, Kind.PUBLIC, VIP, "n1")
    real = documents.floating_ip

    def shown(account: Account, item: Floating) -> dict[str, Any]:
        child = documents.instance(account, account.machines["n1"])["network_interfaces"][0]
        del child["subnet"]
        return {**real(account, item), "target": child} if item.interface else real(account, item)

    monkeypatch.setattr(documents, "floating_ip", shown)
    (binding,) = addresses.bindings(context(), AddressQuery(Kind.PUBLIC, VIP)).bindings
    assert binding.node_id == ibm.account.machine_id("n1")
    addresses.unbind(context(), change(ibm))
    assert holder(ibm) is None


def test_an_address_out_of_sight_is_not_free(ibm: IbmEmulator, context: Contexts) -> None:
    with pytest.raises(NotFound, match="in sight"):
        addresses.bindings(context(), AddressQuery(Kind.PUBLIC, ipaddress.ip_address("203.0.113.99")))
    ibm.fault(Fault("floating_ips.list", Effect.EMPTY))
    with pytest.raises(NotFound, match="in sight"):
        addresses.bindings(context(), AddressQuery(Kind.PUBLIC, VIP))


def test_while_it_is_being_moved_the_holder_is_open(ibm: IbmEmulator, context: Contexts) -> None:
    give(ibm.account, Kind.PUBLIC, VIP, "n2")
    ibm.account.behaviour.network = 30.0
    addresses.bind(context(), change(ibm))
    with pytest.raises(Unavailable, match="pending"):
        addresses.bindings(context(), AddressQuery(Kind.PUBLIC, VIP))
