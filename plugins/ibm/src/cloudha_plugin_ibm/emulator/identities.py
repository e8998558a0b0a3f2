"""Who may call: IAM's tokens for one API key, and the metadata service's for machines and their trusted profiles."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import threading
import time
from typing import Any
from urllib.parse import parse_qs

from cloudha.testing.emulator import Reply, Request
from cloudha_plugin_ibm.emulator.behaviour import ApiError, Behaviour

__all__ = ["GRANT", "Identities", "iam_refusal"]

GRANT = "urn:ibm:params:oauth:grant-type:apikey"
MOST_IDENTITY_SECONDS = 3600


class Identities:
    """Issues tokens and knows them again.

    ``api_key``: the account's one. ``profile``: the trusted profile's id, CRN and name; ``default``: whether instances
    have it without naming it. ``logins``: how many IAM tokens were issued. ``expired``: whether all of them are over.
    """

    def __init__(self) -> None:
        self.api_key = secrets.token_urlsafe(33)
        self.profile = {
            "id": "Profile-8dd84246-7df4-4667-94e4-8cede51d5ac5",
            "crn": "crn:v1:bluemix:public:iam-identity::a/123456::profile:Profile-8dd84246-7df4-4667-94e4-8cede51d5ac5",
            "name": "cluster",
        }
        self.default = True
        self.logins = 0
        self.expired = False
        self._tokens: dict[str, float] = {}
        self._machines: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def check(self, request: Request) -> None:
        """Refuse a caller of the API without a valid IAM token.

        :raises ApiError: 401.
        """
        with self._lock:
            until = self._tokens.get(_bearer(request), 0.0)
        if not until:
            raise ApiError(401, "not_authenticated", "The provided IAM token is not valid.")
        if self.expired or until < time.time():
            raise ApiError(401, "not_authenticated", "The provided IAM token has expired.")

    def revoke(self) -> None:
        """Forget all IAM tokens; those that are issued from now on are good."""
        with self._lock:
            self._tokens.clear()

    def of_key(self, request: Request, behaviour: Behaviour) -> Reply:
        """Answer IAM's token request for an API key."""
        given = {name: values[0] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        if given.get("grant_type") != GRANT:
            return iam_refusal(400, "BXNIM0103E", "Property missing or empty: grant_type")
        if not hmac.compare_digest(given.get("apikey", "").encode(), self.api_key.encode()):
            return iam_refusal(400, "BXNIM0415E", "Provided API key could not be found.")
        now = int(time.time())
        return Reply.json(
            {
                "access_token": self._issue(behaviour, "ServiceId-1"),
                "refresh_token": "not_supported",
                "token_type": "Bearer",
                "expires_in": int(behaviour.token),
                "expiration": now + int(behaviour.token),
                "scope": "ibm openid",
            }
        )

    def of_machine(self, request: Request, machine: str) -> Reply:
        """Answer the metadata service's request for an identity token of a machine.

        :raises ApiError: the header is missing, or the time makes no sense.
        """
        if request.headers.get("metadata-flavor", "").lower() != "ibm":
            raise ApiError(
                400, "missing_value", "A value such as `ibm` must be provided in the `Metadata-Flavor` header."
            )
        body = _object(request)
        seconds = body.get("expires_in", 300)
        if not isinstance(seconds, int) or not 5 <= seconds <= MOST_IDENTITY_SECONDS:
            raise ApiError(400, "invalid_value", "The value for the `expires_in` field must be between `5` and `3600`.")
        token = _jwt({"iaas": {"instance": machine}}, seconds)
        with self._lock:
            self._machines[token] = (machine, time.time() + seconds)
        return Reply.json(_issued(token, seconds))

    def of_profile(self, request: Request, behaviour: Behaviour) -> Reply:
        """Answer the metadata service's request for an IAM token of a trusted profile.

        :raises ApiError: no such profile is linked to the machine.
        """
        named = _object(request).get("trusted_profile")
        if named is None and not self.default:
            raise ApiError(400, "missing_field", "A trusted profile ID was not passed in the request body.")
        if named is not None and not any(self.profile.get(field) == value for field, value in dict(named).items()):
            raise ApiError(
                400, "profile_not_linked", "The virtual server instance is not linked to the specified trusted profile."
            )
        return Reply.json(_issued(self._issue(behaviour, self.profile["id"]), int(behaviour.token)))

    def machine_of(self, request: Request) -> str:
        """Return the machine whose identity token the caller has.

        :raises ApiError: 401.
        """
        with self._lock:
            machine, until = self._machines.get(_bearer(request), ("", 0.0))
        if until < time.time():
            raise ApiError(401, "unauthorized", "The identity token is missing, not valid or expired.")
        return machine

    def _issue(self, behaviour: Behaviour, subject: str) -> str:
        token = _jwt({"iam_id": f"iam-{subject}", "sub": subject}, int(behaviour.token))
        with self._lock:
            self.logins += 1
            self._tokens[token] = time.time() + behaviour.token
        return token


def iam_refusal(status: int, code: str, message: str) -> Reply:
    """Return IAM's error document, which is another one than the VPC API's."""
    context = {"requestId": secrets.token_hex(8), "requestType": "incoming.Identity_Token", "url": "https://iam"}
    return Reply.json({"errorCode": code, "errorMessage": message, "context": context}, status=status)


def _issued(token: str, seconds: int) -> dict[str, Any]:
    now = time.time()
    stamps = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when)) for when in (now, now + seconds)]
    return {"access_token": token, "created_at": stamps[0], "expires_at": stamps[1], "expires_in": seconds}


def _jwt(claims: dict[str, Any], seconds: int) -> str:
    """Make a token of the right form, which the SDK takes apart, with a signature that nobody checks."""
    now = int(time.time())
    parts = [{"alg": "RS256", "typ": "JWT"}, {**claims, "iat": now, "exp": now + seconds, "jti": secrets.token_hex(8)}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, secrets.token_urlsafe(32)])


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme == "Bearer" else ""


def _object(request: Request) -> dict[str, Any]:
    try:
        found = request.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ApiError(400, "invalid_request", "The request body was malformed.")
    return found
