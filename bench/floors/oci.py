"""The floor for OCI: just the requests of a monitor or a status, by hand, with the standard library and nothing else.

Arguments: ``monitor ADDRESS``, ``public ADDRESS`` or ``status MACHINE``; where to, in FLOOR_ENDPOINT and
FLOOR_METADATA_ENDPOINT; the session (token and key) in the file FLOOR_SESSION_FILE, as an agent has it that was here
before. The standard library has no RSA: what is written here by hand, nobody should use for anything but a floor.
"""

from __future__ import annotations

import base64
import email.utils
import hashlib
import http.client
import json
import os
import sys
from urllib.parse import urlencode, urlsplit

# For mypy, which knows the name: importing typing is more than a floor needs.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

case, target = sys.argv[1:]
api, metadata = f"{os.environ['FLOOR_ENDPOINT']}/20160918", f"{os.environ['FLOOR_METADATA_ENDPOINT']}/opc/v2"
DIGEST_OF_SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")


def ask(method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> Any:  # noqa: ANN401 - a document
    """Send a request and return the answer's document."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=5)
    connection.request(method, url.partition(parts.netloc)[2], body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if answer.status != 200:
        sys.exit(1)
    return json.loads(content)


with open(os.environ["FLOOR_SESSION_FILE"]) as file:
    session = json.load(file)["document"]
key = {name: int(text, 16) for name, text in session["key"].items()}


def signed(text: str) -> str:
    """Return the signature of a text (RSASSA-PKCS1-v1_5 with SHA-256)."""
    size = (key["n"].bit_length() + 7) // 8
    digest = DIGEST_OF_SHA256 + hashlib.sha256(text.encode()).digest()
    padded = int.from_bytes(b"\0\1" + b"\xff" * (size - len(digest) - 3) + b"\0" + digest, "big")
    first, second = pow(padded, key["dp"], key["p"]), pow(padded, key["dq"], key["q"])
    whole = second + (first - second) * key["qi"] % key["p"] * key["q"]
    return base64.b64encode(whole.to_bytes(size, "big")).decode()


def of_api(path: str, body: bytes | None = None) -> Any:  # noqa: ANN401 - a document
    """Send a signed request and return the answer's document."""
    parts = urlsplit(api + path)
    method = "GET" if body is None else "POST"
    way = f"{parts.path}?{parts.query}" if parts.query else parts.path
    sent = {"date": email.utils.formatdate(usegmt=True), "(request-target)": f"{method.lower()} {way}"}
    sent["host"] = parts.netloc
    if body is not None:
        sent |= {"content-length": str(len(body)), "content-type": "application/json"}
        sent["x-content-sha256"] = base64.b64encode(hashlib.sha256(body).digest()).decode()
    signature = signed("\n".join(f"{name}: {value}" for name, value in sent.items()))
    fields = f'version="1",algorithm="rsa-sha256",headers="{" ".join(sent)}",signature="{signature}"'
    sent["authorization"] = f'Signature {fields},keyId="ST${session["token"]}"'
    del sent["(request-target)"]
    return ask(method, api + path, sent, body)


oracle = {"Authorization": "Bearer Oracle"}
me = ask("GET", f"{metadata}/instance/", oracle)
compartment = urlencode({"compartmentId": me["compartmentId"]})
if case == "status":
    print([item["lifecycleState"] for item in of_api(f"/instances?{compartment}&displayName={target}&limit=1000")])
    # A name may be the hostname label of another machine, too: an agent that fences must know.
    attached = of_api(f"/vnicAttachments?{compartment}&limit=1000")
    for subnet in {item["subnetId"] for item in attached}:
        labels = [item for item in of_api(f"/privateIps?subnetId={subnet}&limit=1000") if item["isPrimary"]]
        for vnic in [item["vnicId"] for item in labels if item["hostnameLabel"] == target]:
            machine = next(item["instanceId"] for item in attached if item["vnicId"] == vnic)
            print(of_api(f"/instances/{machine}")["lifecycleState"])
    sys.exit(0)
vnics = [item["vnicId"] for item in ask("GET", f"{metadata}/vnics/", oracle)]
if case == "public":
    public = of_api("/publicIps/actions/getByIpAddress", json.dumps({"ipAddress": target}).encode())
    sys.exit(0 if of_api(f"/privateIps/{public['assignedEntityId']}")["vnicId"] in vnics else 1)
held = [item["ipAddress"] for item in of_api(f"/privateIps?vnicId={vnics[0]}&limit=1000")]
sys.exit(0 if target in held else 1)
