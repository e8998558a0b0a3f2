"""Credentials of each kind, by the real SDK, against an emulator that verifies every signature."""

from __future__ import annotations

import io
import re
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

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
    UnsupportedError,
)
from cloudha.testing.emulator import Effect, Fault
from cloudha_plugin_oci import access, credentials, machines
from cloudha_plugin_oci.emulator import OciEmulator
from cloudha_plugin_oci.emulator.account import COMPARTMENT
from cloudha_plugin_oci.emulator.identities import Identities, _new_key, private_pem
from cloudha_plugin_oci.emulator.records import REGION

Contexts = Callable[..., Context]


def listed(context: Context) -> set[str]:
    return {node.name for node in machines.list_nodes(context, NodeQuery()).nodes}


def asked(oci: OciEmulator) -> list[str]:
    return list(oci.server.journal.operations())


# --- instance principals ----------------------------------------------------------------------------------------------


def test_an_instance_principal_is_the_default_and_federates_once_in_an_action(
    oci: OciEmulator, context: Contexts
) -> None:
    made = context()
    assert listed(made) == {"n1", "n2"}
    assert listed(made) == {"n1", "n2"}
    assert asked(oci).count("identity.federate") == 1
    assert asked(oci).count("metadata.certificates") == 3
    assert "instance principal ocid1.instance." in credentials.identity(made)


def test_an_instance_without_certificates_has_no_credentials(oci: OciEmulator, context: Contexts) -> None:
    oci.service.identities.certificates = False
    with pytest.raises(CredentialsMissing, match="no certificate"):
        listed(context())


@pytest.mark.parametrize(
    ("effect", "error"),
    [
        (Effect.THROTTLE, Unavailable),
        (Effect.ERROR, Unavailable),
        (Effect.HANG, Unavailable),
        (Effect.REFUSE, Unavailable),
        (Effect.CUT, Unavailable),
        (Effect.GARBAGE, Unavailable),
        (Effect.MISSING, Unavailable),
        (Effect.UNAUTHORIZED, AccessDenied),
        (Effect.FORBIDDEN, AccessDenied),
    ],
)
def test_every_fault_of_the_federation_has_its_class_and_is_asked_once(
    oci: OciEmulator, context: Contexts, effect: Effect, error: type[CloudhaError]
) -> None:
    oci.service.watch = None
    oci.fault(Fault("identity.federate", effect))
    with pytest.raises(error):
        listed(context(read_seconds=0.5))
    assert asked(oci).count("identity.federate") == 1


@pytest.mark.parametrize("effect", [Effect.ERROR, Effect.GARBAGE, Effect.MISSING, Effect.CUT])
def test_every_fault_of_the_certificates_is_unavailable(oci: OciEmulator, context: Contexts, effect: Effect) -> None:
    oci.fault(Fault("metadata.certificates", effect))
    with pytest.raises(Unavailable):
        listed(context())


def test_an_expired_token_is_refused_and_not_tried_twice(oci: OciEmulator, context: Contexts) -> None:
    """The SDK's own signer would fetch another token and send again, out of sight."""
    oci.service.identities.expired = True
    with pytest.raises(AccessDenied, match="expired"):
        listed(context())
    assert asked(oci).count("instances.list") == 1
    assert asked(oci).count("identity.federate") == 1


def test_a_clock_that_is_off_is_refused(oci: OciEmulator, context: Contexts) -> None:
    oci.account.behaviour.skew = 400.0
    with pytest.raises(AccessDenied, match="date"):
        listed(context())


def test_the_certificate_must_lead_to_the_root(oci: OciEmulator, context: Contexts) -> None:
    stranger = Identities()
    known = oci.service.identities
    oci.service.identities.certificate = stranger.certificate  # type: ignore[method-assign]  # another authority's
    try:
        with pytest.raises(AccessDenied, match="root"):
            listed(context())
    finally:
        del known.certificate


@pytest.mark.parametrize("effect", [e for e in Effect if e not in (Effect.DELAY, Effect.DRIP, Effect.STALE)])
@pytest.mark.parametrize("operation", ["identity.*", "metadata.certificates", "instances.*"])
def test_no_error_shows_a_token_or_a_key(oci: OciEmulator, context: Contexts, effect: Effect, operation: str) -> None:
    oci.service.watch = None
    known = oci.service.identities.certificate(oci.account.named("n1")["id"])[1].decode().splitlines()
    made = context(read_seconds=0.5)
    oci.fault(Fault(operation, effect))
    shown = io.StringIO()
    try:
        listed(made)
    except CloudhaError as error:
        traceback.print_exception(error, file=shown)
        shown.write(str(error) + repr(error.__dict__))
    assert not any(line in shown.getvalue() for line in known[1:-1])
    assert "ST$" not in shown.getvalue()
    assert "Authorization" not in shown.getvalue()


