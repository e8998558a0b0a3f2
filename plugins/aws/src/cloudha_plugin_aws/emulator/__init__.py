"""AWS on this machine, for labs and tests: entry point ``aws`` of the group ``cloudha.emulators``.

EC2 and STS are moto's, with what moto leaves out put in (see ``account``, ``power``, ``addresses``, ``reads`` and
``filters``); the metadata service is our own. All listen on one address. Needs the extra ``[emulator]``.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from cloudha.lab.world import World
from cloudha.testing.emulator import Fault, FaultServer
from cloudha.types import IPAddress
from cloudha_plugin_aws.emulator.behaviour import Behaviour

if TYPE_CHECKING:
    from cloudha_plugin_aws.emulator.account import Account
    from cloudha_plugin_aws.emulator.service import Service

__all__ = ["API_ONLY", "AwsEmulator", "Behaviour", "make"]

#: A fault's ``operation`` for all of the API and nothing of the metadata service.
API_ONLY = "*,!metadata.*"
REGION = "eu-west-1"
# Any key will do unless Behaviour.keys says otherwise; these are AWS's own examples.
ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # noqa: S105 - the example of AWS's documentation


class AwsEmulator:
    """A running emulated AWS (:class:`~cloudha.lab.world.Emulator`).

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

    def start(self) -> AwsEmulator:
        """Serve in a daemon thread, and return the emulator."""
        self.server.start()
        return self

    def close(self) -> None:
        """See :meth:`cloudha.lab.world.Emulator.close`."""
        self.server.close()
        self.account.close()

    def options(self) -> Mapping[str, str]:
        """See :meth:`cloudha.lab.world.Emulator.options`. The credentials are the machine's role."""
        return {"endpoint": self.url, "identity_endpoint": self.url, "metadata_endpoint": self.url}


def make(
    world: World,
    host: str,
    port: int,
    *,
    region: str = REGION,
    public: Iterable[IPAddress] = (),
    behaviour: Behaviour | None = None,
    tls: ssl.SSLContext | None = None,
) -> AwsEmulator:
    """Make an emulated AWS for the machines of *world*; it listens at once and answers when served.

    :param port: 0 for any free one.
    :param public: Elastic IPs of the account.
    :raises OSError: the address or port cannot be used.
    """
    # A thousand images that nothing here uses; moto reads the variable when it is imported.
    os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    # moto takes a second to import, and is not there without the extra: not for those who only look at entry points.
    from cloudha_plugin_aws.emulator.account import Account
    from cloudha_plugin_aws.emulator.service import Service

    account = Account(world, region, behaviour or Behaviour())
    for address in public:
        account.add_elastic_ip(str(address))
    # An overlay address must get past the interfaces, as the documentation tells everybody to arrange.
    for interface in account.interfaces():
        interface.source_dest_check = False
    service = Service(account)
    return AwsEmulator(service, FaultServer(service, host, port, tls=tls))
