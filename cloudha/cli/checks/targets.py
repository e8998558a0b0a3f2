"""The ways to a cloud that the configuration names: a provider with one resource's parameters, as its agent sees them.

The agents' own code reads the parameters, so that what is judged here is what the cluster will do.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterable, Mapping

from cloudha import installed, nic, plugins
from cloudha.addresses import Request
from cloudha.agents.fence_actions import prepare
from cloudha.agents.fence_options import OWN_NAMES as FENCE_NAMES
from cloudha.agents.floating_ip_options import OWN as ADDRESS_OPTIONS
from cloudha.agents.floating_ip_options import OWN_NAMES as ADDRESS_NAMES
from cloudha.agents.process import Output
from cloudha.cli.checks.cib import Resource
from cloudha.deadline import Deadline
from cloudha.errors import CloudhaError, ConfigurationError, Unavailable, one_line
from cloudha.host import Host
from cloudha.options import COMMON_OPTIONS, Audience, Option, Settings, canonical, parse
from cloudha.types import Kind

__all__ = ["LOCAL_SECRET", "AddressTarget", "FenceTarget", "Target", "own_secrets", "parameters_of"]

# What cibsecret leaves in the CIB; the value is in a file on each node, and only the cluster puts it in.
LOCAL_SECRET = "lrm://"  # noqa: S105 - no secret, but the mark that says where one is
OWN_VARIABLES = "CLOUDHA_"


def parameters_of(resource: Resource) -> dict[str, str]:
    """Return the parameters that an agent gets from the cluster, without those that are the cluster's own."""
    return {
        canonical(name): value
        for name, value in resource.parameters.items()
        if not name.startswith("pcmk_") and not value.startswith(LOCAL_SECRET)
    }


def own_secrets(provider: str) -> dict[str, str]:
    """Take the secrets of *provider* out of the environment, where people give them as CLOUDHA_NAME."""
    options = (Option("password", "", secret=True), *_declared(provider))
    found = {}
    for option in options:
        value = os.environ.pop(OWN_VARIABLES + option.name.upper(), None) if option.secret else None
        if value is not None:
            found[option.name] = value
    return found


def _declared(provider: str) -> tuple[Option, ...]:
    try:
        return installed.declared(provider).options
    except CloudhaError:
        return ()


class Target:
    """A provider with parameters. Once it was seen not to answer, it is not asked again.

    :param resource: whose parameters they are, None for the command line alone.
    :param raw: all parameters, as text.
    """

    def __init__(self, provider: str, raw: Mapping[str, str], resource: Resource | None, *, verbose: bool) -> None:
        self.provider_name = provider
        self.raw = {**raw, "provider": provider}
        self.resource = resource
        self.verbose = verbose
        self.away: CloudhaError | None = None
        #: by :mod:`.latency`: seconds that one read takes, None when not measured
        self.latency: float | None = None

    @property
    def label(self) -> str:
        """The resource's id."""
        return self.resource.id if self.resource else "command-line"

    @property
    def key(self) -> object:
        """Equal for those that reach the cloud in the same way: what differs is the agent's own."""
        own = self.reserved - {"provider", "password_script"}
        return type(self), frozenset((name, value) for name, value in self.raw.items() if name not in own)

    @functools.cached_property
    def usable(self) -> bool:
        """Whether the provider is here and the parameters are valid; :mod:`.providers` says what is not."""
        try:
            return self.connected is not None
        except CloudhaError:
            return False

    @functools.cached_property
    def provider(self) -> plugins.Provider:
        """The provider, loaded as the agent does.

        :raises CloudhaError: it is not installed, or broken.
        """
        return plugins.load(self.provider_name, self.reserved)

    @property
    def reserved(self) -> frozenset[str]:
        """Names that are the agent's own."""
        raise NotImplementedError

    @functools.cached_property
    def connected(self) -> Host:
        """The way to the provider, made from the parameters when first asked for."""
        raise NotImplementedError

    def host(self, deadline: Deadline) -> Host:
        """Return the way to the provider, with that deadline.

        :raises CloudhaError: the parameters are wrong, or the cloud is known to be away.
        """
        if self.away is not None:
            raise Unavailable(
                f"not asked, since the cloud did not answer before ({self.away.cause})", advice=self.away.advice
            )
        host = self.connected
        host.go_on(deadline)
        return host

    def secrets(self) -> tuple[str, ...]:
        """Return every secret among the parameters, also those that a file holds."""
        declared = (Option("password", "", secret=True), *_declared(self.provider_name))
        plain = {self.raw[option.name] for option in declared if option.secret and self.raw.get(option.name)}
        with contextlib.suppress(CloudhaError):
            plain.update(self.connected.settings.secrets())
        return tuple(plain)

    def unknown_parameters(self) -> list[str]:
        """Return the names that neither the agent nor the provider knows."""
        known = {option.name for option in (*COMMON_OPTIONS, *self.provider.info.options)}
        known |= self.reserved | {"password", "port", "passwd", "passwd_script", "option"}
        return sorted(set(self.raw) - known)


class FenceTarget(Target):
    """What a fence device reaches."""

    @property
    def reserved(self) -> frozenset[str]:
        """See :class:`Target`."""
        return FENCE_NAMES

    @functools.cached_property
    def connected(self) -> Host:
        """See :class:`Target`."""
        # Nothing is written, not even into the file that the agent appends its calls to.
        ours = {"debug_file": "", "verbose_level": "", "quiet": "", "verbose": "1" if self.verbose else ""}
        return prepare("monitor", {**self.raw, **ours}, Output("cloudha"), FENCE_NAMES).host

    @functools.cached_property
    def standard(self) -> Settings:
        """The agent's own parameters, times included.

        :raises ConfigurationError: one is wrong.
        """
        from cloudha.agents.fence_options import STANDARD

        return parse([known.option for known in STANDARD], {**self.raw, "port": ""})


class AddressTarget(Target):
    """What a floating address reaches. ``request`` is None when its own parameters are wrong: see ``trouble``."""

    def __init__(self, provider: str, raw: Mapping[str, str], resource: Resource | None, *, verbose: bool) -> None:
        super().__init__(provider, raw, resource, verbose=verbose)
        self.request: Request | None = None
        self.trouble: CloudhaError | None = None
        try:
            self.request = _request(self.raw)
        except CloudhaError as error:
            self.trouble = error

    @property
    def reserved(self) -> frozenset[str]:
        """See :class:`Target`."""
        return ADDRESS_NAMES

    @functools.cached_property
    def connected(self) -> Host:
        """See :class:`Target`."""
        options: Iterable[Option] = (*COMMON_OPTIONS, *self.provider.info.options)
        settings = parse([option for option in options if option.audience is not Audience.FENCE], self.raw)
        trace = _say if self.verbose else None
        return Host(self.provider, settings, Deadline(0.0), action="doctor", warn=_say, trace=trace)


def _request(raw: Mapping[str, str]) -> Request:
    own = parse(ADDRESS_OPTIONS, raw)
    ip = own.address("ip")
    if ip is None:
        raise ConfigurationError("parameter ip is missing", advice="add ip=...")
    return Request(
        kind=Kind(own.text("kind")),
        ip=ip,
        node=own.text("node"),
        interface=own.text("nic"),
        prefix=nic.prefix_length(ip, own.text("cidr_netmask")),
        takeover=own.text("takeover") == "always",
    )


def _say(text: str) -> None:
    print(one_line(text), file=sys.stderr)
