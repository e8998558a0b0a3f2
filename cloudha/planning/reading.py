"""From a TOML file to a checked description."""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import cast

from cloudha import installed, nic, plugins
from cloudha.agents import fence_options
from cloudha.declaration import ProviderInfo
from cloudha.errors import CloudhaError, ConfigurationError, shown
from cloudha.options import COMMON_OPTIONS, Audience, Option
from cloudha.planning.agent_options import option_texts, service_texts
from cloudha.planning.description import Address, Description, Service
from cloudha.planning.tables import Table
from cloudha.planning.times import Monitor, address_times, fence_times
from cloudha.types import Kind

__all__ = ["read"]

ROOT = ("cluster", "provider", "stickiness", "nodes", "options", "fencing", "address")
FENCING = ("name", "options", "power_timeout", "head_start", "prefer", "monitor_interval", "monitor_timeout")
ADDRESS = (
    *("name", "ip", "kind", "nic", "prefix", "provider", "options", "group", "prefers", "service"),
    *("start_timeout", "stop_timeout", "monitor_interval", "monitor_timeout"),
)
SERVICE = ("name", "agent", "options", "monitor", "monitor_timeout")
# More is no description of a cluster, and was named by mistake.
MOST_BYTES = 1_048_576
# Priorities are powers of two times ten and must stay below Pacemaker's infinity, a million.
MOST_ADDRESSES = 16
# Pacemaker splits pcmk_host_map at these.
NODE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
PLUG = re.compile(r"[^\s;:=]{1,255}\Z")
AGENT = re.compile(r"(ocf:[A-Za-z0-9_.-]+:|systemd:|lsb:|service:)[A-Za-z0-9@_.-]+\Z")
# Parameters of fence_cloud that people tune; the others are this plan's own or make no sense in a cluster.
TUNABLE = frozenset({"login_timeout", "shell_timeout", "power_wait", "retry_on", "debug_file"})
# fence_cloud ends its monitor after this long by itself, and wants to say why.
QUERY_SECONDS = int(fence_options.QUERY_TIMEOUT)

_loads = cast(
    "Callable[[str], dict[str, object]]",
    # The standard library has it from Python 3.11 on; tomli is the same code.
    import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads,
)


def read(path: str) -> Description:
    """Return the description in *path*.

    :raises ConfigurationError: it cannot be read, or something in it is unknown, missing or wrong: one line that names
        the file, the key, the value and what to write.
    """
    file = os.path.basename(path)
    root = Table(file, "", _parsed(path, file), ROOT)
    cluster = root.text("cluster", advice='write its name, as in cluster = "web"')
    provider = _provider(root)
    info = _declared(root, provider)
    _refuse_no_fencing(root, provider)
    nodes = _nodes(root)
    common = root.mapping("options")
    fencing = root.inner("fencing", FENCING)
    standard = [known.option for known in fence_options.STANDARD if known.option.name in TUNABLE]
    every = {Audience.BOTH, Audience.FENCE, Audience.ADDRESS}
    shared = option_texts(file, "options", common, _options(info, every))
    for_fencing = {option.name for option in _options(info, {Audience.BOTH, Audience.FENCE})}
    own = option_texts(
        file,
        "fencing.options",
        fencing.mapping("options"),
        [*_options(info, {Audience.BOTH, Audience.FENCE}), *standard],
    )
    times = fence_times(provider)
    description = Description(
        file=file,
        cluster=cluster,
        provider=provider,
        nodes=nodes,
        fence_name=fencing.identifier("name", "fence"),
        fence_options={**{name: text for name, text in shared.items() if name in for_fencing}, **own},
        fence_times=replace(
            times,
            power_timeout=fencing.seconds("power_timeout", times.power_timeout, 10),
            head_start=fencing.seconds("head_start", times.head_start),
            monitor_interval=fencing.seconds("monitor_interval", times.monitor_interval, 10),
            monitor_timeout=fencing.seconds("monitor_timeout", times.monitor_timeout, QUERY_SECONDS + 5),
            why="as the description says" if "power_timeout" in fencing else times.why,
        ),
        prefer=_node(fencing, "prefer", nodes),
        stickiness=_stickiness(root),
        addresses=_addresses(root, provider, nodes, shared),
    )
    _refuse_twice(description)
    return description


