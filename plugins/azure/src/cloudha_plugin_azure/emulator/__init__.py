"""Azure on this machine, for labs and tests: entry point ``azure`` of the group ``cloudha.emulators``.

Resource Manager, the services that issue tokens and the metadata service listen on one address, with TLS under a
certificate authority of their own (``ca_file=``). Where the documents' shapes come from: Microsoft's OpenAPI.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from cloudha.lab.world import World
from cloudha.testing.emulator import Fault, FaultServer
from cloudha.types import IPAddress
from cloudha_plugin_azure.emulator.behaviour import Behaviour

if TYPE_CHECKING:
    from cloudha_plugin_azure.emulator.service import Service

__all__ = ["API_ONLY", "AzureEmulator", "Behaviour", "make"]

#: A fault's ``operation`` for the API and the token services, and nothing of the metadata service.
API_ONLY = "*,!metadata.*"
# A directory that a lab's machines see as well; elsewhere the system's place for temporary files.
SHARED_DIRECTORY = "CLOUDHA_LAB_SHARED"


class AzureEmulator:
    """A running emulated Azure (:class:`~cloudha.lab.world.Emulator`).

    ``account`` is the cloud, ``service`` its API, ``server`` the transport with its ``faults`` and ``journal``.
    """

    def __init__(self, service: Service, server: FaultServer, ca_file: str) -> None:
        self.service = service
        self.account = service.account
        self.server = server
        self.ca_file = ca_file

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

    def start(self) -> AzureEmulator:
        """Serve in a daemon thread, and return the emulator."""
        self.server.start()
        return self

    def close(self) -> None:
        """See :meth:`cloudha.lab.world.Emulator.close`."""
        self.server.close()
        self.account.close()
        with contextlib.suppress(OSError):
            os.unlink(self.ca_file)

    def options(self) -> Mapping[str, str]:
        """See :meth:`cloudha.lab.world.Emulator.options`. The credentials are the machine's managed identity."""
        return {
            "endpoint": self.url,
            "identity_endpoint": self.url,
            "metadata_endpoint": self.url,
            "ca_file": self.ca_file,
        }


def make(
    world: World,
    host: str,
    port: int,
    *,
    public: Iterable[IPAddress] = (),
    behaviour: Behaviour | None = None,
) -> AzureEmulator:
    """Make an emulated Azure for the machines of *world*; it listens at once and answers when served.

    :param port: 0 for any free one.
    :param public: public addresses of the resource group.
    :raises OSError: the address or port cannot be used.
    """
    # Not for those who only look at entry points: this imports what makes certificates.
    from cloudha_plugin_azure.emulator.account import Account
    from cloudha_plugin_azure.emulator.service import Service
    from cloudha_plugin_azure.emulator.tls import server_context

    account = Account(world, behaviour or Behaviour())
    for number, address in enumerate(public):
        account.add_public_ip(f"pip-{number}", str(address))
    service = Service(account)
    directory = os.environ.get(SHARED_DIRECTORY, "")
    tls, ca_file = server_context(host, directory if os.path.isdir(directory) else "")
    return AzureEmulator(service, FaultServer(service, host, port, tls=tls), ca_file)
