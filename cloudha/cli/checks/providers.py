"""Is each provider installed, with the libraries that it needs, and are the parameters valid for it?"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib import metadata

from cloudha.cli.checks.case import Case
from cloudha.cli.checks.finding import Finding, bad, good, unknown, warn
from cloudha.cli.checks.targets import AddressTarget, FenceTarget, Target
from cloudha.errors import CloudhaError

__all__ = ["find"]

# A requirement as its distribution writes it (PEP 508): name, [extras], versions, ; condition.
REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(;.*)?")
AT_LEAST = re.compile(r">=\s*(\d+(?:\.\d+)*)")
OWN = "cloudha"
HOOKS = {
    FenceTarget: ("check_access", "list_nodes", "power_state", "power_off", "power_on"),
    AddressTarget: ("bind_ip", "unbind_ip", "list_ips", "local_evidence", "local_node"),
}


def find(case: Case) -> Iterator[Finding]:
    """Load each provider once, then read each resource's parameters as its agent does."""
    seen: set[str] = set()
    for target in case.targets():
        check = f"provider.{target.provider_name}"
        try:
            provider = target.provider
        except CloudhaError as error:
            if target.provider_name not in seen:
                seen.add(target.provider_name)
                yield bad(check, error.cause, "the agents cannot reach the cloud without it", error.advice)
            continue
        if target.provider_name not in seen:
            seen.add(target.provider_name)
            yield good(check, f"{provider.info.title}: {provider.entry.origin}")
            yield from _libraries(check, provider.entry.distribution)
        yield from _parameters(target)
    yield from _nameless(case)
    if not case.targets():
        yield unknown(
            "provider.none",
            "no cloud is named: neither --provider nor a resource of ours in the configuration says which",
            "nothing of the cloud was looked at",
            "give --provider NAME; see what is installed: cloudha providers",
        )


def _nameless(case: Case) -> Iterator[Finding]:
    if case.cib is None:
        return
    for verb, resource in (
        *(("stonith", device) for device in case.cib.fences),
        *(("resource", address) for address in case.cib.addresses),
    ):
        if not resource.parameters.get("provider"):
            mend = f"pcs {verb} update {resource.id} provider=NAME; see what is installed: cloudha providers"
            what = f"{resource.id}: parameter provider is missing"
            yield bad(f"provider.{resource.id}", what, "the agent refuses to work without it", mend)


def _libraries(check: str, distribution: str) -> Iterator[Finding]:
    try:
        requirements = metadata.requires(distribution) or []
    except metadata.PackageNotFoundError:
        requirements = []
    for text in requirements:
        found = REQUIREMENT.match(text)
        # What has a condition belongs to an extra or another platform.
        if not found or found[3] or found[1] == OWN:
            continue
        name, versions = found[1], found[2].strip()
        mend = f"{sys.prefix}/bin/pip install '{name}{versions}'"
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield bad(f"{check}.{name}", f"{name} is not installed", f"{distribution} needs it", mend)
            continue
        least = AT_LEAST.search(versions)
        if least and _parts(version) < _parts(least[1]):
            what = f"{name} is {version}, and {distribution} needs {versions}"
            yield bad(f"{check}.{name}", what, "requests may fail, or lack what makes a stop hard", mend)
        else:
            yield good(f"{check}.{name}", f"{name} {version}")


def _parts(version: str) -> tuple[int, ...]:
    parts: list[int] = []
    for part in version.split("."):
        digits = re.match(r"\d+", part)
        if not digits:
            break
        parts.append(int(digits[0]))
    return tuple(parts)


def _parameters(target: Target) -> Iterator[Finding]:
    check = f"provider.{target.label}"
    verb = "stonith" if isinstance(target, FenceTarget) else "resource"
    mend = f"pcs {verb} update {target.label} ..."
    fails = "the agent refuses to work with it"
    missing = [hook for hook in HOOKS[type(target)] if not target.provider.implements(hook)]
    if missing:
        what = f"{target.label}: provider {target.provider_name!r} cannot do that: it has no {', '.join(missing)}"
        yield bad(check, what, fails, "use another provider for this agent")
        return
    try:
        if isinstance(target, AddressTarget):
            if target.trouble:
                raise target.trouble
            if target.request and target.request.kind not in target.provider.info.kinds:
                kinds = ", ".join(kind.value for kind in target.provider.info.kinds) or "none"
                what = f"{target.label}: kind={target.request.kind.value} is not offered by this provider"
                yield bad(check, what, fails, f"it offers: {kinds}")
                return
        target.connected  # noqa: B018 - made when first looked at; reads and checks every parameter
    except CloudhaError as error:
        yield bad(check, f"{target.label}: {error.cause}", fails, error.advice or mend)
        return
    strange = target.unknown_parameters()
    if strange:
        yield warn(
            f"{check}.parameters",
            f"{target.label}: no agent or provider knows: {', '.join(strange)}",
            "what is not known has no effect; it may be a typing error",
            f"pcs {verb} update {target.label} {' '.join(f'{name}=' for name in strange)}",
        )
