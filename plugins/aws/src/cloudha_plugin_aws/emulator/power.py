"""Instances' power: states that take time, and the world's switch at their end.

"Instance lifecycle" in the EC2 User Guide. moto switches at once; here an instance that is *stopping* still runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instances import InstanceState

from cloudha_plugin_aws.emulator.account import Account, Moto

__all__ = ["Power"]

logger = logging.getLogger(__name__)

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}
# Settled states, and whether the world's machine runs in them.
SETTLED = {"running": True, "stopped": False}


class Power:
    """The switch of every instance of an account."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def stop(self, instance_ids: Iterable[str], *, skip_guest: bool) -> list[dict[str, object]]:
        """Begin to stop; return the changes as StopInstances answers them.

        :raises EC2ClientError: an instance is unknown, protected, or in a state that does not allow it.
        """
        found = self._found(instance_ids)
        for instance in found:
            if instance.state in ("pending", "shutting-down", "terminated"):
                raise _incorrect(instance, "stopped")
            if instance.disable_api_stop:
                raise EC2ClientError(
                    "OperationNotPermitted",
                    f"The instance '{instance.id}' may not be stopped. Modify its 'disableApiStop' instance attribute "
                    "and try again.",
                )
        seconds = self._account.behaviour.stop + (0 if skip_guest else self._account.behaviour.guest)
        return [
            self._turned(instance, "stopping", seconds, self._account.world.cut_power, "stopped")
            if instance.state == "running"
            else _change(instance, instance.state)
            for instance in found
        ]

    def start(self, instance_ids: Iterable[str]) -> list[dict[str, object]]:
        """Begin to start; return the changes as StartInstances answers them.

        :raises EC2ClientError: an instance is unknown, or in a state that does not allow it (stopping).
        """
        found = self._found(instance_ids)
        for instance in found:
            if instance.state in ("stopping", "shutting-down", "terminated"):
                raise _incorrect(instance, "started")
        return [
            self._turned(instance, "pending", self._account.behaviour.start, self._account.world.give_power, "running")
            if instance.state == "stopped"
            else _change(instance, instance.state)
            for instance in found
        ]

    def reboot(self, instance_ids: Iterable[str]) -> None:
        """Power-cycle running instances.

        :raises EC2ClientError: one of them does not run.
        """
        for instance in self._found(instance_ids):
            if instance.state != "running":
                raise _incorrect(instance, "rebooted")
            name = self._account.machine_name(instance.id)
            self._account.world.cut_power(name)
            self._account.world.give_power(name)

    def terminate(self, instance_ids: Iterable[str]) -> list[dict[str, object]]:
        """Begin to stop for good, in whatever state they are."""
        return [
            _change(instance, instance.state)
            if instance.state in ("shutting-down", "terminated")
            else self._turned(
                instance, "shutting-down", self._account.behaviour.stop, self._account.world.cut_power, "terminated"
            )
            for instance in self._found(instance_ids)
        ]

    def follow_world(self) -> None:
        """Note machines that were switched off from within (EC2 says stopped), or by the lab."""
        for instance in self._account.instances():
            runs = SETTLED.get(instance.state)
            if runs is not None and self._account.world.powered(self._account.machine_name(instance.id)) is not runs:
                self._set(instance, "stopped" if runs else "running")

    def _found(self, instance_ids: Iterable[str]) -> list[Moto]:
        self.follow_world()
        return list(self._account.backend.get_multi_instances_by_id(list(instance_ids)))

    def _turned(
        self, instance: Moto, meanwhile: str, seconds: float, act: Callable[[str], None], final: str
    ) -> dict[str, object]:
        before = instance.state
        self._set(instance, meanwhile)
        # A state object is made for each transition: a later one replaces it, and this one then has no effect.
        ticket = instance.instance_state

        def end() -> None:
            if instance.instance_state is not ticket:
                return
            try:
                act(self._account.machine_name(instance.id))
            except Exception:
                # As it was, so that the next request tries again.
                logger.exception("%s: the world failed", instance.id)
                self._settle(instance, ticket, before)
            else:
                self._settle(instance, ticket, final)

        self._account.later(max(seconds, 0.001), end)
        return _change(instance, before)

    def _settle(self, instance: Moto, ticket: object, final: str) -> None:
        with self._account.lock:
            if instance.instance_state is ticket:
                self._set(instance, final)
                if final == "terminated":
                    self._release(instance)

    def _set(self, instance: Moto, state: str) -> None:
        instance._state = InstanceState(state, CODES[state])  # noqa: SLF001 - moto has no other way
        self._account.changed()

    def _release(self, instance: Moto) -> None:
        """Take a terminated instance's interfaces away, and every address with them."""
        for interface in list(instance.nics.values()):
            for address in self._account.backend.addresses:
                if address.eni is interface:
                    self._account.backend.disassociate_address(association_id=address.association_id)
            self._account.backend.enis.pop(interface.id, None)
        self._account.changed()


def _change(instance: Moto, before: str) -> dict[str, object]:
    now, was = ({"Name": name, "Code": CODES[name]} for name in (instance.state, before))
    return {"InstanceId": instance.id, "CurrentState": now, "PreviousState": was}


def _incorrect(instance: Moto, participle: str) -> EC2ClientError:
    message = f"The instance '{instance.id}' is not in a state from which it can be {participle}."
    return EC2ClientError("IncorrectInstanceState", message)
