"""Immutable values: what dataclasses would do, where the agents rely on it."""

from __future__ import annotations

import copy
import pickle

import pytest

from cloudha.record import Record


class Point(Record):
    x: int
    y: int = 2


class Checked(Record):
    x: int

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("negative")


def test_fields_by_position_by_name_and_by_default() -> None:
    assert (Point(1).x, Point(1).y) == (1, 2)
    assert Point(1, 3) == Point(y=3, x=1)
    assert repr(Point(1)) == "Point(x=1, y=2)"
    match Point(5, 6):
        case Point(x, y):
            assert (x, y) == (5, 6)


@pytest.mark.parametrize(
    ("values", "named"), [((), {}), ((1, 2, 3), {}), ((1,), {"x": 1}), ((1,), {"z": 1}), ((), {"y": 1})]
)
def test_wrong_fields_are_refused(values: tuple[int, ...], named: dict[str, int]) -> None:
    with pytest.raises(TypeError, match="Point"):
        Point(*values, **named)


def test_cannot_be_changed() -> None:
    point = Point(1)
    with pytest.raises(AttributeError):
        point.x = 3  # type: ignore[misc]  # that is the point
    with pytest.raises(AttributeError):
        del point.x
    with pytest.raises(AttributeError):
        point.other = 3
    assert not hasattr(point, "__dict__")


def test_equal_by_class_and_fields() -> None:
    class Other(Record):
        x: int
        y: int = 2

    assert Point(1) == Point(1)
    assert hash(Point(1)) == hash(Point(1))
    assert Point(1) != Point(2)
    assert Point(1) != Other(1)
    assert Point(1) != (1, 2)


def test_copies() -> None:
    point = Point(1)
    assert point.replace(y=7) == Point(1, 7)
    assert copy.deepcopy(point) == point
    assert pickle.loads(pickle.dumps(point)) == point  # noqa: S301 - our own bytes


def test_checks_itself_in_a_replacement_too() -> None:
    with pytest.raises(ValueError, match="negative"):
        Checked(-1)
    with pytest.raises(ValueError, match="negative"):
        Checked(1).replace(x=-1)


def test_a_class_without_fields_is_told_at_once() -> None:
    with pytest.raises(TypeError, match="annotations"):
        type("Empty", (Record,), {})
