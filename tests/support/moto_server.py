"""moto's server, corrected where it is not as AWS and where the tests need it. Run by the environment of
requirements/testbed.txt, not imported: its one argument is a URL that boots and ends the machines of its instances,
empty for instances without any.
"""

from __future__ import annotations

import json
import sys
from threading import Lock
from typing import Any
from urllib.request import Request, urlopen

from moto.core.responses import ActionResult
from moto.ec2.models.instances import Instance
from moto.ec2.responses.instances import InstanceResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.server import main
from werkzeug.wrappers import Response

ONE_AT_A_TIME = Lock()
ANSWERED: dict[str, Response] = {}
"""By the id that all attempts of one request have."""
dispatch = DomainDispatcherApplication.__call__
HOST = sys.argv[1]
run_instances, terminate = InstanceResponse.run_instances, Instance.terminate
public_dns_name, public_ip_address = Instance.public_dns_name, Instance.public_ip_address


def launch(self: Any) -> Any:
    """moto 5.2.5 drops DisableApiTermination of RunInstances, which AWS heeds."""
    answer = run_instances(self)
    for instance in answer.result.instances:
        instance.disable_api_termination = bool(self._get_param("DisableApiTermination"))
        if HOST:
            instance.address = ask("Boot", instance.id, **boot(instance))["Address"]
    return answer


def boot(instance: Any) -> dict[str, Any]:
    """What a machine is given and what of it is let through, by the rules of its security groups."""
    keys = instance.ec2_backend.describe_key_pairs([instance.key_name]) if instance.key_name else []
    rules = [rule for group in instance.security_groups for rule in group.ingress_rules]
    return {
        "UserData": instance.user_data and instance.user_data.decode(),
        "PublicKeys": [key.public_key for key in keys],
        "Ports": sorted({int(rule.from_port) for rule in rules}),
    }


def end(self: Any) -> Any:
    if HOST:
        ask("End", self.id)
    return terminate(self)


def ask(action: str, instance_id: str, **more: Any) -> Any:
    """As tests/support/moto.py answers it."""
    body = json.dumps({"InstanceId": instance_id, **more}).encode()
    with urlopen(Request(HOST, body, {"X-Amz-Target": f"Machines.{action}"}), timeout=60) as answer:
        return json.load(answer)


def one_at_a_time(self: Any, environ: Any, start_response: Any) -> Any:
    """moto answers in threads and guards nothing. And AWS's SDK repeats a request whose answer it did not get, on a
    computer that is busy: twice the provider was told that what it had just asked for was done already
    (RouteAlreadyExists, InvalidPermission.NotFound). A repeated one gets the answer of the first."""
    asked = environ.get("HTTP_AMZ_SDK_INVOCATION_ID", "")
    with ONE_AT_A_TIME:
        if asked not in ANSWERED:
            ANSWERED[asked] = answered(self, environ)
            if not asked or ANSWERED[asked].status_code >= 500:
                return ANSWERED.pop(asked)(environ, start_response)
        return ANSWERED[asked](environ, start_response)


def answered(self: Any, environ: Any) -> Response:
    """Whole, so that it can be given twice."""
    return Response.from_app(lambda *request: dispatch(self, *request), environ, buffered=True)


RESERVED: dict[str, dict[str, Any]] = {}


def reserve(self: Any) -> Any:
    """moto 5.2.5 knows no capacity reservations."""
    asked = {key: self._get_param(key) for key in ("InstanceType", "AvailabilityZone")}
    made = {"CapacityReservationId": f"cr-{len(RESERVED):017x}", "State": "active", **asked}
    RESERVED[made["CapacityReservationId"]] = made
    return ActionResult({"CapacityReservation": made})


def reservations(self: Any) -> Any:
    asked = self._get_param("CapacityReservationIds", [])
    return ActionResult({"CapacityReservations": [RESERVED[each] for each in asked if each in RESERVED]})


def cancel_reservation(self: Any) -> Any:
    RESERVED[self._get_param("CapacityReservationId")]["State"] = "cancelled"
    return ActionResult({"Return": True})


InstanceResponse.create_capacity_reservation = reserve
InstanceResponse.describe_capacity_reservations = reservations
InstanceResponse.cancel_capacity_reservation = cancel_reservation
DomainDispatcherApplication.__call__ = one_at_a_time
InstanceResponse.run_instances = launch
Instance.terminate = end
Instance.address = ""
Instance.public_dns_name = property(lambda self: self.address or public_dns_name.fget(self))
Instance.public_ip_address = property(lambda self: self.address or public_ip_address.fget(self))
main(["-H", "127.0.0.1", "-p", "0"])
