"""Addresses by the real SDK over HTTPS: moves, kills between two writes, other writers, slow and failing changes."""

from __future__ import annotations

import copy
import ipaddress
from collections.abc import Callable
from typing import Any

import pytest

from cloudha.deadline import Deadline
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
from cloudha_plugin_azure import private_addresses, public_addresses, route_addresses
from cloudha_plugin_azure.emulator import AzureEmulator
from cloudha_plugin_azure.interfaces import fetch, write

Contexts = Callable[..., Context]
IP = ipaddress.ip_address("10.0.1.50")
PUBLIC = ipaddress.ip_address("203.0.113.7")
OVERLAY = ipaddress.ip_address("198.51.100.1")
MODULES: dict[Kind, Any] = {
    Kind.PRIVATE: private_addresses,
    Kind.PUBLIC: public_addresses,
    Kind.ROUTE: route_addresses,
}
ADDRESSES = {Kind.PRIVATE: IP, Kind.PUBLIC: PUBLIC, Kind.ROUTE: OVERLAY}


def change(azure: AzureEmulator, name: str, kind: Kind = Kind.PRIVATE, **more: Any) -> AddressChange:
    return AddressChange(kind, more.pop("ip", ADDRESSES[kind]), azure.account.machine_id(name), **more)


def holders(azure: AzureEmulator, context: Context, kind: Kind = Kind.PRIVATE) -> set[str | None]:
    query = AddressQuery(kind, ADDRESSES[kind], azure.account.machine_id("n1"))
    return {binding.node_id for binding in MODULES[kind].bindings(context, query).bindings}


def rest(document: dict[str, Any], own: str = "cloudha-10-0-1-50") -> dict[str, Any]:
    """What must not change: everything but our ipConfiguration and what Azure itself writes."""
    kept = copy.deepcopy(document)
    kept.pop("etag")
    items = kept["properties"]["ipConfigurations"]
    items[:] = [item for item in items if item["name"] != own]
    for item in items:
        item.pop("etag", None)
    return kept


def test_nothing_else_on_the_interfaces_changes(azure: AzureEmulator, context: Contexts) -> None:
    account = azure.account
    for nic in ("n1-nic", "n2-nic"):
        account.nics[nic]["properties"]["ipConfigurations"][0]["properties"]["applicationSecurityGroups"] = [
            {"id": account.resource_id("Microsoft.Network/applicationSecurityGroups", "asg")}
        ]
        account.nics[nic]["properties"]["disableTcpStateTracking"] = False
    before = {nic: rest(account.nics[nic]) for nic in ("n1-nic", "n2-nic")}
    private_addresses.bind(context(), change(azure, "n2"))
    private_addresses.bind(context(), change(azure, "n1"))
    assert account.holder(Kind.PRIVATE, IP) == account.machine_id("n1")
    assert {nic: rest(account.nics[nic]) for nic in before} == before
    private_addresses.unbind(context(), change(azure, "n1"))
    assert {nic: rest(account.nics[nic]) for nic in before} == before
    assert account.holder(Kind.PRIVATE, IP) is None


def test_a_field_that_nobody_knows_is_written_back(azure: AzureEmulator, context: Contexts) -> None:
    # What a later version of Azure may add, the SDK's models would drop. Not in Microsoft's documents, of course.
    azure.service.watch = None
    azure.account.nics["n1-nic"]["properties"]["inventedLater"] = {"a": [1, 2.5, None]}
    private_addresses.bind(context(), change(azure, "n1"))
    assert azure.account.nics["n1-nic"]["properties"]["inventedLater"] == {"a": [1, 2.5, None]}


@pytest.mark.parametrize("kind", [Kind.PRIVATE, Kind.PUBLIC])
def test_a_move_that_was_killed_between_the_writes_goes_on(azure: AzureEmulator, context: Contexts, kind: Kind) -> None:
    azure.account.give(kind, ADDRESSES[kind], "n2")
    azure.fault(Fault("nics.put", Effect.REFUSE, after=1, count=1))
    with pytest.raises(Unavailable):
        MODULES[kind].bind(context(), change(azure, "n1", kind))
    assert azure.account.holder(kind, ADDRESSES[kind]) is None
    MODULES[kind].bind(context(), change(azure, "n1", kind))
    assert azure.account.holder(kind, ADDRESSES[kind]) == azure.account.machine_id("n1")


