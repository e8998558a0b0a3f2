"""The parameters of all installed providers, merged for metadata: pcs refuses what the metadata does not list."""

from __future__ import annotations

from collections.abc import Iterable

from cloudha.errors import CloudhaError
from cloudha.installed import declared, installed_names
from cloudha.options import COMMON_OPTIONS, Option

__all__ = ["installed_options"]


def installed_options(own: Iterable[str]) -> tuple[tuple[Option, ...], tuple[str, ...]]:
    """Return the common options and those of every installed provider, and a warning for each broken provider.

    The help of a provider's option names the providers that it applies to. An option is required of nobody here,
    since another provider may be in use; the host checks that when it knows which one.

    :param own: names that the agent itself declares.
    """
    merged: dict[str, Option] = {option.name: option for option in COMMON_OPTIONS}
    owners: dict[str, list[str]] = {}
    warnings: list[str] = []
    reserved = tuple(own)
    for name in installed_names():
        try:
            info = declared(name, reserved)
        except CloudhaError as error:
            warnings.append(f"provider {name} is left out: {error}")
            continue
        for option in info.options:
            owners.setdefault(option.name, []).append(name)
            merged.setdefault(option.name, option.replace(required=False))
    described = tuple(
        option.replace(help=f"{option.help} ({', '.join(owners[option.name])})") if option.name in owners else option
        for option in merged.values()
    )
    return described, tuple(warnings)
