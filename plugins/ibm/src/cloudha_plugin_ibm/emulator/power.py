"""Instances' power: states that take time, and the world's switch at their end. A *stopping* instance still runs."""

from __future__ import annotations

from cloudha_plugin_ibm.emulator.account import Account
from cloudha_plugin_ibm.emulator.behaviour import ApiError
from cloudha_plugin_ibm.emulator.records import Virtual

__all__ = ["act"]

# The API's own words.
UNSUPPORTED = "An action was requested on a resource which is not supported at the current status of the resource."
STOPPABLE = ("running", "starting", "restarting", "pending", "stopping")
STARTABLE = ("stopped", "starting")


def act(account: Account, virtual: Virtual, action: str, *, force: bool) -> None:
    """Begin a ``stop`` or a ``start``.

    :raises ApiError: the present status does not allow it, or (``strict``) makes it needless.
    """
    account.follow_world()
    stop = action == "stop"
    final = "stopped" if stop else "running"
    if virtual.status not in (STOPPABLE if stop else STARTABLE):
        if virtual.status == final and not account.behaviour.strict:
            return
        raise ApiError(409, "instance_action_unsupported", UNSUPPORTED)
    account.note(virtual, "stopping" if stop else "starting")
    virtual.serial += 1
    serial = virtual.serial
    seconds = account.behaviour.stop + (0.0 if force else account.behaviour.guest) if stop else account.behaviour.start

    def end() -> None:
        if virtual.serial == serial:
            (account.world.cut_power if stop else account.world.give_power)(virtual.machine.name)
            account.note(virtual, final)

    account.later(max(seconds, 0.001), end)
