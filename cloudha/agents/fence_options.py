"""The standard parameters of a fence agent: names, short options and defaults that operators know from fence-agents."""

from __future__ import annotations

from collections.abc import Iterable

from cloudha.options import Audience, Option, OptionType
from cloudha.record import Record

__all__ = ["ALIASES", "OWN_NAMES", "STANDARD", "FenceOption", "with_command_line"]

# Pacemaker's default stonith-timeout is 60 s, of which a reboot also needs a few seconds to start the machine again.
POWER_TIMEOUT = "50"
# Pacemaker's default timeout for the monitor of a stonith resource is 20 s.
QUERY_TIMEOUT = "15"


class FenceOption(Record):
    """A parameter with its command line form. ``metavar`` "" means a flag without a value."""

    option: Option
    short: str = ""
    metavar: str = ""
    required: bool = False
    deprecated: bool = False
    obsoletes: str = ""

    @property
    def getopt(self) -> str:
        """The ``mixed`` attribute of the metadata, as in ``-n, --plug=[id]``."""
        name = "plug" if self.deprecated else self.option.name.replace("_", "-")
        long = f"--{name}=[{self.metavar}]" if self.metavar else f"--{name}"
        return f"-{self.short}, {long}" if self.short else long


def _seconds(name: str, default: str, text: str) -> FenceOption:
    return FenceOption(Option(name, text, OptionType.SECONDS, default), metavar="seconds")


PLUG = "Machine to act on: its id, its name, or one of its addresses"
STANDARD: tuple[FenceOption, ...] = (
    FenceOption(Option("action", "Fencing action", default="reboot"), "o", "action", required=True),
    FenceOption(
        Option("provider", "Cloud to talk to: the name of an installed provider"), metavar="name", required=True
    ),
    FenceOption(Option("plug", PLUG), "n", "id", required=True, obsoletes="port"),
    FenceOption(Option("port", PLUG), "n", "id", required=True, deprecated=True),
    FenceOption(Option("password", "Password or token", secret=True), "p", "password"),
    FenceOption(Option("password_script", "Program that prints the password or token"), "S", "script"),
    _seconds("delay", "0", "Seconds to wait before fencing is started"),
    _seconds(
        "power_timeout",
        POWER_TIMEOUT,
        "Seconds in which a machine must be off or on; keep it 10 s below stonith-timeout or pcmk_reboot_timeout",
    ),
    _seconds("query_timeout", QUERY_TIMEOUT, "Seconds in which monitor, status and list must have their answer"),
    _seconds("login_timeout", "5", "Seconds to wait for one connection to the cloud's API"),
    _seconds("shell_timeout", "8", "Seconds to wait for one answer of the cloud's API"),
    _seconds("power_wait", "0", "Seconds to wait after a power change was accepted, before looking"),
    _seconds("stonith_status_sleep", "1", "Seconds between two looks at a machine's power"),
    FenceOption(Option("retry_on", "How often to try to power on", OptionType.INTEGER, "1"), metavar="attempts"),
    FenceOption(
        Option("disable_timeout", "Leave all timeouts to Pacemaker", OptionType.BOOLEAN, "false"),
        metavar="true/false",
    ),
    FenceOption(
        Option("method", "Method to fence: off, then on", OptionType.CHOICE, "onoff", choices=("onoff",)),
        "m",
        "method",
    ),
    FenceOption(Option("plug_separator", "Separator between several plugs", default=","), metavar="char"),
    FenceOption(Option("separator", "Separator between the columns of a list", default=","), "C", "char"),
    FenceOption(Option("quiet", "Say nothing on standard error", OptionType.BOOLEAN), "q"),
    FenceOption(Option("verbose", "Say every call on standard error", OptionType.BOOLEAN), "v"),
    FenceOption(Option("verbose_level", "As verbose, when above 0", OptionType.INTEGER), metavar="level"),
    FenceOption(Option("debug_file", "File to append every call to"), "D", "file"),
    FenceOption(Option("version", "Show the version and end", OptionType.BOOLEAN), "V"),
    FenceOption(Option("help", "Show this help and end", OptionType.BOOLEAN), "h"),
)
# Providers use the standard password rather than declare one of their own name for the same thing.
SHARED_NAMES = frozenset({"password"})
OWN_NAMES: frozenset[str] = frozenset(known.option.name for known in STANDARD) - SHARED_NAMES
# Names of old that fence agents still understand.
ALIASES = {"port": "plug", "passwd": "password", "passwd_script": "password_script", "option": "action"}


def with_command_line(options: Iterable[Option]) -> tuple[FenceOption, ...]:
    """Return the common and the providers' parameters that concern fencing, with their command line form."""
    shorts = {"region": "r"}
    return tuple(
        FenceOption(
            option,
            shorts.get(option.name, ""),
            "" if option.type is OptionType.BOOLEAN and option.default is None else option.type.value.replace("_", "-"),
        )
        for option in options
        if option.audience is not Audience.ADDRESS and option.name not in SHARED_NAMES
    )
