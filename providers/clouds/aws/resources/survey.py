"""What the network and the nodes are made from, and the refusal of what AWS would not give: before anything is created.

All of it is asked at preview too; `providers/clouds/aws/preflight` asks and judges, for `crossover doctor` as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from providers.clouds.aws.client import AwsClient
from providers.clouds.aws.config import AwsConfig, AwsSettings
from providers.clouds.aws.preflight.checks import Found, look, settings_of
from providers.clouds.aws.preflight.tries import Tries
from providers.errors import InvalidRequest
from providers.preflight import Grade, Plan
from strict.names import GATEWAY_ROLE, INFERENCE_ROLE

MOST_ATTEMPTS = 8
"""Of one request of the plugin's. It repeats "insufficient capacity" as if that were the network's fault
(terraform-provider-aws, internal/service/ec2/service_package.go), 25 times unless told: about 50 minutes
(hashicorp/terraform-provider-aws#43193), whatever the time-outs say (#49863). The SDK waits at most 2^n s after attempt
n (aws-sdk-go-v2, aws/retry/jitter_backoff.go): eight attempts end after 254 s at the latest."""


@dataclass(frozen=True, slots=True)
class Survey:
    """All plain values, known at preview."""

    settings: AwsSettings
    provider: aws.Provider
    zones: tuple[str, ...]
    """Zones that need a subnet."""
    subnet_ids: Mapping[str, str]
    """Zone → subnet of the existing VPC; empty where one is made."""
    node_zones: Mapping[str, str]
    """Node key → zone; the gateway's too."""
    images: Mapping[str, str]
    """Role → AMI id, as of now."""


def survey(plan: Plan, tries: Tries, client: AwsClient | None = None) -> Survey:
    """Asks AWS about everything the plan needs. Creates nothing. A node that has no machine is asked for in another
    zone than at the last `up`, as `tries` tells.

    Raises pulumi.RunError with what is wrong, where, and what to do. Call it before any resource is registered.
    """
    try:
        settings = settings_of(plan)
    except InvalidRequest as e:
        raise pulumi.RunError(f"crossover:clouds.aws: {e}") from None
    found = look(client or AwsClient(AwsConfig.from_environment()), plan, settings, tries)
    refuse(found)
    remember(found, tries)
    return Survey(
        settings=settings,
        provider=aws.Provider("aws", region=settings.region, max_retries=MOST_ATTEMPTS),
        zones=subnets_in(found, plan),
        subnet_ids=found.subnets,
        node_zones=found.zones,
        images=found.images,
    )


def refuse(found: Found) -> None:
    """Raises RunError with a line for each check that failed; what is worth a warning is told."""
    for check in found.checks:
        if check.level is Grade.WARN:
            pulumi.log.warn(f"{check.name}: {check.detail}; {check.remedy}")
    # One cause may fail many checks with the same words.
    failed = {f"{c.detail}; {c.remedy}": c.name for c in reversed(found.checks) if c.level is Grade.FAIL}
    if failed:
        lines = [f"{name}: {text}" for text, name in reversed(failed.items())]
        lines[-1] += ". Nothing was created"
        raise pulumi.RunError("\n".join(lines))


def remember(found: Found, tries: Tries) -> None:
    """An `up` remembers where it asks for those that are to be created."""
    for key, before in found.again.items():
        pulumi.log.warn(
            f"node {key} was asked for in {', '.join(sorted(before))} and is not there, as where AWS has no capacity "
            f"left; {found.zones[key]} is asked now. If no zone has any: name a Capacity Block or a reservation "
            "(clouds.aws.capacityBlockId, capacityReservationId), or take another region or cloud"
        )
    there = found.there[INFERENCE_ROLE]
    if not pulumi.runtime.is_dry_run():
        asked = {key: zone for key, zone in found.zones.items() if key not in there and key != GATEWAY_ROLE}
        tries.begin(asked, there)


def subnets_in(found: Found, plan: Plan) -> tuple[str, ...]:
    """The zones of all nodes, now and later, and of the gateway. A subnet is never taken from under a machine, whatever
    AWS offers today or the settings allow."""
    wanted = plan.candidates.items()
    zones = {zone for key, candidate in wanted if key != GATEWAY_ROLE for zone in found.usable[candidate.sku]}
    zones |= {place.zone for key, place in found.there[INFERENCE_ROLE].items() if key in plan.candidates}
    if GATEWAY_ROLE in plan.candidates:
        zones |= {found.zones[GATEWAY_ROLE], *(place.zone for place in found.there[GATEWAY_ROLE].values())}
    return tuple(sorted(zones))
