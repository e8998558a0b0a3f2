"""Scenarios that are played on more than one cloud; the tests name the cloud and its operations."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator

from cloudha.lab import cluster, faults, verbs
from cloudha.lab.failover import Cause, Failover, failover
from cloudha.lab.namespaces import inside_network
from cloudha.lab.programs import poll
from lab_stage import Record, Stage

__all__ = [
    "API",
    "RECOVERY_SECONDS",
    "VIP",
    "api_outage",
    "failed_stop",
    "loses_power",
    "served",
    "taken_away",
    "throttled_fence",
    "told",
    "web_service",
]

VIP = str(verbs.ADDRESS)
# All of the API, and nothing of the machines' metadata service.
API = "*,!metadata.*"
API_OUTAGE_SECONDS = 60
# A minute is enough where one lab runs; three may run side by side.
RECOVERY_SECONDS = 150

NGINX = """
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path /run/nginx-body;
    proxy_temp_path /run/nginx-proxy;
    fastcgi_temp_path /run/nginx-fastcgi;
    uwsgi_temp_path /run/nginx-uwsgi;
    scgi_temp_path /run/nginx-scgi;
    server {{ listen 80; location / {{ return 200 "{node}\\n"; }} }}
}}
"""


def told(story: Failover, record_property: Record) -> Failover:
    """Keep the story in the report, and on the terminal of whoever runs with -s."""
    record_property("outage_seconds", round(story.outage, 2))
    print(f"\n{story.cause.value} of {story.victim}: outage {story.outage:.2f} s, fenced {', '.join(story.fenced)}")
    for moment in story.timeline:
        print(f"{moment.seconds:+8.2f} s  {moment.text}")
    return story


def loses_power(stage: Stage, cause: Cause, record_property: Record) -> None:
    """The holder is cut off from power or from everything: it is fenced, and the other one takes over."""
    story = told(failover(stage.state, cause), record_property)
    assert story.holder == stage.other(story.victim)
    assert story.fenced == (story.victim,)
    assert stage.holder == story.holder


def taken_away(stage: Stage, path: str) -> None:
    """The cloud takes the address away: a monitor that asks the API sees it, and it is bound again in place."""
    holder = stage.holder
    faults.admin(stage.state, "DELETE", path)
    assert poll(lambda: stage.answering() is None, 5)
    assert poll(lambda: stage.answering() == holder, RECOVERY_SECONDS), "bound again"
    cluster.wait_idle(stage.state)
    assert stage.holder == holder
    assert stage.fenced() == []


def api_outage(stage: Stage) -> None:
    """The API is away for a minute: nothing moves, nobody is fenced, and the status shows it."""
    holder = stage.holder
    faults.add_fault(stage.state, API, "error", seconds=API_OUTAGE_SECONDS)

    def shown() -> bool:
        return "degraded" in stage.run(holder, "pcs", "status").lower()

    def over() -> bool:
        return all(fault["spent"] for fault in faults.list_faults(stage.state))

    assert poll(shown, API_OUTAGE_SECONDS, every=1.0)
    assert not over(), "seen while the API was away"
    assert poll(over, API_OUTAGE_SECONDS, every=1.0)
    assert stage.holder == holder
    assert stage.fenced() == []
    assert stage.outages() == []
    # Pacemaker keeps showing the last bad result until somebody cleans up; then the next checks are good.
    stage.run(holder, "pcs", "resource", "cleanup", "vip")
    cluster.wait_idle(stage.state)
    assert not poll(shown, 10, every=1.0)


def throttled_fence(stage: Stage, operations: str, count: int, record_property: Record) -> None:
    """The API throttles what a fence needs: it takes longer, and ends right."""
    number = faults.add_fault(stage.state, operations, "throttle", count=count, retry_after=1)
    story = told(failover(stage.state, Cause.POWER), record_property)
    assert story.fenced == (story.victim,)
    assert story.holder == stage.other(story.victim)
    (hit,) = [fault for fault in faults.list_faults(stage.state) if fault["number"] == number]
    assert hit["hits"] == count


@contextlib.contextmanager
def web_service(stage: Stage) -> Iterator[None]:
    """A web server that tells its node's name, in a group after the address; gone again after the block."""
    first = stage.nodes[0]
    for node in stage.state.nodes:
        (node.disk / "etc/pacemaker/nginx.conf").write_text(NGINX.format(node=node.name))
    stage.run(
        first, "pcs", "resource", "create", "web", "ocf:heartbeat:nginx", "configfile=/etc/pacemaker/nginx.conf",
        "op", "monitor", "interval=10s", "timeout=20s", "--group", "service",
    )  # fmt: skip
    try:
        stage.run(first, "pcs", "resource", "group", "add", "service", "vip", "--before", "web")
        assert poll(lambda: served(stage) == stage.holder, RECOVERY_SECONDS)
        yield
    finally:
        stage.settle()
        stage.run(stage.holder, "pcs", "resource", "delete", "web", seconds=90)


def served(stage: Stage) -> str:
    """What a client gets from the web server at the address, "" for nothing."""
    with inside_network(stage.state.client_namespace):
        connection = http.client.HTTPConnection(VIP, 80, timeout=1)
        try:
            connection.request("GET", "/")
            return connection.getresponse().read().decode().strip()
        except OSError:
            return ""
        finally:
            connection.close()


def failed_stop(stage: Stage, operations: str) -> None:
    """The cloud refuses what a stop of the address needs: the node is fenced, and the service goes on elsewhere."""
    with web_service(stage):
        holder = stage.holder
        assert served(stage) == holder
        number = faults.add_fault(stage.state, operations, "error")
        verbs.standby(stage.state, holder)
        # The stop tries until its deadline; then Pacemaker has the node fenced.
        assert poll(lambda: stage.fenced() == [holder], 90)
        (hit,) = [fault for fault in faults.list_faults(stage.state) if fault["number"] == number]
        assert hit["hits"], "it was the stop that failed"
        faults.clear_faults(stage.state)
        other = stage.other(holder)
        assert poll(lambda: served(stage) == other, RECOVERY_SECONDS), "the client's requests succeed again"
        assert stage.holder == other
        assert stage.fenced() == [holder]
