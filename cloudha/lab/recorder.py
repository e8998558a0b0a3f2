"""Put together what everybody wrote down about a failover: the witness, the nodes, the cloud and the lab itself."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from itertools import pairwise

from cloudha.errors import CloudhaError
from cloudha.installed import declared
from cloudha.lab import control, evidence, faults, verbs
from cloudha.lab.failover import READS, Cause, Failover, tell
from cloudha.lab.logbook import logged
from cloudha.lab.machines import BY_CLOUD
from cloudha.lab.network import Scope
from cloudha.lab.problems import LabError
from cloudha.lab.programs import write_whole
from cloudha.lab.recording import Item, Lane, Phase, Recording, Tone
from cloudha.lab.state import Event, LabState
from cloudha.options import COMMON_OPTIONS, OptionType
from cloudha.types import IPAddress

__all__ = ["kept", "record"]

# What is shown of the time before the cause.
BEFORE_SECONDS = 1.0
# A cloud whose API hangs is asked again and again; more questions than these tell nothing new.
MOST_QUESTIONS = 300
FILE = "failover.json"
LOST = ("power cut", "power cut, was off")


def record(
    state: LabState, cause: Cause, begin: float, told: Failover | None = None, address: IPAddress = verbs.ADDRESS
) -> Recording:
    """Return the failover that *cause* began at *begin* (monotonic seconds), and keep it in the lab's directory.

    :param told: how it ended; None: not well, and as far as it got is recorded.
    :raises LabError: nobody had the address at the beginning.
    """
    before = [answer.node for answer in evidence.answers(state, begin - 2.0, address) if answer.at <= begin]
    if not before:
        raise LabError(f"nobody answered for {address} before that: there is no failover to report")
    story = told or tell(state, cause, before[-1], address, begin)
    now = time.monotonic()
    first, last = -BEFORE_SECONDS, now - begin
    items = [
        *_client(state, begin, address, last),
        *_spans(state, begin, address, last),
        *_world(state, begin, last),
        *_asked(state, begin),
        *logged(state, begin, begin - BEFORE_SECONDS),
    ]
    items = [
        item for item in items if item.begin <= last and (item.end if item.end is not None else item.begin) >= first
    ]
    items = sorted(items, key=lambda item: (item.begin, list(Lane).index(item.lane)))
    recording = Recording(
        when=time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(time.time() - last)),
        provider=state.plan.provider,
        nodes=tuple(node.name for node in state.plan.nodes),
        address=str(address),
        cause=story.cause.value,
        victim=story.victim,
        holder=story.holder if told else "",
        outage=story.outage if told and math.isfinite(story.outage) else None,
        fenced=story.fenced,
        double_holders=story.double_holders,
        begin=first,
        end=last,
        phases=_phases(items, story.victim),
        items=tuple(items),
    ).without(_secrets(state))
    write_whole(state.directory / FILE, recording.to_json())
    return recording


def kept(state: LabState) -> Recording:
    """Return the last failover of the lab.

    :raises LabError: there was none.
    """
    try:
        text = (state.directory / FILE).read_text()
    except OSError:
        raise LabError(
            f"lab {state.name} has had no failover; make one with: cloudha lab failover --name {state.name}"
        ) from None
    return Recording.from_json(text)


def _client(state: LabState, begin: float, address: IPAddress, last: float) -> Iterator[Item]:
    """Return who answered from when to when, and the time between with nobody."""
    answers = evidence.answers(state, begin - BEFORE_SECONDS - evidence.SHORTEST_OUTAGE, address)
    runs: list[tuple[str, float, float]] = []
    for answer in answers:
        at = answer.at - begin
        if runs and runs[-1][0] == answer.node and at - runs[-1][2] <= evidence.SHORTEST_OUTAGE:
            runs[-1] = (answer.node, runs[-1][1], at)
        else:
            runs.append((answer.node, at, at))
    for node, since, until in runs:
        yield Item(Lane.CLIENT, since, f"{node} answers", node, until)
    edges = [*((since, until) for _, since, until in runs), (last, last)]
    for (_, until), (since, _) in pairwise(edges):
        if since - until > evidence.SHORTEST_OUTAGE:
            text = f"no answer for {since - until:.1f} s" + ("" if since < last else ", and still none")
            yield Item(Lane.CLIENT, until, text, "", since, Tone.BAD)
    first = next((run for run in runs if run[1] > 0), None)
    if first is not None:
        yield Item(Lane.CLIENT, first[1], f"first answer from {first[0]}", first[0], key=True)


def _spans(state: LabState, begin: float, address: IPAddress, last: float) -> Iterator[Item]:
    """Return who had the address, by the NICs and by the cloud's routing."""
    for held in evidence.holdings(state, begin - BEFORE_SECONDS):
        if held.address == address:
            yield Item(Lane.NIC, held.begin - begin, f"{held.node} has it", held.node, min(held.end - begin, last))
    routed = [event for event in state.events() if event.what == "route" and event.detail == str(address)]
    for event, until in zip(routed, [*(event.at - begin for event in routed[1:]), last], strict=True):
        if event.node:
            yield Item(Lane.ROUTE, event.at - begin, f"to {event.node}", event.node, min(until, last))


