"""The actions of fence_cloud: one request of the operator each, one exit code."""

from __future__ import annotations

import contextlib
import gc
import os
import stat
import time
from collections.abc import Callable, Iterable, Mapping

from cloudha import fencing, installed, plugins
from cloudha.agents.exits import FenceExit
from cloudha.agents.fence_options import STANDARD
from cloudha.agents.process import Output
from cloudha.deadline import Deadline
from cloudha.errors import (
    CloudhaError,
    ConfigurationError,
    LocalConfigurationError,
    NotFound,
    Unavailable,
    shown,
)
from cloudha.host import Host
from cloudha.options import COMMON_OPTIONS, Audience, Option, Settings, parse
from cloudha.record import Record
from cloudha.types import Node, PowerState, Purpose

__all__ = ["ACTIONS", "Call", "prepare"]

# A reboot has done its work when off is confirmed; starting the machine again gets what is left, and at least this,
# which still fits between the default power_timeout (50 s) and Pacemaker's default stonith-timeout (60 s).
ON_LEAST_SECONDS = 4.0
# Nor more than this: until the fencing's answer nothing starts elsewhere, whatever keeps the machine from starting.
ON_MOST_SECONDS = 10.0
# With disable_timeout, Pacemaker's own kill is the end; this only bounds a forgotten process.
NO_TIMEOUT_SECONDS = 3600.0
# validate-all runs while somebody types; a cloud that is away is a remark there, not an error.
VALIDATE_SECONDS = 8.0
PASSWORD_SCRIPT_SECONDS = 10.0
# Of the variables in which people at a shell give secrets.
OWN_VARIABLES = "CLOUDHA_"
POWER_ACTIONS = ("off", "on", "reboot")


class Call(Record):
    """One run of the agent: the checked parameters and the way to the provider."""

    action: str
    settings: Settings
    host: Host
    output: Output


def prepare(action: str, raw: Mapping[str, str], output: Output, reserved: Iterable[str]) -> Call:
    """Check every parameter and load the provider, touching nothing.

    :raises CloudhaError: with one line for the operator.
    """
    standard = parse([known.option for known in STANDARD], {**raw, "port": ""})
    output.quiet = standard.flag("quiet")
    name = standard.text("provider")
    if not name:
        known = ", ".join(installed.installed_names()) or "none"
        raise ConfigurationError("parameter provider is missing", advice=f"add provider=...; installed: {known}")
    provider = plugins.load(name, reserved)
    own = [option for option in (*COMMON_OPTIONS, *provider.info.options) if option.audience is not Audience.ADDRESS]
    own = _with_password(own)
    settings = parse(own, {**_from_environment(own), **raw, **_password(standard)})
    if action in POWER_ACTIONS:
        _wait_before(action, standard.seconds("delay"))
    host = Host(
        provider,
        settings,
        Deadline(_seconds(action, standard)),
        action=action,
        agent="fence_cloud",
        connect_seconds=standard.seconds("login_timeout"),
        read_seconds=standard.seconds("shell_timeout"),
        warn=output.say,
        trace=_tracer(standard, output),
    )
    return Call(action, standard, host, output)


def _with_password(own: list[Option]) -> list[Option]:
    """Add the standard password where the provider does not declare it: it must be known to be kept out of logs."""
    return own if any(option.name == "password" for option in own) else [*own, Option("password", "", secret=True)]


def _from_environment(options: Iterable[Option]) -> dict[str, str]:
    """Return the secrets that somebody at a shell gives as CLOUDHA_NAME, since the command line refuses them."""
    found = {}
    for option in options:
        # Taken out: what an SDK starts would inherit it, and keep it readable in its own environment.
        if option.secret and (value := os.environ.pop(OWN_VARIABLES + option.name.upper(), None)) is not None:
            found[option.name] = value
    return found


def _seconds(action: str, standard: Settings) -> float:
    if standard.flag("disable_timeout"):
        return NO_TIMEOUT_SECONDS
    if action in POWER_ACTIONS:
        return standard.seconds("power_timeout")
    if action == "validate-all":
        return VALIDATE_SECONDS
    return standard.seconds("query_timeout")


def _wait_before(action: str, seconds: float) -> None:
    """Wait as the operator wants (to let the other node win a mutual fencing), outside the action's deadline."""
    if action != "on":
        Deadline(seconds).sleep(seconds)


