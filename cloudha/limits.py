"""How many addresses an interface carries, and may: what a plugin's ``interface_load`` answers to the doctor.

A plugin may have a module ``limits`` beside its provider's module, with a function
``interface_load(context, change) -> InterfaceLoad``. It only reads, once, as a hook does, and raises what hooks raise.
Only ``cloudha doctor`` looks for it; the agents never do.
"""

from __future__ import annotations

from cloudha.record import Record

__all__ = ["InterfaceLoad"]


class InterfaceLoad(Record):
    """The interface that would take the address of an :class:`~cloudha.types.AddressChange`.

    ``addresses``: those that it carries and that count against ``most``, its own included. ``held``: whether the
    address is among them already. ``source``: whose limit it is, for people.
    """

    interface: str
    addresses: int
    most: int
    held: bool
    source: str
