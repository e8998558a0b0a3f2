"""The one way to OCI's API: the SDK's clients for an action, and calls whose raw answer is whole.

The SDK signs and sends what changes something; reads go without it (:mod:`cloudha_plugin_oci.reads`) wherever that is
the same. The answers are taken as the JSON documents that they are, since the SDK's models read a missing field as an
empty one, and a route table must be written back exactly as it was read.
"""

from __future__ import annotations

from typing import Any

from cloudha import web
from cloudha.provider import AccessDenied, Context, NotFound, Unavailable
from cloudha_plugin_oci import credentials, metadata, reads
from cloudha_plugin_oci.credentials import Caller, caller
from cloudha_plugin_oci.errors import ENDPOINT, TokenRefused, of_token, sdk_missing, translated
from cloudha_plugin_oci.reads import Answer

__all__ = ["COMPUTE", "NETWORK", "Answer", "call", "compartments", "fetch", "insist_sdk", "page", "pages", "stamped"]

COMPUTE = "compute"
NETWORK = "network"
# What OCI gives in one page at the most.
PAGE = 1000
# A thousand times a thousand things; bounds an answer that never ends.
MOST_PAGES = 1000


def call(
    context: Context, service: str, method: str, *arguments: object, certain: bool = False, **more: object
) -> Answer:
    """Call an operation of the SDK, such as ``network``, ``get_vnic``.

    A session from the cache that is refused was never looked at by the operation itself: it is replaced, once.

    :param certain: the thing is known to be there; see :func:`cloudha_plugin_oci.errors.translated`.
    :raises CloudhaError: it was not answered, or refused.
    """
    who = caller(context)
    try:
        return _sent(context, who, service, method, *arguments, certain=certain, **more)
    except TokenRefused:
        if not credentials.replaced(context, who):
            raise
    except (AccessDenied, NotFound):
        credentials.doubt(context)
        raise
    return _sent(context, caller(context), service, method, *arguments, certain=certain, **more)


def insist_sdk(context: Context) -> None:
    """Insist that what changes something could be sent: reads alone would not notice that the SDK is missing.

    :raises SdkMissing: it is not installed, or not whole.
    """
    _client(context, caller(context), COMPUTE)


def _sent(
    context: Context, who: Caller, service: str, method: str, *arguments: object, certain: bool, **more: object
) -> Answer:
    what = next((text for text in (*arguments, *more.values()) if isinstance(text, str) and text), method)
    if method in reads.OPERATIONS and reads.possible(context) and (base := reads.place(context, who.region)):
        return reads.read(context, who, base, method, *arguments, what=what, certain=certain, **more)
    try:
        response = getattr(_client(context, who, service), method)(*arguments, **more)
    except Exception as error:  # noqa: BLE001 - whatever an SDK raises; what is not its own goes on as it is
        known = translated(error, what, certain=certain)
        raise (of_token(known, getattr(error, "status", None)) if known else error) from None
    document, headers = response.data, response.headers
    request_id = str(headers.get("opc-request-id") or "")
    if not request_id or isinstance(document, str):
        # The SDK hands on a body that is no JSON as text.
        raise Unavailable(f"the answer about {what} is none of OCI's", advice=ENDPOINT, request_id=request_id)
    return Answer(document, request_id, str(headers.get("etag") or ""), str(headers.get("opc-next-page") or ""))


def fetch(context: Context, service: str, method: str, ocid: str, *, certain: bool = False) -> Answer:
    """Read one thing by its OCID, and believe only an answer about that one."""
    answer = call(context, service, method, ocid, certain=certain)
    if web.field(answer.document, "id", str) != ocid:
        raise Unavailable("the answer is about something else", advice=ENDPOINT, request_id=answer.request_id)
    return answer


def stamped(answer: Answer) -> str:
    """Return the etag of what was read, without which nothing can be written safely."""
    if not answer.etag:
        raise Unavailable("the answer has no etag", advice=ENDPOINT, request_id=answer.request_id)
    return answer.etag


def page(
    context: Context, service: str, method: str, *arguments: object, token: str | None, **more: object
) -> tuple[list[Any], str | None]:
    """Return one page of a listing as raw documents, and the token of the next page, None after the last."""
    place = {"page": token} if token else {}
    answer = call(context, service, method, *arguments, limit=PAGE, certain=True, **more, **place)
    if not isinstance(answer.document, list):
        raise Unavailable("the answer is no list", advice=ENDPOINT, request_id=answer.request_id)
    if answer.next and answer.next == token:
        raise Unavailable("the list does not end", advice=ENDPOINT, request_id=answer.request_id)
    return answer.document, answer.next or None


def pages(context: Context, service: str, method: str, *arguments: object, **more: object) -> list[Any]:
    """Return a whole listing, as raw documents."""
    found: list[Any] = []
    token: str | None = None
    for _ in range(MOST_PAGES):
        items, token = page(context, service, method, *arguments, token=token, **more)
        found.extend(items)
        if token is None:
            return found
    raise Unavailable("the list does not end", advice=ENDPOINT)


def compartments(context: Context) -> tuple[str, ...]:
    """Return the compartments: the parameter's, else the one that this machine is in."""
    given = tuple(dict.fromkeys(context.settings.items("compartment_id")))
    return given or (metadata.compartment(context),)


def _client(context: Context, who: Caller, service: str) -> Any:  # noqa: ANN401 - either of the SDK's clients
    client: Any = context.once(f"oci.{service}.{who.number}", lambda: _new(context, who, service))
    client.base_client.timeout = tuple(context.timeouts)
    return client


def _new(context: Context, who: Caller, service: str) -> object:
    try:
        from oci.circuit_breaker import NoCircuitBreakerStrategy
        from oci.retry import NoneRetryStrategy

        if service == COMPUTE:
            from oci.core.compute_client import ComputeClient as Client
        else:
            from oci.core.virtual_network_client import VirtualNetworkClient as Client
    except ImportError as error:
        raise sdk_missing(error) from None
    _silence()
    client = Client(
        {**who.profile, "region": _region(context, who.region)},
        signer=who.signer(),
        retry_strategy=NoneRetryStrategy(),
        circuit_breaker_strategy=NoCircuitBreakerStrategy(),
        skip_deserialization=True,
        service_endpoint=_endpoint(context, who.region),
        timeout=tuple(context.timeouts),
    )
    session = client.base_client.session
    # A redirect is not the answer that was asked for, and the signature is for this host.
    session.max_redirects = 0
    if path := reads.authorities(context):
        session.verify = path
        # requests prefers what the environment says to what it is told.
        session.trust_env = False
    return client


def _region(context: Context, known: str) -> str:
    """Return the region: the parameter, the one that came with the credentials, else this machine's."""
    if context.settings.text("region") or known:
        return context.settings.text("region") or known
    # With an endpoint it is only a name; the SDK wants one all the same.
    return "" if context.settings.text("endpoint") else metadata.realm(context)[0]


def _endpoint(context: Context, known: str) -> str | None:
    """Return the API's URL, None where the SDK knows it from the region.

    This machine's own region is in the realm that its metadata tell: government and dedicated ones, too.
    """
    if context.settings.text("endpoint"):
        return web.base_url(context, "endpoint")
    if context.settings.text("region") or known:
        return None
    region, domain = metadata.realm(context)
    return f"https://iaas.{region}.{domain}"


def _silence() -> None:
    """Keep the SDK's loggers off standard error: an agent's line there is for people, and one is enough."""
    import logging  # the SDK has imported it already

    for name in ("oci", "urllib3"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
