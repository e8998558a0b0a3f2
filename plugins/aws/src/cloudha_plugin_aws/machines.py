"""EC2 instances: which there are, their power, and switching it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from cloudha import web
from cloudha.provider import (
    Accepted,
    CloudhaError,
    ConfigurationError,
    Conflict,
    Context,
    IPAddress,
    Node,
    NodePage,
    NodeQuery,
    NotFound,
    PowerReading,
    PowerState,
    Unavailable,
)
from cloudha_plugin_aws import metadata
from cloudha_plugin_aws.client import call, members
from cloudha_plugin_aws.options import IF_POSSIBLE, NEVER, REQUIRED

__all__ = ["list_nodes", "parse_filters", "power_off", "power_on", "power_state"]

# "Instance lifecycle" in the EC2 User Guide. What is not here is unknown.
STATES = {
    "pending": PowerState.STARTING,
    "running": PowerState.ON,
    "stopping": PowerState.STOPPING,
    "shutting-down": PowerState.STOPPING,
    "stopped": PowerState.OFF,
    "terminated": PowerState.TERMINATED,
}
INSTANCE = re.compile(r"i-[0-9a-f]+\Z")
# DescribeInstances gives 1000 at most. boto3 takes 19 MiB to read so many, and a page must arrive within shell_timeout.
PAGE = 250
GROUP_TAG = "aws:autoscaling:groupName"
# In the value of a filter, these are wildcards unless a backslash precedes them.
WILDCARDS = re.compile(r"([*?\\])")
# Ranges that no public address is in (RFC 1918, RFC 6598): these save a search. A VPC may have others, too.
PRIVATE = tuple(
    ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
KEY_AND_VALUES = re.compile(r"Name=([^,\s]+),Values=(\S+)|([^=\s]+)=(\S+)")

Filter = dict[str, object]


def list_nodes(context: Context, query: NodeQuery) -> NodePage:
    """One request for each page. A plug is looked for by the server, in one or two ways, one after the other."""
    searches = [[]] if query.plug is None else _searches(query.plug)
    stage, _, token = (query.page or "0:").partition(":")
    filters = [*searches[int(stage)], *parse_filters(context.settings.text("filter"))]
    more = {"NextToken": token} if token else {}
    # An absent list of filters, not an empty one: EC2 refuses some empty lists.
    narrowed = {"Filters": filters} if filters else {}
    document = call(context, "describe_instances", MaxResults=PAGE, **narrowed, **more).document
    nodes = tuple(_node(instance, query.plug or "") for instance in _instances(document))
    following = document.get("NextToken") or ""
    if following:
        return NodePage(nodes, f"{stage}:{following}")
    return NodePage(nodes, f"{int(stage) + 1}:" if int(stage) + 1 < len(searches) else None)


def power_state(context: Context, node: Node) -> PowerReading:
    """Ask by the id, and believe only an answer about that id."""
    word = _state_word(context, node.id)
    return PowerReading(node.id, STATES.get(word, PowerState.UNKNOWN), raw=word)


def power_off(context: Context, node: Node) -> Accepted:
    """Stop hard: Force, and without the guest's shutdown. First make sure that nobody is stopping ourselves."""
    _race_check(context, node)
    options: dict[str, object] = {"Force": True}
    # boto3 knows it since late 2025. Without it AWS gives the guest some minutes before it forces the stop.
    if "SkipOsShutdown" in members(context, "StopInstances"):
        options["SkipOsShutdown"] = True
    return _switched(call(context, "stop_instances", InstanceIds=[node.id], **options), "StoppingInstances", node)


def power_on(context: Context, node: Node) -> Accepted:
    """Start it. EC2 refuses while it is stopping (Conflict)."""
    return _switched(call(context, "start_instances", InstanceIds=[node.id]), "StartingInstances", node)


def parse_filters(text: str) -> list[Filter]:
    """Read the option ``filter``: ``key=value``, or ``Name=key,Values=a,b``, several with blanks between.

    :raises ConfigurationError: it is neither.
    """
    filters: list[Filter] = []
    for part in text.split():
        found = KEY_AND_VALUES.fullmatch(part)
        if not found:
            raise ConfigurationError(
                f"parameter filter={text!r} is not valid", advice="write key=value, or Name=key,Values=value1,value2"
            )
        filters.append({"Name": found[1] or found[3], "Values": (found[2] or found[4]).strip("[]").split(",")})
    return filters


