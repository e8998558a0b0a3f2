"""What a plugin brings along about permissions: a text for people, and a function that makes the vendor's documents.

Both lie in the package of the provider's module and are looked for only here, so that the agents pay nothing for them.
"""

from __future__ import annotations

import importlib
import importlib.resources
import importlib.util
from collections.abc import Callable

from cloudha.errors import CloudhaError, ProviderBroken
from cloudha.installed import brief
from cloudha.plugins import Provider
from cloudha.policy import Policy, PolicyRequest
from cloudha.record import Record

__all__ = ["PermissionsText", "make_policy", "permissions_text"]

# The name of the text, whatever the vendor's own form of it is (json, txt, md).
TEXT = "permissions."
MODULE = "policy"
FUNCTION = "policy"


class PermissionsText(Record):
    """A plugin's own list of the permissions that it needs: the file's ``name`` and its ``text``."""

    name: str
    text: str


def permissions_text(provider: Provider) -> PermissionsText | None:
    """Return the file ``permissions.*`` in the plugin's package, None when there is none."""
    package = _package(provider)
    if not package:
        return None
    try:
        for item in sorted(importlib.resources.files(package).iterdir(), key=lambda item: item.name):
            if item.name.startswith(TEXT) and item.is_file():
                return PermissionsText(item.name, item.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, TypeError) as error:
        raise ProviderBroken(f"{provider.entry.origin}: its permissions cannot be read: {brief(error)}") from None
    return None


def make_policy(provider: Provider, request: PolicyRequest) -> Policy | None:
    """Return what the plugin's ``policy(request)`` answers, None when the plugin has no module ``policy``.

    :raises CloudhaError: the request does not fit the vendor.
    :raises ProviderBroken: the plugin's function breaks the contract.
    """
    package = _package(provider)
    if not package or importlib.util.find_spec(f"{package}.{MODULE}") is None:
        return None
    try:
        function: Callable[[PolicyRequest], Policy] = getattr(importlib.import_module(f"{package}.{MODULE}"), FUNCTION)
        answer = function(request)
    except CloudhaError as error:
        raise error.placed(provider=provider.name, action="policy") from None
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        raise ProviderBroken(f"{provider.entry.origin}: its policy raised {brief(error)}") from None
    if not isinstance(answer, Policy):
        raise ProviderBroken(f"{provider.entry.origin}: its policy answered {type(answer).__name__}, not Policy")
    return answer


def _package(provider: Provider) -> str:
    return provider.entry.value.partition(":")[0].rpartition(".")[0]
