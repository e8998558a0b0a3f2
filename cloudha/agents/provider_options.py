"""The parameters of all installed providers, merged for metadata: pcs refuses what the metadata does not list."""

from __future__ import annotations

from collections.abc import Iterable

from cloudha.errors import CloudhaError
from cloudha.installed import declared, installed_names
from cloudha.options import COMMON_OPTIONS, Audience, Option, OptionType

__all__ = ["installed_options"]


def installed_options(own: Iterable[str]) -> tuple[tuple[Option, ...], tuple[str, ...]]:
    """Return the common options and those of every installed provider, and a warning for each broken provider.

    The help of a provider's option ends with the providers that it applies to (``packaging/metadata.py`` reads that),
    and has each one's own words where they differ. An option is required of nobody here, since another provider may be
    in use; the host checks that when it knows which one.

    :param own: names that the agent itself declares.
    """
    declarations: dict[str, dict[str, Option]] = {}
    warnings: list[str] = []
    reserved = tuple(own)
    for name in installed_names():
        try:
            info = declared(name, reserved)
        except CloudhaError as error:
            warnings.append(f"provider {name} is left out: {error}")
            continue
        for option in info.options:
            declarations.setdefault(option.name, {})[name] = option
    return (*COMMON_OPTIONS, *map(_merged, declarations.values())), tuple(warnings)


def _merged(declarations: dict[str, Option]) -> Option:
    """Return one option for those of that name. What is not the same everywhere is left open: it must fit all."""
    first, *others = declarations.values()
    words: dict[str, list[str]] = {}
    for name, option in declarations.items():
        words.setdefault(option.help, []).append(name)
    said = first.help if len(words) == 1 else ". ".join(f"{', '.join(names)}: {text}" for text, names in words.items())
    changes: dict[str, object] = {"help": f"{said} ({', '.join(declarations)})", "required": False}
    for other in others:
        if (other.type, other.choices) != (first.type, first.choices):
            changes |= {"type": OptionType.STRING, "choices": ()}
        if other.default != first.default:
            changes["default"] = None
        if other.audience is not first.audience:
            changes["audience"] = Audience.BOTH
        if other.secret != first.secret:
            changes |= {"secret": True, "default": None}
    return first.replace(**changes)
