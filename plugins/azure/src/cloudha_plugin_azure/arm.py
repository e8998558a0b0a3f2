"""The one way to Azure Resource Manager: the SDK's clients for an action, and calls whose raw answer is whole.

The SDK's operations send what changes something; reads go without it (:mod:`cloudha_plugin_azure.reads`) wherever that
is the same. The answers are taken as the JSON documents that they are. The SDK's models read a missing list as an empty
one, and an interface must be written back exactly as it was read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudha import web
from cloudha.provider import (
    ConfigurationError,
    Context,
    LocalConfigurationError,
    Unavailable,
)
from cloudha_plugin_azure import metadata, reads
from cloudha_plugin_azure.clouds import cloud_of
from cloudha_plugin_azure.credentials import credential, silence
from cloudha_plugin_azure.errors import from_document, sdk_missing, translated
from cloudha_plugin_azure.options import EVERYWHERE
from cloudha_plugin_azure.reads import BEFORE_THE_END, COMPUTE, NETWORK, UNREADABLE, Answer, answered, authorities

if TYPE_CHECKING:
    # The SDK's clients cost a third of a second: each is imported when its first request is made.
    from azure.mgmt.core import ARMPipelineClient

__all__ = ["COMPUTE", "NETWORK", "Answer", "begin", "call", "get", "group", "page", "subscription"]

HTTPS_PORT = 443
# As cloudha.context has it: an SDK refuses a timeout of zero.
LEAST_SECONDS = 0.1


def call(
    context: Context, service: str, operations: str, method: str, *arguments: str, expand: str | None = None
) -> Answer:
    """Call an operation that only reads and answers at once, such as ``network``, ``network_interfaces``, ``get``.

    :raises CloudhaError: it was not answered, or refused.
    """
    what = "/".join(arguments) or operations
    if reads.possible():
        return reads.read(context, _place(context, service, operations, *arguments, expand=expand), what)
    kept: list[Any] = []
    more = {"expand": expand} if expand else {}
    try:
        function = getattr(getattr(_client(context, service), operations), method)
        function(*arguments, **more, **_options(context, service, kept))
    except Exception as error:  # noqa: BLE001 - whatever an SDK raises; what is not its own goes on as it is
        raise translated(error, what) or error from None
    return _answer(kept, what)


def begin(
    context: Context, service: str, operations: str, method: str, *arguments: object, **options: object
) -> Answer:
    """Call an operation that takes long (``begin_...``) and return when it is accepted; the host polls.

    :raises CloudhaError: it was not answered, or refused.
    """
    what = "/".join(str(argument) for argument in arguments if isinstance(argument, str))
    kept: list[Any] = []
    try:
        function = getattr(getattr(_client(context, service), operations), method)
        function(*arguments, **options, polling=False, **_options(context, service, kept))
    except Exception as error:  # noqa: BLE001 - whatever an SDK raises; what is not its own goes on as it is
        raise translated(error, what) or error from None
    answer = _answer(kept, what)
    if not answer.request_id:
        raise Unavailable(f"the answer about {what} is none of Azure's", advice=UNREADABLE)
    if answer.status == 202 and not answer.operation:
        raise Unavailable(f"the answer about {what} does not say how to follow the change", advice=UNREADABLE)
    return answer


def page(
    context: Context,
    service: str,
    operations: str,
    method: str,
    *arguments: str,
    token: str | None,
    expand: str | None = None,
) -> tuple[list[Any], str | None]:
    """Return one page of a listing as raw documents, and the token of the next page, None after the last.

    :raises CloudhaError: it was not answered, or refused; also when the page has no list.
    """
    what = f"the list of {operations}"
    if token is not None and not _is_arm(context, token):
        # The next page's address comes with the answer, and our token would go there.
        raise Unavailable(f"{what} goes on at another address", advice=UNREADABLE)
    if reads.possible():
        # A token is the whole address of the next page.
        place = token or _place(context, service, operations, *arguments, expand=expand)
        document = reads.read(context, place, what).document
    else:
        document = _page(context, service, operations, method, *arguments, token=token, expand=expand, what=what)
    following = document.get("nextLink") if isinstance(document, dict) else None
    if following == token and token is not None:
        raise Unavailable(f"{what} does not end", advice=UNREADABLE)
    return web.field(document, "value", list), str(following) if following else None


def _page(
    context: Context,
    service: str,
    operations: str,
    method: str,
    *arguments: str,
    token: str | None,
    expand: str | None,
    what: str,
) -> Any:  # noqa: ANN401 - a document
    kept: list[Any] = []
    more = {"expand": expand} if expand else {}
    try:
        function = getattr(getattr(_client(context, service), operations), method)
        paged = function(*arguments, **more, **_options(context, service, kept))
        next(paged.by_page(continuation_token=token))
    except Exception as error:  # noqa: BLE001 - whatever an SDK raises; what is not its own goes on as it is
        raise translated(error, what) or error from None
    return _answer(kept, what).document


def get(context: Context, url: str, what: str) -> Answer:
    """Read a URL of the API that the SDK's clients have no operation for: permissions, and operations under way.

    :param url: absolute (then it must be the API's own), or a path with a query.
    """
    api = cloud_of(context).api
    if url.startswith("/"):
        url = api + url
    if not _is_arm(context, url):
        raise Unavailable(f"{what} is at another address", advice=UNREADABLE)
    kept: list[Any] = []
    try:
        from azure.core.rest import HttpRequest

        pipeline: ARMPipelineClient[Any, Any] = context.once("azure.pipeline", lambda: _pipeline(context))
        options = _options(context, "", kept)
        pipeline.send_request(HttpRequest("GET", url), **options)
    except Exception as error:  # noqa: BLE001 - whatever an SDK raises; what is not its own goes on as it is
        raise translated(error, what) or error from None
    answer = kept[-1].http_response if kept else None
    if answer is not None and answer.status_code >= 300:
        # The SDK's own operations raise by themselves; this is none of them.
        raise from_document(answer.status_code, answer.headers, answer.content, what)
    return _answer(kept, what)


def subscription(context: Context) -> str:
    """Return the subscription: the parameter, else the one that this machine is in."""
    given = context.settings.text("subscription_id")
    return given or context.once("azure.location", lambda: _location(context))[0]


def group(context: Context) -> str:
    """Return the resource group: the parameter, else this machine's; "" for the whole subscription."""
    given = context.settings.text("resource_group")
    if given == EVERYWHERE:
        return ""
    return given or context.once("azure.location", lambda: _location(context))[1]


def _place(context: Context, service: str, operations: str, *names: str, expand: str | None) -> str:
    # Before anything is asked of anybody: whether the endpoint is one that may see a token.
    cloud_of(context)
    return reads.url(context, service, subscription(context), operations, *names, expand=expand)


def _is_arm(context: Context, url: str) -> bool:
    """Whether a URL in an answer is Resource Manager's: its own host, perhaps with the port, or a region's below it."""
    from urllib.parse import urlsplit  # the SDK has imported it already

    api = urlsplit(cloud_of(context).api)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or HTTPS_PORT
    except ValueError:
        return False
    own = host == api.hostname or host.endswith(f".{api.hostname}")
    return own and parts.scheme == "https" and port == (api.port or HTTPS_PORT) and "@" not in parts.netloc


def _location(context: Context) -> tuple[str, str]:
    try:
        return metadata.location(context)
    except LocalConfigurationError as error:
        raise ConfigurationError(
            f"subscription_id and resource_group are not known: {error.cause}",
            advice="add subscription_id=... and resource_group=...",
        ) from None


def _options(context: Context, service: str, kept: list[Any]) -> dict[str, Any]:
    def keep(response: object) -> None:
        kept.append(response)

    timeouts = context.timeouts
    # A little before the host gives the whole call up: the SDK's error says more than the host can.
    most = context.deadline.remaining * BEFORE_THE_END
    cloud = cloud_of(context)
    versions = {COMPUTE: cloud.compute_version, NETWORK: cloud.network_version}
    return {
        "raw_response_hook": keep,
        "connection_timeout": min(timeouts.connect, max(most, LEAST_SECONDS)),
        "read_timeout": min(timeouts.read, max(most, LEAST_SECONDS)),
        **({"api_version": versions[service]} if service else {}),
    }


def _answer(kept: list[Any], what: str) -> Answer:
    """Return the last answer that the pipeline saw; all of it was read when the call returned."""
    if not kept:
        raise Unavailable(f"no answer about {what}", advice=UNREADABLE)
    response = kept[-1].http_response
    headers = {name.lower(): value for name, value in response.headers.items()}
    try:
        text = response.text()
        document = response.json() if text.strip() else None
    except Exception as error:  # noqa: BLE001 - a body that is cut or no JSON has one class for each layer
        known = translated(error, what)
        raise known or Unavailable(f"the answer about {what} cannot be read", advice=UNREADABLE) from None
    return answered(document, response.status_code, headers)


def _client(context: Context, service: str) -> Any:  # noqa: ANN401 - either of the SDK's clients
    def make() -> object:
        cloud = cloud_of(context)
        try:
            if service == COMPUTE:
                from azure.mgmt.compute import ComputeManagementClient as Client
            else:
                from azure.mgmt.network import NetworkManagementClient as Client  # type: ignore[assignment]  # one name for both
        except ImportError as error:
            raise sdk_missing(error) from None
        return Client(
            context.once("azure.credential", lambda: credential(context)),
            subscription(context),
            cloud.api,
            policies=_policies(context),
            connection_verify=authorities(context),
        )

    return context.once(f"azure.{service}", make)


def _pipeline(context: Context) -> ARMPipelineClient[Any, Any]:
    from azure.mgmt.core import ARMPipelineClient

    return ARMPipelineClient(cloud_of(context).api, policies=_policies(context), connection_verify=authorities(context))


def _policies(context: Context) -> list[Any]:
    """Return the pipeline: a token, our way to see the answer, and nothing that retries, redirects, waits or logs.

    The SDK's own would also register resource providers, and sleep meanwhile.
    """
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy, CustomHookPolicy, UserAgentPolicy

    from cloudha import __version__

    silence()
    return [
        UserAgentPolicy(base_user_agent=f"cloudha/{__version__}"),
        BearerTokenCredentialPolicy(
            context.once("azure.credential", lambda: credential(context)), reads.scope(context)
        ),
        CustomHookPolicy(),
    ]