def _password(standard: Settings) -> dict[str, str]:
    script = standard.text("password_script")
    if not script:
        return {}
    if not script.startswith("/"):
        raise ConfigurationError(
            f"parameter password_script={shown(script)} is not an absolute path", advice="write it from /"
        )
    import subprocess  # only when a script is configured

    try:
        done = subprocess.run(
            [script],
            env={name: value for name, value in os.environ.items() if not name.startswith(OWN_VARIABLES)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PASSWORD_SCRIPT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise LocalConfigurationError(
            f"parameter password_script={shown(script)} failed: {type(error).__name__}",
            advice="run it by hand as root; it must print the password and end with 0",
        ) from None
    password = done.stdout.decode("utf-8", "replace").strip()
    if not password:
        raise LocalConfigurationError(f"parameter password_script={shown(script)} printed nothing")
    return {"password": password}


def _tracer(standard: Settings, output: Output) -> Callable[[str], None] | None:
    verbose = standard.flag("verbose") or standard.integer("verbose_level") > 0
    path = standard.text("debug_file")
    if not verbose and not path:
        return None
    handle = _open_debug(path, output) if path else None

    def trace(text: str) -> None:
        if verbose:
            output.say(text)
        if handle is not None:
            with contextlib.suppress(OSError):  # a full disk is no reason not to fence
                os.write(handle, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n".encode())

    return trace


def _open_debug(path: str, output: Output) -> int | None:
    """Open the file that the operator wants the calls in; a bad one costs a remark, never the fencing."""
    # No link is followed and nobody else may read: it is written by root, at a path that somebody typed.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        handle = os.open(path, flags, 0o600)
    except OSError as error:
        output.say(f"warning: parameter debug_file={shown(path)} is left out: {error.strerror}")
        return None
    if stat.S_ISREG(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    output.say(f"warning: parameter debug_file={shown(path)} is left out: it is not a regular file")
    return None


def _targets(call: Call) -> list[Node]:
    plugs = fencing.check_plugs(call.settings.text("plug"), call.settings.text("plug_separator"))
    found = {node.id: node for node in (fencing.find_node(call.host, plug) for plug in plugs)}
    return list(found.values())


def _off(call: Call) -> int:
    call.host.require("list_nodes", "power_state", "power_off")
    fencing.power_off(
        call.host,
        _targets(call),
        interval=call.settings.seconds("stonith_status_sleep"),
        wait=call.settings.seconds("power_wait"),
    )
    return FenceExit.OK


def _on(call: Call) -> int:
    call.host.require("list_nodes", "power_state", "power_on")
    _start(call, _targets(call))
    return FenceExit.OK


def _start(call: Call, targets: list[Node], *, see_it_on: bool = True) -> None:
    tries = max(1, call.settings.integer("retry_on"))
    whole = call.host.deadline
    for left in range(tries, 0, -1):
        call.host.go_on(whole.within(whole.remaining / left))
        try:
            fencing.power_on(
                call.host,
                targets,
                interval=call.settings.seconds("stonith_status_sleep"),
                # power_wait is for what reads the power afterwards; here nobody does.
                wait=call.settings.seconds("power_wait") if see_it_on else 0.0,
                see_it_on=see_it_on,
            )
        except CloudhaError:
            if left == 1:
                raise
        else:
            return


def _reboot(call: Call) -> int:
    """0 as soon as off is confirmed and the start is asked for: the cluster waits for this answer to go on.

    A start that fails does not make the fencing fail; waiting to see the machine on would only prolong the outage.
    """
    call.host.require("list_nodes", "power_state", "power_off", "power_on")
    targets = _targets(call)
    fencing.power_off(
        call.host,
        targets,
        interval=call.settings.seconds("stonith_status_sleep"),
        wait=call.settings.seconds("power_wait"),
    )
    call.host.go_on(Deadline(max(min(call.host.deadline.remaining, ON_MOST_SECONDS), ON_LEAST_SECONDS)))
    try:
        # The audit line begins with what the machine is now.
        _start(call, [node.replace(state=PowerState.OFF) for node in targets], see_it_on=False)
    except CloudhaError as error:
        names = ", ".join(node.label for node in targets)
        call.output.say(f"{names} IS OFF, AND WAS NOT STARTED AGAIN: {error}; start it by hand")
    return FenceExit.OK


def _status(call: Call) -> int:
    call.host.require("list_nodes")
    states = {node.label: node.state for node in _targets(call)}
    call.output.result(", ".join(f"{label}: {state.value}" for label, state in states.items()))
    if all(state.is_off for state in states.values()):
        return FenceExit.OFF
    if PowerState.UNKNOWN in states.values():
        call.output.say("the cloud reports a power state that the provider does not know")
        return FenceExit.FAILED
    return FenceExit.OK


def _monitor(call: Call) -> int:
    call.host.require("check_access", "list_nodes", "power_state", "power_off", "power_on")
    call.host.need_access(Purpose.FENCING, recurring=True)
    return FenceExit.OK


def _list(call: Call) -> int:
    call.host.require("list_nodes")
    separator = call.settings.text("separator")
    # Off for the sake of short actions; a listing may have many pages, and each leaves its garbage.
    gc.enable()
    # All pages first: a listing that breaks off must not look like a short one.
    found = list(fencing.nodes(call.host))
    if not found:
        # Pacemaker would take it that there is nothing to fence: by its own rules, an empty list is a good one.
        raise NotFound(
            "the cloud shows no machine at all", advice="check region, account, filters, and what the identity may see"
        )
    for node in found:
        state = {PowerState.ON: "ON", PowerState.OFF: "OFF", PowerState.TERMINATED: "OFF"}.get(node.state, "UNKNOWN")
        columns = [_column(node.id), _column(node.name)]
        if call.action == "list-status":
            columns.append(state)
        call.output.result(separator.join(columns))
    return FenceExit.OK


def _column(text: str) -> str:
    """Keep a name with blanks, commas or semicolons one word: Pacemaker would make several targets of it."""
    return "".join("_" if c.isspace() or c in ",;" else c for c in text)


def _validate(call: Call) -> int:
    call.host.require("check_access", "list_nodes", "power_state", "power_off", "power_on")
    try:
        call.host.need_access(Purpose.FENCING)
        if call.settings.text("plug"):
            for node in _targets(call):
                for warning in node.warnings:
                    call.output.say(f"warning: {node.label}: {warning}")
    except NotFound as error:
        # stonith_admin and pcs validate with a target that they make up ("node1").
        call.output.say(f"warning: {error}")
    except Unavailable as error:
        call.output.say(f"warning: the parameters are valid, the cloud could not be asked: {error}")
    return FenceExit.OK


ACTIONS: dict[str, Callable[[Call], int]] = {
    "off": _off,
    "on": _on,
    "reboot": _reboot,
    "status": _status,
    "monitor": _monitor,
    "start": _monitor,
    "stop": lambda _call: FenceExit.OK,
    "list": _list,
    "list-status": _list,
    "validate-all": _validate,
}
