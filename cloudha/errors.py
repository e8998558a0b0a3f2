"""Everything that can go wrong, as one tree.

::

    CloudhaError
    ├── ConfigurationError          the parameters are wrong on every node: nothing to retry
    │   ├── LocalConfigurationError   ... only on this node (a file, an interface, this machine's identity)
    │   ├── UnsupportedError          the provider does not do that (no fencing, no kind=route)
    │   └── AmbiguousError            a name fits several machines or addresses
    ├── ProviderNotInstalled        no distribution here offers that provider
    │   └── SdkMissing                the provider is here, the vendor's SDK it needs is not
    ├── ProviderBroken              the plugin breaks the contract (a bug, a half installed package)
    ├── AccessDenied                the cloud answered and refused
    │   └── CredentialsMissing        nothing was sent: this node has no credentials at all
    ├── NotFound                    the cloud knows no such machine or address *with these credentials, here*
    ├── Conflict                    the cloud refuses it in the present state (busy, changed meanwhile, in use)
    ├── Unavailable                 throttled, 5xx, timed out, refused, unreadable: THE ONLY RETRYABLE ONE
    └── Unconfirmed                 asked for, and not seen to have happened

An exception carries no exit code: each agent has one table from class to code (:mod:`cloudha.agents.exits`).
None of these means "off", "stopped" or "not running": the caller knows nothing more than before.

A message reads ``provider: action: target: cause; what to do`` on one line. Whoever raises gives the cause and the
advice; the host fills in provider, action and target, and takes known secrets out.
"""

from __future__ import annotations

__all__ = [
    "AccessDenied",
    "AmbiguousError",
    "CloudhaError",
    "ConfigurationError",
    "Conflict",
    "CredentialsMissing",
    "LocalConfigurationError",
    "NotFound",
    "ProviderBroken",
    "ProviderNotInstalled",
    "SdkMissing",
    "Unavailable",
    "Unconfirmed",
    "UnsupportedError",
]

# A vendor's error body can be a web page; an operator's log line must stay readable.
LONGEST_PART = 600
LONGEST_VALUE = 80
# Head, cause, request and advice of one error, each of them shortened.
LONGEST_LINE = 4 * LONGEST_PART


def one_line(text: str, longest: int = LONGEST_PART) -> str:
    """Fold white space and unprintable characters, and shorten, so that *text* is one readable line of a log."""
    folded = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return folded if len(folded) <= longest else folded[: longest - 3] + "..."


def shown(value: str) -> str:
    """Return a parameter's value for a message: quoted, on one line, and not so long that it hides the advice."""
    return repr(one_line(value, LONGEST_VALUE))


class CloudhaError(Exception):
    """Base of all errors. ``cause`` says what happened, ``advice`` what to do about it, both without secrets."""

    def __init__(self, cause: str, *, advice: str = "", request_id: str = "") -> None:
        super().__init__(cause)
        # Folded and shortened only when shown: a secret that was cut in two could not be taken out any more.
        self.cause = cause
        self.advice = advice
        self.request_id = request_id
        self.provider = ""
        self.action = ""
        self.target = ""

    def placed(self, *, provider: str = "", action: str = "", target: str = "") -> CloudhaError:
        """Fill in what is still unknown of who was asked for what, and return the same error."""
        self.provider = self.provider or provider
        self.action = self.action or action
        self.target = self.target or target
        return self

    def redacted(self, secrets: tuple[str, ...]) -> CloudhaError:
        """Replace every occurrence of a known secret in the texts, and return the same error."""
        forms = {form for secret in secrets for form in (secret, " ".join(secret.split())) if form}
        for secret in sorted(forms, key=len, reverse=True):
            for field in ("cause", "advice", "target", "request_id"):
                setattr(self, field, getattr(self, field).replace(secret, "***"))
        self.args = (self.cause,)
        return self

    def __str__(self) -> str:
        head = ": ".join(one_line(part) for part in (self.provider, self.action, self.target) if part)
        cause = one_line(self.cause)
        text = f"{head}: {cause}" if head else cause
        if self.request_id:
            text += f" (request {one_line(self.request_id)})"
        return f"{text}; {one_line(self.advice)}" if self.advice else text


class ConfigurationError(CloudhaError):
    """A parameter is missing or wrong wherever it is used. Pacemaker must not try it on another node."""


class LocalConfigurationError(ConfigurationError):
    """A parameter does not fit *this* node (a missing interface, a file others can read). Another node may do."""


class UnsupportedError(ConfigurationError):
    """The provider works, and does not offer what is asked for."""


class AmbiguousError(ConfigurationError):
    """A name fits more than one machine or address; the message names them all. Nothing was touched."""


class ProviderNotInstalled(CloudhaError):
    """No installed distribution offers the provider; the message says which are here, and the pip command."""


class SdkMissing(ProviderNotInstalled):
    """The provider's plugin is installed, a library that it needs is not."""


class ProviderBroken(CloudhaError):
    """The plugin does not keep the contract: it cannot be imported, misspells a hook, answers the wrong type."""


class AccessDenied(CloudhaError):
    """The cloud refused these credentials or this operation. The cause names the missing permission when known."""


class CredentialsMissing(AccessDenied):
    """This node has no credentials to send. Nothing is known about the machine or the address."""


class NotFound(CloudhaError):
    """No such thing *seen from here*: it may be the wrong region or account, so it never proves "off" or "gone"."""


class Conflict(CloudhaError):
    """The present state forbids it. The host reads the state again and decides anew; it does not repeat blindly."""


class Unavailable(CloudhaError):
    """No usable answer this time. The host tries again until the deadline.

    :param retry_after: seconds that the server asked to wait, 0 when it did not say.
    """

    def __init__(self, cause: str, *, advice: str = "", request_id: str = "", retry_after: float = 0.0) -> None:
        super().__init__(cause, advice=advice, request_id=request_id)
        self.retry_after = max(0.0, retry_after)


class Unconfirmed(CloudhaError):
    """The change was asked for and not seen to have happened before the deadline. It may still happen."""
