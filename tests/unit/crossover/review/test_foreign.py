"""The review of a program that is not ours: the Fleets that its preview tells of, against what is up."""

from __future__ import annotations

import ast
import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cost_guard.codes import Level
from cost_guard.scenario.waiver_file import WAIVERS_VARIABLE
from images.sources import REPOSITORY
from scripts.crossover.__main__ import app
from scripts.crossover.review import foreign
from scripts.crossover.review.foreign import UNKNOWN, reviewed
from scripts.crossover.review.formats.comment import render
from scripts.crossover.review.preview.events import FleetStep, PolicyViolation, Run
from scripts.crossover.review.review import Review
from scripts.crossover.stack.config import SourceError
from tests.unit.crossover.review.conftest import CERTAIN, MODEL

TODAY = date(2026, 11, 23)
NODES = {"nodes": 2, "sku": "aws/p4de.24xlarge"}
URN = "urn:pulumi:dev::shop::crossover:index:Fleet::"
P4DE_USD = 27.447050 * 730
PAGE = (REPOSITORY / "docs" / "howto" / "adopt.md").read_text()


def inputs(nodes: int = 2, volume: Any = 6e9, usd: Any = 10.0, **more: Any) -> dict[str, Any]:
    """Weights of their own, which no API serves, against an invoice at what the catalogue says of that model."""
    return {
        "workload": {"model": MODEL, "tokensPerMonth": volume},
        "managed": {
            "usdPerMillionTokens": usd, "model": "claude-opus-4-8", "source": "invoice", "date": "2026-11-01",
        },
        "fleet": {**NODES, "nodes": nodes},
        "uncertainty": CERTAIN,
        "constraints": {"fineTuned": True},
        **more,
    }  # fmt: skip


def fleet(after: Any, before: Any = None, name: str = "llm") -> FleetStep:
    return FleetStep(f"{URN}{name}", before, after)


def review(*fleets: FleetStep, folder: Path, **more: Any) -> Review:
    return reviewed(Run(fleets=fleets, **more), folder, "dev", TODAY)


def told(found: Review) -> dict[str, Level]:
    """The level of each code that the verdict has a reason of."""
    assert found.verdict is not None
    return {reason.code: reason.level for reason in found.verdict.reasons}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waivers of who runs this; what would turn a verdict, which takes two hundred of them, is asked once."""
    monkeypatch.delenv(WAIVERS_VARIABLE, raising=False)
    monkeypatch.setattr(foreign, "flips", lambda scenario, ask: ())


def test_a_fleets_inputs_are_judged_and_compared_with_what_is_up(tmp_path: Path) -> None:
    """2 × p4de and $4,100; before it was one with another volume."""
    found = review(fleet(inputs(), inputs(volume=5e9)), folder=tmp_path)
    assert found.verdict is not None
    assert float(found.verdict.self_hosted_usd_per_month or 0) == pytest.approx(2 * P4DE_USD + 4100)
    assert {code: str(level) for code, level in told(found).items()} == {
        "same-weights": "WARN", "throughput-known": "WARN", "volume-measured": "WARN",
    }  # fmt: skip
    text = render(found)
    assert "| **Projected volume, tokens per month** | 5B | 6B | +1B (+20 %) |" in text
    assert "compared with `what is up`" in text


def test_what_would_turn_the_verdict_is_asked_under_the_same_waivers(tmp_path: Path, monkeypatch: Any) -> None:
    """Of variations of the Fleet's own scenario."""
    asked: list[Any] = []

    def flips(scenario: Any, ask: Any) -> tuple[()]:
        asked.append((scenario, ask(scenario)))
        return ()

    monkeypatch.setattr(foreign, "flips", flips)
    found = review(fleet(inputs()), folder=tmp_path)
    assert asked == [(found.head.scenario, found.verdict)]


def test_a_price_without_a_source_and_weights_that_an_api_serves_for_less_block(tmp_path: Path) -> None:
    """One code each, and nothing else is worse for it."""
    unsourced = review(fleet(inputs(managed={"usdPerMillionTokens": 10.0})), folder=tmp_path)
    assert [code for code, level in told(unsourced).items() if level is Level.BLOCK] == ["managed-known"]
    public = review(fleet(inputs(constraints={})), folder=tmp_path)
    assert [code for code, level in told(public).items() if level is Level.BLOCK] == ["same-weights"]
    assert (unsourced.outcome, public.outcome) == ("BLOCK", "BLOCK")


