"""The emulated OCI's own administration below ``/_emulator/``: the truth, and what happens behind one's back.

=====  ==============================  ================================================================
GET    /_emulator/truth                all documents, by kind
GET    /_emulator/behaviour            the fields of :class:`Behaviour`
POST   /_emulator/behaviour            some of them
POST   /_emulator/myself               ``{"machine": name}``: who callers are, "" for: by their address
POST   /_emulator/machines/M/VERB      ``stop``, ``start``, ``terminate``
DELETE /_emulator/addresses/IP         takes a private address from the VNIC that has it
=====  ==============================  ================================================================
"""

from __future__ import annotations

import ipaddress
from dataclasses import asdict

from cloudha.testing.emulator import Reply, Request
from cloudha.testing.emulator.admin import PREFIX
from cloudha.types import Kind
from cloudha_plugin_oci.emulator import power
from cloudha_plugin_oci.emulator.account import Account
from cloudha_plugin_oci.emulator.behaviour import OciError
from cloudha_plugin_oci.emulator.records import Document

__all__ = ["administer"]

KINDS = ("instance", "vnic", "vnicattachment", "privateip", "ipv6", "publicip", "routetable", "subnet")
ACTIONS = {"stop": "STOP", "start": "START"}


def administer(account: Account, request: Request) -> Reply | None:  # noqa: PLR0911 - one for each request
    """Answer one request of the table above; None when it is not among them.

    :raises ValueError: what was sent makes no sense.
    """
    with account.lock:
        match request.method, request.path.removeprefix(PREFIX).split("/"):
            case "GET", ["truth"]:
                account.follow_world()
                return Reply.json({kind: list(account.records.all(kind)) for kind in KINDS})
            case "GET", ["behaviour"]:
                return Reply.json(asdict(account.behaviour))
            case "POST", ["behaviour"]:
                return _behave(account, _object(request))
            case "POST", ["myself"]:
                name = str(_object(request).get("machine", ""))
                account.myself = _known(account, name)["displayName"] if name else ""
                return Reply.json({"machine": account.myself})
            case "POST", ["machines", machine, verb]:
                return _machine(account, _known(account, machine), verb)
            case "DELETE", ["addresses", ip]:
                account.give(Kind.PRIVATE, ipaddress.ip_address(ip), None)
                return Reply.json({})
    return None


def _behave(account: Account, changes: dict[str, object]) -> Reply:
    for name, value in changes.items():
        before = getattr(account.behaviour, name, None)
        if before is None:
            raise ValueError(f"unknown: {name}")
        wanted = tuple(value) if isinstance(value, list) else value
        if isinstance(before, float) and isinstance(wanted, int) and not isinstance(wanted, bool):
            wanted = float(wanted)
        if type(wanted) is not type(before):
            raise ValueError(f"{name} is of type {type(before).__name__}")
        setattr(account.behaviour, name, wanted)
    return Reply.json(asdict(account.behaviour))


def _machine(account: Account, instance: Document, verb: str) -> Reply | None:
    try:
        if verb in ACTIONS:
            power.act(account, instance, ACTIONS[verb])
        elif verb == "terminate":
            power.terminate(account, instance)
        else:
            return None
    except OciError as error:
        raise ValueError(str(error)) from None
    return Reply.json({})


def _known(account: Account, machine: str) -> Document:
    try:
        return account.named(machine)
    except LookupError as error:
        raise ValueError(str(error)) from None


def _object(request: Request) -> dict[str, object]:
    found = request.json()
    if not isinstance(found, dict):
        raise ValueError("a JSON object is wanted")  # noqa: TRY004 - the caller's text is wrong, not our code
    return found
