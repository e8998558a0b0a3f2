"""A failover as it can be kept: who did what when, in a form that outlives the lab, for ``cloudha lab report``."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from enum import Enum

from cloudha.lab.problems import LabError

__all__ = ["Item", "Lane", "Phase", "Recording", "Tone"]

FORMAT = 1


class Lane(Enum):
    """Whose view of things an item belongs to. The values are what a page shows."""

    CLIENT = "The client's answers come from"
    ROUTE = "The cloud routes the address to"
    NIC = "The address is on the NIC of"
    POWER = "Power of"
    LAB = "The lab"
    COROSYNC = "Corosync"
    PACEMAKER = "Pacemaker"
    AGENT = "Pacemaker calls the agents"
    CHANGE = "The agents' changes, until confirmed"
    API = "Requests to the cloud's API"


class Tone(Enum):
    """What an item means to the reader."""

    PLAIN = "plain"
    #: something was asked to change
    CHANGE = "change"
    #: a mere question
    QUIET = "quiet"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Item:
    """What lasted from ``begin`` to ``end``, or happened at ``begin`` (``end`` None), in seconds after the cause.

    ``node``: whom it is about, "" for nobody. ``key``: the story cannot be told without it.
    """

    lane: Lane
    begin: float
    text: str
    node: str = ""
    end: float | None = None
    tone: Tone = Tone.PLAIN
    key: bool = False


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the outage, and what it was spent on."""

    name: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Recording:
    """One failover. ``outage``: seconds without an answer, None: it has not ended; ``when``: wall clock of the cause.

    ``begin`` and ``end``: what is recorded, in seconds after the cause.
    """

    when: str
    provider: str
    nodes: tuple[str, ...]
    address: str
    cause: str
    victim: str
    holder: str
    outage: float | None
    fenced: tuple[str, ...]
    double_holders: tuple[str, ...]
    begin: float
    end: float
    phases: tuple[Phase, ...]
    items: tuple[Item, ...]

    def without(self, secrets: tuple[str, ...]) -> Recording:
        """Return the same with every text that is one of *secrets* taken out."""

        def clean(text: str) -> str:
            for secret in sorted(filter(None, secrets), key=len, reverse=True):
                text = text.replace(secret, "***")
            return text

        items = tuple(replace(item, text=clean(item.text), node=clean(item.node)) for item in self.items)
        return replace(self, items=items, double_holders=tuple(map(clean, self.double_holders)))

    def to_json(self) -> str:
        """Return it as a JSON document."""
        document = {"format": FORMAT, **asdict(self)}
        document["items"] = [{**asdict(i), "lane": i.lane.name.lower(), "tone": i.tone.value} for i in self.items]
        return json.dumps(document, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Recording:
        """Read what :meth:`to_json` wrote.

        :raises LabError: it is something else; says what is wrong with it.
        """
        try:
            return _read(json.loads(text))
        except KeyError as error:
            raise LabError(f"this is no recorded failover: it lacks {error}") from None
        except (ValueError, TypeError, AttributeError) as error:
            raise LabError(f"this is no recorded failover: {error}") from None


def _read(document: dict[str, object]) -> Recording:
    if document["format"] != FORMAT:
        raise ValueError(f"its format is {document['format']!r}, and {FORMAT} is what is known here")

    def texts(name: str) -> tuple[str, ...]:
        return tuple(map(_text, _list(document[name])))

    return Recording(
        when=_text(document["when"]),
        provider=_text(document["provider"]),
        nodes=texts("nodes"),
        address=_text(document["address"]),
        cause=_text(document["cause"]),
        victim=_text(document["victim"]),
        holder=_text(document["holder"]),
        fenced=texts("fenced"),
        double_holders=texts("double_holders"),
        outage=None if document["outage"] is None else _number(document["outage"]),
        begin=_number(document["begin"]),
        end=_number(document["end"]),
        phases=tuple(
            Phase(_text(p["name"]), _number(p["begin"]), _number(p["end"])) for p in _dicts(document["phases"])
        ),
        items=tuple(map(_item, _dicts(document["items"]))),
    )


def _item(given: dict[str, object]) -> Item:
    lane = _text(given["lane"]).upper()
    if lane not in Lane.__members__:
        raise ValueError(f"{given['lane']!r} is no lane")
    return Item(
        lane=Lane[lane],
        begin=_number(given["begin"]),
        text=_text(given["text"]),
        node=_text(given["node"]),
        end=None if given["end"] is None else _number(given["end"]),
        tone=Tone(given["tone"]),
        key=given["key"] is True,
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return value


def _dicts(value: object) -> list[dict[str, object]]:
    found = []
    for item in _list(value):
        if not isinstance(item, dict):
            raise TypeError(f"{item!r} is no object")
        found.append(item)
    return found
