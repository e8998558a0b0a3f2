"""The cloud's HTTP API and its administration, spoken plainly."""

from __future__ import annotations

import ipaddress

import pytest

from cloudha.provider import Kind
from cloudha.testing.emulator.client import Client, eventually
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha_plugin_sim.emulator import SimEmulator

VIP = "10.77.0.100"


def test_every_answer_has_a_request_id(client: Client) -> None:
    ids = {client("GET", path).headers["x-request-id"] for path in ("/v1/machines", "/nowhere", "/metadata/v1/self")}
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("method", "path", "document", "status"),
    [
        ("GET", "/v1/machines/m-9999", None, 404),
        ("DELETE", "/v1/machines", None, 404),
        ("GET", "/v1/addresses?kind=blue", None, 400),
        ("GET", "/v1/addresses?ip=10.0.0", None, 400),
        ("GET", "/v1/machines?page=x", None, 400),
        ("GET", "/v1/machines?limit=1001", None, 400),
        ("POST", "/v1/addresses/private/10.77.0.100/bind", {"machine": "m-0001", "move": "no"}, 400),
        ("POST", "/v1/addresses/private/10.77.0.100/bind", {"machine": "m-9999"}, 404),
        ("POST", "/v1/addresses/private/10.77.0/bind", {"machine": "m-0001"}, 400),
        ("POST", "/v1/addresses/private/10.77.0.100/bind", ["m-0001"], 400),
        ("POST", "/_emulator/behaviour", {"stop": -1}, 400),
        ("POST", "/_emulator/behaviour", {"colour": 1}, 400),
        ("POST", "/_emulator/machines", {}, 400),
        ("POST", "/_emulator/machines/m-9999/terminate", None, 404),
    ],
)
def test_refusals(client: Client, method: str, path: str, document: object, status: int) -> None:
    response = client(method, path, document)
    assert response.status == status
    assert response.json()["error"]["message"]


def test_pages_and_limits(client: Client) -> None:
    first = client("GET", "/v1/machines?limit=1").json()
    assert [m["id"] for m in first["machines"]] == ["m-0001"]
    second = client("GET", f"/v1/machines?limit=1&page={first['next']}").json()
    assert [m["id"] for m in second["machines"]] == ["m-0002"]
    assert second["next"] is None


def test_throttling_is_per_caller_and_leaves_metadata_alone(sim: SimEmulator, client: Client) -> None:
    client.admin("POST", "behaviour", {"rate": 0.001, "burst": 2})
    assert [client("GET", "/v1/machines").status for _ in range(3)] == [200, 200, 429]
    assert float(client("GET", "/v1/machines").headers["retry-after"]) > 1
    assert client("GET", "/metadata/v1/self").status == 200
    client.admin("POST", "reset")
    assert client("GET", "/v1/machines").status == 200
    assert sim.cloud.behaviour.rate == 0


def test_metadata_knows_the_caller(sim: SimEmulator, client: Client) -> None:
    sim.cloud.bind(Kind.PRIVATE, ipaddress.ip_address(VIP), "m-0001")
    seen = client("GET", "/metadata/v1/self").json()
    assert (seen["id"], seen["nics"][0]["address"]) == ("m-0001", "127.0.0.1")
    assert [(a["ip"], a["machine"], a["own"]) for a in seen["addresses"]] == [
        (VIP, "m-0001", False),
        ("127.0.0.1", "m-0001", True),
    ]


def test_truth_against_answers(sim: SimEmulator, client: Client) -> None:
    client.admin("POST", "behaviour", {"stale": 3600})
    sim.cloud.bind(Kind.PRIVATE, ipaddress.ip_address(VIP), "m-0002")
    assert client("GET", f"/v1/addresses?ip={VIP}").json()["addresses"] == []
    truth = client.admin("GET", "truth")
    assert [a["machine"] for a in truth["addresses"] if a["ip"] == VIP] == ["m-0002"]
    assert [(m["id"], m["powered"]) for m in truth["machines"]] == [("m-0001", True), ("m-0002", True)]


def test_administration(sim: SimEmulator, client: Client, world: MemoryWorld) -> None:
    added = client.admin("POST", "machines", {"name": "n3", "address": "fd00::13"})
    assert (added["id"], added["nics"][0]["address"]) == ("m-0003", "fd00::13")
    client.admin("POST", "machines/m-0003/nics", {"mac": "02:00:00:00:99:01", "address": "10.78.0.13"})
    assert len(client("GET", "/v1/machines?plug=10.78.0.13").json()["machines"]) == 1
    client.admin("POST", "machines/m-0003/terminate")
    eventually(lambda: client("GET", "/v1/machines/m-0003").json()["state"] == "terminated")
    client.admin("POST", "machines/m-0003/remove")
    assert client("GET", "/v1/machines/m-0003").status == 404
    world.cut_power("n2")
    client.admin("POST", "machines/m-0002/restart", {"after": 0.01})
    eventually(lambda: world.powered("n2"))
    client.admin("PUT", "addresses/public/203.0.113.9")
    assert client("GET", "/v1/addresses?ip=203.0.113.9").json()["addresses"][0]["machine"] is None
    client.admin("DELETE", "addresses/public/203.0.113.9")
    assert client("GET", "/v1/addresses?ip=203.0.113.9").json()["addresses"] == []
    sim.api.token = "t"
    authorized = {"Authorization": "Bearer t"}
    assert client("GET", "/v1/whoami", headers=authorized).json()["identity"] == "token"
    client.admin("POST", "token", {"expired": True})
    assert client("GET", "/v1/whoami", headers=authorized).json()["error"]["code"] == "expired"


def test_options_reach_it(sim: SimEmulator) -> None:
    assert sim.options() == {"endpoint": sim.url}
    sim.api.token = "t"
    assert sim.options() == {"endpoint": sim.url, "password": "t"}
