"""IBM Cloud VPC on this machine, for labs and tests: entry point ``ibm`` of the group ``cloudha.emulators``.

The VPC API, IAM and the metadata service listen on one address. Where the documents' shapes come from: the models of
the SDK, which every answer goes through in the tests.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from cloudha.lab.plan import FLOATING
from cloudha.lab.world import World
from cloudha.testing.emulator import Fault, FaultServer
from cloudha.types import IPAddress
from cloudha_plugin_ibm.emulator.behaviour import Behaviour

if TYPE_CHECKING:
    from cloudha_plugin_ibm.emulator.account import Account
    from cloudha_plugin_ibm.emulator.service import Service

__all__ = ["API_ONLY", "Behaviour", "IbmEmulator", "make"]

#: A fault's ``operation`` for the API and IAM, and nothing of the metadata service.
API_ONLY = "*,!metadata.*"


class IbmEmulator:
    """A running emulated IBM Cloud (:class:`~cloudha.lab.world.Emulator`).

    ``service`` is the cloud, ``server`` the transport with its ``faults`` and ``journal``.
    """

    def __init__(self, service: Service, server: FaultServer) -> None:
        self.service = service
        self.server = server

    @property
    def account(self) -> Account:
        """What the cloud consists of."""
        return self.service.account

    @property
    def url(self) -> str:
        """The value of ``endpoint=``, ``identity_endpoint=`` and ``metadata_endpoint=``."""
        return self.server.url

    def fault(self, fault: Fault) -> int:
        """Put a fault in force and return its number."""
        return self.server.faults.add(fault)

    def serve(self) -> None:
        """See :meth:`cloudha.lab.world.Emulator.serve`."""
        self.server.serve()

    def start(self) -> IbmEmulator:
        """Serve in a daemon thread, and return the emulator."""
        self.server.start()
        return self

    def close(self) -> None:
        """See :meth:`cloudha.lab.world.Emulator.close`."""
        self.server.close()
        self.account.close()

    def options(self) -> Mapping[str, str]:
        """See :meth:`cloudha.lab.world.Emulator.options`. The credentials are the machine's trusted profile."""
        return {"endpoint": self.url, "identity_endpoint": self.url, "metadata_endpoint": self.url}


def make(
    world: World,
    host: str,
    port: int,
    *,
    reserved: Iterable[IPAddress] = FLOATING,
    public: Iterable[IPAddress] = (),
    behaviour: Behaviour | None = None,
) -> IbmEmulator:
    """Make an emulated IBM Cloud for the machines of *world*; it listens at once and answers when served.

    :param port: 0 for any free one.
    :param reserved: addresses to reserve, which an operator would; those that are in no machine's subnet are left out.
    :param public: floating IPs of the account.
    :raises OSError: the address or port cannot be used.
    """
    # Not for those who only look at entry points.
    from cloudha_plugin_ibm.emulator.account import Account
    from cloudha_plugin_ibm.emulator.service import Service

    account = Account(world, behaviour or Behaviour())
    for address in reserved:
        if any(address in ipaddress.ip_network(subnet.cidr) for subnet in account.subnets.values()):
            account.reserve(address)
    for address in public:
        account.add_floating(address)
    service = Service(account)
    return IbmEmulator(service, FaultServer(service, host, port))
