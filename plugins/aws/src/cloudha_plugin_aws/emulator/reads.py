"""What the Describe calls answer: moto's documents, mended, kept for stale reads, filtered and paged.

Taken from moto: all documents. Mended here: an instance's public address is of the private address that it is mapped
to; an Elastic IP and a route name the instance, as AWS does; a route to nobody's interface is a blackhole.
"""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from moto.ec2.exceptions import EC2ClientError

from cloudha_plugin_aws.emulator.account import Account
from cloudha_plugin_aws.emulator.addresses import Addresses
from cloudha_plugin_aws.emulator.filters import fits

__all__ = ["READS", "Document", "Reads"]

Document = dict[str, Any]

#: operation: the list in its answer, the key of an item's id, the parameter that names items, the code if unknown
READS: Mapping[str, tuple[str, str, str, str]] = {
    "DescribeInstances": ("Reservations", "InstanceId", "InstanceIds", "InvalidInstanceID.NotFound"),
    "DescribeNetworkInterfaces": (
        "NetworkInterfaces",
        "NetworkInterfaceId",
        "NetworkInterfaceIds",
        "InvalidNetworkInterfaceID.NotFound",
    ),
    "DescribeAddresses": ("Addresses", "AllocationId", "AllocationIds", "InvalidAllocationID.NotFound"),
    "DescribeRouteTables": ("RouteTables", "RouteTableId", "RouteTableIds", "InvalidRouteTableID.NotFound"),
}
# Changes, not seconds: a lab makes a few in a minute.
MOST_SNAPSHOTS = 1000
LEAST_RESULTS = 5


class Reads:
    """Answers the Describe calls of one account.

    :param ask_moto: returns moto's own answer to a Describe call without parameters.
    """

    def __init__(self, account: Account, ask_moto: Callable[[str], Document]) -> None:
        self._account = account
        self._ask_moto = ask_moto
        self._history: deque[tuple[float, dict[str, Document]]] = deque(maxlen=MOST_SNAPSHOTS)
        self._changed_at: float | None = None
        account.watchers.append(self.note_change)
        self.note_change()
        self._remember()

    def note_change(self) -> None:
        """Note that what is remembered is no longer true."""
        self._changed_at = time.monotonic()

    def _remember(self) -> None:
        """Keep what is true now. Only when somebody looks: moto takes its time, and a change has to be quick."""
        if self._changed_at is not None:
            documents = {operation: self._ask_moto(operation) for operation in READS}
            self._mend(documents)
            self._history.append((self._changed_at, documents))
            self._changed_at = None

    def truth(self, operation: str) -> Document:
        """Return the whole answer that is true now, whatever the API tells."""
        with self._account.lock:
            self._remember()
            return copy.deepcopy(self._history[-1][1][operation])

    def answer(self, operation: str, parameters: Mapping[str, Any]) -> Document:
        """Return the answer to a Describe call.

        :raises EC2ClientError: a filter or an id is unknown, or parameters do not go together.
        """
        key, id_key, ids_key, unknown = READS[operation]
        self._check(parameters, ids_key)
        document = copy.deepcopy(self._seen()[operation])
        named = list(parameters.get(ids_key) or ())
        present = {item[id_key] for item in _items(document, key)}
        if missing := [name for name in named if name not in present]:
            raise EC2ClientError(unknown, f"The ID '{', '.join(missing)}' does not exist")
        if operation == "DescribeAddresses":
            _check_public(document, parameters.get("PublicIps") or ())
        filters = list(parameters.get("Filters") or ())

        def keep(item: Document) -> bool:
            return (not named or item[id_key] in named) and fits(operation, item, filters)

        return self._page(operation, _kept(document, key, keep), parameters)

    def _check(self, parameters: Mapping[str, Any], ids_key: str) -> None:
        most = parameters.get("MaxResults")
        if most is not None and parameters.get(ids_key):
            code = "InvalidParameterCombination"
            raise EC2ClientError(code, f"The parameter {ids_key} cannot be used with the parameter maxResults")
        if most is not None and int(most) < LEAST_RESULTS:
            raise EC2ClientError("InvalidParameterValue", f"Value ( {most} ) for parameter maxResults is invalid.")

    def _page(self, operation: str, document: Document, parameters: Mapping[str, Any]) -> Document:
        key = READS[operation][0]
        if operation == "DescribeAddresses":
            return document
        start = int(parameters.get("NextToken") or 0)
        size = min(int(parameters.get("MaxResults") or 1000), self._account.behaviour.page)
        items = document[key]
        document[key] = items[start : start + size]
        document.pop("NextToken", None)
        if start + size < len(items):
            document["NextToken"] = str(start + size)
        return document

    def _seen(self) -> dict[str, Document]:
        """Return what was true some seconds ago, or what is oldest of what is remembered."""
        self._remember()
        until = time.monotonic() - self._account.behaviour.stale
        fitting = [documents for when, documents in self._history if when <= until]
        return fitting[-1] if fitting else self._history[0][1]

    # --- what moto leaves out ---------------------------------------------------------------------------------------

    def _mend(self, documents: Mapping[str, Document]) -> None:
        owners = {i.id: i.instance.id for i in self._account.interfaces() if i.instance}
        self._mend_addresses(documents["DescribeAddresses"], owners)
        mapped = {
            (item["NetworkInterfaceId"], item["PrivateIpAddress"]): {
                "PublicIp": item["PublicIp"],
                "IpOwnerId": self._account.id,
                "AllocationId": item["AllocationId"],
                "AssociationId": item["AssociationId"],
            }
            for item in documents["DescribeAddresses"]["Addresses"]
            if "AssociationId" in item
        }
        for interface in documents["DescribeNetworkInterfaces"]["NetworkInterfaces"]:
            _mend_interface(interface, mapped)
        for instance in _items(documents["DescribeInstances"], "Reservations"):
            _mend_instance(instance, mapped)
        for table in documents["DescribeRouteTables"]["RouteTables"]:
            for route in table["Routes"]:
                if "NetworkInterfaceId" in route:
                    owner = owners.get(route["NetworkInterfaceId"])
                    route["State"] = "active" if owner else "blackhole"
                    if owner:
                        route.update(InstanceId=owner, InstanceOwnerId=self._account.id)

    def _mend_addresses(self, document: Document, owners: Mapping[str, str]) -> None:
        known = {address.allocation_id: address for address in self._account.backend.addresses}
        for item in document["Addresses"]:
            address = known[item["AllocationId"]]
            for name in ("InstanceId", "NetworkInterfaceId", "PrivateIpAddress", "AssociationId"):
                item.pop(name, None)
            if address.eni is None:
                item.pop("NetworkInterfaceOwnerId", None)
                continue
            item.update(
                NetworkInterfaceId=address.eni.id,
                PrivateIpAddress=Addresses.private_of(address),
                AssociationId=address.association_id,
            )
            if address.eni.id in owners:
                item["InstanceId"] = owners[address.eni.id]