# --- API keys ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def config(oci: OciEmulator, tmp_path: Path) -> Path:
    return oci.service.identities.write_config(tmp_path)


def test_an_api_key_signs(oci: OciEmulator, context: Contexts, config: Path) -> None:
    made = context(auth="api_key", config_file=str(config))
    assert listed(made) == {"n1", "n2"}
    assert "identity.federate" not in asked(oci)
    assert credentials.identity(made) == f"user {oci.service.identities.user_id}"


def test_an_api_key_of_somebody_else_is_refused(context: Contexts, config: Path) -> None:
    (config.parent / "api_key.pem").write_text(private_pem(_new_key()))
    with pytest.raises(AccessDenied, match="signature"):
        listed(context(auth="api_key", config_file=str(config)))


def test_a_profile_by_name(context: Contexts, config: Path) -> None:
    text = config.read_text()
    config.write_text(text.replace("[DEFAULT]", "[DEFAULT]\nuser=ocid1.user.oc1..nobody\n[ops]"))
    assert listed(context(auth="api_key", config_file=str(config), config_profile="ops")) == {"n1", "n2"}
    with pytest.raises(LocalConfigurationError, match="nope"):
        listed(context(auth="api_key", config_file=str(config), config_profile="nope"))


def test_a_session_of_the_cli_is_a_token_with_its_key(oci: OciEmulator, context: Contexts, config: Path) -> None:
    key = _new_key()
    token = config.parent / "token"
    token.touch(mode=0o600)
    token.write_text(oci.service.identities.token(key.public_key(), subject="ocid1.user.oc1..session"))
    (config.parent / "api_key.pem").write_text(private_pem(key))
    config.write_text(config.read_text() + f"security_token_file={token}\n")
    assert listed(context(auth="api_key", config_file=str(config))) == {"n1", "n2"}
    token.write_text(oci.service.identities.token(key.public_key(), seconds=-30, subject="ocid1.user.oc1..session"))
    with pytest.raises(AccessDenied, match="expired"):
        listed(context(auth="api_key", config_file=str(config)))


@pytest.mark.parametrize("name", ["config", "api_key.pem"])
def test_files_that_others_can_read_are_refused(context: Contexts, config: Path, name: str) -> None:
    (config.parent / name).chmod(0o644)
    with pytest.raises(LocalConfigurationError, match="others"):
        listed(context(auth="api_key", config_file=str(config)))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda c: c.unlink(), CredentialsMissing),
        (lambda c: (c.parent / "api_key.pem").unlink(), CloudhaError),
        (lambda c: c.write_text("pass_phrase is correct-horse-battery\n"), LocalConfigurationError),
        (lambda c: c.write_text(re.sub("user=.*\n", "", c.read_text())), LocalConfigurationError),
        (lambda c: (c.parent / "api_key.pem").write_text("correct-horse-battery"), LocalConfigurationError),
        (lambda c: c.write_text(re.sub("fingerprint=.*", "fingerprint=1", c.read_text())), LocalConfigurationError),
    ],
)
def test_files_that_are_not_right_are_named_and_never_quoted(
    context: Contexts, config: Path, change: Callable[[Path], object], error: type[CloudhaError]
) -> None:
    change(config)
    with pytest.raises(error) as caught:
        listed(context(auth="api_key", config_file=str(config)))
    shown = io.StringIO()
    traceback.print_exception(caught.value, file=shown)
    assert "correct-horse-battery" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_relative_path_is_refused(context: Contexts) -> None:
    with pytest.raises(ConfigurationError, match="absolute"):
        listed(context(auth="api_key", config_file="config"))


# --- resource principals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_files", [True, False])
def test_a_resource_principal_comes_from_the_environment(
    oci: OciEmulator, context: Contexts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, in_files: bool
) -> None:
    key = _new_key()
    values = {
        "RPST": oci.service.identities.token(key.public_key(), subject="ocid1.fnfunc.oc1.fra.f"),
        "PRIVATE_PEM": private_pem(key),
    }
    for name, value in values.items():
        path = tmp_path / name
        path.touch(mode=0o600)
        path.write_text(value)
        monkeypatch.setenv(f"OCI_RESOURCE_PRINCIPAL_{name}", str(path) if in_files else value)
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_VERSION", "2.2")
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_REGION", REGION)
    made = context(auth="resource_principal", compartment_id=COMPARTMENT)
    assert listed(made) == {"n1", "n2"}
    assert asked(oci) == ["instances.list"]


