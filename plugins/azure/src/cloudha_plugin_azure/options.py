"""The parameters of ``provider=azure``, beyond the common ones. Imports no SDK: metadata is made from these."""

from __future__ import annotations

from cloudha.provider import Audience, Option, OptionType

__all__ = ["CLOUDS", "EVERYWHERE", "OPTIONS"]

CLOUDS = ("public", "china", "usgov", "stack")
#: The value of resource_group that means the whole subscription.
EVERYWHERE = "*"

OPTIONS: tuple[Option, ...] = (
    Option("subscription_id", "Subscription of the machines; by default the one that this machine is in"),
    Option(
        "resource_group",
        "Resource group of the machines, interfaces and addresses; by default this machine's; * is all of the "
        "subscription",
    ),
    Option(
        "cloud",
        "Which Azure: public, china, usgov, or stack (Azure Stack Hub, whose endpoint= must be given)",
        OptionType.CHOICE,
        "public",
        choices=CLOUDS,
    ),
    Option(
        "msi", "Use the machine's managed identity, the default without a secret or certificate", OptionType.BOOLEAN
    ),
    Option("tenant_id", "Tenant (directory) of the service principal, with client_secret or certificate_file"),
    Option("client_id", "Client id of the service principal, or of the user-assigned managed identity"),
    Option("client_secret", "Secret of the service principal", secret=True),
    Option(
        "certificate_file",
        "File with the service principal's certificate and private key (PEM), mode 0600",
        OptionType.SECRET_FILE,
    ),
    Option("filter", "Only machines with these tags: key=value, several with blanks", audience=Audience.FENCE),
    Option(
        "interface_id",
        "Network interface (name or resource id) of this machine, where nic does not say it; by default the primary",
        audience=Audience.ADDRESS,
    ),
    Option(
        "private_ip",
        "kind=public: private address of the interface that the public one is mapped to; by default the primary",
        OptionType.ADDRESS,
        audience=Audience.ADDRESS,
    ),
    Option(
        "route_tables",
        "kind=route: route tables (names or resource ids, with commas) in which the address leads to this machine",
        OptionType.LIST,
        audience=Audience.ADDRESS,
    ),
)
