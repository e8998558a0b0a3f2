"""``cloud=stack``: every hook with the versions of the API that an Azure Stack Hub has. No real one was ever asked."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping

import pytest

from cloudha.deadline import Deadline
from cloudha.provider import (
    AddressChange,
    AddressQuery,
    ConfigurationError,
    Context,
    Kind,
    Node,
    NodeQuery,
    PowerState,
    Purpose,
    Verdict,
)
from cloudha_plugin_azure import access, machines, provider
from cloudha_plugin_azure.clouds import cloud_of
from cloudha_plugin_azure.emulator import AzureEmulator
from cloudha_plugin_azure.emulator.account import GROUP, SUBSCRIPTION
from cloudha_plugin_azure.emulator.hub import VERSIONS

Contexts = Callable[..., Context]
ADDRESSES: Mapping[Kind, str] = {Kind.PRIVATE: "10.0.1.50", Kind.PUBLIC: "203.0.113.7", Kind.ROUTE: "198.51.100.1"}


@pytest.fixture
def hub(azure: AzureEmulator, context: Contexts) -> Contexts:
    """Contexts for an Azure Stack Hub, with a service principal and nothing that only the metadata service knows."""
    azure.account.behaviour.hub = True
    known = azure.service.identities
    given = {
        "cloud": "stack",
        "identity_endpoint": None,
        "subscription_id": SUBSCRIPTION,
        "resource_group": GROUP,
        "tenant_id": known.tenant_id,
        "client_id": known.client_id,
        "client_secret": known.client_secret,
    }
    return lambda **more: context(**{**given, **more})


def test_fencing(hub: Contexts, node: Callable[[str], Node]) -> None:
    listed = machines.list_nodes(hub(), NodeQuery()).nodes
    assert {(found.name, found.state) for found in listed} == {("n1", PowerState.UNKNOWN), ("n2", PowerState.UNKNOWN)}
    assert [found.name for found in machines.list_nodes(hub(), NodeQuery(plug="n2")).nodes] == ["n2"]
    machines.power_off(hub(), node("n2"))
    reading = machines.power_state(hub(), node("n2"))
    deadline = Deadline(10)
    while reading.state is not PowerState.OFF and not deadline.passed:
        deadline.sleep(0.05)
        reading = machines.power_state(hub(), node("n2"))
    assert reading.state is PowerState.OFF
    machines.power_on(hub(), node("n2"))


@pytest.mark.parametrize("kind", Kind, ids=lambda kind: kind.value)
def test_addresses(azure: AzureEmulator, hub: Contexts, kind: Kind) -> None:
    address, me = ipaddress.ip_address(ADDRESSES[kind]), azure.account.machine_id("n1")
    azure.account.give(kind, address, "n2")
    provider.bind_ip(hub(), AddressChange(kind, address, me, move=True))
    assert azure.account.holder(kind, address) == me
    (binding,) = provider.list_ips(hub(), AddressQuery(kind, address, me)).bindings
    assert binding.node_id == me
    provider.unbind_ip(hub(), AddressChange(kind, address, me))
    assert azure.account.holder(kind, address) is None


@pytest.mark.parametrize("purpose", Purpose, ids=lambda purpose: purpose.value)
def test_permissions(hub: Contexts, purpose: Purpose) -> None:
    report = access.report(hub(), purpose, Kind.PRIVATE)
    assert {item.granted for item in report.permissions} == {Verdict.YES}


def test_there_is_no_managed_identity(hub: Contexts) -> None:
    nobody = {"tenant_id": None, "client_id": None, "client_secret": None}
    with pytest.raises(ConfigurationError, match="no managed identity") as caught:
        machines.list_nodes(hub(**nobody), NodeQuery())
    assert "client_secret=" in caught.value.advice


def test_the_hub_refuses_the_versions_of_azure(azure: AzureEmulator, context: Contexts, hub: Contexts) -> None:
    """Else the tests above would show nothing."""
    cloud = cloud_of(hub())
    assert {cloud.compute_version, cloud.network_version, cloud.permissions_version} == set(VERSIONS.values())
    known = azure.service.identities
    given = {"client_id": known.client_id, "client_secret": known.client_secret, "tenant_id": known.tenant_id}
    with pytest.raises(ConfigurationError, match="NoRegisteredProviderFound"):
        machines.list_nodes(context(subscription_id=SUBSCRIPTION, resource_group=GROUP, **given), NodeQuery())
