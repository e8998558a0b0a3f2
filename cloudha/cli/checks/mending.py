"""The commands that change an operation of a resource, and nothing else about it.

``pcs ... update ID op NAME ...`` does not change one attribute: it takes the first operation of that name away and puts
in another one, with the attributes given and no others. A monitor without interval= then gets one of 60 s, and a stop
loses its on-fail=. So all of them are named.
"""

from __future__ import annotations

import shlex

from cloudha.cli.checks.cib import Operation, Resource

__all__ = ["change_operation", "remove_operation"]


def change_operation(resource: Resource, operation: Operation, **changes: str) -> str:
    """Return the command that gives *operation* these attributes (``on_fail`` for on-fail), "" takes one away.

    One that is not configured is added.
    """
    wanted = {**operation.attributes, **{name.replace("_", "-"): value for name, value in changes.items()}}
    # An interval of 0 is what pcs puts in by itself.
    words = [f"{name}={value}" for name, value in wanted.items() if value and (name, value) not in NO_INTERVAL]
    same = [other for other in resource.operations if other.name == operation.name]
    pcs, described = f"pcs {_kind(resource)}", f"{operation.name} {shlex.join(words)}"
    if operation.id and same and same[0] != operation:
        return f"{remove_operation(resource, operation)} && {pcs} op add {resource.id} {described}"
    return f"{pcs} update {resource.id} op {described}"


def remove_operation(resource: Resource, operation: Operation) -> str:
    """Return the command that takes *operation* away."""
    return f"pcs {_kind(resource)} op delete {operation.id}"


NO_INTERVAL = frozenset({("interval", "0"), ("interval", "0s")})


def _kind(resource: Resource) -> str:
    return "stonith" if resource.agent.startswith("stonith:") else "resource"
