"""ocf:cloudha:floating-ip: OCF 1.1 in front of the host."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping, Sequence

from cloudha.agents.exits import OcfExit, ocf_exit
from cloudha.agents.process import Output, finish, quiet_stdout
from cloudha.errors import LONGEST_LINE, CloudhaError, ConfigurationError, one_line, shown

# For mypy, which knows the name. The real one is in typing, which metadata can do without.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from cloudha.addresses import FloatingAddress, Request
    from cloudha.options import Settings
    from cloudha.plugins import Provider

__all__ = ["main"]

PREFIX = "OCF_RESKEY_"
ACTIONS = ("start", "stop", "monitor", "status", "validate-all", "reload-agent", "reload")
# Pacemaker's own default for an operation without a timeout.
DEFAULT_TIMEOUT_SECONDS = 20.0
# OCF_CHECK_LEVEL from which more than local evidence is asked for.
DEEP_LEVEL = 10


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the agent as the process that it is: one action as argument, the rest in the environment."""
    # A twentieth of an action's CPU is spent looking for cycles; the process ends before they matter.
    gc.disable()
    output = Output("floating-ip")
    words = list(sys.argv[1:] if arguments is None else arguments)
    # Taken out: what an SDK or the agent starts would inherit the secrets among them, readable in its own environment.
    environ = dict(os.environ)
    for name in environ:
        if name.startswith(PREFIX):
            del os.environ[name]
    finish(lambda: _run(words, environ, output), output)


def _run(words: list[str], environ: Mapping[str, str], output: Output) -> int:
    quiet_stdout()
    action = words[0] if len(words) == 1 else ""
    if action in ("meta-data", "metadata"):
        from cloudha.agents.floating_ip_metadata import metadata  # loads every provider; no other action needs that

        output.result(metadata(output.say))
        return OcfExit.SUCCESS
    if action not in ACTIONS:
        usage = f"usage: floating-ip {{{'|'.join((*ACTIONS, 'meta-data'))}}}"
        if action in ("usage", "help", "--help", "-h"):
            output.result(usage)
            return OcfExit.SUCCESS
        output.say(usage)
        return OcfExit.UNIMPLEMENTED
    action = "monitor" if action == "status" else action
    try:
        return _Action(action, environ, output).run()
    except CloudhaError as error:
        _explain(str(error), environ, output)
        return ocf_exit(error, action)


def _explain(reason: str, environ: Mapping[str, str], output: Output) -> None:
    """Say why, in the form that Pacemaker shows in ``pcs status``."""
    prefix = environ.get("OCF_EXIT_REASON_PREFIX", "ocf-exit-reason:")
    output.remark(prefix + one_line(reason, LONGEST_LINE))


