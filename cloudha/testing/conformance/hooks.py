"""Call a provider's hooks directly: once, bounded in time, with the type of the answer checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import pytest

from cloudha.context import Context
from cloudha.deadline import Deadline
from cloudha.guard import Hung, bounded
from cloudha.options import COMMON_OPTIONS, OptionType, parse, read_secret_file
from cloudha.plugins import Provider
from cloudha.testing.conformance.cloud import Fault, Scope, TestCloud
from cloudha.types import (
    Accepted,
    AccessReport,
    AddressChange,
    AddressQuery,
    BindingPage,
    Evidence,
    IPAddress,
    Kind,
    Node,
    NodePage,
    NodeQuery,
    PowerReading,
    Purpose,
)

__all__ = ["ApiCall", "Hooks", "api_calls", "secrets"]

T = TypeVar("T")

# One hook is a handful of requests to a cloud that answers at once, or that hangs for HANG_SECONDS each. One that is
# not back by now retries, sleeps or polls, or has no timeouts. Far more than a slow machine needs.
CALL_SECONDS = 10.0
# A test cloud that shares a busy machine with its tests may well take a second over an answer: no fault of the hook's.
READ_SECONDS = 8.0
# Where no answer will come, waiting for one shows nothing.
HANG_SECONDS = 0.25
# The deadline that the hook sees: so far away that only its own timeouts can end a hanging request.
DEADLINE_SECONDS = 60.0
# No cloud of two machines has a listing this long; one that is longer never ends.
MOST_PAGES = 200

ANSWERS: Mapping[str, type[object]] = {
    "list_nodes": NodePage,
    "power_state": PowerReading,
    "power_off": Accepted,
    "power_on": Accepted,
    "local_node": Node,
    "local_evidence": Evidence,
    "list_ips": BindingPage,
    "bind_ip": Accepted,
    "unbind_ip": Accepted,
    "check_access": AccessReport,
}


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A hook that asks the cloud's API, for checks that hold for all of them. ``kind`` None: it is about fencing."""

    hook: str
    kind: Kind | None = None

    def __str__(self) -> str:
        return f"{self.hook}-{self.kind.value}" if self.kind else self.hook


CHANGES = frozenset({"power_off", "power_on", "bind_ip", "unbind_ip"})
FENCING = ("list_nodes", "power_state", "power_off", "power_on", "check_access")
ADDRESSES = ("list_ips", "bind_ip", "unbind_ip", "check_access")


def api_calls(kinds: Iterable[Kind], *, fencing: bool, changing: bool | None) -> list[ApiCall]:
    """Return the calls that a provider must have; *changing*: only those that change something, or only the others."""
    calls = [ApiCall(hook) for hook in FENCING if fencing]
    calls += [ApiCall(hook, kind) for kind in kinds for hook in ADDRESSES]
    return [call for call in calls if changing is None or (call.hook in CHANGES) is changing]


