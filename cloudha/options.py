"""Parameters: how a provider declares them, and how text becomes checked values.

A declaration imports nothing of a vendor's SDK: metadata is asked for every few seconds.
"""

from __future__ import annotations

import enum
import ipaddress
import math
import os
import re
import stat
from collections.abc import Iterable, Mapping

from cloudha.errors import ConfigurationError, LocalConfigurationError, shown
from cloudha.record import Record
from cloudha.types import IPAddress

__all__ = [
    "COMMON_OPTIONS",
    "Audience",
    "Option",
    "OptionType",
    "Secret",
    "Settings",
    "canonical",
    "parse",
    "read_secret_file",
]

TRUE_WORDS = frozenset({"1", "yes", "on", "true"})
FALSE_WORDS = frozenset({"0", "no", "off", "false"})
OPTION_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")
# Pacemaker's own times are written "30", "30s", "500ms", "2min"; operators copy them here.
SECONDS = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|msec|s|sec|m|min|h|hr)?\Z")
SECONDS_UNIT = {"ms": 0.001, "msec": 0.001, "m": 60.0, "min": 60.0, "h": 3600.0, "hr": 3600.0}
URL = re.compile(r"https?://(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(:[1-9]\d{0,4})?(/[A-Za-z0-9._~/%+-]*)?\Z")
# More than this is a typing error, and overflows C timers further down.
MOST_SECONDS = 86_400.0
# A key file is a few kilobytes; anything larger was named by mistake.
SECRET_FILE_MOST = 65_536


class OptionType(enum.Enum):
    """The type of a parameter's text. The comments give the Python value."""

    STRING = "string"  # str
    INTEGER = "integer"  # int
    SECONDS = "seconds"  # float; "30", "1.5", "500ms", "2min"
    BOOLEAN = "boolean"  # bool
    CHOICE = "choice"  # str, one of the choices
    LIST = "list"  # tuple[str, ...], from text with commas or blanks
    ADDRESS = "address"  # IPv4Address or IPv6Address
    URL = "url"  # str, http(s)://host[:port][/path]
    SECRET_FILE = "secret_file"  # noqa: S105 - the name of a type; Secret, the stripped content of a file that only its owner can read


class Audience(enum.Enum):
    """Which of the two agents a parameter is for."""

    BOTH = "both"
    FENCE = "fence"
    ADDRESS = "address"


class Option(Record):
    """One parameter.

    ``name`` is lower case with underscores, and means the same in every provider (``region``, ``access_key``).
    ``default`` is text as an operator would write it. ``required`` makes the host refuse to go on without it.
    ``secret`` values are never shown, and wrapped in :class:`Secret`. ``help`` is one sentence for an operator.
    """

    name: str
    help: str
    type: OptionType = OptionType.STRING
    default: str | None = None
    required: bool = False
    secret: bool = False
    choices: tuple[str, ...] = ()
    audience: Audience = Audience.BOTH

    def __post_init__(self) -> None:
        """Refuse what metadata could not express, where the author sees it: at import."""
        if not OPTION_NAME.match(self.name):
            raise ValueError(f"option name {self.name!r}: lower case letters, digits and single underscores only")
        if (self.type is OptionType.CHOICE) != bool(self.choices):
            raise ValueError(f"option {self.name}: choices go with OptionType.CHOICE, and only with it")
        if self.secret and self.default is not None:
            raise ValueError(f"option {self.name}: a secret has no default")


class Secret:
    """A value that no format, log or traceback shows. ``reveal()`` is the only way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the plain value, to be passed straight to an SDK."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


Value = str | int | float | bool | tuple[str, ...] | IPAddress | Secret

COMMON_OPTIONS: tuple[Option, ...] = (
    Option("region", "Region of the cloud; by default the one that this machine is in"),
    Option("endpoint", "Address of the cloud's API (URL), for private endpoints and sovereign clouds", OptionType.URL),
    Option("identity_endpoint", "Address of the service that issues credentials or tokens (URL)", OptionType.URL),
    Option("metadata_endpoint", "Address of the machine's metadata service (URL)", OptionType.URL),
    Option("ca_file", "File with the certificate authorities (PEM) to trust for the endpoints"),
)


def canonical(name: str) -> str:
    """Return a parameter's name with ``-`` as ``_``: both are the same in the fence agent API."""
    return name.strip().replace("-", "_").lower()


class Settings:
    """The checked values of one action, by name. A getter returns the empty value of its type when unset."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = dict(values)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __repr__(self) -> str:
        return f"Settings({self._values!r})"

    def text(self, name: str) -> str:
        """Return a string or choice, "" when unset."""
        value = self._values.get(name, "")
        return value if isinstance(value, str) else str(value)

    def integer(self, name: str) -> int:
        """Return an integer, 0 when unset."""
        value = self._values.get(name, 0)
        return value if isinstance(value, int) else 0

    def seconds(self, name: str) -> float:
        """Return seconds, 0.0 when unset."""
        value = self._values.get(name, 0.0)
        return float(value) if isinstance(value, int | float) else 0.0

    def flag(self, name: str) -> bool:
        """Return a boolean, False when unset."""
        return self._values.get(name, False) is True

    def items(self, name: str) -> tuple[str, ...]:
        """Return a list's items, () when unset."""
        value = self._values.get(name, ())
        return value if isinstance(value, tuple) else ()

    def address(self, name: str) -> IPAddress | None:
        """Return an address, None when unset."""
        value = self._values.get(name)
        return value if isinstance(value, ipaddress.IPv4Address | ipaddress.IPv6Address) else None

    def secret(self, name: str) -> Secret | None:
        """Return a secret, None when unset."""
        value = self._values.get(name)
        return value if isinstance(value, Secret) else None

    def secrets(self) -> tuple[str, ...]:
        """Return every plain secret, longest first, for taking them out of texts."""
        plain = {value.reveal() for value in self._values.values() if isinstance(value, Secret)}
        return tuple(sorted((p for p in plain if p), key=len, reverse=True))


