"""Is there room for each floating address on the interfaces that may have to take it?"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterator

from cloudha import nic
from cloudha.cli.checks.case import Case
from cloudha.cli.checks.finding import Finding, bad, good, unknown, unknown_because, warn
from cloudha.cli.checks.targets import AddressTarget
from cloudha.context import Context
from cloudha.errors import AccessDenied, CloudhaError, ProviderBroken
from cloudha.limits import InterfaceLoad
from cloudha.plugins import Provider
from cloudha.retry import persist
from cloudha.types import AddressChange, Kind

__all__ = ["find"]

# Of the module in the package of the provider's module, and of the function in that.
MODULE = "limits"
FUNCTION = "interface_load"
FULL = "the cloud refuses one more: a failover of the address to that machine fails"

Look = Callable[[Context, AddressChange], InterfaceLoad]


class _Place:
    """An interface of one machine, and the floating addresses that it does not have yet."""

    def __init__(self, load: InterfaceLoad) -> None:
        self.load = load
        self.coming: list[str] = []


def find(case: Case) -> Iterator[Finding]:
    """Look at the interfaces of this machine, and of the other nodes where it is certain which is meant."""
    places: dict[tuple[str, str, int], _Place] = {}
    for target in case.addresses:
        # Only a private address is one of the interface's own: a public one is mapped, and a route leads to it.
        if not target.usable or target.request is None or target.request.kind is not Kind.PRIVATE:
            continue
        try:
            look = _look(target.provider)
            if look is not None:
                _ask(case, target, look, places)
        except AccessDenied as error:
            what = f"{target.label}: how many addresses an interface may carry: {error.cause}"
            mend = f"permit reading that, or --skip limits.{target.label}"
            yield unknown(f"limits.{target.label}", what, "it cannot be told; a full interface takes no address", mend)
        except CloudhaError as error:
            yield unknown_because(f"limits.{target.label}", f"{target.label}: the load of the interfaces", error)
    for (name, _, _), place in places.items():
        yield _judged(name, place)


def _ask(case: Case, target: AddressTarget, look: Look, places: dict[tuple[str, str, int], _Place]) -> None:
    request = target.request
    assert request is not None  # noqa: S101 - find() passes no others
    for name, machine in _machines(case, target):
        mac = ""
        if request.interface and machine == case.me(target):
            with contextlib.suppress(CloudhaError):
                mac = nic.mac_of(request.interface)
        change = AddressChange(Kind.PRIVATE, request.ip, machine, mac=mac)
        context = Context(target.host(case.deadline).settings, case.deadline)
        load = persist(functools.partial(_checked, target.provider, look, context, change), case.deadline)
        place = places.setdefault((name, load.interface, request.ip.version), _Place(load))
        if not load.held:
            place.coming.append(target.label)


def _machines(case: Case, target: AddressTarget) -> Iterator[tuple[str, str]]:
    """Yield names and ids. With nic=, the interface's name says nothing of another machine's interfaces."""
    me = case.me(target)
    if me:
        yield case.name_of(me) or case.here, me
    known = any(fence.provider_name == target.provider_name for fence in case.fences)
    if known and target.request is not None and not target.request.interface:
        yield from ((name, node.id) for name, node in case.machines.items() if node.id != me)


def _judged(name: str, place: _Place) -> Finding:
    load, coming = place.load, ", ".join(place.coming)
    check = f"limits.{name}"
    what = f"{name}: {load.interface} carries {load.addresses} of {load.most} addresses ({load.source})"
    mend = "take addresses from it that nobody needs, or use another interface"
    if place.coming and load.addresses >= load.most:
        return bad(check, f"{what}, and {coming} would be one more", FULL, mend)
    if load.addresses + len(place.coming) > load.most:
        return warn(check, f"{what}: no room for all of {coming}", FULL, mend)
    return good(check, what)


def _look(provider: Provider) -> Look | None:
    package = provider.entry.value.partition(":")[0].rpartition(".")[0]
    if not package or importlib.util.find_spec(f"{package}.{MODULE}") is None:
        return None
    found: Look = getattr(importlib.import_module(f"{package}.{MODULE}"), FUNCTION)
    return found


def _checked(provider: Provider, look: Look, context: Context, change: AddressChange) -> InterfaceLoad:
    answer = look(context, change)
    if not isinstance(answer, InterfaceLoad):
        raise ProviderBroken(f"{provider.entry.origin}: {FUNCTION} answered {type(answer).__name__}, not InterfaceLoad")
    return answer