def test_the_fleet_that_the_page_shows_is_judged_as_the_page_says(tmp_path: Path) -> None:
    """2 × p4de and $4,100 against 6B tokens at 0.75 × $5 + 0.25 × $25 = $10; what it is told of; and what it is without
    its last line."""
    shown = re.search(r'"llm",\n    (\{.*?\n    \}),\n\)', PAGE, re.DOTALL)
    assert shown is not None
    given = ast.literal_eval(shown[1])
    found = review(fleet(given), folder=tmp_path)
    assert found.outcome == "WARN"
    costs = f"${2 * P4DE_USD + 4100:,.2f} a month"
    assert f"**{costs}** for 2 nodes" in render(found)
    said = " ".join(PAGE.split())
    assert f"**WARN**: {costs} for 2 nodes, against $60,000" in said
    assert f"and {', '.join(f'`{code}`' for code in told(found))} tell" in said
    assert {str(level) for level in told(found).values()} == {"WARN"}
    without = review(fleet({key: value for key, value in given.items() if key != "constraints"}), folder=tmp_path)
    assert [code for code, level in told(without).items() if level is Level.BLOCK] == ["same-weights"]
    assert "without `constraints` it is **BLOCK** of `same-weights`" in said


def test_nodes_and_the_tokens_that_justify_them_do_not_come_in_one_change(tmp_path: Path) -> None:
    """3 × p4de and $4,100 are $64,209.04: 7B tokens at $10 carry them, the 6B that are up do not."""
    up = inputs()
    grown = review(fleet(inputs(3, volume=7e9), up), folder=tmp_path)
    assert grown.verdict is not None
    assert not grown.verdict.blocked
    assert grown.outcome == "BLOCK"
    assert "by the base's figures: 6B tokens/month cost $64,209.04/month" in render(grown)
    assert grown.scales is not None
    assert grown.scales.buys == ("3 nodes instead of 2", "nodes that cost more a month")
    for step in (review(fleet(inputs(volume=7e9), up), folder=tmp_path),
                 review(fleet(inputs(3, volume=7e9), inputs(volume=7e9)), folder=tmp_path)):  # fmt: skip
        assert step.outcome == "WARN"


def test_a_fleet_under_another_name_is_weighed_by_the_one_that_goes(tmp_path: Path) -> None:
    gone = fleet(None, inputs(), name="old")
    assert review(fleet(inputs(3, volume=7e9), name="new"), gone, folder=tmp_path).outcome == "BLOCK"
    assert review(fleet(inputs(3, volume=7e9), name="new"), folder=tmp_path).outcome == "WARN"


def test_what_is_up_and_loses_is_no_reason_to_refuse_what_buys_nothing(tmp_path: Path) -> None:
    loses = inputs(volume=1e9)
    assert review(fleet(loses, loses), folder=tmp_path).outcome == "WARN"
    assert review(fleet(inputs(3, volume=1e9), loses), folder=tmp_path).outcome == "BLOCK"
    assert review(fleet(loses, inputs()), folder=tmp_path).outcome == "BLOCK"


def test_of_several_fleets_the_worst_is_shown(tmp_path: Path) -> None:
    pays, loses = fleet(inputs(), name="a"), fleet(inputs(volume=1e9), name="b")
    assert review(pays, loses, folder=tmp_path).outcome == "BLOCK"
    assert review(pays, folder=tmp_path).outcome != "BLOCK"


def test_a_program_without_a_fleet_is_judged_by_the_rules_on_resources_alone(tmp_path: Path) -> None:
    """It passes, is blocked, or fails; one whose Fleet goes has none either."""
    assert review(folder=tmp_path).outcome == "PASS"
    assert "`dev` makes no Fleet" in render(review(folder=tmp_path))
    stray = PolicyViolation("node-outside-fleet", "cost-guard", "mandatory", "urn::gpu", "this GPU instance is outside")
    blocked = review(violations=(stray,), folder=tmp_path)
    assert (blocked.outcome, blocked.exit_code(strict=False)) == ("BLOCK", 2)
    assert review(failures=("no such stack",), folder=tmp_path).exit_code(strict=False) == 1
    assert review(fleet(None, inputs()), folder=tmp_path).outcome == "PASS"


