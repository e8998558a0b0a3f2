"""The simulated cloud as an emulator: entry point ``sim`` of the group ``cloudha.emulators``."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping

from cloudha.lab.world import World
from cloudha.testing.emulator import Fault, FaultServer
from cloudha.types import IPAddress
from cloudha_plugin_sim.api import Api
from cloudha_plugin_sim.cloud import Cloud
from cloudha_plugin_sim.records import Behaviour

__all__ = ["API_ONLY", "SimEmulator", "make"]

#: A fault's ``operation`` for all of the API and nothing of the metadata service.
API_ONLY = "*,!metadata.*"


class SimEmulator:
    """A running simulated cloud (:class:`~cloudha.lab.world.Emulator`).

    ``cloud`` is the model, ``server`` the transport with its ``faults`` and ``journal``, ``api`` what is between.
    """

    def __init__(self, cloud: Cloud, api: Api, server: FaultServer) -> None:
        self.cloud = cloud
        self.api = api
        self.server = server

    @property
    def url(self) -> str:
        """The value of ``endpoint=``."""
        return self.server.url

    def fault(self, fault: Fault) -> int:
        """Put a fault in force and return its number."""
        return self.server.faults.add(fault)

    def serve(self) -> None:
        """See :meth:`cloudha.lab.world.Emulator.serve`."""
        self.server.serve()

    def start(self) -> SimEmulator:
        """Serve in a daemon thread, and return the emulator."""
        self.server.start()
        return self

    def close(self) -> None:
        """See :meth:`cloudha.lab.world.Emulator.close`. Stops and starts under way do not end any more."""
        self.server.close()
        self.cloud.close()

    def options(self) -> Mapping[str, str]:
        """See :meth:`cloudha.lab.world.Emulator.options`."""
        token = {"password": self.api.token} if self.api.token else {}
        return {"endpoint": self.url, **token}


def make(
    world: World,
    host: str,
    port: int,
    *,
    token: str = "",
    public: Iterable[IPAddress] = (),
    behaviour: Behaviour | None = None,
    tls: ssl.SSLContext | None = None,
) -> SimEmulator:
    """Make a simulated cloud for the machines of *world*; it listens at once and answers when served.

    :param port: 0 for any free one.
    :param token: the bearer token that the API wants, "" for none.
    :param public: the public addresses that it has.
    :raises OSError: the address or port cannot be used.
    """
    cloud = Cloud(world, behaviour, public)
    api = Api(cloud, token)
    return SimEmulator(cloud, api, FaultServer(api, host, port, tls=tls))
