"""A pull request on paper: a repository with a stack's configuration, and the review of it without an engine."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.scenario.proposal import parse_scenario
from cost_guard.scenario.waivers import NO_WAIVERS, Waivers
from scripts.crossover.review.flip import Flip, flips_of
from scripts.crossover.review.preview.events import Run
from scripts.crossover.review.review import Review
from scripts.crossover.stack.approval import Approved, approved_at
from scripts.crossover.stack.config import Tree, config_path
from scripts.crossover.stack.verdict import Side, Yardstick, evaluate_side
from tests.support.catalogue import api, served
from tests.support.gate import measured

TODAY = date(2026, 4, 20)
"""25 days after the quotation of 2026-03-26: every price is fresh."""
QUOTED = "quoted/lambda-8x-a100-80gb"
"""$7,920 a month, 4,759 tokens/s."""
MODEL = "meta-llama/Llama-3.3-70B-Instruct"
CATALOGUE = replace(
    load_catalogue(),
    throughputs={row.key: row for row in (served("4759", "meta-llama/Llama-3.1-70B-Instruct"),)},
    managed={
        **{k: r.model_copy(update={"weights": None}) for k, r in load_catalogue().managed.items()},
        "api": api("api", "5"),
    },
)
"""The committed prices, one throughput, and nobody who serves the same weights."""
FORM_1 = {"nodes": 2, "usdPerNodeMonth": 1, "tokensPerSecond": 1}
NOTHING_RAN_AMISS = Run()
CERTAIN = {"draws": 100, "volume": 0, "outlook": 0, "throughput": 0, "apiPrice": 0, "overhead": 0}


def config(nodes: int = 2, volume: Any = 6.0e9, **sections: Any) -> dict[str, Any]:
    """A stack's configuration file; `sections` add keys of `crossover:`, or replace them."""
    ladders = {
        key: {"candidates": [{"cloud": "local", "region": f"bay-{key}", "sku": "sim-8x-a100", "standsFor": QUOTED}]}
        for key in "abcdefgh"[:nodes]
    }
    own: dict[str, Any] = {
        "workload": {"tokensPerMonth": volume, "kind": "measured", "peakToMean": 1.3},
        "managed": {"usdPerMillionTokens": 5.0},
        "fleet": {"nodes": ladders},
        "uncertainty": CERTAIN,
        "serving": {"engine": "simulator", "model": "meta-llama/Llama-3.3-70B-Instruct", "servedName": "llama-70b"},
        "gatewayNode": {"cloud": "local", "region": "bay-9", "sku": "small"},
        **sections,
    }
    return {"config": {f"crossover:{key}": value for key, value in own.items() if value is not None}}


class Project:
    """A git repository that holds nothing but configurations."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> None:
        identity = ("-c", "user.name=a. person", "-c", "user.email=a@example.com")
        subprocess.run(["git", *identity, *arguments], cwd=self.folder, check=True, capture_output=True)

    def write(self, document: Any, stack: str = "prod") -> None:
        """The configuration; a text as it is."""
        path = self.folder / config_path(stack)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(document, str):
            document = self._known(document)
        path.write_text(document if isinstance(document, str) else yaml.safe_dump(document, sort_keys=False))

    def _known(self, document: Any) -> Any:
        """The same, where a managed price has an invoice, and a volume that is called measured its usage file."""
        own = dict(document.get("config") or {})
        managed, work = own.get("crossover:managed"), own.get("crossover:workload")
        if isinstance(managed, dict) and "usdPerMillionTokens" in managed:
            own["crossover:managed"] = {"model": "api", "source": "invoice", "date": "2026-04-01", **managed}
        if isinstance(work, dict) and work.get("kind") == "measured":
            said = ("tokensPerMonth", "kind", "inputShare", "cachedShare", "peakToMean")
            data = {"workload": {"model": "x", **work}, "managed": {"usdPerMillionTokens": 5}, "fleet": FORM_1}
            usage = measured(parse_scenario(data), TODAY - timedelta(days=1)).to_inputs()
            name = f"usage-{work['tokensPerMonth']}.yaml"
            (self.folder / name).write_text(yaml.safe_dump(usage))
            kept = {key: value for key, value in work.items() if key not in said}
            own["crossover:workload"] = {**kept, "usage": name}
        return {**document, "config": own} if "config" in document else document

    def commit(self, document: Any = None, stack: str = "prod") -> None:
        """Commits everything, after writing a configuration."""
        if document is not None:
            self.write(document, stack)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "a change")

    def side(
        self, ref: str = "", whole: bool = True, waivers: Waivers = NO_WAIVERS, before: Approved | None = None
    ) -> Side:
        """The configuration at a ref, judged."""
        tree = Tree(self.folder, ref)
        return evaluate_side(self.yardstick(waivers), tree, config_path("prod"), whole=whole, before=before)

    def approved(self, ref: str) -> Approved:
        """The baseline at a ref."""
        return approved_at(Tree(self.folder, ref), config_path("prod"))

    def yardstick(self, waivers: Waivers = NO_WAIVERS) -> Yardstick:
        return Yardstick(CATALOGUE, TODAY, "prod", waivers)


def turned(yardstick: Yardstick, head: Side) -> tuple[Flip, ...]:
    """What would turn the verdict. The gate is asked some two hundred times for it: once for each case of these tests,
    most of which look at something else."""
    case = repr((head.proposals, yardstick.waivers))
    if case not in TURNED:
        TURNED[case] = flips_of(head.proposals, head.verdict, yardstick.judge)
    return TURNED[case]


TURNED: dict[str, tuple[Flip, ...]] = {}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder)


@pytest.fixture
def reviewed(project: Project) -> Callable[..., Review]:
    """The review of a configuration, compared with another one; reviewed(new, old, run=Run(…))."""

    def make(
        new: Any, old: Any = None, *, run: Run | None = NOTHING_RAN_AMISS, waivers: Waivers = NO_WAIVERS, **more: Any
    ) -> Review:
        if old is not None:
            project.commit(old)
        project.write(new)
        before = project.approved("HEAD") if old is not None else None
        head = project.side(waivers=waivers, before=before)
        return Review(
            stack="prod",
            path=config_path("prod"),
            today=TODAY,
            head=head,
            base=project.side("HEAD", whole=False) if old is not None else None,
            approved=before,
            run=run if head.verdict else None,
            flips=turned(project.yardstick(waivers), head),
            waivers=waivers,
            **more,
        )

    return make
