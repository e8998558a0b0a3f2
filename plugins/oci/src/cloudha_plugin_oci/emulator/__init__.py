"""OCI on this machine, for labs and tests: entry point ``oci`` of the group ``cloudha.emulators``.

Core Services, the federation service and the metadata service listen on one address, with plain HTTP: nothing secret is
in a signed request. Where the documents' shapes come from: the models of Oracle's SDK (``oci.core.models``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from cloudha.lab.world import World
from cloudha.testing.emulator import Fault, FaultServer
from cloudha.types import IPAddress
from cloudha_plugin_oci.emulator.behaviour import Behaviour

if TYPE_CHECKING:
    from cloudha_plugin_oci.emulator.service import Service

__all__ = ["API_ONLY", "Behaviour", "OciEmulator", "make"]

#: A fault's ``operation`` for the API and the federation, and nothing of the metadata service.
API_ONLY = "*,!metadata.*"


class OciEmulator:
    """A running emulated OCI (:class:`~cloudha.lab.world.Emulator`).

    ``account`` is the cloud, ``service`` its API, ``server`` the transport with its ``faults`` and ``journal``.
    """

    def __init__(self, service: Service, server: FaultServer) -> None:
        self.service = service
        self.account = service.account
        self.server = server

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

    def start(self) -> OciEmulator:
        """Serve in a daemon thread, and return the emulator."""
        self.server.start()
        return self

    def close(self) -> None:
        """See :meth:`cloudha.lab.world.Emulator.close`."""
        self.server.close()
        self.account.close()

    def options(self) -> Mapping[str, str]:
        """See :meth:`cloudha.lab.world.Emulator.options`. The credentials are the machine's instance principal."""
        return {"endpoint": self.url, "identity_endpoint": self.url, "metadata_endpoint": self.url}


def make(
    world: World,
    host: str,
    port: int,
    *,
    public: Iterable[IPAddress] = (),
    behaviour: Behaviour | None = None,
) -> OciEmulator:
    """Make an emulated OCI for the machines of *world*; it listens at once and answers when served.

    :param port: 0 for any free one.
    :param public: reserved public addresses of the compartment.
    :raises OSError: the address or port cannot be used.
    """
    # Not for those who only look at entry points: this imports what makes keys and certificates.
    from cloudha_plugin_oci.emulator.account import Account
    from cloudha_plugin_oci.emulator.identities import Identities
    from cloudha_plugin_oci.emulator.service import Service

    account = Account(world, behaviour or Behaviour())
    for address in public:
        account.add_public_ip(str(address))
    service = Service(account, Identities())
    return OciEmulator(service, FaultServer(service, host, port))
