"""Load the one named provider, and the observers; close every hazard of pluggy on the way.

pluggy accepts misspelt hooks, calls two providers where two are registered, lets one broken plugin stop a whole group,
and answers None where nobody implements a hook. Here: exactly one provider for each manager, loaded by its entry
point's name; ``check_pending``; signatures checked by registering; implementations counted.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass

import pluggy

from cloudha import discovery
from cloudha.errors import CloudhaError, ConfigurationError, ProviderBroken, ProviderNotInstalled, one_line, shown
from cloudha.hookspecs import PROJECT, ProviderHooks, ProviderInfo
from cloudha.options import COMMON_OPTIONS, Option

__all__ = ["HOOKS", "Provider", "installed_names", "load", "load_observers"]

PROVIDER_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}\Z")
HOOKS: tuple[str, ...] = tuple(name for name in vars(ProviderHooks) if not name.startswith("_"))


@dataclass(frozen=True, slots=True)
class Provider:
    """A loaded provider: its name, where it is from, what it says of itself, and its hooks."""

    name: str
    entry: discovery.Entry
    info: ProviderInfo
    manager: pluggy.PluginManager

    def implements(self, hook: str) -> bool:
        """Whether the provider has an implementation of *hook*."""
        caller = getattr(self.manager.hook, hook)
        return any(impl.plugin_name == self.name for impl in caller.get_hookimpls())


def installed_names(path: Iterable[str] | None = None) -> tuple[str, ...]:
    """Return the names that ``provider=`` may have here, sorted; broken ones included."""
    return tuple(sorted({entry.name for entry in discovery.entries(discovery.PROVIDERS, path)}))


def load(name: str, reserved: Iterable[str] = ()) -> Provider:
    """Import the provider *name* and nothing else, and check that it keeps the contract.

    :param reserved: option names of the calling agent, which a provider must not declare again.
    :raises ConfigurationError: *name* cannot be a provider's name.
    :raises ProviderNotInstalled: no distribution offers it; says what is installed, and the pip command.
    :raises ProviderBroken: two distributions offer it (names both), or it breaks the contract.
    """
    if not PROVIDER_NAME.match(name):
        raise ConfigurationError(
            f"parameter provider={shown(name)} is not valid", advice=f"write one of: {_known()} (installed here)"
        )
    found = [entry for entry in discovery.entries(discovery.PROVIDERS) if entry.name == name]
    if not found:
        raise ProviderNotInstalled(
            f"provider {name!r} is not installed here (installed: {_known()})",
            advice=f"run: {sys.prefix}/bin/pip install cloudha-plugin-{name}",
        )
    if len(found) > 1:
        raise ProviderBroken(
            f"two distributions offer provider {name!r}: {' and '.join(entry.origin for entry in found)}",
            advice=f"uninstall one of them with {sys.prefix}/bin/pip uninstall",
        )
    try:
        return _load(found[0], frozenset(reserved))
    except CloudhaError as error:
        raise error.placed(provider=name) from None


def _load(entry: discovery.Entry, reserved: frozenset[str]) -> Provider:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(ProviderHooks)
    _register(manager, entry, entry.name)
    for hook in HOOKS:
        impls = getattr(manager.hook, hook).get_hookimpls()
        if any(impl.wrapper or impl.hookwrapper for impl in impls):
            raise ProviderBroken(f"{entry.origin}: {hook} is a wrapper", advice="a provider implements hooks directly")
    if not manager.hook.provider_info.get_hookimpls():
        raise ProviderBroken(f"{entry.origin} has no provider_info", advice="ask its author for a working version")
    try:
        info = manager.hook.provider_info()
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        raise ProviderBroken(f"{entry.origin}: provider_info raised {_brief(error)}") from None
    if not isinstance(info, ProviderInfo):
        raise ProviderBroken(f"{entry.origin}: provider_info answered {type(info).__name__}, not ProviderInfo")
    _check_options(entry, info.options, reserved)
    return Provider(entry.name, entry, info, manager)


def _register(manager: pluggy.PluginManager, entry: discovery.Entry, plugin_name: str) -> None:
    module, _, attribute = entry.value.partition(":")
    try:
        plugin = importlib.import_module(module)
        for part in attribute.split(".") if attribute else ():
            plugin = getattr(plugin, part)
        manager.register(plugin, plugin_name)
        manager.check_pending()
    except KeyboardInterrupt:
        raise
    except pluggy.PluginValidationError as error:
        raise ProviderBroken(f"{entry.origin}: {one_line(str(error))}", advice="it does not fit this cloudha") from None
    # A plugin may do anything at import, SystemExit included; it must not decide how the agent ends.
    except BaseException as error:  # noqa: BLE001 - see above
        raise ProviderBroken(
            f"{entry.origin} cannot be loaded: {_brief(error)}",
            advice=f"reinstall it: {sys.prefix}/bin/pip install --force-reinstall {entry.distribution}",
        ) from None


def _check_options(entry: discovery.Entry, options: tuple[Option, ...], reserved: frozenset[str]) -> None:
    taken = reserved | {option.name for option in COMMON_OPTIONS}
    for option in options:
        if not isinstance(option, Option):
            raise ProviderBroken(f"{entry.origin}: options hold {type(option).__name__}, not Option")
        if option.name in taken:
            raise ProviderBroken(f"{entry.origin} declares the option {option.name}, which is taken")
        taken |= {option.name}


def load_observers(manager: pluggy.PluginManager) -> list[str]:
    """Register every installed observer around the provider's hooks; return a warning for each that is left out.

    An observer wraps; one that *implements* a hook would be a second provider, and is left out.
    """
    warnings = []
    for entry in discovery.entries(discovery.OBSERVERS):
        before = set(manager.get_plugins())
        plugin_name = f"observer:{entry.name}"
        try:
            _register(manager, entry, plugin_name)
            for hook in HOOKS:
                for impl in getattr(manager.hook, hook).get_hookimpls():
                    if impl.plugin_name == plugin_name and not (impl.wrapper or impl.hookwrapper):
                        raise ProviderBroken(f"{entry.origin} implements {hook}", advice="an observer may only wrap")
        except CloudhaError as error:
            for plugin in set(manager.get_plugins()) - before:
                manager.unregister(plugin)
            warnings.append(f"observer {entry.name} is left out: {error}")
    return warnings


def _known() -> str:
    return ", ".join(installed_names()) or "none"


def _brief(error: BaseException) -> str:
    text = one_line(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
