"""Providers with a mistake, for the tests of the conformance kit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest

# Every hook as provider sim has it; a test replaces some of them by wrong ones.
REFERENCE = {
    "provider_info": "def provider_info(): return good.provider_info()",
    "list_nodes": "def list_nodes(context, query): return good.list_nodes(context, query)",
    "power_state": "def power_state(context, node): return good.power_state(context, node)",
    "power_off": "def power_off(context, node): return good.power_off(context, node)",
    "power_on": "def power_on(context, node): return good.power_on(context, node)",
    "local_node": "def local_node(context): return good.local_node(context)",
    "local_evidence": "def local_evidence(context, query): return good.local_evidence(context, query)",
    "list_ips": "def list_ips(context, query): return good.list_ips(context, query)",
    "bind_ip": "def bind_ip(context, change): return good.bind_ip(context, change)",
    "unbind_ip": "def unbind_ip(context, change): return good.unbind_ip(context, change)",
    "check_access": "def check_access(context, purpose, kind): return good.check_access(context, purpose, kind)",
}
HEAD = """
from cloudha.provider import *
from cloudha_plugin_sim import provider as good

def replace(record, **changes):
    return record.replace(**changes)
"""
# One kind is enough to show a mistake, and hanging requests cost time that most mistakes do not need.
TESTS = """
import pytest
import sim_conformance
from cloudha.provider import Kind
from cloudha.testing.conformance import Capability, Fault, overrides_check

class TestBroken(sim_conformance.TestSim):
    provider = {name!r}
    kinds = (Kind.PRIVATE,)
    without = {{kind: "as the first" for kind in (Kind.PUBLIC, Kind.ROUTE)}}
    own_modules = frozenset({{"cloudha_plugin_sim"}})
    failing_seconds = 8.0
"""
# The checks that run the agents take most of the kit's time; those that call hooks find most mistakes.
HOOKS_ONLY = (
    "not [hang and not fence_ and not start and not stop_ and not monitor_ and not validate_all and not failure "
    "and not every_action and not both_metadata"
)


@dataclass(frozen=True)
class Verdict:
    """How a run of the kit ended: the names of the checks, without parameters."""

    failed: frozenset[str]
    passed: frozenset[str]
    output: str


RunKit = Callable[..., Verdict]
Verdicts = Mapping[str, "Future[Verdict]"]


@dataclass(frozen=True)
class Broken:
    """A mistake, and the checks that find it. ``more``: further arguments of the fixture ``run_kit``."""

    mistake: str
    found_by: frozenset[str]
    hooks: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)


def broken(mistake: str, *found_by: str, hooks: Mapping[str, str] | None = None, **more: object) -> Any:
    """Return a test's parameter: the checks' names come without their ``test_``."""
    found = frozenset(f"test_{name}" for name in found_by)
    return pytest.param(Broken(mistake, found, hooks or {}, more), id=mistake.replace(" ", "-"))


def instead(hook: str, arguments: str, errors: str, answer: str) -> dict[str, str]:
    """Return the hook as it should be, but for those *errors*, instead of which it does *answer*."""
    call = f"good.{hook}({arguments})"
    return {hook: f"def {hook}({arguments}):\n    try: return {call}\n    except {errors} as error: {answer}"}
