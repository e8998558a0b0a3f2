"""Load the one named provider, and the observers; close every hazard of pluggy on the way.

pluggy accepts misspelt hooks, calls two providers where two are registered, lets one broken plugin stop a whole group,
and answers None where nobody implements a hook. Here: exactly one provider for each manager, loaded by its entry
point's name; ``check_pending``; signatures checked by registering; implementations counted.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from cloudha import discovery
from cloudha.declaration import PROJECT, ProviderInfo
from cloudha.errors import CloudhaError, ProviderBroken, one_line
from cloudha.hookspecs import ProviderHooks
from cloudha.installed import brief, checked_info, find, import_plugin
from cloudha.record import Record

__all__ = ["HOOKS", "Provider", "load", "load_observers"]

HOOKS: tuple[str, ...] = tuple(name for name in vars(ProviderHooks) if not name.startswith("_"))


class Provider(Record):
    """A loaded provider: its name, where it is from, what it says of itself, and its hooks."""

    name: str
    entry: discovery.Entry
    info: ProviderInfo
    manager: pluggy.PluginManager

    def implements(self, hook: str) -> bool:
        """Whether the provider has an implementation of *hook*."""
        caller = getattr(self.manager.hook, hook)
        return any(impl.plugin_name == self.name for impl in caller.get_hookimpls())


def load(name: str, reserved: Iterable[str] = ()) -> Provider:
    """Import the provider *name* and nothing else, and check that it keeps the contract.

    :param reserved: option names of the calling agent, which a provider must not declare again.
    :raises CloudhaError: there is not exactly one provider of that name, see :func:`.installed.find`.
    :raises ProviderBroken: it cannot be imported, or breaks the contract.
    """
    entry = find(name)
    try:
        return _load(entry, frozenset(reserved))
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
    declares = manager.hook.provider_info
    info = checked_info(entry, declares if declares.get_hookimpls() else None, reserved)
    return Provider(entry.name, entry, info, manager)


def _register(manager: pluggy.PluginManager, entry: discovery.Entry, plugin_name: str) -> None:
    plugin = import_plugin(entry)
    try:
        manager.register(plugin, plugin_name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise ProviderBroken(f"{entry.origin}: {one_line(str(error))}", advice="it does not fit this cloudha") from None
    except Exception as error:  # noqa: BLE001 - pluggy looks at every attribute of the plugin, and those may do anything
        raise ProviderBroken(f"{entry.origin} cannot be registered: {brief(error)}") from None


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
