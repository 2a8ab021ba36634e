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
    certain = dict.fromkeys(("volume", "outlook", "throughput", "apiPrice", "overhead"), 0)
    scenario = quotation("6e9", rho=2, uncertainty=certain)
    document = json.loads(json.dumps(verdict_of(scenario, catalogue, today).to_json_dict()))
    inputs, (model,) = document.pop("inputs"), document.pop("models")
    assert model.pop("name") == "fleet"
    assert {key: model[key] for key in document} == document
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
        "worstCaseUsdPerMonth": 27860,
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
            "probabilityPays": 1,
            "probabilityHorizon": 1,
        },
        "tco": {
            "months": 24,
            "selfHostedUsd": 24 * 27860,
            "managedUsd": 24 * 30000,
            "crossoverMonth": 0,
            "crossings": [{"month": 0, "cheaper": "self-hosted"}],
            "bestStart": {"month": 0, "usd": 24 * 27860},
            "bestEnd": {"month": 24, "usd": 24 * 27860},
            "switchMonth": 1,
            "owedAfter": 0,
        },
        "options": [
            {"id": name, "usdPerMonth": month, "horizonUsd": horizon, "allowed": allowed, "why": why}
            for name, month, horizon, allowed, why in (
                ("managed", 30000, 24 * 30000, True, ""),
                ("same-weights", None, None, False, "nobody is known to serve these weights"),
                ("self-hosted", 27860, 24 * 27860, True, ""),
                ("self-hosted-from", 27860, 24 * 27860, True, "at once"),
                ("self-hosted-until", 27860, 24 * 27860, True, "to the end"),
                ("self-hosted-part", 27860, 24 * 27860, True, "all of it is best"),
            )
        ],
        "recommendation": "self-hosted",
        "sourcesSay": "The sources' rules of thumb: $20,000 to $80,000/month managed: cheaper models for easy requests "
        "come first; 6B tokens/month are above their 5B.",
        "sameWeights": None,
        "rungs": {},
        "readings": [
            {
                "name": "first",
                "added": "quotation",
                "selfHostedUsdPerMonth": 27860,
                "nodesNeeded": 3,
                "survivesOneLoss": True,
                "breakEven": {"first": 3988000000, "stable": 5572000000},
                "tco": {"selfHostedUsd": 24 * 27860},
                "reasons": [reason],
            }
        ],
    }
    assert all(set(given) == {"value", "source", "date"} for given in inputs.values())
    assert inputs["tokensPerMonth"]["value"] == 6000000000
    assert inputs["spareNodes"]["source"] == "default"


def test_catalogue_inputs_are_cited_and_dated(ladder: Build, catalogue: Catalogue, two_nodes: Baseline) -> None:
    """Price and throughput with their row, the baseline with who approved it."""
    inputs = verdict_of(ladder(), catalogue, NOV, two_nodes).to_json_dict()["inputs"]
    price, served = (inputs[f"{key}.quoted/lambda-8x-a100-80gb"] for key in ("usdPerNodeMonth", "tokensPerSecond"))
    assert (price["value"], price["date"]) == (7920, "2026-03-26")
    assert price["source"].startswith("quoted/lambda-8x-a100-80gb, quoted: NeuralRouting, ")
    assert round(served["value"], 2) == 6704.36
    assert "8x-a100-sxm-80gb@meta-llama/Llama-3.1-70B-Instruct, published: NVIDIA" in served["source"]
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
