"""How the emulated AWS behaves. May be changed while it runs."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Behaviour"]


@dataclass(slots=True)
class Behaviour:
    """Times are in seconds.

    ``stop``, ``start``: from the accepted request to the final state. ``guest``: how much longer a stop takes that
    leaves the guest its shutdown (no SkipOsShutdown). ``bind``: from an accepted change of an address to its effect.
    ``stale``: how old the answers of Describe calls are. ``page``: the most items on a page, whatever is asked for.
    ``rate``, ``burst``: requests per second and at once of the account (rate 0: no throttling). ``addresses``:
    private IPv4 addresses that one interface can have. ``denied``: actions that nobody may do (``ec2:StopInstances``).
    ``keys``: access key ids that are known, () for all. ``expired``: the credentials have expired.
    ``metadata_tags``: the metadata service shows tags. ``role``: the instance profile's role, "" for none.
    """

    stop: float = 0.2
    start: float = 0.2
    guest: float = 0.0
    bind: float = 0.0
    stale: float = 0.0
    page: int = 1000
    rate: float = 0.0
    burst: int = 100
    addresses: int = 10
    denied: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    expired: bool = False
    metadata_tags: bool = True
    role: str = "cluster-node"
