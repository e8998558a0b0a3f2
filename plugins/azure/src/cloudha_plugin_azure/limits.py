"""How many private addresses an interface may carry. For ``cloudha doctor`` alone.

"Azure subscription and service limits, quotas, and constraints", networking: 256 private IP addresses per network
interface. Azure Stack Hub has limits of its own, which nothing here knows.
"""

from __future__ import annotations

from cloudha.limits import InterfaceLoad
from cloudha.provider import AddressChange, Context, UnsupportedError
from cloudha_plugin_azure.interfaces import all_nics, chosen

__all__ = ["interface_load"]

MOST = 256


def interface_load(context: Context, change: AddressChange) -> InterfaceLoad:
    """See :mod:`cloudha.limits`.

    :raises UnsupportedError: of this Azure no limit is known.
    """
    if context.settings.text("cloud") == "stack":
        raise UnsupportedError("no limit of Azure Stack Hub is known", advice="ask its operator")
    nic = chosen(context, change, all_nics(context))
    return InterfaceLoad(
        nic.name, len(nic.configurations), MOST, held=nic.holding(change.ip) is not None, source="Azure's limit"
    )
