"""The hooks that floating addresses stand on: who holds one, who am I, moving it."""
# ruff: noqa: S101 - asserts are what a test kit is made of

from __future__ import annotations

import pytest

from cloudha.errors import Conflict, LocalConfigurationError, Unavailable
from cloudha.testing.conformance.checks import Checks
from cloudha.testing.conformance.cloud import Capability, TestCloud
from cloudha.testing.conformance.hooks import Hooks
from cloudha.testing.conformance.waiting import eventually, stays
from cloudha.types import IPAddress, Kind, Purpose, Verdict

__all__ = ["AddressChecks"]


class AddressChecks(Checks):
    """Checks of list_ips, bind_ip, unbind_ip, local_node, local_evidence and, for addresses, check_access."""

    def test_list_ips_says_who_holds_it(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """Start, stop and monitor are verified by it."""
        for ip, machine in zip(cloud.addresses(kind, 4), cloud.machines, strict=True):
            cloud.give(kind, ip, machine.id)
        for ip, machine in zip(cloud.addresses(kind, 4), cloud.machines, strict=True):
            assert hooks.list_ips(kind, ip).get(ip) == machine.id

    def test_list_ips_says_that_nobody_holds_it(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """A stop succeeds by that answer, and the address may then be bound elsewhere."""
        assert not hooks.list_ips(kind, cloud.addresses(kind, 4)[0])

    def test_list_ips_compares_addresses_not_text(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """10.0.0.1 is no part of 10.0.0.10: a neighbour's address must not keep a resource "running"."""
        first, second = cloud.addresses(kind, 4)
        cloud.give(kind, second, cloud.machines[0].id)
        assert first not in hooks.list_ips(kind, first)
        cloud.give(kind, second, None)
        cloud.give(kind, first, cloud.machines[0].id)
        assert second not in hooks.list_ips(kind, second)

    def test_list_ips_without_an_address_shows_all(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """What people and tools look at; an address left out looks free."""
        first, second = cloud.addresses(kind, 4)
        cloud.give(kind, first, cloud.machines[0].id)
        cloud.give(kind, second, cloud.machines[1].id)
        held = hooks.list_ips(kind, None)
        assert (held.get(first), held.get(second)) == tuple(machine.id for machine in cloud.machines)

    def test_list_ips_is_complete_over_all_pages(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """An address on the second page is held as well, and a listing must end."""
        self.need(Capability.PAGING)
        crowd = cloud.crowd_addresses(kind)
        assert crowd.items() <= hooks.list_ips(kind, None).items()
        for ip, machine_id in list(crowd.items())[-1:]:
            assert hooks.list_ips(kind, ip).get(ip) == machine_id

    def test_list_ips_is_asked_of_the_cloud_every_time(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """The host polls it until a move has happened; a remembered answer would never change."""
        hooks.keep_context()
        ip = cloud.addresses(kind, 4)[0]
        assert not hooks.list_ips(kind, ip)
        for machine in cloud.machines:
            cloud.give(kind, ip, machine.id)
            assert hooks.list_ips(kind, ip).get(ip) == machine.id

    def test_bind_ip_binds_a_free_address(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """The first start."""
        self._binds(kind, hooks, cloud, cloud.addresses(kind, 4)[0])

    def test_bind_ip_again_is_success(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """The host repeats a request whose answer was lost, and Pacemaker starts what is already started."""
        ip = cloud.addresses(kind, 4)[0]
        cloud.give(kind, ip, cloud.machines[0].id)
        self._binds(kind, hooks, cloud, ip)

    def test_bind_ip_moves_it_from_another_machine(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """A failover: the dead node still holds the address in the cloud."""
        ip = cloud.addresses(kind, 4)[0]
        cloud.give(kind, ip, cloud.machines[1].id)
        self._binds(kind, hooks, cloud, ip)

    def test_bind_ip_moves_it_from_a_machine_that_is_off(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """A failover after fencing: most clouds leave the address with the stopped machine."""
        ip = cloud.addresses(kind, 4)[0]
        cloud.give(kind, ip, cloud.machines[1].id)
        cloud.set_power(cloud.machines[1].id, on=False)
        self._binds(kind, hooks, cloud, ip)

    def test_bind_ip_without_move_takes_nothing_away(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """``takeover=never``: the operator's word that another machine keeps what it has."""
        ip = cloud.addresses(kind, 4)[0]
        first, second = cloud.machines
        cloud.give(kind, ip, second.id)
        refused = False
        try:
            hooks.bind(kind, ip, first.id, move=False)
        except Conflict:
            refused = True
        assert stays(lambda: cloud.holder(kind, ip) == second.id), "it was moved"
        assert refused, "bind_ip with move=False was accepted of an address that another machine holds"

    def test_bind_ip_without_move_binds_a_free_address(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """``takeover=never`` still is a start."""
        self._binds(kind, hooks, cloud, cloud.addresses(kind, 4)[0], move=False)

    def test_bind_ip_leaves_other_addresses_alone(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """Clouds that replace a whole list at a time: the machine's other resources lose theirs."""
        ip, other = cloud.addresses(kind, 4)
        cloud.give(kind, other, cloud.machines[0].id)
        self._binds(kind, hooks, cloud, ip)
        assert stays(lambda: cloud.holder(kind, other) == cloud.machines[0].id)

    def test_unbind_ip_unbinds_it(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """A stop. The address survives it, and its neighbour keeps its own."""
        first = cloud.machines[0]
        other, ip = cloud.addresses(kind, 4)
        cloud.give(kind, ip, first.id)
        cloud.give(kind, other, first.id)
        hooks.unbind(kind, ip, first.id)
        assert eventually(lambda: cloud.holder(kind, ip) is None)
        assert stays(lambda: cloud.holder(kind, other) == first.id), "another address was unbound, too"
        assert eventually(lambda: not hooks.list_ips(kind, ip))
        self._binds(kind, hooks, cloud, ip)

    def test_unbind_ip_takes_nothing_from_another_machine(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """A late stop on the old node must not cut off the node that took the address over."""
        ip = cloud.addresses(kind, 4)[0]
        first, second = cloud.machines
        cloud.give(kind, ip, second.id)
        hooks.unbind(kind, ip, first.id)
        assert stays(lambda: cloud.holder(kind, ip) == second.id)

    def test_unbind_ip_again_is_success(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """An error would be a failed stop, and the node would be fenced."""
        hooks.unbind(kind, cloud.addresses(kind, 4)[0], cloud.machines[0].id)

    def test_ipv6_addresses_move_and_are_released(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """IPv6 has many spellings of one address: compared as text, nobody ever holds it."""
        self.need(Capability.IPV6)
        first, second = cloud.machines
        ip, other = cloud.addresses(kind, 6)
        cloud.give(kind, ip, second.id)
        assert hooks.list_ips(kind, ip).get(ip) == second.id
        assert other not in hooks.list_ips(kind, other)
        self._binds(kind, hooks, cloud, ip)
        hooks.unbind(kind, ip, first.id)
        assert eventually(lambda: cloud.holder(kind, ip) is None)
        assert eventually(lambda: not hooks.list_ips(kind, ip))

    def test_local_node_is_the_machine_that_we_are(self, hooks: Hooks, cloud: TestCloud) -> None:
        """Start binds the address to this id; another one would send the service's traffic to the wrong machine."""
        self._need_addresses()
        for machine in cloud.machines:
            cloud.local(machine)
            assert hooks.local_node().id == machine.id

    def test_local_node_elsewhere_is_an_error(self, hooks: Hooks, cloud: TestCloud) -> None:
        """A node that is no machine of this cloud cannot hold the address, and must not claim a machine's id."""
        self._need_addresses()
        cloud.local(None)
        with pytest.raises((LocalConfigurationError, Unavailable)):
            hooks.local_node()

    def test_local_evidence_of_the_holder(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """``yes`` keeps the service where it is while the cloud's API is away; ``no`` would stop it."""
        ip = cloud.addresses(kind, 4)[0]
        for machine in cloud.machines:
            cloud.local(machine)
            cloud.give(kind, ip, machine.id)
            assert hooks.local_evidence(kind, ip).verdict is self._verdict(Verdict.YES)

    def test_local_evidence_of_everybody_else(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """``yes`` without holding the address makes a monitor say "running" where nothing runs."""
        ip, other = cloud.addresses(kind, 4)
        first, second = cloud.machines
        cloud.give(kind, ip, second.id)
        cloud.give(kind, other, first.id)
        cloud.local(first)
        assert hooks.local_evidence(kind, ip).verdict is self._verdict(Verdict.NO)

    def test_local_evidence_follows_a_move(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """Every monitor of an action asks anew; what was true before a move must not be said after it."""
        hooks.keep_context()
        ip = cloud.addresses(kind, 4)[0]
        cloud.local(cloud.machines[0])
        cloud.give(kind, ip, cloud.machines[0].id)
        hooks.local_evidence(kind, ip)
        cloud.give(kind, ip, cloud.machines[1].id)
        assert hooks.local_evidence(kind, ip).verdict is self._verdict(Verdict.NO)

    def test_check_access_for_addresses_is_granted(self, kind: Kind, hooks: Hooks) -> None:
        """validate-all is this call: a permission that is missing shows before the first failover."""
        report = hooks.check_access(Purpose.ADDRESSES, kind)
        assert report.permissions, "no permission is named"
        refused = [permission.name for permission in report.permissions if permission.granted is Verdict.NO]
        assert not refused

    def _binds(self, kind: Kind, hooks: Hooks, cloud: TestCloud, ip: IPAddress, *, move: bool = True) -> None:
        """Bind it to the first machine, and see it there, in truth and by the provider's own answer."""
        first = cloud.machines[0]
        hooks.bind(kind, ip, first.id, move=move)
        assert eventually(lambda: cloud.holder(kind, ip) == first.id), "bind_ip was accepted, and nothing came of it"
        assert eventually(lambda: hooks.list_ips(kind, ip).get(ip) == first.id)

    def _verdict(self, true: Verdict) -> Verdict:
        return Verdict.CANNOT_TELL if Capability.LOCAL_EVIDENCE in self.without else true

    def _need_addresses(self) -> None:
        if not self.kinds:
            pytest.skip("the provider floats no addresses")
