"""Instances' power: InstanceAction, with states that take time and the world's switch at their end."""

from __future__ import annotations

from cloudha_plugin_oci.emulator.account import Account
from cloudha_plugin_oci.emulator.behaviour import OciError
from cloudha_plugin_oci.emulator.records import Document

__all__ = ["act", "terminate"]

# What an action starts from, and the states on the way to its end. SOFTSTOP waits for the guest up to 15 minutes.
ACTIONS = {"STOP": ("RUNNING", "STOPPING", "STOPPED"), "START": ("STOPPED", "STARTING", "RUNNING")}
SOFT_SECONDS = 900.0


def act(account: Account, instance: Document, action: str) -> Document:
    """Begin an action, and return the instance as it is now.

    :raises OciError: the state forbids it, or there is no such action.
    """
    soft = action == "SOFTSTOP"
    known = ACTIONS.get("STOP" if soft else action)
    if known is None:
        raise OciError(400, "InvalidParameter", f"Unsupported instance action: {action}")
    account.follow_world()
    first, way, end = known
    present = account.records.get("instance", instance["id"])
    state = present["lifecycleState"]
    if state == end and account.behaviour.idempotent_power:
        return present
    if state != first:
        raise OciError(
            409, "IncorrectState", f"The instance {instance['id']} is in state {state}, not {first}, for {action}"
        )
    changed = account.records.change(instance["id"], lifecycleState=way)
    on = end == "RUNNING"
    seconds = account.behaviour.start if on else account.behaviour.stop

    def finish() -> None:
        if account.records.get("instance", instance["id"])["lifecycleState"] != way:
            return
        name = account.machines[instance["id"]].name
        (account.world.give_power if on else account.world.cut_power)(name)
        account.records.change(instance["id"], lifecycleState=end)

    account.later(seconds + (SOFT_SECONDS if soft else 0.0), finish)
    return changed


def terminate(account: Account, instance: Document) -> None:
    """End an instance for good: its VNIC goes, with the addresses that are not RESERVED."""
    ocid = instance["id"]
    account.records.change(ocid, lifecycleState="TERMINATING")

    def finish() -> None:
        account.world.cut_power(account.machines[ocid].name)
        account.records.change(ocid, lifecycleState="TERMINATED")
        for vnic in account.vnics(ocid):
            for kind in ("privateip", "ipv6"):
                for item in [i for i in account.records.all(kind) if i.get("vnicId") == vnic["id"]]:
                    if item["lifetime"] == "RESERVED":
                        account.place(item, None)
                    else:
                        account.records.remove(item["id"])
            for attachment in list(account.records.all("vnicattachment")):
                if attachment["vnicId"] == vnic["id"]:
                    account.records.change(attachment["id"], lifecycleState="DETACHED")
            account.records.remove(vnic["id"])
        account.deliver()

    account.later(account.behaviour.stop, finish)