class Hooks:
    """The provider's hooks. Each method calls one of them once and fails the check when it does not answer rightly."""

    def __init__(self, provider: Provider, cloud: TestCloud) -> None:
        self._read_seconds = READ_SECONDS
        self.provider = provider
        self.cloud = cloud
        self._context: Context | None = None

    def inject(self, fault: Fault, scope: Scope) -> None:
        """Put a fault in force until the cloud's reset, for this object's calls."""
        if fault is Fault.HANG:
            self._read_seconds = HANG_SECONDS
        self.cloud.inject(fault, scope)

    def keep_context(self) -> None:
        """Use one context for the following calls, as the calls of one action do."""
        self._context = self._new_context()

    def ask(self, hook: str, **arguments: object) -> object:
        """Call a hook and return its answer, of the right type.

        :raises CloudhaError: what the hook raised.
        """
        context = self._context or self._new_context()
        caller = getattr(self.provider.manager.hook, hook)
        try:
            answer = bounded(lambda: caller(context=context, **arguments), CALL_SECONDS)
        except Hung:
            self._fail(f"{hook} was not back after {CALL_SECONDS:g} s: it waits, sleeps, polls or retries")
        if not isinstance(answer, ANSWERS[hook]):
            self._fail(f"{hook} answered {answer!r}, not {ANSWERS[hook].__name__}: the host refuses that")
        return answer

    def call(self, call: ApiCall) -> object:
        """Make a call with arguments that fit the cloud's first state, and are a real change where it changes."""
        first, second = self.cloud.machines
        if call.kind is None:
            match call.hook:
                case "list_nodes":
                    return self.list_nodes()
                case "check_access":
                    return self.check_access(Purpose.FENCING)
            return self.ask(call.hook, node=second)
        ip = self.cloud.addresses(call.kind, 4)[0]
        match call.hook:
            case "list_ips":
                return self.list_ips(call.kind, ip)
            case "check_access":
                return self.check_access(Purpose.ADDRESSES, call.kind)
        return self.ask(call.hook, change=AddressChange(call.kind, ip, first.id))

    def list_nodes(self, plug: str | None = None) -> list[Node]:
        """Return all machines, of every page."""
        found: list[Node] = []
        page: str | None = None
        for _ in range(MOST_PAGES):
            answer = self.ask("list_nodes", query=NodeQuery(plug, page))
            assert isinstance(answer, NodePage)  # noqa: S101 - ask has checked it
            found.extend(answer.nodes)
            page = answer.next
            if page is None:
                return found
        return self._fail(f"list_nodes had more than {MOST_PAGES} pages for a small cloud: it does not end")

    def list_ips(self, kind: Kind, ip: IPAddress | None, node_id: str = "") -> dict[IPAddress, str]:
        """Return which machine holds which address, of every page; addresses that nobody holds are left out."""
        held: dict[IPAddress, str] = {}
        page: str | None = None
        for _ in range(MOST_PAGES):
            answer = self.ask("list_ips", query=AddressQuery(kind, ip, node_id, page))
            assert isinstance(answer, BindingPage)  # noqa: S101 - ask has checked it
            held.update({binding.ip: binding.node_id for binding in answer.bindings if binding.node_id is not None})
            page = answer.next
            if page is None:
                return held
        return self._fail(f"list_ips had more than {MOST_PAGES} pages for a small cloud: it does not end")

    def power_state(self, node: Node) -> PowerReading:
        """Call the hook."""
        answer = self.ask("power_state", node=node)
        assert isinstance(answer, PowerReading)  # noqa: S101 - ask has checked it
        return answer

    def local_node(self) -> Node:
        """Call the hook."""
        answer = self.ask("local_node")
        assert isinstance(answer, Node)  # noqa: S101 - ask has checked it
        return answer

    def local_evidence(self, kind: Kind, ip: IPAddress) -> Evidence:
        """Call the hook."""
        answer = self.ask("local_evidence", query=AddressQuery(kind, ip))
        assert isinstance(answer, Evidence)  # noqa: S101 - ask has checked it
        return answer

    def check_access(self, purpose: Purpose, kind: Kind = Kind.PRIVATE) -> AccessReport:
        """Call the hook."""
        answer = self.ask("check_access", purpose=purpose, kind=kind, recurring=False)
        assert isinstance(answer, AccessReport)  # noqa: S101 - ask has checked it
        return answer

    def bind(self, kind: Kind, ip: IPAddress, node_id: str, *, move: bool = True) -> None:
        """Call bind_ip."""
        self.ask("bind_ip", change=AddressChange(kind, ip, node_id, move=move))

    def unbind(self, kind: Kind, ip: IPAddress, node_id: str) -> None:
        """Call unbind_ip."""
        self.ask("unbind_ip", change=AddressChange(kind, ip, node_id))

    def _new_context(self) -> Context:
        settings = parse((*COMMON_OPTIONS, *self.provider.info.options), self.cloud.options())
        return Context(
            settings, Deadline(DEADLINE_SECONDS), connect_seconds=self._read_seconds, read_seconds=self._read_seconds
        )

    def _fail(self, text: str) -> NoReturn:
        pytest.fail(text, pytrace=False)


def secrets(provider: Provider, cloud: TestCloud) -> dict[str, str]:
    """Return the plain value of every secret option in the cloud's parameters, by the option's name."""
    given = cloud.options()
    found = {}
    for option in provider.info.options:
        text = given.get(option.name, "")
        if text and option.type is OptionType.SECRET_FILE:
            found[option.name] = read_secret_file(option.name, text).reveal()
        elif text and option.secret:
            found[option.name] = text
    return found
