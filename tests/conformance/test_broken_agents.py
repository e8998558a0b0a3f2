"""What only the agents show, and what the checks of the agents say of a provider that lies."""

from __future__ import annotations

import pytest

from broken_provider import Broken, Verdicts, broken, instead

MISTAKES = [
    broken(
        "reads its environment",
        "fence_is_healthy",
        "start_binds_it_here",
        hooks={
            "check_access": """
def check_access(context, purpose, kind):
    import os
    os.environ["HOME"]
    return good.check_access(context, purpose, kind)
""",
            "bind_ip": """
def bind_ip(context, change):
    import os
    os.environ["HOME"]
    return good.bind_ip(context, change)
""",
        },
        select="fence_is_healthy or start_binds or check_access",
    ),
    broken(
        "lies about a stop",
        "stop_is_never_claimed",
        "monitor_never_says_not_running",
        # All three together: an unbinding that is accepted makes a stop true whatever a listing says, and good
        # evidence keeps the host from believing an empty one.
        hooks={
            "local_evidence": """
def local_evidence(context, query):
    return Evidence(Verdict.CANNOT_TELL, "nothing")
""",
            **instead("list_ips", "context, query", "Unavailable", "return BindingPage(())"),
            **instead("unbind_ip", "context, change", "Unavailable", "return Accepted()"),
        },
        select="error and (claimed or monitor_never)",
    ),
    broken(
        "lies about a machine",
        "fence_off_is_never_claimed",
        "fence_query_fails",
        hooks={
            **instead(
                "list_nodes", "context, query", "Unavailable", 'return NodePage((Node("m-0002", "n2", PowerState.ON),))'
            ),
            **instead("power_state", "context, node", "Unavailable", "return PowerReading(node.id, PowerState.OFF)"),
            **instead("power_off", "context, node", "Unavailable", "return Accepted()"),
        },
        select="error and (claimed or query)",
    ),
    broken(
        "lies about a start",
        "start_is_never_claimed",
        hooks={
            **instead("bind_ip", "context, change", "Unavailable", "return Accepted()"),
            "local_evidence": """
def local_evidence(context, query):
    return replace(good.local_evidence(context, query), verdict=Verdict.YES)
""",
        },
        select="error and claimed",
    ),
    broken(
        "says every call is fine",
        "fence_query_fails",
        hooks=instead(
            "check_access",
            "context, purpose, kind",
            "CloudhaError",
            'return AccessReport((Permission("all", Verdict.YES),))',
        ),
        select="forbidden and (claimed or query)",
    ),
    broken(
        "is talkative",
        "fence_is_healthy",
        hooks={
            "check_access": """
def check_access(context, purpose, kind):
    import sys
    print("checking", file=sys.stderr)
    return good.check_access(context, purpose, kind)
"""
        },
        select="fence_is_healthy or fence_status_says",
    ),
    broken(
        "leaks to the log",
        "fence_debugging_shows_no_secret",
        "no_failure_shows_a_secret",
        "a_failure_is_one_readable_line",
        hooks={
            "list_nodes": """
def list_nodes(context, query):
    import sys
    print("token", context.settings.secret("password").reveal(), file=sys.stderr)
    return good.list_nodes(context, query)
"""
        },
        select="fence_debugging or (unauthorized and failure)",
    ),
    broken(
        "holds the interpreter",
        "every_action_ends_in_time",
        # Not even another thread runs then, so that the host cannot end it: the kit must say so.
        hooks=instead("list_ips", "context, query", "Unavailable", "import ctypes; ctypes.PyDLL(None).sleep(60)"),
        tests="    failing_seconds = 3.0\n",
        select="every_action and error",
    ),
]


@pytest.mark.parametrize("case", MISTAKES)
def test_is_found(case: Broken, verdicts: Verdicts) -> None:
    verdict = verdicts[case.mistake].result()
    assert verdict.failed == case.found_by, verdict.output
