"""Credentials: this instance's certificate, an API key, or a resource principal; each ends in a signer of the SDK.

The SDK's own classes for principals bring retries, timeouts of a minute and a second try at every 401. So the parts are
put together here: our own bounded request for the token, the SDK's signers for it and for all that follows.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from cloudha import web
from cloudha.options import read_secret_file
from cloudha.provider import (
    ConfigurationError,
    Context,
    CredentialsMissing,
    LocalConfigurationError,
    Unavailable,
    UnsupportedError,
)
from cloudha_plugin_oci import metadata
from cloudha_plugin_oci.errors import from_answer, sdk_missing, translated
from cloudha_plugin_oci.options import API_KEY, RESOURCE_PRINCIPAL

__all__ = ["Caller", "caller", "identity", "session_signer"]

FEDERATE = "/v1/x509"
TOKEN = "a token for this instance"  # noqa: S105 - the words of a message
# The one kind of resource principal that needs no further request: token and key come with the environment.
SUPPORTED = "2.2"
VARIABLE = "OCI_RESOURCE_PRINCIPAL_"
PRINCIPAL_OF = "auth=resource_principal is for containers and functions; on an instance use instance_principal"


class Caller(NamedTuple):
    """``signer``: signs requests, one of the SDK's. ``region``: what came with the credentials, "" for nothing.

    ``profile``: what the SDK insists to see of a user beside the signer, none of it secret.
    """

    signer: Any
    region: str
    identity: str
    profile: Mapping[str, str] = MappingProxyType({})


def caller(context: Context) -> Caller:
    """Return as whom, and with what, requests are signed; made once in an action.

    :raises CredentialsMissing: there is nothing to sign with.
    :raises CloudhaError: the federation is away, or refuses.
    """

    def make() -> Caller:
        how = context.settings.text("auth")
        try:
            if how == API_KEY:
                return _api_key(context)
            if how == RESOURCE_PRINCIPAL:
                return _resource_principal()
            return _instance_principal(context)
        except Exception as error:  # noqa: BLE001 - whatever an SDK raises; what is not its own goes on as it is
            raise translated(error, "the credentials") or error from None

    return context.once("oci.caller", make)


def identity(context: Context) -> str:
    """Return as whom OCI knows us, without a secret."""
    return caller(context).identity


def session_signer(token: str, key: Any) -> Any:  # noqa: ANN401 - the SDK has no types
    """Return a signer for a security token and the private key of its session."""
    from oci.auth.signers.security_token_signer import SecurityTokenSigner

    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise Unavailable("the security token is none", advice="check identity_endpoint")
    return SecurityTokenSigner(token, key)


# --- instance principals ----------------------------------------------------------------------------------------------


def _instance_principal(context: Context) -> Caller:
    given = metadata.certificates(context)
    try:
        from oci.auth.session_key_supplier import SessionKeySupplier
    except ImportError as error:
        raise sdk_missing(error) from None
    session = SessionKeySupplier().get_key_pair()
    headers, body = _federation_request(given, session["public"])
    answer = web.request(context, "POST", _federation(context) + FEDERATE, headers=headers, body=body)
    if answer.status >= 300:
        code, message = _error_of(answer)
        raise from_answer(answer.status, code, message, answer.headers, TOKEN)
    token = web.field(answer.json(), "token", str)
    return Caller(session_signer(token, session["private"]), "", f"instance principal {metadata.node_id(context)}")


def _federation_request(given: metadata.Certificates, public: Any) -> tuple[dict[str, str], bytes]:  # noqa: ANN401 - as above
    """Return headers and body of the request for a token, signed with the instance's certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from oci._vendor import requests
    from oci.auth import auth_utils
    from oci.auth.certificate_retriever import PEMStringCertificateRetriever
    from oci.auth.federation_client import AuthTokenRequestSigner

    try:
        leaf = x509.load_pem_x509_certificate(given.leaf)
        retriever = PEMStringCertificateRetriever(certificate_pem=given.leaf, private_key_pem=given.key)
        tenancy = auth_utils.get_tenancy_id_from_certificate(leaf)
    except Exception as error:  # noqa: BLE001 - of several classes, and their texts may quote the key
        raise Unavailable(
            f"this instance's certificate cannot be read ({type(error).__name__})", advice=metadata.NO_CERTIFICATE
        ) from None
    mark = leaf.fingerprint(hashes.SHA1()).hex(":").upper()  # noqa: S303 - what the protocol names a certificate by
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    bare = auth_utils.sanitize_certificate_string
    payload = {
        "certificate": bare(given.leaf),
        "publicKey": bare(pem),
        "intermediateCertificates": [bare(given.intermediate)],
    }
    # requests only puts the text together; the path is what is signed, the host is not.
    request = requests.Request("POST", f"http://federation{FEDERATE}", json=payload)
    prepared = request.prepare()
    signed = AuthTokenRequestSigner(tenancy, mark, retriever)(prepared)
    headers = {str(k): str(v) for k, v in signed.headers.items() if k.lower() not in ("host", "accept")}
    return headers, bytes(signed.body)


