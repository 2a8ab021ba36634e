"""What does not pay is refused by program, preview and `up --skip-preview` alike, and repair never is."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.support.checkout import Checkout

TOO_LITTLE = {"workload.tokensPerMonth": 500e6}
BASELINE = {"baseline": {"nodes": 2, "usdPerMonth": 19940, "approvedBy": "cto", "date": "2026-11-01"}}
THIRD = {
    "fleet.nodes.c": {
        "candidates": [
            {"cloud": "local", "region": "bay-4", "sku": "sim-8x-a100", "standsFor": "quoted/lambda-8x-a100-80gb"}
        ]
    }
}
PACK = ("--policy-pack", "policies")


def test_what_goes_through_says_what_it_costs_and_how_far_live_prices_are(empty: Checkout) -> None:
    preview = empty.pulumi("preview", "-s", "local", *PACK)
    assert "6B tokens/month cost $19,940/month self-hosted (2 nodes) against $26,250/month managed" in preview
    assert "table quotation $7,920/month (2026-03-26); live price seen 2026-09-20 is $22.32/h" in preview
    assert "+105.7 %" in preview


def test_too_little_volume_is_refused_everywhere_and_creates_nothing(empty: Checkout) -> None:
    empty.configure(TOO_LITTLE)
    preview = empty.pulumi("preview", "-s", "local", *PACK, fails=True)
    # Preview shows the whole plan, the program's refusal and the pack's.
    assert "gpucloud:index:Install" in preview
    assert preview.count("BLOCK break-even") >= 2
    for part in ("500M tokens/month", "4.558B", "$2,187.50"):
        assert part in preview, preview
    for arguments in (PACK, ()):
        refused = empty.up(*arguments, fails=True)
        assert "BLOCK break-even" in refused
        assert "gpucloud:index:Node" not in refused
    refused = empty.pulumi("up", "-s", "local", "--yes", *PACK, fails=True)
    assert "BLOCK break-even" in refused
    assert [r["type"] for r in empty.state()["deployment"].get("resources", [])] in ([], ["pulumi:pulumi:Stack"])


def test_repair_goes_through_at_any_volume_and_growth_does_not(empty: Checkout) -> None:
    empty.configure({**TOO_LITTLE, **BASELINE, "serving.maxNumSeqs": 64})
    preview = empty.pulumi("preview", "-s", "local", *PACK)
    assert "WARN break-even" in preview
    empty.configure(THIRD)
    assert "BLOCK break-even" in empty.pulumi("preview", "-s", "local", *PACK, fails=True)
    assert "BLOCK break-even" in empty.up(*PACK, fails=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"workload.tokenPerMonth": 6e9}, "workload.tokenPerMonth: unknown key (did you mean tokensPerMonth?)"),
        ({"worklaod": {"kind": "asserted"}}, "crossover:worklaod: unknown key (did you mean workload?)"),
        ({"serving.maxNumSeq": 1}, "crossover:serving.maxNumSeq: unknown key (did you mean maxNumSeqs?)"),
        ({"workload.tokensPerMonth": 0}, "crossover:workload.tokensPerMonth"),
        ({"workload.tokensPerMonth": 1e30}, "crossover:workload.tokensPerMonth"),
        ({"fleet.spareNodes": 2}, "spareNodes must be less than the number of nodes"),
        ({"fleet.nodes.b": None}, "BLOCK redundancy"),
        (
            {"fleet.nodes.b.candidates": [
                {"cloud": "local", "region": "bay-1", "sku": "sim-8x-a100", "standsFor": "quoted/lambda-8x-a100-80gb"}
            ]},
            "BLOCK redundancy",
        ),
        (
            {"fleet.nodes.b.candidates": [
                {"cloud": "local", "region": "bay-2", "sku": "sim-8x-a100", "standsFor": "quoted/nowhere"}
            ]},
            "BLOCK price-known",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_a_clear_message_and_nothing_is_created(
    empty: Checkout, change: dict[str, object], message: str
) -> None:
    empty.configure(change)
    refused = empty.up(fails=True)
    assert message in refused
    assert "Traceback" not in refused


DAY = {"CROSSOVER_TODAY": "2026-11-22"}


def waive(clone: Checkout, *codes: str, **change: Any) -> None:
    """A waiver for each code, committed beside Pulumi.yaml."""
    entry = {
        "stack": "local", "owner": "ml-platform", "approver": "finance", "reason": "launch in week 3",
        "ticket": "OPS-1", "created": "2026-11-01", "expires": "2026-12-01", **change,
    }  # fmt: skip
    (clone.folder / "waivers.yaml").write_text(yaml.safe_dump([{"policy": code, **entry} for code in codes]))


def test_a_waived_stack_goes_up_and_shows_it_and_an_expired_waiver_blocks(clone: Checkout) -> None:
    """In the program and in the pack alike; the cap and a file with a mistake count too."""
    clone.configure(TOO_LITTLE)
    clone.variables |= DAY
    waive(clone, "break-even", "horizon", "probability", costCapUsdPerMonth=19939)
    void = clone.pulumi("preview", "-s", "local", *PACK, fails=True)
    assert void.count("is void: nodes and overhead cost $19,940/month, its cap is $19,939/month.") >= 4
    waive(clone, "break-even", "horizon", "probability", expires="2026-11-21")
    for refused in (clone.pulumi("preview", "-s", "local", *PACK, fails=True), clone.up(fails=True)):
        assert "BLOCK break-even" in refused
        assert "The waiver OPS-1 of ml-platform expired on 2026-11-21." in refused
    waive(clone, "break-even", "horizon", "probability", approver="ml-platform")
    assert "waivers.yaml:1: approver: must not be the owner" in clone.up(fails=True)
    assert clone.machines == {}
    waive(clone, "break-even", "horizon", "probability")
    for shown in (clone.pulumi("preview", "-s", "local", *PACK), clone.up(*PACK)):
        assert "WAIVED break-even" in shown
        assert "Waived until 2026-12-01 by finance, ml-platform mends it: launch in week 3 (OPS-1)." in shown
        assert "BLOCK" not in shown
    assert set(clone.machines) == {"a", "b", "gateway"}


def test_a_pack_that_is_switched_off_is_seen(empty: Checkout) -> None:
    """Everything disabled leaves one advisory voice; one rule that is downgraded blocks."""
    config = empty.folder / "policy.json"
    arguments = ("preview", "-s", "local", *PACK, "--policy-pack-config", str(config))
    config.write_text(json.dumps({"all": "disabled"}))
    off = empty.pulumi(*arguments)
    assert "[advisory] [severity: critical]  self-check" in off
    assert "makes mandatory rules disabled (every one of them): break-even, " in off
    config.write_text(json.dumps({"budget": "advisory"}))
    assert "makes mandatory rules advisory: budget" in empty.pulumi(*arguments, fails=True)
    config.write_text(json.dumps({"spot-share": {"maxShar": 1}}))
    assert "maxShar: unknown key (did you mean maxShare?)" in empty.pulumi(*arguments, fails=True)


def test_plan_judges_the_stack_that_the_engine_has_selected(clone: Checkout) -> None:
    """Read from the engine's own file."""
    plan = (".venv/bin/python", "-m", "scripts.crossover", "plan")
    assert clone.printed(*plan).startswith("stack local\n")
    clone.run("scripts/stack-init", "lambda")
    assert clone.printed(*plan).startswith("stack lambda\n")
    clone.pulumi("stack", "select", "local")
    assert clone.printed(*plan).startswith("stack local\n")
    clone.pulumi("stack", "unselect")
    assert clone.printed(*plan).startswith("stack local\n")
