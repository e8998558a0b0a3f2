"""Core Services, the federation of instance principals, and the metadata service as one HTTP application."""

from __future__ import annotations

import fnmatch
import itertools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from cloudha.testing.emulator import Application, Fault, Reply, Request
from cloudha_plugin_oci.emulator import metadata_service, network, power
from cloudha_plugin_oci.emulator.account import Account
from cloudha_plugin_oci.emulator.admin import administer
from cloudha_plugin_oci.emulator.behaviour import Behaviour, OciError, unknown
from cloudha_plugin_oci.emulator.identities import Identities
from cloudha_plugin_oci.emulator.records import Document, matching

__all__ = ["Service"]

BASE = "/20160918"
METADATA = "/opc/v2/"
FEDERATE = "/v1/x509"
# OCI's words for the faults that can be ordered.
CODES = {
    "throttle": "TooManyRequests",
    "unauthorized": "NotAuthenticated",
    "expired": "NotAuthenticated",
    "forbidden": "NotAuthorized",
    "not_found": "NotAuthorizedOrNotFound",
    "conflict": "IncorrectState",
}
NO_COMPARTMENT = "A compartmentId is needed."


class Route(NamedTuple):
    """``kind``: the kind of OCID in the path, "" for none."""

    name: str
    method: str
    path: re.Pattern[str]
    kind: str = ""


def _route(name: str, method: str, path: str, kind: str = "") -> Route:
    text = re.escape(BASE + path).replace(r"\{id\}", r"(?P<id>[^/]+)").replace("{id}", r"(?P<id>[^/]+)")
    return Route(name, method, re.compile(text), kind)


ROUTES = (
    _route("instances.list", "GET", "/instances"),
    _route("instances.get", "GET", "/instances/{id}", "instance"),
    _route("instances.action", "POST", "/instances/{id}", "instance"),
    _route("attachments.list", "GET", "/vnicAttachments"),
    _route("vnics.get", "GET", "/vnics/{id}", "vnic"),
    _route("private_ips.list", "GET", "/privateIps"),
    _route("private_ips.create", "POST", "/privateIps"),
    _route("private_ips.get", "GET", "/privateIps/{id}", "privateip"),
    _route("private_ips.update", "PUT", "/privateIps/{id}", "privateip"),
    _route("private_ips.detach", "POST", "/privateIps/{id}/actions/detach", "privateip"),
    _route("ipv6s.list", "GET", "/ipv6"),
    _route("ipv6s.create", "POST", "/ipv6"),
    _route("ipv6s.get", "GET", "/ipv6/{id}", "ipv6"),
    _route("ipv6s.update", "PUT", "/ipv6/{id}", "ipv6"),
    _route("ipv6s.detach", "POST", "/ipv6/{id}/actions/detach", "ipv6"),
    _route("public_ips.list", "GET", "/publicIps"),
    _route("public_ips.by_address", "POST", "/publicIps/actions/getByIpAddress"),
    _route("public_ips.get", "GET", "/publicIps/{id}", "publicip"),
    _route("public_ips.update", "PUT", "/publicIps/{id}", "publicip"),
    _route("route_tables.get", "GET", "/routeTables/{id}", "routetable"),
    _route("route_tables.update", "PUT", "/routeTables/{id}", "routetable"),
    _route("subnets.get", "GET", "/subnets/{id}", "subnet"),
)
Answer = Callable[[Request, Document], "Document | list[Document] | None"]