@pytest.mark.parametrize("kind", [Kind.PRIVATE, Kind.PUBLIC])
def test_a_change_whose_answer_was_lost_is_found_done(azure: AzureEmulator, context: Contexts, kind: Kind) -> None:
    azure.fault(Fault("nics.put", Effect.CUT, count=1))
    with pytest.raises(Unavailable):
        MODULES[kind].bind(context(), change(azure, "n1", kind))
    assert MODULES[kind].bind(context(), change(azure, "n1", kind)).detail == "already bound there"


def test_another_writer_is_not_overwritten(azure: AzureEmulator, context: Contexts) -> None:
    one = context()
    nic = fetch(one, azure.account.nic_id("n1-nic"))
    # Somebody else's change comes between our read and our write.
    private_addresses.bind(context(), change(azure, "n1", ip=ipaddress.ip_address("10.0.1.60")))
    with pytest.raises(Conflict, match="PreconditionFailed"):
        write(one, nic, list(nic.document["properties"]["ipConfigurations"]))
    assert azure.account.holder(Kind.PRIVATE, ipaddress.ip_address("10.0.1.60"))
    private_addresses.bind(one, change(azure, "n1"))
    assert azure.account.holder(Kind.PRIVATE, ipaddress.ip_address("10.0.1.60"))
    assert azure.account.holder(Kind.PRIVATE, IP)


def until(true: Callable[[], bool]) -> None:
    deadline = Deadline(10)
    while not true():
        assert not deadline.passed
        deadline.sleep(0.02)


@pytest.mark.parametrize("kind", [Kind.PRIVATE, Kind.PUBLIC])
def test_a_slow_move_is_bound_only_when_azure_has_made_it(azure: AzureEmulator, context: Contexts, kind: Kind) -> None:
    azure.account.give(kind, ADDRESSES[kind], "n2")
    azure.account.behaviour.network = 0.3
    one, me = context(), azure.account.machine_id("n1")
    with pytest.raises(Conflict, match="being released"):
        MODULES[kind].bind(one, change(azure, "n1", kind))
    # Azure refuses the second write until the first is done; the host calls again, as here.
    refusals: list[str] = []

    def accepted() -> bool:
        try:
            MODULES[kind].bind(one, change(azure, "n1", kind))
        except Conflict as conflict:
            refusals.append(conflict.cause)
            return False
        return True

    until(accepted)
    assert refusals
    assert holders(azure, one, kind) == {None}
    assert azure.account.holder(kind, ADDRESSES[kind]) is None
    until(lambda: holders(azure, one, kind) == {me})
    assert azure.account.holder(kind, ADDRESSES[kind]) == me


@pytest.mark.parametrize("kind", list(Kind))
def test_a_slow_release_is_not_gone_before_azure_has_made_it(
    azure: AzureEmulator, context: Contexts, kind: Kind
) -> None:
    azure.account.give(kind, ADDRESSES[kind], "n1")
    azure.account.behaviour.network = 0.3
    one, me = context(), azure.account.machine_id("n1")
    MODULES[kind].unbind(one, change(azure, "n1", kind))
    assert holders(azure, one, kind) == {me}
    assert azure.account.holder(kind, ADDRESSES[kind]) == me
    until(lambda: holders(azure, one, kind) in (set(), {None}))
    assert azure.account.holder(kind, ADDRESSES[kind]) is None


@pytest.mark.parametrize("kind", [Kind.PRIVATE, Kind.PUBLIC])
def test_a_release_that_another_process_began_is_open(azure: AzureEmulator, context: Contexts, kind: Kind) -> None:
    azure.account.give(kind, ADDRESSES[kind], "n1")
    azure.account.behaviour.never_ends = True
    MODULES[kind].unbind(context(), change(azure, "n1", kind))
    # A stop that was killed here, and is tried again: the interface reads as changed, and is not yet.
    with pytest.raises(Unavailable, match="being changed"):
        holders(azure, context(), kind)


