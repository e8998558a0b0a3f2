"""The root of the kit's classes: what an author sets, and the fixtures that every check draws on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cloudha import install, plugins
from cloudha.agents.fence_options import OWN_NAMES as FENCE_NAMES
from cloudha.agents.floating_ip_options import OWN_NAMES as ADDRESS_NAMES
from cloudha.errors import CloudhaError
from cloudha.plugins import Provider
from cloudha.testing.conformance.agents import Agents, Executables
from cloudha.testing.conformance.cloud import Capability, Fault, TestCloud
from cloudha.testing.conformance.hooks import Hooks, api_calls
from cloudha.types import Kind

__all__ = ["Checks"]

UNAVAILABLE = (
    Fault.THROTTLE,
    Fault.ERROR,
    Fault.HANG,
    Fault.REFUSE,
    Fault.CUT,
    Fault.GARBAGE,
    Fault.MISSING,
)
DENIED = (Fault.UNAUTHORIZED, Fault.EXPIRED, Fault.FORBIDDEN)
# Metadata services have no credentials, and no throttling that a client is told of.
METADATA = (Fault.ERROR, Fault.HANG, Fault.REFUSE, Fault.CUT, Fault.GARBAGE, Fault.MISSING)
# The parameters of checks that stand for faults, and which faults those are.
FAULT_SETS: Mapping[str, Sequence[Fault]] = {
    "unavailable_fault": UNAVAILABLE,
    "denied_fault": DENIED,
    "read_fault": (*UNAVAILABLE, *DENIED),
    "change_fault": (*UNAVAILABLE, *DENIED, Fault.CONFLICT),
    "metadata_fault": METADATA,
    "plain_fault": (Fault.THROTTLE, Fault.ERROR),
    "passing_fault": (Fault.THROTTLE, Fault.ERROR, Fault.CUT),
}


class Checks:
    """What an author sets in a subclass, beside the fixture ``cloud``.

    ``provider``: the value of ``provider=``. ``kinds``: the kinds of address that the provider floats, () for none.
    ``without``: what the provider or its test cloud lacks, each with the reason; the checks of it are skipped, and
    show the reason. ``unused_secrets``: secret options that the test cloud's parameters leave out, with the reason.
    ``own_modules``: top-level packages besides the provider's own and the standard library that the provider's module
    may import for its metadata, because they are small and the provider's distribution requires them.
    ``failing_seconds``: the deadline, 3 at least, of each action that runs while the cloud fails. With too short a one
    on a slow machine, an action ends before it can go wrong.
    """

    provider: ClassVar[str]
    kinds: ClassVar[tuple[Kind, ...]] = ()
    without: ClassVar[Mapping[Capability | Fault | Kind, str]] = {}
    unused_secrets: ClassVar[Mapping[str, str]] = {}
    own_modules: ClassVar[frozenset[str]] = frozenset()
    failing_seconds: ClassVar[float] = 3.0

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        """Turn the class's settings into the parameters of its checks."""
        for name in metafunc.fixturenames:
            if name in FAULT_SETS:
                metafunc.parametrize(name, cls._parameters((f, f.value) for f in FAULT_SETS[name]))
        if "kind" in metafunc.fixturenames:
            metafunc.parametrize("kind", cls._parameters((k, k.value) for k in cls.kinds))
        for name, changing in (("api_call", None), ("read_call", False), ("change_call", True)):
            if name in metafunc.fixturenames:
                kinds = [kind for kind in cls.kinds if kind not in cls.without]
                calls = api_calls(kinds, fencing=Capability.FENCING not in cls.without, changing=changing)
                metafunc.parametrize(name, [pytest.param(call, id=str(call)) for call in calls])

    @classmethod
    def _parameters(cls, pairs: Iterable[tuple[Fault | Kind, str]]) -> list[Any]:
        return [
            pytest.param(value, id=text, marks=[pytest.mark.skip(cls.without[value])] if value in cls.without else [])
            for value, text in pairs
        ]

    def need(self, capability: Capability) -> None:
        """Skip the check, with the author's reason, where the capability is declared to be missing."""
        if capability in self.without:
            pytest.skip(f"without {capability.value}: {self.without[capability]}")

    @pytest.fixture(scope="class")
    @classmethod
    def cloud(cls) -> Iterator[TestCloud]:
        """The author's cloud. A scope of ``class`` or ``module`` makes the kit faster."""
        raise NotImplementedError(f"{cls.__name__} has no fixture 'cloud'")

    @pytest.fixture(scope="class")
    @classmethod
    def loaded(cls) -> Provider:
        """The provider. One that does not load fails the check of that, and skips all others."""
        try:
            return plugins.load(cls.provider, FENCE_NAMES | ADDRESS_NAMES)
        except CloudhaError as error:
            pytest.skip(f"the provider does not load, see test_provider_loads: {error}")

    @pytest.fixture(scope="class")
    @classmethod
    def executables(cls, tmp_path_factory: pytest.TempPathFactory) -> Executables:
        """Both agents, as ``cloudha install`` writes them for this environment."""
        root: Path = tmp_path_factory.mktemp("agents")
        install.install(root)
        return Executables(root / install.AGENTS["fence_cloud"], root / install.AGENTS["floating-ip"])

    @pytest.fixture
    def fresh(self, cloud: TestCloud) -> Iterator[TestCloud]:
        """The cloud in its first state."""
        cloud.reset()
        yield cloud
        cloud.reset()

    @pytest.fixture
    def hooks(self, loaded: Provider, fresh: TestCloud) -> Hooks:
        """The provider's hooks, called directly."""
        return Hooks(loaded, fresh)

    @pytest.fixture
    def agents(self, loaded: Provider, executables: Executables, fresh: TestCloud) -> Iterator[Agents]:
        """The two agents, run as Pacemaker runs them."""
        agents = Agents(executables, loaded, fresh)
        yield agents
        agents.forget()
