"""The floor for IBM Cloud: just the requests of a monitor or a status, by hand, with the standard library alone.

Arguments: ``monitor ADDRESS``, ``public ADDRESS`` or ``status MACHINE``; where to, in FLOOR_ENDPOINT and
FLOOR_METADATA_ENDPOINT; the IAM token in the file FLOOR_TOKEN_FILE, as an agent has it that was here before.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
from urllib.parse import urlsplit

# For mypy, which knows the name: importing typing is more than a floor needs.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

case, target = sys.argv[1:]
api, metadata = os.environ["FLOOR_ENDPOINT"], os.environ["FLOOR_METADATA_ENDPOINT"]


def ask(method: str, url: str, headers: dict[str, str], body: str | None = None) -> Any:  # noqa: ANN401 - a document
    """Send a request and return the answer's document."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=5)
    connection.request(method, f"{parts.path}?{parts.query}", body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if answer.status != 200:
        sys.exit(1)
    return json.loads(content)


with open(os.environ["FLOOR_TOKEN_FILE"]) as file:
    bearer = {"Authorization": f"Bearer {json.load(file)['document']['token']}"}
place, version = f"{api}/v1", "version=2025-05-06&generation=2"
if case == "status":
    print([item["status"] for item in ask("GET", f"{place}/instances?{version}&name={target}", bearer)["instances"]])
    sys.exit(0)
flavor = {"Metadata-Flavor": "ibm"}
own = f"{metadata}/instance_identity/v1/token?version=2022-03-01"
identity = ask("PUT", own, flavor, json.dumps({"expires_in": 300}))["access_token"]
mine = {**flavor, "Authorization": f"Bearer {identity}"}
me = ask("GET", f"{metadata}/metadata/v1/instance?version=2025-05-06", mine)
if case == "public":
    addresses = ask("GET", f"{place}/floating_ips?{version}&limit=100", bearer)["floating_ips"]
    interface = next(item["target"]["id"] for item in addresses if item["address"] == target)
else:
    interface = me["network_attachments"][0]["virtual_network_interface"]["id"]
found = ask("GET", f"{place}/virtual_network_interfaces/{interface}?{version}", bearer)
held = case == "public" or target in [item["address"] for item in found["ips"]]
sys.exit(0 if held and f"/instances/{me['id']}/" in found["target"]["href"] else 1)
