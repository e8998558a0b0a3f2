"""The requests that a provider's hooks send, said beforehand: what a plugin's ``requests`` is asked, and its answer.

A plugin may have a module ``requests`` beside its provider's module, with a function
``requests(planned) -> tuple[ApiRequest, ...]``. It asks nobody and imports no SDK. Only ``--dry-run`` looks for it; the
agents never do.
"""

from __future__ import annotations

from cloudha.options import Settings
from cloudha.record import Record
from cloudha.types import Binding, IPAddress, Kind, Node

__all__ = ["LOGIN", "ApiRequest", "Planned"]

#: Not a hook: what is asked for once in an action, so that the others can be asked (credentials, the region).
LOGIN = "login"


class Planned(Record):
    """One call of a hook that would be made.

    ``hook``: its name, or :data:`LOGIN`. ``settings``: the provider's parameters. ``plug``: what ``list_nodes`` is to
    find. ``node``: the machine that it is about. ``kind``, ``ip`` and ``move``: as in
    :class:`~cloudha.types.AddressChange`. ``held``: who has the address now, as ``list_ips`` has just said.
    """

    hook: str
    settings: Settings
    plug: str = ""
    node: Node | None = None
    kind: Kind | None = None
    ip: IPAddress | None = None
    move: bool = True
    held: tuple[Binding, ...] = ()


class ApiRequest(Record):
    """One request to the vendor's API.

    ``request``: the vendor's name of the operation (``ec2:StopInstances``), or method, path and query
    (``POST /v1/instances/0717_.../actions?generation=2``). ``body``: its parameters, or what is in its body; words for
    what is long. What only an earlier answer tells stands in braces: ``{interface}``. ``changes``: whether it asks for
    a change. ``when``: "" for always, else on what it depends. ``service``: who is asked, "" for the cloud's API.
    """

    request: str
    body: str = ""
    changes: bool = False
    when: str = ""
    service: str = ""