def test_a_resource_principal_without_an_environment(context: Contexts, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CredentialsMissing, match="VERSION"):
        listed(context(auth="resource_principal"))
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_VERSION", "1.1")
    with pytest.raises(UnsupportedError, match=r"1\.1"):
        listed(context(auth="resource_principal"))
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_VERSION", "2.2")
    with pytest.raises(CredentialsMissing, match="RPST"):
        listed(context(auth="resource_principal"))


# --- where the requests go --------------------------------------------------------------------------------------------


def test_region_realm_and_compartment_come_from_the_metadata(
    context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A government realm that the SDK's tables need not know: its domain is in the metadata."""
    from cloudha_plugin_oci import client, federation
    from cloudha_plugin_oci.emulator import metadata_service

    realm = {"regionIdentifier": "us-langley-9", "realmDomainComponent": "oraclegovcloud.example"}
    monkeypatch.setattr(metadata_service, "REALM", {**metadata_service.REALM, **realm})
    made = context(endpoint=None, identity_endpoint=None)
    assert client._endpoint(made, "") == "https://iaas.us-langley-9.oraclegovcloud.example"
    assert federation.endpoint(made) == "https://auth.us-langley-9.oraclegovcloud.example"
    assert client.compartments(made) == (COMPARTMENT,)
    assert client._endpoint(context(endpoint=None, region="eu-paris-1"), "") is None, "the SDK knows that one"


def test_the_metadata_service_by_the_sdks_own_variable(
    oci: OciEmulator, context: Contexts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCI_METADATA_BASE_URL", f"{oci.url}/opc/v2")
    assert listed(context(metadata_endpoint=None)) == {"n1", "n2"}


def test_a_redirect_is_not_followed(oci: OciEmulator, context: Contexts) -> None:
    from cloudha.testing.emulator import Reply

    oci.service.watch = None
    real = oci.service.answer
    oci.service.answer = (  # type: ignore[method-assign]  # a proxy's answer
        lambda request: (
            Reply(302, b"", {"Location": "http://192.0.2.1/elsewhere"})
            if request.path.endswith("/instances")
            else real(request)
        )
    )
    with pytest.raises(Unavailable, match=r"(?i)redirect"):
        listed(context())


# --- permissions ------------------------------------------------------------------------------------------------------


def test_what_reads_is_tried_and_what_changes_is_left_open(context: Contexts) -> None:
    for purpose, kind in ((Purpose.FENCING, Kind.PRIVATE), *((Purpose.ADDRESSES, kind) for kind in Kind)):
        found = {p.name: p.granted.value for p in access.report(context(), purpose, kind).permissions}
        assert "no" not in found.values()
        assert {"yes", "cannot tell"} <= set(found.values())


@pytest.mark.parametrize(
    ("denied", "purpose", "kind", "name"),
    [
        ("instances.list", Purpose.FENCING, Kind.PRIVATE, "INSTANCE_READ"),
        ("vnics.get", Purpose.ADDRESSES, Kind.PRIVATE, "VNIC_READ"),
        ("private_ips.list", Purpose.ADDRESSES, Kind.PRIVATE, "PRIVATE_IP_READ"),
        ("attachments.list", Purpose.ADDRESSES, Kind.PRIVATE, "VNIC_ATTACHMENT_READ"),
        ("public_ips.list", Purpose.ADDRESSES, Kind.PUBLIC, "PUBLIC_IP_READ"),
        ("route_tables.get", Purpose.ADDRESSES, Kind.ROUTE, "ROUTE_TABLE_READ"),
    ],
)
def test_a_missing_permission_is_named(
    oci: OciEmulator, context: Contexts, denied: str, purpose: Purpose, kind: Kind, name: str
) -> None:
    oci.account.behaviour.denied = (denied,)
    found = access.report(context(), purpose, kind)
    assert [p.name for p in found.permissions if p.granted.value == "no"] == [name]


def test_nothing_is_changed_to_find_out(oci: OciEmulator, context: Contexts) -> None:
    for kind in Kind:
        access.report(context(), Purpose.ADDRESSES, kind)
    access.report(context(), Purpose.FENCING, Kind.PRIVATE)
    assert {e.method for e in oci.server.journal.entries() if e.operation != "identity.federate"} == {"GET"}
