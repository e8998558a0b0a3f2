"""The kit itself: a correct provider passes, and nobody leaves a check out without a word."""

from __future__ import annotations

import pytest

from broken_provider import RunKit

PICKED = "overridden or left_out or power_on_again or power_state_says"
OVERRIDE = """
    {mark}
    def test_power_on_again_is_success(self): pass
"""


def test_a_correct_provider_passes(run_kit: RunKit) -> None:
    verdict = run_kit()
    assert not verdict.failed, verdict.output
    assert len(verdict.passed) > 50, verdict.output


@pytest.mark.parametrize("mark", ["", '@overrides_check(reason="")', '@overrides_check(reason="  ")'])
def test_an_override_without_a_reason_fails(mark: str, run_kit: RunKit) -> None:
    verdict = run_kit(tests=OVERRIDE.format(mark=mark), select=PICKED)
    assert verdict.failed == {"test_overridden_checks_have_a_reason"}, verdict.output
    assert "TestBroken.test_power_on_again_is_success" in verdict.output


def test_an_override_with_a_reason_passes(run_kit: RunKit) -> None:
    verdict = run_kit(tests=OVERRIDE.format(mark='@overrides_check(reason="one machine only")'), select=PICKED)
    assert not verdict.failed, verdict.output
    assert "test_power_on_again_is_success" in verdict.passed


@pytest.mark.parametrize(
    "override",
    [
        "    test_power_on_again_is_success = None\n",
        "    def need(self, capability): pass\n",
        "    @pytest.fixture\n    def fresh(self, cloud): return cloud\n",
    ],
)
def test_other_ways_to_override_fail_too(override: str, run_kit: RunKit) -> None:
    verdict = run_kit(tests=override, select="overridden")
    assert verdict.failed == {"test_overridden_checks_have_a_reason"}, verdict.output


def test_the_check_of_overrides_cannot_be_overridden(run_kit: RunKit) -> None:
    verdict = run_kit(
        tests='    @overrides_check(reason="x")\n    def test_overridden_checks_have_a_reason(self): pass\n'
    )
    assert "cannot be overridden" in verdict.output
    assert not verdict.passed


def test_leaving_out_without_a_reason_fails(run_kit: RunKit) -> None:
    without = '{Kind.PUBLIC: "x", Kind.ROUTE: "x", Capability.IPV6: " "}'
    verdict = run_kit(tests=f"    without = {without}\n", select=PICKED)
    assert verdict.failed == {"test_what_is_left_out_has_a_reason"}, verdict.output


def test_a_provider_without_fencing_passes(run_kit: RunKit) -> None:
    without = '{Kind.PUBLIC: "x", Kind.ROUTE: "x", Capability.FENCING: "a load balancer has no machines"}'
    absent = dict.fromkeys(("power_off", "power_on", "power_state"), "def provider_info(): return good.provider_info()")
    verdict = run_kit(hooks=absent, tests=f"    without = {without}\n")
    assert not verdict.failed, verdict.output
    assert "test_bind_ip_binds_a_free_address" in verdict.passed
    assert "test_power_off_again_is_success" not in verdict.passed


def test_a_provider_whose_kinds_are_all_left_out_passes(run_kit: RunKit) -> None:
    without = '{Kind.PRIVATE: "x", Kind.PUBLIC: "x", Kind.ROUTE: "x", Capability.FENCING: "no machines"}'
    absent = dict.fromkeys(("power_off", "power_on", "power_state"), "def provider_info(): return good.provider_info()")
    verdict = run_kit(
        hooks=absent,
        tests=f"    without = {without}\n",
        select="one_readable_line or shows_a_secret or ends_in_time",
    )
    assert not verdict.failed, verdict.output


def test_a_provider_that_hides_its_fencing_is_found(run_kit: RunKit) -> None:
    without = '{Kind.PUBLIC: "x", Kind.ROUTE: "x", Capability.FENCING: "not tested"}'
    verdict = run_kit(tests=f"    without = {without}\n", select="hooks_are_there or provider_loads")
    assert verdict.failed == {"test_hooks_are_there"}, verdict.output


def test_a_provider_without_addresses_passes(run_kit: RunKit) -> None:
    hooks = {"provider_info": "def provider_info(): return replace(good.provider_info(), kinds=())"}
    verdict = run_kit(hooks=hooks, tests="    kinds = ()\n    without = {}\n")
    assert not verdict.failed, verdict.output
    assert "test_power_off_again_is_success" in verdict.passed
    assert "test_bind_ip_binds_a_free_address" not in verdict.passed
