"""The parameters of ``provider=ibm``, beyond the common ones. Imports no SDK: metadata is made from these."""

from __future__ import annotations

from cloudha.provider import Audience, Option, OptionType

__all__ = ["OPTIONS"]

OPTIONS: tuple[Option, ...] = (
    Option(
        "trusted_profile",
        "Trusted profile (id, CRN or name) whose rights this machine takes; by default the one that it was made with",
    ),
    Option(
        "api_key_file",
        "File with an IAM API key, as text or as the JSON file that IBM Cloud offers for download, mode 0600",
        OptionType.SECRET_FILE,
    ),
    Option("api_key", "IAM API key; better in a file, since the cluster's configuration shows it", secret=True),
    Option(
        "vpc", "VPC (id or name) of the machines and addresses; by default every one for fencing, else this machine's"
    ),
    Option(
        "resource_group", "Resource group (id or name) of the machines, subnets and floating IPs; by default every one"
    ),
    Option(
        "interface_id",
        "Virtual network interface (id or name) of this machine, where nic does not say it; by default the primary one",
        audience=Audience.ADDRESS,
    ),
    Option(
        "route_tables",
        "kind=route: routing tables (ids or names, with commas) in which the address leads to this machine",
        OptionType.LIST,
        audience=Audience.ADDRESS,
    ),
)
