"""A little cluster in this process: three nodes of one simulated cloud, run by the rules of a cluster manager.

The nodes' agents are the host's own functions, over real HTTP. Each node has its own marks, as machines have. What the
host waits for is shortened here together with what the cloud takes, by the same factor, so that nothing changes in
proportion.
"""

from __future__ import annotations

import contextlib
import ipaddress
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from cloudha import addresses, fencing, local_mark, plugins, retry
from cloudha.addresses import FloatingAddress, Request
from cloudha.deadline import Deadline
from cloudha.errors import CloudhaError
from cloudha.host import Host
from cloudha.options import COMMON_OPTIONS, parse
from cloudha.testing.emulator.client import eventually
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha.types import Kind, Node
from cloudha_plugin_sim.cloud import Cloud
from cloudha_plugin_sim.emulator import SimEmulator, make
from cloudha_plugin_sim.records import Behaviour, State

__all__ = ["ADDRESS", "KIND", "NODES", "Lie", "SmallCluster", "hurried"]

NODES = 3
ADDRESS = ipaddress.ip_address("10.77.9.9")
KIND = Kind.PRIVATE
CALLER = ipaddress.ip_address("127.0.0.1")
TOKEN = "canary-41d7e0"
# Everything is so much faster than in a cluster.
FACTOR = 25.0
ACTION_SECONDS = 1.2
STOP, START, BIND, STALE = 0.2 / FACTOR, 0.2 / FACTOR, 0.1 / FACTOR, 0.4 / FACTOR
WAITS = (
    (addresses, "FIRST_POLL_SECONDS"),
    (addresses, "MOST_POLL_SECONDS"),
    (addresses, "READ_APART_SECONDS"),
    (fencing, "FIRST_POLL_SECONDS"),
    (fencing, "ASK_AGAIN_SECONDS"),
    (fencing, "LOOK_APART_SECONDS"),
    (retry, "FIRST_WAIT"),
    (retry, "MOST_WAIT"),
)


class Lie(AssertionError):
    """An agent said what was not true."""


@contextlib.contextmanager
def hurried() -> Iterator[None]:
    """Shorten all the host's waits."""
    with contextlib.ExitStack() as stack:
        for module, name in WAITS:
            stack.enter_context(mock.patch.object(module, name, getattr(module, name) / FACTOR))
        yield


