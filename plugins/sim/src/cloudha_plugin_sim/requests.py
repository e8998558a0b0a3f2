"""What each hook asks of the simulated cloud, for ``--dry-run``."""

from __future__ import annotations

import json

from cloudha.requests import ApiRequest, Planned

__all__ = ["requests"]


def requests(planned: Planned) -> tuple[ApiRequest, ...]:
    """Return the requests of one hook; see :mod:`cloudha.requests`."""
    machine = planned.node.id if planned.node else ""
    kind = planned.kind.value if planned.kind else ""
    binding = {"machine": machine, "move": planned.move, "mac": ""}
    return {
        "list_nodes": (ApiRequest(f"GET /v1/machines?plug={planned.plug}"),),
        "power_state": (ApiRequest(f"GET /v1/machines/{machine}"),),
        "power_off": (ApiRequest(f"POST /v1/machines/{machine}/off", changes=True),),
        "power_on": (ApiRequest(f"POST /v1/machines/{machine}/on", changes=True),),
        "list_ips": (ApiRequest(f"GET /v1/addresses?kind={kind}&ip={planned.ip}"),),
        "bind_ip": (ApiRequest(f"POST /v1/addresses/{kind}/{planned.ip}/bind", json.dumps(binding), changes=True),),
        "unbind_ip": (
            ApiRequest(
                f"POST /v1/addresses/{kind}/{planned.ip}/unbind", json.dumps({"machine": machine}), changes=True
            ),
        ),
    }.get(planned.hook, ())
