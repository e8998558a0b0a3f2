"""Who may call: tokens of managed identities and of one service principal, as the two services hand them out."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import threading
import time
from urllib.parse import parse_qs

from cloudha.testing.emulator import Reply, Request
from cloudha_plugin_azure.emulator.behaviour import ArmError

__all__ = ["Identities"]

TOKEN_SECONDS = 3600


class Identities:
    """Issues bearer tokens and knows them again.

    ``client_id``, ``client_secret``, ``tenant_id``: the service principal. ``assigned``: client ids of user-assigned
    managed identities; ``system``: whether machines have a system-assigned one.
    """

    def __init__(self) -> None:
        self.tenant_id = "22222222-0000-0000-0000-000000000001"
        self.client_id = "33333333-0000-0000-0000-000000000002"
        self.client_secret = secrets.token_urlsafe(24)
        self.assigned: set[str] = {"44444444-0000-0000-0000-000000000003"}
        self.system = True
        self.expired = False
        self._tokens: dict[str, float] = {}
        self._lock = threading.Lock()

    def check(self, request: Request) -> None:
        """Refuse a caller without a valid token.

        :raises ArmError: 401.
        """
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        with self._lock:
            until = self._tokens.get(given, 0.0)
        if scheme != "Bearer" or not until:
            raise ArmError(401, "InvalidAuthenticationToken", "The access token is invalid.")
        if self.expired or until < time.time():
            raise ArmError(401, "ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than now.")

    def managed(self, request: Request) -> Reply:
        """Answer the metadata service's token request."""
        client = request.query.get("client_id", "")
        if request.headers.get("metadata", "").lower() != "true" or not request.query.get("resource"):
            return _refused(400, "invalid_request", "Required metadata header not specified")
        if (client and client not in self.assigned) or (not client and not self.system):
            return _refused(400, "invalid_request", "Identity not found")
        now = int(time.time())
        document = {
            "access_token": self.issue(),
            "client_id": client or "55555555-0000-0000-0000-000000000004",
            "expires_in": str(TOKEN_SECONDS),
            "expires_on": str(now + TOKEN_SECONDS),
            "ext_expires_in": str(TOKEN_SECONDS),
            "not_before": str(now),
            "resource": request.query["resource"],
            "token_type": "Bearer",
        }
        return Reply.json(document)

    def authorize(self, request: Request, tenant: str) -> Reply:
        """Answer a service principal's token request: a secret, or an assertion signed with a certificate."""
        form = {name: values[-1] for name, values in parse_qs(request.body.decode()).items()}
        if tenant != self.tenant_id:
            return _refused(400, "invalid_request", f"AADSTS90002: Tenant '{tenant}' not found.")
        if form.get("client_id") != self.client_id:
            return _refused(400, "unauthorized_client", "AADSTS700016: Application was not found in the directory.")
        secret, assertion = form.get("client_secret", ""), form.get("client_assertion", "")
        if secret and not hmac.compare_digest(secret.encode(), self.client_secret.encode()):
            return _refused(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.")
        if not secret and assertion.count(".") != 2:
            return _refused(401, "invalid_client", "AADSTS7000218: client_assertion or client_secret is required.")
        return Reply.json({"token_type": "Bearer", "expires_in": TOKEN_SECONDS, "access_token": self.issue()})

    def discovery(self, base: str, tenant: str) -> Reply:
        """Answer where the tenant's endpoints are."""
        root = f"{base}/{tenant}"
        return Reply.json(
            {
                "token_endpoint": f"{root}/oauth2/v2.0/token",
                "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
                "issuer": f"{root}/v2.0",
            }
        )

    def issue(self) -> str:
        """Return a new token, in the form of a JWT."""
        head = base64.urlsafe_b64encode(json.dumps({"alg": "RS256", "typ": "JWT"}).encode()).decode().rstrip("=")
        token = f"{head}.{secrets.token_urlsafe(24)}.{secrets.token_urlsafe(24)}"
        with self._lock:
            self._tokens[token] = time.time() + TOKEN_SECONDS
        return token


def _refused(status: int, code: str, text: str) -> Reply:
    return Reply.json({"error": code, "error_description": text}, status=status)