def parse(options: Iterable[Option], raw: Mapping[str, str]) -> Settings:
    """Check *raw* text against *options* and return the values; names that no option declares are left out.

    Empty text counts as unset, since Pacemaker passes ``port=`` when there is none.

    :raises ConfigurationError: naming the parameter, its value (never a secret's) and what to write instead.
    :raises LocalConfigurationError: a secret's file is missing here, or others than its owner can read it.
    """
    values: dict[str, Value] = {}
    for option in options:
        text = raw.get(option.name, "").strip()
        if not text and option.default is not None:
            text = option.default
        if text:
            values[option.name] = _value(option, text)
        elif option.required:
            raise ConfigurationError(
                f"parameter {option.name} is missing", advice=f"add {option.name}=...: {option.help}"
            )
    return Settings(values)


def _value(option: Option, text: str) -> Value:  # noqa: C901, PLR0911 - one case and return for each type
    match option.type:
        case OptionType.SECRET_FILE:
            return read_secret_file(option.name, text)
        case _ if option.secret:
            return Secret(text)
        case OptionType.INTEGER if re.fullmatch(r"-?\d{1,12}", text):
            return int(text)
        case OptionType.SECONDS if (found := SECONDS.match(text)) and _seconds(found) <= MOST_SECONDS:
            return _seconds(found)
        case OptionType.BOOLEAN if text.lower() in TRUE_WORDS | FALSE_WORDS:
            return text.lower() in TRUE_WORDS
        case OptionType.CHOICE if text in option.choices:
            return text
        case OptionType.LIST:
            return tuple(re.split(r"[\s,]+", text.strip(", \t")))
        case OptionType.ADDRESS:
            return _address(option.name, text)
        case OptionType.STRING if text.isprintable():
            return text
        case OptionType.URL:
            if URL.match(text):
                return text
            # The text is not repeated: a URL with user and password in it is one of the mistakes caught here.
            raise ConfigurationError(
                f"parameter {option.name} is not a URL that can be used",
                advice="write http://HOST:PORT or https://HOST[:PORT][/PATH], without user, query or fragment",
            )
    wanted = {
        OptionType.INTEGER: "write a whole number",
        OptionType.SECONDS: "write seconds, as in 30, 30s or 2min, a day at the most",
        OptionType.BOOLEAN: "write 1, yes, on, true or 0, no, off, false",
        OptionType.CHOICE: f"write one of: {', '.join(option.choices)}",
        OptionType.STRING: "write one line of printable text",
    }
    raise ConfigurationError(f"parameter {option.name}={shown(text)} is not valid", advice=wanted[option.type])


def _seconds(found: re.Match[str]) -> float:
    value = float(found[1]) * SECONDS_UNIT.get(found[2] or "s", 1.0)
    return value if math.isfinite(value) else math.inf


def _address(name: str, text: str) -> IPAddress:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ConfigurationError(
            f"parameter {name}={shown(text)} is not an IP address",
            advice="write one address without a netmask, as in 10.0.0.10 or fd00::10",
        ) from None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        raise ConfigurationError(f"parameter {name}={shown(text)} has a zone", advice="write it without %...")
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        raise ConfigurationError(f"parameter {name}={shown(text)} is IPv4 in disguise", advice="write the IPv4 address")
    special = address.is_unspecified or address.is_multicast or address.is_loopback or address.is_link_local
    if special or address == ipaddress.IPv4Address("255.255.255.255"):
        raise ConfigurationError(
            f"parameter {name}={shown(text)} cannot float",
            advice="write a unicast address, not a loopback, link-local, multicast, broadcast or unspecified one",
        )
    return address


def read_secret_file(name: str, path: str) -> Secret:
    """Return the stripped content of the file *path*, which only its owner may be able to read.

    :raises LocalConfigurationError: not there, not a regular file, readable by others, empty, or too large.
    """
    if not path.startswith("/"):
        raise LocalConfigurationError(
            f"parameter {name}={shown(path)} is not an absolute path", advice="write it from /"
        )
    try:
        # Non-blocking: opening a named pipe would otherwise wait for a writer for ever.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise LocalConfigurationError(f"parameter {name}={shown(path)} is not a regular file")
            if status.st_mode & 0o077:
                raise LocalConfigurationError(
                    f"parameter {name}={shown(path)} can be read by others than its owner",
                    advice=f"run: chmod 600 {path}",
                )
            content = os.read(handle, SECRET_FILE_MOST + 1)
        finally:
            os.close(handle)
    except OSError as error:
        raise LocalConfigurationError(
            f"parameter {name}={shown(path)} cannot be read: {error.strerror}", advice="create it with mode 0600"
        ) from None
    if len(content) > SECRET_FILE_MOST or not content.strip():
        raise LocalConfigurationError(
            f"parameter {name}={shown(path)} is empty or too large", advice="it must hold the secret and nothing else"
        )
    try:
        return Secret(content.decode().strip())
    except UnicodeDecodeError:
        raise LocalConfigurationError(f"parameter {name}={shown(path)} is not text") from None
