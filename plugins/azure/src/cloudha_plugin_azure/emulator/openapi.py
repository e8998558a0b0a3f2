"""Hold requests and answers to Microsoft's OpenAPI documents (Swagger 2.0), where somebody has them at hand.

The check is strict: a field that the documents do not know is a finding. What they do not cover (other services, other
files) is not judged, and :meth:`Specification.find` says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cloudha.testing.emulator import Reply, Request

__all__ = ["Specification"]

Schema = Mapping[str, Any]
# ".../network-arm-networkinterface-2025-03-01.swagger.json" is what others refer to as "./networkInterface.json".
FILE = re.compile(r"-(?P<name>[a-z]+)-\d{4}-\d\d-\d\d\.swagger\.json\Z")
TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}
# Query parameters that later versions of the same operation have; the files at hand may be older.
LATER = frozenset({"$expand", "$skiptoken"})


class Place(NamedTuple):
    """A schema or operation, and the document that its references start from."""

    document: str
    item: Any


class Specification:
    """All documents of a directory."""

    def __init__(self, directory: Path) -> None:
        self._documents: dict[str, dict[str, Any]] = {}
        self._paths: list[tuple[re.Pattern[str], str, dict[str, Any]]] = []
        for path in sorted(directory.glob("*.json")):
            found = FILE.search(path.name)
            # Two services have a "common": references stay within a service.
            name = f"{path.name.partition('-')[0]}/{found['name'] if found else path.stem}".lower()
            document = self._documents[name] = json.loads(path.read_text())
            base = document.get("basePath", "").rstrip("/")
            for template, operations in document.get("paths", {}).items():
                text = re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(base + template))
                self._paths.append((re.compile(text, re.IGNORECASE), name, operations))

    def find(self, request: Request) -> Place | None:
        """Return the operation that a request is for, None where the documents have none."""
        for pattern, name, operations in self._paths:
            if pattern.fullmatch(request.path) and request.method.lower() in operations:
                return Place(name, operations[request.method.lower()])
        return None

    def problems(self, request: Request, reply: Reply) -> list[str]:
        """Return what does not fit, in the request and in the answer; nothing for what is not covered."""
        place = self.find(request)
        if place is None:
            return []
        parameters = [self._resolved(Place(place.document, item)) for item in place.item.get("parameters", [])]
        names = {p.item["name"].lower() for p in parameters if p.item["in"] == "query"} | LATER | {"api-version"}
        found = [f"unknown query parameter {name}" for name in request.query if name.lower() not in names]
        for parameter in parameters:
            if parameter.item["in"] == "body" and request.body:
                schema = Place(parameter.document, parameter.item["schema"])
                found += self._check(schema, json.loads(request.body), "request")
        responses = place.item["responses"]
        response = responses.get(str(reply.status)) or responses.get("default")
        if str(reply.status) not in responses and reply.status < 300:
            return [*found, f"status {reply.status} is not documented"]
        if "schema" not in response:
            return found + (["a body where none is documented"] if reply.body.strip() else [])
        document = json.loads(reply.body) if reply.body.strip() else None
        return [*found, *self._check(Place(place.document, response["schema"]), document, "answer")]

    def _resolved(self, place: Place) -> Place:
        """Follow references; an item of None where the document is not at hand."""
        while isinstance(place.item, dict) and "$ref" in place.item:
            file, _, pointer = place.item["$ref"].partition("#/")
            name = place.document
            if file:
                name = f"{place.document.partition('/')[0]}/{Path(file).stem}".lower()
            if name not in self._documents:
                return Place(name, None)
            item: Any = self._documents[name]
            for part in pointer.split("/"):
                item = item[part]
            place = Place(name, item)
        return place

    def _check(self, place: Place, value: Any, where: str) -> Iterator[str]:  # noqa: ANN401 - any JSON
        place = self._resolved(place)
        if place.item is None:
            return
        kind = place.item.get("type", "object" if "properties" in place.item or "allOf" in place.item else "")
        wanted = TYPES.get(kind)
        if wanted and (not isinstance(value, wanted) or (isinstance(value, bool) and kind != "boolean")):
            yield f"{where} is {type(value).__name__}, not {kind}"
            return
        known = place.item.get("enum")
        if known and value not in known and not place.item.get("x-ms-enum", {}).get("modelAsString"):
            yield f"{where} is {value!r}, none of {', '.join(map(str, known))}"
        if isinstance(value, list):
            for number, item in enumerate(value):
                yield from self._check(Place(place.document, place.item.get("items", {})), item, f"{where}[{number}]")
        elif isinstance(value, dict) and kind == "object":
            yield from self._check_object(place, value, where)

    def _check_object(self, place: Place, value: dict[str, Any], where: str) -> Iterator[str]:
        properties, required, more = self._members(place)
        for name in required - set(value):
            yield f"{where} lacks {name}"
        if not properties and more is None:
            return
        for name, item in value.items():
            if name in properties:
                yield from self._check(properties[name], item, f"{where}.{name}")
            elif more is not None:
                yield from self._check(more, item, f"{where}.{name}")
            else:
                yield f"{where} has the unknown field {name}"

    def _members(self, place: Place) -> tuple[dict[str, Place], set[str], Place | None]:
        place = self._resolved(place)
        if place.item is None:
            return {}, set(), Place("", {})
        properties: dict[str, Place] = {}
        required: set[str] = set(place.item.get("required", ()))
        more = place.item.get("additionalProperties")
        others = Place(place.document, more if isinstance(more, dict) else {}) if more else None
        for base in place.item.get("allOf", ()):
            inherited, needed, extra = self._members(Place(place.document, base))
            properties.update(inherited)
            required |= needed
            others = others or extra
        properties.update(
            {name: Place(place.document, item) for name, item in place.item.get("properties", {}).items()}
        )
        return properties, required, others
