"""The documents of the emulated tenancy: their shapes, their OCIDs, their etags, and how they were a while ago.

Every shape is that of the SDK's model of the same name (``oci.core.models``); the tests read each answer with it.
"""

from __future__ import annotations

import copy
import datetime as dt
import secrets
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from cloudha_plugin_oci.emulator.behaviour import OciError, unknown

__all__ = ["REGION", "REGION_KEY", "TENANCY", "Document", "Records", "assigned", "matching", "new_ocid", "rule"]

Document = dict[str, Any]

REGION = "eu-frankfurt-1"
REGION_KEY = "fra"
TENANCY = "ocid1.tenancy.oc1..aaaaaaaaemulated"
# What was true this long ago can still be asked for.
MOST_SECONDS = 120.0
COMMON: Document = {"definedTags": {}, "freeformTags": {}}
# Kinds whose models have no tags.
UNTAGGED = ("vnicattachment",)


def new_ocid(kind: str) -> str:
    """Return an OCID that nothing has had: ``ocid1.<kind>.oc1.<region>.<unique>``."""
    return f"ocid1.{kind}.oc1.{REGION_KEY}.{secrets.token_hex(20)}"


def now() -> str:
    """Return the present time as OCI writes it."""
    return dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class Records:
    """Documents by OCID, each with an etag. Not locked: the account is."""

    def __init__(self) -> None:
        self._documents: dict[str, Document] = {}
        self._etags: dict[str, str] = {}
        self._past: deque[tuple[float, dict[str, Document]]] = deque()

    def add(self, kind: str, compartment: str, name: str, **fields: object) -> Document:
        """Make a document of that kind of OCID."""
        document: Document = {
            **({} if kind in UNTAGGED else copy.deepcopy(COMMON)),
            "id": new_ocid(kind),
            "compartmentId": compartment,
            "displayName": name,
            "timeCreated": now(),
            **fields,
        }
        self._remember()
        self._documents[document["id"]] = document
        self._etags[document["id"]] = secrets.token_hex(8)
        return document

    def change(self, ocid: str, **fields: object) -> Document:
        """Change fields; the document gets another etag."""
        self._remember()
        document = self._documents[ocid] = {**self._documents[ocid], **fields}
        self._etags[ocid] = secrets.token_hex(8)
        return document

    def remove(self, ocid: str) -> None:
        """Forget a document."""
        self._remember()
        del self._documents[ocid]

    def get(self, kind: str, ocid: str, stale: float = 0.0) -> Document:
        """Return a document.

        :raises OciError: 404, there is none of that kind.
        """
        found = self._seen(stale).get(ocid)
        if found is None or not ocid.startswith(f"ocid1.{kind}."):
            raise unknown(ocid)
        return found

    def all(self, kind: str, stale: float = 0.0) -> Iterator[Document]:
        """Yield the documents of a kind."""
        return (item for ocid, item in list(self._seen(stale).items()) if ocid.startswith(f"ocid1.{kind}."))

    def etag(self, ocid: str) -> str:
        """Return the document's etag."""
        return self._etags[ocid]

    def match(self, ocid: str, wanted: str) -> None:
        """Compare with the header ``if-match``, "" when there was none.

        :raises OciError: 412, it was changed meanwhile.
        """
        if wanted and wanted != self._etags[ocid]:
            raise OciError(412, "NoEtagMatch", "The etag in the if-match header does not match the current etag.")

    def present(self, **fields: object) -> dict[str, object]:
        """Return the fields that have a value: OCI leaves out those that have none."""
        return {name: value for name, value in fields.items() if value is not None}

    def _remember(self) -> None:
        """Keep how it was until now. Documents are replaced, never changed, so the copy is shallow."""
        moment = time.monotonic()
        self._past.append((moment, dict(self._documents)))
        while self._past and self._past[0][0] < moment - MOST_SECONDS:
            self._past.popleft()

    def _seen(self, stale: float) -> dict[str, Document]:
        until = time.monotonic() - stale
        # The first state that was left after that moment is the one that held then.
        return (
            next((known for left, known in self._past if left > until), self._documents) if stale else self._documents
        )


def matching(documents: Iterable[Document], **fields: object) -> list[Document]:
    """Return the documents whose fields have those values; a value of None or "" matches everything."""
    wanted = {name: value for name, value in fields.items() if value not in (None, "")}
    return [item for item in documents if all(item.get(name) == value for name, value in wanted.items())]


def rule(destination: str, entity: str, description: str = "") -> Document:
    """Return a route rule as the API answers it."""
    return {
        "destination": destination,
        "destinationType": "CIDR_BLOCK",
        "networkEntityId": entity,
        "routeType": "STATIC",
        **({"description": description} if description else {}),
    }


def assigned(private_ip: str, state: str) -> Document:
    """Return the fields of a public IP that say who has it."""
    kind = "PRIVATE_IP" if private_ip else None
    # "This is null if the public IP is ... in the process of being assigned" (the model's docstring).
    held = private_ip if private_ip and state == "ASSIGNED" else None
    return {
        "lifecycleState": state,
        "assignedEntityId": private_ip or None,
        "assignedEntityType": kind,
        "privateIpId": held,
    }
