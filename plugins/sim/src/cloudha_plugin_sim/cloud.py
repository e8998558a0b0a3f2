"""The simulated cloud itself: what is true, how it changes, and what somebody who asks is told.

Power states change by timers, as :class:`~cloudha_plugin_sim.records.Behaviour` says; the world is switched at the end
of a stop and at the end of a start, so a machine that is *stopping* still runs. What the world does by itself (a
machine dies, boots) is followed when somebody looks.
"""

from __future__ import annotations

import bisect
import ipaddress
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from cloudha.lab.world import World
from cloudha.types import IPAddress, Kind
from cloudha_plugin_sim.records import Address, AddressKey, Behaviour, CloudError, Instance, Nic, Snapshot, State

__all__ = ["Cloud"]

logger = logging.getLogger(__name__)

# Snapshots for stale reads: changes, not seconds; a lab makes a few in a minute.
MOST_SNAPSHOTS = 1000
ROUTE_TABLE = "rtb-main"
SETTLED = {State.RUNNING: False, State.STOPPED: True}


class Cloud:
    """Machines and addresses over a :class:`~cloudha.lab.world.World`. Safe to use from several threads.

    :param public: the public addresses that there are.
    """

    def __init__(self, world: World, behaviour: Behaviour | None = None, public: Iterable[IPAddress] = ()) -> None:
        self.world = world
        self.behaviour = behaviour or Behaviour()
        self._lock = threading.RLock()
        self._machines: dict[str, Instance] = {}
        self._addresses: dict[AddressKey, Address] = {}
        self._tickets: dict[AddressKey, int] = {}
        self._switches: dict[str, threading.Lock] = {}
        self._timers: set[threading.Timer] = set()
        self._closed = False
        self._history: deque[Snapshot] = deque(maxlen=MOST_SNAPSHOTS)
        for machine in world.machines():
            self.adopt(machine.name)
        for ip in public:
            self.declare(Kind.PUBLIC, ip)
        # The cloud was never seen half built.
        self._history = deque([self._history[-1]] if self._history else [], MOST_SNAPSHOTS)

    # --- machines ---------------------------------------------------------------------------------------------------

    def adopt(self, world_name: str, name: str = "") -> Instance:
        """Take a machine of the world into the cloud, under the label *name* (default: the world's name)."""
        with self._lock:
            machine = next(m for m in self.world.machines() if m.name == world_name)
            number = len(self._switches) + 1
            nic = Nic(f"nic-{number:04d}-0", machine.mac.lower(), machine.address)
            state = State.RUNNING if self.world.powered(world_name) else State.STOPPED
            instance = Instance(f"m-{number:04d}", name or world_name, world_name, state, (nic,))
            self._switches[instance.id] = threading.Lock()
            self._machines[instance.id] = instance
            self._own(instance, nic)
            self._remember()
            return instance

    def add_nic(self, machine_id: str, mac: str, address: IPAddress) -> Instance:
        """Give a machine another NIC."""
        with self._lock:
            instance = self.machine(machine_id)
            nic = Nic(f"nic-{machine_id[2:]}-{len(instance.nics)}", mac.lower(), address)
            self._own(instance, nic)
            return self._put(replace(instance, nics=(*instance.nics, nic)))

    def describe(self, machine_id: str, *, name: str, group: str, restart_after: float | None) -> Instance:
        """Change a machine's label and its scaling group."""
        with self._lock:
            instance = self.machine(machine_id)
            return self._put(replace(instance, name=name, group=group, restart_after=restart_after))

    def remove(self, machine_id: str) -> None:
        """Forget a machine altogether, as clouds do some time after its end. The world is left as it is."""
        with self._lock:
            self._release(machine_id)
            del self._machines[self.machine(machine_id).id]
            self._remember()

    def machine(self, machine_id: str, stale: float = 0.0) -> Instance:
        """Return one machine, by its id only.

        :raises CloudError: 404.
        """
        found = self.seen(stale).machines.get(machine_id)
        if found is None:
            raise CloudError(404, "not_found", f"no machine {machine_id}")
        return found

    def machines(self, plug: str | None = None, stale: float = 0.0) -> list[Instance]:
        """Return all machines, or those whose id, label or own address is *plug*, in the order of their ids."""
        found = self.seen(stale).machines
        return [found[key] for key in sorted(found) if plug is None or _is_called(found[key], plug)]

    def identify(self, client: IPAddress) -> Instance | None:
        """Return the machine whose own address, or whose bound private address, the caller's packets come from."""
        with self._lock:
            holder = self._addresses.get((Kind.PRIVATE, client))
            return self.machine(holder.machine) if holder and holder.machine else None

    # --- power ------------------------------------------------------------------------------------------------------

    def off(self, machine_id: str) -> Instance:
        """Begin a hard stop. Already stopped, stopping or terminated is fine.

        :raises CloudError: 404, or 409 while it is starting.
        """
        with self._lock:
            instance = self.machine(machine_id)
            if instance.state is State.STARTING:
                raise CloudError(409, "incorrect_state", f"{machine_id} is starting and cannot be stopped yet")
            return self._stop(instance, State.STOPPED) if instance.state is State.RUNNING else instance

    def on(self, machine_id: str) -> Instance:
        """Begin a start. Already running or starting is fine.

        :raises CloudError: 404, or 409 while it is stopping or when it is terminated.
        """
        with self._lock:
            instance = self.machine(machine_id)
            if instance.state in (State.STOPPING, State.TERMINATED):
                raise CloudError(409, "incorrect_state", f"{machine_id} is {instance.state.value}: cannot be started")
            return self._start(instance) if instance.state is State.STOPPED else instance

    def terminate(self, machine_id: str) -> Instance:
        """Stop a machine for good, in whatever state it is; its addresses become free in the end."""
        with self._lock:
            instance = self.machine(machine_id)
            return instance if instance.state is State.TERMINATED else self._stop(instance, State.TERMINATED)

    def restart(self, machine_id: str, after: float = 0.0) -> None:
        """Start a machine behind everybody's back, *after* seconds from now; if it runs then, with a power cycle."""
        self.machine(machine_id)

        def begin() -> None:
            with self._lock:
                instance = self._machines.get(machine_id)
                if instance and instance.state in (State.RUNNING, State.STOPPED):
                    self._start(instance, cycle=True)

        self._later(after, begin)

    def _stop(self, instance: Instance, final: State) -> Instance:
        stopping = self._turn(instance, State.STOPPING)
        self._later(self.behaviour.stop, lambda: self._switch(stopping, self.world.cut_power, final))
        return stopping

    def _start(self, instance: Instance, *, cycle: bool = False) -> Instance:
        starting = self._turn(instance, State.STARTING)

        def give(name: str) -> None:
            if cycle:
                self.world.cut_power(name)
            self.world.give_power(name)

        self._later(self.behaviour.start, lambda: self._switch(starting, give, State.RUNNING))
        return starting

    def _switch(self, begun: Instance, act: Callable[[str], None], final: State) -> None:
        """End a transition: switch the world, then say so. Nothing happens when another one has begun meanwhile."""
        with self._switches[begun.id]:
            if not self._current(begun):
                return
            try:
                act(begun.world_name)
            except Exception:
                # The state goes back to what it was, so that the next request tries again.
                logger.exception("%s: the world failed", begun.id)
                final = State.RUNNING if begun.state is State.STOPPING else State.STOPPED
            with self._lock:
                instance = self._machines.get(begun.id)
                if instance is None or not self._current(begun):
                    return
                self._turn(instance, final)
                if final is State.TERMINATED:
                    self._release(begun.id)
                if final is State.STOPPED and instance.restart_after is not None:
                    self.restart(begun.id, instance.restart_after)

    def _current(self, begun: Instance) -> bool:
        with self._lock:
            instance = self._machines.get(begun.id)
            return instance is not None and instance.serial == begun.serial

    def _turn(self, instance: Instance, state: State) -> Instance:
        return self._put(replace(instance, state=state, serial=instance.serial + 1))

    def _follow_world(self) -> None:
        for instance in list(self._machines.values()):
            stopped = SETTLED.get(instance.state)
            if stopped is not None and self.world.powered(instance.world_name) is stopped:
                self._turn(instance, State.RUNNING if stopped else State.STOPPED)

    # --- addresses --------------------------------------------------------------------------------------------------

    def declare(self, kind: Kind, ip: IPAddress) -> Address:
        """Make an address known that nobody holds yet: a public one must be, before it can be bound."""
        with self._lock:
            self._addresses.setdefault((kind, ip), Address(kind, ip))
            self._remember()
            return self._addresses[kind, ip]

    def withdraw(self, kind: Kind, ip: IPAddress) -> None:
        """Take an address away altogether, whoever holds it."""
        with self._lock:
            if self._addresses.pop((kind, ip), None):
                self.world.route(ip, None)
                self._remember()

    def addresses(self, kind: Kind | None = None, ip: IPAddress | None = None, stale: float = 0.0) -> list[Address]:
        """Return the addresses of a kind (None: all), or the one asked for, sorted."""
        found = [a for a in self.seen(stale).addresses.values() if kind in (None, a.kind) and ip in (None, a.ip)]
        return sorted(found, key=lambda a: (a.kind.value, a.ip.version, int(a.ip)))

    def bind(self, kind: Kind, ip: IPAddress, machine_id: str, *, move: bool = True, mac: str = "") -> Address:
        """Give an address to a machine, taking it from whoever holds it when *move*.

        :raises CloudError: 404 for an unknown machine, NIC or public address; 409 for one that is held and not to be
            moved, a NIC's own one, one of another kind, a terminated machine, or a full quota.
        """
        with self._lock:
            instance = self.machine(machine_id)
            wanted = Address(kind, ip, machine_id, ROUTE_TABLE if kind is Kind.ROUTE else _nic(instance, mac).id)
            known = self._addresses.get((kind, ip), Address(kind, ip))
            if kind is Kind.PUBLIC and (kind, ip) not in self._addresses:
                raise CloudError(404, "not_found", f"no public address {ip} here")
            if known.machine == machine_id and (known.own or known.where == wanted.where):
                return known
            self._check_free(known, instance, move=move)
            return self._change(known, wanted, lambda now: move or now.machine in (None, machine_id))

    def unbind(self, kind: Kind, ip: IPAddress, machine_id: str) -> Address:
        """Take an address from a machine, if that one holds it; the address stays known.

        :raises CloudError: 404 for an unknown public address, 409 for a NIC's own one.
        """
        with self._lock:
            known = self._addresses.get((kind, ip), Address(kind, ip))
            if kind is Kind.PUBLIC and (kind, ip) not in self._addresses:
                raise CloudError(404, "not_found", f"no public address {ip} here")
            if known.machine != machine_id:
                return known
            if known.own:
                raise CloudError(409, "own_address", f"{ip} is the own address of {machine_id}")
            return self._change(known, Address(kind, ip), lambda now: now.machine == machine_id)

    def _check_free(self, known: Address, instance: Instance, *, move: bool) -> None:
        if instance.state is State.TERMINATED:
            raise CloudError(409, "incorrect_state", f"{instance.id} is terminated")
        if known.own:
            raise CloudError(409, "own_address", f"{known.ip} is the own address of {known.machine}")
        if known.machine not in (None, instance.id) and not move:
            raise CloudError(409, "in_use", f"{known.ip} is bound to {known.machine}")
        if any(a.machine and a.ip == known.ip and a.kind is not known.kind for a in self._addresses.values()):
            raise CloudError(409, "in_use", f"{known.ip} is bound as an address of another kind")
        held = sum(a.machine == instance.id and not a.own for a in self._addresses.values())
        if known.machine != instance.id and held >= self.behaviour.addresses_per_machine:
            raise CloudError(409, "quota", f"{instance.id} holds {held} addresses already")

    def _change(self, known: Address, wanted: Address, still: Callable[[Address], bool]) -> Address:
        """Make a change now or, with a delay, later; the last one asked for wins. Returns what is true now."""
        key = (wanted.kind, wanted.ip)
        ticket = self._tickets[key] = self._tickets.get(key, 0) + 1

        def settle() -> None:
            with self._lock:
                now = self._addresses.get(key, known)
                lost = wanted.machine is not None and wanted.machine not in self._machines
                if self._tickets[key] != ticket or lost or not still(now):
                    return
                self.world.route(wanted.ip, self._machines[wanted.machine].world_name if wanted.machine else None)
                self._addresses[key] = wanted
                self._remember()

        if self.behaviour.bind > 0:
            self._later(self.behaviour.bind, settle)
        else:
            settle()
        return self._addresses.get(key, known)

    def _own(self, instance: Instance, nic: Nic) -> None:
        self._addresses[Kind.PRIVATE, nic.address] = Address(Kind.PRIVATE, nic.address, instance.id, nic.id, own=True)

    def _release(self, machine_id: str) -> None:
        for key, address in list(self._addresses.items()):
            if address.machine == machine_id and address.own:
                del self._addresses[key]
            elif address.machine == machine_id:
                self.world.route(address.ip, None)
                self._addresses[key] = Address(address.kind, address.ip)
        self._remember()

    # --- what is true, what is told ---------------------------------------------------------------------------------

    def truth(self) -> Snapshot:
        """Return what is true now, whatever the API tells."""
        with self._lock:
            self._follow_world()
            return Snapshot(time.monotonic(), dict(self._machines), dict(self._addresses))

    def seen(self, stale: float = 0.0) -> Snapshot:
        """Return what was true *stale* seconds ago (0: now), or what is oldest of what is remembered."""
        now = self.truth()
        with self._lock:
            if stale <= 0:
                return now
            index = bisect.bisect_right([snapshot.time for snapshot in self._history], now.time - stale)
            return self._history[max(index - 1, 0)] if self._history else now

    def close(self) -> None:
        """Stop all that is under way; the world stays as it is."""
        with self._lock:
            self._closed = True
            for timer in self._timers:
                timer.cancel()

    def _put(self, instance: Instance) -> Instance:
        self._machines[instance.id] = instance
        self._remember()
        return instance

    def _remember(self) -> None:
        self._history.append(Snapshot(time.monotonic(), dict(self._machines), dict(self._addresses)))

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        def run() -> None:
            with self._lock:
                self._timers.discard(timer)
                if self._closed:
                    return
            act()

        timer = threading.Timer(seconds, run)
        timer.daemon = True
        with self._lock:
            self._timers.add(timer)
        timer.start()


def _is_called(instance: Instance, plug: str) -> bool:
    if plug in (instance.id, instance.name):
        return True
    try:
        wanted = ipaddress.ip_address(plug)
    except ValueError:
        return False
    return any(nic.address == wanted for nic in instance.nics)


def _nic(instance: Instance, mac: str) -> Nic:
    for nic in instance.nics:
        if mac.lower() in ("", nic.mac):
            return nic
    raise CloudError(404, "not_found", f"{instance.id} has no NIC {mac}")
