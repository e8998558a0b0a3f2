"""The emulated OCI is strict where OCI is, and its documents are Oracle's."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from typing import Any

import pytest

from cloudha.lab.world import Emulator
from cloudha.provider import Context
from cloudha.testing.emulator import Effect, Fault, Reply, Request
from cloudha.testing.emulator.client import Client, eventually
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha.types import Kind
from cloudha_plugin_oci import client as real
from cloudha_plugin_oci.client import NETWORK, call
from cloudha_plugin_oci.emulator import OciEmulator, make
from cloudha_plugin_oci.emulator.models import problems
from cloudha_plugin_oci.emulator.records import new_ocid
from cloudha_plugin_oci.provider import provider_info

Contexts = Callable[..., Context]
ip = ipaddress.ip_address
NOTHING = Request("GET", "/", {}, {}, b"", "127.0.0.1")


@pytest.fixture
def plain(oci: OciEmulator) -> Client:
    return Client(oci.url)


def test_it_is_an_emulator_of_the_lab(oci: OciEmulator) -> None:
    found: Emulator = oci
    names = {option.name for option in provider_info().options} | {"endpoint", "identity_endpoint", "metadata_endpoint"}
    assert set(found.options()) <= names


@pytest.mark.parametrize("path", ["/20160918/instances", "/20160918/privateIps", "/20160918/vnics/ocid1.vnic.x"])
def test_without_a_signature_nothing_is_answered(plain: Client, path: str) -> None:
    answer = plain("GET", path)
    assert answer.status == 401
    assert answer.json()["code"] == "NotAuthenticated"


def test_a_signature_holds_for_its_request_only(oci: OciEmulator, plain: Client, context: Contexts) -> None:
    made = context()
    kept: dict[str, str] = {}
    oci.service.watch = lambda operation, request, _: kept.update(request.headers) if operation == "vnics.get" else None
    vnic = oci.account.vnics(oci.account.named("n1")["id"])[0]["id"]
    call(made, NETWORK, "get_vnic", vnic)
    sent = {name: kept[name] for name in ("authorization", "date", "host")}
    assert plain("GET", f"/20160918/vnics/{vnic}", headers=sent).status == 200, "the same request again"
    other = oci.account.vnics(oci.account.named("n2")["id"])[0]["id"]
    assert plain("GET", f"/20160918/vnics/{other}", headers=sent).status == 401, "another path"
    assert plain("GET", f"/20160918/vnics/{vnic}", headers={**sent, "host": "elsewhere"}).status == 401
    assert plain("PUT", f"/20160918/vnics/{vnic}", {}, headers=sent).status in (401, 404), "without its body"


def test_a_body_that_was_changed_is_refused(oci: OciEmulator, plain: Client, context: Contexts) -> None:
    kept: dict[str, str] = {}
    oci.service.watch = lambda operation, request, _: (
        kept.update(request.headers) if operation == "private_ips.create" else None
    )
    vnic = oci.account.vnics(oci.account.named("n1")["id"])[0]["id"]
    call(context(), NETWORK, "create_private_ip", {"ipAddress": "10.0.1.50", "vnicId": vnic})
    names = ("authorization", "date", "host", "x-content-sha256", "content-type")
    answer = plain("POST", "/20160918/privateIps", {"ipAddress": "10.0.1.51"}, headers={n: kept[n] for n in names})
    assert answer.status == 401


def test_if_match_is_enforced(oci: OciEmulator, context: Contexts) -> None:
    from cloudha.provider import Conflict

    table = oci.account.table["id"]
    answer = call(context(), NETWORK, "get_route_table", table)
    oci.account.give(Kind.ROUTE, ip("198.51.100.1"), oci.account.named("n1")["id"])
    with pytest.raises(Conflict, match="NoEtagMatch"):
        call(context(), NETWORK, "update_route_table", table, {"routeRules": []}, if_match=answer.etag)


def test_lists_have_pages(oci: OciEmulator, context: Contexts) -> None:
    oci.account.behaviour.page = 1
    for number in range(3):
        oci.account.give(Kind.PRIVATE, ip(f"10.0.1.{50 + number}"), oci.account.named("n1")["id"])
    subnet = oci.account.subnet["id"]
    found = real.pages(context(), NETWORK, "list_private_ips", subnet_id=subnet)
    assert len({item["id"] for item in found}) == 5
    assert oci.server.journal.operations().count("private_ips.list") == 5


def test_the_metadata_service_wants_its_header(plain: Client) -> None:
    assert plain("GET", "/opc/v2/instance/").status == 403
    found = plain("GET", "/opc/v2/vnics/", headers={"Authorization": "Bearer Oracle"}).json()
    assert set(found[0]) >= {"vnicId", "privateIp", "macAddr", "subnetCidrBlock", "virtualRouterIp"}


def test_the_metadata_never_shows_a_floating_address(oci: OciEmulator, plain: Client) -> None:
    oci.account.give(Kind.PRIVATE, ip("10.0.1.50"), oci.account.named("n1")["id"])
    assert b"10.0.1.50" not in plain("GET", "/opc/v2/vnics/", headers={"Authorization": "Bearer Oracle"}).body


def test_packets_follow_all_three_kinds(oci: OciEmulator, world: MemoryWorld) -> None:
    one, other = oci.account.named("n1")["id"], oci.account.named("n2")["id"]
    kinds = ((Kind.PRIVATE, "10.0.1.50"), (Kind.PRIVATE, "2001:db8:77::5"), (Kind.ROUTE, "198.51.100.1"))
    for kind, text in (*kinds, (Kind.PUBLIC, "203.0.113.7")):
        oci.account.give(kind, ip(text), one)
        assert world.routes()[ip(text)] == "n1"
        oci.account.give(kind, ip(text), other)
        assert world.routes()[ip(text)] == "n2"
        oci.account.give(kind, ip(text), None)
        assert ip(text) not in world.routes()


def test_reads_can_be_stale(oci: OciEmulator, context: Contexts) -> None:
    oci.account.give(Kind.PRIVATE, ip("10.0.1.50"), oci.account.named("n1")["id"])
    oci.account.give(Kind.PRIVATE, ip("10.0.1.50"), oci.account.named("n2")["id"])
    subnet = oci.account.subnet["id"]

    def holder() -> Any:
        (found,) = real.pages(context(), NETWORK, "list_private_ips", subnet_id=subnet, ip_address="10.0.1.50")
        return oci.account.instance_of(found["vnicId"])

    assert holder() == oci.account.named("n2")["id"]
    oci.account.behaviour.stale = 3600.0
    assert real.pages(context(), NETWORK, "list_private_ips", subnet_id=subnet, ip_address="10.0.1.50") == []
    oci.account.behaviour.stale = 0.0
    oci.fault(Fault("private_ips.list", Effect.STALE, age=3600.0))
    assert real.pages(context(), NETWORK, "list_private_ips", subnet_id=subnet, ip_address="10.0.1.50") == []


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"id": "x", "colour": "red"}, "colour is lost"),
        ({"id": "x", "lifecycleState": "RESTING"}, "does not list"),
        ({"id": 7}, "expected to be of type str"),
        ({"skipSourceDestCheck": "yes"}, "came back as"),
    ],
)
def test_the_models_find_what_is_not_oracles(document: dict[str, object], problem: str) -> None:
    found = problems("vnics.get", NOTHING, Reply.json(document))
    assert any(problem in text for text in found), found


def test_the_models_find_what_is_sent_wrongly() -> None:
    request = Request("PUT", "/", {}, {}, json.dumps({"vnic_id": "x"}).encode(), "127.0.0.1")
    assert problems("private_ips.update", request, Reply.json({"id": "x"}))


def test_the_admin_api(oci: OciEmulator, plain: Client, world: MemoryWorld) -> None:
    assert len(plain.admin("GET", "truth")["instance"]) == 2
    assert plain.admin("POST", "behaviour", {"stop": 0, "denied": ["vnics.*"]})["denied"] == ["vnics.*"]
    plain.admin("POST", "machines/n2/stop")
    eventually(lambda: not world.powered("n2"))
    plain.admin("POST", "machines/n2/start")
    eventually(lambda: world.powered("n2"))
    oci.account.give(Kind.PRIVATE, ip("10.0.1.50"), oci.account.named("n1")["id"])
    plain.admin("DELETE", "addresses/10.0.1.50")
    assert oci.account.holder(Kind.PRIVATE, ip("10.0.1.50")) is None
    for path, document in (("behaviour", {"stop": "long"}), ("behaviour", {"speed": 1}), ("myself", {"machine": "n9"})):
        with pytest.raises(RuntimeError, match="400"):
            plain.admin("POST", path, document)
    plain.admin("POST", "reset")
    assert plain.admin("GET", "behaviour")["denied"] == []


def test_callers_are_told_apart_by_their_address() -> None:
    world = MemoryWorld(["n1=127.0.0.1", "n2=127.0.0.2"])
    emulator = make(world, "127.0.0.1", 0).start()
    try:
        answer = Client(emulator.url)("GET", "/opc/v2/instance/", headers={"Authorization": "Bearer Oracle"})
        assert answer.json()["displayName"] == "n1"
    finally:
        emulator.close()


def test_an_unknown_thing_and_a_denied_one_look_the_same(oci: OciEmulator, context: Contexts) -> None:
    from cloudha.provider import NotFound

    with pytest.raises(NotFound) as one:
        call(context(), NETWORK, "get_vnic", new_ocid("vnic"))
    oci.account.behaviour.denied = ("vnics.get",)
    with pytest.raises(NotFound) as other:
        call(context(), NETWORK, "get_vnic", oci.account.vnics(oci.account.named("n1")["id"])[0]["id"])
    assert one.value.cause.split(":")[:2] == other.value.cause.split(":")[:2]
