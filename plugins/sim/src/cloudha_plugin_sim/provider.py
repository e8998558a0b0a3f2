"""The provider for the simulated cloud: all that a provider is, in the smallest form.

Each hook asks or changes one thing once and translates the answer. What it does not do is the host's: retries,
waiting, verification, messages. :mod:`cloudha.web` turns every failed request into the right error, and
``web.field`` every answer that cannot be read: nothing here can mistake a broken answer for an empty one.
"""

from __future__ import annotations

from cloudha import web
from cloudha.provider import (
    Accepted,
    AccessDenied,
    AccessReport,
    AddressChange,
    AddressQuery,
    Binding,
    BindingPage,
    Context,
    Evidence,
    Kind,
    LocalConfigurationError,
    Node,
    NodePage,
    NodeQuery,
    NotFound,
    Option,
    Permission,
    PowerReading,
    PowerState,
    ProviderInfo,
    Purpose,
    Unavailable,
    Verdict,
    hookimpl,
)

STATES = {
    "starting": PowerState.STARTING,
    "running": PowerState.ON,
    "stopping": PowerState.STOPPING,
    "stopped": PowerState.OFF,
    "terminated": PowerState.TERMINATED,
}
PERMISSIONS = {
    Purpose.FENCING: ("machines.read", "machines.power"),
    Purpose.ADDRESSES: ("addresses.read", "addresses.write"),
}


@hookimpl
def provider_info() -> ProviderInfo:
    """Declare the one option of its own; the common ``endpoint`` says where the cloud is."""
    token = Option("password", "Bearer token, when the simulated cloud wants one", secret=True)
    return ProviderInfo("Simulated cloud", options=(token,), kinds=tuple(Kind), poll_seconds=0.2)


@hookimpl
def list_nodes(context: Context, query: NodeQuery) -> NodePage:
    """Let the cloud do the filtering, by id, name and address."""
    document = _ask(context, "GET", "machines", what="the machines", plug=query.plug, page=query.page).json()
    nodes = tuple(_node(machine) for machine in web.field(document, "machines", list))
    return NodePage(nodes, web.optional(document, "next", str))


@hookimpl
def power_state(context: Context, node: Node) -> PowerReading:
    """Ask by the id, and believe only an answer about that id. A state that is not in the table is unknown."""
    document = _ask(context, "GET", "machines", node.id, what=node.label).json()
    _same(web.field(document, "id", str), node.id)
    word = web.field(document, "state", str)
    return PowerReading(node.id, STATES.get(word, PowerState.UNKNOWN), raw=word)


@hookimpl
def power_off(context: Context, node: Node) -> Accepted:
    """Ask for the stop; this cloud has only hard ones."""
    return _switch(context, node, "off")


@hookimpl
def power_on(context: Context, node: Node) -> Accepted:
    """Ask for the start."""
    return _switch(context, node, "on")


@hookimpl
def local_node(context: Context) -> Node:
    """Ask the metadata service, once in an action: who we are does not change."""
    return context.once("sim.node", lambda: _node(_look(context)))


@hookimpl
def local_evidence(context: Context, query: AddressQuery) -> Evidence:
    """Ask the metadata service, which follows every move at once in this cloud: its answer is authoritative."""
    try:
        seen = _look(context)
        node = _node(seen)
        held = [
            web.address(item, "ip")
            for item in web.field(seen, "addresses", list)
            if web.field(item, "kind", str) == query.kind.value and web.field(item, "machine", str) == node.id
        ]
    except (AccessDenied, LocalConfigurationError, NotFound, Unavailable) as error:
        return Evidence(Verdict.CANNOT_TELL, error.cause)
    context.once("sim.node", lambda: node)
    if query.ip is None or query.node_id not in ("", node.id):
        return Evidence(Verdict.CANNOT_TELL, f"this machine is {node.id}")
    return Evidence(Verdict.YES if query.ip in held else Verdict.NO, "metadata service")


