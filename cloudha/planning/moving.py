"""From a resource of an older agent to one of ours, parameter by parameter. No secret is read here: they are masked."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from cloudha import installed
from cloudha.agents import fence_options, floating_ip_options
from cloudha.errors import CloudhaError
from cloudha.options import COMMON_OPTIONS, TRUE_WORDS, Option, OptionType, parse
from cloudha.planning.cib import CIBSECRET, Configuration, Primitive
from cloudha.planning.levels import device_before
from cloudha.planning.old_agents import IPADDR2, IPADDR2_LEFT, OLD, Fate, OldAgent, Rule
from cloudha.planning.times import fence_times

__all__ = ["ADDRESS_AGENT", "Carry", "Move", "Row", "moves"]

ADDRESS_AGENT = "ocf:heartbeat:IPaddr2"
SUFFIX = "cloud"
# Meta attributes that mean the same for the new resource. What is stopped or unmanaged is a decision.
SAME_META = frozenset(
    {"priority", "resource-stickiness", "migration-threshold", "failure-timeout", "allow-unhealthy-nodes"}
)
UNKNOWN = Rule(Fate.DECISION, why="not known here: look for what it does in the agent's description")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: ``value`` is what the new parameter gets, never a secret; ``note`` says why."""

    old: str
    new: str
    value: str
    fate: Fate
    note: str = ""


@dataclass(frozen=True, slots=True)
class Carry:
    """A secret that is copied inside the cluster's configuration without being seen."""

    old: str
    parameter: str
    name: str


@dataclass
class Move:
    """One new resource for one or two old ones. ``open``: what must be decided before there are commands for it.

    ``begun``: the new device is there already, and fences before the old one.
    """

    old: tuple[Primitive, ...]
    agent: OldAgent
    name: str
    rows: list[Row] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    carried: list[Carry] = field(default_factory=list)
    meta: dict[str, str] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    begun: bool = False

    @property
    def fences(self) -> bool:
        """Whether it is a fencing device."""
        return self.old[0].agent.startswith("stonith:")

    @property
    def becomes(self) -> str:
        """The new agent, as pcs writes it."""
        return "fence_cloud" if self.fences else "ocf:cloudha:floating-ip"

    def set(self, row: Row) -> None:
        """Add a line; a value that moves is a parameter of the new resource."""
        self.rows.append(row)
        if row.fate is Fate.MOVES and row.new:
            self.parameters[row.new] = row.value
        if row.fate is Fate.DECISION:
            self.open.append(f"{row.old}: {row.note}")


def moves(configuration: Configuration, nic: str) -> list[Move]:
    """Return a move for each resource of an older agent, in the configuration's order.

    :param nic: the interface for addresses whose old resource leaves that to the routing table, "" when not given.
    """
    taken = set(configuration.ids)
    found = []
    for primitive in configuration.primitives:
        agent = OLD.get(primitive.agent)
        if agent is None:
            continue
        already = device_before(configuration, primitive.name)
        name = already or _free_name(f"{primitive.name}-{SUFFIX}", taken)
        move = Move((primitive,), agent, name, begun=bool(already))
        for parameter, value in {**agent.defaults, **primitive.parameters}.items():
            _translate(move, primitive, parameter, value, _rule(agent, parameter))
        for parameter, value in agent.fixed.items():
            move.set(Row("", parameter, value, Fate.MOVES, "what the old agent does"))
        if move.fences:
            _fence_times(move)
        else:
            _beside(move, configuration, nic)
        _refuse_beyond(move, configuration)
        _constraints(move, configuration)
        _meta(move)
        _check(move)
        found.append(move)
    return found


def _free_name(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}{number}", number + 1
    taken.add(name)
    return name


def _rule(agent: OldAgent, parameter: str) -> Rule:
    known = agent.rules.get(parameter)
    # Pacemaker's own parameters of a device, whatever the agent.
    return known or (Rule(Fate.MOVES, parameter) if parameter.startswith("pcmk_") else UNKNOWN)


def _translate(move: Move, primitive: Primitive, parameter: str, value: str, rule: Rule) -> None:
    old = f"{primitive.name}: {parameter}"
    if rule.fate is Fate.SECRET and value.startswith("@/"):
        # fence_ibm_vpc's way to name a file.
        move.set(Row(old, f"{rule.becomes}_file", value[1:], Fate.MOVES, "mode 0600 on every node"))
    elif rule.fate is Fate.SECRET and value == CIBSECRET:
        why = f"cibsecret keeps it for {primitive.name} alone: put it into a file, or use the nodes' own identity"
        move.set(Row(old, rule.becomes, "", Fate.DECISION, why))
    elif rule.fate is Fate.SECRET:
        move.carried.append(Carry(primitive.name, parameter, rule.becomes))
        note = "copied inside the configuration; the nodes' own identity would need none"
        move.set(Row(old, rule.becomes, "", Fate.SECRET, note))
    elif rule.fate is Fate.MOVES and rule.values:
        if value.lower() in rule.values:
            move.set(Row(old, rule.becomes, rule.values[value.lower()], Fate.MOVES))
        else:
            move.set(Row(old, rule.becomes, "", Fate.DECISION, f"{value}: {rule.why}"))
    elif rule.fate is Fate.MOVES:
        move.set(Row(old, rule.becomes, value, Fate.MOVES))
    else:
        # Without the value: nobody needs it, and a parameter that is not known here may hold anything.
        move.set(Row(old, "", "", rule.fate, rule.why))


