"""The gate in a program that is not ours, at AWS, with a web server beside its GPUs: from pull request to verdict.

HashiCorp's real provider against moto. The Fleet is the one that docs/howto/adopt.md shows.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from images.sources import REPOSITORY
from tests.support.aws import PROVIDER, Region, plugin
from tests.support.checkout import TODAY, ended
from tests.support.moto import running
from tests.support.processes import end_strays

BARE = """
import pulumi
import pulumi_aws as aws

aws.ec2.Instance("web", ami="{image}", instance_type="t3.micro", tags={{"Name": "web"}})
{fleet}
for number in range({count}):
    aws.ec2.Instance(f"gpu-{{number}}", ami="{image}", instance_type="p4de.24xlarge", opts={opts})
"""
SHOWN = re.search(r"```python\n(.*?)```", (REPOSITORY / "docs/howto/adopt.md").read_text(), re.DOTALL)


@dataclass
class Foreign:
    """A repository with a Pulumi project below `infra/`, a backend of its own, and a stack `dev`."""

    root: Path
    image: str
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.root / "infra"

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "CROSSOVER_"))}
        own = {"PULUMI_HOME": str(self.root / ".home"), "PULUMI_CONFIG_PASSPHRASE": "correct horse"}
        backend = {"PULUMI_BACKEND_URL": f"file://{self.root}/.backend", "CROSSOVER_TODAY": TODAY}
        return {**kept, **own, **backend, "PULUMI_SKIP_UPDATE_CHECK": "true", **self.variables}

    def prepare(self) -> None:
        (self.root / ".backend").mkdir()
        self.folder.mkdir()
        runtime = {"name": "python", "options": {"virtualenv": sys.prefix}}
        (self.folder / "Pulumi.yaml").write_text(json.dumps({"name": "shop", "runtime": runtime}))
        self.run("git", "init", "-q", "-b", "main")
        self.run("pulumi", "-C", "infra", "stack", "init", "dev", "--non-interactive")

    def program(self, nodes: int = 0, count: int = 2) -> None:
        """So many instances with GPUs, in a Fleet of so many nodes; 0 for none at all."""
        shown = SHOWN[1] if SHOWN else ""
        fleet = shown.replace('"nodes": 2', f'"nodes": {nodes}') if nodes else ""
        opts = "pulumi.ResourceOptions(parent=fleet)" if nodes else "None"
        source = BARE.format(image=self.image, fleet=textwrap.dedent(fleet), count=count, opts=opts)
        (self.folder / "__main__.py").write_text(source)

    def run(self, *command: str, timeout_s: float = 240) -> tuple[int, str]:
        process = subprocess.Popen(
            command, cwd=self.root, env=self.environment, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        said = ended(process, timeout_s)
        end_strays(self.root / ".backend", PROVIDER)
        return process.returncode, said

    def preview(self, *arguments: str) -> tuple[int, dict[str, Any], str]:
        """The exit code, the document and the comment of `crossover preview --project`."""
        crossover = str(REPOSITORY / ".venv" / "bin" / "crossover")
        command = (crossover, "preview", "--project", "infra", "--stack", "dev", "--out", "out", *arguments)
        code, said = self.run(*command)
        assert (self.root / "out" / "report.json").exists(), said
        document = json.loads((self.root / "out" / "report.json").read_text())
        assert code == document["exitCode"], said
        return code, document, (self.root / "out" / "comment.md").read_text()


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[Foreign]:
    aws = plugin(tmp_path)
    root = tmp_path / "shop"
    root.mkdir()
    with running() as moto:
        path = f"{os.environ['PATH']}:{REPOSITORY / '.state' / 'bin'}"
        made = Foreign(root, Region(moto).images()[0], {**moto.environment, **aws.environment(path)})
        made.prepare()
        yield made


def blocking(document: dict[str, Any]) -> set[str]:
    return {finding["rule"] for finding in document["findings"] if finding["level"] in ("BLOCK", "ERROR")}


def test_from_a_pull_request_with_gpus_to_a_fleet_that_pays(foreign: Foreign) -> None:
    """Two p4de need a Fleet, and nothing else blocks. In one that pays (27.44705 × 730 × 2 + 4,100 = $44,172.69 against
    $60,000 managed) they come up: no API serves its own weights for less. Two more, which the tokens do not need, are
    blocked, beside what is up: $40,072.69 more."""
    foreign.program()
    code, document, comment = foreign.preview()
    assert (code, document["verdict"], blocking(document)) == (2, "BLOCK", {"node-outside-fleet"})
    assert document["notInForce"] == document["failures"] == []

    foreign.program(nodes=2)
    code, document, comment = foreign.preview()
    assert (code, document["verdict"], blocking(document)) == (0, "WARN", set())
    assert document["notInForce"] == document["failures"] == []
    assert document["config"] == "infra/Pulumi.dev.yaml"
    assert document["head"]["verdict"]["selfHostedUsdPerMonth"] == pytest.approx(27.447050 * 730 * 2 + 4100)
    assert "**$44,172.69 a month** for 2 nodes, all of it new" in comment
    code, said = foreign.run("pulumi", "-C", "infra", "up", "--yes", "--skip-preview", "-s", "dev", "--non-interactive",
                             "--policy-pack", str(REPOSITORY / "policies"))  # fmt: skip
    assert code == 0, said

    foreign.program(nodes=4, count=4)
    code, document, comment = foreign.preview()
    assert (code, document["verdict"]) == (2, "BLOCK")
    assert "break-even" in blocking(document)
    assert "$40,072.69 more than before ($44,172.69 for 2 nodes)" in comment
    assert document["base"]["ref"] == "what is up"


def test_a_program_without_a_fleet_and_without_gpus_passes(foreign: Foreign) -> None:
    """There is nothing to judge, and that is said; a stack that is not there is a failure."""
    foreign.program(count=0)
    code, document, comment = foreign.preview()
    assert (code, document["verdict"], document["head"]["verdict"]) == (0, "PASS", None)
    assert comment.startswith("<!-- crossover:stack=dev -->\n## ✅ PASS: `dev` makes no Fleet")
    code, document, comment = foreign.preview("--stack", "prod")
    assert (code, document["verdict"]) == (1, "FAILED")
    assert "no stack named" in comment
