"""Credentials by real HTTP: API keys, the trusted profile, one token for many actions, and when it is replaced."""

from __future__ import annotations

import json
import time
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
    Verdict,
)
from cloudha.testing.emulator import Effect, Fault
from cloudha_plugin_ibm import access, credentials, endpoints, machines, metadata, token_cache
from cloudha_plugin_ibm.emulator import IbmEmulator

Contexts = Callable[..., Context]


def listed(context: Context) -> set[str]:
    return {node.name for node in machines.list_nodes(context, NodeQuery()).nodes}


def asked(ibm: IbmEmulator) -> list[str]:
    return [entry.operation for entry in ibm.server.journal.entries()]


def age(cache_directory: Path, seconds: float) -> None:
    """Make the cached token older."""
    (path,) = cache_directory.iterdir()
    found = json.loads(path.read_text())
    found["since"] -= seconds
    found["until"] -= seconds
    path.write_text(json.dumps(found))


@pytest.mark.parametrize("field", ["", "id", "crn", "name"])
def test_a_trusted_profile(ibm: IbmEmulator, context: Contexts, field: str) -> None:
    profile = ibm.service.identities.profile[field] if field else None
    assert listed(context(trusted_profile=profile)) == {"n1", "n2"}
    assert asked(ibm)[:2] == ["metadata.identity", "metadata.iam_token"]


def test_a_profile_that_is_not_linked(ibm: IbmEmulator, context: Contexts) -> None:
    with pytest.raises(CredentialsMissing, match="not linked") as caught:
        listed(context(trusted_profile="another"))
    assert "trusted_profile=" in caught.value.advice
    ibm.service.identities.default = False
    with pytest.raises(CredentialsMissing, match="trusted profile ID"):
        listed(context())


def test_an_api_key(ibm: IbmEmulator, context: Contexts) -> None:
    assert listed(context(api_key=ibm.service.identities.api_key)) == {"n1", "n2"}
    assert asked(ibm) == ["iam.token", "machines.list"]


@pytest.mark.parametrize("form", ["{}\n", '{{"name": "cluster", "apikey": "{}"}}'])
def test_an_api_key_in_a_file(ibm: IbmEmulator, context: Contexts, tmp_path: Path, form: str) -> None:
    path = tmp_path / "key"
    path.write_text(form.format(ibm.service.identities.api_key))
    path.chmod(0o600)
    assert listed(context(api_key_file=str(path))) == {"n1", "n2"}
    path.chmod(0o640)
    with pytest.raises(LocalConfigurationError, match="chmod 600"):
        context(api_key_file=str(path))


