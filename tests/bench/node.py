"""`make bench`: what the install of a node costs that has everything already, on the example `existing` as committed.

The machines are bare sandboxes of this computer with the real apt, systemd and sshd; vLLM is the simulator and
`nvidia-smi` a stand-in (tests/support/committed.py), so loading a model is in no figure.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from images.bundle import Bundle
from images.vehicles.ssh.install import install
from providers.plugin.machine import host_of
from providers.registry import cloud
from tests.bench.spine import seconds
from tests.support.checkout import Checkout
from tests.support.committed import committed
from tests.support.examples import example

ROUNDS = 5


def main() -> None:
    """Brings the stack up, installs a node again and again, and ends it."""
    with tempfile.TemporaryDirectory() as folder, committed(Path(folder)) as host:
        with example("existing", host, Path(folder)) as world:
            first = seconds(lambda: world.clone.pulumi("up", "-s", "existing", "--yes"))
            again = seconds(lambda: world.clone.pulumi("up", "-s", "existing", "--yes"))
            took = sorted(installed_again(node(world.clone), world.clone.folder) for _ in range(ROUNDS))
    print("\n| What | Measured |\n|---|---|")
    print(f"| first `up` of two nodes and a gateway, from nothing but sshd | {first:.1f} s |")
    print(f"| `up` again, nothing changed | {again:.1f} s ({again / first:.2f}×) |")
    print(f"| a whole install where nothing changes, {ROUNDS} times | {took[0]:.2f} to {took[-1]:.2f} s |")


def node(clone: Checkout) -> dict[str, Any]:
    """The inputs of the first node's install."""
    exported = clone.told("scripts/pulumi", "stack", "export", "--show-secrets", "-s", clone.stack)
    resources = exported["deployment"]["resources"]
    found = next(r["inputs"] for r in resources if r["type"] == "gpucloud:index:Install" and "inference" in r["urn"])
    inputs: dict[str, Any] = opened(found)
    return inputs


def opened(value: Any) -> Any:
    """An export's values, its secrets in the clear."""
    if isinstance(value, dict):
        if "plaintext" in value:
            return json.loads(value["plaintext"])
        return {key: opened(item) for key, item in value.items()}
    return [opened(item) for item in value] if isinstance(value, list) else value


def installed_again(inputs: dict[str, Any], repository: Path) -> float:
    """Seconds. `repository` is the clone that the bundle was rendered from."""
    host = host_of(inputs["machine"], cloud, inputs["serverName"])

    def run() -> None:
        report = install(
            host, Bundle.from_dict(inputs["bundle"]), inputs["secrets"], inputs["sshPrivateKey"],
            say=lambda line: None, cancelled=lambda: False, deadline_s=600, repository=repository,
        )  # fmt: skip
        assert (report.transferred_bytes, report.restarted) == (0, ())

    return seconds(run)


if __name__ == "__main__":
    main()
