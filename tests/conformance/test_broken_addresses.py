"""Mistakes in the hooks that addresses stand on, each found by the checks that are meant to find it, and no other."""

from __future__ import annotations

import pytest

from broken_provider import Broken, Verdicts, broken, instead

MISTAKES = [
    broken(
        "compares addresses as text",
        "list_ips_compares_addresses_not_text",
        hooks={
            "list_ips": """
def list_ips(context, query):
    if query.ip is None: return good.list_ips(context, query)
    held, alike = [], []
    page = good.list_ips(context, replace(query, ip=None))
    while True:
        held += [b for b in page.bindings if b.ip == query.ip]
        alike += [Binding(query.ip, b.node_id) for b in page.bindings if str(query.ip) in str(b.ip)]
        if page.next is None: return BindingPage(tuple(held or alike))
        page = good.list_ips(context, replace(query, ip=None, page=page.next))
"""
        },
        # A listing of its own for every question costs more than one request; that is not what is judged here.
        select="list_ips and not [hang and not not_repeated",
    ),
    broken(
        "unbinds what another machine holds",
        "unbind_ip_takes_nothing_from_another_machine",
        hooks={
            "unbind_ip": """
def unbind_ip(context, change):
    held = good.list_ips(context, AddressQuery(change.kind, change.ip)).bindings
    holder = next((b.node_id for b in held if b.node_id), change.node_id)
    return good.unbind_ip(context, replace(change, node_id=holder))
"""
        },
    ),
    broken(
        "unbinds all that a machine has",
        "unbind_ip_unbinds_it",
        hooks={
            "unbind_ip": """
def unbind_ip(context, change):
    page = good.list_ips(context, AddressQuery(change.kind))
    for b in page.bindings:
        if b.node_id == change.node_id and b.where and str(b.ip).startswith("10.77.8."):
            good.unbind_ip(context, replace(change, ip=b.ip))
    return Accepted()
"""
        },
        select="unbind_ip and not ipv6 and test_unbind",
    ),
    broken(
        "moves without leave",
        "bind_ip_without_move_takes_nothing_away",
        hooks={"bind_ip": "def bind_ip(context, change): return good.bind_ip(context, replace(change, move=True))"},
    ),
    broken(
        "does not move",
        "bind_ip_moves_it_from_another_machine",
        "bind_ip_moves_it_from_a_machine_that_is_off",
        "ipv6_addresses_move_and_are_released",
        hooks={"bind_ip": "def bind_ip(context, change): return good.bind_ip(context, replace(change, move=False))"},
    ),
    broken(
        "fails when it is bound already",
        "bind_ip_again_is_success",
        hooks={
            "bind_ip": """
def bind_ip(context, change):
    held = good.list_ips(context, AddressQuery(change.kind, change.ip)).bindings
    if any(b.node_id == change.node_id for b in held): raise Conflict("is bound")
    return good.bind_ip(context, change)
"""
        },
    ),
    broken(
        "accepts and does nothing",
        "bind_ip_binds_a_free_address",
        hooks={
            "bind_ip": """
def bind_ip(context, change):
    good.list_ips(context, AddressQuery(change.kind, change.ip))
    return Accepted()
"""
        },
        select="binds_a_free_address and not without",
    ),
    broken(
        "guesses who it is",
        "local_node_without_metadata_is_unavailable",
        "local_node_elsewhere_is_an_error",
        hooks=instead("local_node", "context", "CloudhaError", 'return Node("m-0001")'),
    ),
    broken(
        "takes no evidence for a yes",
        "local_evidence_without_metadata_is_none",
        hooks={
            "local_evidence": """
def local_evidence(context, query):
    found = good.local_evidence(context, query)
    return Evidence(Verdict.YES) if found.verdict is Verdict.CANNOT_TELL else found
"""
        },
    ),
    broken(
        "takes no evidence for a no",
        "local_evidence_without_metadata_is_none",
        hooks={
            "local_evidence": """
def local_evidence(context, query):
    found = good.local_evidence(context, query)
    return Evidence(Verdict.NO) if found.verdict is Verdict.CANNOT_TELL else found
"""
        },
    ),
    broken(
        "remembers its evidence",
        "local_evidence_follows_a_move",
        hooks={
            "local_evidence": """
def local_evidence(context, query):
    return context.once("evidence", lambda: good.local_evidence(context, query))
"""
        },
    ),
    broken(
        "returns None",
        "unbind_ip_unbinds_it",
        "unbind_ip_takes_nothing_from_another_machine",
        "unbind_ip_again_is_success",
        "ipv6_addresses_move_and_are_released",
        "hooks_print_nothing",
        hooks={"unbind_ip": "def unbind_ip(context, change): good.unbind_ip(context, change)"},
    ),
]


@pytest.mark.parametrize("case", MISTAKES)
def test_is_found(case: Broken, verdicts: Verdicts) -> None:
    verdict = verdicts[case.mistake].result()
    assert verdict.failed == case.found_by, verdict.output
