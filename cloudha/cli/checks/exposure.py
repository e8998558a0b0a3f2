"""Is a secret written into the cluster's configuration, which backups and bug reports get to see?"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloudha import installed
from cloudha.cli.checks.case import Case
from cloudha.cli.checks.cib import Resource
from cloudha.cli.checks.finding import Finding, bad, good
from cloudha.cli.checks.targets import LOCAL_SECRET
from cloudha.errors import CloudhaError
from cloudha.options import Option, canonical

__all__ = ["find", "secret_values"]

# Of providers that are not installed here, and of parameters that nobody knows.
LOOKS_SECRET = re.compile(r"(^|_)(password|passwd|secret|secret_key|token|session_token|api_key|client_secret)$")
# The names of a file or program, where the secret is not in the text.
REFERS = ("_file", "_script")


def find(case: Case) -> Iterator[Finding]:
    """Look at the parameters of both agents' resources."""
    if case.cib is None:
        return
    clean = True
    for resource in (*case.cib.fences, *case.cib.addresses):
        for name in _secrets(resource):
            clean = False
            yield bad(
                f"secrets.{resource.id}",
                f"{resource.id} has the secret {name} in the cluster's configuration",
                "whoever reads the configuration, its backups or a bug report can switch the machines off",
                f"use the machine's own identity or a file of mode 0600, then: pcs {_kind(resource)} update "
                f"{resource.id} {name}= ; and change the secret",
            )
    if clean and (case.cib.fences or case.cib.addresses):
        yield good("secrets.cib", "no secret is in the cluster's configuration")


def secret_values(resource: Resource) -> set[str]:
    """Return the secrets themselves, to be kept out of every finding."""
    return {resource.parameters[name] for name in _secrets(resource)}


def _secrets(resource: Resource) -> list[str]:
    declared = _declared(resource.parameters.get("provider", ""))
    found = []
    for name, value in resource.parameters.items():
        plain = canonical(name)
        option = declared.get(plain)
        secret = option.secret if option else bool(LOOKS_SECRET.search(plain)) and not plain.endswith(REFERS)
        if secret and value and not value.startswith(LOCAL_SECRET):
            found.append(name)
    return found


def _declared(provider: str) -> dict[str, Option]:
    try:
        return {option.name: option for option in installed.declared(provider).options}
    except CloudhaError:
        return {}


def _kind(resource: Resource) -> str:
    return "stonith" if resource.agent.startswith("stonith:") else "resource"
