"""Credentials: an API key, or the trusted profile of this machine, as one IAM token that all actions share."""

from __future__ import annotations

import time
from urllib.parse import quote_plus

from cloudha import web
from cloudha.provider import (
    AccessDenied,
    CloudhaError,
    ConfigurationError,
    Context,
    LocalConfigurationError,
    Unavailable,
)
from cloudha_plugin_ibm import endpoints, metadata, token_cache
from cloudha_plugin_ibm.metadata import Token
from cloudha_plugin_ibm.token_cache import Cached

__all__ = ["identity", "replaced", "token"]

# A token that ends within this time is not used any more: it must outlive the request.
SPARE_SECONDS = 60.0
# From this share of its life on, a token is replaced while the old one still serves, should IAM be away.
OLD_SHARE = 0.8
GRANT = "urn:ibm:params:oauth:grant-type:apikey"
KEY_ADVICE = "check api_key_file= (or api_key=): the key is wrong, deleted, locked or of another identity_endpoint"
#: IBM Cloud's own download of a key is a JSON file with this field.
KEY_FIELD = "apikey"
KEPT = "ibm.token"


def token(context: Context) -> str:
    """Return a token that outlives a request: this action's, the cached one, or a new one.

    :raises CloudhaError: there is none to be had.
    """
    kept = context.once(KEPT, _Kept)
    if kept.until - time.time() < SPARE_SECONDS:
        kept.take(*_cached_or_new(context))
    return kept.token


def replaced(context: Context, refused: str) -> bool:
    """Replace a token that the API has refused, if it came from the cache; whether it was replaced.

    One that was made for this action is as new as can be: then the refusal stands.

    :raises CloudhaError: there is no other to be had.
    """
    kept = context.once(KEPT, _Kept)
    if not kept.cached or kept.token != refused:
        return False
    token_cache.drop(_name(context), refused)
    kept.take(_new(context), cached=False)
    return True


def identity(context: Context) -> str:
    """Return as whom IBM Cloud knows us, without a secret."""
    if _key(context):
        return "an IAM API key"
    profile = context.settings.text("trusted_profile")
    return f"trusted profile {profile}" if profile else "this machine's default trusted profile"


class _Kept:
    """The token of this action."""

    def __init__(self) -> None:
        self.token = ""
        self.until = 0.0
        self.cached = False

    def take(self, found: Cached, cached: bool) -> None:  # noqa: FBT001 - the second half of a pair
        self.token, self.until, self.cached = found.token, found.until, cached


def _cached_or_new(context: Context) -> tuple[Cached, bool]:
    """Return a token, and whether it is the cached one."""
    cached = token_cache.read(_name(context))
    now = time.time()
    if cached is None or cached.until - now < SPARE_SECONDS:
        return _new(context), False
    if now < cached.since + (cached.until - cached.since) * OLD_SHARE:
        return cached, True
    try:
        return _new(context), False
    except Unavailable:
        # The old one is good for some minutes more, and IAM may be back by then.
        return cached, True


def _new(context: Context) -> Cached:
    """Ask for a token, and keep it for the other actions."""
    asked = time.time()
    key = _key(context)
    found = _of_key(context, key) if key else metadata.iam_token(context, context.settings.text("trusted_profile"))
    made = Cached(found.value, asked, asked + found.seconds)
    token_cache.write(_name(context), made)
    return made


def _of_key(context: Context, key: str) -> Token:
    """Ask IAM for a token of the API key.

    :raises AccessDenied: IAM knows no such key, or it may not be used.
    """
    url = web.join(endpoints.identity(context), "identity", "token")
    body = f"grant_type={quote_plus(GRANT)}&response_type=cloud_iam&apikey={quote_plus(key)}".encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    answer = web.request(context, "POST", url, headers=headers, body=body)
    if answer.status in (400, 401, 403):
        raise AccessDenied(
            f"IAM at {answer.origin} refuses the API key ({answer.status}): {_said(answer)}",
            advice=KEY_ADVICE,
            request_id=answer.request_id,
        )
    try:
        web.raise_for_status(answer, "a token of the API key")
    except (Unavailable, AccessDenied):
        raise
    except CloudhaError as error:
        # 404 and 409 are no answers of IAM.
        raise Unavailable(error.cause, advice="check identity_endpoint=", request_id=error.request_id) from None
    return metadata.read_token(answer.json())


def _said(answer: web.Answer) -> str:
    """Return IAM's code and message, ``{"errorCode": "BXNIM0415E", "errorMessage": ...}``; never the request."""
    try:
        document = answer.json()
    except Unavailable:
        return "no reason given"
    if not isinstance(document, dict):
        return "no reason given"
    texts = [str(document.get(field) or "") for field in ("errorCode", "errorMessage")]
    return ": ".join(text for text in texts if text) or "no reason given"


def _key(context: Context) -> str:
    """Return the API key, "" for the trusted profile.

    :raises ConfigurationError: the parameters contradict each other.
    """
    settings = context.settings
    key, file, profile = settings.secret("api_key"), settings.secret("api_key_file"), settings.text("trusted_profile")
    if (key is not None) + (file is not None) + bool(profile) > 1:
        raise ConfigurationError(
            "api_key, api_key_file and trusted_profile exclude each other", advice="give one of them, or none"
        )
    if file is not None:
        return _of_file(file.reveal())
    return key.reveal() if key is not None else ""


def _of_file(content: str) -> str:
    """Return the key in a file: all of it, or a field of the JSON document that IBM Cloud hands out.

    :raises LocalConfigurationError: it is neither.
    """
    found: object = content
    if content.startswith("{"):
        import json  # only for keys in that form

        try:
            document = json.loads(content)
        except ValueError:
            document = None
        found = document.get(KEY_FIELD) if isinstance(document, dict) else None
    if not isinstance(found, str) or not found or not found.isascii() or not found.isprintable() or " " in found:
        raise LocalConfigurationError(
            "parameter api_key_file holds no API key", advice="write the key alone, or IBM Cloud's own apikey.json"
        )
    return found


def _name(context: Context) -> str:
    """Return the name of the cached token: the same credentials at the same place share it."""
    key = _key(context)
    if key:
        return token_cache.name_of("key", endpoints.identity(context), key)
    place = context.settings.text("metadata_endpoint")
    return token_cache.open_name_of("profile", place, context.settings.text("trusted_profile"))
