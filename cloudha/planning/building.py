"""From a description to the commands that make the cluster, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping

from cloudha.planning.description import Address, Description
from cloudha.planning.steps import Step, pcs
from cloudha.planning.times import PACEMAKER_MARGIN, AddressTimes

__all__ = ["address_operations", "build", "fence_operations"]

FENCE = "fence_cloud"
FLOATING_IP = "ocf:cloudha:floating-ip"
# A failure is forgotten after this long without another one, and the cluster tries again by itself.
FORGET_SECONDS = 600
# Of a preference for a node: below the stickiness, so that nothing moves back by itself.
PREFERENCE = 50


def build(description: Description) -> list[Step]:
    """Return the commands on an empty or existing configuration, in their order."""
    return [
        *_properties(description),
        _fencing(description),
        *(step for group in _in_groups(description) for step in group),
    ]


def _properties(description: Description) -> list[Step]:
    two = len(description.nodes) == 2
    quorum = (
        "Two nodes keep quorum with corosync's two_node; "
        if two
        else f"Of {len(description.nodes)} nodes, those without the majority stop everything and fence nobody; "
    )
    steps = [
        pcs(
            f"{quorum}without fencing nothing may start, since a dead node looks like one that cannot be heard.",
            *("property", "set", "stonith-enabled=true", "no-quorum-policy=stop"),
        )
    ]
    if _by_priority(description):
        steps.append(
            pcs(
                "When the two cannot hear each other, both fence. The one that holds the more important addresses "
                f"(their priority, below) has a head start of {description.fence_times.head_start} s, so that the "
                "other one dies and the service stays where it is. A fixed pcmk_delay_base would favour one node even "
                "when the other one works.",
                *("property", "set", f"priority-fencing-delay={description.fence_times.head_start}s"),
            )
        )
    if description.stickiness:
        steps.append(
            pcs(
                "A node that comes back does not take the services back: that would be a second interruption.",
                *("resource", "defaults", "update", f"resource-stickiness={description.stickiness}"),
            )
        )
    return steps


def _by_priority(description: Description) -> bool:
    """Say whether the addresses decide which of two nodes has the head start."""
    return len(description.nodes) == 2 and bool(description.addresses) and not description.prefer


def _fencing(description: Description) -> Step:
    times = description.fence_times
    plugs = ";".join(f"{node}:{plug}" for node, plug in description.nodes.items())
    why = (
        f"One device for all nodes; Pacemaker never lets a node fence itself with it. power_timeout: {times.why}. "
        f"pcmk_reboot_timeout and pcmk_off_timeout are {PACEMAKER_MARGIN} s more, so that "
        "the agent ends first and says why; they also hold for 'pcs stonith fence', which stonith-timeout does not. "
    )
    words = [f"provider={description.provider}", *_pairs(description.fence_options), f"pcmk_host_map={plugs}"]
    words += [f"power_timeout={times.power_timeout}"]
    words += [f"pcmk_{action}_timeout={times.pacemaker_timeout}" for action in ("reboot", "off")]
    fixed = description.prefer or ("" if description.addresses else next(iter(description.nodes)))
    if len(description.nodes) == 2 and fixed:
        delays = ";".join(f"{node}:{times.head_start if node == fixed else 0}s" for node in description.nodes)
        words.append(f"pcmk_delay_base={delays}")
        reason = "as the description prefers" if description.prefer else "no address says which one matters more"
        why += (
            f"pcmk_delay_base: when the two cannot hear each other, {fixed} has {times.head_start} s before it is "
            f"fenced ({reason}), so that not both die. "
        )
    why += "failure-timeout: after an outage of the API the device comes back by itself."
    return pcs(why, "stonith", "create", description.fence_name, FENCE, *words, *fence_operations(description))


def fence_operations(description: Description) -> list[str]:
    """Return the words after the parameters of the fencing device."""
    times = description.fence_times
    words = ["op", "monitor", f"interval={times.monitor_interval}s", f"timeout={times.monitor_timeout}s"]
    return [*words, "meta", f"failure-timeout={FORGET_SECONDS}s"]


def _in_groups(description: Description) -> list[list[Step]]:
    """Return the steps of each address and of its group, addresses first: services may bind to them."""
    # The first address weighs more than all others together, and no two sets of them weigh the same: there is always
    # one node with the head start.
    count = len(description.addresses)
    weighed = enumerate(description.addresses if _by_priority(description) else ())
    priorities = {address.name: 10 * 2 ** (count - 1 - n) for n, address in weighed}
    groups: dict[str, list[Address]] = {}
    for address in description.addresses:
        groups.setdefault(address.group or address.name, []).append(address)
    return [
        [
            *(_address(address, priorities.get(address.name, 0)) for address in members),
            *(step for address in members for step in _services(address)),
            *_preferences(name, members),
        ]
        for name, members in groups.items()
    ]


def _address(address: Address, priority: int) -> Step:
    words = [f"provider={address.provider}", f"ip={address.ip}"]
    words += [f"kind={address.kind.value}"] if address.kind.value != "private" else []
    words += [f"nic={address.nic}"] if address.nic else []
    words += [f"cidr_netmask={address.prefix}"] if address.prefix else []
    words += _pairs(address.options)
    where = f"on {address.nic}" if address.nic else "in the cloud only"
    why = (
        f"The address {address.ip}, {where}. Monitors: {address.times.why}. A failed stop fences the "
        "node, which is right: nobody else may start the address before. failure-timeout: after an outage of the "
        "API the cluster tries again by itself."
    )
    if priority:
        why += " priority: what this address weighs when the two nodes are compared, see priority-fencing-delay."
    group = ["--group", address.group] if address.group else []
    return pcs(
        f"{why} In the group {address.group} it comes before the services, which may bind to it." if group else why,
        *("resource", "create", address.name, FLOATING_IP, *words, "--no-default-ops"),
        *("op", *address_operations(address.times)),
        *("meta", *([f"priority={priority}"] if priority else []), f"failure-timeout={FORGET_SECONDS}s", *group),
    )


def address_operations(times: AddressTimes) -> list[str]:
    """Return the words after ``op`` for an address."""
    words = ["start", f"timeout={times.start}s", "stop", f"timeout={times.stop}s"]
    for monitor in times.monitors:
        words += ["monitor", f"interval={monitor.interval}s", f"timeout={monitor.timeout}s"]
        words += ["OCF_CHECK_LEVEL=10"] if monitor.deep else []
    return words


def _services(address: Address) -> list[Step]:
    steps = []
    for service in address.services:
        words = [*_pairs(service.options)]
        if service.monitor:
            words += ["op", "monitor", f"interval={service.monitor}s"]
            words += [f"timeout={service.monitor_timeout}s"] if service.monitor_timeout else []
        steps.append(
            pcs(
                f"{service.name} runs where {address.name} is, starts after it and stops before it; operations that "
                "are not named get the times that its agent recommends.",
                *("resource", "create", service.name, service.agent, *words, "--group", address.group),
            )
        )
    return steps


def _preferences(name: str, members: list[Address]) -> list[Step]:
    node = next((address.prefers for address in members if address.prefers), "")
    if not node:
        return []
    return [
        pcs(
            f"At the first start {name} goes to {node}; less than the stickiness, so it does not move back after a "
            "failover.",
            *("constraint", "location", name, "prefers", f"{node}={PREFERENCE}"),
        )
    ]


def _pairs(options: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in options.items()]
