"""The simulated cloud's HTTP API: operations, who may ask, and the documents it answers with. See the README."""

from __future__ import annotations

import hmac
import ipaddress
import itertools
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from cloudha.testing.emulator import Application, Reply, Request
from cloudha.types import IPAddress
from cloudha_plugin_sim.admin import administer
from cloudha_plugin_sim.cloud import Cloud
from cloudha_plugin_sim.documents import address_document, error_reply, machine_document, read_body, read_ip, read_kind
from cloudha_plugin_sim.records import Behaviour, CloudError

__all__ = ["PERMISSIONS", "Api"]

T = TypeVar("T")

PERMISSIONS = ("machines.read", "machines.power", "addresses.read", "addresses.write")
MOST_PAGE = 1000
ADDRESS = r"/v1/addresses/(?P<kind>\w+)/(?P<ip>[^/]+)"


class Operation(NamedTuple):
    """``permission``: what the caller needs; "" for none, None for no credentials at all."""

    name: str
    method: str
    path: re.Pattern[str]
    permission: str | None


OPERATIONS = (
    Operation("machines.list", "GET", re.compile(r"/v1/machines"), "machines.read"),
    Operation("machines.get", "GET", re.compile(r"/v1/machines/(?P<machine>[^/]+)"), "machines.read"),
    Operation("power_off", "POST", re.compile(r"/v1/machines/(?P<machine>[^/]+)/off"), "machines.power"),
    Operation("power_on", "POST", re.compile(r"/v1/machines/(?P<machine>[^/]+)/on"), "machines.power"),
    Operation("addresses.list", "GET", re.compile(r"/v1/addresses"), "addresses.read"),
    Operation("addresses.bind", "POST", re.compile(ADDRESS + "/bind"), "addresses.write"),
    Operation("addresses.unbind", "POST", re.compile(ADDRESS + "/unbind"), "addresses.write"),
    Operation("whoami", "GET", re.compile(r"/v1/whoami"), ""),
    Operation("metadata.self", "GET", re.compile(r"/metadata/v1/self"), None),
)


