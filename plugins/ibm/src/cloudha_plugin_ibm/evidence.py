"""What this machine sees of an address by itself: nothing that would be a proof."""

from __future__ import annotations

from cloudha.provider import AddressQuery, Context, Evidence, Verdict

__all__ = ["evidence"]


def evidence(_context: Context, _query: AddressQuery) -> Evidence:
    """Say that it cannot be told. IBM does not say how soon the metadata service follows a move, so it is not asked."""
    return Evidence(Verdict.CANNOT_TELL, "the metadata service of IBM Cloud VPC has no documented freshness")
