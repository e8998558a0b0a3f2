"""Immutable values with named fields, as frozen dataclasses are, at a fraction of their price at start-up.

The agents are started every few seconds. Importing ``dataclasses`` (with ``inspect``, ``ast`` and ``tokenize`` behind
it) and letting it compile methods for each class took about half of ``fence_cloud -o metadata``.
"""

from __future__ import annotations

__all__ = ["Record"]

# For mypy, which knows the name. The real one is in typing, which metadata can do without.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_: object) -> object:
        """Mean nothing at run time; to mypy: the fields are the parameters."""
        return lambda decorated: decorated


class _RecordType(type):
    """Turns the annotations of a class into slots and parameters, in their order."""

    def __new__(mcs, name: str, bases: tuple[type, ...], space: dict[str, object]) -> _RecordType:
        fields = space.get("__annotations__")
        if not isinstance(fields, dict):
            if bases and "__match_args__" not in space:
                raise TypeError(f"{name} has no fields; its module needs: from __future__ import annotations")
            fields = {}
        space["_defaults"] = {field: space.pop(field) for field in fields if field in space}
        space["__slots__"] = space["__match_args__"] = tuple(fields)
        return super().__new__(mcs, name, bases, space)


@dataclass_transform(frozen_default=True)
class Record(metaclass=_RecordType):
    """Base of immutable values: ``class Point(Record)`` with annotated fields, defaults allowed.

    Two are equal when their class and all fields are. A class may check its fields in ``__post_init__``.
    """

    if TYPE_CHECKING:
        __match_args__: ClassVar[tuple[str, ...]]
        _defaults: ClassVar[dict[str, object]]

    def __init__(self, *values: object, **named: object) -> None:
        names = self.__match_args__
        given = dict(zip(names, values, strict=False))
        if len(values) > len(names) or named.keys() & given.keys() or named.keys() - set(names):
            raise TypeError(f"{type(self).__name__} takes each of {', '.join(names)} once, and nothing else")
        given = {**self._defaults, **given, **named}
        if missing := [name for name in names if name not in given]:
            raise TypeError(f"{type(self).__name__} misses {', '.join(missing)}")
        for name in names:
            object.__setattr__(self, name, given[name])
        self.__post_init__()

    def __post_init__(self) -> None:
        """Check the fields, if a class wants to."""

    def replace(self, **changes: object) -> Self:
        """Return a copy with some fields changed."""
        return type(self)(**{**dict(zip(self.__match_args__, self._values(), strict=True)), **changes})

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__match_args__)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), self._values()

    def __repr__(self) -> str:
        fields = zip(self.__match_args__, self._values(), strict=True)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in fields)})"
