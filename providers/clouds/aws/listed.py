"""What a stack at AWS makes besides GPU machines and AWS bills by its list: root disks, and the gateway's own machine.

`resources/` makes just these; what else it makes (a VPC, routes, groups, roles) costs nothing by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from providers.base import Candidate
from providers.clouds.aws.config import Disks
from strict.problems import parse

DISK = "gp3"


def listed(section: Mapping[str, Any], nodes: Sequence[Candidate], gateway: Candidate | None) -> list[dict[str, Any]]:
    """Of the section `clouds.aws`, each as plain values: `row` of the gate's list of prices, `what`, `region`, `count`
    and `gb`. Raises Problems where the disks' sizes cannot be read."""
    keys = [field.alias or name for name, field in Disks.model_fields.items()]
    disks = parse(Disks, {key: section[key] for key in keys if key in section})
    found = [_disk(region, disks.root_gb, count) for region, count in Counter(one.region for one in nodes).items()]
    if gateway is not None:
        machine = {"row": f"aws/{gateway.sku}", "what": f"instance {gateway.sku}", "region": gateway.region}
        found += [machine, _disk(gateway.region, disks.gateway_root_gb, 1)]
    return found


def _disk(region: str, gb: int, count: int) -> dict[str, Any]:
    disk = {"row": f"aws/ebs/{DISK}", "what": f"disk of {gb} GB {DISK}", "region": region, "gb": gb}
    return {**disk, "count": count}
