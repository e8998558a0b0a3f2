"""What this machine sees of an address by itself: nothing that would prove anything.

The metadata service lists one private address for each VNIC, its primary one, so that a floating address never shows,
bound or not; no file, route or neighbour on the machine follows an assignment either. So nobody is asked, and the
verdict is always open: the host then goes by the API, and by the interface while the API is away.
"""

from __future__ import annotations

from cloudha.provider import AddressQuery, Context, Evidence, Verdict

__all__ = ["evidence"]

SOURCE = "the metadata service lists the primary address of each VNIC only"


def evidence(context: Context, query: AddressQuery) -> Evidence:  # noqa: ARG001 - as every hook
    """Say that it cannot be told from here."""
    return Evidence(Verdict.CANNOT_TELL, SOURCE)
