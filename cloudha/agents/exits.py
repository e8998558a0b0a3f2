"""The exit codes of both protocols, and the one table from error class to OCF code."""

from __future__ import annotations

import enum

from cloudha.errors import (
    AccessDenied,
    CloudhaError,
    ConfigurationError,
    LocalConfigurationError,
    ProviderBroken,
    ProviderNotInstalled,
)

__all__ = ["FenceExit", "OcfExit", "ocf_exit"]


class FenceExit(enum.IntEnum):
    """Fence agent API. Pacemaker takes 0 as confirmed, 2 (status only) as off, everything else as unknown."""

    OK = 0
    FAILED = 1
    OFF = 2


class OcfExit(enum.IntEnum):
    """OCF 1.1, with what Pacemaker does: 1 is soft, 2, 4 and 5 ban this node, 6 every node."""

    SUCCESS = 0
    GENERIC = 1
    ARGUMENTS = 2
    UNIMPLEMENTED = 3
    PERMISSION = 4
    INSTALLED = 5
    CONFIGURED = 6
    NOT_RUNNING = 7
    DEGRADED = 190


# The first class that fits counts, so the more special ones come first. What is not listed is soft: it may pass.
OCF_TABLE: tuple[tuple[type[CloudhaError], OcfExit], ...] = (
    (LocalConfigurationError, OcfExit.ARGUMENTS),
    (ConfigurationError, OcfExit.CONFIGURED),
    (ProviderNotInstalled, OcfExit.INSTALLED),
    (ProviderBroken, OcfExit.INSTALLED),
    (AccessDenied, OcfExit.PERMISSION),
)


def ocf_exit(error: CloudhaError, action: str) -> OcfExit:
    """Return the code for *error* in *action*; never a success and never "not running".

    Stop and monitor know only "unknown" (1): a hard code from them would say something about the node's fitness, and
    what matters is that nobody knows whether the address is here. A wrong parameter keeps its code.
    """
    code = next((code for kind, code in OCF_TABLE if isinstance(error, kind)), OcfExit.GENERIC)
    if action == "stop" or (action == "monitor" and code is OcfExit.PERMISSION):
        return OcfExit.CONFIGURED if code is OcfExit.CONFIGURED else OcfExit.GENERIC
    return code
