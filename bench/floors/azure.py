"""The floor for Azure: just the requests of a monitor or a status, by hand, with the standard library and nothing else.

Arguments: ``monitor ADDRESS``, ``public ADDRESS`` or ``status MACHINE``; where to, in FLOOR_ENDPOINT,
FLOOR_METADATA_ENDPOINT and FLOOR_CA_FILE. It looks at the answers just as far as it must to know.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import sys
from urllib.parse import urlsplit

# For mypy, which knows the name: importing typing is more than a floor needs.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

case, target = sys.argv[1:]
api, metadata = os.environ["FLOOR_ENDPOINT"], os.environ["FLOOR_METADATA_ENDPOINT"]


def get(url: str, headers: dict[str, str]) -> Any:  # noqa: ANN401 - a document
    """Send a GET and return the answer's document."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        trusted = ssl.create_default_context(cafile=os.environ.get("FLOOR_CA_FILE"))
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(parts.netloc, timeout=5, context=trusted)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    connection.request("GET", f"{parts.path}?{parts.query}", headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        sys.exit(1)
    return json.loads(body)


def configurations(nic: Any) -> list[Any]:  # noqa: ANN401 - a part of a document
    """Return an interface's ipConfigurations."""
    found: list[Any] = nic["properties"]["ipConfigurations"]
    return found


me = get(f"{metadata}/metadata/instance?api-version=2021-02-01", {"Metadata": "true"})["compute"]
query = "api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F"
token = get(f"{metadata}/metadata/identity/oauth2/token?{query}", {"Metadata": "true"})["access_token"]
bearer = {"Authorization": f"Bearer {token}"}
place = f"{api}/subscriptions/{me['subscriptionId']}/resourceGroups/{me['resourceGroupName']}/providers"
network = f"{place}/Microsoft.Network"
version = "api-version=2025-03-01"
if case == "status":
    view = "$expand=instanceView&api-version=2024-03-01"
    found = get(f"{place}/Microsoft.Compute/virtualMachines/{target}?{view}", bearer)["properties"]
    print([status["code"] for status in found["instanceView"]["statuses"]])
    sys.exit(0)
if case == "public":
    addresses = get(f"{network}/publicIPAddresses?{version}", bearer)["value"]
    used = next(item["properties"]["ipConfiguration"]["id"] for item in addresses if target in str(item["properties"]))
    name = used.split("/")[8]
    nics = [get(f"{network}/networkInterfaces/{name}?{version}", bearer)]
else:
    nics = get(f"{network}/networkInterfaces?{version}", bearer)["value"]
    nics = [nic for nic in nics if target in [i["properties"]["privateIPAddress"] for i in configurations(nic)]]
mine = [nic for nic in nics if nic["properties"]["virtualMachine"]["id"].lower() == me["resourceId"].lower()]
sys.exit(0 if mine else 1)