class _Action:
    """One action on one resource."""

    def __init__(self, action: str, environ: Mapping[str, str], output: Output) -> None:
        from cloudha.deadline import operation_deadline  # not needed for meta-data

        self.action = action
        self.environ = environ
        self.output = output
        self.deadline = operation_deadline(_timeout(environ))
        # A probe is a monitor without an interval: it asks what is here, before anything was started.
        self.probe = action == "monitor" and environ.get(PREFIX + "CRM_meta_interval", "0") in ("", "0")
        self.raw = {
            name[len(PREFIX) :]: value
            for name, value in environ.items()
            if name.startswith(PREFIX) and not name.startswith(PREFIX + "CRM_meta_")
        }

    def run(self) -> int:
        from cloudha.addresses import certainly_not_here, lacks_means, stop  # not needed for meta-data

        own, request = self._request()
        name = own.text("provider")
        try:
            if self.action == "stop":
                stop(request, self.deadline, lambda: self._address(own, request))
                return OcfExit.SUCCESS
            return self._act(self._address(own, request))
        except CloudhaError as error:
            if not lacks_means(error) or not (self.probe or self.action == "stop"):
                raise
            if not certainly_not_here(name, request, self.deadline):
                raise
            self.output.say(f"{request.ip} was never bound from this node since it booted: {error}")
            return OcfExit.NOT_RUNNING if self.probe else OcfExit.SUCCESS

    def _request(self) -> tuple[Settings, Request]:
        """Check the agent's own parameters, against each other too, without loading anything."""
        from cloudha import installed, nic
        from cloudha.addresses import Request
        from cloudha.agents.floating_ip_options import OWN
        from cloudha.options import parse
        from cloudha.types import Kind

        if not self.raw.get("provider", "").strip():
            known = ", ".join(installed.installed_names()) or "none"
            raise ConfigurationError("parameter provider is missing", advice=f"add provider=...; installed: {known}")
        own = parse(OWN, self.raw)
        ip = own.address("ip")
        if ip is None:
            raise ConfigurationError("parameter ip is missing", advice="add ip=...")
        kind = Kind(own.text("kind"))
        interface = own.text("nic")
        if interface:
            nic.check_name(interface)
            if kind is Kind.PUBLIC:
                raise ConfigurationError(
                    f"parameter nic={shown(interface)} does not go with kind=public",
                    advice="a public address is mapped by the cloud and is not on the interface; leave nic out",
                )
        return own, Request(
            kind=kind,
            ip=ip,
            node=own.text("node"),
            interface=interface,
            prefix=nic.prefix_length(ip, own.text("cidr_netmask")),
            takeover=own.text("takeover") == "always",
        )

    def _address(self, own: Settings, request: Request) -> FloatingAddress:
        from cloudha import plugins
        from cloudha.addresses import FloatingAddress
        from cloudha.agents.floating_ip_options import OWN_NAMES
        from cloudha.errors import UnsupportedError
        from cloudha.host import Host

        provider = plugins.load(own.text("provider"), OWN_NAMES)
        if request.kind not in provider.info.kinds:
            kinds = ", ".join(kind.value for kind in provider.info.kinds) or "none"
            raise UnsupportedError(
                f"parameter kind={shown(request.kind.value)} is not offered by provider {provider.name!r}",
                advice=f"it offers: {kinds}",
            )
        host = Host(
            provider,
            self._settings(provider),
            self.deadline,
            action=self.action,
            agent="floating-ip",
            instance=self.environ.get("OCF_RESOURCE_INSTANCE", ""),
            warn=self.output.say,
        )
        return FloatingAddress(host, request)

    def _settings(self, provider: Provider) -> Settings:
        from cloudha.options import COMMON_OPTIONS, Audience, parse

        options = (*COMMON_OPTIONS, *provider.info.options)
        return parse([option for option in options if option.audience is not Audience.FENCE], self.raw)

    def _act(self, address: FloatingAddress) -> int:
        match self.action:
            case "start":
                address.start()
            case "monitor":
                return self._monitor(address)
            case _:
                # validate-all, reload-agent: the parameters were checked on the way here. OCF 1.1: what depends on
                # the node is looked at from level 10 on.
                deep = self._level() >= DEEP_LEVEL
                address.check(on_this_node=deep)
                if deep and self.action == "validate-all":
                    self._check_access(address)
        return OcfExit.SUCCESS

    def _check_access(self, address: FloatingAddress) -> None:
        """Look for missing permissions, where the provider can; a cloud that is away is a remark."""
        from cloudha.errors import Unavailable
        from cloudha.types import Purpose

        host = address.host
        if not host.provider.implements("check_access"):
            return
        try:
            host.need_access(Purpose.ADDRESSES, address.request.kind)
        except Unavailable as error:
            self.output.say(f"warning: the parameters are valid, the cloud could not be asked: {error}")

    def _level(self) -> int:
        text = self.environ.get("OCF_CHECK_LEVEL", "0").strip()
        return int(text) if text.isdecimal() else 0

    def _monitor(self, address: FloatingAddress) -> int:
        status = address.monitor(ask_api=self._level() >= DEEP_LEVEL)
        if not status.running:
            if not self.probe:
                _explain(f"not running: {status.reason}", self.environ, self.output)
            return OcfExit.NOT_RUNNING
        if status.degraded:
            _explain(status.degraded, self.environ, self.output)
            return OcfExit.DEGRADED
        return OcfExit.SUCCESS


def _timeout(environ: Mapping[str, str]) -> float:
    """Return the operation's timeout in seconds; Pacemaker gives milliseconds."""
    text = environ.get(PREFIX + "CRM_meta_timeout", "").strip()
    return int(text) / 1000 if text.isdecimal() and 0 < int(text) < 10**9 else DEFAULT_TIMEOUT_SECONDS
