"""The parameters of ``provider=aws``, beyond the common ones. Imports no SDK: metadata is made from these."""

from __future__ import annotations

from cloudha.provider import Audience, Option, OptionType

__all__ = ["IF_POSSIBLE", "NEVER", "OPTIONS", "REQUIRED"]

# Values of race_check.
NEVER = "never"
IF_POSSIBLE = "if_possible"
REQUIRED = "required"

OPTIONS: tuple[Option, ...] = (
    Option("access_key", "Access key id; by default the instance's role, or what the AWS command line would use"),
    Option("secret_key", "Secret key of access_key", secret=True),
    Option("session_token", "Session token of access_key, when it is a temporary one", secret=True),
    Option("profile", "Profile in root's ~/.aws/config and ~/.aws/credentials"),
    Option("role_arn", "Role (ARN) to assume with these credentials, for instance in another account"),
    Option(
        "filter",
        "Only machines that fit: key=value, or Name=key,Values=value1,value2 (several with blanks between them)",
        audience=Audience.FENCE,
    ),
    Option(
        "race_check",
        "Refuse to fence while this machine is itself being stopped; if_possible fences when that cannot be found out",
        OptionType.CHOICE,
        IF_POSSIBLE,
        choices=(IF_POSSIBLE, REQUIRED, NEVER),
        audience=Audience.FENCE,
    ),
    Option("skip_race_check", "The same as race_check=never", OptionType.BOOLEAN, "false", audience=Audience.FENCE),
    Option(
        "interface_id",
        "Network interface (eni-...) of this machine, where nic does not say it; by default the primary one",
        audience=Audience.ADDRESS,
    ),
    Option(
        "private_ip",
        "kind=public: private address of the interface that the Elastic IP is mapped to; by default the primary one",
        OptionType.ADDRESS,
        audience=Audience.ADDRESS,
    ),
    Option(
        "route_tables",
        "kind=route: route tables (rtb-..., with commas) in which the address is a route to this machine",
        OptionType.LIST,
        audience=Audience.ADDRESS,
    ),
)
