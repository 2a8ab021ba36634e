"""Rows of other people's machines in the same account, of shapes that no description has: what an auditor put there.

Each is a row of the vendor's with something in it that our machines never show.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Shapes = Mapping[str, Any]

_A10 = {
    "name": "gpu_1x_a10", "description": "", "gpu_description": "", "price_cents_per_hour": 75, "specs": {"gpus": 1},
}  # fmt: skip
_MARK = {"crossover:project": "p", "crossover:stack": "s", "crossover:generation": "²"}
_LAMBDA: dict[str, Any] = {
    "id": "f" * 32,
    "name": "somebody's",
    "status": "active",
    "ip": "198.51.100.1",
    "ssh_key_names": ["theirs"],
    "region": {"name": "us-east-1", "description": "Virginia, USA"},
    "instance_type": _A10,
}
LAMBDA: Shapes = {
    "region a text": {**_LAMBDA, "region": "us-east-1"},
    "no instance type": {**_LAMBDA, "instance_type": None},
    "price a text": {**_LAMBDA, "instance_type": {**_A10, "price_cents_per_hour": "0.75 USD"}},
    "status a number": {**_LAMBDA, "status": 7},
    "keys null": {**_LAMBDA, "ssh_key_names": None},
    "tags a text": {**_LAMBDA, "tags": "team=red"},
    "tags without values": {**_LAMBDA, "tags": [{"key": "crossover:project"}]},
    "generation no number": {**_LAMBDA, "tags": [{"key": key, "value": value} for key, value in _MARK.items()]},
    "id a number": {**_LAMBDA, "id": 5},
    "no id": {k: v for k, v in _LAMBDA.items() if k != "id"},
    "null": None,
    "a text": "instance",
}  # fmt: skip

_THEIRS = "crossover:p:x:inference:a:1"
_RUNPOD: dict[str, Any] = {
    "id": "theirs", "name": "somebody's", "status": "RUNNING", "env": {}, "cost": 1.79, "dataCenterId": "US-KS-2",
    "gpu": {"id": "NVIDIA L4", "count": 1}, "runtime": {"ports": []}, "createdAt": "2026-11-22T00:00:00Z",
}  # fmt: skip
RUNPOD: Shapes = {
    "env a list": {**_RUNPOD, "env": ["KEY=value"]},
    "env a text": {**_RUNPOD, "env": "KEY=value"},
    "mark cut": {**_RUNPOD, "env": {"CROSSOVER_OWNER": "crossover:p:s:inference:a:²"}},
    "launch no object": {**_RUNPOD, "env": {"CROSSOVER_OWNER": _THEIRS, "CROSSOVER_LAUNCH": "[]"}},
    "cost a text": {**_RUNPOD, "cost": "1.79 USD"},
    "cost an object": {**_RUNPOD, "cost": {"usd": 1}},
    "ports null": {**_RUNPOD, "runtime": {"ports": [None]}},
    "ports of texts": {**_RUNPOD, "runtime": {"ports": [{"type": "tcp", "private": "a", "public": [], "ip": 7}]}},
    "runtime a text": {**_RUNPOD, "runtime": "yes"},
    "gpu a list": {**_RUNPOD, "gpu": []},
    "status a list": {**_RUNPOD, "status": ["RUNNING"]},
    "id null": {**_RUNPOD, "id": None},
    "no id": {k: v for k, v in _RUNPOD.items() if k != "id"},
    "null": None,
    "a text": "pod",
}  # fmt: skip

_VASTAI: dict[str, Any] = {
    "id": 7, "label": None, "actual_status": "running", "intended_status": "running", "cur_state": "running",
    "next_state": "running", "machine_id": 1, "host_id": 2, "dph_total": 0.4, "start_date": 1_760_000_000.0,
    "public_ipaddr": "198.51.100.2", "ports": {}, "status_msg": None,
}  # fmt: skip
_LABEL = f"{_THEIRS} n US 8x-a100-sxm4-80gb ssh=22"
VASTAI: Shapes = {
    "price n/a": {**_VASTAI, "dph_total": "n/a"},
    "price null": {**_VASTAI, "dph_total": None, "label": _LABEL},
    "start a text": {**_VASTAI, "start_date": "yesterday"},
    "start beyond time": {**_VASTAI, "start_date": 1e30},
    "ports of another shape": {**_VASTAI, "label": _LABEL, "ports": {"22/tcp": {"HostPort": "41022"}}},
    "ports of texts": {**_VASTAI, "label": _LABEL, "ports": {"22/tcp": [{"HostPort": "²"}]}},
    "status a list": {**_VASTAI, "actual_status": ["running"]},
    "address a number": {**_VASTAI, "public_ipaddr": 5},
    "label a list": {**_VASTAI, "label": ["mine"]},
    "label cut": {**_VASTAI, "label": "crossover:p:s:inference:a:²"},
    "machine a path": {**_VASTAI, "label": _LABEL, "machine_id": "a/b", "host_id": None},
    "id a text": {**_VASTAI, "id": "seven"},
    "no id": {k: v for k, v in _VASTAI.items() if k != "id"},
    "null": None,
    "a text": "instance",
}  # fmt: skip

SHAPES: Mapping[str, Shapes] = {"lambda": LAMBDA, "runpod": RUNPOD, "vastai": VASTAI}
"""Cloud → shape → row."""
