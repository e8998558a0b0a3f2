"""The emulated AWS's own administration below ``/_emulator/``: the truth, and what happens behind one's back.

=====  ==============================  ================================================================
GET    /_emulator/truth                all instances, interfaces, Elastic IPs and route tables, as they are
GET    /_emulator/behaviour            the fields of :class:`Behaviour`
POST   /_emulator/behaviour            some of them
POST   /_emulator/myself               ``{"machine": name or id}``: who callers from elsewhere are
POST   /_emulator/machines/M/VERB      ``stop``, ``start``, ``terminate``; ``tag`` with ``{key: value}``
PUT    /_emulator/addresses/IP         allocates an Elastic IP
DELETE /_emulator/addresses/IP         takes a secondary private address from the interface that has it
=====  ==============================  ================================================================
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from cloudha.testing.emulator import Reply, Request
from cloudha.testing.emulator.admin import PREFIX
from cloudha_plugin_aws.emulator.reads import READS

if TYPE_CHECKING:
    from cloudha_plugin_aws.emulator.service import Service

__all__ = ["administer"]


def administer(service: Service, request: Request) -> Reply | None:  # noqa: PLR0911 - one for each request
    """Answer one request of the table above; None when it is not among them.

    :raises ValueError: what was sent makes no sense.
    """
    match request.method, request.path.removeprefix(PREFIX).split("/"):
        case "GET", ["truth"]:
            return _truth(service)
        case "GET", ["behaviour"]:
            return Reply.json(asdict(service.account.behaviour))
        case "POST", ["behaviour"]:
            return _behave(service, _object(request))
        case "POST", ["myself"]:
            name = str(_object(request).get("machine", ""))
            service.account.myself = _known(service, name) if name else ""
            return Reply.json({"machine": service.account.myself})
        case "POST", ["machines", machine, verb]:
            return _machine(service, _known(service, machine), verb, request)
        case "PUT", ["addresses", ip]:
            address = service.account.add_elastic_ip(str(ipaddress.IPv4Address(ip)))
            return Reply.json({"AllocationId": address.allocation_id}, status=201)
        case "DELETE", ["addresses", ip]:
            with service.account.lock:
                service.ec2.addresses.take_away(str(ipaddress.IPv4Address(ip)))
            return Reply.json({})
    return None


def _truth(service: Service) -> Reply:
    with service.account.lock:
        service.ec2.power.follow_world()
        documents = {operation: service.ec2.reads.truth(operation) for operation in READS}
    # Times are of no use here, and no JSON.
    return Reply.json(json.loads(json.dumps(documents, default=str)))


def _behave(service: Service, changes: dict[str, object]) -> Reply:
    behaviour = service.account.behaviour
    for name, value in changes.items():
        before = getattr(behaviour, name, None)
        if before is None:
            raise ValueError(f"unknown: {name}")
        wanted = tuple(value) if isinstance(value, list) else value
        if isinstance(before, float) and isinstance(wanted, int):
            wanted = float(wanted)
        if type(wanted) is not type(before) or (isinstance(wanted, int | float) and wanted < 0):
            raise ValueError(f"{name} is of type {type(before).__name__}, and never negative")
        setattr(behaviour, name, wanted)
    return Reply.json(asdict(behaviour))


def _machine(service: Service, machine: str, verb: str, request: Request) -> Reply | None:
    account = service.account
    with account.lock:
        match verb:
            case "stop":
                service.ec2.power.stop([machine], skip_guest=True)
            case "start":
                service.ec2.power.start([machine])
            case "terminate":
                service.ec2.power.terminate([machine])
            case "tag":
                account.tag(machine, **{key: str(value) for key, value in _object(request).items()})
            case _:
                return None
    return Reply.json({})


def _known(service: Service, machine: str) -> str:
    try:
        return str(service.account.instance(machine).id)
    except StopIteration:
        raise ValueError(f"no machine {machine}") from None


def _object(request: Request) -> dict[str, object]:
    found = request.json()
    if not isinstance(found, dict):
        raise ValueError("a JSON object is wanted")  # noqa: TRY004 - the caller's text is wrong, not our code
    return found
