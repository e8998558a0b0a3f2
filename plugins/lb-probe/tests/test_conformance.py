"""The conformance kit, as far as it can hold for a provider that asks no cloud.

Its two machines are two network namespaces with host names of their own: what this process, its threads and the agents
see of "this machine" is then real. There is no API that could fail, and nothing that could tell one machine what the
other one answers; the checks that want that are left out below, each with its reason. Needs root.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, TypeVar

import pytest

from cloudha.deadline import Deadline
from cloudha.options import parse
from cloudha.provider import AddressQuery, Context, IPAddress, Kind, Node
from cloudha.testing.conformance import Capability, Fault, Scope, TestCloud, overrides_check
from cloudha.testing.conformance.address_flows import AddressFlowChecks
from cloudha.testing.conformance.addresses import AddressChecks
from cloudha.testing.conformance.overriding import OverrideChecks
from cloudha.testing.conformance.packaging import PackagingChecks
from cloudha_plugin_lb_probe import process, provider

T = TypeVar("T")

CLONE_NEWUTS, CLONE_NEWNET = 0x04000000, 0x40000000
PORT = "60000"
PATIENCE = 20.0
NO_API = "it asks no API, and nothing that could fail but the answerer on this machine: see test_lb_probe.py"
# What a failover relies on instead is fencing: the check of a machine that is off is not left out.
ONE_MACHINE = "a health probe is answered by each machine for itself; of another one nothing can be known, nor need be"
ONE_ADDRESS = "a port stands for one address, and the parameters name one port; two ports: test_lb_probe.py"


class Namespace:
    """A network and a host name of its own; lives as long as its holder process."""

    def __init__(self, name: str) -> None:
        self.name = name
        script = f"hostname {name} && ip link set lo up && echo ready && exec cat"
        self._holder = subprocess.Popen(
            ["/usr/bin/unshare", "--net", "--uts", "/bin/sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            text=True,
        )
        assert self._holder.stdout
        if self._holder.stdout.readline() != "ready\n":
            pytest.skip("no private namespaces on this machine")
        self.files = (f"/proc/{self._holder.pid}/ns/net", f"/proc/{self._holder.pid}/ns/uts")

    def run(self, act: Callable[[], T]) -> T:
        """Do *act* in a thread that is inside."""
        done: list[T] = []

        def inside() -> None:
            enter(*self.files)
            done.append(act())

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        return done[0]

    def close(self) -> None:
        assert self._holder.stdin
        assert self._holder.stdout
        self._holder.stdin.close()
        self._holder.wait(PATIENCE)
        self._holder.stdout.close()


def enter(net: str, uts: str) -> None:
    """Move the calling thread there, and with it what it starts from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    for path, kind in ((net, CLONE_NEWNET), (uts, CLONE_NEWUTS)):
        with open(path) as file:
            assert libc.setns(file.fileno(), kind) == 0, os.strerror(ctypes.get_errno())