def _parsed(path: str, file: str) -> dict[str, object]:
    try:
        with open(path, "rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be read: {error.strerror}", advice="cloudha plan --example writes one to begin with"
        ) from None
    if len(content) > MOST_BYTES:
        raise ConfigurationError(f"{file} is too large for a description", advice="name the right file")
    try:
        return _loads(content.decode())
    except ValueError as error:
        # A decoding error repeats the bytes, which say nothing to people.
        cause = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise ConfigurationError(f"{file} is no TOML: {cause}", advice='texts stand in quotes: key = "value"') from None


def _provider(table: Table, default: str | None = None) -> str:
    names = installed.installed_names()
    name = table.text("provider", default, advice=f"write one of: {', '.join(names)} (installed here)")
    near = difflib.get_close_matches(name, names, 1)
    if name not in names and near:
        raise table.wrong("provider", "is not installed here", f"did you mean {near[0]}? installed: {', '.join(names)}")
    return name


def _refuse_no_fencing(root: Table, provider: str) -> None:
    if not plugins.load(provider).implements("power_off"):
        raise root.wrong(
            "provider", "fences nobody", "write the cloud's own provider here, and this one in its [[address]]"
        )


def _declared(table: Table, name: str) -> ProviderInfo:
    try:
        return installed.declared(name)
    except CloudhaError as error:
        raise ConfigurationError(f"{table.file}: {table.key('provider')}: {error.cause}", advice=error.advice) from None


def _options(info: ProviderInfo, audiences: set[Audience]) -> list[Option]:
    return [option for option in (*COMMON_OPTIONS, *info.options) if option.audience in audiences]


def _nodes(root: Table) -> dict[str, str]:
    if "nodes" not in root:
        raise root.missing("nodes", 'write [nodes] and a line for each: n1 = "i-0aaa"')
    nodes: dict[str, str] = {}
    table = Table(root.file, "nodes", root.mapping("nodes"), root.mapping("nodes"))
    for name in root.mapping("nodes"):
        if not NODE_NAME.match(name):
            raise table.wrong(name, "is no name of a node", "write the name that 'crm_node -n' prints there")
        plug = table.text(name, advice="write its id, name or address in the cloud")
        if not PLUG.match(plug):
            raise table.wrong(name, "is no plug", "write an id, a name or an address, without blanks, ':', ';' and '='")
        twin = next((other for other, taken in nodes.items() if taken == plug), "")
        if twin:
            raise table.wrong(name, f"is the plug of {twin} already", "give every node its own machine")
        nodes[name] = plug
    if len(nodes) < 2:
        raise ConfigurationError(
            f"{root.file}: nodes has {len(nodes)} node{'s' * (len(nodes) != 1)}", advice="a cluster has two at least"
        )
    return nodes


def _node(table: Table, key: str, nodes: dict[str, str]) -> str:
    return table.choice(key, nodes, "") if key in table else ""


def _stickiness(root: Table) -> int:
    found = root.whole("stickiness", 0, 1_000_000)
    return 100 if found is None else found


def _addresses(root: Table, provider: str, nodes: dict[str, str], shared: dict[str, str]) -> tuple[Address, ...]:
    found = [
        _address(Table(root.file, f"address[{number}]", values, ADDRESS), provider, nodes, shared)
        for number, values in enumerate(root.tables("address"), 1)
    ]
    if len(found) > MOST_ADDRESSES:
        raise ConfigurationError(
            f"{root.file}: address: {len(found)} are too many", advice=f"describe {MOST_ADDRESSES} at the most"
        )
    return tuple(found)


