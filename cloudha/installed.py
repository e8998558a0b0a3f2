"""The providers installed here: found by name, imported, and asked what they say of themselves. Without pluggy."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Iterable

from cloudha import discovery
from cloudha.declaration import MARK, ProviderInfo
from cloudha.errors import CloudhaError, ConfigurationError, ProviderBroken, ProviderNotInstalled, one_line, shown
from cloudha.options import COMMON_OPTIONS, Option

__all__ = ["PROVIDER_NAME", "brief", "checked_info", "declared", "find", "import_plugin", "installed_names"]

PROVIDER_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}\Z")


def installed_names(path: Iterable[str] | None = None) -> tuple[str, ...]:
    """Return the names that ``provider=`` may have here, sorted; broken ones included."""
    return tuple(sorted({entry.name for entry in discovery.entries(discovery.PROVIDERS, path)}))


def find(name: str) -> discovery.Entry:
    """Return the one entry of the provider *name*.

    :raises ConfigurationError: *name* cannot be a provider's name.
    :raises ProviderNotInstalled: no distribution offers it; says what is installed, and the pip command.
    :raises ProviderBroken: two distributions offer it; names both.
    """
    if not PROVIDER_NAME.match(name):
        raise ConfigurationError(
            f"parameter provider={shown(name)} is not valid", advice=f"write one of: {_known()} (installed here)"
        )
    found = [entry for entry in discovery.entries(discovery.PROVIDERS) if entry.name == name]
    if not found:
        raise ProviderNotInstalled(
            f"provider {name!r} is not installed here (installed: {_known()})",
            advice=_how_to_install(name),
        )
    if len(found) > 1:
        raise ProviderBroken(
            f"two distributions offer provider {name!r}: {' and '.join(entry.origin for entry in found)}",
            advice=f"uninstall one of them with {sys.prefix}/bin/pip uninstall",
        )
    return found[0]


def _how_to_install(name: str) -> str:
    pip = f"{sys.prefix}/bin/pip"
    # The distributions' packages of cloudha bring an environment without pip, one for each cloud.
    return f"run: {pip} install cloudha-plugin-{name}" if os.path.exists(pip) else f"install the package cloudha-{name}"


def declared(name: str, reserved: Iterable[str] = ()) -> ProviderInfo:
    """Return what the provider *name* says of itself; its other hooks are not looked at, see :func:`.plugins.load`.

    :param reserved: option names of the calling agent, which a provider must not declare again.
    :raises CloudhaError: as :func:`find`, or it cannot be imported, or its declaration breaks the contract.
    """
    entry = find(name)
    try:
        hook = getattr(import_plugin(entry), "provider_info", None)
        return checked_info(entry, hook if hasattr(hook, MARK) else None, frozenset(reserved))
    except CloudhaError as error:
        raise error.placed(provider=name) from None


def import_plugin(entry: discovery.Entry) -> object:
    """Import the module, or the object in it, that the entry names.

    :raises ProviderBroken: it cannot be, for whatever reason.
    """
    module, _, attribute = entry.value.partition(":")
    try:
        plugin: object = importlib.import_module(module)
        for part in attribute.split(".") if attribute else ():
            plugin = getattr(plugin, part)
    except KeyboardInterrupt:
        raise
    # A plugin may do anything at import, SystemExit included; it must not decide how the agent ends.
    except BaseException as error:  # noqa: BLE001 - see above
        raise ProviderBroken(
            f"{entry.origin} cannot be loaded: {brief(error)}",
            advice=f"reinstall it: {sys.prefix}/bin/pip install --force-reinstall {entry.distribution}",
        ) from None
    return plugin


def checked_info(entry: discovery.Entry, hook: object, reserved: frozenset[str]) -> ProviderInfo:
    """Call the provider's *hook* provider_info (None: it has none), and return its answer if that keeps the contract.

    :raises ProviderBroken: it does not.
    """
    if not callable(hook):
        raise ProviderBroken(f"{entry.origin} has no provider_info", advice="ask its author for a working version")
    try:
        info = hook()
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        raise ProviderBroken(f"{entry.origin}: provider_info raised {brief(error)}") from None
    if not isinstance(info, ProviderInfo):
        raise ProviderBroken(f"{entry.origin}: provider_info answered {type(info).__name__}, not ProviderInfo")
    taken = reserved | {option.name for option in COMMON_OPTIONS}
    for option in info.options:
        if not isinstance(option, Option):
            raise ProviderBroken(f"{entry.origin}: options hold {type(option).__name__}, not Option")
        if option.name in taken:
            raise ProviderBroken(f"{entry.origin} declares the option {option.name}, which is taken")
        taken |= {option.name}
    return info


def _known() -> str:
    return ", ".join(installed_names()) or "none"


def brief(error: BaseException) -> str:
    """Return an error of a plugin in one line."""
    text = one_line(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