def _federation(context: Context) -> str:
    if context.settings.text("identity_endpoint"):
        return web.base_url(context, "identity_endpoint").removesuffix(FEDERATE)
    region, domain = metadata.realm(context)
    return f"https://auth.{region}.{domain}"


def _error_of(answer: web.Answer) -> tuple[str, str]:
    try:
        document = answer.json()
    except Unavailable:
        return "", ""
    if not isinstance(document, dict):
        return "", ""
    return str(document.get("code") or ""), str(document.get("message") or "")


# --- API keys ---------------------------------------------------------------------------------------------------------


def _api_key(context: Context) -> Caller:
    """Read a profile of the SDK's configuration file: a user's API key, or a session's token and key."""
    settings = context.settings
    path = settings.text("config_file") or os.path.join(os.path.expanduser("~root"), ".oci", "config")
    if not path.startswith("/"):
        raise ConfigurationError(f"parameter config_file={path!r} is not an absolute path", advice="write it from /")
    if not os.path.exists(path):
        raise CredentialsMissing(
            f"there is no {path}", advice="create it (oci setup config), or give config_file= or another auth="
        )
    read_secret_file("config_file", path)
    try:
        from oci.signer import Signer, load_private_key
    except ImportError as error:
        raise sdk_missing(error) from None
    profile = _profile(path, settings.text("config_profile"))
    content = _file_of(profile, "key_file")
    password = profile.get("pass_phrase") or None
    region = profile.get("region") or ""
    if profile.get("security_token_file"):
        token = _file_of(profile, "security_token_file")
        return Caller(session_signer(token, load_private_key(content, password)), region, "a session of the oci CLI")
    missing = [name for name in ("user", "tenancy", "fingerprint") if not profile.get(name)]
    if missing:
        raise LocalConfigurationError(
            f"the profile in {path} lacks {missing[0]}", advice="complete it: oci setup config"
        )
    signer = Signer(
        profile["tenancy"], profile["user"], profile["fingerprint"], None, password, private_key_content=content
    )
    shown = {name: profile[name] for name in ("user", "tenancy", "fingerprint", "key_file")}
    return Caller(signer, region, f"user {profile['user']}", shown)


def _profile(path: str, name: str) -> Mapping[str, str]:
    from oci.config import from_file

    try:
        found: Mapping[str, str] = from_file(path, name)
    except Exception as error:  # noqa: BLE001 - some quote the line that they stumble over, which may be a pass phrase
        known = translated(error, path)
        raise known or LocalConfigurationError(
            f"{path} cannot be read as a configuration file ({type(error).__name__})", advice="see: oci setup config"
        ) from None
    return found


def _file_of(profile: Mapping[str, str], name: str) -> str:
    path = profile.get(name) or ""
    if not path:
        raise LocalConfigurationError(f"the profile lacks {name}", advice="complete it: oci setup config")
    return read_secret_file(name, os.path.expanduser(path)).reveal()


# --- resource principals ----------------------------------------------------------------------------------------------


def _resource_principal() -> Caller:
    """Read what the environment of a function or container holds. The SDK's names, and files where they are paths."""
    version = os.environ.get(f"{VARIABLE}VERSION", "")
    if not version:
        raise CredentialsMissing(f"{VARIABLE}VERSION is not set here", advice=PRINCIPAL_OF)
    if version != SUPPORTED:
        raise UnsupportedError(f"resource principals of version {version} are not supported", advice=PRINCIPAL_OF)
    try:
        from oci.signer import load_private_key
    except ImportError as error:
        raise sdk_missing(error) from None
    token, key = _variable("RPST"), _variable("PRIVATE_PEM")
    password = _variable("PRIVATE_PEM_PASSPHRASE", optional=True) or None
    signer = session_signer(token, load_private_key(key, password))
    return Caller(signer, os.environ.get(f"{VARIABLE}REGION", ""), "resource principal")


def _variable(name: str, *, optional: bool = False) -> str:
    value = os.environ.get(VARIABLE + name, "")
    if not value and not optional:
        raise CredentialsMissing(f"{VARIABLE}{name} is not set here", advice=PRINCIPAL_OF)
    return read_secret_file(VARIABLE + name, value).reveal() if value.startswith("/") else value
