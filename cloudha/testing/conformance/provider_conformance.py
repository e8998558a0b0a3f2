"""All checks in one class."""

from __future__ import annotations

from cloudha.testing.conformance.address_flows import AddressFlowChecks
from cloudha.testing.conformance.addresses import AddressChecks
from cloudha.testing.conformance.failing_flows import FailingFlowChecks
from cloudha.testing.conformance.faults import FaultChecks
from cloudha.testing.conformance.fence_flows import FenceFlowChecks
from cloudha.testing.conformance.overriding import OverrideChecks
from cloudha.testing.conformance.packaging import PackagingChecks
from cloudha.testing.conformance.power import PowerChecks

__all__ = ["ProviderConformance"]


class ProviderConformance(
    OverrideChecks,
    PackagingChecks,
    PowerChecks,
    AddressChecks,
    FaultChecks,
    FenceFlowChecks,
    AddressFlowChecks,
    FailingFlowChecks,
):
    """Everything that the host, the agents and the cluster rely on in a provider; see the package's docstring."""
