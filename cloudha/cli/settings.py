"""Which provider, and its parameters, on the command line of a person: one set of options for every verb.

::

    @click.command()
    @provider_options
    @json_option
    def verb(output: Output, cloud: Cloud) -> None:
        host = cloud.host("verb", Audience.FENCE)

Secrets never come from the command line, which every user of the machine can read.
"""

from __future__ import annotations

import difflib
import functools
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import click

from cloudha import installed, plugins
from cloudha.deadline import Deadline
from cloudha.errors import CloudhaError, ConfigurationError, shown
from cloudha.host import Host
from cloudha.options import COMMON_OPTIONS, Audience, Option, OptionType, Settings, canonical, parse, read_secret_file

__all__ = ["Cloud", "complete_provider", "option_pair", "options_in", "parameter_option", "provider_options"]

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_SECONDS = 60.0
# Of the variables in which people at a shell give secrets; as for fence_cloud.
OWN_VARIABLES = "CLOUDHA_"
PROVIDER_VARIABLE = OWN_VARIABLES + "PROVIDER"
FILE_VARIABLE = OWN_VARIABLES + "OPTIONS_FROM"
STANDARD_INPUT = "-"
# Parameters with a key fit well into this; see also cloudha.options.
MOST_INPUT = 65_536


class Cloud:
    """The provider that a person means, with its parameters; loaded and checked when first asked for.

    :param name: of the provider.
    :param given: parameters as text, by name; nothing is checked yet.
    :param on_command_line: names of the parameters that everybody could read in the process list.
    :param timeout: seconds that an action may take.
    :param verbose: whether every call is said on standard error.
    """

    def __init__(
        self,
        name: str,
        given: Mapping[str, str],
        *,
        on_command_line: Iterable[str] = (),
        timeout: float = DEFAULT_SECONDS,
        verbose: bool = False,
    ) -> None:
        self.name = name
        self.timeout = timeout
        self._given = dict(given)
        self._exposed = frozenset(on_command_line)
        self._verbose = verbose

    @functools.cached_property
    def provider(self) -> plugins.Provider:
        """The provider, imported.

        :raises CloudhaError: it is not installed, or broken.
        """
        return plugins.load(self.name)

    @property
    def options(self) -> tuple[Option, ...]:
        """Every parameter that the provider takes, the common ones first."""
        return (*COMMON_OPTIONS, *self.provider.info.options)

    def settings(self, audience: Audience = Audience.BOTH, *, partial: bool = False) -> Settings:
        """Return the checked parameters; those for the other agent may be given, and are left out.

        :param audience: FENCE for machines, ADDRESS for addresses, BOTH for all.
        :param partial: for what asks no cloud: none is missing, and no file with a secret is read.
        :raises ConfigurationError: one is unknown, wrong, missing, or a secret on the command line.
        """
        self._refuse_unknown()
        other = {Audience.FENCE: Audience.ADDRESS, Audience.ADDRESS: Audience.FENCE}.get(audience)
        wanted = [option for option in self.options if option.audience is not other]
        if partial:
            wanted = [_lenient(option) for option in wanted]
        try:
            return parse(wanted, {**self._secrets, **self._given})
        except CloudhaError as error:
            raise error.placed(provider=self.name) from None

    def host(self, action: str, audience: Audience = Audience.BOTH) -> Host:
        """Return the way to the provider for *action*, whose time begins now.

        :raises CloudhaError: as :attr:`provider` and :meth:`settings`.
        """
        return Host(
            self.provider,
            self.settings(audience),
            Deadline(self.timeout),
            action=action,
            trace=_say if self._verbose else None,
            warn=_say,
        )

    @functools.cached_property
    def _secrets(self) -> dict[str, str]:
        """Secrets from the environment; taken out of it, since what an SDK starts would inherit them."""
        found = {}
        for option in self.options:
            value = os.environ.pop(OWN_VARIABLES + option.name.upper(), None) if option.secret else None
            if value is not None:
                found[option.name] = value
        return found

    def _refuse_unknown(self) -> None:
        known = {option.name: option for option in self.options}
        for name in self._given:
            option = known.get(name)
            if option is None:
                near = difflib.get_close_matches(name, known, 1)
                raise ConfigurationError(
                    f"provider {self.name!r} has no parameter {shown(name)}",
                    advice=f"did you mean {near[0]}?" if near else f"it has: {', '.join(known)}",
                )
            if option.secret and name in self._exposed:
                raise ConfigurationError(
                    f"-o {name}=... shows a secret in the process list; consider it known",
                    advice=f"give it in the environment as {OWN_VARIABLES}{name.upper()}, or with --options-from FILE",
                )


def _lenient(option: Option) -> Option:
    named = option.type is OptionType.SECRET_FILE
    return option.replace(required=False, type=OptionType.STRING if named else option.type)


