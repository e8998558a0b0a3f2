"""Sources of small providers for the tests of the host, and the type of the fixture that installs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

MakeDistribution = Callable[..., Path]

HEAD = """
from cloudha.provider import *
from cloudha.provider import hookimpl
CALLS = []
"""

INFO = """
@hookimpl
def provider_info():
    return ProviderInfo(title="Fake", kinds=(Kind.PRIVATE,))
"""

GOOD = HEAD + INFO


def with_hook(source: str) -> str:
    return GOOD + "\n" + source
