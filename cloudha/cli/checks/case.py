"""What every check is given: the configuration, the clouds that it names, this machine, and how much time there is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from cloudha.cli.checks.cib import Cib
from cloudha.cli.checks.targets import AddressTarget, FenceTarget, Target
from cloudha.deadline import Deadline
from cloudha.types import Node

__all__ = ["Case"]


class Case:
    """One run of the doctor. Checks leave in it what later ones need.

    :param cib: None when there is none; ``no_cib`` says why.
    :param from_file: the configuration comes from a file, so this machine need not be a node of the cluster.
    :param root: where the agents are looked for.
    :param left_out: resources whose cloud is not looked at, since the operator named another provider.
    """

    def __init__(
        self,
        *,
        cib: Cib | None,
        no_cib: str = "",
        from_file: bool = False,
        root: Path = Path("/"),
        fences: Iterable[FenceTarget] = (),
        addresses: Iterable[AddressTarget] = (),
        secrets: Iterable[str] = (),
        left_out: Iterable[str] = (),
    ) -> None:
        self.cib = cib
        self.no_cib = no_cib
        self.from_file = from_file
        self.root = root
        self.fences = tuple(fences)
        self.addresses = tuple(addresses)
        self.secrets = set(secrets)
        self.left_out = tuple(left_out)
        #: of the check that runs now
        self.deadline = Deadline(0.0)
        #: by :mod:`.machines`: cluster node to its machine, as far as that is certain
        self.machines: dict[str, Node] = {}
        #: by :mod:`.metadata`: the machine that this is, for each provider that knows it
        self.local: dict[str, Node] = {}
        #: by :mod:`.latency`: our clock less the cloud's, in seconds, by provider
        self.clock_offsets: dict[str, list[float]] = {}

    @property
    def here(self) -> str:
        """This machine's name, as Pacemaker takes it by default."""
        return os.uname().nodename

    @property
    def member_names(self) -> tuple[str, ...]:
        """The cluster's nodes."""
        return tuple(member.name for member in self.cib.members) if self.cib else ()

    @property
    def is_node(self) -> bool:
        """Whether this machine certainly is a node of the cluster that is judged."""
        return not self.from_file and self.cib is not None

    @property
    def properties(self) -> Mapping[str, str]:
        """The cluster's properties."""
        return self.cib.properties if self.cib else {}

    def targets(self) -> tuple[FenceTarget | AddressTarget, ...]:
        """Every way to a cloud that the configuration names, fencing first."""
        return (*self.fences, *self.addresses)

    def groups(self) -> list[list[Target]]:
        """Return the targets, those that reach the cloud in the same way together, fencing first.

        Floating addresses whose own parameters cannot be read are left out.
        """
        found: dict[object, list[Target]] = {}
        for target in self.targets():
            if not isinstance(target, AddressTarget) or target.request is not None:
                found.setdefault(target.key, []).append(target)
        return list(found.values())

    def name_of(self, machine_id: str) -> str:
        """Return the cluster node that is that machine, "" when none is known to be.

        Where no cloud is behind a provider, its machines go by the nodes' own names.
        """
        found = next((name for name, node in self.machines.items() if node.id == machine_id), "")
        return found or next((name for name in self.member_names if name == machine_id), "")

    def me(self, target: Target) -> str:
        """Return this machine's id for the provider of *target*, "" when it is not known."""
        node = self.local.get(target.provider_name)
        return node.id if node else ""
