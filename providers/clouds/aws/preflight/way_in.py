"""Whether this computer gets into machines at AWS."""

from __future__ import annotations

import ipaddress
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from providers.clouds.aws.config import AwsSettings
from providers.clouds.aws.session import PROGRAMS
from providers.preflight import Check, Grade

OWN_ADDRESS = "https://checkip.amazonaws.com"
"""AWS' own answer to the question from where it sees us."""
ADDRESS_TIMEOUT_S = 5.0


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


def by_ssm(runner: Runner) -> Check:
    """Whether the programs are here that a session needs."""
    missing = {name: what for name, what in PROGRAMS.items() if not runner.has(name)}
    if missing:
        detail = f"access is ssm, and {' and '.join(missing)} is missing here"
        return Check("aws way in", Grade.FAIL, detail, f"install {' and '.join(missing.values())}")
    return Check("aws way in", Grade.OK, f"ssm: {' and '.join(PROGRAMS)} are there")


def by_ssh(settings: AwsSettings, runner: Runner) -> Check:
    """Whether machines will let in the address that this computer comes from."""
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