class Service(Application):
    """Answers for one account. ``watch`` sees every request that was answered, with its operation's name."""

    def __init__(self, account: Account, identities: Identities) -> None:
        self.account = account
        self.identities = identities
        self.watch: Callable[[str, Request, Reply], None] | None = None
        self._numbers = itertools.count(1)
        self._answers: Mapping[str, Answer] = {
            "instances.list": self._instances,
            "instances.get": self._instance,
            "instances.action": lambda r, item: power.act(self.account, item, r.query.get("action", "")),
            "attachments.list": self._attachments,
            "private_ips.list": lambda r, _: self._addresses(r, "privateip"),
            "private_ips.create": lambda r, _: network.create_ip(self.account, "privateip", _body(r)),
            "private_ips.update": lambda r, item: network.update_ip(self.account, item, _body(r)),
            "private_ips.detach": lambda _, item: network.detach_ip(self.account, item),
            "ipv6s.list": lambda r, _: self._addresses(r, "ipv6"),
            "ipv6s.create": lambda r, _: network.create_ip(self.account, "ipv6", _body(r)),
            "ipv6s.update": lambda r, item: network.update_ip(self.account, item, _body(r)),
            "ipv6s.detach": lambda _, item: network.detach_ip(self.account, item),
            "public_ips.list": self._public_ips,
            "public_ips.by_address": self._public_ip,
            "public_ips.update": lambda r, item: network.update_public_ip(self.account, item, _body(r)),
            "route_tables.update": lambda r, item: network.update_table(self.account, item, _body(r)),
        }

    # --- the Application ----------------------------------------------------------------------------------------------

    def operation(self, request: Request) -> str:
        """Name the operation; the two power actions each have a name of their own."""
        if request.path.startswith(METADATA):
            return metadata_service.operation(request)
        if request.path == FEDERATE:
            return "identity.federate"
        route = _routed(request)[0]
        if route is None:
            return "unknown"
        if route.name == "instances.action":
            return "power_on" if request.query.get("action") == "START" else "power_off"
        return route.name

    def answer(self, request: Request) -> Reply:
        """Check the caller, do the operation, answer with the headers that every answer has."""
        try:
            reply = self._answered(request)
        except OciError as error:
            reply = Reply.json({"code": error.code, "message": str(error)}, status=error.status)
        reply = replace(reply, headers={**reply.headers, "opc-request-id": self._request_id(request)})
        if self.watch is not None:
            self.watch(self.operation(request), request, reply)
        return reply

    def refusal(self, request: Request, status: int, code: str) -> Reply:
        """Return OCI's error document for a fault."""
        word = CODES.get(code, "InternalServerError")
        headers = {"opc-request-id": self._request_id(request)}
        return Reply.json({"code": word, "message": f"ordered fault: {word}"}, status=status, headers=headers)

    def without_fields(self, reply: Reply, fault: Fault) -> Reply:
        """Return the answer with fields missing; what is no JSON (the metadata's certificates) is cut in half."""
        try:
            return super().without_fields(reply, fault)
        except ValueError:
            return replace(reply, body=reply.body[: len(reply.body) // 2])

    def without_items(self, reply: Reply) -> Reply:
        """Return the answer with every list empty."""
        try:
            return super().without_items(reply)
        except ValueError:
            return reply

    def admin(self, request: Request) -> Reply | None:
        """See :mod:`cloudha_plugin_oci.emulator.admin`."""
        return administer(self.account, request)

    def reset(self) -> None:
        """Go back to the first behaviour."""
        for name, value in ((name, getattr(Behaviour(), name)) for name in Behaviour.__slots__):
            setattr(self.account.behaviour, name, value)
        self.identities.expired = False
        self.identities.certificates = True

    # --- operations ---------------------------------------------------------------------------------------------------

    def _answered(self, request: Request) -> Reply:
        if request.path.startswith(METADATA):
            with self.account.lock:
                return metadata_service.answer(self.account, self.identities, request)
        behaviour = self.account.behaviour
        if request.path == FEDERATE and request.method == "POST":
            return self.identities.federate(request, behaviour.skew)
        route, ocid = _routed(request)
        if route is None:
            raise OciError(404, "NotFound", f"There is no {request.method} {request.path}.")
        self.identities.check(request, behaviour.skew)
        if any(fnmatch.fnmatchcase(self.operation(request), glob) for glob in behaviour.denied):
            raise unknown(ocid or request.path)
        with self.account.lock:
            return self._done(route, request, ocid)

    def _done(self, route: Route, request: Request, ocid: str) -> Reply:
        reading = request.method == "GET"
        records = self.account.records
        item = records.get(route.kind, ocid, self._age(request) if reading else 0.0) if route.kind else {}
        if not reading and route.kind:
            records.match(ocid, request.headers.get("if-match", ""))
        found = self._answers[route.name](request, item) if route.name in self._answers else item
        if found is None:
            return Reply(204)
        if isinstance(found, list):
            return self._page(request, found)
        return Reply.json(_shown(found), headers={"etag": records.etag(found["id"])})

    def _age(self, request: Request) -> float:
        return max(self.account.behaviour.stale, request.stale_seconds)

    def _instances(self, request: Request, _: Document) -> list[Document]:
        self.account.follow_world()
        found = self.account.records.all("instance", self._age(request))
        wanted = {
            "displayName": request.query.get("displayName"),
            "lifecycleState": request.query.get("lifecycleState"),
        }
        return matching(found, compartmentId=_compartment(request), **wanted)

    def _instance(self, request: Request, item: Document) -> Document:
        self.account.follow_world()
        return self.account.records.get("instance", item["id"], self._age(request))

    def _attachments(self, request: Request, _: Document) -> list[Document]:
        found = self.account.records.all("vnicattachment", self._age(request))
        wanted = {"instanceId": request.query.get("instanceId"), "vnicId": request.query.get("vnicId")}
        return matching(found, compartmentId=_compartment(request), **wanted)

    def _addresses(self, request: Request, kind: str) -> list[Document]:
        query = request.query
        if not query.get("subnetId") and not query.get("vnicId"):
            raise OciError(400, "InvalidParameter", "A subnetId or a vnicId is needed.")
        if subnet := query.get("subnetId"):
            self.account.records.get("subnet", subnet)
        if vnic := query.get("vnicId"):
            self.account.records.get("vnic", vnic)
        names = ("subnetId", "vnicId", "ipAddress", "lifetime", "ipState")
        wanted = {name: query.get(name) for name in names}
        return matching(self.account.records.all(kind, self._age(request)), **wanted)

    def _public_ips(self, request: Request, _: Document) -> list[Document]:
        if request.query.get("scope") not in ("REGION", "AVAILABILITY_DOMAIN"):
            raise OciError(400, "InvalidParameter", "A scope is needed.")
        wanted = {"scope": request.query["scope"], "lifetime": request.query.get("lifetime")}
        found = self.account.records.all("publicip", self._age(request))
        return matching(found, compartmentId=_compartment(request), **wanted)

    def _public_ip(self, request: Request, _: Document) -> Document:
        # A read, though it is a POST: the address is in the body.
        address = str(_body(request).get("ipAddress"))
        found = matching(self.account.records.all("publicip", self._age(request)), ipAddress=address)
        if not found:
            raise unknown(address)
        return found[0]

    def _page(self, request: Request, items: Iterable[Document]) -> Reply:
        shown = [_shown(item) for item in items]
        size = min(self.account.behaviour.page, int(request.query.get("limit") or self.account.behaviour.page))
        start = int(request.query.get("page") or 0)
        more = {"opc-next-page": str(start + size)} if start + size < len(shown) else {}
        return Reply.json(shown[start : start + size], headers=more)

    def _request_id(self, request: Request) -> str:
        # OCI puts the caller's own id first.
        return f"{request.headers.get('opc-request-id', 'none')}/{next(self._numbers):032X}"


def _routed(request: Request) -> tuple[Route | None, str]:
    for route in ROUTES:
        found = route.path.fullmatch(request.path)
        if found and request.method == route.method:
            return route, str(found.groupdict().get("id", ""))
    return None, ""


def _compartment(request: Request) -> str:
    found = request.query.get("compartmentId", "")
    if not found:
        raise OciError(400, "MissingParameter", NO_COMPARTMENT)
    if not found.startswith(("ocid1.compartment.", "ocid1.tenancy.")):
        raise unknown(found)
    return found


def _shown(document: Document) -> Document:
    """Return a document without the fields that have no value: OCI leaves these out."""
    return {name: value for name, value in document.items() if value is not None}


def _body(request: Request) -> dict[str, Any]:
    try:
        found = json.loads(request.body or b"{}")
    except ValueError:
        raise OciError(400, "CannotParseRequest", "Incoming request could not be parsed.") from None
    if not isinstance(found, dict):
        raise OciError(400, "CannotParseRequest", "Incoming request could not be parsed.")
    return found