def _fence_times(move: Move) -> None:
    """Give the device times that fit the cloud, where the old ones are shorter."""
    times = fence_times(move.agent.provider)
    power = _seconds(move.parameters.get("power_timeout", ""))
    if power < times.power_timeout:
        _replace(move, "power_timeout", str(times.power_timeout), times.why)
        power = times.power_timeout
    for action in ("reboot", "off"):
        name = f"pcmk_{action}_timeout"
        wanted = int(power) + times.pacemaker_timeout - times.power_timeout
        if _seconds(move.parameters.get(name, "")) < wanted:
            _replace(move, name, str(wanted), "so that the agent ends first and says why")


def _replace(move: Move, name: str, value: str, why: str) -> None:
    before = next((row for row in move.rows if row.new == name), None)
    if before:
        move.rows.remove(before)
        why = f"was {before.value}: {why}"
    move.set(Row(before.old if before else "", name, value, Fate.MOVES, why))


def _seconds(text: str) -> float:
    try:
        return parse([Option("time", "Pacemaker's notation", OptionType.SECONDS)], {"time": text}).seconds("time")
    except CloudhaError:
        return 0.0


def _beside(move: Move, configuration: Configuration, nic: str) -> None:
    """Take the IPaddr2 that has the same address along: the new resource does its part as well."""
    first = move.old[0]
    if move.agent.beside:
        wanted = move.parameters.get("ip", "")
        same = [
            other
            for other in configuration.primitives
            if other.agent == ADDRESS_AGENT
            and (
                _equal(other.parameters.get("ip", ""), wanted) if wanted else other.group and other.group == first.group
            )
        ]
        if len(same) > 1:
            names = " and ".join(other.name for other in same)
            move.open.append(f"{names} may all belong to it: which one is its address?")
        elif same:
            _take_along(move, same[0], nic)
        elif not wanted:
            move.open.append("no IPaddr2 is in its group, so its address is not known: add ip= and nic= yourself")
    if first.agent.endswith(":ocivip") and "nic" not in move.parameters:
        _need_nic(move, first, nic, "the old agent takes the interface with the default route")


def _take_along(move: Move, other: Primitive, nic: str) -> None:
    move.old = (*move.old, other)
    for parameter, value in other.parameters.items():
        # IPaddr2 allows a label there, as in eth0:1.
        text = value.partition(":")[0] if parameter == "nic" else value
        _translate(move, other, parameter, text, IPADDR2.get(parameter, IPADDR2_LEFT))
    if "nic" not in move.parameters:
        _need_nic(move, other, nic, "the old agent finds the interface from the routing table")


def _need_nic(move: Move, primitive: Primitive, nic: str, why: str) -> None:
    if nic:
        move.set(Row("", "nic", nic, Fate.MOVES, "from --nic"))
    else:
        move.set(
            Row(
                f"{primitive.name}: (no nic)",
                "nic",
                "",
                Fate.DECISION,
                f"{why}; find it with 'ip address', give --nic NAME",
            )
        )


def _equal(one: str, other: str) -> bool:
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:
        return False


def _refuse_beyond(move: Move, configuration: Configuration) -> None:
    for primitive in move.old:
        for what in primitive.beyond:
            move.open.append(f"{primitive.name} has {what}, which cannot be taken along")
    for level in () if move.begun else configuration.levels:
        if move.old[0].name in level.get("devices", "").split(","):
            move.open.append(
                f"fencing level {level.get('id', '')} has {move.old[0].name}: remove the level, or do the move by hand"
            )
    if not move.fences and configuration.properties.get("maintenance-mode", "").lower() in TRUE_WORDS:
        move.open.append("maintenance-mode is on: end what it is on for, then move")


def _constraints(move: Move, configuration: Configuration) -> None:
    """Say of every constraint on the old resources what becomes of it."""
    names = {old.name for old in move.old}
    for constraint in configuration.constraints:
        if not constraint.names & names:
            continue
        old = f"constraint {constraint.attributes.get('id', '')}"
        if move.fences:
            why = "Pacemaker lets no node fence itself, and uses a device from wherever it can"
            move.rows.append(Row(old, "", "", Fate.DROPPED, why))
        elif constraint.plain:
            move.rows.append(Row(old, "the same, for the new one", "", Fate.MOVES))
        else:
            move.set(Row(old, "", "", Fate.DECISION, "it has sets or rules: make it anew for the new resource"))


def _meta(move: Move) -> None:
    for primitive in move.old:
        for name, value in primitive.meta.items():
            old = f"{primitive.name}: meta {name}"
            if name in SAME_META and name not in move.meta:
                move.meta[name] = value
                move.rows.append(Row(old, f"meta {name}", value, Fate.MOVES))
            elif name in ("target-role", "is-managed", "maintenance"):
                move.set(Row(old, "", value, Fate.DECISION, "bring it into its normal state before the move"))
            else:
                move.set(Row(old, "", value, Fate.DROPPED, "not needed for the new one"))


def _check(move: Move) -> None:
    """Hold the new parameters to what the agent and its provider take, where that is installed."""
    own = floating_ip_options.OWN if not move.fences else [known.option for known in fence_options.STANDARD]
    options = {option.name: option for option in (*own, *COMMON_OPTIONS)}
    try:
        options.update({option.name: option for option in installed.declared(move.agent.provider).options})
    except CloudhaError as error:
        move.open.append(str(error))
        return
    for name, value in move.parameters.items():
        option = options.get(name)
        if option is None and not name.startswith("pcmk_"):
            move.open.append(f"{name}: this version of the provider does not have it")
        elif option and option.type is not OptionType.SECRET_FILE:
            try:
                parse([option.replace(required=False)], {name: value})
            except CloudhaError as error:
                move.open.append(str(error))
    move.parameters = {"provider": move.agent.provider, **move.parameters}