class Api(Application):
    """Answers for one :class:`~cloudha_plugin_sim.cloud.Cloud`.

    :param token: the bearer token that the API wants, "" for none.
    """

    def __init__(self, cloud: Cloud, token: str = "") -> None:
        self.cloud = cloud
        self.token = token
        self.token_expired = False
        #: callers that are taken for another address: {"127.0.0.1": "10.77.0.11"}
        self.callers: dict[IPAddress, IPAddress] = {}
        self._first = replace(cloud.behaviour)
        self._buckets: dict[str, _Bucket] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._answers: Mapping[str, Callable[[Request, Mapping[str, str]], Reply]] = {
            "machines.list": self._machines,
            "machines.get": lambda request, at: Reply.json(
                machine_document(self.cloud.machine(at["machine"], self._age(request)))
            ),
            "power_off": lambda _, at: Reply.json(machine_document(self.cloud.off(at["machine"])), status=202),
            "power_on": lambda _, at: Reply.json(machine_document(self.cloud.on(at["machine"])), status=202),
            "addresses.list": self._addresses,
            "addresses.bind": self._bind,
            "addresses.unbind": self._unbind,
            "whoami": self._whoami,
            "metadata.self": self._self,
        }

    def operation(self, request: Request) -> str:
        """Name the operation."""
        found = _route(request)
        return found[0].name if found else "unknown"

    def answer(self, request: Request) -> Reply:
        """Check the caller, do the operation, answer with a request id."""
        try:
            reply = self._allowed(request)
        except CloudError as error:
            reply = error_reply(error)
        return replace(reply, headers={**reply.headers, **self._request_id()})

    def refusal(self, request: Request, status: int, code: str) -> Reply:
        """Return this cloud's error document."""
        reply = super().refusal(request, status, code)
        return replace(reply, headers={**reply.headers, **self._request_id()})

    def admin(self, request: Request) -> Reply | None:
        """Answer this cloud's own administration."""
        try:
            return administer(self, request)
        except CloudError as error:
            return error_reply(error)

    def reset(self) -> None:
        """Go back to the first behaviour, a valid token and callers who are who they are."""
        self.cloud.behaviour = replace(self._first)
        self.token_expired = False
        self.callers.clear()
        self._buckets.clear()

    def _allowed(self, request: Request) -> Reply:
        found = _route(request)
        if found is None:
            raise CloudError(404, "not_found", f"no such operation: {request.method} {request.path}")
        operation, at = found
        if operation.permission is not None:
            self._authenticate(request)
            self._throttle(request.client)
            if operation.permission in self.cloud.behaviour.denied:
                raise CloudError(403, "forbidden", f"permission {operation.permission} is missing")
        return self._answers[operation.name](request, at)

    def _authenticate(self, request: Request) -> None:
        if not self.token:
            return
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            raise CloudError(401, "unauthorized", "no token, or a wrong one")
        if self.token_expired:
            raise CloudError(401, "expired", "the token has expired")

    def _throttle(self, caller: str) -> None:
        behaviour = self.cloud.behaviour
        if behaviour.rate <= 0:
            return
        with self._lock:
            wait = self._buckets.setdefault(caller, _Bucket(behaviour.burst)).take(behaviour)
        if wait > 0:
            raise CloudError(429, "throttled", "too many requests", retry_after=wait)

    def _age(self, request: Request) -> float:
        return request.stale_seconds or self.cloud.behaviour.stale

    def _request_id(self) -> dict[str, str]:
        return {"X-Request-Id": f"sim-{next(self._numbers):08x}"}

    # --- operations -------------------------------------------------------------------------------------------------

    def _machines(self, request: Request, _: Mapping[str, str]) -> Reply:
        found = self.cloud.machines(request.query.get("plug"), self._age(request))
        page, following = self._page(request, found)
        return Reply.json({"machines": [machine_document(instance) for instance in page], "next": following})

    def _addresses(self, request: Request, _: Mapping[str, str]) -> Reply:
        kind, ip = request.query.get("kind"), request.query.get("ip")
        found = self.cloud.addresses(read_kind(kind) if kind else None, read_ip(ip) if ip else None, self._age(request))
        page, following = self._page(request, found)
        return Reply.json({"addresses": [address_document(address) for address in page], "next": following})

    def _bind(self, request: Request, at: Mapping[str, str]) -> Reply:
        body = read_body(request, {"machine": str, "move": bool, "mac": str})
        kind, ip, machine = read_kind(at["kind"]), read_ip(at["ip"]), str(body.get("machine", ""))
        mac, move = str(body.get("mac", "")), bool(body.get("move", True))
        return Reply.json(address_document(self.cloud.bind(kind, ip, machine, move=move, mac=mac)), status=202)

    def _unbind(self, request: Request, at: Mapping[str, str]) -> Reply:
        body = read_body(request, {"machine": str})
        machine = str(body.get("machine", ""))
        return Reply.json(
            address_document(self.cloud.unbind(read_kind(at["kind"]), read_ip(at["ip"]), machine)), status=202
        )

    def _whoami(self, _request: Request, _: Mapping[str, str]) -> Reply:
        denied = self.cloud.behaviour.denied
        identity = "token" if self.token else "anybody"
        return Reply.json({"identity": identity, "permissions": {name: name not in denied for name in PERMISSIONS}})

    def _self(self, request: Request, _: Mapping[str, str]) -> Reply:
        caller = ipaddress.ip_address(request.client)
        instance = self.cloud.identify(self.callers.get(caller, caller))
        if instance is None:
            raise CloudError(404, "no_machine", f"{caller} is no machine of this cloud")
        # The metadata service knows at once what the API may tell only later.
        held = [a for a in self.cloud.addresses(stale=request.stale_seconds) if a.machine == instance.id]
        return Reply.json({**machine_document(instance), "addresses": [address_document(a) for a in held]})

    def _page(self, request: Request, items: Sequence[T]) -> tuple[Sequence[T], str | None]:
        start, limit = request.query.get("page", "0"), request.query.get("limit", str(self.cloud.behaviour.page))
        if not (start.isdecimal() and limit.isdecimal() and 0 < int(limit) <= MOST_PAGE):
            raise CloudError(400, "invalid", f"page is a token of ours, limit 1 to {MOST_PAGE}")
        end = int(start) + int(limit)
        return items[int(start) : end], str(end) if end < len(items) else None


class _Bucket:
    """A token bucket: ``burst`` requests at once, then ``rate`` a second."""

    def __init__(self, burst: int) -> None:
        self._level = float(burst)
        self._time = time.monotonic()

    def take(self, behaviour: Behaviour) -> float:
        """Take one, and return 0; or the seconds until there is one."""
        now = time.monotonic()
        self._level = min(behaviour.burst, self._level + (now - self._time) * behaviour.rate)
        self._time = now
        if self._level < 1:
            return (1 - self._level) / behaviour.rate
        self._level -= 1
        return 0.0


def _route(request: Request) -> tuple[Operation, Mapping[str, str]] | None:
    for operation in OPERATIONS:
        found = operation.path.fullmatch(request.path)
        if found and request.method == operation.method:
            return operation, found.groupdict()
    return None
