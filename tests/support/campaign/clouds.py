"""The clouds that can be put under a campaign: the test clouds of all providers whose emulator is installed here.

A provider's conformance test brings its test cloud along (truth, situations, which operations change something), so
nothing here knows a provider's name.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import inspect
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import ModuleType

from cloudha.lab.control import providers
from cloudha.testing.conformance import Capability, EmulatedCloud, ProviderConformance
from cloudha.types import Kind

__all__ = ["Stage", "behaviour", "close", "names", "stages"]

ROOT = Path(__file__).parents[3]
# Where an emulator keeps the model whose behaviour can be changed, by the names that the emulators here use.
MODELS = ("cloud", "account", "tenancy", "region", "service")
# A change of an address that takes its time, by the names that the emulators here use.
SLOW_CHANGES = ("bind", "network")


@dataclass(frozen=True)
class Stage:
    """A provider under test: how to make its cloud, and the kinds of address that both can float."""

    provider: str
    make: Callable[[], EmulatedCloud]
    kinds: tuple[Kind, ...]
    fencing: bool


def names() -> tuple[str, ...]:
    """Return the providers whose emulator is installed, without importing any of them."""
    return providers()


@cache
def stages() -> tuple[Stage, ...]:
    """Return one stage for each emulator that is installed and whose provider has a conformance test."""
    found = []
    for file in sorted(ROOT.glob("plugins/*/tests/test_conformance.py")):
        module = _load(file)
        if module is None:
            continue
        own = [item for item in vars(module).values() if isinstance(item, type) and item.__module__ == module.__name__]
        clouds = [item for item in own if issubclass(item, EmulatedCloud)]
        for kit in (item for item in own if issubclass(item, ProviderConformance)):
            if kit.provider in providers() and clouds:
                kinds = tuple(kind for kind in kit.kinds if kind not in kit.without)
                make = partial(_made, clouds[0])
                found.append(Stage(kit.provider, make, kinds, Capability.FENCING not in kit.without))
    return tuple(found)


def _made(cloud: type[EmulatedCloud]) -> EmulatedCloud:
    """Make a test cloud. It may want a folder, or a vendor's papers, which hold answers to them: left out here."""
    wanted = inspect.signature(cloud).parameters.values()
    missing: dict[str, Path | None] = {}
    for one in wanted:
        if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD:
            missing[one.name] = _folder() if one.name == "directory" else None
    return cloud(**missing)  # type: ignore[arg-type]  # the servers of the base class have a name of their own kind


def _folder() -> Path:
    """Make a folder that is gone when this process ends."""
    folder = tempfile.mkdtemp(prefix="cloudha-faults-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def behaviour(cloud: EmulatedCloud) -> object | None:
    """Return the object with the emulator's times, None when it has none."""
    emulator = getattr(cloud, "emulator", None)
    for name in MODELS:
        found = getattr(getattr(emulator, name, None), "behaviour", None)
        if found is not None:
            return found  # type: ignore[no-any-return]  # each emulator has a class of its own
    return None


def close(cloud: EmulatedCloud) -> None:
    """End the emulator."""
    with contextlib.suppress(AttributeError):
        cloud.emulator.close()  # type: ignore[attr-defined]  # all of them have one; the kit does not ask for it


def _load(file: Path) -> ModuleType | None:
    """Import a provider's conformance test; None where the provider or its emulator is not installed."""
    name = f"conformance_of_{file.parents[1].name.replace('-', '_')}"
    specification = importlib.util.spec_from_file_location(name, file)
    if specification is None or specification.loader is None:
        return None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except ImportError:
        del sys.modules[name]
        return None
    return module
