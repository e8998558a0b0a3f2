"""Mistakes in the treatment of errors, each found by the checks that are meant to find it, and no other."""

from __future__ import annotations

import pytest

from broken_provider import Broken, Verdicts, broken, instead

MISTAKES = [
    broken(
        "takes an error for an empty page",
        "no_usable_answer_is_unavailable",
        hooks=instead("list_ips", "context, query", "Unavailable", "return BindingPage(())"),
    ),
    broken(
        "takes a refusal for an empty page",
        "refused_credentials_are_access_denied",
        hooks=instead("list_nodes", "context, query", "AccessDenied", "return NodePage(())"),
    ),
    broken(
        "calls everything unavailable",
        "refused_credentials_are_access_denied",
        "a_change_that_is_refused_for_now_is_a_conflict",
        hooks=instead(
            "power_off", "context, node", "(AccessDenied, Conflict)", 'raise Unavailable("failed") from None'
        ),
    ),
    broken(
        "lets an exception of its own through",
        "no_usable_answer_is_unavailable",
        hooks=instead("power_state", "context, node", "Unavailable", 'raise KeyError("state") from None'),
    ),
    broken(
        "retries by itself",
        "a_failed_request_is_not_repeated",
        hooks={
            "bind_ip": """
def bind_ip(context, change):
    for tries in range(3):
        try: return good.bind_ip(context, change)
        except Unavailable:
            if tries == 2: raise
"""
        },
    ),
    broken(
        "retries for ever",
        "no_usable_answer_is_unavailable",
        hooks={
            "bind_ip": """
def bind_ip(context, change):
    import time
    while True:
        try: return good.bind_ip(context, change)
        except Unavailable: time.sleep(0.1)
"""
        },
        select="no_usable_answer and error",
    ),
    broken(
        "has no timeouts",
        "no_usable_answer_is_unavailable",
        hooks={
            "list_nodes": """
def list_nodes(context, query):
    patient = Context(context.settings, context.deadline, connect_seconds=60, read_seconds=60)
    return good.list_nodes(patient, query)
"""
        },
        select="no_usable_answer and hang",
    ),
    broken(
        "forgets Retry-After",
        "retry_after_is_passed_on",
        hooks=instead("list_ips", "context, query", "Unavailable", "raise Unavailable(error.cause) from None"),
    ),
    broken(
        "leaks a secret in an error",
        "an_error_shows_no_secret",
        hooks=instead(
            "list_ips",
            "context, query",
            "AccessDenied",
            "raise AccessDenied(f\"denied for {context.settings.secret('password').reveal()}\") from None",
        ),
    ),
    broken(
        "leaks a secret in Base64",
        "an_error_shows_no_secret",
        hooks=instead(
            "list_ips",
            "context, query",
            "AccessDenied",
            "import base64; raise AccessDenied(base64.b64encode("
            "b'user:' + context.settings.secret('password').reveal().encode()).decode()) from None",
        ),
    ),
    broken(
        "prints",
        "hooks_print_nothing",
        hooks={
            "list_ips": """
def list_ips(context, query):
    print("looking")
    return good.list_ips(context, query)
"""
        },
    ),
]


@pytest.mark.parametrize("case", MISTAKES)
def test_is_found(case: Broken, verdicts: Verdicts) -> None:
    verdict = verdicts[case.mistake].result()
    assert verdict.failed == case.found_by, verdict.output
