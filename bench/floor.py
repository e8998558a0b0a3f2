"""The floor: just the requests that an action needs, by hand, with the standard library and nothing else.

Arguments: ``METHOD URL [name:value ...]``, then ``--`` and the next request. ``token:`` as a header's value stands for
the first answer's body, as the metadata services want it.
"""

import http.client
import json
import sys
from urllib.parse import urlsplit

token = ""
for request in " ".join(sys.argv[1:]).split(" -- "):
    method, url, *headers = request.split()
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    named = dict(header.split(":", 1) for header in headers)
    named = {name: token if value == "token" else value for name, value in named.items()}
    connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, headers=named)
    answer = connection.getresponse()
    body = answer.read().decode()
    token = token or body
    if answer.status != 200:
        sys.exit(1)
    if body.startswith(("{", "[")):
        json.loads(body)
    connection.close()
