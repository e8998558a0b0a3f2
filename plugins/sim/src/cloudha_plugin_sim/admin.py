"""The simulated cloud's own administration below ``/_emulator/``: the truth, and what happens behind one's back."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from cloudha.testing.emulator import Reply, Request
from cloudha.testing.emulator.admin import PREFIX
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha_plugin_sim.documents import address_document, machine_document, read_body, read_ip, read_kind
from cloudha_plugin_sim.records import CloudError

if TYPE_CHECKING:
    from cloudha_plugin_sim.api import Api

__all__ = ["administer"]

NUMBER = (int, float)
BEHAVIOUR = {
    "stop": NUMBER,
    "start": NUMBER,
    "bind": NUMBER,
    "stale": NUMBER,
    "page": int,
    "rate": NUMBER,
    "burst": int,
    "addresses_per_machine": int,
    "denied": list,
}
MACHINE = re.compile(r"machines/(?P<machine>[^/]+)/(?P<verb>\w+)")
ADDRESS = re.compile(r"addresses/(?P<kind>\w+)/(?P<ip>[^/]+)")


def administer(api: Api, request: Request) -> Reply | None:
    """Answer one request of the README's table; None when it is not among them.

    :raises CloudError: what was sent makes no sense.
    """
    path = request.path.removeprefix(PREFIX)
    if found := MACHINE.fullmatch(path):
        return _machine(api, request, found["machine"], found["verb"])
    if found := ADDRESS.fullmatch(path):
        return _address(api, request, found["kind"], found["ip"])
    answer = VERBS.get((request.method, path))
    return answer(api, request) if answer else None


def _behave(api: Api, request: Request) -> Reply:
    changes = read_body(request, BEHAVIOUR)
    if any(isinstance(value, int | float) and value < 0 for value in changes.values()):
        raise CloudError(400, "invalid", "nothing of this can be negative")
    api.cloud.behaviour = replace(api.cloud.behaviour, **changes)  # type: ignore[arg-type]  # BEHAVIOUR checked them
    return _show_behaviour(api, request)


def _show_behaviour(api: Api, _: Request) -> Reply:
    return Reply.json(asdict(api.cloud.behaviour))


def _expire(api: Api, request: Request) -> Reply:
    api.token_expired = bool(read_body(request, {"expired": bool}).get("expired", True))
    return Reply.json({"expired": api.token_expired})


def _name_callers(api: Api, request: Request) -> Reply:
    callers = read_body(request, {"caller": str, "address": str})
    api.callers[read_ip(str(callers.get("caller")))] = read_ip(str(callers.get("address")))
    return Reply.json({str(caller): str(address) for caller, address in api.callers.items()})


def _truth(api: Api, _: Request) -> Reply:
    truth = api.cloud.truth()
    powered = {key: api.cloud.world.powered(item.world_name) for key, item in truth.machines.items()}
    machines = [{**machine_document(item), "powered": powered[key]} for key, item in truth.machines.items()]
    return Reply.json({"machines": machines, "addresses": [address_document(a) for a in truth.addresses.values()]})


def _add(api: Api, request: Request) -> Reply:
    world = api.cloud.world
    if not isinstance(world, MemoryWorld):
        raise CloudError(409, "fixed", "the machines of this world are fixed")
    body = read_body(request, {"name": str, "address": str})
    name, address = str(body.get("name", "")), str(body.get("address", ""))
    if not name:
        raise CloudError(400, "invalid", "name is missing")
    machine = world.add(name, ipaddress.ip_address(address) if address else None)
    return Reply.json(machine_document(api.cloud.adopt(machine.name, name)), status=201)


def _machine(api: Api, request: Request, machine: str, verb: str) -> Reply | None:
    cloud = api.cloud
    match request.method, verb:
        case "POST", "remove":
            cloud.remove(machine)
            return Reply.json({})
        case "POST", "terminate":
            return Reply.json(machine_document(cloud.terminate(machine)))
        case "POST", "restart":
            after = read_body(request, {"after": NUMBER}).get("after", 0.0)
            cloud.restart(machine, float(after) if isinstance(after, int | float) else 0.0)
            return Reply.json({})
        case "POST", "describe":
            known = cloud.machine(machine)
            body = read_body(request, {"name": str, "group": str, "restart_after": (int, float, type(None))})
            after = body.get("restart_after", known.restart_after)
            described = cloud.describe(
                machine,
                name=str(body.get("name", known.name)),
                group=str(body.get("group", known.group)),
                restart_after=float(after) if isinstance(after, int | float) else None,
            )
            return Reply.json(machine_document(described))
        case "POST", "nics":
            body = read_body(request, {"mac": str, "address": str})
            added = cloud.add_nic(machine, str(body.get("mac", "")), read_ip(str(body.get("address", ""))))
            return Reply.json(machine_document(added), status=201)
    return None


def _address(api: Api, request: Request, kind_text: str, ip_text: str) -> Reply | None:
    kind, ip = read_kind(kind_text), read_ip(ip_text)
    match request.method:
        case "PUT":
            return Reply.json(address_document(api.cloud.declare(kind, ip)), status=201)
        case "DELETE":
            api.cloud.withdraw(kind, ip)
            return Reply.json({})
    return None


VERBS: Mapping[tuple[str, str], Callable[[Api, Request], Reply]] = {
    ("GET", "truth"): _truth,
    ("GET", "behaviour"): _show_behaviour,
    ("POST", "behaviour"): _behave,
    ("POST", "token"): _expire,
    ("POST", "callers"): _name_callers,
    ("POST", "machines"): _add,
}