def _world(state: LabState, begin: float, last: float) -> Iterator[Item]:
    """Return when which node had power, and what else was done to the lab."""
    on: dict[str, Event] = {}
    for event in state.events():
        at, by = event.at - begin, " by the cloud" if event.detail == BY_CLOUD else ""
        if event.what == "power on":
            on[event.node] = event
            if at >= 0:
                yield Item(Lane.LAB, at, f"{event.node} gets power{by}", event.node, tone=Tone.CHANGE)
        elif event.what in LOST:
            if event.node in on:
                yield Item(Lane.POWER, on.pop(event.node).at - begin, "on", event.node, at)
            if at >= 0:
                already = "; it was off already" if event.what != LOST[0] else ""
                text = f"power of {event.node} is cut{by}{already}"
                tone = Tone.CHANGE if by else Tone.BAD
                yield Item(Lane.LAB, at, text, event.node, tone=tone, key=not (by or already))
        elif text := _done(event):
            yield Item(Lane.LAB, at, text, event.node, tone=Tone.BAD, key=event.what in ("partition", "standby"))
    for node, event in on.items():
        yield Item(Lane.POWER, event.at - begin, "on", node, last)


def _done(event: Event) -> str:
    what = "the other nodes" if event.detail == Scope.NODES.value else "the whole network"
    return {
        "partition": f"{event.node} loses {what}",
        "healed": f"the network is whole again {event.node}".strip(),
        "standby": f"{event.node} goes on standby",
        "unstandby": f"{event.node} leaves standby",
        "fault": f"the cloud is told to fail: {event.detail}",
        "fault cleared": f"the cloud's faults end: {event.detail}",
        "probe answered": f"load balancer: {event.node} answers its probe",
        "probe not answered": f"load balancer: {event.node} does not answer its probe any more",
    }.get(event.what, "")


def _asked(state: LabState, begin: float) -> Iterator[Item]:
    """Return the requests to the control plane, by its own log; never their paths, which may hold anything."""
    names = {str(node.address): node.name for node in state.plan.nodes}
    try:
        entries = faults.requests(state)
    except LabError as error:
        # A cloud whose API is away right now tells nothing, and that is worth a line.
        yield Item(Lane.API, 0.0, f"the cloud's log of requests cannot be read: {error}", tone=Tone.BAD)
        return
    questions = 0
    for entry in entries:
        at, operation, status = float(str(entry["time"])) - begin, str(entry["operation"]), int(str(entry["status"]))
        if at < -BEFORE_SECONDS:
            continue
        asks = entry["method"] in ("GET", "HEAD") or bool(READS.match(operation))
        questions += asks
        if asks and questions > MOST_QUESTIONS:
            continue
        caller = names.get(str(entry["client"]), str(entry["client"]))
        good = 200 <= status < 300
        fault = f" ({entry['fault']} was ordered)" if entry["fault"] else ""
        text = f"{operation}: {status or 'no answer'}{fault}"
        tone = Tone.BAD if not good else Tone.QUIET if asks else Tone.CHANGE
        yield Item(Lane.API, at, text, caller, tone=tone, key=not asks and good)
    if questions > MOST_QUESTIONS:
        yield Item(Lane.API, 0.0, f"{questions - MOST_QUESTIONS} more questions are left out", tone=Tone.QUIET)


def _phases(items: list[Item], victim: str) -> tuple[Phase, ...]:
    """Return what the time between the cause and the first answer was spent on, as far as it can be told."""
    moments = [item for item in items if item.begin >= 0]

    def first(after: float, lane: Lane, *words: str) -> float | None:
        fitting = (
            i
            for i in moments
            if i.lane is lane and i.begin >= after and i.node != victim and any(w in i.text for w in words)
        )
        return next((item.begin for item in fitting), None)

    steps = (
        ("Corosync notices the loss", Lane.COROSYNC, (f"without {victim}",)),
        ("Pacemaker decides to fence", Lane.PACEMAKER, ("asks for the fencing",)),
        ("the delay that keeps two nodes from fencing each other", Lane.AGENT, ("fence_cloud: ",)),
        ("the fence agent gets it off, confirmed", Lane.PACEMAKER, (" is fenced (",)),
        ("the floating IP agent starts the address", Lane.CLIENT, ("first answer",)),
    )
    found: list[Phase] = []
    since = 0.0
    for name, lane, words in steps:
        until = first(since, lane, *words)
        if until is not None:
            found.append(Phase(name, since, until))
            since = until
    # Without the last step, or without fencing, the parts would not add up to the outage.
    complete = len(found) == len(steps)
    return tuple(found) if complete else ()


def _secrets(state: LabState) -> tuple[str, ...]:
    """Return every secret that the agents of this lab are given, whatever form it is given in."""
    found: set[str] = set()
    try:
        given = control.options(state)
    except LabError:
        return ()
    common = {option.name for option in COMMON_OPTIONS}
    try:
        options = {option.name: option for option in declared(state.plan.provider).options}
    except CloudhaError:
        options = {}
    for name, value in given.items():
        option = options.get(name)
        if option is None:
            # Of a provider that cannot say what is secret, all is that is not known to be public.
            found |= set() if name in common or name == "provider" or options else {value}
        elif option.secret:
            found.add(value)
        elif option.type is OptionType.SECRET_FILE:
            with contextlib.suppress(OSError, ValueError):
                with open(value) as file:
                    content = file.read().strip()
                found |= {content, *(line for line in content.splitlines() if len(line) > 8)}
    return tuple(found)