def _mend_interface(interface: Document, mapped: Mapping[tuple[str, str], Document]) -> None:
    interface.pop("Association", None)
    for item in interface["PrivateIpAddresses"]:
        item.pop("Association", None)
        found = mapped.get((interface["NetworkInterfaceId"], item["PrivateIpAddress"]))
        if found:
            item["Association"] = dict(found)
            if item["Primary"]:
                interface["Association"] = dict(found)


def _mend_instance(instance: Document, mapped: Mapping[tuple[str, str], Document]) -> None:
    # In this answer an association has no ids.
    short = {key: {k: v for k, v in item.items() if not k.endswith("tionId")} for key, item in mapped.items()}
    instance.pop("PublicIpAddress", None)
    instance["PublicDnsName"] = ""
    if instance["State"]["Name"] == "terminated":
        # AWS shows the instance for another hour, without its interfaces.
        instance.update(NetworkInterfaces=[], PrivateDnsName="")
        instance.pop("PrivateIpAddress", None)
    for interface in instance.get("NetworkInterfaces", []):
        _mend_interface(interface, short)
        if interface["Attachment"]["DeviceIndex"] == 0 and "Association" in interface:
            instance["PublicIpAddress"] = interface["Association"]["PublicIp"]


def _check_public(document: Document, wanted: Sequence[str]) -> None:
    present = {item["PublicIp"] for item in document["Addresses"]}
    if missing := [text for text in wanted if text not in present]:
        raise EC2ClientError("InvalidAddress.NotFound", f"Address '{', '.join(missing)}' not found.")
    if wanted:
        document["Addresses"] = [item for item in document["Addresses"] if item["PublicIp"] in wanted]


def _items(document: Document, key: str) -> Iterator[Document]:
    for item in document[key]:
        if key == "Reservations":
            yield from item["Instances"]
        else:
            yield item


def _kept(document: Document, key: str, keep: Callable[[Document], bool]) -> Document:
    if key != "Reservations":
        return {**document, key: [item for item in document[key] if keep(item)]}
    for reservation in document[key]:
        reservation["Instances"] = [item for item in reservation["Instances"] if keep(item)]
    return {**document, key: [reservation for reservation in document[key] if reservation["Instances"]]}
