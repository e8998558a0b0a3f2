"""More machines in the emulated AWS account than moto can hold: it takes a quarter of an hour to make ten thousand.

A listing of the whole account is answered with moto's own element for one instance, as often as is wanted, each with an
id, a name and an address of its own. Everything else, and a question about certain instances, goes to moto.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs

import boto3

from cloudha.testing.emulator.application import Reply, Request
from cloudha_plugin_aws.emulator import ACCESS_KEY, SECRET_KEY
from stage import REGION, Stage

__all__ = ["crowd"]

# What EC2 answers at most, and when nothing is asked for.
MOST = 1000
RESERVATIONS = re.compile(rb"(<reservationSet>\s*)(<item>.*?</item>)(\s*</reservationSet>)", re.DOTALL)


def crowd(stage: Stage, machines: int) -> None:
    """Let the account of *stage* have *machines*."""
    service = stage.aws.service
    answer = service.answer
    shown: list[bytes] = []

    def counted(request: Request) -> Reply:
        asked = parse_qs(request.body.decode())
        reply = listing(asked) or answer(request)
        if not shown:
            shown.append(reply.body)
        return reply

    def listing(asked: dict[str, list[str]]) -> Reply | None:
        narrowed = any(key.startswith(("Filter.", "InstanceId.")) for key in asked)
        if asked.get("Action") != ["DescribeInstances"] or narrowed:
            return None
        return _listing(shown[0], stage.n2.id.encode(), machines, asked)

    service.answer = counted  # type: ignore[method-assign]  # this one object is to answer for more
    client = boto3.client(
        "ec2",
        endpoint_url=stage.aws.url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    client.describe_instances(InstanceIds=[stage.n2.id])


def _listing(body: bytes, pattern: bytes, machines: int, asked: dict[str, list[str]]) -> Reply:
    found = RESERVATIONS.search(body)
    if found is None:
        raise ValueError("moto's answer has no reservation")
    begin = int(asked.get("NextToken", ["0"])[0])
    end = min(machines, begin + min(MOST, int(asked.get("MaxResults", [str(MOST)])[0])))
    items = [found[2].replace(pattern, b"i-%017x" % number) for number in range(begin, end)]
    more = b"<nextToken>%d</nextToken>" % end if end < machines else b""
    text = body[: found.start()] + found[1] + b"".join(items) + found[3] + more + body[found.end() :]
    return Reply(200, text, {"Content-Type": "text/xml"})
