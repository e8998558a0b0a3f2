"""The federation: it turns an instance's certificate into a session, a token and the key that it is bound to.

Asked with the SDK's own parts, but for sending: that is our own bounded request, once.
"""

from __future__ import annotations

from typing import Any

from cloudha import web
from cloudha.provider import Context, Unavailable
from cloudha_plugin_oci import metadata
from cloudha_plugin_oci.errors import from_answer, said, sdk_missing

__all__ = ["endpoint", "session"]

FEDERATE = "/v1/x509"
TOKEN = "a token for this instance"  # noqa: S105 - the words of a message


def session(context: Context) -> tuple[str, Any]:
    """Return a new token for this instance, and the private key (of ``cryptography``) that it is bound to.

    :raises CredentialsMissing: this instance has no certificate.
    :raises CloudhaError: the federation is away, or refuses.
    """
    given = metadata.certificates(context)
    try:
        from oci.auth.session_key_supplier import SessionKeySupplier
    except ImportError as error:
        raise sdk_missing(error) from None
    pair = SessionKeySupplier().get_key_pair()
    headers, body = _request(given, pair["public"])
    answer = web.request(context, "POST", endpoint(context) + FEDERATE, headers=headers, body=body)
    if answer.status >= 300:
        raise from_answer(answer.status, *said(answer), answer.headers, TOKEN)
    return web.field(answer.json(), "token", str), pair["private"]


def endpoint(context: Context) -> str:
    """Return the URL of the federation: the parameter's, else that of this instance's region and realm."""
    if context.settings.text("identity_endpoint"):
        return web.base_url(context, "identity_endpoint").removesuffix(FEDERATE)
    region, domain = metadata.realm(context)
    return f"https://auth.{region}.{domain}"


def _request(given: metadata.Certificates, public: Any) -> tuple[dict[str, str], bytes]:  # noqa: ANN401 - the SDK has no types
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