class TwoMachines(TestCloud):
    """The truth is what answers in each of the two."""

    def __init__(self) -> None:
        # Held open, to come back to.
        self._home = [os.open(f"/proc/thread-self/ns/{kind}", os.O_RDONLY) for kind in ("net", "uts")]
        self._places = {name: Namespace(name) for name in ("probe1", "probe2")}
        self._off: set[str] = set()

    @property
    def machines(self) -> tuple[Node, Node]:
        return (
            Node("probe1", "probe1", addresses=(ipaddress.ip_address("10.0.1.11"),)),
            Node("probe2", "probe2", addresses=(ipaddress.ip_address("10.0.1.12"),)),
        )

    @property
    def missing_id(self) -> str:
        return "probe9"

    def options(self) -> Mapping[str, str]:
        return {"probe_port": PORT}

    def addresses(self, kind: Kind, version: int) -> tuple[IPAddress, IPAddress]:
        assert kind is Kind.PRIVATE
        texts = ("10.0.1.5", "10.0.1.50") if version == 4 else ("fd00::1", "fd00::10")
        return ipaddress.ip_address(texts[0]), ipaddress.ip_address(texts[1])

    def reset(self) -> None:
        self._off.clear()
        for place in self._places.values():
            place.run(lambda: process.end(int(PORT)))
        self.local(self.machines[0])

    def local(self, machine: Node | None) -> None:
        assert machine is not None, "every machine can answer a probe"
        enter(*self._places[machine.name].files)

    def powered(self, machine_id: str) -> bool:
        return machine_id not in self._off

    def set_power(self, machine_id: str, *, on: bool) -> None:
        if on:
            self._off.discard(machine_id)
        else:
            self._off.add(machine_id)
            self._places[machine_id].run(lambda: process.end(int(PORT)))

    def transition(self, seconds: float) -> None:
        raise NotImplementedError("without fencing")

    def holder(self, kind: Kind, ip: IPAddress) -> str | None:
        query = AddressQuery(kind, ip)
        held = [name for name, place in self._places.items() if place.run(lambda: _answers(query))]
        assert len(held) < 2, f"{held} both answer for {ip}"
        return held[0] if held else None

    def give(self, kind: Kind, ip: IPAddress, machine_id: str | None) -> None:
        assert kind is Kind.PRIVATE
        for name, place in self._places.items():
            if name != machine_id:
                if place.run(lambda: _answers(AddressQuery(kind, ip))):
                    place.run(lambda: process.end(int(PORT)))
            elif not place.run(lambda: _answers(AddressQuery(kind, ip))):
                place.run(lambda: process.start(ip, int(PORT)))

    def inject(self, fault: Fault, scope: Scope, times: int | None = None) -> None:
        raise NotImplementedError(NO_API)

    def faulted(self) -> int:
        return 0

    def close(self) -> None:
        self.reset()
        enter(*(f"/proc/self/fd/{number}" for number in self._home))
        for number in self._home:
            os.close(number)
        for place in self._places.values():
            place.close()


def _answers(query: AddressQuery) -> bool:
    context = Context(parse(provider.provider_info().options, {"probe_port": PORT}), Deadline(PATIENCE))
    return bool(provider.list_ips(context, query).bindings)


def left_out(reason: str) -> Callable[..., None]:
    """Replace a check of the kit by its reason."""

    @overrides_check(reason=reason)
    def skipped(self: object) -> None:  # noqa: ARG001 - a method
        pytest.skip(reason)

    return skipped


class TestLbProbe(OverrideChecks, PackagingChecks, AddressChecks, AddressFlowChecks):
    """The kit's checks of a package, of the address hooks, and of floating-ip with a cloud that works.

    Those of fencing and of a failing cloud would all be skipped: there is neither.
    """

    provider = "lb-probe"
    kinds = (Kind.PRIVATE,)
    without: ClassVar = {
        Capability.FENCING: "a health probe cuts no power",
        Capability.PAGING: ONE_MACHINE,
        Capability.IPV6: "the kit moves it from another machine; both agents with IPv6: test_lb_probe.py",
        **dict.fromkeys(Fault, NO_API),
    }

    @pytest.fixture(scope="class")
    @classmethod
    def cloud(cls) -> Iterator[TestCloud]:
        if os.geteuid() != 0:
            pytest.skip("needs root, for namespaces")
        cloud = TwoMachines()
        yield cloud
        cloud.close()

    test_list_ips_says_who_holds_it = left_out(ONE_MACHINE)
    test_list_ips_without_an_address_shows_all = left_out(ONE_MACHINE)
    test_list_ips_is_asked_of_the_cloud_every_time = left_out(ONE_MACHINE)
    test_bind_ip_without_move_takes_nothing_away = left_out(ONE_MACHINE)
    test_bind_ip_moves_it_from_another_machine = left_out(ONE_MACHINE)
    test_start_without_takeover_fails = left_out(ONE_MACHINE)
    test_bind_ip_leaves_other_addresses_alone = left_out(ONE_ADDRESS)
    test_unbind_ip_unbinds_it = left_out(ONE_ADDRESS)
    test_stop_unbinds_it = left_out(ONE_ADDRESS)
    test_local_node_elsewhere_is_an_error = left_out(
        "every machine can answer a probe: there is no cloud to be none of"
    )
