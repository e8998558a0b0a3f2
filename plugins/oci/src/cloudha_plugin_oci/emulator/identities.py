"""Who may call: instances with certificates, which the federation turns into tokens; one user with an API key.

An instance's certificates are real ones (an instance certificate under an intermediate under a root), the tokens are
real JWTs with the session's public key in the claim ``jwk``; whether they fit is computed, not looked up.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import itertools
import json
import re
import secrets
import textwrap
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from cloudha.testing.emulator import Reply, Request
from cloudha_plugin_oci.emulator.account import COMPARTMENT
from cloudha_plugin_oci.emulator.records import REGION, TENANCY
from cloudha_plugin_oci.emulator.signatures import refused, signed, verify

__all__ = ["Identities"]

TOKEN_SECONDS = 1200
LIFE, EARLIER = dt.timedelta(days=30), dt.timedelta(days=1)
EXPONENT, BITS = 65537, 2048
FED = re.compile(r"(?P<tenancy>[^/]+)/fed-x509(-sha256)?/(?P<fingerprint>.+)\Z")
ISSUER = "authService.oracle.com"
PEM, NO_PASSWORD = serialization.Encoding.PEM, serialization.NoEncryption()


class Identities:
    """Issues certificates and tokens, and knows the callers again.

    ``user_id``, ``fingerprint``, ``user_key``: the user with an API key (PEM). ``certificates``: whether the metadata
    service hands out certificates at all. ``expired``: whether every token counts as expired.
    """

    def __init__(self) -> None:
        self.user_id = "ocid1.user.oc1..aaaaaaaaoperator"
        self.certificates = True
        self.expired = False
        self._user = _new_key()
        self.user_key = private_pem(self._user)
        self.fingerprint = fingerprint(self._user.public_key())
        self._root, self._middle, self._service = _new_key(), _new_key(), _new_key()
        root = _name("PKISVC Identity Root")
        self.root = _certificate(root, root, self._root.public_key(), self._root, authority=True)
        self.intermediate = _certificate(
            _name("PKISVC Identity Intermediate eu-frankfurt-1"),
            root,
            self._middle.public_key(),
            self._root,
            authority=True,
        )
        self._lock = threading.Lock()
        self._instances: dict[str, tuple[x509.Certificate, rsa.RSAPrivateKey]] = {}

    def write_config(self, directory: Path) -> Path:
        """Write the SDK's configuration file for the user, with the key beside it, and return where."""
        key, config = directory / "api_key.pem", directory / "config"
        lines = {"user": self.user_id, "fingerprint": self.fingerprint, "tenancy": TENANCY, "region": REGION}
        text = "".join(f"{name}={value}\n" for name, value in {**lines, "key_file": str(key)}.items())
        for path, content in ((key, self.user_key), (config, f"[DEFAULT]\n{text}")):
            path.touch(mode=0o600)
            path.write_text(content)
        return config

    # --- instances ----------------------------------------------------------------------------------------------------

    def certificate(self, instance: str) -> tuple[bytes, bytes, bytes]:
        """Return what the metadata service has for an instance: certificate, private key, intermediate; all PEM."""
        with self._lock:
            if instance not in self._instances:
                key = _new_key()
                units = ("opc-certtype:instance", f"opc-compartment:{COMPARTMENT}", f"opc-instance:{instance}")
                subject = _name(instance, *units, f"opc-tenant:{TENANCY}")
                made = _certificate(subject, self.intermediate.subject, key.public_key(), self._middle, authority=False)
                self._instances[instance] = (made, key)
            leaf, key = self._instances[instance]
        return leaf.public_bytes(PEM), private_pem(key).encode(), self.intermediate.public_bytes(PEM)

    def federate(self, request: Request, skew: float) -> Reply:
        """Answer ``POST /v1/x509``: a token for the session's key, to whoever has an instance's certificate and key.

        :raises OciError: 401.
        """
        try:
            body = json.loads(request.body)
            leaf = _loaded(body["certificate"])
            chain = [_loaded(text) for text in body["intermediateCertificates"]]
            session = serialization.load_der_public_key(base64.b64decode(body["publicKey"]))
        except (ValueError, KeyError, TypeError):
            raise refused("no certificates, or no public key") from None
        given = signed(request)
        known = FED.match(given.key_id)
        if known is None or known["fingerprint"].replace(":", "").lower() != leaf.fingerprint(hashes.SHA1()).hex():  # noqa: S303 - what the protocol names it by
            raise refused("the key id is not the certificate's")
        if not isinstance(key := leaf.public_key(), rsa.RSAPublicKey) or not isinstance(session, rsa.RSAPublicKey):
            raise refused("a key that is not RSA")
        verify(request, given, key, host=False, skew=skew)
        self._trust(leaf, chain)
        subject = dict(unit.partition(":")[::2] for unit in _units(leaf))
        if subject.get("opc-tenant") != known["tenancy"]:
            raise refused("the tenancy is not the certificate's")
        claims = {"opc-tenant": TENANCY, "opc-compartment": COMPARTMENT}
        return Reply.json({"token": self.token(session, subject["opc-instance"], claims)})

    def _trust(self, leaf: x509.Certificate, chain: list[x509.Certificate]) -> None:
        now = dt.datetime.now(dt.timezone.utc)
        path = [leaf, *chain, self.root]
        try:
            for child, parent in itertools.pairwise(path):
                child.verify_directly_issued_by(parent)
                if not child.not_valid_before_utc <= now <= child.not_valid_after_utc:
                    raise refused("a certificate is not valid now")
        except (ValueError, TypeError, InvalidSignature):
            raise refused("the certificates do not lead to the root") from None

    # --- tokens -------------------------------------------------------------------------------------------------------

    def token(
        self,
        session: rsa.RSAPublicKey,
        subject: str,
        claims: Mapping[str, str] | None = None,
        *,
        seconds: float = TOKEN_SECONDS,
    ) -> str:
        """Return a token that is bound to the session's key."""
        now = int(time.time())
        content: dict[str, Any] = {"iss": ISSUER, "iat": now, "exp": int(now + seconds), "jti": secrets.token_hex(16)}
        content |= {"sub": subject, **(claims or {})}
        content["jwk"] = json.dumps(_jwk(session))
        return jwt.encode(content, private_pem(self._service), algorithm="RS256", headers={"kid": "asw"})

    def check(self, request: Request, skew: float) -> str:
        """Return who signed the request.

        :raises OciError: 401.
        """
        given = signed(request)
        if given.key_id == f"{TENANCY}/{self.user_id}/{self.fingerprint}":
            verify(request, given, self._user.public_key(), skew=skew)
            return self.user_id
        if not given.key_id.startswith("ST$"):
            raise refused("an unknown key id")
        try:
            public = self._service.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            claims: dict[str, Any] = jwt.decode(
                given.key_id[3:], public.decode(), algorithms=["RS256"], issuer=ISSUER, options={"verify_aud": False}
            )
        except jwt.ExpiredSignatureError:
            raise refused("the security token has expired") from None
        except jwt.InvalidTokenError:
            raise refused("the security token is not ours") from None
        if self.expired:
            raise refused("the security token has expired")
        verify(request, given, _from_jwk(json.loads(claims["jwk"])), skew=skew)
        return str(claims["sub"])


