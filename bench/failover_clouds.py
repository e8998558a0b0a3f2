"""The clouds of ``failover.py``: the emulators of the lab, slowed down to what a cloud is, and timed.

- Every request to the API takes 20 ms, a stop 1.5 s to 2.5 s: at random, so that nobody's polling happens to fit, and
  the same series for everybody. The metadata service answers at once.
- The cloud does not notice by itself that a machine has lost its power: to it the machine runs until it is stopped, as
  one does whose kernel hangs. Otherwise a fencing would wait for nothing.
- A machine that is started runs at once, for the API, and needs 15 s until its operating system does, unless somebody
  else gives it power. Otherwise it would be back in the cluster, and in the way, while slow agents still work.
- AWS's metadata service is also at 169.254.169.254, port 80, of the lab's network: other agents have it built in.
- When each answer began and ended is written down, one JSON line each.

The control plane finds the factories by an entry point like any other: see :func:`announce`.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudha.lab import plan as plans
from cloudha.lab.programs import run
from cloudha.lab.state import SHARED_VARIABLE
from cloudha.lab.world import Emulator, Machine, World
from cloudha.testing.emulator import FaultServer
from cloudha.testing.emulator.application import Application, Reply, Request
from cloudha.types import IPAddress

__all__ = ["ANSWERS", "announce", "aws", "endpoint", "instances", "sim", "steady"]

API_SECONDS = 0.02
STOP_SECONDS, STOP_SPREAD_SECONDS = 1.5, 1.0
STEADY_STOP_SECONDS = 2.0
START_SECONDS = 0.2
BOOT_SECONDS = 15.0
METADATA_ADDRESS = "169.254.169.254"
REGION = "eu-west-1"
# The file in the lab's directory.
ANSWERS = "answers.jsonl"


class Unnoticing:
    """A world as its cloud believes it to be: a machine runs until the cloud has stopped it, and from its start on."""

    def __init__(self, world: World, spread: float = STOP_SPREAD_SECONDS) -> None:
        self._world = world
        self._spread = spread
        self._lock = threading.Lock()
        self._booting: dict[str, threading.Timer] = {}
        self._random = random.Random(1)  # noqa: S311  # no secret
        self._on = {machine.name: True for machine in world.machines()}

    def machines(self) -> tuple[Machine, ...]:
        """See :class:`~cloudha.lab.world.World`."""
        return self._world.machines()

    def powered(self, name: str) -> bool:
        """Whether the cloud believes that it runs."""
        return self._on[name]

    def cut_power(self, name: str) -> None:
        """Cut its power soon, and return then."""
        time.sleep(self._random.uniform(0, self._spread))
        with self._lock:
            if name in self._booting:
                self._booting.pop(name).cancel()
            self._world.cut_power(name)
            self._on[name] = False

    def give_power(self, name: str) -> None:
        """Give it power soon."""
        with self._lock:
            self._on[name] = True
            self._booting[name] = timer = threading.Timer(BOOT_SECONDS, self._boot, [name])
            timer.daemon = True
            timer.start()

    def _boot(self, name: str) -> None:
        with self._lock:
            if self._booting.pop(name, None) is not None:
                self._world.give_power(name)

    def route(self, ip: IPAddress, name: str | None) -> None:
        """See :class:`~cloudha.lab.world.World`."""
        self._world.route(ip, name)


def _time_answers(application: Application) -> None:
    """Let every answer of the API take its time, and write down when each began and ended."""
    log = (Path(os.environ[SHARED_VARIABLE]).parent / ANSWERS).open("a", buffering=1)
    lock = threading.Lock()
    answer = application.answer

    def timed(request: Request) -> Reply:
        begin = time.monotonic()
        operation = application.operation(request)
        if not operation.startswith("metadata."):
            time.sleep(API_SECONDS)
        reply = answer(request)
        line = {"at": begin, "end": time.monotonic(), "operation": operation, "client": request.client}
        with lock:
            log.write(json.dumps({**line, "status": reply.status}) + "\n")
        return reply

    application.answer = timed  # type: ignore[method-assign]  # this one object is to be timed, whoever made it


class _Renamed:
    """An emulator of ours under the name of the provider that the agents know."""

    def __init__(self, emulator: Emulator, options: Mapping[str, str]) -> None:
        self._emulator = emulator
        self._options = options

    def serve(self) -> None:
        """See :class:`~cloudha.lab.world.Emulator`."""
        self._emulator.serve()

    def close(self) -> None:
        """See :class:`~cloudha.lab.world.Emulator`."""
        self._emulator.close()

    def options(self) -> Mapping[str, str]:
        """See :class:`~cloudha.lab.world.Emulator`; the provider's name is among them."""
        return {**self._options, **self._emulator.options()}


def sim(world: World, host: str, port: int) -> Emulator:
    """Make the simulated cloud."""
    return _sim(Unnoticing(world), host, port, STOP_SECONDS)


def steady(world: World, host: str, port: int) -> Emulator:
    """Make a simulated cloud whose stops all take the same time, to compare settings by few runs."""
    return _sim(Unnoticing(world, 0.0), host, port, STEADY_STOP_SECONDS)


def _sim(world: World, host: str, port: int, stop: float) -> Emulator:
    from cloudha_plugin_sim.emulator import make
    from cloudha_plugin_sim.records import Behaviour

    emulator = make(world, host, port, behaviour=Behaviour(stop=stop, start=START_SECONDS))
    _time_answers(emulator.api)
    return _Renamed(emulator, {"provider": "sim"})


def aws(world: World, host: str, port: int) -> Emulator:
    """Make the emulated AWS, its metadata service at both addresses."""
    from cloudha_plugin_aws.emulator import ACCESS_KEY, SECRET_KEY, Behaviour, make

    behaviour = Behaviour(stop=STOP_SECONDS, start=START_SECONDS)
    # Listening on the gateway's address comes first: it fails everywhere but in the lab's own network.
    emulator = make(Unnoticing(world), host, port, region=REGION, behaviour=behaviour)
    run(["ip", "address", "replace", f"{METADATA_ADDRESS}/32", "dev", "lo"])
    FaultServer(emulator.service, METADATA_ADDRESS, 80).start()
    _time_answers(emulator.service)
    keys = {"access_key": ACCESS_KEY, "secret_key": SECRET_KEY}
    return _Renamed(emulator, {"provider": "aws", "region": REGION, **keys})


def announce(folder: Path) -> None:
    """Make them known, as ``bench-sim``, ``bench-steady`` and ``bench-aws``, here and to all that the lab starts."""
    info = folder / "failover_clouds-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: failover-clouds\nVersion: 1\n")
    names = "".join(f"bench-{name} = {__name__}:{name}\n" for name in ("sim", "steady", "aws"))
    (info / "entry_points.txt").write_text(f"[cloudha.emulators]\n{names}")
    sys.path.append(str(folder))


def endpoint() -> str:
    """Return where the API is, seen from the nodes."""
    return f"http://{plans.GATEWAY}:{plans.CONTROL_PORT}"


def instances(truth: Mapping[str, Any]) -> dict[str, str]:
    """Return machine name to instance id, from the emulated AWS's truth."""
    found = {}
    for reservation in truth["DescribeInstances"]["Reservations"]:
        for instance in reservation["Instances"]:
            tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
            found[tags["Name"]] = instance["InstanceId"]
    return found
