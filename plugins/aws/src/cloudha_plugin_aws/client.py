"""The one way to EC2: a client of boto3 for each action, and a call whose answer is whole or an exception.

Credentials, in this order: ``access_key`` (with ``secret_key``, ``session_token``); ``profile``; what boto3 finds by
itself (environment, root's ~/.aws, the instance's role). With ``role_arn`` they are exchanged for that role's.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from cloudha import web
from cloudha.provider import (
    CloudhaError,
    ConfigurationError,
    Context,
    CredentialsMissing,
    LocalConfigurationError,
    Unavailable,
)
from cloudha_plugin_aws import metadata
from cloudha_plugin_aws.errors import sdk_missing, translated

if TYPE_CHECKING:
    # boto3 costs a third of a second: it is imported when the first request is made.
    from boto3 import Session
    from botocore.config import Config

__all__ = ["Answer", "call", "identity", "members", "permission_of"]

# How the role's session is called in CloudTrail: letters, digits and a few signs only.
SESSION_NAME = re.compile(r"[^\w+=,.@-]")
# The least that STS allows; an action is over long before.
ROLE_SECONDS = 900


class Answer(NamedTuple):
    """What EC2 answered, as botocore's service model describes it, and the request's id."""

    document: dict[str, Any]
    request_id: str


def call(context: Context, method: str, **parameters: object) -> Answer:
    """Send one request, *method* in boto3's spelling (``stop_instances``), and return the answer.

    :raises CloudhaError: it was not answered, or refused. Also when the answer is no answer of EC2 at all: a web page
        that happens to be well-formed XML must not read as "there is none".
    """
    permission = permission_of(method)
    client = _client(context)
    try:
        document: dict[str, Any] = getattr(client, method)(**parameters)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        # botocore does not expect an error without its fields, and falls over it: no answer either.
        raise Unavailable(
            f"the answer to {permission} cannot be read ({type(error).__name__} in the SDK)",
            advice="check that the endpoint is EC2's, and no proxy answers in its place",
        ) from None
    except Exception as error:  # noqa: BLE001 - whatever an SDK raises; what is not its own goes on as it is
        raise _understood(context, error, permission) from None
    about = document.pop("ResponseMetadata", None) or {}
    request_id = str(about.get("RequestId") or "")
    if not request_id:
        raise Unavailable(f"the answer to {permission} is none of EC2", advice="check the endpoint, and for proxies")
    return Answer(document, request_id)


def permission_of(method: str) -> str:
    """Return the IAM action that a method needs: ``ec2:StopInstances``."""
    return "ec2:" + "".join(part.capitalize() for part in method.split("_"))


def members(context: Context, operation: str) -> frozenset[str]:
    """Return the parameters that the installed boto3 knows for an operation (``StopInstances``)."""
    return frozenset(_client(context).meta.service_model.operation_model(operation).input_shape.members)


def identity(context: Context) -> str:
    """Return as whom EC2 knows us: the role's ARN, or the access key id and where it comes from. No secret."""
    if context.settings.text("role_arn"):
        return context.settings.text("role_arn")
    _client(context)
    found = context.once("aws.session", lambda: _session(context)).get_credentials()
    return f"{found.access_key} ({found.method})" if found else ""


def _understood(context: Context, error: Exception, permission: str) -> Exception:
    known = translated(error, permission)
    if isinstance(known, CredentialsMissing):
        return _why_missing(context, known)
    return error if known is None else known


def _why_missing(context: Context, error: CredentialsMissing) -> CloudhaError:
    """Tell "this machine has no role" from "its credentials could not be fetched": only the second may pass."""
    try:
        role = metadata.role_attached(context)
    except CloudhaError:
        return error
    if not role:
        return error
    return Unavailable(
        f"the credentials of the role {role} could not be fetched from the metadata service ({error.cause})",
        advice="check the metadata service, and that the role still exists",
    )


