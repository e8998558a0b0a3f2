"""The agents of fence-agents and resource-agents that cloudha takes over from, parameter by parameter.

Read from their metadata: fence-agents 4.12 to 4.17 and resource-agents 4.12 to 4.17 (``-o metadata``, ``meta-data``).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["OLD", "UNSUPPORTED", "Fate", "OldAgent", "Rule"]


class Fate(enum.Enum):
    """What becomes of a parameter."""

    MOVES = "moves"
    SECRET = "secret: not shown"  # noqa: S105 - words for people
    DROPPED = "dropped"
    DECISION = "needs your decision"


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of one parameter: ``becomes`` names the new one, ``values`` translates, ``why`` explains."""

    fate: Fate
    becomes: str = ""
    why: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OldAgent:
    """One agent: who takes over. ``fixed``: parameters of the new one that follow from the old agent itself.

    ``defaults``: values that the old agent has when a parameter is not given, and the new one has not.
    ``beside``: an IPaddr2 with the same address does the interface's part. ``restart``: old and new cannot both be
    there, so the service is interrupted.
    """

    provider: str
    rules: Mapping[str, Rule]
    fixed: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    beside: bool = False
    restart: bool = False


def _same(*names: str) -> dict[str, Rule]:
    return {name: Rule(Fate.MOVES, name) for name in names}


def _dropped(why: str, *names: str) -> dict[str, Rule]:
    return {name: Rule(Fate.DROPPED, why=why) for name in names}


# fence_cloud knows these under the same name and with the same meaning.
FENCING = {
    **_same("plug", "power_timeout", "power_wait", "delay", "login_timeout", "shell_timeout", "stonith_status_sleep"),
    **_same("retry_on", "disable_timeout", "plug_separator", "separator", "quiet", "verbose", "verbose_level"),
    **_same("debug_file"),
    "port": Rule(Fate.MOVES, "plug"),
    "debug": Rule(Fate.MOVES, "debug_file"),
    **_dropped("Pacemaker says what to do; pcmk_reboot_action and pcmk_off_action change that", "action"),
    **_dropped("it prints something and ends", "version", "help"),
    **_dropped("fence_cloud always switches off, then on", "method"),
}
AWS_CLI = {
    **_dropped("the AWS command line is not used", "awscli", "awscli_timeout"),
    **_dropped("calls are limited by time and retried as AWS wants", "api_delay", "curl_retries", "curl_sleep"),
    **_dropped("not needed: without profile the instance's role is used", "auth_type"),
    **_same("profile", "region"),
}
CLOUDS = {"public": "public", "china": "china", "usgov": "usgov", "stack": "stack"}

