"""The control plane's process: an emulated cloud, listening on the gateway's address in the cloud's namespace."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

from cloudha.lab import plan as plans
from cloudha.lab.interpreter import CONTROL_GROUP, PROVIDER_GROUP, module_command, module_environment
from cloudha.lab.machines import LabWorld
from cloudha.lab.namespaces import enter_network
from cloudha.lab.power import start_time
from cloudha.lab.problems import LabError, NotReady
from cloudha.lab.programs import poll, spawn, write_whole
from cloudha.lab.state import SHARED_VARIABLE, LabState, read_lines
from cloudha.lab.world import Emulator, World

__all__ = ["check_provider", "control_pid", "load_factory", "options", "providers", "start_control"]

START_SECONDS = 15.0

Factory = Callable[[World, str, int], Emulator]


def providers() -> tuple[str, ...]:
    """Return the names of all providers whose cloud can be emulated here."""
    return tuple(sorted({entry.name for entry in importlib.metadata.entry_points(group=CONTROL_GROUP)}))


def load_factory(provider: str) -> Factory:
    """Return what makes the emulator of that provider.

    :raises LabError: none is installed, or it cannot be imported.
    """
    found = [entry for entry in importlib.metadata.entry_points(group=CONTROL_GROUP) if entry.name == provider]
    if not found:
        here = ", ".join(providers()) or "none"
        raise LabError(
            f"no emulated cloud for provider {provider} is installed (here: {here}); "
            f"install it with: pip install cloudha-plugin-{provider}"
        )
    try:
        return cast("Factory", found[0].load())
    except Exception as error:  # whatever a plugin's import raises is one line for the user
        raise LabError(f"the emulator of provider {provider} cannot be loaded: {found[0].value}: {error!r}") from error


def check_provider(name: str) -> None:
    """Return when a provider of that name is installed; what it needs of a cloud is not asked.

    :raises LabError: it is not.
    """
    if not any(entry.name == name for entry in importlib.metadata.entry_points(group=PROVIDER_GROUP)):
        raise LabError(f"provider {name} is not installed; install it with: pip install cloudha-plugin-{name}")


def start_control(state: LabState) -> None:
    """Start the control plane and wait until it listens.

    :raises NotReady: it does not; the text names its log.
    """
    state.control.unlink(missing_ok=True)
    spawn(
        [*enter_network(state.cloud_namespace), *module_command("cloudha.lab.control", str(state.directory))],
        log=state.control_log,
        environment={**module_environment(), **state.environment, SHARED_VARIABLE: str(state.shared)},
    )
    if not poll(lambda: control_pid(state) is not None and answers(state), START_SECONDS):
        raise NotReady(f"the control plane does not start; see {state.control_log}")


def answers(state: LabState) -> bool:
    """Whether something listens where the control plane should."""
    # The kernel's own table, read through the process: no connection that an emulator would have to answer.
    wanted = f":{plans.CONTROL_PORT:04X}"
    with contextlib.suppress(OSError):
        table = Path(f"/proc/{control_pid(state)}/net/tcp").read_text().splitlines()[1:]
        return any(line.split()[1].endswith(wanted) and line.split()[3] == "0A" for line in table)
    return False


def _written(state: LabState) -> dict[str, object]:
    found = read_lines(state.control)
    return found[0] if found else {}


def control_pid(state: LabState) -> int | None:
    """Return the control plane's pid, None when it does not run."""
    written = _written(state)
    pid = written.get("pid")
    return pid if isinstance(pid, int) and start_time(pid) == written.get("started") else None


def options(state: LabState) -> dict[str, str]:
    """Return the parameters with which both agents reach the control plane, ``provider`` the first of them.

    :raises NotReady: it has never started.
    """
    given = _written(state).get("options")
    if not isinstance(given, dict):
        raise NotReady(f"lab {state.name}: the control plane does not run; see {state.control_log}")
    return {"provider": state.plan.provider, **given}


def main() -> None:
    """Be the control plane of the lab that the command line names, until SIGTERM."""
    state = LabState(Path(sys.argv[1]))
    emulator = load_factory(state.plan.provider)(LabWorld(state), str(plans.GATEWAY), plans.CONTROL_PORT)
    serving = threading.Thread(target=emulator.serve, name="control plane")
    # SIGTERM is for down; SIGINT at the terminal is not for a process with a session of its own.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    serving.start()
    written = {"pid": os.getpid(), "started": start_time(os.getpid()), "options": dict(emulator.options())}
    write_whole(state.control, json.dumps(written) + "\n")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    emulator.close()
    serving.join(timeout=5)


if __name__ == "__main__":
    main()