def _client(context: Context) -> Any:  # noqa: ANN401 - boto3 makes its clients' classes at run time
    def make() -> object:
        endpoint = web.base_url(context, "endpoint") if "endpoint" in context.settings else None
        session = context.once("aws.session", lambda: _session(context))
        return session.client("ec2", endpoint_url=endpoint, verify=_authorities(context), config=_config(context))

    try:
        return context.once("aws.ec2", make)
    except Exception as error:  # noqa: BLE001 - whatever an SDK raises; what is not its own goes on as it is
        raise _understood(context, error, "") from None


def _session(context: Context) -> Session:
    """Return the session whose credentials and region are used for everything.

    :raises ConfigurationError: half of a key, or no region.
    """
    given = context.settings.text("access_key"), context.settings.secret("secret_key")
    if bool(given[0]) != bool(given[1]):
        raise ConfigurationError("access_key and secret_key go together", advice="give both, or none")
    core = _core_session(context)
    if given[0] and given[1]:
        token = context.settings.secret("session_token")
        core.set_credentials(given[0], given[1].reveal(), token.reveal() if token else None)
    session = _wrapped(core, _region(context, core))
    return _with_role(context, session) if context.settings.text("role_arn") else session


def _core_session(context: Context) -> Any:  # noqa: ANN401 - botocore's sessions have no types of their own
    try:
        import botocore.session  # see the top of the module
    except ImportError as error:
        raise sdk_missing(error) from None
    profile = None if context.settings.text("access_key") else context.settings.text("profile") or None
    core = botocore.session.Session(profile=profile)
    core.set_config_variable("ec2_metadata_service_endpoint", metadata.endpoint(context))
    core.set_config_variable("metadata_service_timeout", context.timeouts.connect)
    return core


def _wrapped(core: object, region: str) -> Session:
    import boto3.session  # see the top of the module

    return boto3.session.Session(botocore_session=core, region_name=region)  # type: ignore[arg-type]  # typed as Any upstream


def _region(context: Context, core: Any) -> str:  # noqa: ANN401 - botocore's session, as above
    """Return the parameter, else the environment's or the profile's, else the one that this machine is in."""
    configured = context.settings.text("region") or core.get_config_variable("region")
    if configured:
        return str(configured)
    try:
        return metadata.this_region(context)
    except LocalConfigurationError:
        raise ConfigurationError("the region is not known", advice="add region=...") from None


def _with_role(context: Context, session: Session) -> Session:
    endpoint = web.base_url(context, "identity_endpoint") if "identity_endpoint" in context.settings else None
    sts = session.client("sts", endpoint_url=endpoint, verify=_authorities(context), config=_config(context))
    name = SESSION_NAME.sub("-", f"cloudha-{os.uname().nodename}")[:64]
    role = context.settings.text("role_arn")
    try:
        answer = sts.assume_role(RoleArn=role, RoleSessionName=name, DurationSeconds=ROLE_SECONDS)
    except Exception as error:  # noqa: BLE001 - whatever an SDK raises; what is not its own goes on as it is
        raise _understood(context, error, "sts:AssumeRole") from None
    granted = web.field(answer, "Credentials", dict)
    core = _core_session(context)
    core.set_credentials(*(web.field(granted, key, str) for key in ("AccessKeyId", "SecretAccessKey", "SessionToken")))
    return _wrapped(core, session.region_name)


def _config(context: Context) -> Config:
    from botocore.config import Config  # see the top of the module

    limits = context.timeouts
    # One attempt: the host retries, with jitter, within the deadline, and says so.
    return Config(
        connect_timeout=limits.connect,
        read_timeout=limits.read,
        retries={"total_max_attempts": 1, "mode": "standard"},
        user_agent_extra="cloudha-plugin-aws",
    )


def _authorities(context: Context) -> str | None:
    """Return the file of authorities, None for boto3's own (AWS_CA_BUNDLE is honoured there)."""
    path = context.settings.text("ca_file")
    if path and not os.path.isfile(path):
        raise LocalConfigurationError(f"parameter ca_file={path!r} is not a file", advice="write its path from /")
    return path or None
