"""Credentials: this instance's certificate, an API key, or a resource principal; each ends in a signer of the SDK.

The SDK's own classes for principals bring retries, timeouts of a minute and a second try at every 401. So the parts are
put together here: our own bounded request for the token, the SDK's signers for it and for all that changes something.
An instance's session is kept for the actions that follow (:mod:`cloudha_plugin_oci.session_cache`).
"""

from __future__ import annotations

import base64
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from cloudha.options import read_secret_file
from cloudha.provider import (
    ConfigurationError,
    Context,
    CredentialsMissing,
    LocalConfigurationError,
    Unavailable,
    UnsupportedError,
)
from cloudha_plugin_oci import federation, metadata, session_cache, signing
from cloudha_plugin_oci.errors import sdk_missing, translated
from cloudha_plugin_oci.options import API_KEY, RESOURCE_PRINCIPAL
from cloudha_plugin_oci.session_cache import Session

__all__ = ["Caller", "caller", "doubt", "identity", "replaced", "session_signer"]

# The one kind of resource principal that needs no further request: token and key come with the environment.
SUPPORTED = "2.2"
VARIABLE = "OCI_RESOURCE_PRINCIPAL_"
# A session that ends within this time is not used any more: it must outlive the request.
SPARE_SECONDS = 60.0
# From this share of its life on, a session is replaced while the old one still serves, should the federation be away.
OLD_SHARE = 0.8
# What ends sooner, or does not say when it ends, is good for this action and not kept.
LEAST_SECONDS = 2 * SPARE_SECONDS
# Oracle's tokens last twenty minutes; what says more is not believed.
MOST_SECONDS = 3600.0
KEPT = "oci.caller"
PRINCIPAL_OF = "auth=resource_principal is for containers and functions; on an instance use instance_principal"


class Caller(NamedTuple):
    """Who asks: ``key_id`` and ``key`` (an RSA key of ``cryptography``) sign reads, ``signer`` makes the SDK's signer.

    ``region``: what came with the credentials, "" for nothing. ``profile``: what the SDK insists to see of a user
    beside the signer, none of it secret. ``number``: counts the callers of one action.
    """

    key_id: str
    key: Any
    signer: Callable[[], Any]
    region: str
    identity: str
    profile: Mapping[str, str] = MappingProxyType({})
    number: int = 0


class _Kept:
    """The caller of this action, and the session that it is from: its token, its end, and whether it was cached."""

    def __init__(self) -> None:
        self.caller: Caller | None = None
        self.number = 0
        self.token = ""
        self.until = math.inf
        self.cached = False

    def take(self, found: Caller, session: Session | None = None, *, cached: bool = False) -> Caller:
        self.number += 1
        self.caller = found._replace(number=self.number)
        self.token = session.token if session else ""
        self.until = session.until if session else math.inf
        self.cached = cached
        return self.caller


def caller(context: Context) -> Caller:
    """Return as whom, and with what, requests are signed; made once in an action, as long as it lasts.

    :raises CredentialsMissing: there is nothing to sign with.
    :raises CloudhaError: the federation is away, or refuses.
    """
    kept = context.once(KEPT, _Kept)
    if kept.caller is not None and kept.until - time.time() >= SPARE_SECONDS:
        return kept.caller
    how = context.settings.text("auth")
    try:
        if how == API_KEY:
            return kept.take(_api_key(context))
        if how == RESOURCE_PRINCIPAL:
            return kept.take(_resource_principal())
        return _instance_principal(context, kept)
    except Exception as error:  # noqa: BLE001 - whatever an SDK raises; what is not its own goes on as it is
        raise translated(error, "the credentials") or error from None


def replaced(context: Context, refused: Caller) -> bool:
    """Replace a caller whose session OCI has refused, if that came from the cache; whether it was replaced.

    A session that was made for this action is as new as can be: then the refusal stands.

    :raises CloudhaError: there is no other to be had.
    """
    kept = context.once(KEPT, _Kept)
    if not kept.cached or kept.number != refused.number:
        return False
    session_cache.drop(_name(context), kept.token)
    try:
        _new(context, kept)
    except Exception as error:  # noqa: BLE001 - as above
        raise translated(error, "the credentials") or error from None
    return True


def doubt(context: Context) -> None:
    """Forget the cached session after a refusal: it may be older than what this instance is allowed to do.

    The refusal stands; the next action asks with a new session, so that one of the past costs one action at the most.
    """
    kept = context.once(KEPT, _Kept)
    if kept.cached:
        session_cache.drop(_name(context), kept.token)


