"""The one way to the VPC API: the SDK's client for an action, and calls whose raw answer is whole.

The SDK's operations make and send what changes something; reads go without it (:mod:`cloudha_plugin_ibm.reads`). The
answers are taken as the JSON documents that they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from cloudha import web
from cloudha.provider import AccessDenied, Context, Unavailable
from cloudha_plugin_ibm import credentials, endpoints, reads
from cloudha_plugin_ibm.errors import ENDPOINT, TokenRefused, of_token, sdk_missing, translated
from cloudha_plugin_ibm.reads import API_VERSION, GENERATION, Answer

if TYPE_CHECKING:
    # The SDK costs a third of a second: it is imported when the first change is asked for.
    from ibm_vpc import VpcV1

__all__ = ["Answer", "call", "every", "insist_sdk", "page", "removed"]

REMOVED = (202, 204)
# IBM's largest page; and far more pages than any account has.
PAGE_SIZE = 100
MOST_PAGES = 500


def call(context: Context, operation: str, *arguments: object, **options: object) -> Answer:
    """Call an operation of the SDK's client, such as ``get_instance``, once.

    A token from the cache that is refused was never looked at by the operation itself: it is replaced, once.

    :raises CloudhaError: it was not answered, or refused.
    """
    sent = credentials.token(context)
    try:
        return _sent(context, sent, operation, *arguments, **options)
    except AccessDenied as error:
        if not isinstance(error, TokenRefused) or not credentials.replaced(context, sent):
            raise
    return _sent(context, credentials.token(context), operation, *arguments, **options)


def removed(context: Context, operation: str, *arguments: object) -> str:
    """Call an operation that takes something away and answers nothing; return the request's id.

    :raises CloudhaError: it was not answered, or refused, or the answer is another one.
    """
    answer = call(context, operation, *arguments)
    if answer.status not in REMOVED:
        raise Unavailable(f"the answer about {arguments[-1]} is none of the VPC API's", advice=ENDPOINT)
    return answer.request_id


def page(
    context: Context, operation: str, items: str, *arguments: object, token: str | None, **options: object
) -> tuple[list[Any], str | None]:
    """Return one page of a listing, and the token of the next page, None after the last.

    :param items: the field that has the list.
    :raises CloudhaError: it was not answered, or refused; also when the page cannot be right.
    """
    return _page(context, operation, items, *arguments, token=token, **options)[1:]


def every(
    context: Context, operation: str, items: str, *arguments: object, counted: bool = False, **options: object
) -> list[Any]:
    """Return all pages of a listing.

    :param counted: whether the listing must have as many items as it says: where one that is left out counts as absent.
    :raises CloudhaError: as :func:`page`; :class:`Unavailable` when the listing does not end, or is not whole.
    """
    found: list[Any] = []
    token: str | None = None
    for _ in range(MOST_PAGES):
        document, some, token = _page(context, operation, items, *arguments, token=token, **options)
        found += some
        if token is None:
            if counted and web.field(document, "total_count", int) > len(found):
                raise Unavailable(f"the listing of {items} is not whole", advice=ENDPOINT)
            return found
    raise Unavailable(f"the listing of {items} does not end", advice=ENDPOINT)


def insist_sdk(context: Context) -> None:
    """Insist that what changes something could be sent: reads alone would not notice that the SDK is missing.

    :raises SdkMissing: it is not installed, or not whole.
    """
    _client(context)


def _page(
    context: Context, operation: str, items: str, *arguments: object, token: str | None, **options: object
) -> tuple[Any, list[Any], str | None]:
    """Return a page's document, its items, and the token of the next page."""
    start = {"start": token} if token else {}
    document = call(context, operation, *arguments, **options, limit=PAGE_SIZE, **start).document
    found = web.field(document, items, list)
    following = document.get("next")
    if following is None:
        return document, found, None
    query = parse_qs(urlsplit(web.field(following, "href", str)).query)
    tokens = query.get("start", [])
    if len(tokens) != 1 or not tokens[0] or tokens[0] == token or not found:
        raise Unavailable(f"the listing of {items} does not go on as it should", advice=ENDPOINT)
    return document, found, tokens[0]


def _sent(context: Context, token: str, operation: str, *arguments: object, **options: object) -> Answer:
    if operation in reads.PATHS:
        return reads.read(context, token, operation, *arguments, **options)
    what = "/".join(str(argument) for argument in arguments)
    client = _client(context)
    timeouts = context.timeouts
    client.set_http_config(
        {
            "timeout": (timeouts.connect, timeouts.read),
            "verify": context.settings.text("ca_file") or True,
            # A redirect is not the answer that was asked for, and the token would follow it.
            "allow_redirects": False,
        }
    )
    try:
        response = getattr(client, operation)(*arguments, **options, headers={"Authorization": f"Bearer {token}"})
    except Exception as error:
        known = translated(error, what)
        if known is None:
            raise error from None
        raise of_token(known, getattr(error, "status_code", None)) from None
    status, headers, document = response.get_status_code(), response.get_headers(), response.get_result()
    if status == 204:
        document = None
    elif not isinstance(document, dict | list) and (document is not None or status == 200):
        # A page of a proxy, of whatever type, with a status that says success.
        raise Unavailable(f"the answer about {what} is no document", advice=ENDPOINT)
    return Answer(document, str(headers.get("X-Request-Id") or headers.get("X-Correlation-Id") or ""), status)


def _client(context: Context) -> VpcV1:
    return context.once("ibm.client", lambda: _new_client(context))


def _new_client(context: Context) -> VpcV1:
    try:
        from ibm_cloud_sdk_core.authenticators import NoAuthAuthenticator
        from ibm_vpc import VpcV1
    except ImportError as error:
        raise sdk_missing(error) from None
    reads.insist_authorities(context)
    _silence()
    # The token goes into each request: the SDK's own authenticators would ask for one in every process, and wait.
    client = VpcV1(API_VERSION, NoAuthAuthenticator(), GENERATION)
    client.set_service_url(endpoints.api(context))
    # No proxies, no .netrc (which would replace our token), no authorities from an agent's environment.
    client.get_http_client().trust_env = False
    return client


def _silence() -> None:
    """Keep the SDK's loggers off standard error: an agent's line there is for people, and one is enough."""
    import logging  # the SDK has imported it already

    for name in ("ibm-cloud-sdk-core", "urllib3"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        logger.propagate = False
