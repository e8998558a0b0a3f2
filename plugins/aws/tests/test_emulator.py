"""The emulator itself: every answer fits botocore's own model of EC2, and moto's gaps are closed."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree as ET

import boto3
import botocore.exceptions
import botocore.model
import pytest

from cloudha.testing.emulator.client import Client, eventually
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha_plugin_aws.emulator import ACCESS_KEY, SECRET_KEY, AwsEmulator, make

SCALARS: dict[str, Callable[[str], object]] = {
    "boolean": {"true": True, "false": False}.__getitem__,
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "string": str,
    "timestamp": str,
    "blob": str,
}


def check(shape: botocore.model.Shape, element: ET.Element, path: str) -> None:
    """Fail when an element is not in the model, or not of its type."""
    if isinstance(shape, botocore.model.StructureShape):
        known = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        for child in element:
            name = child.tag.rpartition("}")[2]
            if name != "requestId":
                assert name in known, f"{path}.{name} is not in the model"
                check(known[name], child, f"{path}.{name}")
    elif isinstance(shape, botocore.model.ListShape):
        for child in element:
            assert child.tag.rpartition("}")[2] == shape.member.serialization.get("name", "item"), path
            check(shape.member, child, f"{path}[]")
    else:
        assert len(element) == 0, path
        SCALARS[shape.type_name](element.text or ("0" if shape.type_name in ("integer", "long") else ""))


@pytest.fixture
def ec2(aws: AwsEmulator) -> Iterator[Any]:
    """Return a plain client of boto3; at the end, every answer that it got is held against the model."""
    client = boto3.client(
        "ec2",
        endpoint_url=aws.url,
        region_name="eu-west-1",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    answers: list[tuple[str, int, bytes]] = []

    def keep(response_dict: dict[str, Any], event_name: str, **_: object) -> None:
        answers.append((event_name.rpartition(".")[2], response_dict["status_code"], response_dict["body"]))

    client.meta.events.register("response-received.ec2", keep)
    yield client
    assert answers
    for operation, status, body in answers:
        root = ET.fromstring(body)  # noqa: S314 - from our own emulator
        if status >= 300:
            tags = [element.tag.rpartition("}")[2] for element in root.iter()]
            assert tags == ["Response", "Errors", "Error", "Code", "Message", "RequestID"]
            continue
        assert root.tag.rpartition("}")[2] == f"{operation}Response"
        assert root.find("{*}requestId") is not None
        shape = client.meta.service_model.operation_model(operation).output_shape
        if shape is None:
            assert {child.tag.rpartition("}")[2] for child in root} <= {"requestId", "return"}
        else:
            check(shape, root, operation)


def refused(code: str, act: Callable[..., Any], **parameters: Any) -> None:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        act(**parameters)
    assert caught.value.response["Error"]["Code"] == code


def test_all_that_the_provider_asks(aws: AwsEmulator, ec2: Any) -> None:
    n1, n2 = (aws.account.interface(name).id for name in ("n1", "n2"))
    instance = aws.account.instance("n2").id
    table = aws.account.route_table().id
    allocation = ec2.describe_addresses()["Addresses"][0]["AllocationId"]
    ec2.assign_private_ip_addresses(NetworkInterfaceId=n1, PrivateIpAddresses=["10.0.1.100"], AllowReassignment=True)
    ec2.assign_private_ip_addresses(NetworkInterfaceId=n2, PrivateIpAddresses=["10.0.1.100"], AllowReassignment=True)
    ec2.assign_ipv6_addresses(NetworkInterfaceId=n2, Ipv6Addresses=["fd77::100"])
    association = ec2.associate_address(
        AllocationId=allocation, NetworkInterfaceId=n2, PrivateIpAddress="10.0.1.100", AllowReassociation=True
    )["AssociationId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="192.168.9.9/32", NetworkInterfaceId=n1)
    ec2.create_route(RouteTableId=table, DestinationIpv6CidrBlock="fd99::9/128", NetworkInterfaceId=n1)
    ec2.replace_route(RouteTableId=table, DestinationCidrBlock="192.168.9.9/32", NetworkInterfaceId=n2)
    ec2.stop_instances(InstanceIds=[instance], Force=True, SkipOsShutdown=True)
    for describe in (
        ec2.describe_instances,
        ec2.describe_network_interfaces,
        ec2.describe_addresses,
        ec2.describe_route_tables,
    ):
        describe()
    (interface,) = ec2.describe_network_interfaces(
        Filters=[{"Name": "addresses.private-ip-address", "Values": ["10.0.1.100"]}]
    )["NetworkInterfaces"]
    assert interface["NetworkInterfaceId"] == n2
    assert interface["PrivateIpAddresses"][1]["Association"]["AllocationId"] == allocation
    assert "Association" not in interface["PrivateIpAddresses"][0]
    (address,) = ec2.describe_addresses(Filters=[{"Name": "public-ip", "Values": ["203.0.113.7"]}])["Addresses"]
    assert (address["InstanceId"], address["PrivateIpAddress"]) == (instance, "10.0.1.100")
    (routes,) = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    assert {r["InstanceId"] for r in routes["Routes"] if r.get("DestinationCidrBlock") == "192.168.9.9/32"} == {
        instance
    }
    eventually(lambda: state(ec2, instance) == "stopped")
    ec2.start_instances(InstanceIds=[instance])
    eventually(lambda: state(ec2, instance) == "running")
    ec2.disassociate_address(AssociationId=association)
    ec2.unassign_ipv6_addresses(NetworkInterfaceId=n2, Ipv6Addresses=["fd77::100"])
    ec2.unassign_private_ip_addresses(NetworkInterfaceId=n2, PrivateIpAddresses=["10.0.1.100"])
    ec2.delete_route(RouteTableId=table, DestinationCidrBlock="192.168.9.9/32")
    ec2.delete_route(RouteTableId=table, DestinationIpv6CidrBlock="fd99::9/128")
    ec2.terminate_instances(InstanceIds=[instance])
    eventually(lambda: state(ec2, instance) == "terminated")
    assert not ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["NetworkInterfaces"]


def state(ec2: Any, instance: str) -> str:
    found = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    return str(found["State"]["Name"])


def test_what_aws_refuses(aws: AwsEmulator, ec2: Any, world: MemoryWorld) -> None:
    n1, n2 = (aws.account.interface(name).id for name in ("n1", "n2"))
    instance, table = aws.account.instance("n2").id, aws.account.route_table().id
    assign, route = ec2.assign_private_ip_addresses, {"RouteTableId": table, "DestinationCidrBlock": "192.168.9.9/32"}
    assign(NetworkInterfaceId=n2, PrivateIpAddresses=["10.0.1.100"])
    refused("InvalidParameterValue", assign, NetworkInterfaceId=n1, PrivateIpAddresses=["10.0.1.100"])
    refused("InvalidParameterValue", assign, NetworkInterfaceId=n1, PrivateIpAddresses=["10.0.2.100"])
    for ip in ("10.0.1.12", "10.0.1.11"):
        taken = {"PrivateIpAddresses": [ip], "AllowReassignment": True}
        refused("InvalidParameterValue", assign, NetworkInterfaceId=n1 if ip.endswith("2") else n2, **taken)
    refused("InvalidNetworkInterfaceID.NotFound", assign, NetworkInterfaceId="eni-0", PrivateIpAddresses=["10.0.1.9"])
    aws.account.behaviour.addresses = 2
    refused("PrivateIpAddressLimitExceeded", assign, NetworkInterfaceId=n2, PrivateIpAddresses=["10.0.1.101"])
    refused("InvalidRoute.NotFound", ec2.delete_route, **route)
    refused("InvalidParameterValue", ec2.replace_route, **route, NetworkInterfaceId=n1)
    ec2.create_route(**route, NetworkInterfaceId=n1)
    refused("RouteAlreadyExists", ec2.create_route, **route, NetworkInterfaceId=n1)
    refused("InvalidInstanceID.NotFound", ec2.describe_instances, InstanceIds=["i-0"])
    refused("InvalidRouteTableID.NotFound", ec2.describe_route_tables, RouteTableIds=["rtb-0"])
    refused("InvalidAllocationID.NotFound", ec2.describe_addresses, AllocationIds=["eipalloc-0"])
    refused("InvalidAddress.NotFound", ec2.describe_addresses, PublicIps=["203.0.113.99"])
    refused("InvalidParameterValue", ec2.describe_instances, Filters=[{"Name": "nonsense", "Values": ["x"]}])
    refused("InvalidParameterValue", ec2.describe_instances, MaxResults=4)
    both = {"MaxResults": 5, "InstanceIds": [instance]}
    refused("InvalidParameterCombination", ec2.describe_instances, **both)
    world.cut_power("n2")
    refused("IncorrectInstanceState", ec2.reboot_instances, InstanceIds=[instance])
    refused("DryRunOperation", ec2.stop_instances, InstanceIds=[instance], DryRun=True)
    assert state(ec2, instance) == "stopped"
    aws.account.behaviour.denied = ("ec2:StopInstances",)
    refused("UnauthorizedOperation", ec2.stop_instances, InstanceIds=[instance], DryRun=True)


@pytest.mark.parametrize(
    ("name", "value", "names"),
    [
        ("tag:Name", "n*", "n1 n2 n3"),
        ("tag:Name", r"n\*", ""),
        ("tag:Name", "n?", "n1 n2 n3"),
        ("instance-state-name", "running", "n1 n2 n3"),
        ("private-ip-address", "10.0.1.1?", "n1 n2"),
        ("network-interface.addresses.private-ip-address", "10.0.1.100", "n2"),
        ("network-interface.ipv6-addresses.ipv6-address", "fd77::100", "n2"),
        ("network-interface.addresses.association.public-ip", "203.0.113.7", "n2"),
        ("tag-key", "Name", "n1 n2 n3"),
    ],
)
def test_filters(aws: AwsEmulator, ec2: Any, name: str, value: str, names: str) -> None:
    interface = aws.account.interface("n2")
    with aws.account.lock:
        aws.service.ec2.addresses.assign(interface, ["10.0.1.100"], move=False)
        aws.service.ec2.addresses.assign_ipv6(interface, ["fd77::100"])
        aws.service.ec2.addresses.associate(aws.account.backend.addresses[0], interface, "10.0.1.100", move=False)
    found = ec2.describe_instances(Filters=[{"Name": name, "Values": [value]}])["Reservations"]
    assert [tag["Value"] for r in found for i in r["Instances"] for tag in i["Tags"]] == names.split()


def test_a_large_account_is_listed_whole() -> None:
    emulator = make(MemoryWorld([f"n{n}=10.0.1.{n + 10}" for n in range(1, 103)]), "127.0.0.1", 0).start()
    try:
        assert len(emulator.service.ec2.reads.truth("DescribeInstances")["Reservations"]) == 102
    finally:
        emulator.close()


def test_stale_reads(aws: AwsEmulator, ec2: Any) -> None:
    instance = aws.account.instance("n2").id
    ec2.stop_instances(InstanceIds=[instance], Force=True, SkipOsShutdown=True)
    eventually(lambda: state(ec2, instance) == "stopped")
    aws.account.behaviour.stale = 3600
    assert state(ec2, instance) == "running"


def test_a_machine_that_switches_itself_off_is_stopped(aws: AwsEmulator, ec2: Any, world: MemoryWorld) -> None:
    instance = aws.account.instance("n2").id
    world.cut_power("n2")
    assert state(ec2, instance) == "stopped"
    world.give_power("n2")
    assert state(ec2, instance) == "running"


def test_the_guests_shutdown_takes_its_time_unless_it_is_skipped(aws: AwsEmulator, ec2: Any) -> None:
    aws.account.behaviour.guest = 3600
    slow, fast = (aws.account.instance(name).id for name in ("n2", "n3"))
    ec2.stop_instances(InstanceIds=[slow], Force=True)
    ec2.stop_instances(InstanceIds=[fast], Force=True, SkipOsShutdown=True)
    eventually(lambda: state(ec2, fast) == "stopped")
    assert state(ec2, slow) == "stopping"


def test_administration(aws: AwsEmulator, ec2: Any) -> None:
    client = Client(aws.url)
    assert client.admin("POST", "behaviour", {"stop": 0, "page": 7})["page"] == 7
    assert client("POST", "/_emulator/behaviour", {"page": "x"}).status == 400
    assert client("POST", "/_emulator/behaviour", {"nonsense": 1}).status == 400
    client.admin("POST", "machines/n2/tag", {"cluster": "a"})
    client.admin("PUT", "addresses/203.0.113.9")
    client.admin("POST", "myself", {"machine": "n3"})
    assert aws.account.identify(ipaddress.ip_address("127.0.0.1")) is aws.account.instance("n3")
    client.admin("POST", "machines/n2/stop")
    eventually(lambda: state(ec2, aws.account.instance("n2").id) == "stopped")
    assert len(client.admin("GET", "truth")["DescribeAddresses"]["Addresses"]) == 2
    assert client("POST", "/_emulator/myself", {"machine": "n9"}).status == 400
    client.admin("POST", "reset")
    assert client.admin("GET", "behaviour")["page"] == 1000


def test_zones_and_subnets(ec2: Any) -> None:
    found = [i for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]]
    assert [i["Placement"]["AvailabilityZone"] for i in found] == ["eu-west-1a", "eu-west-1a", "eu-west-1b"]
    assert found[0]["SubnetId"] == found[1]["SubnetId"] != found[2]["SubnetId"]
