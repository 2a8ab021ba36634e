"""What stands between a stack and its machines at AWS, asked before money is spent."""

from __future__ import annotations

import ipaddress
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from providers.clouds.aws import machines, offering
from providers.clouds.aws.account import Account
from providers.clouds.aws.config import AwsSettings, parse
from providers.clouds.aws.quota import Quota, needed, shortfall
from providers.clouds.aws.session import PROGRAMS
from providers.clouds.aws.tags import FLEET, fleet_mark
from providers.errors import CloudError, InvalidRequest, NotFound
from providers.preflight import Check, Grade, Plan
from strict.names import GATEWAY_ROLE, INFERENCE_ROLE

OWN_ADDRESS = "https://checkip.amazonaws.com"
"""AWS' own answer to the question from where it sees us."""
ADDRESS_TIMEOUT_S = 5.0
COUNTED = ("pending", "running")


@dataclass(frozen=True, slots=True)
class Runner:
    """This computer, as far as machines at AWS see it."""

    address: Callable[[], str]
    """Its public IPv4 address. Raises OSError, ValueError."""
    has: Callable[[str], bool]
    """Whether a program is installed."""


def _own_address() -> str:
    from urllib.request import urlopen  # to start faster: doctor alone asks

    with urlopen(OWN_ADDRESS, timeout=ADDRESS_TIMEOUT_S) as response:
        answer = bytes(response.read(64))
    return str(ipaddress.IPv4Address(answer.decode("ascii").strip()))


THIS = Runner(_own_address, lambda name: shutil.which(name) is not None)


def checks(account: Account, plan: Plan, runner: Runner | None = None) -> list[Check]:
    """Each on its own: one that fails does not hide the rest. Raises nothing of AWS'."""
    try:
        settings = parse(plan.settings, [candidate.region for candidate in plan.candidates.values()])
    except InvalidRequest as e:
        lines = str(e).splitlines()
        return [Check("aws settings", Grade.FAIL, line, "correct it in the stack's configuration") for line in lines]
    found: list[Check] = []
    looks: dict[str, Callable[[], Iterable[Check]]] = {
        "aws account": lambda: _account(account, settings),
        "aws quota": lambda: _quotas(account, settings, plan),
        "aws zones": lambda: _zones(account, settings, plan),
        "aws way in": lambda: _way_in(settings, runner or THIS),
    }
    for name, look in looks.items():
        try:
            found += look()
        except CloudError as e:
            found.append(Check(name, Grade.FAIL, str(e), "then ask again"))
    return found


def _account(account: Account, settings: AwsSettings) -> Iterator[Check]:
    known = account.client.ask("sts", "get_caller_identity", settings.region)
    yield Check("aws account", Grade.OK, f"{known['Account']} as {known['Arn']}")


# --- quotas ----------------------------------------------------------------------------------------------------------


def _quotas(account: Account, settings: AwsSettings, plan: Plan) -> Iterator[Check]:
    """What the stack needs, with what runs there that is not the stack's, against each limit."""
    counted = {
        key: candidate.sku
        for key, candidate in plan.candidates.items()
        if settings.capacity_block_id is None or key == GATEWAY_ROLE
    }
    others = _others(account, settings.region, plan)
    for quota, own in needed(counted, _vcpus(account, settings.region, counted.values())).items():
        limit, more = limit_vcpus(account, quota, settings.region), others[quota]
        detail = f"{limit:g} vCPU; the stack needs {own}" + (f", and {more} run there besides" if more else "")
        missing = shortfall(quota, own + more, limit, settings.region)
        remedy = "" if missing is None else f"raise it, which may take days: aws {missing.rpartition(': aws ')[2]}"
        level = Grade.OK if missing is None else Grade.FAIL
        yield Check(f"aws quota {quota.code}, {quota.name}, {settings.region}", level, detail, remedy)


def limit_vcpus(account: Account, quota: Quota, region: str) -> float:
    """The account's own limit, or AWS' default where it has none. Raises CloudError."""
    try:
        answer = account.client.ask(
            "service-quotas", "get_service_quota", region, ServiceCode="ec2", QuotaCode=quota.code
        )
    except NotFound:
        answer = account.client.ask(
            "service-quotas", "get_aws_default_service_quota", region, ServiceCode="ec2", QuotaCode=quota.code
        )
    return float(answer["Quota"]["Value"])


