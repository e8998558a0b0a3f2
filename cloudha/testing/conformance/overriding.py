"""A check that is overridden or left out has a reason that a reader can judge."""
# ruff: noqa: S101 - asserts are what a test kit is made of

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TypeVar

from cloudha.testing.conformance.checks import Checks

__all__ = ["OverrideChecks", "overrides_check"]

F = TypeVar("F", bound=Callable[..., object])

REASON = "__cloudha_reason__"
# What an author is meant to set. Everything else in the kit's classes is the kit's.
SUPPLIED = frozenset({"cloud", "provider", "kinds", "without", "unused_secrets", "own_modules", "failing_seconds"})


def overrides_check(*, reason: str) -> Callable[[F], F]:
    """Mark a method that replaces one of the kit's, and say why; shown to whoever reads the provider's tests.

    ::

        @overrides_check(reason="this cloud has only one machine per account")
        def test_power_off_touches_no_other_machine(self) -> None: ...
    """

    def mark(function: F) -> F:
        setattr(function, REASON, reason)
        return function

    return mark


class OverrideChecks(Checks):
    """Checks of the author's class itself."""

    def __init_subclass__(cls, **arguments: object) -> None:
        """Refuse a class that overrides this very check: nothing would then say so."""
        super().__init_subclass__(**arguments)
        if not _is_kits(cls) and "test_overridden_checks_have_a_reason" in vars(cls):
            raise TypeError(f"{cls.__name__}: test_overridden_checks_have_a_reason cannot be overridden")

    def test_overridden_checks_have_a_reason(self) -> None:
        """A check that is replaced without a word looks like one that was passed."""
        kits = {name for base in type(self).__mro__ if _is_kits(base) for name in vars(base)} - SUPPLIED
        silent = [
            f"{cls.__name__}.{name}"
            for cls in type(self).__mro__
            if issubclass(cls, Checks) and not _is_kits(cls)
            for name, value in vars(cls).items()
            if name in kits and not name.startswith("__") and not _reason(value)
        ]
        assert not silent, f"overridden without @overrides_check(reason=...): {', '.join(sorted(silent))}"

    def test_what_is_left_out_has_a_reason(self) -> None:
        """An operator who relies on a provider must be able to find out what nobody has tested."""
        reasons = [*self.without.items(), *self.unused_secrets.items()]
        silent = [str(key) for key, reason in reasons if not reason.strip()]
        assert not silent, f"left out without a reason: {', '.join(sorted(silent))}"


def _is_kits(cls: type) -> bool:
    return cls.__module__.startswith(__name__.rpartition(".")[0] + ".")


def _reason(value: object) -> str:
    function = inspect.unwrap(value) if callable(value) else value
    for candidate in (value, function, getattr(value, "__func__", None), getattr(value, "_fixture_function", None)):
        found = getattr(candidate, REASON, "")
        if isinstance(found, str) and found.strip():
            return found.strip()
    return ""