class SmallCluster:
    """Nodes 0 to 2. ``services``: the nodes on which the service that needs the address runs, in truth."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.emulator: SimEmulator = make(MemoryWorld(), "127.0.0.1", 0, token=TOKEN).start()
        self.provider = plugins.load("sim", ())
        #: how often what was claimed, and found true
        self.claims: Counter[str] = Counter()
        # The polls are as fast as everything else.
        self._info = SimpleNamespace(**{**_fields(self.provider.info), "poll_seconds": 1.0 / FACTOR})
        self.reset()

    def reset(self) -> None:
        """Begin again: all nodes run, nobody has the address."""
        self.emulator.cloud.close()
        self.emulator.server.faults.clear()
        self.world = MemoryWorld([f"n{number}" for number in range(NODES)])
        self.emulator.cloud = self.emulator.api.cloud = Cloud(self.world, Behaviour(stop=STOP, start=START))
        self.services: set[int] = set()
        self._here = 0
        for number in range(NODES):
            self.forget(number)

    def close(self) -> None:
        """End the emulator."""
        self.emulator.close()

    # -- truth -------------------------------------------------------------------------------------------------------

    def id(self, node: int) -> str:
        """Return a node's id in the cloud."""
        return f"m-{node + 1:04d}"

    def powered(self, node: int) -> bool:
        """Whether the node runs."""
        return self.world.powered(f"n{node}")

    def holder(self) -> str | None:
        """Return the id of the machine that has the address."""
        return next((a.machine for a in self.emulator.cloud.addresses(KIND, ADDRESS)), None)

    def crash(self, node: int) -> None:
        """Cut a node's power behind everybody's back; what it had in memory is gone."""
        self.world.cut_power(f"n{node}")
        self.forget(node)
        self.services.discard(node)

    def boot(self, node: int) -> None:
        """Give a node power."""
        self.world.give_power(f"n{node}")

    def forget(self, node: int) -> None:
        """Remove a node's marks, as a boot does."""
        shutil.rmtree(self._marks(node), ignore_errors=True)

    # -- what agents do ----------------------------------------------------------------------------------------------

    def start(self, node: int) -> bool:
        """Start on a node, as the cluster would; whether it succeeded."""
        if not self._says(node, "start", lambda address: address.start()):
            return False
        if self.holder() != self.id(node):
            raise Lie(f"started on {self.id(node)}, and {self.holder()} holds it")
        self.services.add(node)
        self.claims["started"] += 1
        return True

    def stop(self, node: int) -> bool:
        """Stop on a node; whether it succeeded."""
        before = self.holder()
        with self._as(node):
            stopped = _said(lambda: addresses.stop(self._request(), self._clock(), lambda: self._address("stop")))
        after = self.holder()
        if before not in (None, self.id(node)) and after != before:
            raise Lie(f"a stop on {self.id(node)} took the address from {before}")
        if stopped and after == self.id(node):
            raise Lie(f"stopped on {self.id(node)}, and it holds it")
        if stopped:
            self.services.discard(node)
            self.claims["stopped"] += 1
        return stopped

    def monitor(self, node: int, *, deep: bool) -> bool | None:
        """Look; None: it could not tell."""
        before = self.holder()
        found: list[bool] = []
        said = self._says(node, "monitor", lambda address: found.append(address.monitor(ask_api=deep).running))
        if self.holder() != before:
            raise Lie("a monitor changed something")
        if not said:
            return None
        if found[0] is not (before == self.id(node)):
            raise Lie(f"a monitor on {self.id(node)} says {found[0]}, and {before} holds it")
        self.claims["running" if found[0] else "not running"] += 1
        return found[0]

    def settle(self) -> None:
        """Wait until no stop or start is under way: an earlier action's would be taken for this one's.

        :raises TimeoutError: it does not end.
        """
        moving = (State.STARTING, State.STOPPING)
        eventually(lambda: all(m.state not in moving for m in self.emulator.cloud.machines()))
        for node in range(NODES):
            if not self.powered(node):
                # What was asked for has happened since.
                self.crash(node)

    def fence(self, by: int, target: int) -> bool:
        """Let one node fence another; whether it was confirmed."""
        others = {node: self.powered(node) for node in range(NODES) if node != target}

        def off() -> None:
            host = self._host("off", "fence_cloud")
            fencing.power_off(host, [fencing.find_node(host, f"n{target}")], interval=1.0 / FACTOR)

        with self._as(by):
            confirmed = _said(off)
        if confirmed and self.powered(target):
            raise Lie(f"n{target} is said to be off, and runs")
        if others != {node: self.powered(node) for node in others}:
            raise Lie("another machine was fenced, too")
        if not self.powered(target):
            self.crash(target)
        self.claims["off"] += confirmed
        return confirmed

    def power_on(self, by: int, target: int) -> bool:
        """Let one node start another; whether it is on."""

        def on() -> None:
            host = self._host("on", "fence_cloud")
            fencing.power_on(host, [fencing.find_node(host, self.id(target))], interval=1.0 / FACTOR)

        with self._as(by):
            confirmed = _said(on)
        if confirmed and not self.powered(target):
            raise Lie(f"n{target} is said to be on, and is off")
        self.claims["on"] += confirmed
        return confirmed

    def status(self, by: int, target: int) -> None:
        """Let one node ask for another's power."""
        found: list[Node] = []
        with self._as(by):
            asked = _said(lambda: found.append(fencing.find_node(self._host("status", "fence_cloud"), f"n{target}")))
        if asked and found[0].state.is_off and self.powered(target):
            raise Lie(f"n{target} is said to be {found[0].state}, and runs")

    # -- parts -------------------------------------------------------------------------------------------------------

    def _says(self, node: int, action: str, act: Callable[[FloatingAddress], None]) -> bool:
        with self._as(node):
            return _said(lambda: act(self._address(action)))

    def _marks(self, node: int) -> Path:
        return self.folder / f"n{node}"

    @contextlib.contextmanager
    def _as(self, node: int) -> Iterator[None]:
        """Be that node: the metadata service knows it, and the marks are its own."""
        primary = self.emulator.cloud.machine(self.id(node)).nics[0].address
        self.emulator.api.callers[CALLER] = primary
        directory = str(self._marks(node))
        names = ("set_mark", "clear_mark", "read_mark")
        own = {name: partial(getattr(local_mark, name), directory=directory) for name in names}
        with mock.patch.object(addresses, "local_mark", SimpleNamespace(MarkKey=local_mark.MarkKey, **own)):
            yield

    @staticmethod
    def _clock() -> Deadline:
        return Deadline(ACTION_SECONDS)

    @staticmethod
    def _request() -> Request:
        return Request(kind=KIND, ip=ADDRESS)

    def _address(self, action: str) -> FloatingAddress:
        return FloatingAddress(self._host(action, "floating-ip"), self._request())

    def _host(self, action: str, agent: str) -> Host:
        settings = parse((*COMMON_OPTIONS, *self.provider.info.options), dict(self.emulator.options()))
        host = Host(
            self.provider,
            settings,
            self._clock(),
            action=action,
            agent=agent,
            connect_seconds=0.3,
            read_seconds=0.3,
            warn=lambda _: None,
        )
        # The provider asks for a poll a second at most; a second is shorter here.
        host.provider = SimpleNamespace(  # type: ignore[assignment]  # the same in all that the host looks at
            name=self.provider.name,
            entry=self.provider.entry,
            info=self._info,
            manager=self.provider.manager,
            implements=self.provider.implements,
        )
        return host


def _said(act: Callable[[], None]) -> bool:
    """Do it, and say whether it succeeded. Any other exception than the project's own is a bug."""
    try:
        act()
    except CloudhaError:
        return False
    return True


def _fields(info: object) -> dict[str, object]:
    names = ("title", "options", "kinds", "poll_seconds")
    return {name: getattr(info, name) for name in names}
