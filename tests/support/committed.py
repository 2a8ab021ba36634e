"""What an example configuration meets that is run as committed: bare machines with GPUs, NVIDIA's archive, the hub.

Exchanged are vLLM's wheel and what stands for GPUs and their driver (tests/support/fake_vllm.py, nvidia.py), and the
addresses of vendors, of NVIDIA's archive and of the hub, with the model's revision there. The engine knows no answer:
its trial expects none, and is without a load (tests/integration/images/test_trial.py has one). All else is the
project's.
"""

from __future__ import annotations

import hashlib
import json
import random
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from images.gpu.matrix import load
from tests.clouds.server import Boot, Booted
from tests.support import fake_vllm, nvidia, sandbox_bare, sandbox_systemd
from tests.support.checkout import Checkout
from tests.support.fake_vllm import FakeVllm
from tests.support.hub import COMMIT, LocalHub, Repository, local_hub
from tests.support.nvidia import Archive
from tests.support.sandbox import Sandboxes, sandboxes
from tests.support.sandbox_bare import GATEWAY, PYTHON, VENV, Bare, downloaded

DRIVER = "580.105.08"
"""The newest one of NVIDIA's archive."""
MODEL, TOKEN = "meta-llama/Llama-3.3-70B-Instruct", "hf_abcdefghijklmnopqrst"
MODEL_FILES = {"config.json": b"{}", "model-00001-of-00001.safetensors": random.Random(7).randbytes(500_000)}
WHERE = "/srv/packages"
"""The archives, on a machine."""

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"unit": {"enum": ["kelvin", "celsius"]}, "days": {"type": "integer"}},
            "required": ["unit", "days"],
        },
    },
}


@dataclass
class Committed:
    """The `Host` of emulated vendors, whose machines have nothing but sshd, and what they reach."""

    sandboxed: Sandboxes
    bare: Bare
    fake: FakeVllm
    hub: LocalHub
    keyring: Path

    def boot(self, order: Boot, *, gpus: bool = True, systemd: bool = True) -> Booted:
        """A VM has an empty system, a container its image's vLLM and its host's driver."""
        container = bool(order.command)
        files = fake_vllm.files() if container else nvidia.machine_files() if gpus else {}
        return self.sandboxed.boot(order, systemd=systemd and not container, bare=self.bare, files=files)

    def end(self, machine_id: str) -> None:
        """As the vendor does."""
        self.sandboxed.end(machine_id)

    def exchange(self, clone: Checkout) -> None:
        """Puts the stand-ins into a clone, and into its configuration."""
        (clone.folder / "requirements" / "vllm.txt").write_text(self.fake.lock)
        matrix, path = load(), clone.folder / "images" / "gpu" / "versions.toml"
        text = path.read_text()
        [debian] = [row for row in matrix["systems"] if row["id"] == "debian"]
        for old, new in (
            (matrix["keyring"]["host"], f"file://{WHERE}"),
            (matrix["keyring"]["path"], f"/keyrings/{self.keyring.name}"),
            (debian["keyring_sha256"], hashlib.sha256(self.keyring.read_bytes()).hexdigest()),
        ):
            assert text.count(f'"{old}"') == 1
            text = text.replace(f'"{old}"', f'"{new}"')
        path.write_text(text)
        weights = {"source": "hf", "tokenSecret": "hf", "endpoint": self.hub.endpoint}
        trial = {"expect": "", "loadS": 0}
        clone.configure({"serving.revision": COMMIT, "serving.weights": weights, "serving.acceptance": trial})

    def tell_secret(self, clone: Checkout) -> None:
        """The hub's token, as a user does it."""
        clone.pulumi("config", "set", "--secret", "--path", "crossover:apiKeys.hf", TOKEN, "-s", clone.stack)


@contextmanager
def committed(folder: Path) -> Iterator[Committed]:
    """Skips the test where it cannot be had. `folder` is for its files."""
    if reason := sandbox_bare.missing() or sandbox_systemd.missing():
        pytest.skip(reason)
    (folder / "wheel").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        fake = fake_vllm.prepare(folder / "wheel", patch, "requirements/litellm.txt", python=PYTHON)
    base = Archive(folder / "repository", origin="Debian")
    base.add([nvidia.headers(folder), *downloaded(*GATEWAY, *VENV)])
    Archive(base.folder / "cuda").add(nvidia.driver(folder, DRIVER))
    package = nvidia.keyring(folder, f"file:{WHERE}/cuda")
    (base.folder / "keyrings").mkdir()
    (base.folder / "keyrings" / package.name).write_bytes(package.read_bytes())
    with local_hub() as hub, sandboxes(fake.cache) as sandboxed:
        hub.repositories[MODEL] = Repository(dict(MODEL_FILES), gated=True)
        hub.tokens = {TOKEN: True}
        sandboxed.image, sandboxed.lent = fake.image, (hub.port,)
        yield Committed(sandboxed, Bare(base), fake, hub, package)


def calls_a_tool(clone: Checkout) -> None:
    """Asserts what comes of a request that must call a tool, by the line of `crossover endpoint` with another body."""
    shown = clone.told(".venv/bin/crossover", "endpoint", "--stack", clone.stack, "--json")
    messages = [{"role": "user", "content": "How is the weather?"}]
    body = {"model": "llama-70b", "messages": messages, "tools": [TOOL], "tool_choice": "required", "max_tokens": 64}
    line = f"{shown['curl'][0].rpartition(' -d ')[0]} -d {shlex.quote(json.dumps(body))}"
    answer = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert '"choices"' in answer.stdout, answer
    answered = json.loads(answer.stdout)
    assert answered["model"] == "llama-70b"
    [choice] = answered["choices"]
    [call] = choice["message"]["tool_calls"]
    assert (choice["finish_reason"], call["function"]["name"]) == ("tool_calls", "weather")
    assert json.loads(call["function"]["arguments"]) == {"unit": "kelvin", "days": 0}
