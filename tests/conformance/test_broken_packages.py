"""Mistakes in a package, each found by the checks that are meant to find it, and no other."""

from __future__ import annotations

import pytest

from broken_provider import Broken, Verdicts, broken

MISTAKES = [
    broken(
        "imports its SDK at once",
        "import_brings_no_sdk",
        head="\nimport vendor_sdk\n",
        modules={"vendor_sdk": "CLIENT = 1"},
    ),
    broken("prints when it is imported", "import_prints_nothing", head='\nprint("hello")\n', select="import"),
    broken(
        "asks when it is imported",
        "import_asks_nobody",
        head='\nimport socket\nsocket.getaddrinfo("127.0.0.1", 1)\n',
    ),
    broken(
        "misspells a hook",
        "provider_loads",
        hooks={"extra": "def power_of(context, node): return good.power_off(context, node)"},
    ),
    broken(
        "lacks a hook",
        "hooks_are_there",
        hooks={"check_access": "def provider_info(): return good.provider_info()"},
        select="hooks_are_there or provider_loads or list_nodes_shows",
    ),
    broken("has another entry point", "distribution_is_found", entry="brocken"),
    broken(
        "is another distribution",
        "distribution_has_the_name_that_messages_tell",
        distribution="cloudha-brocken",
    ),
    broken(
        "has a name that cannot be typed",
        "provider_name_is_one_that_operators_can_type",
        "provider_loads",
        "distribution_has_the_name_that_messages_tell",
        name="Bro_ken",
        entry="Bro_ken",
    ),
    broken(
        "declares an option of the agents",
        "provider_loads",
        hooks={
            "provider_info": """
def provider_info():
    info = good.provider_info()
    return replace(info, options=(*info.options, Option("plug", "Which machine it is")))
"""
        },
    ),
    broken(
        "declares a secret in the open",
        "options_that_look_secret_are_secret",
        hooks={
            "provider_info": """
def provider_info():
    info = good.provider_info()
    return replace(info, options=(*info.options, Option("api_token", "Token for the API")))
"""
        },
    ),
    broken(
        "has a secret that is not tested",
        "every_secret_is_in_use_here",
        hooks={
            "provider_info": """
def provider_info():
    info = good.provider_info()
    return replace(info, options=(*info.options, Option("api_token", "Token for the API", secret=True)))
"""
        },
    ),
    broken(
        "has options without help",
        "options_have_help_for_an_operator",
        hooks={
            "provider_info": """
def provider_info():
    info = good.provider_info()
    return replace(info, options=(*info.options, Option("project", "")))
"""
        },
    ),
    broken(
        "offers a kind that is not tested",
        "kinds_are_the_declared_ones",
        tests="    without = {}\n",
    ),
]


@pytest.mark.parametrize("case", MISTAKES)
def test_is_found(case: Broken, verdicts: Verdicts) -> None:
    verdict = verdicts[case.mistake].result()
    assert verdict.failed == case.found_by, verdict.output