@pytest.mark.parametrize("kind", list(Kind))
def test_an_operation_that_fails_is_told_with_azures_reason(
    azure: AzureEmulator, context: Contexts, kind: Kind
) -> None:
    azure.account.behaviour.fail_next = "SubnetIsFull"
    one = context()
    MODULES[kind].bind(one, change(azure, "n1", kind))

    def failed() -> bool:
        try:
            holders(azure, one, kind)
        except Conflict as conflict:
            return "SubnetIsFull" in conflict.cause
        return False

    until(failed)
    assert azure.account.holder(kind, ADDRESSES[kind]) is None


def test_an_operation_that_never_ends_is_never_bound(azure: AzureEmulator, context: Contexts) -> None:
    azure.account.behaviour.never_ends = True
    one = context()
    private_addresses.bind(one, change(azure, "n1"))
    assert [holders(azure, one) for _ in range(3)] == [{None}] * 3


def test_a_throttled_poll_is_no_answer(azure: AzureEmulator, context: Contexts) -> None:
    azure.account.behaviour.never_ends = True
    one = context()
    private_addresses.bind(one, change(azure, "n1"))
    azure.fault(Fault("operations.get", Effect.THROTTLE, retry_after=7))
    with pytest.raises(Unavailable) as caught:
        holders(azure, one)
    assert caught.value.retry_after == 7


def test_the_same_address_in_another_network_is_not_ours(azure: AzureEmulator, context: Contexts) -> None:
    nic = azure.account.add_nic("x-nic", ipaddress.ip_address("10.0.1.99"), "00:0d:3a:00:00:99", network="other")
    nic["properties"]["ipConfigurations"].append(
        {
            **copy.deepcopy(nic["properties"]["ipConfigurations"][0]),
            "name": "second",
        }
    )
    nic["properties"]["ipConfigurations"][1]["properties"] |= {"privateIPAddress": str(IP), "primary": False}
    azure.account.settle("x-nic")
    assert holders(azure, context()) == set()
    private_addresses.bind(context(), change(azure, "n1"))
    assert str(IP) in azure.account.effective["x-nic"]
    assert holders(azure, context()) == {azure.account.machine_id("n1")}


def test_an_own_address_does_not_float(azure: AzureEmulator, context: Contexts) -> None:
    for name in ("n1", "n2"):
        with pytest.raises(ConfigurationError, match="own address"):
            private_addresses.bind(context(), change(azure, name, ip=ipaddress.ip_address("10.0.1.12")))


def test_an_address_of_another_subnet_is_refused_for_this_node(azure: AzureEmulator, context: Contexts) -> None:
    with pytest.raises(LocalConfigurationError, match="NotInSubnet"):
        private_addresses.bind(context(), change(azure, "n1", ip=ipaddress.ip_address("10.9.9.9")))


def test_the_interface_is_the_one_with_the_mac(azure: AzureEmulator, context: Contexts) -> None:
    azure.account.add_nic("n1-two", ipaddress.ip_address("10.0.1.21"), "00:0d:3a:00:01:00", "n1", primary=False)
    private_addresses.bind(context(), change(azure, "n1", mac="00:0d:3a:00:01:00"))
    assert str(IP) in azure.account.effective["n1-two"]
    private_addresses.bind(context(interface_id="n1-NIC"), change(azure, "n1"))
    assert str(IP) in azure.account.effective["n1-nic"]
    with pytest.raises(LocalConfigurationError):
        private_addresses.bind(context(), change(azure, "n1", mac="00:00:00:00:00:01"))


def test_a_machine_whose_interface_is_out_of_sight_is_an_error(azure: AzureEmulator, context: Contexts) -> None:
    del azure.account.nics["n1-nic"]
    azure.account.effective.pop("n1-nic")
    for call in (private_addresses.bind, private_addresses.unbind):
        with pytest.raises(NotFound, match="in sight"):
            call(context(), change(azure, "n1"))
    with pytest.raises(NotFound, match="in sight"):
        holders(azure, context())


