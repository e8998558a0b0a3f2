"""Making the lab's cloud misbehave, through the admin API that every emulator has below ``/_emulator/``."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import cast

from cloudha.lab import plan as plans
from cloudha.lab.control import options
from cloudha.lab.namespaces import inside_network
from cloudha.lab.problems import LabError
from cloudha.lab.state import LabState

__all__ = ["add_fault", "admin", "clear_faults", "list_faults", "requests"]

SECONDS = 10.0
CREATED_OR_OK = range(200, 300)


def admin(state: LabState, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, object]:
    """Ask the control plane's admin API, from inside the cloud's network.

    :raises LabError: it does not answer, or refuses; the text is what it said.
    """
    if not state.cloud_namespace.exists():
        raise LabError(f"no lab {state.name} is up here; start one with: cloudha lab up")
    with inside_network(state.cloud_namespace):
        connection = _connection(state)
        try:
            text = json.dumps(body) if body is not None else None
            connection.request(method, f"/_emulator/{path}", text, {"Content-Type": "application/json"})
            response = connection.getresponse()
            said = response.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise LabError(
                f"the control plane does not answer ({error}); is the whole of it refused by a fault, or has it died? "
                f"see {state.control_log}"
            ) from None
        finally:
            connection.close()
    if response.status not in CREATED_OR_OK:
        raise LabError(f"the control plane refuses {method} {path}: {response.status} {' '.join(said.split())}")
    return cast("dict[str, object]", json.loads(said)) if said.strip() else {}


def _connection(state: LabState) -> http.client.HTTPConnection:
    """Return a way to the control plane: over TLS where it speaks only that, with the authority that it names."""
    given = options(state)
    host, port = str(plans.GATEWAY), plans.CONTROL_PORT
    if given.get("endpoint", "").startswith("https:"):
        trusted = ssl.create_default_context(cafile=given.get("ca_file"))
        return http.client.HTTPSConnection(host, port, timeout=SECONDS, context=trusted)
    return http.client.HTTPConnection(host, port, timeout=SECONDS)


def add_fault(state: LabState, operation: str, effect: str, **more: object) -> int:
    """Put a fault in force (fields as in :class:`cloudha.testing.emulator.faults.Fault`) and return its number."""
    given = {key: value for key, value in more.items() if value is not None}
    number = admin(state, "POST", "faults", {"operation": operation, "effect": effect, **given}).get("number")
    if not isinstance(number, int):
        raise LabError("the control plane accepted a fault without giving it a number")
    state.note("fault", "", f"{effect} on {operation}")
    return number


def clear_faults(state: LabState, number: int | None = None) -> None:
    """End that fault, None: all of them."""
    admin(state, "DELETE", "faults" if number is None else f"faults?number={number}")
    state.note("fault cleared", "", "all" if number is None else str(number))


def list_faults(state: LabState) -> list[dict[str, object]]:
    """Return all faults, oldest first, each with its number, and how many requests it ``seen`` and ``hits``."""
    return cast("list[dict[str, object]]", admin(state, "GET", "faults").get("faults", []))


def requests(state: LabState) -> list[dict[str, object]]:
    """Return the control plane's log of requests, oldest first."""
    return cast("list[dict[str, object]]", admin(state, "GET", "log").get("log", []))
