"""The scenarios that depend on the cloud, with the VPC API of IBM Cloud between Pacemaker and the machines.

The address moves as a reserved IP, from one virtual network interface to another. The credentials are the machines'
trusted profile, from the metadata service.
"""

from __future__ import annotations

import http.client

import pytest

from cloudha.lab.failover import Cause, failover
from cloudha.lab.namespaces import inside_network
from cloudha.lab.programs import poll
from lab_plays import RECOVERY_SECONDS, VIP, api_outage, loses_power, throttled_fence, told
from lab_stage import Record, Stage

pytest.importorskip("cloudha_plugin_ibm", reason="provider ibm is not installed")
pytestmark = pytest.mark.lab

# Where the web server finds its pages: there as long as the group's small service runs on the node.
SITE = "/run/site"
# On each node's own disk; what is in it tells which node serves it.
CONTENT = "/etc/pacemaker/site"
NGINX = f"""
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
    server {{ listen {VIP}:80; root {SITE}; }}
}}
"""


@pytest.fixture(scope="module")
def cluster_provider() -> str:
    return "ibm"


def test_01_power_cut_of_the_holder(stage: Stage, record_property: Record) -> None:
    loses_power(stage, Cause.POWER, record_property)


def test_02_partition_has_one_survivor(stage: Stage, record_property: Record) -> None:
    loses_power(stage, Cause.ISOLATION, record_property)


def test_07_an_api_outage_moves_nothing_and_shows(stage: Stage) -> None:
    api_outage(stage)


def test_08_throttling_during_a_fence(stage: Stage, record_property: Record) -> None:
    # Stopping is the fence's alone; what else asks the API would take its share of the others.
    throttled_fence(stage, "power_off", 3, record_property)


def test_10_address_small_service_and_web_server_fail_over_together(stage: Stage, record_property: Record) -> None:
    first = stage.nodes[0]
    for node in stage.state.nodes:
        (node.disk / "etc/pacemaker/nginx.conf").write_text(NGINX)
        site = node.disk / CONTENT.lstrip("/")
        site.mkdir(exist_ok=True)
        (site / "index.html").write_text(node.name)
    # The address is in the group first: a web server that is tried on a node without it is not tried there again.
    stage.run(first, "pcs", "resource", "group", "add", "service", "vip")
    create = ("pcs", "resource", "create")
    stage.run(
        first, *create, "site", "ocf:heartbeat:symlink", f"link={SITE}", f"target={CONTENT}",
        "op", "monitor", "interval=10s", "timeout=20s", "--group", "service",
    )  # fmt: skip
    stage.run(
        first, *create, "web", "ocf:heartbeat:nginx", "configfile=/etc/pacemaker/nginx.conf",
        "op", "monitor", "interval=10s", "timeout=20s", "--group", "service",
    )  # fmt: skip
    try:
        assert poll(lambda: served(stage) == stage.holder, RECOVERY_SECONDS)
        story = told(failover(stage.state, Cause.POWER), record_property)
        assert story.holder == stage.other(story.victim)
        assert poll(lambda: served(stage) == story.holder, RECOVERY_SECONDS)
        assert story.fenced == (story.victim,)
        stage.settle()
    finally:
        stage.run(stage.holder, "pcs", "resource", "delete", "web", seconds=90)
        stage.run(stage.holder, "pcs", "resource", "delete", "site", seconds=90)


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
