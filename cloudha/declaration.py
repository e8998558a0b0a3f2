"""What a provider says of itself, and the mark on its hooks. Without pluggy: metadata is made from this, very often."""

from __future__ import annotations

from cloudha.options import Option
from cloudha.record import Record
from cloudha.types import Kind

__all__ = ["MARK", "PROJECT", "ProviderInfo", "hookimpl"]

# For mypy, which knows the name. The real one is in typing, which metadata can do without.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol, TypeVar, overload

    F = TypeVar("F", bound=Callable[..., Any])

    class _Marker(Protocol):
        @overload
        def __call__(self, function: F) -> F: ...
        @overload
        def __call__(self, *, wrapper: bool) -> Callable[[F], F]: ...


PROJECT = "cloudha"
#: the attribute by which pluggy knows an implementation again; ``pluggy.HookimplMarker("cloudha")`` sets the same one
MARK = f"{PROJECT}_impl"


class ProviderInfo(Record):
    """What a provider says of itself, without importing an SDK.

    ``title`` names the cloud for people. ``options`` are its own parameters, beyond
    :data:`~cloudha.options.COMMON_OPTIONS`. ``kinds`` are the kinds of address it can float, () for none.
    ``poll_seconds`` is the shortest interval at which the vendor lets one machine or address be polled.
    """

    title: str
    options: tuple[Option, ...] = ()
    kinds: tuple[Kind, ...] = ()
    poll_seconds: float = 1.0


def _hookimpl(function: object = None, *, wrapper: bool = False) -> object:
    """Mark a function of a plugin as the implementation of the hook of its name.

    ``@hookimpl`` for providers; ``@hookimpl(wrapper=True)`` for observers: a generator that yields once, and gets the
    answer there (https://pluggy.readthedocs.io, "Wrappers").
    """

    def mark(marked: object) -> object:
        options = dict.fromkeys(("hookwrapper", "optionalhook", "tryfirst", "trylast"), False)
        setattr(marked, MARK, {"wrapper": wrapper, **options, "specname": None})
        return marked

    return mark if function is None else mark(function)


hookimpl: _Marker = _hookimpl  # type: ignore[assignment]  # it returns what it was given, which object cannot say