OLD: Mapping[str, OldAgent] = {
    "stonith:fence_aws": OldAgent(
        "aws",
        {
            **FENCING,
            **_same("region", "filter", "skip_race_check"),
            "access_key": Rule(Fate.SECRET, "access_key"),
            "secret_key": Rule(Fate.SECRET, "secret_key"),
            **_dropped("verbose=1 or debug_file=... show every call, without secrets", "boto3_debug"),
            **_dropped("always so, where boto3 can", "skip_os_shutdown"),
        },
    ),
    "stonith:fence_azure_arm": OldAgent(
        "azure",
        {
            **FENCING,
            "username": Rule(Fate.MOVES, "client_id"),
            "login": Rule(Fate.MOVES, "client_id"),
            "password": Rule(Fate.SECRET, "client_secret"),
            "passwd": Rule(Fate.SECRET, "client_secret"),
            "password_script": Rule(
                Fate.DECISION, why="Azure takes no script: a managed identity, client_secret or certificate_file"
            ),
            "passwd_script": Rule(
                Fate.DECISION, why="Azure takes no script: a managed identity, client_secret or certificate_file"
            ),
            "resourceGroup": Rule(Fate.MOVES, "resource_group"),
            "tenantId": Rule(Fate.MOVES, "tenant_id"),
            "subscriptionId": Rule(Fate.MOVES, "subscription_id"),
            "msi": Rule(Fate.MOVES, "msi"),
            "cloud": Rule(Fate.MOVES, "cloud", values=CLOUDS, why="this cloud is not offered"),
            "metadata_endpoint": Rule(Fate.MOVES, "endpoint"),
            "metadata-endpoint": Rule(Fate.MOVES, "endpoint"),
            **_dropped(
                "not offered: a machine counts as fenced when it is off; the subnet fence-subnet is not needed",
                "network_fencing",
                "network-fencing",
            ),
        },
    ),
    "stonith:fence_ibm_vpc": OldAgent(
        "ibm",
        {
            **FENCING,
            **_same("region"),
            "apikey": Rule(Fate.SECRET, "api_key"),
            **_dropped("lists are read page by page, whatever their length", "limit"),
            **_dropped("the token is kept in /run/cloudha", "token_file"),
            "proxy": Rule(
                Fate.DECISION,
                why="no proxy is offered: endpoint= and identity_endpoint= lead to private endpoints (docs/ibm.md)",
            ),
        },
    ),
    "ocf:heartbeat:awsvip": OldAgent(
        "aws",
        {
            **AWS_CLI,
            "secondary_private_ip": Rule(Fate.MOVES, "ip"),
            "interface": Rule(Fate.MOVES, "nic"),
        },
        beside=True,
    ),
    "ocf:heartbeat:awseip": OldAgent(
        "aws",
        {
            **AWS_CLI,
            "elastic_ip": Rule(Fate.MOVES, "ip"),
            "private_ip_address": Rule(Fate.MOVES, "private_ip"),
            **_dropped("found by the address", "allocation_id"),
        },
        fixed={"kind": "public"},
    ),
    "ocf:heartbeat:aws-vpc-move-ip": OldAgent(
        "aws",
        {
            **AWS_CLI,
            "ip": Rule(Fate.MOVES, "ip"),
            "address": Rule(Fate.MOVES, "ip"),
            "routing_table": Rule(Fate.MOVES, "route_tables"),
            "routing_table_role": Rule(Fate.MOVES, "role_arn"),
            "interface": Rule(Fate.MOVES, "nic"),
            "endpoint_url": Rule(Fate.MOVES, "endpoint"),
            **_dropped("the address has no label", "iflabel"),
            **_dropped("every monitor asks the API (OCF_CHECK_LEVEL=10)", "monapi"),
            **_dropped("the route is compared by the interface it leads to", "lookup_type"),
        },
        fixed={"kind": "route"},
        defaults={"interface": "eth0"},
    ),
    "ocf:heartbeat:azure-lb": OldAgent(
        "lb-probe",
        {
            "port": Rule(Fate.MOVES, "probe_port"),
            **_dropped("the answerer is part of the plugin", "nc", "listen"),
        },
        defaults={"port": "61000"},
        beside=True,
        restart=True,
    ),
    "ocf:heartbeat:ocivip": OldAgent(
        "oci",
        {
            "secondary_private_ip": Rule(Fate.MOVES, "ip"),
            "cidr_netmask": Rule(Fate.MOVES, "cidr_netmask"),
            **_dropped("the OCI command line is not used", "ocicli"),
            **_dropped("calls are limited by time and retried as OCI wants", "api_delay"),
            **_dropped("the address has no label", "interface_alias"),
        },
        # It writes to the interface itself, the one with the default route.
        defaults={"cidr_netmask": "24"},
        beside=True,
    ),
}
IPADDR2: Mapping[str, Rule] = {
    "ip": Rule(Fate.MOVES, "ip"),
    "nic": Rule(Fate.MOVES, "nic"),
    "cidr_netmask": Rule(Fate.MOVES, "cidr_netmask"),
    **_dropped("the address has no label", "iflabel"),
    **_dropped("it is announced at the start, and the cloud delivers by its own tables", "arp_interval", "arp_count"),
    **_dropped("it is announced at the start, and the cloud delivers by its own tables", "arp_count_refresh", "arp_bg"),
    **_dropped("it is announced at the start, and the cloud delivers by its own tables", "arp_sender", "send_arp_opts"),
    **_dropped("the broadcast address is not set", "broadcast"),
    **_dropped("clouds detect no duplicates on the wire", "run_arping", "nodad"),
}
IPADDR2_LEFT = Rule(Fate.DECISION, why="floating-ip has nothing for it: keep IPaddr2, or do without")

UNSUPPORTED: Mapping[str, str] = {
    "ocf:heartbeat:aws-vpc-route53": "changes a name, not an address: it stays as it is, beside floating-ip",
    "ocf:heartbeat:azure-events": "reacts to planned maintenance: it stays as it is",
    "ocf:heartbeat:azure-events-az": "reacts to planned maintenance: it stays as it is",
    "ocf:heartbeat:gcp-vpc-move-vip": "no provider of cloudha for Google Cloud yet",
    "ocf:heartbeat:gcp-vpc-move-route": "no provider of cloudha for Google Cloud yet",
    "ocf:heartbeat:gcp-vpc-move-ip": "no provider of cloudha for Google Cloud yet",
    "stonith:fence_gce": "no provider of cloudha for Google Cloud yet",
    "stonith:fence_ibm_powervs": "no provider of cloudha for IBM Power Virtual Server yet",
}
