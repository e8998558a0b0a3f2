"""Find out what is to be judged: the cluster's configuration, and the clouds that it and the command line name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from cloudha.agents.fence_options import ALIASES, STANDARD
from cloudha.cli.checks.case import Case
from cloudha.cli.checks.cib import Cib, Resource, parse_cib
from cloudha.cli.checks.exposure import secret_values
from cloudha.cli.checks.programs import find, run
from cloudha.cli.checks.targets import AddressTarget, FenceTarget, own_secrets, parameters_of
from cloudha.errors import CloudhaError, ConfigurationError, LocalConfigurationError, Unavailable, shown
from cloudha.installed import declared
from cloudha.options import COMMON_OPTIONS
from cloudha.record import Record

__all__ = ["Asked", "gather"]

# A running cluster answers at once.
CIB_SECONDS = 10.0
# Of a hundred nodes with a thousand resources it has a few megabytes.
MOST_BYTES = 64 << 20


class Asked(Record):
    """What the command line says. ``exposed`` are the parameters on it, ``in_file`` those that it names a file for."""

    provider: str
    exposed: Mapping[str, str]
    in_file: Mapping[str, str]
    cib_file: str = ""
    root: Path = Path("/")
    verbose: bool = False


def gather(asked: Asked) -> Case:
    """Read the configuration and make the ways to the clouds; nothing is asked of a cloud.

    :raises ConfigurationError: the file given is no configuration, or parameters are given for nobody.
    """
    cib, no_cib = _cib(asked)
    resources = (*cib.fences, *cib.addresses) if cib else ()
    named = list(dict.fromkeys(r.parameters.get("provider", "") for r in resources))
    wanted = [asked.provider] if asked.provider else [name for name in named if name]
    more = {**asked.in_file, **asked.exposed}
    if more and len(wanted) != 1:
        clouds = ", ".join(wanted) or "none"
        raise ConfigurationError(
            f"parameters are given, and the provider is not clear ({clouds})", advice="add --provider"
        )
    # Taken out of the environment for each provider before any of its libraries is loaded.
    given = {name: {**own_secrets(name), **more} for name in wanted}
    for name in wanted:
        _refuse(name, asked.exposed, more)
    fences = list(_fences(cib, given, verbose=asked.verbose))
    addresses = list(_addresses(cib, given, verbose=asked.verbose))
    if asked.provider and not fences and not addresses:
        fences = [FenceTarget(asked.provider, given[asked.provider], None, verbose=asked.verbose)]
        if fences[0].usable and not fences[0].provider.implements("power_off"):
            fences = []
    secrets = {value for resource in resources for value in secret_values(resource)}
    for target in (*fences, *addresses):
        secrets.update(target.secrets())
    return Case(
        cib=cib,
        no_cib=no_cib,
        from_file=bool(asked.cib_file),
        root=asked.root,
        fences=fences,
        addresses=addresses,
        secrets=secrets,
        left_out=[r.id for r in resources if r.parameters.get("provider", "") not in (*wanted, "")],
    )


def _refuse(provider: str, exposed: Iterable[str], names: Iterable[str]) -> None:
    """Refuse what the provider does not know, and a secret that everybody could read in the process list.

    :raises ConfigurationError: there is one.
    """
    try:
        options = (*COMMON_OPTIONS, *declared(provider).options, *(known.option for known in STANDARD))
    except CloudhaError:
        return  # the check of the provider says why
    known = {option.name: option for option in options}
    for name in names:
        if name not in known:
            raise ConfigurationError(
                f"provider {provider!r} has no parameter {shown(name)}", advice=f"see: cloudha describe {provider}"
            )
        if known[name].secret and name in exposed:
            raise ConfigurationError(
                f"-o {name}=... shows a secret in the process list; consider it known",
                advice=f"give it in the environment as CLOUDHA_{name.upper()}, or with --options-from FILE",
            )


def _cib(asked: Asked) -> tuple[Cib | None, str]:
    if asked.cib_file:
        return parse_cib(_read(asked.cib_file)), ""
    program = find("cibadmin")
    if not program:
        return None, "there is no cibadmin here"
    try:
        ran = run([program, "--query"], CIB_SECONDS)
    except Unavailable as error:
        return None, error.cause
    if ran.code:
        return None, ran.said
    return parse_cib(ran.out), ""


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ConfigurationError("the file given with --cib is too large", advice="cibadmin --query > FILE")
        return content.decode()
    except OSError as error:
        raise LocalConfigurationError(
            f"the file given with --cib cannot be read: {error.strerror}",
            advice=f"look with: ls -l {os.fsdecode(path)}",
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError("the file given with --cib is not text", advice="cibadmin --query > FILE") from None


def _fences(cib: Cib | None, given: Mapping[str, Mapping[str, str]], *, verbose: bool) -> Iterable[FenceTarget]:
    for resource in cib.fences if cib else ():
        name, raw = _parameters(resource, given)
        if name in given and not resource.stopped:
            yield FenceTarget(
                name, {ALIASES.get(key, key): value for key, value in raw.items()}, resource, verbose=verbose
            )


def _addresses(cib: Cib | None, given: Mapping[str, Mapping[str, str]], *, verbose: bool) -> Iterable[AddressTarget]:
    for resource in cib.addresses if cib else ():
        name, raw = _parameters(resource, given)
        if name in given:
            yield AddressTarget(name, raw, resource, verbose=verbose)


def _parameters(resource: Resource, given: Mapping[str, Mapping[str, str]]) -> tuple[str, dict[str, str]]:
    raw = parameters_of(resource)
    name = raw.pop("provider", "")
    return name, {**raw, **given.get(name, {})}
