"""The ``options`` tables of a description: parameters of a provider or an agent, checked, and never a secret."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

from cloudha.errors import ConfigurationError, shown
from cloudha.options import Option, OptionType, canonical, parse

__all__ = ["looks_secret", "option_texts", "service_texts"]

# Names under which agents keep secrets. What ends like a file's name is one, and may be shown.
SECRET_NAME = re.compile(
    r"passw|pwd|passphrase|psk|community|secret|token|credential|api_?key|access_?key|private_?key"
)
FILE_NAME = re.compile(r"(file|path|script|dir)\Z")
PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}\Z")
NO_SECRETS = (
    "take it out of the file: the nodes' own identity (role, managed identity, trusted profile) needs none, and a file "
    "of mode 0600 or a profile on each node keeps it off the cluster's configuration"
)


def looks_secret(name: str) -> bool:
    """Say whether a parameter of this name holds a secret in some agent."""
    folded = name.lower().replace("-", "_")
    return bool(SECRET_NAME.search(folded)) and not FILE_NAME.search(folded)


def option_texts(file: str, path: str, values: Mapping[str, object], options: Iterable[Option]) -> dict[str, str]:
    """Return the parameters in *values* as text for pcs, checked against *options*.

    A file that is named need not be on this machine: the agents check it on the nodes.

    :raises ConfigurationError: one is unknown, a secret, or not valid.
    """
    known = {option.name: option for option in options}
    texts = {}
    for given, value in values.items():
        name = canonical(given)
        option = known.get(name)
        if option is None:
            near = difflib.get_close_matches(name, known, 1, 0.5)
            advice = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
            raise ConfigurationError(f"{file}: {path}.{shown(given)[1:-1]} is no known parameter", advice=advice)
        if option.secret:
            raise ConfigurationError(
                f"{file}: {path}.{name} is a secret, which does not belong here", advice=NO_SECRETS
            )
        text = _text(file, f"{path}.{name}", value)
        if option.type is OptionType.SECRET_FILE:
            if not text.startswith("/"):
                raise ConfigurationError(
                    f"{file}: {path}.{name} = {shown(text)} is not an absolute path", advice="write it from /"
                )
        else:
            try:
                parse([option], {name: text})
            except ConfigurationError as error:
                raise ConfigurationError(f"{file}: {path}: {error.cause}", advice=error.advice) from None
        texts[name] = text
    return texts


def service_texts(file: str, path: str, values: Mapping[str, object]) -> dict[str, str]:
    """Return the parameters of another resource agent as text for pcs, which knows and checks their names.

    :raises ConfigurationError: a name cannot be a parameter's, or sounds like a secret's.
    """
    texts = {}
    for name, value in values.items():
        if not PARAMETER_NAME.match(name):
            raise ConfigurationError(
                f"{file}: {path}.{shown(name)[1:-1]} is no parameter's name",
                advice="write it as the agent's metadata does",
            )
        if looks_secret(name):
            raise ConfigurationError(
                f"{file}: {path}.{name} sounds like a secret, which does not belong here",
                advice="take it out of the file; give it to the resource afterwards, or use the agent's file for it",
            )
        texts[name] = _text(file, f"{path}.{name}", value)
    return texts


def _text(file: str, key: str, value: object) -> str:
    """Return a value of TOML as the text that agents take."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        value = ",".join(value)
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ConfigurationError(
            f"{file}: {key} is not a value that can be given to an agent",
            advice='write one line of text, a number, true, false, or a list of texts: ["rtb-1", "rtb-2"]',
        )
    return value.strip()