def parameter_option(verb: F) -> F:
    """Give *verb* the option ``-o`` alone, for a provider that is an argument; passed as ``given``, name to text."""

    @_pairs_option
    @functools.wraps(verb)
    def wrapped(*args: Any, option: tuple[str, ...], **kwargs: Any) -> object:  # noqa: ANN401 - of other decorators
        return verb(*args, given=dict(option_pair(text) for text in option), **kwargs)

    return wrapped  # type: ignore[return-value]  # see provider_options


def complete_provider(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the installed providers that begin with *incomplete*."""
    return [name for name in installed.installed_names() if name.startswith(incomplete)]


def _complete_pair(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of parameters, once the provider is known, with the sign that comes next."""
    # On an unfinished command line, click leaves arguments (a provider, of some verbs) where they are.
    name = context.params.get("provider") or (context.args or [os.environ.get(PROVIDER_VARIABLE, "")])[0]
    try:
        options = Cloud(str(name), {}).options
    except CloudhaError:
        return []
    return [f"{option.name}=" for option in options if not option.secret and option.name.startswith(incomplete)]


def _pairs_option(verb: F) -> F:
    text = "A parameter of the provider, as in the cluster's configuration; see cloudha describe. Repeatable."
    return click.option("-o", "option", metavar="NAME=VALUE", multiple=True, shell_complete=_complete_pair, help=text)(
        verb
    )


def provider_options(verb: F) -> F:
    """Give *verb* the options that choose a provider, and pass it a :class:`Cloud` as ``cloud``."""

    @click.option(
        "--provider",
        metavar="NAME",
        envvar=PROVIDER_VARIABLE,
        shell_complete=complete_provider,
        help="Cloud to talk to: see cloudha providers.",
    )
    @_pairs_option
    @click.option(
        "--options-from",
        metavar="FILE",
        envvar=FILE_VARIABLE,
        help="Parameters and secrets, one name=value on a line; mode 0600. - is standard input.",
    )
    @click.option(
        "--timeout",
        type=click.FloatRange(1.0, 86_400.0),
        metavar="SECONDS",
        default=DEFAULT_SECONDS,
        show_default=True,
        help="How long it may take.",
    )
    @click.option("-v", "--verbose", is_flag=True, help="Say every call to the provider on standard error.")
    @functools.wraps(verb)
    def wrapped(
        *args: Any,  # noqa: ANN401 - whatever other decorators pass
        provider: str | None,
        option: tuple[str, ...],
        options_from: str | None,
        timeout: float,
        verbose: bool,
        **kwargs: Any,  # noqa: ANN401 - see above
    ) -> object:
        in_file = options_in(options_from) if options_from else {}
        # A cluster's own list of parameters has the provider among them.
        name = provider or in_file.get("provider", "")
        in_file.pop("provider", None)
        if not name:
            known = ", ".join(installed.installed_names()) or "none"
            raise click.UsageError(
                f"Missing option '--provider'. Give it, or set {PROVIDER_VARIABLE}; installed here: {known}."
            )
        given = dict(option_pair(text) for text in option)
        cloud = Cloud(name, {**in_file, **given}, on_command_line=given, timeout=timeout, verbose=verbose)
        return verb(*args, cloud=cloud, **kwargs)

    return wrapped  # type: ignore[return-value]  # click makes a command of it, whose parameters are not this one's


def option_pair(text: str) -> tuple[str, str]:
    """Return name and value of a ``-o``.

    :raises click.UsageError: it has another form.
    """
    name, found, value = text.partition("=")
    if not found or not name.strip():
        # What was meant may be a secret, so it is not repeated.
        raise click.UsageError("Option '-o' takes NAME=VALUE.")
    return canonical(name), value.strip()


def options_in(path: str) -> dict[str, str]:
    """Return the parameters in *path*. Blank lines and comments are skipped, the last value of a name wins.

    :raises LocalConfigurationError: the file is not there, or others than its owner can read it.
    :raises ConfigurationError: a line is no parameter; says which, not what is in it.
    """
    if path == STANDARD_INPUT:
        text = sys.stdin.buffer.read(MOST_INPUT + 1)
        if len(text) > MOST_INPUT:
            raise ConfigurationError("standard input is too large for parameters", advice="write one name=value a line")
        content = text.decode("utf-8", "replace")
    else:
        content = read_secret_file("--options-from", os.path.abspath(os.path.expanduser(path))).reveal()
    values: dict[str, str] = {}
    for number, raw in enumerate(content.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, found, value = line.partition("=")
        if not found or not name.strip():
            raise ConfigurationError(
                f"line {number} of --options-from is not name=value", advice="write one parameter on a line"
            )
        values[canonical(name)] = value.strip()
    return values


def _say(text: str) -> None:
    print(text, file=sys.stderr)
