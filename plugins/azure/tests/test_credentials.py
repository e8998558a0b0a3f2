"""Managed identities, service principals, clouds: real tokens over HTTPS."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from cloudha.provider import (
    AccessDenied,
    CloudhaError,
    ConfigurationError,
    Context,
    CredentialsMissing,
    Kind,
    LocalConfigurationError,
    NodeQuery,
    Purpose,
    Unavailable,
    Verdict,
)
from cloudha.testing.emulator import Effect, Fault
from cloudha_plugin_azure import access, clouds, machines, metadata
from cloudha_plugin_azure.emulator import AzureEmulator

Contexts = Callable[..., Context]


def listed(context: Context) -> set[str]:
    return {node.name for node in machines.list_nodes(context, NodeQuery()).nodes}


def principal(azure: AzureEmulator, **more: str | None) -> dict[str, str | None]:
    known = azure.service.identities
    return {
        "tenant_id": known.tenant_id,
        "client_id": known.client_id,
        "client_secret": known.client_secret,
        **more,
    }


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cluster")])
    now = dt.datetime.now(dt.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "principal.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    path.chmod(0o600)
    return path


def test_the_machines_own_identity(context: Contexts) -> None:
    assert listed(context()) == {"n1", "n2"}
    assert listed(context(msi="yes")) == {"n1", "n2"}


def test_a_user_assigned_identity(azure: AzureEmulator, context: Contexts) -> None:
    azure.service.identities.system = False
    assert listed(context(client_id=next(iter(azure.service.identities.assigned)))) == {"n1", "n2"}


def test_a_machine_without_identity_has_no_credentials(azure: AzureEmulator, context: Contexts) -> None:
    azure.service.identities.system = False
    with pytest.raises(CredentialsMissing, match="Identity not found"):
        listed(context())


def test_a_service_principal_with_a_secret(azure: AzureEmulator, context: Contexts) -> None:
    assert listed(context(**principal(azure))) == {"n1", "n2"}
    assert "identity.token" not in {entry.operation for entry in azure.server.journal.entries()}


def test_a_service_principal_with_a_certificate(azure: AzureEmulator, context: Contexts, certificate: Path) -> None:
    given = principal(azure, client_secret=None, certificate_file=str(certificate))
    assert listed(context(**given)) == {"n1", "n2"}


def test_a_certificate_that_others_can_read_is_refused(
    azure: AzureEmulator, context: Contexts, certificate: Path
) -> None:
    certificate.chmod(0o644)
    with pytest.raises(LocalConfigurationError, match="chmod 600"):
        context(**principal(azure, client_secret=None, certificate_file=str(certificate)))


def test_a_certificate_that_is_none_is_not_shown(azure: AzureEmulator, context: Contexts, tmp_path: Path) -> None:
    path = tmp_path / "wrong.pem"
    path.write_text("canary-in-a-file")
    path.chmod(0o600)
    with pytest.raises(LocalConfigurationError) as caught:
        listed(context(**principal(azure, client_secret=None, certificate_file=str(path))))
    assert "canary" not in f"{caught.value} {caught.value!r}"


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"client_secret": "wrong-canary"}, AccessDenied),
        ({"tenant_id": "00000000-0000-0000-0000-000000000009"}, AccessDenied),
        ({"client_id": "00000000-0000-0000-0000-000000000009"}, AccessDenied),
        ({"tenant_id": "not/a/tenant"}, ConfigurationError),
        ({"tenant_id": None}, ConfigurationError),
        ({"client_id": None}, ConfigurationError),
        ({"msi": "1"}, ConfigurationError),
    ],
)
def test_a_wrong_principal(
    azure: AzureEmulator, context: Contexts, wrong: dict[str, str | None], kind: type[CloudhaError]
) -> None:
    with pytest.raises(kind) as caught:
        listed(context(**principal(azure, **wrong)))
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("who", ["identity.token", "identity.authorize", "identity.discovery"])
@pytest.mark.parametrize("effect", [Effect.THROTTLE, Effect.ERROR, Effect.CUT, Effect.GARBAGE, Effect.MISSING])
def test_a_token_that_is_not_to_be_had_now(azure: AzureEmulator, context: Contexts, who: str, effect: Effect) -> None:
    number = azure.fault(Fault(who, effect, retry_after=3))
    given = {} if who == "identity.token" else principal(azure)
    with pytest.raises(Unavailable) as caught:
        listed(context(**given))
    assert azure.server.faults.hits(number) == 1
    if effect is Effect.THROTTLE:
        assert caught.value.retry_after == 3


def test_a_foreign_certificate_authority_is_not_trusted(azure: AzureEmulator, context: Contexts) -> None:
    with pytest.raises(Unavailable, match="certificate"):
        listed(context(ca_file=None, subscription_id="s", resource_group="g"))
    # Where only the API is behind it: the SDK's own words.
    one = context(metadata_endpoint=None, ca_file=None, subscription_id="s", resource_group="g", **principal(azure))
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED") as caught:
        listed(one)
    assert "ca_file" in caught.value.advice


def test_a_token_does_not_travel_unencrypted(azure: AzureEmulator, context: Contexts) -> None:
    with pytest.raises(ConfigurationError, match="https"):
        listed(context(endpoint=azure.url.replace("https", "http")))
    assert not azure.server.journal.entries()


def test_stack_says_itself_what_tokens_are_for(azure: AzureEmulator, context: Contexts) -> None:
    found = clouds.cloud_of(context(cloud="stack", identity_endpoint=None))
    assert found.audience == "https://management.stack.example/42"
    assert found.authority == azure.url
    with pytest.raises(ConfigurationError, match="endpoint="):
        clouds.cloud_of(context(cloud="stack", endpoint=None))


@pytest.mark.parametrize("name", ["public", "china", "usgov"])
def test_sovereign_clouds_differ_in_all_three(context: Contexts, name: str) -> None:
    found = clouds.cloud_of(context(cloud=name, endpoint=None, identity_endpoint=None))
    assert len({found.api, found.authority}) == 2
    assert all(url.startswith("https://") for url in found[:3])


def test_permissions_are_what_azure_lists(azure: AzureEmulator, context: Contexts) -> None:
    azure.account.behaviour.denied = ("Microsoft.Compute/virtualMachines/powerOff/action",)
    found = {p.name: p.granted for p in access.report(context(), Purpose.FENCING, Kind.PRIVATE).permissions}
    assert found["Microsoft.Compute/virtualMachines/powerOff/action"] is Verdict.NO
    assert found["Microsoft.Compute/virtualMachines/start/action"] is Verdict.YES


def test_permissions_that_may_not_be_listed_are_tried(azure: AzureEmulator, context: Contexts) -> None:
    azure.account.behaviour.permissions_hidden = True
    found = access.report(context(), Purpose.FENCING, Kind.PRIVATE).permissions
    assert [p.granted for p in found] == [Verdict.YES] + [Verdict.CANNOT_TELL] * 3
    azure.account.behaviour.denied = ("Microsoft.Compute/virtualMachines/read",)
    assert access.report(context(), Purpose.FENCING, Kind.PRIVATE).permissions[0].granted is Verdict.NO


def test_this_machine_is_known_by_its_metadata(azure: AzureEmulator, context: Contexts) -> None:
    assert metadata.node(context()).id == azure.account.machine_id("n1")
    azure.account.myself = "nobody"
    with pytest.raises(LocalConfigurationError):
        metadata.node(context())
    with pytest.raises(ConfigurationError, match="subscription_id"):
        listed(context())