def _searches(plug: str) -> list[list[Filter]]:
    """Return the searches that together find every machine which the plug may mean.

    EC2 joins the filters of one request with "and", so each way of naming a machine is a search of its own.
    """
    if INSTANCE.match(plug):
        return [[_filter("instance-id", plug)]]
    try:
        address = ipaddress.ip_address(plug)
    except ValueError:
        names = [[_filter("tag:Name", plug)]]
        return [*names, [_filter("private-dns-name", plug)]] if "." in plug else names
    if address.version == 6:
        return [[_filter("network-interface.ipv6-addresses.ipv6-address", str(address))]]
    private = [[_filter("network-interface.addresses.private-ip-address", plug)]]
    return (
        private
        if any(address in network for network in PRIVATE)
        else [[_filter("network-interface.addresses.association.public-ip", plug)], *private]
    )


def _filter(name: str, value: str) -> Filter:
    return {"Name": name, "Values": [WILDCARDS.sub(r"\\\1", value)]}


def _instances(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for reservation in web.field(document, "Reservations", list):
        yield from web.field(reservation, "Instances", list)


def _node(instance: dict[str, Any], plug: str = "") -> Node:
    tags = {web.field(tag, "Key", str): web.field(tag, "Value", str) for tag in instance.get("Tags") or ()}
    name = tags.get("Name", "")
    dns_name = str(instance.get("PrivateDnsName") or "")
    # A node has one name; the one that was asked for is the one that counts.
    if plug and plug.casefold() == dns_name.casefold():
        name = dns_name
    warnings = []
    if GROUP_TAG in tags:
        warnings.append(f"member of the Auto Scaling group {tags[GROUP_TAG]}, which may replace it when it is stopped")
    if instance.get("InstanceLifecycle") == "spot":
        warnings.append("a spot instance: AWS may stop or end it, and may refuse to stop or start it on demand")
    return Node(
        id=web.field(instance, "InstanceId", str),
        name=name,
        state=STATES.get(_word(instance), PowerState.UNKNOWN),
        addresses=_own_addresses(instance),
        warnings=tuple(warnings),
    )


def _word(instance: dict[str, Any]) -> str:
    return web.field(web.field(instance, "State", dict), "Name", str)


def _own_addresses(instance: dict[str, Any]) -> tuple[IPAddress, ...]:
    """Return the addresses that name the machine: those which cannot float, so that a plug never means the holder.

    These are the interfaces' primary addresses, public ones that AWS gave out with them, and primary IPv6 addresses.
    """
    found: list[str] = []
    for interface in instance.get("NetworkInterfaces") or ():
        for item in interface.get("PrivateIpAddresses") or ():
            public = item.get("Association") or {}
            if item.get("Primary"):
                found.append(web.field(item, "PrivateIpAddress", str))
            if public.get("IpOwnerId") == "amazon":
                found.append(web.field(public, "PublicIp", str))
        found.extend(item["Ipv6Address"] for item in interface.get("Ipv6Addresses") or () if item.get("IsPrimaryIpv6"))
    try:
        return tuple(ipaddress.ip_address(text) for text in dict.fromkeys(found))
    except ValueError:
        raise Unavailable("the answer has an address that is none", advice="check the endpoint") from None


def _state_word(context: Context, instance_id: str) -> str:
    document = call(context, "describe_instances", InstanceIds=[instance_id]).document
    for instance in _instances(document):
        if web.field(instance, "InstanceId", str) == instance_id:
            return _word(instance)
    raise NotFound(f"no instance {instance_id} in the answer", advice="check region and account")


def _switched(answer: tuple[dict[str, Any], str], key: str, node: Node) -> Accepted:
    document, request_id = answer
    for change in web.field(document, key, list):
        if web.field(change, "InstanceId", str) == node.id:
            was = (change.get("PreviousState") or {}).get("Name", "")
            return Accepted((request_id,), detail=f"was {was}" if was else "")
    raise Unavailable(f"the answer is not about {node.id}", advice="check the endpoint")


def _race_check(context: Context, node: Node) -> None:
    """Refuse to stop another machine while this one is being stopped itself: in a split, only one may win.

    :raises Conflict: this machine is no longer running.
    :raises CloudhaError: race_check=required and no metadata service, or EC2 did not answer.
    """
    policy = NEVER if context.settings.flag("skip_race_check") else context.settings.text("race_check") or IF_POSSIBLE
    if policy == NEVER:
        return
    try:
        myself = metadata.instance_id(context)
    except CloudhaError:
        if policy == REQUIRED:
            raise
        return
    # EC2 itself must answer: the stop needs it, too.
    word = "running" if myself == node.id else _state_word(context, myself)
    if STATES.get(word) is not PowerState.ON:
        raise Conflict(f"this machine ({myself}) is {word} itself and does not stop others")
