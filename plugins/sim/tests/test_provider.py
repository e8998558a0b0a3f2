"""The provider over real HTTP: every hook, every fault."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import pytest

from cloudha.provider import (
    AccessDenied,
    AccessReport,
    AddressChange,
    AddressQuery,
    Binding,
    CloudhaError,
    ConfigurationError,
    Conflict,
    Context,
    Kind,
    LocalConfigurationError,
    Node,
    NodeQuery,
    NotFound,
    Permission,
    PowerState,
    Purpose,
    Unavailable,
    Verdict,
)
from cloudha.testing.emulator import Effect, Fault
from cloudha.testing.emulator.client import Client, eventually
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha_plugin_sim import provider
from cloudha_plugin_sim.emulator import API_ONLY, SimEmulator

MakeContext = Callable[..., Context]

N1, N2 = Node("m-0001", "n1"), Node("m-0002", "n2")
VIP = ipaddress.ip_address("10.77.0.100")
PUBLIC = ipaddress.ip_address("203.0.113.7")

API_HOOKS: dict[str, Callable[[Context], object]] = {
    "list_nodes": lambda context: provider.list_nodes(context, NodeQuery("n1")),
    "power_state": lambda context: provider.power_state(context, N2),
    "power_off": lambda context: provider.power_off(context, N2),
    "power_on": lambda context: provider.power_on(context, N2),
    "list_ips": lambda context: provider.list_ips(context, AddressQuery(Kind.PRIVATE, VIP)),
    "bind_ip": lambda context: provider.bind_ip(context, AddressChange(Kind.PRIVATE, VIP, N1.id)),
    "unbind_ip": lambda context: provider.unbind_ip(context, AddressChange(Kind.PRIVATE, VIP, N1.id)),
    "check_access": lambda context: provider.check_access(context, Purpose.FENCING, Kind.PRIVATE),
}
MEANING: dict[Effect, type[CloudhaError]] = {
    Effect.THROTTLE: Unavailable,
    Effect.ERROR: Unavailable,
    Effect.UNAUTHORIZED: AccessDenied,
    Effect.EXPIRED: AccessDenied,
    Effect.FORBIDDEN: AccessDenied,
    Effect.NOT_FOUND: NotFound,
    Effect.CONFLICT: Conflict,
    Effect.HANG: Unavailable,
    Effect.REFUSE: Unavailable,
    Effect.CUT: Unavailable,
    Effect.DRIP: Unavailable,
    Effect.GARBAGE: Unavailable,
    Effect.MISSING: Unavailable,
}


@pytest.mark.parametrize("hook", API_HOOKS)
@pytest.mark.parametrize("effect", MEANING)
def test_every_fault_is_the_right_error(sim: SimEmulator, context: MakeContext, hook: str, effect: Effect) -> None:
    number = sim.fault(Fault(API_ONLY, effect))
    with pytest.raises(MEANING[effect]) as caught:
        API_HOOKS[hook](context(read_seconds=0.2))
    assert sim.server.faults.hits(number) == 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("hook", API_HOOKS)
def test_nobody_listening(sim: SimEmulator, context: MakeContext, hook: str) -> None:
    sim.fault(Fault("*", Effect.REFUSE))
    with pytest.raises(Unavailable, match=f"127.0.0.1:{sim.server.port} refused the connection"):
        API_HOOKS[hook](context())


@pytest.mark.parametrize("hook", API_HOOKS)
def test_slow_is_not_broken(sim: SimEmulator, context: MakeContext, hook: str) -> None:
    sim.fault(Fault("*", Effect.DELAY, delay=0.02))
    assert API_HOOKS[hook](context()) is not None


@pytest.mark.parametrize("effect", MEANING)
def test_metadata_faults(sim: SimEmulator, context: MakeContext, effect: Effect) -> None:
    expected = LocalConfigurationError if effect is Effect.NOT_FOUND else MEANING[effect]
    sim.fault(Fault("metadata.*", effect))
    with pytest.raises(expected):
        provider.local_node(context(read_seconds=0.2))
    if effect is not Effect.CONFLICT:
        evidence = provider.local_evidence(context(read_seconds=0.2), AddressQuery(Kind.PRIVATE, VIP))
        assert evidence.verdict is Verdict.CANNOT_TELL
        assert evidence.source
    assert provider.list_nodes(context(), NodeQuery()).nodes


def test_empty_metadata_is_no_evidence(sim: SimEmulator, context: MakeContext) -> None:
    sim.fault(Fault("metadata.*", Effect.EMPTY))
    evidence = provider.local_evidence(context(), AddressQuery(Kind.PRIVATE, VIP))
    assert evidence.verdict is Verdict.CANNOT_TELL
    sim.server.faults.clear()
    one_action = context()
    provider.local_evidence(one_action, AddressQuery(Kind.PRIVATE, VIP))
    sim.fault(Fault("metadata.*", Effect.EMPTY))
    assert provider.local_evidence(one_action, AddressQuery(Kind.PRIVATE, VIP)).verdict is Verdict.CANNOT_TELL


@pytest.mark.parametrize("name", ["id", "state", "name", "group", "nics", "address", "next", "machines"])
def test_each_missing_field_of_a_machine_counts(sim: SimEmulator, context: MakeContext, name: str) -> None:
    sim.fault(Fault("machines.list", Effect.MISSING, fields=(name,)))
    with pytest.raises(Unavailable, match=name):
        provider.list_nodes(context(), NodeQuery())


@pytest.mark.parametrize("name", ["ip", "machine", "where", "next", "addresses"])
def test_each_missing_field_of_an_address_counts(sim: SimEmulator, context: MakeContext, name: str) -> None:
    sim.fault(Fault("addresses.list", Effect.MISSING, fields=(name,)))
    with pytest.raises(Unavailable, match=name):
        provider.list_ips(context(), AddressQuery(Kind.PRIVATE))


def test_throttling_passes_on_retry_after(sim: SimEmulator, context: MakeContext) -> None:
    sim.fault(Fault("power_off", Effect.THROTTLE, retry_after=4))
    with pytest.raises(Unavailable) as caught:
        provider.power_off(context(), N2)
    assert caught.value.retry_after == 4
    assert caught.value.request_id.startswith("sim-")


def test_a_lost_answer_and_the_repeat(sim: SimEmulator, context: MakeContext, world: MemoryWorld) -> None:
    sim.fault(Fault("addresses.bind", Effect.HANG, performed=True, count=1))
    change = AddressChange(Kind.PRIVATE, VIP, N2.id)
    with pytest.raises(Unavailable):
        provider.bind_ip(context(read_seconds=0.2), change)
    assert world.routes() == {VIP: "n2"}
    assert provider.bind_ip(context(), change).request_ids
    assert world.routes() == {VIP: "n2"}


def test_power(context: MakeContext, world: MemoryWorld) -> None:
    def state() -> PowerState:
        return provider.power_state(context(), N2).state

    assert state() is PowerState.ON
    accepted = provider.power_off(context(), N2)
    assert accepted.request_ids[0].startswith("sim-")
    eventually(lambda: state() is PowerState.OFF)
    assert not world.powered("n2")
    provider.power_off(context(), N2)
    assert state() is PowerState.OFF
    provider.power_on(context(), N2)
    eventually(lambda: state() is PowerState.ON)
    assert world.powered("n2")
    provider.power_on(context(), N2)


def test_power_in_transition(sim: SimEmulator, context: MakeContext, world: MemoryWorld) -> None:
    sim.cloud.behaviour.stop = 60
    provider.power_off(context(), N2)
    reading = provider.power_state(context(), N2)
    assert (reading.state, reading.raw, reading.node_id) == (PowerState.STOPPING, "stopping", N2.id)
    assert world.powered("n2")
    provider.power_off(context(), N2)
    with pytest.raises(Conflict, match="stopping"):
        provider.power_on(context(), N2)


def test_terminated_is_seen_for_that_id_and_gone_is_not_found(sim: SimEmulator, context: MakeContext) -> None:
    sim.cloud.terminate(N2.id)
    eventually(lambda: provider.power_state(context(), N2).state is PowerState.TERMINATED)
    provider.power_off(context(), N2)
    sim.cloud.remove(N2.id)
    with pytest.raises(NotFound):
        provider.power_state(context(), N2)
    with pytest.raises(NotFound):
        provider.power_off(context(), N2)


@pytest.mark.parametrize("plug", ["m-0002", "n2", "10.77.0.12"])
def test_a_plug_is_an_id_a_name_or_an_address(context: MakeContext, plug: str) -> None:
    (node,) = provider.list_nodes(context(), NodeQuery(plug)).nodes
    assert (node.id, node.name, node.state) == ("m-0002", "n2", PowerState.ON)
    assert node.addresses == (ipaddress.ip_address("10.77.0.12"),)
    assert node.warnings == ()


@pytest.mark.parametrize("plug", ["m-000", "n", "10.77.0.1", "n2,n1", "n 2&page=7", "ñ"])
def test_a_plug_that_is_nobody(context: MakeContext, plug: str) -> None:
    assert provider.list_nodes(context(), NodeQuery(plug)).nodes == ()


def test_two_of_a_name_are_both_told(client: Client, context: MakeContext) -> None:
    client.admin("POST", "machines", {"name": "n2"})
    nodes = provider.list_nodes(context(), NodeQuery("n2")).nodes
    assert [node.id for node in nodes] == ["m-0002", "m-0003"]


def test_a_scaling_group_is_a_warning(client: Client, context: MakeContext) -> None:
    client.admin("POST", "machines/m-0002/describe", {"group": "web"})
    (node,) = provider.list_nodes(context(), NodeQuery("n2")).nodes
    assert "web" in node.warnings[0]


def test_pages(sim: SimEmulator, world: MemoryWorld, context: MakeContext) -> None:
    for number in range(118):
        sim.cloud.adopt(world.add(f"x{number}").name)
    page = provider.list_nodes(context(), NodeQuery())
    seen = [node.id for node in page.nodes]
    assert len(seen) == 50
    while page.next is not None:
        page = provider.list_nodes(context(), NodeQuery(page=page.next))
        seen += [node.id for node in page.nodes]
    assert len(seen) == len(set(seen)) == 120
    addresses = provider.list_ips(context(), AddressQuery(Kind.PRIVATE))
    assert len(addresses.bindings) == 50
    assert addresses.next is not None
    assert len(provider.list_ips(context(), AddressQuery(Kind.PRIVATE, page=addresses.next)).bindings) == 50


@pytest.mark.parametrize(
    ("kind", "ip"),
    [
        (Kind.PRIVATE, VIP),
        (Kind.PRIVATE, ipaddress.ip_address("fd00::100")),
        (Kind.PUBLIC, PUBLIC),
        (Kind.ROUTE, VIP),
        (Kind.ROUTE, ipaddress.ip_address("fd00::100")),
    ],
)
def test_an_address_moves(context: MakeContext, world: MemoryWorld, kind: Kind, ip: ipaddress.IPv4Address) -> None:
    def holder() -> str | None:
        (binding,) = provider.list_ips(context(), AddressQuery(kind, ip)).bindings
        assert binding.ip == ip
        return binding.node_id

    def evidence() -> Verdict:
        return provider.local_evidence(context(), AddressQuery(kind, ip)).verdict

    assert evidence() is Verdict.NO
    provider.bind_ip(context(), AddressChange(kind, ip, N1.id))
    assert (holder(), evidence(), world.routes()) == (N1.id, Verdict.YES, {ip: "n1"})
    provider.bind_ip(context(), AddressChange(kind, ip, N1.id))
    with pytest.raises(Conflict, match="m-0001"):
        provider.bind_ip(context(), AddressChange(kind, ip, N2.id, move=False))
    assert holder() == N1.id
    provider.bind_ip(context(), AddressChange(kind, ip, N2.id))
    assert (holder(), evidence(), world.routes()) == (N2.id, Verdict.NO, {ip: "n2"})
    provider.unbind_ip(context(), AddressChange(kind, ip, N1.id))
    assert holder() == N2.id
    provider.unbind_ip(context(), AddressChange(kind, ip, N2.id))
    provider.unbind_ip(context(), AddressChange(kind, ip, N2.id))
    assert (holder(), evidence(), world.routes()) == (None, Verdict.NO, {})


def test_an_address_is_no_text(context: MakeContext) -> None:
    ten = ipaddress.ip_address("10.77.0.100")
    one = ipaddress.ip_address("10.77.0.10")
    provider.bind_ip(context(), AddressChange(Kind.PRIVATE, ten, N1.id))
    assert provider.list_ips(context(), AddressQuery(Kind.PRIVATE, one)).bindings == ()
    assert provider.local_evidence(context(), AddressQuery(Kind.PRIVATE, one)).verdict is Verdict.NO
    long_form = ipaddress.ip_address("FD00:0:0::0100")
    provider.bind_ip(context(), AddressChange(Kind.PRIVATE, long_form, N1.id))
    short_form = ipaddress.ip_address("fd00::100")
    bindings = provider.list_ips(context(), AddressQuery(Kind.PRIVATE, short_form)).bindings
    assert bindings == (Binding(short_form, N1.id, "nic-0001-0"),)
    assert provider.local_evidence(context(), AddressQuery(Kind.PRIVATE, short_form)).verdict is Verdict.YES


def test_kinds_are_apart(context: MakeContext) -> None:
    provider.bind_ip(context(), AddressChange(Kind.PRIVATE, VIP, N1.id))
    assert provider.list_ips(context(), AddressQuery(Kind.ROUTE, VIP)).bindings == ()
    assert provider.local_evidence(context(), AddressQuery(Kind.ROUTE, VIP)).verdict is Verdict.NO
    with pytest.raises(Conflict, match="another kind"):
        provider.bind_ip(context(), AddressChange(Kind.ROUTE, VIP, N1.id))


def test_a_public_address_must_be_there(context: MakeContext) -> None:
    change = AddressChange(Kind.PUBLIC, ipaddress.ip_address("203.0.113.8"), N1.id)
    with pytest.raises(NotFound):
        provider.bind_ip(context(), change)
    with pytest.raises(NotFound):
        provider.unbind_ip(context(), change)


def test_the_nic_that_was_chosen(sim: SimEmulator, context: MakeContext) -> None:
    sim.cloud.add_nic(N1.id, "02:AA:00:00:00:01", ipaddress.ip_address("10.78.0.11"))
    provider.bind_ip(context(), AddressChange(Kind.PRIVATE, VIP, N1.id, mac="02:aa:00:00:00:01"))
    (binding,) = provider.list_ips(context(), AddressQuery(Kind.PRIVATE, VIP)).bindings
    assert binding.where == "nic-0001-1"
    with pytest.raises(NotFound, match="NIC"):
        provider.bind_ip(context(), AddressChange(Kind.PRIVATE, VIP, N1.id, mac="02:ff:00:00:00:01"))


def test_a_monitor_costs_one_request_and_knows_who_we_are(sim: SimEmulator, context: MakeContext) -> None:
    one_action = context()
    provider.local_evidence(one_action, AddressQuery(Kind.PRIVATE, VIP))
    assert provider.local_node(one_action).id == N1.id
    assert sim.server.journal.operations() == ("metadata.self",)


def test_evidence_is_never_older_than_a_change(sim: SimEmulator, context: MakeContext) -> None:
    query = AddressQuery(Kind.PRIVATE, VIP)
    one_action = context()
    provider.local_node(one_action)
    provider.bind_ip(one_action, AddressChange(Kind.PRIVATE, VIP, N1.id))
    assert provider.local_evidence(one_action, query).verdict is Verdict.YES
    sim.cloud.bind(Kind.PRIVATE, VIP, N2.id)
    assert provider.local_evidence(one_action, query).verdict is Verdict.NO


def test_evidence_is_about_this_machine_only(sim: SimEmulator, client: Client, context: MakeContext) -> None:
    sim.cloud.bind(Kind.PRIVATE, VIP, N1.id)
    other = AddressQuery(Kind.PRIVATE, VIP, node_id=N2.id)
    assert provider.local_evidence(context(), other).verdict is Verdict.CANNOT_TELL
    client.admin("POST", "callers", {"caller": "127.0.0.1", "address": "10.77.0.12"})
    assert provider.local_node(context()).id == N2.id
    assert provider.local_evidence(context(), other).verdict is Verdict.NO
    client.admin("POST", "callers", {"caller": "127.0.0.1", "address": "10.99.0.1"})
    with pytest.raises(LocalConfigurationError):
        provider.local_node(context())
    assert provider.local_evidence(context(), other).verdict is Verdict.CANNOT_TELL


def test_metadata_has_an_endpoint_of_its_own(sim: SimEmulator, context: MakeContext) -> None:
    away = context(endpoint="http://127.0.0.1:1", metadata_endpoint=sim.url)
    assert provider.local_node(away).id == N1.id
    with pytest.raises(Unavailable):
        provider.power_state(away, N1)


def test_access(sim: SimEmulator, context: MakeContext) -> None:
    report = provider.check_access(context(), Purpose.FENCING, Kind.PRIVATE)
    yes = Verdict.YES
    assert report == AccessReport((Permission("machines.read", yes), Permission("machines.power", yes)), "anybody")
    sim.cloud.behaviour.denied = ("machines.power",)
    report = provider.check_access(context(), Purpose.FENCING, Kind.PRIVATE)
    assert [p.granted for p in report.permissions] == [Verdict.YES, Verdict.NO]
    with pytest.raises(AccessDenied, match=r"machines\.power"):
        provider.power_off(context(), N2)
    assert [p.name for p in provider.check_access(context(), Purpose.ADDRESSES, Kind.PRIVATE).permissions] == [
        "addresses.read",
        "addresses.write",
    ]


@pytest.mark.parametrize("hook", API_HOOKS)
def test_token(sim: SimEmulator, context: MakeContext, hook: str) -> None:
    sim.api.token = "s3cret"
    for wrong in ("", "s3cre", "s3cret2"):
        with pytest.raises(AccessDenied) as caught:
            API_HOOKS[hook](context(token=wrong))
        assert "s3cre" not in str(caught.value)
    assert API_HOOKS[hook](context(token="s3cret")) is not None
    sim.api.token_expired = True
    with pytest.raises(AccessDenied, match="expired"):
        API_HOOKS[hook](context(token="s3cret"))
    assert provider.local_node(context()).id == N1.id


@pytest.mark.parametrize("token", ["line\nend", "nul\0", "ünïcode"])
def test_a_token_that_cannot_be_sent_is_not_shown(context: MakeContext, token: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        provider.power_state(context(token=token), N1)
    assert token not in str(caught.value)


def test_info() -> None:
    info = provider.provider_info()
    assert info.kinds == tuple(Kind)
    assert [(option.name, option.secret) for option in info.options] == [("password", True)]


def test_stale_reads(sim: SimEmulator, context: MakeContext) -> None:
    sim.cloud.bind(Kind.PRIVATE, VIP, N1.id)
    sim.fault(Fault("addresses.list", Effect.STALE, age=3600))
    assert provider.list_ips(context(), AddressQuery(Kind.PRIVATE, VIP)).bindings == ()
    assert provider.local_evidence(context(), AddressQuery(Kind.PRIVATE, VIP)).verdict is Verdict.YES
