"""The emulated IBM Cloud's own administration below ``/_emulator/``: the truth, and what happens behind one's back.

=====  ==============================  ================================================================
GET    /_emulator/truth                all instances, interfaces, reserved and floating IPs, routes
GET    /_emulator/behaviour            the fields of :class:`Behaviour`
POST   /_emulator/behaviour            some of them
POST   /_emulator/myself               ``{"machine": name}``: who callers from elsewhere are
DELETE /_emulator/addresses/IP         unbinds a reserved IP, wherever it is
=====  ==============================  ================================================================
"""

from __future__ import annotations

import ipaddress
from dataclasses import asdict
from typing import TYPE_CHECKING

from cloudha.testing.emulator import Reply, Request
from cloudha.testing.emulator.admin import PREFIX
from cloudha.types import Kind
from cloudha_plugin_ibm.emulator import documents
from cloudha_plugin_ibm.emulator.network import give

if TYPE_CHECKING:
    from cloudha_plugin_ibm.emulator.service import Service

__all__ = ["administer"]


def administer(service: Service, request: Request) -> Reply | None:
    """Answer one request of the table above; None when it is not among them.

    :raises ValueError: what was sent makes no sense.
    """
    account = service.account
    match request.method, request.path.removeprefix(PREFIX).split("/"):
        case "GET", ["truth"]:
            with account.lock:
                account.follow_world()
                return Reply.json(_truth(service))
        case "GET", ["behaviour"]:
            return Reply.json(asdict(account.behaviour))
        case "POST", ["behaviour"]:
            return _behave(service, _object(request))
        case "POST", ["myself"]:
            name = str(_object(request).get("machine", ""))
            if name and name not in account.machines:
                raise ValueError(f"no machine {name}")
            account.myself = name
            return Reply.json({"machine": name})
        case "DELETE", ["addresses", text]:
            ip = ipaddress.IPv4Address(text)
            if all(item.ip != ip for item in account.reserved.values()):
                raise ValueError(f"no reserved IP {ip}")
            give(account, Kind.PRIVATE, ip, "")
            return Reply.json({})
    return None


def _truth(service: Service) -> dict[str, object]:
    account = service.account
    return {
        "instances": [documents.instance(account, item) for item in account.machines.values()],
        "virtual_network_interfaces": [documents.interface(account, item) for item in account.interfaces.values()],
        "reserved_ips": [documents.reserved_ip(account, item) for item in account.reserved.values()],
        "floating_ips": [documents.floating_ip(account, item) for item in account.floating.values()],
        "routes": [documents.route(account, t, item) for t in account.tables.values() for item in t.routes],
    }


def _behave(service: Service, changes: dict[str, object]) -> Reply:
    behaviour = service.account.behaviour
    for name, value in changes.items():
        before = getattr(behaviour, name, None)
        if before is None:
            raise ValueError(f"unknown: {name}")
        wanted = tuple(value) if isinstance(value, list) else value
        if isinstance(before, float) and isinstance(wanted, int) and not isinstance(wanted, bool):
            wanted = float(wanted)
        if type(wanted) is not type(before) or (isinstance(wanted, int | float) and wanted < 0):
            raise ValueError(f"{name} is of type {type(before).__name__}, and never negative")
        setattr(behaviour, name, wanted)
    return Reply.json(asdict(behaviour))


def _object(request: Request) -> dict[str, object]:
    found = request.json()
    if not isinstance(found, dict):
        raise ValueError("a JSON object is wanted")  # noqa: TRY004 - the caller's text is wrong, not our code
    return found
