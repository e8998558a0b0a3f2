"""The parameters of ``provider=oci``, beyond the common ones. Imports no SDK: metadata is made from these."""

from __future__ import annotations

from cloudha.provider import Audience, Option, OptionType

__all__ = ["API_KEY", "INSTANCE_PRINCIPAL", "OPTIONS", "RESOURCE_PRINCIPAL"]

# Values of auth.
INSTANCE_PRINCIPAL = "instance_principal"
API_KEY = "api_key"
RESOURCE_PRINCIPAL = "resource_principal"

OPTIONS: tuple[Option, ...] = (
    Option(
        "auth",
        "Credentials: instance_principal (this machine's dynamic group), api_key (config_file, config_profile), or "
        "resource_principal (from the environment)",
        OptionType.CHOICE,
        INSTANCE_PRINCIPAL,
        choices=(INSTANCE_PRINCIPAL, API_KEY, RESOURCE_PRINCIPAL),
    ),
    Option("config_file", "auth=api_key: the SDK's configuration file, mode 0600; by default root's ~/.oci/config"),
    Option("config_profile", "auth=api_key: profile in config_file", default="DEFAULT"),
    Option(
        "compartment_id",
        "Compartments of the machines and public addresses (OCIDs, with commas); by default the one that this machine "
        "is in",
        OptionType.LIST,
    ),
    Option(
        "vnic_id",
        "VNIC (OCID) of this machine, where nic does not say it; by default the primary one",
        audience=Audience.ADDRESS,
    ),
    Option(
        "subnet_id",
        "Subnet (OCID) of the address and of this machine's VNIC for it; saves each monitor a request",
        audience=Audience.ADDRESS,
    ),
    Option(
        "private_ip",
        "kind=public, kind=route: private address of the VNIC that is assigned, or routed to; by default its primary "
        "one",
        OptionType.ADDRESS,
        audience=Audience.ADDRESS,
    ),
    Option(
        "route_tables",
        "kind=route: route tables (OCIDs, with commas) in which the address leads to this machine",
        OptionType.LIST,
        audience=Audience.ADDRESS,
    ),
)
