"""What this machine sees of an address by itself: a hint from the metadata service, never a proof."""

from __future__ import annotations

from cloudha.provider import AddressQuery, CloudhaError, Context, Evidence, Kind, Verdict
from cloudha_plugin_azure import metadata

__all__ = ["evidence"]


def evidence(context: Context, query: AddressQuery) -> Evidence:
    """Say what the metadata service lists. Microsoft documents no freshness, so the verdict is always open."""
    if query.kind is Kind.ROUTE:
        return Evidence(Verdict.CANNOT_TELL, "the metadata service lists no routes")
    try:
        listed = query.ip in metadata.listed_addresses(context)
    except CloudhaError as error:
        return Evidence(Verdict.CANNOT_TELL, error.cause)
    return Evidence(
        Verdict.CANNOT_TELL,
        f"the metadata service {'lists' if listed else 'does not list'} it, which is a hint and no proof",
    )