def test_ipv6_moves_and_is_released(azure: AzureEmulator, context: Contexts) -> None:
    ip = ipaddress.ip_address("2001:db8::5")
    private_addresses.bind(context(), change(azure, "n2", ip=ip))
    # Azure may write it in another way.
    azure.account.nics["n2-nic"]["properties"]["ipConfigurations"][1]["properties"]["privateIPAddress"] = (
        "2001:0DB8:0:0::5"
    )
    private_addresses.bind(context(), change(azure, "n1", ip=ip))
    assert azure.account.holder(Kind.PRIVATE, ip) == azure.account.machine_id("n1")
    private_addresses.unbind(context(), change(azure, "n1", ip=ip))
    assert azure.account.holder(Kind.PRIVATE, ip) is None


def test_forwarding_that_is_off_is_refused(azure: AzureEmulator, context: Contexts) -> None:
    azure.account.nics["n1-nic"]["properties"]["enableIPForwarding"] = False
    with pytest.raises(LocalConfigurationError, match="IP forwarding"):
        route_addresses.bind(context(), change(azure, "n1", Kind.ROUTE))


def test_every_table_is_changed_and_other_routes_stay(azure: AzureEmulator, context: Contexts) -> None:
    azure.account.add_table("rt-second")
    before = copy.deepcopy([t["properties"]["routes"][0] for t in azure.account.tables.values()])
    one = context(route_tables="rt-cluster,rt-second")
    route_addresses.bind(one, change(azure, "n2", Kind.ROUTE))
    azure.fault(Fault("routes.put", Effect.REFUSE, after=1, count=1))
    with pytest.raises(Unavailable):
        route_addresses.bind(one, change(azure, "n1", Kind.ROUTE))
    both = {azure.account.machine_id("n1"), azure.account.machine_id("n2")}
    assert holders(azure, one, Kind.ROUTE) == both
    route_addresses.bind(one, change(azure, "n1", Kind.ROUTE))
    assert holders(azure, one, Kind.ROUTE) == {azure.account.machine_id("n1")}
    route_addresses.unbind(one, change(azure, "n1", Kind.ROUTE))
    assert [t["properties"]["routes"] for t in azure.account.tables.values()] == [[route] for route in before]


def test_a_public_address_out_of_sight_is_not_unbound(azure: AzureEmulator, context: Contexts) -> None:
    # It is listed whether an interface has it or not: one that is not may be another resource group's, and in use.
    unknown = ipaddress.ip_address("203.0.113.77")
    for call in (public_addresses.bind, public_addresses.unbind):
        with pytest.raises(NotFound, match="no public address"):
            call(context(), change(azure, "n1", Kind.PUBLIC, ip=unknown))
    with pytest.raises(NotFound, match="no public address"):
        public_addresses.bindings(context(), AddressQuery(Kind.PUBLIC, unknown))


def test_a_public_address_that_would_be_lost_is_refused(azure: AzureEmulator, context: Contexts) -> None:
    azure.account.public_ips["pip-0"]["properties"]["publicIPAllocationMethod"] = "Dynamic"
    with pytest.raises(ConfigurationError, match="dynamic"):
        public_addresses.bind(context(), change(azure, "n1", Kind.PUBLIC))


def test_a_load_balancers_address_is_refused(azure: AzureEmulator, context: Contexts) -> None:
    frontend = azure.account.resource_id("Microsoft.Network/loadBalancers", "lb/frontendIPConfigurations/f")
    azure.account.public_ips["pip-0"]["properties"]["ipConfiguration"] = {"id": frontend}
    assert holders(azure, context(), Kind.PUBLIC) == {None}
    with pytest.raises(ConfigurationError, match="no interface"):
        public_addresses.bind(context(), change(azure, "n1", Kind.PUBLIC))


def test_anothers_public_address_is_not_replaced(azure: AzureEmulator, context: Contexts) -> None:
    azure.account.add_public_ip("own", "203.0.113.99")
    public_addresses.bind(context(), change(azure, "n1", Kind.PUBLIC, ip=ipaddress.ip_address("203.0.113.99")))
    with pytest.raises(LocalConfigurationError, match="another public address"):
        public_addresses.bind(context(), change(azure, "n1", Kind.PUBLIC))
    assert azure.account.holder(Kind.PUBLIC, ipaddress.ip_address("203.0.113.99"))
