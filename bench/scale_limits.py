"""What the clouds publish about their throttling, and token buckets that follow it.

EC2: "Request throttling for the Amazon EC2 API" in the Amazon EC2 Developer Guide
(docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html): per account and region, and for each API operation
a bucket of its own. AWS raises them on request.
Azure: "Compute throttling limits" and "Understand how Azure Resource Manager throttles requests" (learn.microsoft.com).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["BY_ID", "METADATA", "UNFILTERED", "Buckets", "Limit", "bucket_of", "ec2_limit"]

METADATA = "metadata."
# Behind an operation's name: asked with neither filter nor page size, or with nothing but ids.
UNFILTERED = " (unfiltered)"
BY_ID = " (by id)"


@dataclass(frozen=True)
class Limit:
    """A bucket's size, and how many tokens come back in a second."""

    capacity: float
    refill: float

    def scaled(self, share: float) -> Limit:
        """Return that share of it, never less than one token."""
        return Limit(max(1.0, self.capacity * share), self.refill * share)


READ = Limit(100, 20)
# Those of the operations named below that are asked with neither a filter nor pagination.
READ_UNFILTERED = Limit(50, 10)
CHANGE = Limit(50, 5)
# "Uncategorized actions". Stopping and starting also have buckets by the number of machines (1,000; 20 and 2 a
# second), which requests about one machine each reach no sooner than those of requests.
NAMED = {
    "AssignPrivateIpAddresses": Limit(100, 5),
    "UnassignPrivateIpAddresses": Limit(100, 5),
    "StartInstances": Limit(5, 2),
}
SMALLER_UNFILTERED = ("DescribeInstances", "DescribeInstanceStatus", "DescribeNetworkInterfaces")
READS = ("Describe", "List", "Search", "Get")


def bucket_of(operation: str, parameters: Mapping[str, str]) -> str:
    """Name the bucket of a request by EC2's own parameters."""
    if operation not in SMALLER_UNFILTERED:
        return operation
    names = {name.partition(".")[0] for name in parameters}
    if names & {"Filter", "MaxResults", "NextToken"}:
        return operation
    return operation + (BY_ID if any(name.endswith("Id") for name in names) else UNFILTERED)


def ec2_limit(bucket: str) -> Limit:
    """Return what is published for a bucket, ``BY_ID`` being taken for unfiltered; see :class:`Buckets`."""
    operation, _, rest = bucket.partition(" ")
    if operation in NAMED:
        return NAMED[operation]
    if not operation.startswith(READS):
        return CHANGE
    return READ_UNFILTERED if rest else READ


class Buckets:
    """The buckets of one account and region, each made when it is first used, full.

    :param ids_are_filters: a request that names its machines by id is a filtered one. AWS does not say; its page links
        to filters proper, so that the strict reading (False) puts such requests into the smaller bucket.
    :param share: of the published sizes and refills, for a run that is scaled down.
    """

    def __init__(self, *, ids_are_filters: bool, share: float = 1.0) -> None:
        self.ids_are_filters = ids_are_filters
        self.share = share
        self._levels: dict[str, list[float]] = {}
        self._limits: dict[str, Limit] = {}
        self._names: dict[str, str] = {}

    def take(self, bucket: str, now: float) -> bool:
        """Take one token at *now* (seconds); a request that is refused takes none."""
        name = self._names.get(bucket)
        if name is None:
            name = self._names[bucket] = bucket.replace(BY_ID, "" if self.ids_are_filters else UNFILTERED)
        level = self._levels.get(name)
        if level is None:
            limit = self._limits[name] = ec2_limit(name).scaled(self.share)
            level = self._levels[name] = [limit.capacity, now]
        limit = self._limits[name]
        level[0] = min(limit.capacity, level[0] + (now - level[1]) * limit.refill)
        level[1] = now
        if level[0] < 1.0:
            return False
        level[0] -= 1.0
        return True
