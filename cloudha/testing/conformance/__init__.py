"""The conformance kit: what every provider must do, as tests that its author inherits.

A provider's tests are one file: a class with the provider's name and kinds, and a fixture that gives a cloud whose
truth can be seen and whose faults can be ordered::

    from collections.abc import Iterator

    import pytest
    from cloudha.provider import Kind
    from cloudha.testing.conformance import Capability, ProviderConformance, TestCloud

    class TestExample(ProviderConformance):
        provider = "example"
        kinds = (Kind.PRIVATE,)
        without = {Capability.IPV6: "the vendor has no floating IPv6 addresses"}

        @pytest.fixture(scope="class")
        @classmethod
        def cloud(cls) -> Iterator[TestCloud]:
            with ExampleCloud() as cloud:  # a subclass of TestCloud, or of EmulatedCloud
                yield cloud

Each check's docstring says what the cluster does when it fails. A check that cannot hold is overridden with
:func:`overrides_check` and a reason; what the cloud does not have is listed in ``without`` with a reason. The
provider's distribution must be installed (``pip install -e .``), since the checks run the real agents.
"""

from __future__ import annotations

import pytest

# pytest explains failed asserts only in modules that it knows before their first import.
for _module in (
    "address_flows",
    "addresses",
    "failing_flows",
    "faults",
    "fence_flows",
    "overriding",
    "packaging",
    "power",
):
    pytest.register_assert_rewrite(f"{__name__}.{_module}")

from cloudha.testing.conformance.cloud import Capability, Fault, Scope, TestCloud  # noqa: E402 - see above
from cloudha.testing.conformance.emulated import EmulatedCloud  # noqa: E402 - see above
from cloudha.testing.conformance.overriding import overrides_check  # noqa: E402 - see above
from cloudha.testing.conformance.provider_conformance import ProviderConformance  # noqa: E402 - see above

__all__ = [
    "Capability",
    "EmulatedCloud",
    "Fault",
    "ProviderConformance",
    "Scope",
    "TestCloud",
    "overrides_check",
]