@pytest.mark.parametrize("text", ['{"name": "canary"}', "{canary", "canary canary"])
def test_a_file_that_holds_no_key_is_not_shown(context: Contexts, tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(LocalConfigurationError, match="no API key") as caught:
        listed(context(api_key_file=str(path)))
    assert "canary" not in f"{caught.value} {caught.value!r} {caught.value.__cause__}"


def test_a_wrong_key_is_denied_with_iams_own_words(context: Contexts) -> None:
    with pytest.raises(AccessDenied, match="BXNIM0415E") as caught:
        listed(context(api_key="wrong-canary-key"))
    assert "canary" not in f"{caught.value} {caught.value!r}"
    assert not isinstance(caught.value, CredentialsMissing)


@pytest.mark.parametrize("given", [{"api_key": "k" * 20, "trusted_profile": "p"}])
def test_contradictions_are_refused(context: Contexts, given: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="exclude each other"):
        listed(context(**given))


def test_many_actions_have_one_token(ibm: IbmEmulator, context: Contexts) -> None:
    for _ in range(5):
        listed(context())
    assert ibm.service.identities.logins == 1
    # Another identity has another one.
    listed(context(api_key=ibm.service.identities.api_key))
    assert ibm.service.identities.logins == 2


@pytest.mark.parametrize(("seconds", "logins"), [(0.75 * 3600, 1), (0.85 * 3600, 2), (3600 - 30, 2), (5000, 2)])
def test_a_token_is_replaced_in_time(
    ibm: IbmEmulator, context: Contexts, cache_directory: Path, seconds: float, logins: int
) -> None:
    listed(context())
    age(cache_directory, seconds)
    listed(context())
    assert ibm.service.identities.logins == logins


def test_an_old_token_serves_while_iam_is_away(ibm: IbmEmulator, context: Contexts, cache_directory: Path) -> None:
    listed(context())
    age(cache_directory, 0.85 * 3600)
    ibm.fault(Fault("metadata.iam_token", Effect.ERROR))
    assert listed(context()) == {"n1", "n2"}
    age(cache_directory, 0.14 * 3600)
    with pytest.raises(Unavailable):
        listed(context())


def test_a_long_action_gets_a_new_token_before_the_old_one_ends(ibm: IbmEmulator, context: Contexts) -> None:
    ibm.account.behaviour.token = 61.5
    one = context()
    listed(one)
    time.sleep(2)
    listed(one)
    assert ibm.service.identities.logins == 2


def test_a_cached_token_that_is_refused_is_replaced_once(
    ibm: IbmEmulator, context: Contexts, cache_directory: Path
) -> None:
    listed(context())
    ibm.service.identities.revoke()
    ibm.server.journal.clear()
    assert listed(context()) == {"n1", "n2"}
    assert asked(ibm) == ["machines.list", "metadata.identity", "metadata.iam_token", "machines.list"]
    # The new one is in the cache.
    listed(context())
    assert ibm.service.identities.logins == 2
    assert len(list(cache_directory.iterdir())) == 1


def test_a_new_token_that_is_refused_stands(ibm: IbmEmulator, context: Contexts) -> None:
    number = ibm.fault(Fault("machines.*", Effect.EXPIRED))
    with pytest.raises(AccessDenied, match="not_authenticated"):
        listed(context())
    assert ibm.server.faults.hits(number) == 1
    with pytest.raises(AccessDenied):
        listed(context())
    # Once with the cached token, once with the new one.
    assert ibm.server.faults.hits(number) == 3


@pytest.mark.parametrize("who", ["metadata.identity", "metadata.iam_token", "iam.token"])
@pytest.mark.parametrize("effect", [Effect.THROTTLE, Effect.ERROR, Effect.CUT, Effect.GARBAGE, Effect.MISSING])
def test_a_token_that_is_not_to_be_had_now(ibm: IbmEmulator, context: Contexts, who: str, effect: Effect) -> None:
    number = ibm.fault(Fault(who, effect, retry_after=3))
    given = {"api_key": ibm.service.identities.api_key} if who == "iam.token" else {}
    with pytest.raises(Unavailable) as caught:
        listed(context(**given))
    assert ibm.server.faults.hits(number) == 1
    if effect is Effect.THROTTLE:
        assert caught.value.retry_after == 3
    assert "machines.list" not in asked(ibm)


def test_a_metadata_service_that_is_off_says_how_to_switch_it_on(ibm: IbmEmulator, context: Contexts) -> None:
    ibm.account.myself = "nobody"
    for call in (metadata.node, listed):
        with pytest.raises(LocalConfigurationError) as caught:
            call(context())
        assert "--metadata-service true" in caught.value.advice
    ibm.fault(Fault("metadata.identity", Effect.HANG))
    with pytest.raises(Unavailable) as away:
        metadata.node(context(read_seconds=0.3))
    assert "--metadata-service true" in away.value.advice


def test_the_region_is_this_machines_or_given(ibm: IbmEmulator, context: Contexts) -> None:
    assert endpoints.api(context(endpoint=None)) == "https://us-south.iaas.cloud.ibm.com/v1"
    assert endpoints.api(context(endpoint=None, region="eu-de")) == "https://eu-de.iaas.cloud.ibm.com/v1"
    private = "https://us-south.private.iaas.cloud.ibm.com"
    assert endpoints.api(context(endpoint=private)) == f"{private}/v1"
    assert endpoints.api(context(endpoint=f"{private}/v1/")) == f"{private}/v1"
    assert endpoints.identity(context(identity_endpoint=None)) == "https://iam.cloud.ibm.com"
    with pytest.raises(ConfigurationError, match="no region"):
        endpoints.api(context(endpoint=None, region="us-south.evil.example/"))
    ibm.account.myself = "nobody"
    with pytest.raises(ConfigurationError, match="region is not known"):
        endpoints.api(context(endpoint=None))


@pytest.mark.parametrize("parameter", ["endpoint", "identity_endpoint"])
@pytest.mark.parametrize("url", ["http://us-south.iaas.cloud.ibm.com", "http://8.8.8.8"])
def test_keys_and_tokens_do_not_travel_unencrypted(
    ibm: IbmEmulator, context: Contexts, parameter: str, url: str
) -> None:
    with pytest.raises(ConfigurationError, match="not https"):
        listed(context(**{parameter: url, "api_key": ibm.service.identities.api_key}))
    assert "machines.list" not in asked(ibm)


def test_the_environment_and_netrc_change_nothing(
    context: Contexts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login canary password canary\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("VPC_URL", "http://127.0.0.1:1")
    assert listed(context()) == {"n1", "n2"}


def test_who_we_are_without_a_secret(ibm: IbmEmulator, context: Contexts) -> None:
    key = ibm.service.identities.api_key
    assert credentials.identity(context(api_key=key)) == "an IAM API key"
    assert "default" in credentials.identity(context())
    assert credentials.identity(context(trusted_profile="cluster")) == "trusted profile cluster"


@pytest.mark.parametrize("kind", list(Kind))
def test_permissions_that_can_be_tried_are(context: Contexts, kind: Kind) -> None:
    found = access.report(context(), Purpose.ADDRESSES, kind).permissions
    needed = access.NEEDED[kind]
    assert {p.name: p.granted for p in found} == {
        **dict.fromkeys(needed.reads, Verdict.YES),
        **dict.fromkeys(needed.changes, Verdict.CANNOT_TELL),
    }


def test_a_read_that_is_refused_is_named(ibm: IbmEmulator, context: Contexts) -> None:
    ibm.account.behaviour.denied = ("interfaces.list",)
    found = {p.name: p.granted for p in access.report(context(), Purpose.ADDRESSES, Kind.PRIVATE).permissions}
    assert found["is.virtual-network-interface.virtual-network-interface.read"] is Verdict.NO
    assert found["is.subnet.subnet.read"] is Verdict.YES


def test_routes_need_tables(context: Contexts) -> None:
    with pytest.raises(CloudhaError, match="route_tables"):
        access.report(context(route_tables=None), Purpose.ADDRESSES, Kind.ROUTE)


def test_no_file_is_needed_and_none_is_left_where_the_cache_cannot_be(context: Contexts, cache_directory: Path) -> None:
    cache_directory.parent.chmod(0o777)
    assert listed(context()) == {"n1", "n2"}
    assert token_cache.read(credentials._name(context())) is None
    assert not list(cache_directory.parent.iterdir())
