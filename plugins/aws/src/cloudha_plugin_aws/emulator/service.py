"""The emulated AWS as an HTTP application: EC2, STS and the metadata service on one address."""

from __future__ import annotations

import threading
import time
from typing import Any
from urllib.parse import parse_qsl

from moto.core.request import Request as MotoRequest
from moto.sts.responses import TokenResponse

from cloudha.testing.emulator import Application, Fault, Reply, Request
from cloudha_plugin_aws.emulator.account import Account
from cloudha_plugin_aws.emulator.actions import Ec2
from cloudha_plugin_aws.emulator.admin import administer
from cloudha_plugin_aws.emulator.metadata_service import PREFIX, MetadataService, operation
from cloudha_plugin_aws.emulator.xml_answers import ec2_error, emptied, hollow, sts_error, with_request_id, without

__all__ = ["Service"]

XML = {"Content-Type": "text/xml;charset=UTF-8", "Server": "AmazonEC2"}
STS_VERSION = "2011-06-15"
THROTTLED = (503, "RequestLimitExceeded", "Request limit exceeded.")
# What AWS answers to a fault that was ordered: status, code, words.
REFUSALS = {
    "throttle": THROTTLED,
    "unauthorized": (401, "AuthFailure", "AWS was not able to validate the provided access credentials"),
    "expired": (400, "RequestExpired", "Request has expired."),
    "forbidden": (403, "UnauthorizedOperation", "You are not authorized to perform this operation."),
    "not_found": (400, "InvalidInstanceID.NotFound", "The instance ID does not exist"),
    "conflict": (400, "IncorrectInstanceState", "The instance is not in a state for that."),
}
NOT_FOUND = {
    "Interface": ("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID does not exist"),
    "Ip": ("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID does not exist"),
    "Address": ("InvalidAllocationID.NotFound", "The allocation ID does not exist"),
    "Route": ("InvalidRouteTableID.NotFound", "The routeTable ID does not exist"),
}


class Service(Application):
    """Operations are called ``ec2.StopInstances``, ``sts.AssumeRole``, ``metadata.token``."""

    def __init__(self, account: Account) -> None:
        self._bucket_lock = threading.Lock()
        self.serve(account)

    def serve(self, account: Account) -> None:
        """Answer for this account from now on."""
        self.account = account
        self.ec2 = Ec2(account)
        self.metadata = MetadataService(account)
        self._level = float(account.behaviour.burst)
        self._filled = time.monotonic()

    def operation(self, request: Request) -> str:
        """Name the operation."""
        if request.path.startswith(PREFIX):
            return operation(request.path)
        form = _form(request)
        service = "sts" if form.get("Version") == STS_VERSION else "ec2"
        return f"{service}.{form['Action']}" if "Action" in form else "unknown"

    def answer(self, request: Request) -> Reply:
        """Check the caller's credentials, do the operation, answer with a request id."""
        name = self.operation(request)
        if name.startswith("metadata."):
            return self.metadata.answer(request)
        if name == "unknown":
            return Reply(400, ec2_error("MissingAction", "The action is missing"), XML)
        refused = self._refused(request)
        if refused:
            return self._error(name, *refused)
        if name.startswith("sts."):
            return self._sts(request, name)
        status, text = self.ec2.answer(dict(request.headers), request.body)
        return Reply(status, with_request_id(text), XML)

    def refusal(self, request: Request, status: int, code: str) -> Reply:
        """Return AWS's error for a fault."""
        name = self.operation(request)
        if name.startswith("metadata."):
            return Reply(status, b"", {"Content-Type": "text/plain"})
        if code == "not_found":
            fitting = [found for part, found in NOT_FOUND.items() if part in name]
            return self._error(name, 400, *(fitting[0] if fitting else REFUSALS[code][1:]))
        if code == "conflict" and "Instance" not in name:
            return self._error(name, 400, "IncorrectState", "The resource is not in a state for that.")
        known = REFUSALS.get(code)
        if known:
            return self._error(name, *known)
        word = "Unavailable" if status == 503 else "InternalError"
        return self._error(name, status, word, f"ordered fault: {code}")

    def without_fields(self, reply: Reply, fault: Fault) -> Reply:
        """Return the answer with elements missing."""
        if not reply.body.startswith(b"<?xml"):
            return Reply(reply.status, b"", reply.headers)
        return Reply(reply.status, without(reply.body, fault.fields) if fault.fields else hollow(reply.body), XML)

    def without_items(self, reply: Reply) -> Reply:
        """Return the answer with every list empty."""
        if not reply.body.startswith(b"<?xml"):
            return Reply(reply.status, b"", reply.headers)
        return Reply(reply.status, emptied(reply.body), XML)

    def admin(self, request: Request) -> Reply | None:
        """Answer this cloud's own administration."""
        return administer(self, request)

    def reset(self) -> None:
        """Go back to the first behaviour."""
        self.account.reset()

    def _refused(self, request: Request) -> tuple[int, str, str] | None:
        behaviour = self.account.behaviour
        authorization = request.headers.get("authorization", "")
        if not authorization.startswith("AWS4-HMAC-SHA256 Credential="):
            return 401, "AuthFailure", "AWS was not able to validate the provided access credentials"
        key = authorization.partition("Credential=")[2].partition("/")[0]
        if behaviour.keys and key not in behaviour.keys and not key.startswith("ASIA"):
            return REFUSALS["unauthorized"]
        if behaviour.expired:
            return REFUSALS["expired"]
        return None if self._take() else THROTTLED

    def _take(self) -> bool:
        """Take one request out of the account's bucket."""
        behaviour = self.account.behaviour
        if behaviour.rate <= 0:
            return True
        with self._bucket_lock:
            now = time.monotonic()
            self._level = min(behaviour.burst, self._level + (now - self._filled) * behaviour.rate)
            self._filled = now
            if self._level < 1:
                return False
            self._level -= 1
            return True

    def _sts(self, request: Request, name: str) -> Reply:
        action = name.partition(".")[2]
        if f"sts:{action}" in self.account.behaviour.denied:
            message = f"User: arn:aws:sts::{self.account.id}:root is not authorized to perform: sts:{action}"
            return Reply(403, sts_error("AccessDenied", message), XML)
        url = f"https://sts.{self.account.region}.amazonaws.com/"
        headers = {**request.headers, "host": f"sts.{self.account.region}.amazonaws.com"}
        headers["x-moto-account-id"] = self.account.id
        moto_request = MotoRequest.from_primitives("POST", url, headers, request.body)
        with self.account.lock:
            status, _, text = TokenResponse.dispatch(moto_request, url, headers)
        return Reply(int(status), with_request_id(str(text)), XML)

    def _error(self, name: str, status: int, code: str, message: str) -> Reply:
        body = sts_error(code, message) if name.startswith("sts.") else ec2_error(code, message)
        return Reply(status, body, XML)


def _form(request: Request) -> dict[str, Any]:
    try:
        return dict(parse_qsl(request.body.decode(), keep_blank_values=True)) or dict(request.query)
    except UnicodeDecodeError:
        return {}
