"""The verdict's three faces: exit code, JSON, text."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date

import pytest

from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.codes import Level, worst
from cost_guard.scenario.scenario import Baseline, Scenario
from cost_guard.verdict.rules import RULES
from cost_guard.verdict.verdict import Reason, explain
from tests.support.gate import verdict_of

Build = Callable[..., Scenario]
NOV = date(2026, 11, 22)


def test_the_worst_reason_is_the_verdict() -> None:
    """PASS without any."""
    assert worst([]) is Level.PASS
    assert worst([Level.WARN, Level.PASS]) is Level.WARN
    assert worst([Level.WARN, Level.BLOCK, Level.PASS]) is Level.BLOCK


def test_a_waived_block_is_a_warning() -> None:
    """It is told as WAIVED, and never makes the verdict better than WARN nor blocks it."""
    assert worst([Level.PASS, Level.WAIVED]) is Level.WARN
    assert worst([Level.WARN, Level.WAIVED]) is Level.WARN
    assert worst([Level.WAIVED, Level.BLOCK]) is Level.BLOCK
    assert Level.WARN.rank < Level.WAIVED.rank < Level.BLOCK.rank


@pytest.mark.parametrize(
    ("volume", "kind", "code", "strict"),
    [("6e9", "measured", 0, 0), ("6e9", "asserted", 0, 4), ("1e9", "measured", 2, 2)],
    ids=["PASS", "WARN", "BLOCK"],
)
def test_exit_codes(
    quotation: Build, catalogue: Catalogue, today: date, volume: str, kind: str, code: int, strict: int
) -> None:
    """0 PASS or WARN, 4 WARN with strict, 2 BLOCK."""
    verdict = verdict_of(quotation(volume, workload={"kind": kind}), catalogue, today)
    assert (verdict.exit_code(), verdict.exit_code(strict=True)) == (code, strict)


def test_json_has_the_documented_shape(quotation: Build, catalogue: Catalogue, today: date) -> None:
    """Every key, numbers unrounded; serialisable as it stands. Without uncertainty every quantile is `stable`."""
    certain = dict.fromkeys(("volume", "throughput", "apiPrice", "overhead"), 0)
    scenario = quotation("6e9", rho=2, uncertainty=certain)
    document = json.loads(json.dumps(verdict_of(scenario, catalogue, today).to_json_dict()))
    inputs = document.pop("inputs")
    (reason,) = [reason for reason in document.pop("reasons") if reason["code"] == "capacity"]
    assert set(reason) == {"code", "level", "message"}
    assert document.pop("capacity") == {
        "tokensPerSecondPerNode": 4759,
        "nodesNeeded": 3,
        "survivesOneLoss": True,
        "utilisation": pytest.approx(6e9 / (2 * 4759 * 730 * 3600), rel=1e-15),
    }
    assert document == {
        "verdict": "WARN",
        "fixedUsdPerMonth": 19940,
        "selfHostedUsdPerMonth": 27860,
        "managedUsdPerMonth": 30000,
        "managedUsdPerMillion": 5,
        "breakEven": {
            "simple": 3988000000,
            "first": 3988000000,
            "stable": 5572000000,
            "p10": 5572000000,
            "p50": 5572000000,
            "p90": 5572000000,
            "probability": 1,
        },
        "tco": {"months": 24, "selfHostedUsd": 24 * 27860, "managedUsd": 24 * 30000, "crossoverMonth": 0},
        "recommendation": "optimise-routing",
    }
    assert all(set(given) == {"value", "source", "date"} for given in inputs.values())
    assert inputs["tokensPerMonth"] == {"value": 6000000000, "source": "scenario, measured", "date": None}
    assert inputs["spareNodes"]["source"] == "default"


def test_catalogue_inputs_are_cited_and_dated(ladder: Build, catalogue: Catalogue, two_nodes: Baseline) -> None:
    """Price and throughput with their row, the baseline with who approved it."""
    inputs = verdict_of(ladder(), catalogue, NOV, two_nodes).to_json_dict()["inputs"]
    assert inputs["usdPerNodeMonth"]["date"] == "2026-03-26"
    assert inputs["usdPerNodeMonth"]["source"].startswith("quoted/lambda-8x-a100-80gb, quoted: NeuralRouting, ")
    assert "illustrative" in inputs["tokensPerSecond"]["source"]
    assert inputs["baselineNodes"] == {"value": 2, "source": "baseline, a. person", "date": "2026-05-20"}
    assert inputs["today"]["value"] == "2026-11-22"
    assert inputs["mlTeam"] == {"value": True, "source": "default", "date": None}
    assert inputs["budgetUsdPerMonth"]["value"] is None


def test_the_text_holds_every_reason_and_note(ladder: Build, catalogue: Catalogue) -> None:
    """What a rule of the pack reports is a line of what the program says."""
    for volume in ("6e9", "500e6"):
        verdict = verdict_of(ladder(volume=volume), catalogue, NOV)
        text = explain(verdict)
        assert text.startswith(f"Cost gate: {verdict.level}.")
        assert all(reason.line() in text for reason in verdict.reasons)
        assert all(note in text for note in verdict.notes)
        assert text.count("Break-even is 3.988B") == 1


def test_every_reason_has_the_code_of_a_rule(ladder: Build, catalogue: Catalogue) -> None:
    """A rule says nothing of its own code, so no reason has one that no rule of the pack would report."""
    told = [
        reason
        for volume in ("1e9", "6e9", "60e9")
        for reason in verdict_of(ladder(volume=volume), catalogue, NOV).reasons
    ]
    assert told
    assert {reason.code for reason in told} <= set(RULES)


def test_a_line_has_level_and_code() -> None:
    """Greppable."""
    assert Reason("capacity", Level.BLOCK, "too much").line() == "BLOCK capacity: too much"
