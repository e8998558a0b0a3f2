"""Azure Resource Manager, the token services and the metadata service as one HTTP application."""

from __future__ import annotations

import copy
import ipaddress
import itertools
import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from cloudha.testing.emulator import Application, Fault, Reply, Request
from cloudha_plugin_azure.emulator.account import LOCATION, SUBSCRIPTION, Account, Document, Virtual
from cloudha_plugin_azure.emulator.behaviour import ArmError, Behaviour
from cloudha_plugin_azure.emulator.documents import (
    caller,
    machine_document,
    metadata_document,
    permissions_document,
)
from cloudha_plugin_azure.emulator.hub import check_hub
from cloudha_plugin_azure.emulator.identities import Identities
from cloudha_plugin_azure.emulator.limits import Limits
from cloudha_plugin_azure.emulator.network import delete_route, put_nic, put_route
from cloudha_plugin_azure.emulator.operations import Operation

__all__ = ["Service"]

SCOPE = r"/subscriptions/(?P<subscription>[^/]+)"
GROUP = SCOPE + r"/resourcegroups/(?P<group>[^/]+)"
COMPUTE, NETWORK = r"/providers/microsoft\.compute", r"/providers/microsoft\.network"
MACHINE = GROUP + COMPUTE + r"/virtualmachines/(?P<name>[^/]+)"
NIC = GROUP + NETWORK + r"/networkinterfaces"
TABLE = GROUP + NETWORK + r"/routetables/(?P<name>[^/]+)"
ROUTE = TABLE + r"/routes/(?P<route>[^/]+)"
ASYNC = SCOPE + r"/providers/(?P<provider>[^/]+)/locations/[^/]+/operations/(?P<operation>[^/]+)"
CODES = {
    "throttle": "TooManyRequests",
    "unauthorized": "InvalidAuthenticationToken",
    "expired": "ExpiredAuthenticationToken",
    "forbidden": "AuthorizationFailed",
    "not_found": "ResourceNotFound",
    "conflict": "AnotherOperationInProgress",
}
POLL_HINT = "10"


class Route(NamedTuple):
    """``action``: the permission that the caller needs; "" for none, None for no token at all."""

    name: str
    method: str
    path: re.Pattern[str]
    action: str | None


def _route(name: str, method: str, path: str, action: str | None) -> Route:
    return Route(name, method, re.compile(path, re.IGNORECASE), action)


VMS, NICS = "Microsoft.Compute/virtualMachines", "Microsoft.Network/networkInterfaces"
PIPS, TABLES = "Microsoft.Network/publicIPAddresses", "Microsoft.Network/routeTables"
ROUTES = (
    _route("machines.list", "GET", GROUP + COMPUTE + "/virtualmachines", f"{VMS}/read"),
    _route("machines.list", "GET", SCOPE + COMPUTE + "/virtualmachines", f"{VMS}/read"),
    _route("machines.get", "GET", MACHINE, f"{VMS}/read"),
    _route("power_off", "POST", MACHINE + "/poweroff", f"{VMS}/powerOff/action"),
    _route("power_on", "POST", MACHINE + "/start", f"{VMS}/start/action"),
    _route("nics.list", "GET", NIC, f"{NICS}/read"),
    _route("nics.list", "GET", SCOPE + NETWORK + "/networkinterfaces", f"{NICS}/read"),
    _route("nics.get", "GET", NIC + r"/(?P<name>[^/]+)", f"{NICS}/read"),
    _route("nics.put", "PUT", NIC + r"/(?P<name>[^/]+)", f"{NICS}/write"),
    _route("public_ips.list", "GET", GROUP + NETWORK + "/publicipaddresses", f"{PIPS}/read"),
    _route("public_ips.list", "GET", SCOPE + NETWORK + "/publicipaddresses", f"{PIPS}/read"),
    _route("route_tables.get", "GET", TABLE, f"{TABLES}/read"),
    _route("routes.put", "PUT", ROUTE, f"{TABLES}/routes/write"),
    _route("routes.delete", "DELETE", ROUTE, f"{TABLES}/routes/delete"),
    _route("operations.get", "GET", ASYNC, ""),
    _route("permissions.list", "GET", r"/subscriptions/.+/providers/microsoft\.authorization/permissions", ""),
    _route("stack.endpoints", "GET", "/metadata/endpoints", None),
    _route("identity.token", "GET", "/metadata/identity/oauth2/token", None),
    _route("identity.discovery", "GET", r"/(?P<tenant>[^/]+)/v2\.0/\.well-known/openid-configuration", None),
    _route("identity.authorize", "POST", r"/(?P<tenant>[^/]+)/oauth2/v2\.0/token", None),
    _route("metadata.instance", "GET", "/metadata/instance", None),
)


