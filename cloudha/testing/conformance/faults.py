"""What a hook raises when the cloud does not answer as it should: never an answer, always the right class of error."""
# ruff: noqa: S101 - asserts are what a test kit is made of

from __future__ import annotations

import pytest

from cloudha.errors import AccessDenied, CloudhaError, Conflict, Unavailable
from cloudha.testing.conformance.agents import shows
from cloudha.testing.conformance.checks import Checks
from cloudha.testing.conformance.cloud import Capability, Fault, Scope, TestCloud
from cloudha.testing.conformance.hooks import ApiCall, Hooks, secrets
from cloudha.types import AccessReport, Kind, Verdict

__all__ = ["FaultChecks"]


class FaultChecks(Checks):
    """Checks of every hook under every fault. Whether it raises at all is for the first of them to say."""

    def test_no_usable_answer_is_unavailable(
        self, unavailable_fault: Fault, api_call: ApiCall, hooks: Hooks, raised: _Raised
    ) -> None:
        """The host tries again only on Unavailable. An empty answer instead would say "not bound" or "no machine"."""
        _expect(Unavailable, raised.by(hooks, api_call, unavailable_fault), api_call)

    def test_refused_credentials_are_access_denied(
        self, denied_fault: Fault, api_call: ApiCall, hooks: Hooks, raised: _Raised
    ) -> None:
        """The operator is told what to grant. As Unavailable it would be tried to the deadline, in vain."""
        _expect(AccessDenied, raised.by(hooks, api_call, denied_fault), api_call)

    def test_a_change_that_is_refused_for_now_is_a_conflict(
        self, change_call: ApiCall, hooks: Hooks, raised: _Raised
    ) -> None:
        """The host looks again and decides anew; as Unavailable it would be repeated blindly."""
        if Fault.CONFLICT in self.without:
            pytest.skip(self.without[Fault.CONFLICT])
        _expect(Conflict, raised.by(hooks, change_call, Fault.CONFLICT, Scope.CHANGES), change_call)

    def test_a_failed_request_is_not_repeated(
        self, plain_fault: Fault, api_call: ApiCall, hooks: Hooks, cloud: TestCloud
    ) -> None:
        """The host retries, with jitter and within the deadline. An SDK's own retries multiply with that."""
        _provoke(hooks, api_call, plain_fault)
        assert cloud.faulted() == 1, f"{api_call} sent {cloud.faulted()} requests; switch the SDK's retries off"

    def test_retry_after_is_passed_on(self, api_call: ApiCall, hooks: Hooks, raised: _Raised) -> None:
        """The host waits as long as the server asks; sooner, and the account stays throttled."""
        self.need(Capability.RETRY_AFTER)
        found = raised.by(hooks, api_call, Fault.THROTTLE)
        if isinstance(found, Unavailable):
            assert found.retry_after > 0

    def test_an_error_shows_no_secret(
        self, read_fault: Fault, api_call: ApiCall, hooks: Hooks, raised: _Raised, cloud: TestCloud
    ) -> None:
        """Errors go to the cluster's log. The host takes known secrets out, but not what was made of them."""
        found = raised.by(hooks, api_call, read_fault)
        known = secrets(hooks.provider, cloud)
        shown = [name for name, value in known.items() if shows(f"{found} {found!r}", value)]
        assert not shown, f"{api_call} shows {', '.join(shown)} in its error"

    def test_hooks_print_nothing(
        self, api_call: ApiCall, hooks: Hooks, cloud: TestCloud, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Pacemaker reads standard output as the agent's answer, and logs standard error as warnings."""
        hooks.call(api_call)
        cloud.reset()
        _provoke(hooks, api_call, Fault.ERROR)
        printed = capfd.readouterr()
        assert printed.out + printed.err == ""

    @pytest.fixture(scope="class")
    @classmethod
    def raised(cls) -> _Raised:
        """What has been asked already."""
        return _Raised()

    def test_local_node_without_metadata_is_unavailable(self, metadata_fault: Fault, hooks: Hooks) -> None:
        """Who we are is then unknown; a guess would bind the address to the wrong machine."""
        if not self.kinds:
            pytest.skip("the provider floats no addresses")
        hooks.inject(metadata_fault, Scope.METADATA)
        with pytest.raises(Unavailable):
            hooks.local_node()

    def test_local_evidence_without_metadata_is_none(
        self, metadata_fault: Fault, kind: Kind, hooks: Hooks, cloud: TestCloud
    ) -> None:
        """No evidence is neither ``yes`` nor ``no``: ``no`` would stop a service that runs."""
        self.need(Capability.LOCAL_EVIDENCE)
        ip = cloud.addresses(kind, 4)[0]
        cloud.give(kind, ip, cloud.machines[0].id)
        hooks.inject(metadata_fault, Scope.METADATA)
        try:
            evidence = hooks.local_evidence(kind, ip)
        except CloudhaError:
            return
        assert evidence.verdict is Verdict.CANNOT_TELL

    def test_local_hooks_need_no_api(self, kind: Kind, hooks: Hooks, cloud: TestCloud) -> None:
        """They are what keeps a healthy service in place while the API is away."""
        self.need(Capability.LOCAL_EVIDENCE)
        ip = cloud.addresses(kind, 4)[0]
        cloud.give(kind, ip, cloud.machines[0].id)
        hooks.inject(Fault.ERROR, Scope.API)
        assert hooks.local_node().id == cloud.machines[0].id
        assert hooks.local_evidence(kind, ip).verdict is Verdict.YES


class _Raised:
    """What each call raised under each fault, asked once and judged by several checks."""

    def __init__(self) -> None:
        self._known: dict[tuple[Fault, ApiCall], object] = {}

    def by(self, hooks: Hooks, call: ApiCall, fault: Fault, scope: Scope = Scope.API) -> object:
        """Return the error, or the answer where there should have been none."""
        if (fault, call) not in self._known:
            self._known[fault, call] = _provoke(hooks, call, fault, scope)
        return self._known[fault, call]


def _provoke(hooks: Hooks, call: ApiCall, fault: Fault, scope: Scope = Scope.API) -> object:
    """Make the call under the fault; return the error or the answer."""
    cloud = hooks.cloud
    if call.hook == "unbind_ip" and call.kind is not None:
        cloud.give(call.kind, cloud.addresses(call.kind, 4)[0], cloud.machines[0].id)
    if call.hook == "power_on":
        cloud.set_power(cloud.machines[1].id, on=False)
    hooks.inject(fault, scope)
    try:
        answer = hooks.call(call)
    except Exception as error:  # noqa: BLE001 - of whatever class: the check judges it
        return error
    if (
        fault is Fault.FORBIDDEN
        and isinstance(answer, AccessReport)
        and any(permission.granted is Verdict.NO for permission in answer.permissions)
    ):
        # A permission that is missing may be said in the report as well.
        return AccessDenied("reported as not granted")
    return answer


def _expect(wanted: type[CloudhaError], found: object, call: ApiCall) -> None:
    if not isinstance(found, BaseException):
        pytest.fail(f"{call} answered {found!r}, and the cloud did not", pytrace=False)
    assert isinstance(found, wanted), f"{call} raised {type(found).__name__}, not {wanted.__name__}: {found}"
