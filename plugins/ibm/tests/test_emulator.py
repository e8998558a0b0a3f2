"""The emulated IBM Cloud keeps IBM's rules, and the SDK's own authenticators and models are at home in it."""

from __future__ import annotations

import http.client
import ipaddress
import json
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from ibm_cloud_sdk_core import ApiException
from ibm_cloud_sdk_core.authenticators import BearerTokenAuthenticator, IAMAuthenticator, VPCInstanceAuthenticator
from ibm_vpc import VpcV1

from cloudha.testing.emulator import Reply
from cloudha.types import Kind
from cloudha_plugin_ibm.emulator import IbmEmulator
from cloudha_plugin_ibm.emulator.network import give
from cloudha_plugin_ibm.emulator.sdk_models import problems

Client = Callable[[], VpcV1]
VIP, PUBLIC = ipaddress.ip_address("10.240.0.50"), ipaddress.ip_address("203.0.113.7")


@pytest.fixture
def sdk(ibm: IbmEmulator) -> VpcV1:
    """The SDK as its documentation uses it, with an API key."""
    client = VpcV1("2025-05-06", IAMAuthenticator(ibm.service.identities.api_key, url=ibm.url))
    client.set_service_url(f"{ibm.url}/v1")
    return client


def refusal(call: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(ApiException) as caught:
        call()
    response = caught.value.http_response
    return int(caught.value.status_code), str(response.json()["errors"][0]["code"])


def test_the_sdks_own_authenticators_get_their_tokens(ibm: IbmEmulator) -> None:
    for version in (None, VPCInstanceAuthenticator.__init__.__doc__ and "2025-08-26"):
        more = {"service_version": version} if version else {}
        authenticator = VPCInstanceAuthenticator(iam_profile_name="cluster", url=ibm.url, **more)
        client = VpcV1("2025-05-06", authenticator)
        client.set_service_url(f"{ibm.url}/v1")
        assert len(client.list_instances().get_result()["instances"]) == 2


def test_a_token_expires(ibm: IbmEmulator, sdk: VpcV1) -> None:
    sdk.list_instances()
    ibm.service.identities.expired = True
    assert refusal(sdk.list_instances) == (401, "not_authenticated")
    stranger = VpcV1("2025-05-06", BearerTokenAuthenticator("stranger"))
    stranger.set_service_url(f"{ibm.url}/v1")
    assert refusal(stranger.list_instances) == (401, "not_authenticated")


def test_version_and_generation_are_needed(ibm: IbmEmulator, sdk: VpcV1) -> None:
    sdk.generation = None
    assert refusal(sdk.list_instances) == (400, "bad_field")
    sdk.generation, sdk.version = 2, "yesterday"
    assert refusal(sdk.list_instances) == (400, "bad_field")
    assert ibm.service.identities.logins == 1


def test_a_bound_reserved_ip_cannot_be_bound_elsewhere(ibm: IbmEmulator, sdk: VpcV1) -> None:
    give(ibm.account, Kind.PRIVATE, VIP, "n2")
    (mine,) = ibm.account.interfaces_of("n1")
    item = ibm.account.reserved_at(VIP)
    assert refusal(lambda: sdk.add_virtual_network_interface_ip(mine.id, item.id))[0] == 409
    assert refusal(lambda: sdk.remove_virtual_network_interface_ip(mine.id, item.id)) == (404, "not_found")
    assert refusal(lambda: sdk.remove_virtual_network_interface_ip(mine.id, mine.primary))[0] == 409


def test_the_subnet_and_the_number_of_addresses_are_limits(ibm: IbmEmulator, sdk: VpcV1) -> None:
    (mine,) = ibm.account.interfaces_of("n1")
    machine = ibm.account.world.add("n3", ipaddress.ip_address("10.241.0.13"))  # type: ignore[attr-defined]  # in memory
    ibm.account.adopt(machine)
    elsewhere = ibm.account.reserve(ipaddress.ip_address("10.241.0.50"))
    assert refusal(lambda: sdk.add_virtual_network_interface_ip(mine.id, elsewhere.id))[0] == 400
    for number in range(60, 67):
        item = ibm.account.reserve(ipaddress.ip_address(f"10.240.0.{number}"))
        sdk.add_virtual_network_interface_ip(mine.id, item.id)
    one_more = ibm.account.reserved_at(VIP).id
    assert refusal(lambda: sdk.add_virtual_network_interface_ip(mine.id, one_more)) == (400, "over_quota")


def test_auto_delete_destroys(ibm: IbmEmulator, sdk: VpcV1) -> None:
    give(ibm.account, Kind.PRIVATE, VIP, "n1")
    item = ibm.account.reserved_at(VIP)
    item.auto_delete = True
    assert sdk.remove_virtual_network_interface_ip(item.interface, item.id).get_status_code() == 204
    subnet = next(iter(ibm.account.subnets))
    found = sdk.list_subnet_reserved_ips(subnet).get_result()["reserved_ips"]
    assert item.id not in {one["id"] for one in found}
    assert len(found) == 7, "five of IBM's own, and one for each machine"


def test_a_floating_ip_moves_within_its_zone_to_a_free_interface(ibm: IbmEmulator, sdk: VpcV1) -> None:
    account = ibm.account
    item = account.floating_at(PUBLIC)
    (mine,), (other,) = account.interfaces_of("n1"), account.interfaces_of("n2")
    for interface in (mine, other):
        moved = sdk.update_floating_ip(item.id, {"target": {"id": interface.id}}).get_result()
        assert moved["target"]["id"] == interface.id
    second = account.add_floating(ipaddress.ip_address("203.0.113.8"))
    assert refusal(lambda: sdk.update_floating_ip(second.id, {"target": {"id": other.id}}))[0] == 409
    second.zone = "us-south-2"
    assert refusal(lambda: sdk.update_floating_ip(second.id, {"target": {"id": mine.id}}))[0] == 400
    assert refusal(lambda: sdk.remove_network_interface_floating_ip(mine.id, item.id)) == (404, "not_found")
    sdk.remove_network_interface_floating_ip(other.id, item.id)
    assert account.holder(Kind.PUBLIC, PUBLIC) is None


def test_routes_have_names_of_their_own_and_two_may_be_alike(ibm: IbmEmulator, sdk: VpcV1) -> None:
    table = ibm.account.table

    def create(name: str) -> object:
        zone = {"name": "us-south-1"}
        hop = {"address": "10.240.0.11"}
        return sdk.create_vpc_routing_table_route(
            table.vpc, table.id, "198.51.100.1/32", zone, action="deliver", name=name, next_hop=hop
        )

    create("one")
    assert refusal(lambda: create("one"))[0] == 409
    create("two")
    assert refusal(lambda: create("three"))[0] == 409
    table.routes[-1].origin = "service"
    changed = {"next_hop": {"address": "10.240.0.12"}}
    assert (
        refusal(lambda: sdk.update_vpc_routing_table_route(table.vpc, table.id, table.routes[-1].id, changed))[0] == 409
    )


def test_pages_have_links(ibm: IbmEmulator, sdk: VpcV1) -> None:
    ibm.account.behaviour.page = 1
    first = sdk.list_instances().get_result()
    assert (first["limit"], first["total_count"], len(first["instances"])) == (1, 2, 1)
    assert "start=1" in first["next"]["href"]
    assert "next" not in sdk.list_instances(start="1").get_result()


def test_what_the_models_do_not_know_is_found() -> None:
    good = {"address": "10.0.0.1", "href": "h", "id": "i", "name": "n", "resource_type": "subnet_reserved_ip"}

    def found(operation: str, document: object, status: int = 200) -> list[str]:
        return problems(operation, Reply.json(document, status=status))

    assert not found("reserved_ips.bind", good)
    assert found("reserved_ips.bind", {**good, "more": 1})
    assert found("reserved_ips.bind", {k: v for k, v in good.items() if k != "name"})
    assert found("something.new", good)
    assert found("reserved_ips.bind", {"error": "x"}, 409)


def test_every_kind_of_holder_goes_through_its_model(ibm: IbmEmulator, sdk: VpcV1) -> None:
    account = ibm.account
    subnet = next(iter(account.subnets.values()))
    account.reserved_at(VIP).other = "load_balancer"
    account.floating_at(PUBLIC).gateway = True
    share = account.add_interface("share", "02:00:00:00:00:99", ipaddress.ip_address("10.240.0.99"), subnet)
    share.share = True
    account.machines["n1"].scaled = account.machines["n1"].spot = True
    # The fixture holds every answer to the models.
    sdk.list_instances()
    sdk.list_virtual_network_interfaces()
    sdk.list_subnet_reserved_ips(subnet.id)
    sdk.list_floating_ips()
    sdk.list_vpcs()
    sdk.list_vpc_routing_tables(account.vpc.id)


def admin(ibm: IbmEmulator, method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection(urlsplit(ibm.url).netloc, timeout=10)
    connection.request(method, f"/_emulator/{path}", json.dumps(body) if body is not None else None)
    response = connection.getresponse()
    found = response.status, json.loads(response.read())
    connection.close()
    return found


def test_the_administration(ibm: IbmEmulator) -> None:
    give(ibm.account, Kind.PRIVATE, VIP, "n1")
    assert admin(ibm, "DELETE", f"addresses/{VIP}")[0] == 200
    assert ibm.account.holder(Kind.PRIVATE, VIP) is None
    assert admin(ibm, "DELETE", "addresses/10.9.9.9")[0] == 400
    assert admin(ibm, "POST", "behaviour", {"stop": 3})[1]["stop"] == 3.0
    assert admin(ibm, "POST", "behaviour", {"stop": -1})[0] == 400
    assert admin(ibm, "POST", "behaviour", {"nonsense": 1})[0] == 400
    assert admin(ibm, "POST", "myself", {"machine": "n2"})[0] == 200
    assert ibm.account.myself == "n2"
    assert admin(ibm, "POST", "myself", {"machine": "n9"})[0] == 400
    truth = admin(ibm, "GET", "truth")[1]
    assert len(truth["instances"]) == 2  # type: ignore[arg-type]  # a list
    assert admin(ibm, "POST", "reset")[0] == 200
    assert ibm.account.behaviour.stop == 0.2