def test_only_a_baseline_that_is_up_approves(tmp_path: Path) -> None:
    """A fleet that loses within what was approved is repair; one that approves itself is not."""
    baseline = {"nodes": 2, "usdPerMonth": 50000, "approvedBy": "a. person", "date": "2026-11-01"}
    loses = inputs(volume=1e9, baseline=baseline)
    assert review(fleet(loses, loses), folder=tmp_path).outcome == "WARN"
    own = review(fleet(loses, inputs(volume=1e9)), folder=tmp_path)
    assert own.outcome == "BLOCK"
    assert "own-baseline" in {finding.rule for finding in own.findings}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"workload": {"tokensPerMonth": UNKNOWN}}, "llm: crossover:workload: has what only `up` knows"),
        ({"workload": {"tokenPerMonth": 1}}, "llm: crossover:workload.tokenPerMonth: unknown key"),
        ({"sshKey": "x"}, "llm: crossover:sshKey: unknown key"),
    ],
)
def test_what_cannot_be_judged_says_of_which_fleet(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    found = review(fleet({**inputs(), **change}), folder=tmp_path)
    assert found.exit_code(strict=False) == 3
    assert found.head.errors[0].startswith(words)


def test_waivers_are_the_programs_own_and_cover_its_fleets_by_name(tmp_path: Path) -> None:
    entry = {
        "stack": "dev", "owner": "a", "approver": "b", "reason": "r", "ticket": "T-1",
        "created": "2026-11-01", "expires": "2026-12-01", "urn": "*::llm",
    }  # fmt: skip
    entries = [{**entry, "policy": code} for code in ("break-even", "horizon", "probability")]
    (tmp_path / "waivers.yaml").write_text(yaml.safe_dump(entries))
    assert review(fleet(inputs(volume=1e9)), folder=tmp_path).outcome == "WARN"
    assert review(fleet(inputs(volume=1e9), name="other"), folder=tmp_path).outcome == "BLOCK"
    (tmp_path / "waivers.yaml").write_text("- 3")
    assert review(fleet(inputs()), folder=tmp_path).exit_code(strict=False) == 3


def test_the_engine_is_theirs_and_no_waiver_of_this_repository_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceError, match=r"there is no Pulumi\.yaml"):
        foreign._program(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: shop")
    with monkeypatch.context() as without:
        without.setattr("shutil.which", lambda *_, **__: None)
        with pytest.raises(SourceError, match="there is no pulumi on PATH"):
            foreign._program(tmp_path)
    engine = tmp_path / "bin" / "pulumi"
    engine.parent.mkdir()
    given = {
        "shop:token": {"value": "hunter22", "secret": True},
        "shop:size": {"value": "large", "secret": False},
        "shop:db": {"value": "{}", "secret": True, "objectValue": {"password": ["line one\nline two"]}},
    }
    engine.write_text(f"#!/bin/sh\nprintf '%s' '{json.dumps(given)}'\n")
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", f"{engine.parent}:/usr/bin:/bin")
    program = foreign._program(tmp_path)
    assert (program.engine, program.variables[WAIVERS_VARIABLE]) == (str(engine), "/dev/null")
    (tmp_path / "waivers.yaml").write_text("")
    assert foreign._program(tmp_path).variables[WAIVERS_VARIABLE] == str(tmp_path / "waivers.yaml")
    hidden = foreign._secrets(program, "dev")
    assert {"hunter22", "line one", "line two"} <= {*hidden}
    assert "large" not in hidden


def test_the_command_writes_all_files_and_takes_no_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the exit code of the outcome; a base would have to be run."""
    (tmp_path / "Pulumi.yaml").write_text("name: shop")
    monkeypatch.setattr("shutil.which", lambda *_, **__: "/bin/false")
    monkeypatch.setattr(foreign, "preview", lambda *_: Run(fleets=(fleet(inputs(volume=1e9)),)))
    command = ["preview", "--project", str(tmp_path), "--stack", "dev", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*command, "--json", "--today", TODAY.isoformat()])
    assert done.exit_code == 2
    assert json.loads((tmp_path / "out" / "report.json").read_text())["verdict"] == "BLOCK"
    for option in ("--base", "--untrusted"):
        refused = CliRunner().invoke(app, [*command, option, "main"])
        assert refused.exit_code != 0
        assert "it is compared with what is up" in " ".join(refused.output.replace("│", " ").split())
