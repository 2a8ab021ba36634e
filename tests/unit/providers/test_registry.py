"""The registry: what a cloud can do is told without it, and nobody pays for a cloud that he does not use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from providers import registry
from providers.base import Capability
from providers.errors import InvalidRequest

ROOT = Path(__file__).resolve().parents[3]


def imported(code: str) -> str:
    """The clouds, and their clients, that a fresh process has imported after this code."""
    told = (
        "{name.split('.')[2] for name in sys.modules if name.startswith('providers.clouds.')}"
        " | ({'boto3', 'pulumi_aws', 'httpx', 'runpod'} & {*sys.modules})"
    )
    whole = f"import sys; sys.path[:0] = ['policies', '.']; {code}; print(*sorted({told}))"
    done = subprocess.run([sys.executable, "-c", whole], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_to_ask_what_every_cloud_can_do_imports_none() -> None:
    ask = "from providers import registry; [registry.capabilities(name) for name in registry.NAMES]"
    assert imported(ask) == ""


def test_the_settings_of_a_stack_load_no_cloud() -> None:
    load = "import yaml; from stacks.settings import parse; "
    load += "text = open('stacks/config/Pulumi.local.yaml').read().replace('crossover:', ''); "
    load += "parse(yaml.safe_load(text)['config'])"
    assert imported(load) == ""


def test_a_preview_of_local_loads_no_other_cloud() -> None:
    """What the plugin asks of a node's inputs."""
    inputs = {
        "key": "a", "role": "inference", "project": "p", "stack": "s", "generation": 1, "ports": {"ssh": 22},
        "stackId": "1a2b", "candidates": [{"cloud": "local", "region": "bay-1", "sku": "small"}], "sshPublicKey": "k",
        "sshPrivateKey": "k", "maxPerFailureDomain": 1, "deadlineS": 60, "onNoCapacity": "fail", "settings": {},
    }  # fmt: skip
    check = "from providers import registry; from providers.plugin.node import NodeHandler; "
    check += f"assert NodeHandler(registry.cloud).check({{}}, {inputs!r}) == []"
    assert imported(check) == "local"


def test_a_name_that_is_no_clouds_can_nothing_and_has_no_capabilities() -> None:
    assert registry.can("local", Capability.BILLS_NOTHING)
    assert not registry.can("lokal", Capability.BILLS_NOTHING)
    with pytest.raises(InvalidRequest, match=r"unknown cloud 'lokal': choose one of .*local"):
        registry.capabilities("lokal")