def _others(account: Account, region: str, plan: Plan) -> Counter[Quota]:
    """vCPU of on-demand machines that count against the same limits and are not the stack's."""
    own = {fleet_mark(plan.project, plan.stack, role) for role in (INFERENCE_ROLE, GATEWAY_ROLE)}
    filters = [{"Name": "instance-state-name", "Values": [*COUNTED]}]
    running = {
        found["InstanceId"]: found["InstanceType"]
        for found in machines.instances(account.client.ask("ec2", "describe_instances", region, Filters=filters))
        # Spot machines and capacity blocks have limits of their own.
        if not found.get("InstanceLifecycle") and machines.tags(found).get(FLEET) not in own
    }
    return Counter(needed(running, _vcpus(account, region, running.values())))


def _vcpus(account: Account, region: str, skus: Iterable[str]) -> dict[str, int]:
    known = offering.types(account.client, region, sorted(set(skus)))
    return {sku: int(kind["VCpuInfo"]["DefaultVCpus"]) for sku, kind in known.items()}


# --- zones -----------------------------------------------------------------------------------------------------------


def _zones(account: Account, settings: AwsSettings, plan: Plan) -> Iterator[Check]:
    """Whether the zones that offer a type, and that the settings allow, have room for its nodes."""
    for key, candidate in plan.candidates.items():
        if candidate.region != settings.region:
            yield Check(
                f"aws region of {key}", Grade.FAIL, f"{candidate.region}, and the stack's is {settings.region}",
                "a stack has one region at AWS: choose one of the two",
            )  # fmt: skip
    nodes = Counter(c.sku for key, c in plan.candidates.items() if key != GATEWAY_ROLE)
    wanted = sorted({c.sku for c in plan.candidates.values()})
    offered = offering.zones(account.client, settings.region, wanted) if wanted else {}
    for sku in offered:
        usable = [zone for zone in offered[sku] if not settings.zones or zone in settings.zones]
        room, name = len(usable) * plan.max_per_failure_domain, f"aws zones of {sku}"
        if not usable:
            detail = f"offered in {', '.join(offered[sku])}; clouds.aws.zones names {', '.join(settings.zones)}"
            yield Check(name, Grade.FAIL, detail, "add one of those that offer it")
        elif room < nodes[sku]:
            detail = f"{', '.join(usable)}: room for {room} of {nodes[sku]} nodes, {plan.max_per_failure_domain} a zone"
            yield Check(name, Grade.FAIL, detail, "raise fleet.maxPerFailureDomain, or take another region for some")
        else:
            yield Check(name, Grade.OK, f"{', '.join(usable)}; whether one is free, only a launch tells")


# --- the runner's way in ---------------------------------------------------------------------------------------------


def _way_in(settings: AwsSettings, runner: Runner) -> Iterable[Check]:
    if settings.access.ssm:
        return [_by_ssm(runner)]
    return [_by_ssh(settings, runner)]


def _by_ssm(runner: Runner) -> Check:
    missing = [name for name in PROGRAMS if not runner.has(name)]
    if missing:
        remedy = f"install {' and '.join(PROGRAMS[name] for name in missing)}"
        return Check("aws way in", Grade.FAIL, f"access is ssm, and {' and '.join(missing)} is missing here", remedy)
    return Check("aws way in", Grade.OK, f"ssm: {' and '.join(PROGRAMS)} are there")


def _by_ssh(settings: AwsSettings, runner: Runner) -> Check:
    cidrs = settings.access.cidrs
    if not settings.public_addresses:
        detail = f"machines have private addresses, and admit {', '.join(cidrs)}: from here it cannot be told"
        return Check("aws way in", Grade.WARN, detail, "run where clouds.aws.vpcId is reached, by an address in those")
    try:
        address = runner.address()
    except (OSError, ValueError) as e:
        detail = f"machines admit {', '.join(cidrs)}; this computer's public address cannot be told: {e}"
        return Check("aws way in", Grade.WARN, detail, f"compare it with what {OWN_ADDRESS} says")
    if any(ipaddress.IPv4Address(address) in ipaddress.IPv4Network(cidr) for cidr in cidrs):
        return Check("aws way in", Grade.OK, f"ssh from {address}, which access.ssh.cidrs admits")
    return Check(
        "aws way in", Grade.FAIL, f"this computer comes from {address}, and access.ssh.cidrs admits {', '.join(cidrs)}",
        f"add {address}/32 to clouds.aws.access.ssh.cidrs, or run `up` from there",
    )  # fmt: skip