@hookimpl
def list_ips(context: Context, query: AddressQuery) -> BindingPage:
    """Let the cloud do the filtering; it compares parsed addresses."""
    ip = None if query.ip is None else str(query.ip)
    answer = _ask(context, "GET", "addresses", what="addresses", kind=query.kind.value, ip=ip, page=query.page)
    bindings = tuple(
        Binding(web.address(item, "ip"), web.optional(item, "machine", str), web.field(item, "where", str))
        for item in web.field(answer.json(), "addresses", list)
    )
    return BindingPage(bindings, web.optional(answer.json(), "next", str))


@hookimpl
def bind_ip(context: Context, change: AddressChange) -> Accepted:
    """Ask for the move, which is one request here; the cloud answers 409 when it may not be taken away."""
    return _rebind(context, change, "bind", move=change.move, mac=change.mac)


@hookimpl
def unbind_ip(context: Context, change: AddressChange) -> Accepted:
    """Ask for the end of the binding; the cloud leaves another machine's alone."""
    return _rebind(context, change, "unbind")


@hookimpl
def check_access(context: Context, purpose: Purpose, kind: Kind) -> AccessReport:  # noqa: ARG001 - the same for all
    """Ask as whom the cloud knows us, and what we may do."""
    document = _ask(context, "GET", "whoami", what="our own identity").json()
    granted = web.field(document, "permissions", dict)
    permissions = tuple(
        Permission(name, Verdict.YES if web.field(granted, name, bool) else Verdict.NO) for name in PERMISSIONS[purpose]
    )
    return AccessReport(permissions, identity=web.field(document, "identity", str))


def _ask(
    context: Context, method: str, *path: str, what: str, document: object = None, **query: str | None
) -> web.Answer:
    token = context.settings.secret("password")
    headers = {"Authorization": f"Bearer {token.reveal()}"} if token else {}
    url = web.join(web.base_url(context, "endpoint"), "v1", *path, **query)
    answer = web.request(context, method, url, headers=headers, document=document)
    web.raise_for_status(answer, what)
    return answer


def _look(context: Context) -> object:
    parameter = "metadata_endpoint" if "metadata_endpoint" in context.settings else "endpoint"
    answer = web.request(context, "GET", web.join(web.base_url(context, parameter), "metadata", "v1", "self"))
    if answer.status == 404:
        raise LocalConfigurationError("this is no machine of the simulated cloud", advice="add node=NAME")
    web.raise_for_status(answer, "this machine")
    return answer.json()


def _switch(context: Context, node: Node, verb: str) -> Accepted:
    answer = _ask(context, "POST", "machines", node.id, verb, what=node.label)
    _same(web.field(answer.json(), "id", str), node.id)
    return Accepted((answer.request_id,))


def _rebind(context: Context, change: AddressChange, verb: str, **details: object) -> Accepted:
    path = ("addresses", change.kind.value, str(change.ip), verb)
    answer = _ask(context, "POST", *path, what=str(change.ip), document={"machine": change.node_id, **details})
    _same(web.address(answer.json(), "ip"), change.ip)
    return Accepted((answer.request_id,))


def _node(machine: object) -> Node:
    group = web.field(machine, "group", str)
    addresses = tuple(web.address(nic, "address") for nic in web.field(machine, "nics", list))
    if not addresses:
        # Every machine here has a NIC. What lost them may have lost the floating addresses, too.
        raise Unavailable("the answer has a machine without a NIC", advice="check the endpoint")
    return Node(
        id=web.field(machine, "id", str),
        name=web.field(machine, "name", str),
        state=STATES.get(web.field(machine, "state", str), PowerState.UNKNOWN),
        addresses=addresses,
        warnings=(f"member of the scaling group {group}, which may start it again",) if group else (),
    )


def _same(found: object, wanted: object) -> None:
    """Refuse an answer that is well formed and about something else: it proves nothing."""
    if found != wanted:
        raise Unavailable(f"the answer is about {found}, not {wanted}", advice="check the endpoint")
