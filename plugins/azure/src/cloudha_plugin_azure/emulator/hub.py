"""What an Azure Stack Hub takes: fewer versions of the API than Azure."""

from __future__ import annotations

import re

from cloudha.testing.emulator import Request
from cloudha_plugin_azure.emulator.behaviour import ArmError

__all__ = ["check_hub"]

# Of the profile 2020-09-01-hybrid, by Microsoft's "Resource provider API versions supported by profiles".
VERSIONS = {
    "microsoft.compute": "2020-06-01",
    "microsoft.network": "2018-11-01",
    "microsoft.authorization": "2015-07-01",
}
NAMESPACE = re.compile(r"/providers/(microsoft\.[a-z]+)", re.IGNORECASE)


def check_hub(operation: str, request: Request) -> None:
    """Refuse what an Azure Stack Hub does not know.

    :raises ArmError: 400.
    """
    name = NAMESPACE.findall(request.path)[-1].lower()
    version = request.query["api-version"]
    if version != VERSIONS[name]:
        text = f"No registered resource provider found for API version '{version}' of namespace '{name}'."
        raise ArmError(400, "NoRegisteredProviderFound", text)
    # Listings of a resource group take it since 2023-09-01.
    if operation == "machines.list" and "$expand" in request.query:
        raise ArmError(400, "InvalidParameter", "The value of parameter $expand is invalid.")
