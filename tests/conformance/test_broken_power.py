"""Mistakes in the hooks that fencing stands on, each found by the checks that are meant to find it, and no other."""

from __future__ import annotations

import pytest

from broken_provider import Broken, Verdicts, broken, instead

MISTAKES = [
    broken(
        "says off while stopping",
        "power_state_never_says_off_of_a_machine_that_runs",
        hooks={
            "power_state": """
def power_state(context, node):
    reading = good.power_state(context, node)
    return replace(reading, state=PowerState.OFF) if reading.state is PowerState.STOPPING else reading
"""
        },
    ),
    broken(
        "lists as off while stopping",
        "list_nodes_never_says_off_of_a_machine_that_runs",
        hooks={
            "list_nodes": """
def list_nodes(context, query):
    page = good.list_nodes(context, query)
    states = {PowerState.STOPPING: PowerState.OFF}
    return replace(page, nodes=tuple(replace(n, state=states.get(n.state, n.state)) for n in page.nodes))
"""
        },
    ),
    broken(
        "says off of what it does not find",
        "a_missing_machine_is_not_found",
        hooks=instead("power_state", "context, node", "NotFound", "return PowerReading(node.id, PowerState.OFF)"),
    ),
    broken(
        "remembers the power state",
        "power_state_is_asked_of_the_cloud_every_time",
        hooks={
            "power_state": """
def power_state(context, node):
    return context.once(node.id, lambda: good.power_state(context, node))
"""
        },
    ),
    broken(
        "stops both machines",
        "power_off_cuts_that_machine_only",
        hooks={
            "power_off": """
def power_off(context, node):
    good.power_state(context, node)
    for other in good.list_nodes(context, NodeQuery()).nodes:
        accepted = good.power_off(context, other)
    return accepted
"""
        },
    ),
    broken(
        "waits until it is off",
        "power_off_returns_when_accepted",
        hooks={
            "power_off": """
def power_off(context, node):
    import time
    accepted = good.power_off(context, node)
    while not good.power_state(context, node).state.is_off: time.sleep(0.05)
    return accepted
"""
        },
        select="power_off_returns or power_off_cuts or power_off_again",
    ),
    broken(
        "fails when it is off already",
        "power_off_again_is_success",
        hooks={
            "power_off": """
def power_off(context, node):
    if good.power_state(context, node).state is PowerState.OFF: raise Conflict("is off")
    return good.power_off(context, node)
"""
        },
    ),
    broken(
        "returns one of two machines of a name",
        "list_nodes_returns_both_machines_of_one_name",
        hooks={
            "list_nodes": """
def list_nodes(context, query):
    page = good.list_nodes(context, query)
    return NodePage(page.nodes[:1]) if query.plug else page
"""
        },
    ),
    broken(
        "lists the first page only",
        "list_nodes_is_complete_over_all_pages",
        hooks={"list_nodes": "def list_nodes(context, query): return NodePage(good.list_nodes(context, query).nodes)"},
    ),
    broken(
        "lists pages that never end",
        "list_nodes_is_complete_over_all_pages",
        hooks={
            "list_nodes": """
def list_nodes(context, query):
    page = good.list_nodes(context, query)
    return replace(page, next="0") if query.page else page
"""
        },
    ),
]


@pytest.mark.parametrize("case", MISTAKES)
def test_is_found(case: Broken, verdicts: Verdicts) -> None:
    verdict = verdicts[case.mistake].result()
    assert verdict.failed == case.found_by, verdict.output