def identity(context: Context) -> str:
    """Return as whom OCI knows us, without a secret."""
    return caller(context).identity


def session_signer(token: str, key: Any) -> Any:  # noqa: ANN401 - the SDK has no types
    """Return the SDK's signer for a security token and the private key of its session."""
    from oci.auth.signers.security_token_signer import SecurityTokenSigner

    return SecurityTokenSigner(token, key)


def _of_session(token: str, key: Any, region: str, identity: str) -> Caller:  # noqa: ANN401 - as above
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise Unavailable("the security token is none", advice="check identity_endpoint")
    return Caller(f"ST${token}", key, lambda: session_signer(token, key), region, identity)


# --- instance principals ----------------------------------------------------------------------------------------------


def _instance_principal(context: Context, kept: _Kept) -> Caller:
    """Return this instance with the cached session, or with a new one."""
    name = _name(context)
    cached = session_cache.read(name) if name else None
    now = time.time()
    if cached is None or cached.until - now < SPARE_SECONDS:
        return _new(context, kept)
    if now >= cached.since + (cached.until - cached.since) * OLD_SHARE:
        try:
            return _new(context, kept)
        except Unavailable:
            # The old one is good for some minutes more, and the federation may be back by then.
            pass
    try:
        key = signing.private_key(cached.key)
    except ValueError:
        return _new(context, kept)
    return kept.take(_of_session(cached.token, key, "", _instance(context)), cached, cached=True)


def _new(context: Context, kept: _Kept) -> Caller:
    """Ask for a session, and keep it for the other actions."""
    name, asked = _name(context), time.time()
    token, key = federation.session(context)
    made = _of_session(token, key, "", _instance(context))
    until = min(_end_of(token), asked + MOST_SECONDS)
    if until < asked + LEAST_SECONDS or not name:
        return kept.take(made)
    session = Session(token, signing.numbers_of(key), asked, until)
    session_cache.write(name, session)
    return kept.take(made, session)


def _instance(context: Context) -> str:
    return f"instance principal {metadata.node_id(context)}"


def _end_of(token: str) -> float:
    """Return when the token ends (seconds since 1970), by its own claim; 0.0 where it does not say."""
    try:
        claims = token.split(".")[1]
        end = float(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"])
    except (ValueError, IndexError, KeyError, TypeError):
        return 0.0
    return end if math.isfinite(end) else 0.0


def _name(context: Context) -> str:
    """Return the name of the cached session: of this instance, at these services; "" where this is no instance."""
    try:
        instance = metadata.node_id(context)
    except LocalConfigurationError:
        return ""
    return session_cache.name_of(instance, metadata.endpoint(context), context.settings.text("identity_endpoint"))


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
        from oci.config import validate_config
        from oci.signer import Signer, load_private_key
    except ImportError as error:
        raise sdk_missing(error) from None
    profile = _profile(path, settings.text("config_profile"))
    content = _file_of(profile, "key_file")
    password = profile.get("pass_phrase") or None
    region = profile.get("region") or ""
    if profile.get("security_token_file"):
        token = _file_of(profile, "security_token_file")
        return _of_session(token, load_private_key(content, password), region, "a session of the oci CLI")
    missing = [name for name in ("user", "tenancy", "fingerprint") if not profile.get(name)]
    if missing:
        raise LocalConfigurationError(
            f"the profile in {path} lacks {missing[0]}", advice="complete it: oci setup config"
        )
    signer = Signer(
        profile["tenancy"], profile["user"], profile["fingerprint"], None, password, private_key_content=content
    )
    shown = {name: profile[name] for name in ("user", "tenancy", "fingerprint", "key_file")}
    # As the SDK's clients do: a read makes none.
    validate_config({**shown, "region": region})
    return Caller(signer.api_key, signer.private_key, lambda: signer, region, f"user {profile['user']}", shown)


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
    region = os.environ.get(f"{VARIABLE}REGION", "")
    return _of_session(token, load_private_key(key, password), region, "resource principal")


def _variable(name: str, *, optional: bool = False) -> str:
    value = os.environ.get(VARIABLE + name, "")
    if not value and not optional:
        raise CredentialsMissing(f"{VARIABLE}{name} is not set here", advice=PRINCIPAL_OF)
    return read_secret_file(VARIABLE + name, value).reveal() if value.startswith("/") else value
