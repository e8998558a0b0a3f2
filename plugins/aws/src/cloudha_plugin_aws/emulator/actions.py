"""EC2's actions: those that matter to cloudha are answered here, all others by moto."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import botocore.session
from botocore.parsers import create_parser
from moto.core.request import Request
from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses import EC2Response

from cloudha_plugin_aws.emulator.account import Account, Moto
from cloudha_plugin_aws.emulator.addresses import Addresses
from cloudha_plugin_aws.emulator.power import Power
from cloudha_plugin_aws.emulator.reads import Document, Reads

__all__ = ["Ec2"]

MODEL = botocore.session.get_session().get_service_model("ec2")
PARSER = create_parser("ec2")
VERSION = "2016-11-15"


class Ec2:
    """EC2 of one account: a form comes in, XML goes out."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.power = Power(account)
        self.addresses = Addresses(account)
        self.reads = Reads(account, self._ask_moto)

    def answer(self, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        """Answer one request; return status and XML."""
        with self.account.lock:
            return self._dispatched(_Actions(self), headers, body)

    def _ask_moto(self, operation: str) -> Document:
        # Without a number of its own, moto answers the first hundred instances and a token.
        more = "&MaxResults=100000" if operation == "DescribeInstances" else ""
        text = f"Action={operation}&Version={VERSION}{more}"
        status, body = self._dispatched(_Plain(self.account), {}, text.encode())
        response = {"status_code": status, "headers": {}, "body": body.encode()}
        shape = MODEL.operation_model(operation).output_shape
        if shape is None:
            raise LookupError(operation)
        parsed: Document = PARSER.parse(response, shape)
        parsed.pop("ResponseMetadata", None)
        return parsed

    def _dispatched(self, actions: EC2Response, headers: dict[str, str], body: bytes) -> tuple[int, str]:
        # moto finds region and account in the URL and a header of its own.
        url = f"https://ec2.{self.account.region}.amazonaws.com/"
        sent = {
            **headers,
            "host": f"ec2.{self.account.region}.amazonaws.com",
            "content-type": "application/x-www-form-urlencoded; charset=utf-8",
            "x-moto-account-id": self.account.id,
        }
        status, _, text = actions._dispatch(  # noqa: SLF001 - the public dispatch makes its own object
            Request.from_primitives("POST", url, sent, body), url, sent
        )
        return status, text.decode() if isinstance(text, bytes) else text


class _Plain(EC2Response):
    """moto as it is, on this account."""

    def __init__(self, account: Account) -> None:
        super().__init__()
        self._account = account

    @property
    def ec2_backend(self) -> Any:  # noqa: ANN401 - moto's classes
        return self._account.backend


class _Actions(_Plain):
    """moto with the gaps closed. Method names are moto's: it looks for them by the action."""

    def __init__(self, ec2: Ec2) -> None:
        super().__init__(ec2.account)
        self._ec2 = ec2
        self._addresses = ec2.addresses

    def call_action(self) -> Any:  # noqa: ANN401 - as moto's
        denied = self._account.behaviour.denied
        action = self._get_action()
        if f"ec2:{action}" in denied:
            return self._refused(_unauthorized(self._account, action))
        return super().call_action()

    def _refused(self, error: EC2ClientError) -> Any:  # noqa: ANN401 - as moto's
        status, headers, body = self.serialized(ActionResult(error))
        return 403 if error.code == "UnauthorizedOperation" else status, headers, body

    # --- reads ------------------------------------------------------------------------------------------------------

    def _read(self) -> ActionResult:
        self.error_on_dryrun()
        self._ec2.power.follow_world()
        return ActionResult(self._ec2.reads.answer(self._get_action(), dict(self.params)))

    def describe_instances(self) -> ActionResult:
        return self._read()

    def describe_network_interfaces(self) -> ActionResult:
        return self._read()

    def describe_addresses(self) -> ActionResult:
        return self._read()

    def describe_route_tables(self) -> ActionResult:
        return self._read()

    # --- power ------------------------------------------------------------------------------------------------------

    def stop_instances(self) -> ActionResult:
        self._dry()
        hard = bool(self._get_param("Force")) and bool(self._get_param("SkipOsShutdown"))
        return ActionResult({"StoppingInstances": self._ec2.power.stop(self._ids(), skip_guest=hard)})

    def start_instances(self) -> ActionResult:
        self._dry()
        return ActionResult({"StartingInstances": self._ec2.power.start(self._ids())})

    def reboot_instances(self) -> ActionResult:
        self._dry()
        self._ec2.power.reboot(self._ids())
        return EmptyResult()

    def terminate_instances(self) -> ActionResult:
        self._dry()
        return ActionResult({"TerminatingInstances": self._ec2.power.terminate(self._ids())})

    def _ids(self) -> list[str]:
        return list(self._get_param("InstanceIds", []))

    def _dry(self) -> None:
        """Check the ids as AWS does, then end a dry run."""
        self._account.backend.get_multi_instances_by_id(self._ids())
        self.error_on_dryrun()

    # --- private and IPv6 addresses -----------------------------------------------------------------------------------

    def assign_private_ip_addresses(self) -> ActionResult:
        interface = self._interface()
        texts = list(self._get_param("PrivateIpAddresses", []))
        self._addresses.assign(interface, texts, move=bool(self._get_param("AllowReassignment")))
        assigned = [{"PrivateIpAddress": text} for text in texts]
        return ActionResult({"NetworkInterfaceId": interface.id, "AssignedPrivateIpAddresses": assigned})

    def unassign_private_ip_addresses(self) -> ActionResult:
        self._addresses.unassign(self._interface(), list(self._get_param("PrivateIpAddresses", [])))
        return EmptyResult()

    def assign_ipv6_addresses(self) -> ActionResult:
        interface, texts = self._interface(), list(self._get_param("Ipv6Addresses", []))
        self._addresses.assign_ipv6(interface, texts)
        return ActionResult({"NetworkInterfaceId": interface.id, "AssignedIpv6Addresses": texts})

    def unassign_ipv6_addresses(self) -> ActionResult:
        interface, texts = self._interface(), list(self._get_param("Ipv6Addresses", []))
        self._addresses.unassign_ipv6(interface, texts)
        return ActionResult({"NetworkInterfaceId": interface.id, "UnassignedIpv6Addresses": texts})

    def modify_network_interface_attribute(self) -> ActionResult:
        result = super().modify_network_interface_attribute()
        self._account.changed()
        return result

    def _interface(self) -> Moto:
        return self._account.backend.get_network_interface(self._get_param("NetworkInterfaceId"))

    # --- Elastic IPs ------------------------------------------------------------------------------------------------

    def associate_address(self) -> ActionResult:
        (address,) = self._account.backend.address_by_allocation([self._get_param("AllocationId")])
        instance_id = self._get_param("InstanceId")
        interface = self._account.instance(instance_id).nics[0] if instance_id else self._interface()
        self.error_on_dryrun()
        private, move = self._get_param("PrivateIpAddress", ""), self._get_param("AllowReassociation")
        association = self._addresses.associate(address, interface, private, move=bool(move))
        return ActionResult({"AssociationId": association})

    def disassociate_address(self) -> ActionResult:
        (address,) = self._account.backend.address_by_association([self._get_param("AssociationId")])
        self.error_on_dryrun()
        self._addresses.disassociate(address)
        return EmptyResult()

    # --- routes -----------------------------------------------------------------------------------------------------

    def create_route(self) -> ActionResult:
        return self._routed(super().create_route, exists=False)

    def replace_route(self) -> ActionResult:
        return self._routed(super().replace_route, exists=True)

    def delete_route(self) -> ActionResult:
        return self._routed(super().delete_route, exists=True)

    def _routed(self, act: Callable[[], ActionResult], *, exists: bool) -> ActionResult:
        action = self._get_action()
        table = self._account.backend.get_route_table(self._get_param("RouteTableId"))
        cidr = self._get_param("DestinationCidrBlock") or self._get_param("DestinationIpv6CidrBlock")
        known = {r.destination_cidr_block or r.destination_ipv6_cidr_block for r in table.routes}
        self.error_on_dryrun()
        if exists and cidr not in known:
            if action == "DeleteRoute":
                raise EC2ClientError(
                    "InvalidRoute.NotFound", f"no route with destination-cidr-block {cidr} in {table.id}"
                )
            message = f"There is no route defined for '{cidr}' in the route table. Use CreateRoute instead."
            raise EC2ClientError("InvalidParameterValue", message)
        if not exists and cidr in known:
            raise EC2ClientError("RouteAlreadyExists", f"The route identified by {cidr} already exists.")
        interface_id, instance_id = self._get_param("NetworkInterfaceId"), self._get_param("InstanceId")
        target = self._account.backend.get_network_interface(interface_id) if interface_id else None
        if instance_id:
            target = self._account.instance(instance_id).nics[0]
        result = act()
        self._addresses.route_changed(cidr, target)
        self._account.changed()
        return result


def _unauthorized(account: Account, action: str) -> EC2ClientError:
    who = f"arn:aws:sts::{account.id}:assumed-role/cluster/i-0"
    return EC2ClientError(
        "UnauthorizedOperation",
        f"You are not authorized to perform this operation. User: {who} is not authorized to perform: ec2:{action} "
        f"because no identity-based policy allows the ec2:{action} action. Encoded authorization failure message: "
        + "0"
        * 400,
    )