def private_pem(key: rsa.RSAPrivateKey) -> str:
    """Return a private key as text."""
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, NO_PASSWORD).decode()


def fingerprint(key: rsa.RSAPublicKey) -> str:
    """Return an API key's fingerprint: MD5 of its DER form, with colons."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.MD5())  # noqa: S303 - what OCI calls a key by, no protection
    digest.update(der)
    return digest.finalize().hex(":")


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(EXPONENT, BITS)


def _name(common: str, *units: str) -> x509.Name:
    pairs = [(NameOID.COMMON_NAME, common), *((NameOID.ORGANIZATIONAL_UNIT_NAME, unit) for unit in units)]
    with _long_names():
        return x509.Name([x509.NameAttribute(kind, text, _validate=False) for kind, text in pairs])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPublicKey, signer: rsa.RSAPrivateKey, *, authority: bool
) -> x509.Certificate:
    now = dt.datetime.now(dt.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - EARLIER)
    constraints = x509.BasicConstraints(ca=authority, path_length=None)
    return builder.not_valid_after(now + LIFE).add_extension(constraints, critical=True).sign(signer, hashes.SHA256())


def _loaded(text: str) -> x509.Certificate:
    body = "\n".join(textwrap.wrap(text, 64))
    return x509.load_pem_x509_certificate(f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n".encode())


def _units(leaf: x509.Certificate) -> list[str]:
    with _long_names():
        return [str(item.value) for item in leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)]


@contextlib.contextmanager
def _long_names() -> Iterator[None]:
    """An OCID can be longer than the 64 characters that X.509 allows, and OCI puts it there all the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _jwk(key: rsa.RSAPublicKey) -> dict[str, str]:
    numbers = key.public_numbers()
    return {"kty": "RSA", "alg": "RS256", "use": "sig", "n": _base64url(numbers.n), "e": _base64url(numbers.e)}


def _base64url(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).decode().rstrip("=")


def _from_jwk(document: dict[str, str]) -> rsa.RSAPublicKey:
    n, e = (int.from_bytes(base64.urlsafe_b64decode(document[name] + "=="), "big") for name in ("n", "e"))
    return rsa.RSAPublicNumbers(e, n).public_key()
