"""Requests that an emulator received, compared with those that a provider declares (:mod:`cloudha.requests`)."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import botocore.session

from cloudha.testing.emulator import Request

__all__ = ["Declared", "compare", "declared_in"]

# What stands in braces is known only when an earlier request is answered.
UNKNOWN = re.compile(r"\{[a-z][^{}:]*\}")
# Said of these hooks: again after 10 s without effect, which a machine under load may need.
AGAIN = ("power_off", "power_on")

Declared = Mapping[str, Any]


def declared_in(document: Mapping[str, Any]) -> list[Declared]:
    """Return the requests in what ``--dry-run --json`` printed, in order, each with its hook."""
    return [{**item, "hook": call["hook"]} for call in document["calls"] for item in call["requests"]]


def compare(declared: Iterable[Declared], received: Iterable[Request]) -> list[str]:
    """Return what differs; changes must come in the declared order, reads as often as they like."""
    listed = list(declared)
    reads = [item for item in listed if not item["changes"]]
    changes = [item for item in listed if item["changes"]]
    problems: list[str] = []
    read: list[int] = []
    at = 0
    for request in received:
        fitting = [number for number, item in enumerate(reads) if _fits(item, request)]
        read += fitting
        if fitting:
            continue
        place = next((n for n in range(at, len(changes)) if _fits(changes[n], request)), None)
        if place is None and any(item["hook"] in AGAIN and _fits(item, request) for item in changes[:at]):
            continue
        if place is None:
            problems.append(f"not declared (or not there): {_said(request)}")
            continue
        problems += _left_out(changes[at:place])
        at = place + 1
    problems += _left_out(changes[at:])
    problems += _left_out(item for number, item in enumerate(reads) if number not in read)
    if at == 0 and changes:
        problems.append("none of the declared changes was asked for")
    return problems


def _left_out(items: Iterable[Declared]) -> list[str]:
    return [f"declared, and not sent: {item['request']} ({item['body']})" for item in items if not item["when"]]


def _said(request: Request) -> str:
    if _is_query(request):
        return _operation(request.body)
    return f"{request.method} {request.path} {dict(request.query)} {request.body[:300]!r}"


def _fits(item: Declared, request: Request) -> bool:
    if _is_query(request):
        return _alike(f"{item['request']} ({item['body']})", _operation(request.body))
    method, _, place = item["request"].partition(" ")
    if method != request.method:
        return False
    if place.startswith("{"):
        # The whole address is in an earlier answer: that of an operation under way.
        return "/operations/" in request.path
    path, _, query = place.partition("?")
    wanted = dict(parse_qsl(query, keep_blank_values=True))
    return (
        # Azure's paths compare without case.
        _alike(path.lower(), request.path.lower())
        and wanted.keys() == request.query.keys()
        and all(_alike(value, request.query[name]) for name, value in wanted.items())
        and _same_body(item, request.body)
    )


def _same_body(item: Declared, body: bytes) -> bool:
    """Whether the body is the declared one; words for it, where it is long, are not compared."""
    if not item["body"]:
        return not body or not item["changes"]
    try:
        wanted = json.loads(item["body"])
    except ValueError:
        return bool(body)
    return _same(wanted, json.loads(body or b"null"))


def _same(wanted: object, found: object) -> bool:
    if isinstance(wanted, dict) and isinstance(found, dict):
        return wanted.keys() == found.keys() and all(_same(wanted[name], found[name]) for name in wanted)
    if isinstance(wanted, str):
        return _alike(wanted, found if isinstance(found, str) else json.dumps(found))
    return wanted == found


def _alike(wanted: str, found: str) -> bool:
    parts = [re.escape(part) for part in UNKNOWN.split(wanted)]
    return re.fullmatch("[^/&,]+".join(parts), found) is not None


def _is_query(request: Request) -> bool:
    return request.path == "/" and b"Action=" in request.body


@functools.cache
def _model(version: str) -> Any:
    session = botocore.session.Session()
    return session.get_service_model("sts" if version == "2011-06-15" else "ec2")


def _operation(body: bytes) -> str:
    """Return a request of AWS's query protocols in words, with the parameters' names as in its API reference."""
    pairs = parse_qsl(body.decode())
    given = dict(pairs)
    model = _model(given["Version"])
    members = model.operation_model(given["Action"]).input_shape.members
    names = {
        shape.serialization.get("queryName") or _capital(shape.serialization.get("name", name)): name
        for name, shape in members.items()
    }
    found: dict[str, Any] = {}
    for key, value in pairs:
        head, *rest = key.split(".")
        if head in ("Action", "Version"):
            continue
        name = names[head]
        if not rest:
            found[name] = value
        elif name == "Filters":
            item = found.setdefault(name, {}).setdefault(rest[0], {"Name": "", "Value": []})
            item["Name" if rest[1] == "Name" else "Value"] = value if rest[1] == "Name" else [*item["Value"], value]
        else:
            found.setdefault(name, []).append(value)
    parameters = ", ".join(f"{name}={_text(value)}" for name, value in found.items())
    return f"{model.service_name}:{given['Action']} ({parameters})"


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "[" + ", ".join(f"{item['Name']}={','.join(item['Value'])}" for item in value.values()) + "]"
    return f"[{', '.join(value)}]" if isinstance(value, list) else str(value)
