"""A table of a TOML file with typed getters: every mistake is one line with file, key, value and what to write."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterable, Mapping

from cloudha.errors import ConfigurationError, shown
from cloudha.options import MOST_SECONDS, Option, OptionType, parse
from cloudha.types import IPAddress

__all__ = ["IDENTIFIER", "Table"]

# An id in the CIB is an XML ID; pcs takes the same (pcs.lib.validate: id).
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\Z")


class Table:
    """One table of the file.

    :param file: name of the file, for messages.
    :param path: where the table is in it, "" for the root.
    :param known: every key that it may have.
    :raises ConfigurationError: it has another key.
    """

    def __init__(self, file: str, path: str, values: object, known: Iterable[str]) -> None:
        self.file = file
        self.path = path
        if not isinstance(values, dict):
            raise ConfigurationError(f"{file}: {path} is no table", advice=f"write [{path}], or {path} = {{ ... }}")
        self._values: Mapping[str, object] = values
        names = tuple(known)
        for key in self._values:
            if key not in names:
                # The value is not repeated: what was misspelt may be a secret's name.
                near = difflib.get_close_matches(key, names, 1, 0.5)
                advice = f"did you mean {near[0]}?" if near else f"known here: {', '.join(names)}"
                raise ConfigurationError(f"{file}: {self.key(shown(key)[1:-1])} is no known key", advice=advice)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def key(self, key: str) -> str:
        """Return the whole name of *key*, for messages."""
        return f"{self.path}.{key}" if self.path else key

    def wrong(self, key: str, problem: str, advice: str) -> ConfigurationError:
        """Return the error for the value of *key*."""
        value = self._values.get(key)
        said = shown(value) if isinstance(value, str) else shown(str(value))[1:-1]
        return ConfigurationError(f"{self.file}: {self.key(key)} = {said} {problem}", advice=advice)

    def missing(self, key: str, advice: str) -> ConfigurationError:
        """Return the error for *key* that must be there."""
        return ConfigurationError(f"{self.file}: {self.key(key)} is missing", advice=advice)

    def text(self, key: str, default: str | None = None, *, advice: str = 'write text, as in "eth0"') -> str:
        """Return one line of text; without a *default* it must be there, and not be empty."""
        value = self._values.get(key, default)
        if value is None:
            raise self.missing(key, advice)
        if not isinstance(value, str) or not value.isprintable():
            raise self.wrong(key, "is not one line of text", advice)
        if not value.strip() and key in self._values:
            raise self.wrong(key, "is empty", advice)
        return value.strip()

    def identifier(self, key: str, default: str | None = None) -> str:
        """Return a name that Pacemaker takes for an id."""
        text = self.text(key, default, advice="write a name for it, as in vip")
        if text and not IDENTIFIER.match(text):
            raise self.wrong(
                key, "cannot be a name in Pacemaker", "begin with a letter; letters, digits, '.', '_' and '-' follow"
            )
        return text

    def choice(self, key: str, choices: Iterable[str], default: str) -> str:
        """Return one of *choices*."""
        text, names = self.text(key, default), tuple(choices)
        if text not in names:
            near = difflib.get_close_matches(text, names, 1)
            advice = f"did you mean {near[0]}? " if near else ""
            raise self.wrong(key, "is not known", f"{advice}write one of: {', '.join(names)}")
        return text

    def whole(self, key: str, lowest: int, highest: int) -> int | None:
        """Return a whole number in bounds, None when it is not there."""
        value = self._values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise self.wrong(key, "is not a number that fits", f"write a whole number from {lowest} to {highest}")
        return value

    def seconds(self, key: str, default: int, lowest: int = 1) -> int:
        """Return seconds, from a number or Pacemaker's own notation; whole ones, as all of Pacemaker takes them."""
        value = self._values.get(key, default)
        advice = f"write seconds, as in 30 or '2min', {lowest} at least and a day at the most"
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise self.wrong(key, "is no time", advice)
        try:
            found = parse([Option(key, "time", OptionType.SECONDS)], {key: str(value)}).seconds(key)
        except ConfigurationError:
            raise self.wrong(key, "is no time", advice) from None
        if not lowest <= found <= MOST_SECONDS or found != int(found):
            raise self.wrong(key, "is no time that fits", advice)
        return int(found)

    def address(self, key: str) -> IPAddress:
        """Return an IP address that can float."""
        text = self.text(key, advice="write the address, as in 10.0.0.10")
        try:
            found = parse([Option(key, "address", OptionType.ADDRESS)], {key: text}).address(key)
        except ConfigurationError as error:
            problem = error.cause.partition("' ")[2] or "is not an IP address"
            raise self.wrong(key, problem, error.advice) from None
        return found or ipaddress.ip_address(text)

    def tables(self, key: str) -> list[object]:
        """Return the array of tables *key*, () when it is not there."""
        value = self._values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise ConfigurationError(
                f"{self.file}: {self.key(key)} is no list of tables", advice=f"write [[{self.key(key)}]] above each one"
            )
        return value

    def inner(self, key: str, known: Iterable[str]) -> Table:
        """Return the table *key*, an empty one when it is not there."""
        return Table(self.file, self.key(key), self._values.get(key, {}), known)

    def mapping(self, key: str) -> dict[str, object]:
        """Return the table *key* whose names are free."""
        value = self._values.get(key, {})
        if not isinstance(value, dict):
            raise ConfigurationError(
                f"{self.file}: {self.key(key)} is no table", advice=f"write {self.key(key)} = {{ name = value }}"
            )
        return value
