"""Credentials: the machine's managed identity, or a service principal with a secret or a certificate."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

from cloudha.provider import ConfigurationError, Context, LocalConfigurationError, Unavailable
from cloudha_plugin_azure import metadata
from cloudha_plugin_azure.clouds import Cloud, cloud_of
from cloudha_plugin_azure.errors import from_document, sdk_missing

if TYPE_CHECKING:
    # azure-identity costs half a second: only for service principals, when the first request is made.
    from azure.core.credentials import TokenCredential

__all__ = ["credential", "identity", "silence"]

# A token that ends within this time is not used any more: it must outlive the request.
SPARE_SECONDS = 60
# Where azure-core's ContentDecodePolicy leaves the document.
DECODED = "deserialized_data"


class AccessToken(NamedTuple):
    """What azure-core wants of a token, as its own class of that name."""

    token: str
    expires_on: int


class ManagedIdentity:
    """A credential in azure-core's sense, from the metadata service. One request for each action."""

    def __init__(self, context: Context, audience: str, client_id: str) -> None:
        self._context = context
        self._audience = audience
        self._client_id = client_id
        self._last: AccessToken | None = None

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:  # noqa: ANN401 - azure-core's protocol
        """Return a token that lasts."""
        if self._last is None or self._last.expires_on < time.time() + SPARE_SECONDS:
            self._last = AccessToken(*metadata.token(self._context, self._audience, self._client_id))
        return self._last

    def close(self) -> None:
        """Nothing is open."""


def credential(context: Context) -> TokenCredential:
    """Return the credential that the parameters mean.

    :raises ConfigurationError: they contradict each other, or lack a part.
    """
    settings, cloud = context.settings, cloud_of(context)
    secret, certificate = settings.secret("client_secret"), settings.secret("certificate_file")
    principal = secret is not None or certificate is not None
    if principal and settings.flag("msi"):
        raise ConfigurationError("msi and a secret or certificate exclude each other", advice="remove one of them")
    if not principal and settings.text("cloud") == "stack" and not settings.flag("msi"):
        # Its metadata service has no /metadata/identity ("Azure Instance Metadata Service" of Azure Stack Hub).
        raise ConfigurationError(
            "the machines of Azure Stack Hub have no managed identity",
            advice="give tenant_id=, client_id= and client_secret= or certificate_file=",
        )
    if not principal:
        # Its token is a NamedTuple of the same fields as azure-core's, which is not worth importing for it.
        return cast("TokenCredential", ManagedIdentity(context, cloud.audience, settings.text("client_id")))
    if secret is not None and certificate is not None:
        raise ConfigurationError("client_secret and certificate_file exclude each other", advice="give one of them")
    missing = [name for name in ("tenant_id", "client_id") if not settings.text(name)]
    if missing:
        raise ConfigurationError(f"parameter {missing[0]} is missing", advice="a service principal needs it")
    return _principal(context, cloud)


def identity(context: Context) -> str:
    """Return as whom Azure knows us, without a secret."""
    client_id = context.settings.text("client_id")
    if context.settings.secret("client_secret") or context.settings.secret("certificate_file"):
        return f"service principal {client_id}"
    return f"user-assigned managed identity {client_id}" if client_id else "managed identity of this machine"


def silence() -> None:
    """Keep the SDK's loggers off standard error: an agent's line there is for people, and one is enough."""
    import logging  # the SDK has imported it already

    for name in ("azure", "msal", "urllib3"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


def _principal(context: Context, cloud: Cloud) -> TokenCredential:
    try:
        from azure.core.pipeline.policies import ContentDecodePolicy, RetryPolicy
        from azure.identity import CertificateCredential, ClientSecretCredential
    except ImportError as error:
        raise sdk_missing(error) from None
    silence()
    settings = context.settings
    secret, certificate = settings.secret("client_secret"), settings.secret("certificate_file")
    timeouts = context.timeouts
    parts = urlsplit(cloud.authority)
    options: dict[str, Any] = {
        # The tenant is a parameter of its own; a path in the authority is the tenant of an AD FS.
        "authority": f"{parts.scheme}://{parts.netloc}",
        # Answers pass from the last one to the first: decoded, then judged.
        "policies": [_judge(), ContentDecodePolicy(), RetryPolicy(retry_total=0)],
        "connection_timeout": timeouts.connect,
        "read_timeout": timeouts.read,
        "connection_verify": settings.text("ca_file") or True,
        # Asks Microsoft's public cloud about an authority that only exists here.
        "disable_instance_discovery": bool(settings.text("identity_endpoint")) or settings.text("cloud") == "stack",
    }
    tenant, client = settings.text("tenant_id"), settings.text("client_id")
    try:
        if secret is not None:
            return ClientSecretCredential(tenant, client, secret.reveal(), **options)
        data = certificate.reveal().encode() if certificate is not None else b""
        return CertificateCredential(tenant, client, certificate_data=data, **options)
    except ValueError as error:
        # Whatever it says about a certificate, it is about a file of this node. Its text may quote what it read.
        if certificate is not None:
            raise LocalConfigurationError(
                "parameter certificate_file holds no usable certificate with its private key",
                advice="write both into the file, in PEM form, the key without a password",
            ) from None
        raise ConfigurationError(f"tenant_id or client_id is not valid: {error}") from None


def _judge() -> Any:  # noqa: ANN401 - a policy of azure-core's pipeline
    """Return a policy that raises what a refusal means; MSAL would lose its status, its reason and its Retry-After.

    The pipeline that it is in does not retry (it only needs somebody to take MSAL's wishes), redirect or log.
    """
    from azure.core.pipeline.policies import SansIOHTTPPolicy

    class Judge(SansIOHTTPPolicy[Any, Any]):
        def on_response(self, request: Any, response: Any) -> None:  # noqa: ANN401 - azure-core's protocol
            answer = response.http_response
            what = "a token for the service principal"
            if answer.status_code >= 300:
                raise from_document(answer.status_code, answer.headers, answer.body(), what)
            needed = "access_token" if request.http_request.method == "POST" else "token_endpoint"
            document = response.context.get(DECODED)
            if not isinstance(document, dict) or not document.get(needed):
                raise Unavailable(f"the answer about {what} is none", advice="check identity_endpoint")

    return Judge()