class Service(Application):
    """Answers for one account. ``watch`` sees every request that was answered, with its operation's name."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.identities = Identities()
        self.limits = Limits()
        self.watch: Callable[[str, Request, Reply], None] | None = None
        self._numbers = itertools.count(1)
        self._answers: Mapping[str, Callable[[Request, Mapping[str, str]], Reply]] = {
            "machines.list": self._machines,
            "machines.get": self._machine,
            "power_off": lambda request, at: self._switch(request, at, on=False),
            "power_on": lambda request, at: self._switch(request, at, on=True),
            "nics.list": lambda request, _: self._page(request, list(self.account.nics.values())),
            "nics.get": lambda _, at: Reply.json(self._kept(self.account.nics, at["name"], NICS)),
            "nics.put": self._put_nic,
            "public_ips.list": lambda request, _: self._page(request, list(self.account.public_ips.values())),
            "route_tables.get": lambda _, at: Reply.json(self._kept(self.account.tables, at["name"], TABLES)),
            "routes.put": self._put_route,
            "routes.delete": self._delete_route,
            "operations.get": self._operation,
            "permissions.list": self._permissions,
            "stack.endpoints": self._endpoints,
            "identity.token": self._token,
            "identity.discovery": lambda request, at: self.identities.discovery(_base(request), at["tenant"]),
            "identity.authorize": lambda request, at: self.identities.authorize(request, at["tenant"]),
            "metadata.instance": self._instance,
        }

    # --- the Application ----------------------------------------------------------------------------------------------

    def operation(self, request: Request) -> str:
        """Name the operation."""
        found = _routed(request)
        return found[0].name if found else "unknown"

    def answer(self, request: Request) -> Reply:
        """Check the caller, do the operation, answer with the headers that every answer has."""
        try:
            reply = self._allowed(request)
        except ArmError as error:
            headers = {} if error.retry_after is None else {"Retry-After": f"{error.retry_after:g}"}
            reply = _error(error.status, error.code, error.message, headers)
        reply = replace(reply, headers={**reply.headers, **self._ids()})
        if self.watch is not None:
            self.watch(self.operation(request), request, reply)
        return reply

    def refusal(self, request: Request, status: int, code: str) -> Reply:
        """Return Azure's error document for a fault."""
        found = _routed(request)
        code = CODES.get(code, "InternalServerError")
        message = f"ordered fault: {code}"
        if code == "AuthorizationFailed" and found and found[0].action:
            message = _forbidden(found[0].action, request.path)
        return replace(_error(status, code, message), headers={"Content-Type": "application/json", **self._ids()})

    def without_fields(self, reply: Reply, fault: Fault) -> Reply:
        """Return the answer with fields missing; an answer without a body loses the headers that say something."""
        if reply.body.strip():
            return super().without_fields(reply, fault)
        return replace(reply, headers={})

    def reset(self) -> None:
        """Go back to the first behaviour."""
        for name, value in ((name, getattr(Behaviour(), name)) for name in Behaviour.__slots__):
            setattr(self.account.behaviour, name, value)
        self.identities.expired = False
        self.limits = Limits()

    # --- operations ---------------------------------------------------------------------------------------------------

    def _allowed(self, request: Request) -> Reply:
        found = _routed(request)
        if found is None:
            raise ArmError(404, "InvalidResourceType", f"The resource type of {request.path} could not be found.")
        route, at = found
        if route.action is not None:
            self.identities.check(request)
            if not request.query.get("api-version"):
                raise ArmError(400, "MissingApiVersionParameter", "The api-version query parameter is required.")
            if self.account.behaviour.hub:
                check_hub(route.name, request)
            if at.get("subscription", SUBSCRIPTION).lower() != SUBSCRIPTION:
                raise ArmError(404, "SubscriptionNotFound", f"The subscription '{at['subscription']}' was not found.")
            groups = {virtual.group.lower() for virtual in self.account.machines.values()} | {"cluster-rg"}
            if "group" in at and at["group"].lower() not in groups:
                raise ArmError(404, "ResourceGroupNotFound", f"Resource group '{at['group']}' could not be found.")
            if route.action in self.account.behaviour.denied:
                raise ArmError(403, "AuthorizationFailed", _forbidden(route.action, request.path))
        return self._answers[route.name](request, at)

    def _machines(self, request: Request, at: Mapping[str, str]) -> Reply:
        self.account.follow_world()
        view = request.query.get("$expand", "").lower() == "instanceview"
        found = [
            machine_document(self.account, virtual, view=view)
            for virtual in self.account.machines.values()
            if at.get("group", virtual.group).lower() == virtual.group.lower()
        ]
        return self._page(request, found)

    def _machine(self, request: Request, at: Mapping[str, str]) -> Reply:
        virtual = self._virtual(at)
        self._count("view", virtual.name)
        self.account.follow_world()
        view = request.query.get("$expand", "").lower() == "instanceview"
        return Reply.json(machine_document(self.account, virtual, view=view))

    def _switch(self, request: Request, at: Mapping[str, str], *, on: bool) -> Reply:
        virtual = self._virtual(at)
        self._count("power", virtual.name)
        operation = self.account.switch(virtual, on=on)
        return Reply(202, b"", self._follow(request, operation))

    def _put_nic(self, request: Request, at: Mapping[str, str]) -> Reply:
        self._kept(self.account.nics, at["name"], NICS)
        document, operation = put_nic(self.account, at["name"], _body(request), request.headers.get("if-match", ""))
        return Reply.json(document, headers=self._follow(request, operation) if operation else {})

    def _put_route(self, request: Request, at: Mapping[str, str]) -> Reply:
        document, operation = put_route(
            self.account,
            at["name"],
            at["route"],
            _body(request),
            request.headers.get("if-match", ""),
            request.headers.get("if-none-match", ""),
        )
        return Reply.json(document, status=201, headers=self._follow(request, operation) if operation else {})

    def _delete_route(self, request: Request, at: Mapping[str, str]) -> Reply:
        operation = delete_route(self.account, at["name"], at["route"], request.headers.get("if-match", ""))
        return Reply(202, b"", self._follow(request, operation)) if operation else Reply(200)

    def _operation(self, request: Request, at: Mapping[str, str]) -> Reply:  # noqa: ARG002 - as all of them
        operation = self.account.operations.find(at["operation"])
        if operation.about:
            self._count("operation", operation.about)
        document: Document = {"status": operation.status}
        if operation.provider == "Microsoft.Compute":
            document |= {"name": operation.id, "startTime": "2025-01-01T00:00:00.0000000+00:00"}
        if operation.code:
            document["error"] = {"code": operation.code, "message": "The operation failed as ordered."}
        return Reply.json(document, headers={"Retry-After": POLL_HINT} if operation.status == "InProgress" else {})

    def _permissions(self, request: Request, at: Mapping[str, str]) -> Reply:  # noqa: ARG002 - as all of them
        if self.account.behaviour.permissions_hidden:
            raise ArmError(
                403, "AuthorizationFailed", _forbidden("Microsoft.Authorization/permissions/read", request.path)
            )
        return Reply.json(permissions_document(self.account.behaviour.denied))

    def _token(self, request: Request, at: Mapping[str, str]) -> Reply:  # noqa: ARG002 - as all of them
        if self.account.behaviour.hub:
            return Reply.json({"error": "Not found"}, status=404)
        return self.identities.managed(request)

    def _endpoints(self, request: Request, at: Mapping[str, str]) -> Reply:  # noqa: ARG002 - as all of them
        issuer = {"loginEndpoint": f"{_base(request)}/", "audiences": ["https://management.stack.example/42"]}
        return Reply.json({"galleryEndpoint": "", "graphEndpoint": "", "portalEndpoint": "", "authentication": issuer})

    def _instance(self, request: Request, at: Mapping[str, str]) -> Reply:  # noqa: ARG002 - as all of them
        if request.headers.get("metadata", "").lower() != "true":
            return Reply.json({"error": "Bad request. Required metadata header not specified"}, status=400)
        virtual = caller(self.account, ipaddress.ip_address(request.client))
        if virtual is None:
            return Reply.json({"error": "Not found"}, status=404)
        return Reply.json(metadata_document(self.account, virtual))

    # --- parts --------------------------------------------------------------------------------------------------------

    def _count(self, group: str, machine: str) -> None:
        if self.account.behaviour.throttled:
            self.limits.take(group, machine)

    def _virtual(self, at: Mapping[str, str]) -> Virtual:
        virtual = self.account.machines.get(at["name"].lower())
        if virtual is None or virtual.group.lower() != at["group"].lower():
            raise ArmError(
                404,
                "ResourceNotFound",
                f"The Resource '{VMS}/{at['name']}' under resource group '{at['group']}' was not found.",
            )
        return virtual

    def _kept(self, among: Mapping[str, Document], name: str, kind: str) -> Document:
        with self.account.lock:
            found = among.get(name.lower())
            if found is None:
                raise ArmError(404, "ResourceNotFound", f"The Resource '{kind}/{name}' was not found.")
            return copy.deepcopy(found)

    def _page(self, request: Request, items: Sequence[Any]) -> Reply:
        start, size = int(request.query.get("$skiptoken", "0")), self.account.behaviour.page
        with self.account.lock:
            document: Document = {"value": copy.deepcopy(list(items[start : start + size]))}
        if start + size < len(items):
            query = "&".join(f"{k}={v}" for k, v in request.query.items() if k != "$skiptoken")
            document["nextLink"] = f"{_base(request)}{request.path}?{query}&$skiptoken={start + size}"
        return Reply.json(document)

    def _follow(self, request: Request, operation: Operation) -> dict[str, str]:
        path = f"/subscriptions/{SUBSCRIPTION}/providers/{operation.provider}/locations/{LOCATION}/operations"
        url = f"{_base(request)}{path}/{operation.id}?api-version={request.query['api-version']}"
        return {"Azure-AsyncOperation": url, "Location": f"{url}&monitor=true", "Retry-After": POLL_HINT}

    def _ids(self) -> dict[str, str]:
        return {"x-ms-request-id": str(uuid.UUID(int=next(self._numbers))), "x-ms-correlation-request-id": "emulated"}


def _routed(request: Request) -> tuple[Route, Mapping[str, str]] | None:
    for route in ROUTES:
        found = route.path.fullmatch(request.path)
        if found and request.method == route.method:
            return route, found.groupdict()
    return None


def _base(request: Request) -> str:
    return f"https://{request.headers.get('host', '')}"


def _body(request: Request) -> Document:
    try:
        document = json.loads(request.body)
    except ValueError:
        raise ArmError(400, "InvalidRequestContent", "The request content was invalid.") from None
    if not isinstance(document, dict) or not isinstance(document.get("properties"), dict):
        raise ArmError(400, "InvalidRequestContent", "The request content was invalid: no properties.")
    return document


def _error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    more = {"WWW-Authenticate": 'Bearer error="invalid_token"'} if status == 401 else {}
    return Reply.json({"error": {"code": code, "message": message}}, status=status, headers={**(headers or {}), **more})


def _forbidden(action: str, path: str) -> str:
    return (
        "The client '0000' with object id '0000' does not have authorization to perform action "
        f"'{action}' over scope '{path}' or the scope is invalid."
    )
