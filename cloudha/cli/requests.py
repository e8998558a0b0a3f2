"""What a plugin says of the requests that its hooks send; only looked for here: the agents pay nothing for it."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable

from cloudha.errors import ProviderBroken
from cloudha.installed import brief
from cloudha.plugins import Provider
from cloudha.requests import ApiRequest, Planned

__all__ = ["declared_requests"]

# Of the module in the package of the provider's module, and of the function in that.
NAME = "requests"


def declared_requests(provider: Provider, planned: Planned) -> tuple[ApiRequest, ...] | None:
    """Return the requests of one hook, in order; None when the plugin has no module ``requests``.

    :raises ProviderBroken: the plugin's function breaks the contract.
    """
    package = provider.entry.value.partition(":")[0].rpartition(".")[0]
    if not package or importlib.util.find_spec(f"{package}.{NAME}") is None:
        return None
    try:
        function: Callable[[Planned], object] = getattr(importlib.import_module(f"{package}.{NAME}"), NAME)
        answer = function(planned)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        raise ProviderBroken(f"{provider.entry.origin}: its {NAME} raised {brief(error)}") from None
    if not isinstance(answer, tuple) or not all(isinstance(item, ApiRequest) for item in answer):
        raise ProviderBroken(f"{provider.entry.origin}: its {NAME} did not answer a tuple of ApiRequest")
    return answer
