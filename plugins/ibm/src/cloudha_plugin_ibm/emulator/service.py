"""The VPC API, IAM and the metadata service as one HTTP application."""

from __future__ import annotations

import ipaddress
import itertools
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from cloudha.testing.emulator import Application, Fault, Reply, Request
from cloudha_plugin_ibm.emulator import documents, network, power, references, routes
from cloudha_plugin_ibm.emulator.account import Account
from cloudha_plugin_ibm.emulator.admin import administer
from cloudha_plugin_ibm.emulator.behaviour import ApiError, Behaviour
from cloudha_plugin_ibm.emulator.identities import Identities, iam_refusal
from cloudha_plugin_ibm.emulator.records import Interface, Route, Table, Virtual

__all__ = ["Service"]

VERSION = re.compile(r"20\d\d-\d\d-\d\d\Z")
GENERATION = "2"
CODES = {
    "throttle": "too_many_requests",
    "unauthorized": "not_authenticated",
    "expired": "not_authenticated",
    "forbidden": "not_authorized",
    "not_found": "not_found",
    "conflict": "resource_conflict",
}
MORE_INFO = "https://cloud.ibm.com/docs/vpc?topic=vpc-rias-error-messages"
MOST_LIMIT = 100

Parts = Mapping[str, str]


class Service(Application):
    """Answers for one account. ``watch`` sees every request that was answered, with its operation's name."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.identities = Identities()
        self.watch: Callable[[str, Request, Reply], None] | None = None
        self._numbers = itertools.count(1)
        self._answers: Mapping[str, Callable[[Request, Parts], Reply]] = {
            "machines.list": self._machines,
            "machines.get": lambda request, at: Reply.json(
                documents.instance(self.account, self.account.instance(at["machine"]), ago=self._ago(request))
            ),
            "power_off": self._power,
            "power_on": self._power,
            "vpcs.list": lambda request, _: self._page(
                request, "vpcs", (documents.vpc(self.account, item) for item in self.account.vpcs.values())
            ),
            "subnets.list": self._subnets,
            "reserved_ips.list": self._reserved,
            "interfaces.list": lambda request, _: self._page(
                request,
                "virtual_network_interfaces",
                (documents.interface(self.account, item) for item in self.account.interfaces.values()),
            ),
            "interfaces.get": lambda _, at: Reply.json(documents.interface(self.account, self._interface(at))),
            "reserved_ips.bind": self._bind,
            "reserved_ips.unbind": self._unbind,
            "floating_ips.list": self._floating,
            "floating_ips.bind": self._patch_floating,
            "floating_ips.unbind": self._release_floating,
            "tables.list": self._tables,
            "routes.list": self._routes,
            "routes.create": self._create_route,
            "routes.change": self._change_route,
            "routes.delete": self._delete_route,
            "iam.token": lambda request, _: self.identities.of_key(request, self.account.behaviour),
            "metadata.identity": lambda request, _: self.identities.of_machine(request, self._caller(request).name),
            "metadata.iam_token": self._profile_token,
            "metadata.instance": self._metadata,
        }

    # --- the Application ----------------------------------------------------------------------------------------------

    def operation(self, request: Request) -> str:
        """Name the operation."""
        known = routes.found(request)
        return known[0] if known else "unknown"

    def answer(self, request: Request) -> Reply:
        """Check the caller, do the operation, answer with the headers that every answer has."""
        try:
            with self.account.lock:
                reply = self._allowed(request)
        except ApiError as error:
            reply = _error(error.status, error.code, error.message)
        reply = replace(reply, headers={**reply.headers, **self._ids()})
        if self.watch is not None:
            self.watch(self.operation(request), request, reply)
        return reply

    def refusal(self, request: Request, status: int, code: str) -> Reply:
        """Return the error document of the service that is asked."""
        known = CODES.get(code, "internal_error")
        if self.operation(request) == "iam.token":
            return iam_refusal(status, "BXNIM0999E", f"ordered fault: {known}")
        return replace(
            _error(status, known, f"ordered fault: {known}"),
            headers={"Content-Type": "application/json", **self._ids()},
        )

    def without_fields(self, reply: Reply, fault: Fault) -> Reply:
        """Return the answer with fields missing; one that has no document becomes an empty one."""
        return super().without_fields(reply, fault) if reply.body.strip() else Reply.json({})

    def admin(self, request: Request) -> Reply | None:
        """Answer the emulator's own administration."""
        return administer(self, request)

    def reset(self) -> None:
        """Go back to the first behaviour."""
        for name, value in ((name, getattr(Behaviour(), name)) for name in Behaviour.__slots__):
            setattr(self.account.behaviour, name, value)
        self.identities.expired = False

    # --- operations ---------------------------------------------------------------------------------------------------

    def _allowed(self, request: Request) -> Reply:
        known = routes.found(request)
        if known is None or known[0] not in self._answers:
            raise ApiError(404, "not_found", f"There is no {request.method} {request.path}.")
        name, at = known
        if not name.startswith(routes.PUBLIC):
            self.identities.check(request)
            if request.query.get("generation") != GENERATION:
                raise ApiError(400, "bad_field", "The generation query parameter is missing or not valid.")
        if name != "iam.token" and not VERSION.match(request.query.get("version", "")):
            raise ApiError(400, "bad_field", "The version query parameter is missing or not valid.")
        if name in self.account.behaviour.denied:
            raise ApiError(403, "not_authorized", "The request is not authorized.")
        return self._answers[name](request, at)

    def _machines(self, request: Request, _: Parts) -> Reply:
        self.account.follow_world()
        query = request.query
        found = [
            documents.instance(self.account, virtual, ago=self._ago(request))
            for virtual in self.account.machines.values()
            if query.get("name", virtual.name) == virtual.name
            and query.get("vpc.id", virtual.vpc) == virtual.vpc
            and query.get("vpc.name", self.account.vpcs[virtual.vpc].name) == self.account.vpcs[virtual.vpc].name
            and query.get("resource_group.id", references.group_id(virtual.group)) == references.group_id(virtual.group)
        ]
        return self._page(request, "instances", found)

    def _power(self, request: Request, at: Parts) -> Reply:
        virtual, body = self.account.instance(at["machine"]), _body(request)
        force = body.get("force") is True
        power.act(self.account, virtual, str(body["type"]), force=force)
        return Reply.json(documents.action(virtual, str(body["type"]), force=force), status=201)

    def _subnets(self, request: Request, _: Parts) -> Reply:
        query = request.query
        found = [
            documents.subnet(self.account, item)
            for item in self.account.subnets.values()
            if query.get("vpc.id", item.vpc) == item.vpc and query.get("routing_table.id", item.table) == item.table
        ]
        return self._page(request, "subnets", found)

    def _reserved(self, request: Request, at: Parts) -> Reply:
        if at["subnet"] not in self.account.subnets:
            raise ApiError(404, "not_found", f"Subnet {at['subnet']} not found.")
        found = [
            documents.reserved_ip(self.account, item)
            for item in self.account.reserved.values()
            if item.subnet == at["subnet"] and request.query.get("target.id", item.interface) == item.interface
        ]
        return self._page(request, "reserved_ips", found)

    def _bind(self, _: Request, at: Parts) -> Reply:
        item = network.bind_reserved(self.account, self._interface(at), at["reserved"])
        return Reply.json(references.address_reference(self.account, item), status=201)

    def _unbind(self, _: Request, at: Parts) -> Reply:
        network.unbind_reserved(self.account, self._interface(at), at["reserved"])
        return Reply(204)

    def _floating(self, request: Request, _: Parts) -> Reply:
        found = [
            documents.floating_ip(self.account, item)
            for item in self.account.floating.values()
            if request.query.get("target.id", item.interface) == item.interface
        ]
        return self._page(request, "floating_ips", found)

    def _patch_floating(self, request: Request, at: Parts) -> Reply:
        item = self.account.floating.get(at["floating"])
        if item is None:
            raise ApiError(404, "not_found", f"Floating IP {at['floating']} not found.")
        network.patch_floating(self.account, item, _body(request).get("target"))
        document = documents.floating_ip(self.account, item)
        if item.state == "pending":
            # What was asked for is in the answer already.
            asked = replace(item, interface=str(_body(request)["target"]["id"]))
            document = documents.floating_ip(self.account, asked)
        return Reply.json(document)

    def _release_floating(self, _: Request, at: Parts) -> Reply:
        network.release_floating(self.account, self._interface(at), at["floating"])
        return Reply(204)

    def _tables(self, request: Request, at: Parts) -> Reply:
        found = [
            documents.routing_table(self.account, table)
            for table in self.account.tables.values()
            if table.vpc == self._vpc(at)
        ]
        return self._page(request, "routing_tables", found)

    def _routes(self, request: Request, at: Parts) -> Reply:
        table = self._table(at)
        return self._page(request, "routes", (documents.route(self.account, table, route) for route in table.routes))

    def _create_route(self, request: Request, at: Parts) -> Reply:
        table = self._table(at)
        return Reply.json(
            documents.route(self.account, table, network.add_route(self.account, table, _body(request))), status=201
        )

    def _change_route(self, request: Request, at: Parts) -> Reply:
        table, route = self._route(at)
        network.change_route(self.account, route, _body(request))
        return Reply.json(documents.route(self.account, table, route))

    def _delete_route(self, _: Request, at: Parts) -> Reply:
        table, route = self._route(at)
        network.delete_route(self.account, table, route)
        return Reply(204)

    def _profile_token(self, request: Request, _: Parts) -> Reply:
        self.identities.machine_of(request)
        return self.identities.of_profile(request, self.account.behaviour)

    def _metadata(self, request: Request, _: Parts) -> Reply:
        name = self.identities.machine_of(request)
        return Reply.json(documents.instance_metadata(self.account, self.account.machines[name]))

    # --- parts --------------------------------------------------------------------------------------------------------

    def _caller(self, request: Request) -> Virtual:
        """Return the machine that a request to the metadata service comes from."""
        machines = self.account.machines
        if self.account.myself:
            found = machines.get(self.account.myself)
        else:
            client = ipaddress.ip_address(request.client)
            found = next((v for v in machines.values() if v.machine.address == client), None)
        if found is None:
            raise ApiError(404, "not_found", "No instance has this address.")
        return found

    def _ago(self, request: Request) -> float:
        self.account.follow_world()
        return request.stale_seconds or self.account.behaviour.stale

    def _interface(self, at: Parts) -> Interface:
        found = self.account.interfaces.get(at["interface"])
        if found is None:
            raise ApiError(404, "not_found", f"Virtual network interface {at['interface']} not found.")
        return found

    def _vpc(self, at: Parts) -> str:
        if at["vpc"] not in self.account.vpcs:
            raise ApiError(404, "not_found", f"VPC {at['vpc']} not found.")
        return at["vpc"]

    def _table(self, at: Parts) -> Table:
        found = self.account.tables.get(at["table"])
        if found is None or found.vpc != self._vpc(at):
            raise ApiError(404, "not_found", f"Routing table {at['table']} not found.")
        return found

    def _route(self, at: Parts) -> tuple[Table, Route]:
        table = self._table(at)
        found = next((route for route in table.routes if route.id == at["route"]), None)
        if found is None:
            raise ApiError(404, "not_found", f"Route {at['route']} not found.")
        return table, found

    def _page(self, request: Request, name: str, items: Iterable[Any]) -> Reply:
        everything = list(items)
        start = int(request.query.get("start", "0"))
        size = min(int(request.query.get("limit", "50")), self.account.behaviour.page, MOST_LIMIT)
        kept = {k: v for k, v in request.query.items() if k != "start"}
        base = f"https://{request.headers.get('host', '')}{request.path}"
        document: dict[str, Any] = {
            "first": {"href": f"{base}?{urlencode(kept)}"},
            "limit": size,
            "total_count": len(everything),
            name: everything[start : start + size],
        }
        if start + size < len(everything):
            document["next"] = {"href": f"{base}?{urlencode({**kept, 'start': str(start + size)})}"}
        return Reply.json(document)

    def _ids(self) -> dict[str, str]:
        number = str(uuid.UUID(int=next(self._numbers)))
        return {"X-Request-Id": number, "X-Correlation-Id": number}


def _body(request: Request) -> dict[str, Any]:
    try:
        document = request.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise ApiError(400, "bad_field", "The request body is not a JSON object.")
    return document


def _error(status: int, code: str, message: str) -> Reply:
    errors = [{"code": code, "message": message, "more_info": f"{MORE_INFO}#{code}"}]
    return Reply.json({"errors": errors, "trace": uuid.uuid4().hex}, status=status)