def _address(table: Table, default: str, nodes: dict[str, str], shared: dict[str, str]) -> Address:
    provider = _provider(table, default)
    info = _declared(table, provider)
    name = table.identifier("name")
    ip = table.address("ip")
    kinds = [kind.value for kind in info.kinds]
    kind = Kind(table.choice("kind", kinds, Kind.PRIVATE.value)) if kinds else None
    if kind is None:
        raise table.wrong("provider", "has no floating addresses", "write another provider for the address")
    interface = _interface(table, kind)
    prefix = table.whole("prefix", 1, ip.max_prefixlen)
    if prefix is not None and not interface:
        raise table.wrong("prefix", "has no interface to be used on", 'add nic = "eth0", or take prefix out')
    options = _options(info, {Audience.BOTH, Audience.ADDRESS})
    names = {option.name for option in options}
    own = option_texts(table.file, table.key("options"), table.mapping("options"), options)
    # What all of the file shares is the first provider's; another one (a load balancer's probe) may not know it.
    texts = {**{key: text for key, text in shared.items() if key in names}, **own}
    for option in options:
        # Two addresses with one port cannot be told apart, so the default is written down and compared.
        if option.name == "probe_port" and option.default:
            texts.setdefault(option.name, option.default)
    if kind is Kind.ROUTE and "route_tables" in names and "route_tables" not in texts:
        raise table.missing("options.route_tables", "name the tables in which the address is a route")
    services = tuple(
        _service(Table(table.file, f"{table.key('service')}[{number}]", values, SERVICE))
        for number, values in enumerate(table.tables("service"), 1)
    )
    times = address_times(provider, kind)
    first = times.monitors[0]
    overridden = "monitor_interval" in table or "monitor_timeout" in table
    monitor = Monitor(
        table.seconds("monitor_interval", first.interval, 2),
        table.seconds("monitor_timeout", first.timeout, 5),
        first.deep,
    )
    if any(monitor.interval == other.interval for other in times.monitors[1:]):
        raise table.wrong("monitor_interval", "is that of the deeper monitor", "write another number of seconds")
    return Address(
        name=name,
        provider=provider,
        ip=ip,
        kind=kind,
        nic=interface,
        prefix=prefix,
        options=texts,
        times=replace(
            times,
            start=table.seconds("start_timeout", times.start, 10),
            stop=table.seconds("stop_timeout", times.stop, 10),
            monitors=(monitor, *times.monitors[1:]) if overridden else times.monitors,
        ),
        group=table.identifier("group", f"{name}-group" if services else ""),
        prefers=_node(table, "prefers", nodes),
        services=services,
    )


def _interface(table: Table, kind: Kind) -> str:
    interface = table.text("nic", "")
    if interface:
        try:
            nic.check_name(interface)
        except ConfigurationError as error:
            raise table.wrong("nic", "is not the name of an interface", error.advice) from None
        if kind is Kind.PUBLIC:
            raise table.wrong(
                "nic",
                "does not go with kind = 'public'",
                "take it out: the cloud maps the address, no interface has it",
            )
    return interface


def _service(table: Table) -> Service:
    name = table.identifier("name")
    agent = table.text("agent", advice='write it as pcs does, as in "ocf:heartbeat:nginx" or "systemd:nginx"')
    if not AGENT.match(agent):
        raise table.wrong("agent", "is no resource agent", 'write it as in "ocf:heartbeat:nginx" or "systemd:nginx"')
    timeout = table.seconds("monitor_timeout", 0, 1) if "monitor_timeout" in table else None
    interval = table.seconds("monitor", 0, 1) if "monitor" in table else None
    if timeout is not None and interval is None:
        raise table.missing("monitor", "monitor_timeout belongs to it: write its interval")
    options = service_texts(table.file, table.key("options"), table.mapping("options"))
    return Service(name, agent, options, interval, timeout)


def _refuse_twice(description: Description) -> None:
    """Refuse names, addresses and probe ports that are there twice."""
    seen: dict[str, str] = {}

    def take(what: str, where: str) -> None:
        if what in seen:
            raise ConfigurationError(
                f"{description.file}: {where}: {shown(what)} is taken by {seen[what]}", advice="every one needs its own"
            )
        seen[what] = where

    take(description.fence_name, "fencing.name")
    # A group may be named by several addresses.
    for group in {address.group for address in description.addresses if address.group}:
        take(group, "group")
    for number, address in enumerate(description.addresses, 1):
        where = f"address[{number}]"
        take(address.name, f"{where}.name")
        take(str(address.ip), f"{where}.ip")
        if "probe_port" in address.options:
            take(f"port {address.options['probe_port']}", f"{where}.options.probe_port")
        for position, service in enumerate(address.services, 1):
            take(service.name, f"{where}.service[{position}].name")
