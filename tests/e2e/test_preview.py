"""`crossover preview` on the real engine: what a pull request's reviewer is told, and with what the command ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

from tests.support.checkout import Checkout
from tests.support.pull_request import TODAY, PullRequest
from tests.unit.crossover.usage import traffic

RUNG = {"cloud": "local", "sku": "sim-8x-a100", "standsFor": "quoted/lambda-8x-a100-80gb"}
DOUBLED = {
    f"fleet.nodes.{key}": {"candidates": [{**RUNG, "region": region}]}
    for key, region in (("c", "bay-4"), ("d", "bay-5"))
}


@pytest.fixture(scope="module")
def repository() -> Iterator[PullRequest]:
    """A clone under git whose stack is empty."""
    clone = Checkout.make()
    try:
        clone.init()
        yield PullRequest(clone)
    finally:
        clone.discard()


@pytest.fixture
def pull_request(repository: PullRequest) -> Iterator[PullRequest]:
    yield repository
    assert repository.clone.machines == {}  # a preview rents nothing
    repository.git("reset", "-q", "--hard")
    repository.git("clean", "-q", "-d", "--force")


def test_a_fleet_doubled_below_break_even_is_blocked_and_says_why(pull_request: PullRequest) -> None:
    """2 → 4 nodes: 4 × 7,920 + 4,100 = 35,780 for tokens that cost 26,250 managed. The pack reports the same."""
    pull_request.clone.configure(DOUBLED)
    code, document, comment = pull_request.preview()
    assert (code, document["verdict"]) == (2, "BLOCK")
    headline = "## ⛔ BLOCK: `local` costs $9,530 a month more than the managed API\n"
    assert comment.startswith(f"<!-- crossover:stack=local -->\n{headline}")
    assert "| **Self-hosted, USD per month** | $19,940 | $35,780 | +$15,840 (+79.4 %) |" in comment
    assert "- 2 nodes instead of 4" in comment
    assert "| ➕ create | `d` | `gpucloud:index:Node` |" in comment
    mandatory = {violation["rule"] for violation in document["violations"] if violation["level"] == "mandatory"}
    assert mandatory == {"break-even", "horizon", "probability"}
    assert document["failures"] == document["notInForce"] == []
    assert len(document["changes"]) == 14
    sarif = json.loads((pull_request.out / "sarif.json").read_text())
    assert {r["ruleId"] for r in sarif["runs"][0]["results"] if r["level"] == "error"} == mandatory
    assert "<failure" in (pull_request.out / "junit.xml").read_text()


def test_a_block_by_a_rule_of_the_pack_alone_is_no_failure(pull_request: PullRequest) -> None:
    """3.5 × 6e9 tokens in 730 hours are 7,991 tokens/s; one of the two nodes serves 6,704. The verdict only warns, so
    the program comes to its end, and the engine says that the preview failed."""
    price = {"managed.routes": None, "managed.usdPerMillionTokens": 10.0}
    change = {"gateway.fallback": None, "workload.peakToMean": 3.5, **price}
    pull_request.clone.configure(change)
    code, document, comment = pull_request.preview()
    assert (code, document["verdict"], document["head"]["verdict"]["verdict"]) == (2, "BLOCK", "WARN")
    mandatory = {violation["rule"] for violation in document["violations"] if violation["level"] == "mandatory"}
    assert mandatory == {"fallback-configured"}
    assert document["failures"] == document["notInForce"] == []
    assert "no violation of a policy" not in comment
    sarif = json.loads((pull_request.out / "sarif.json").read_text())
    (error,) = (r for r in sarif["runs"][0]["results"] if r["level"] == "error")
    lines = (pull_request.clone.folder / document["config"]).read_text().splitlines()
    line = error["locations"][0]["physicalLocation"]["region"]["startLine"]
    assert (error["ruleId"], lines[line - 1].strip()) == ("fallback-configured", "crossover:gateway:")


def test_a_raised_baseline_does_not_approve_the_growth_beside_it(pull_request: PullRequest) -> None:
    """Program and pack judge what is committed, and only warn; the verdict is the worse of the two."""
    raised = {"nodes": 4, "usdPerMonth": 35780, "approvedBy": "a. person", "date": "2026-04-01"}
    pull_request.clone.configure({**DOUBLED, "baseline": raised})
    code, document, comment = pull_request.preview()
    assert (code, document["verdict"]) == (2, "BLOCK")
    assert not [violation for violation in document["violations"] if violation["level"] == "mandatory"]
    assert document["failures"] == document["notInForce"] == []
    assert "> 👀 **It does not approve itself:** this pull request gives itself a baseline of 4 nodes" in comment


def test_one_that_pays_goes_through(pull_request: PullRequest) -> None:
    """Asserted volume: a warning, which --strict makes exit 4."""
    code, document, comment = pull_request.preview("--strict")
    assert (code, document["verdict"]) == (4, "WARN")
    assert "`local` saves $6,310 a month against the managed API, with" in comment
    assert document["failures"] == document["notInForce"] == []
    assert not [violation for violation in document["violations"] if violation["level"] == "mandatory"]


def test_two_previews_of_one_commit_write_the_same_bytes(pull_request: PullRequest) -> None:
    """The engine takes its resources in another order each time; a comment that is updated changes for a reason."""

    def written() -> dict[str, bytes]:
        pull_request.preview()
        return {path.name: path.read_bytes() for path in pull_request.out.iterdir()}

    pull_request.clone.configure(DOUBLED)
    first = written()
    assert set(first) == {"comment.md", "report.json", "junit.xml", "sarif.json"}
    assert written() == first


def waivers(expires: date) -> str:
    created = expires - timedelta(days=60)
    return yaml.safe_dump(
        [
            {
                "policy": policy, "stack": "local", "owner": "ada", "approver": "grace", "ticket": "FIN-1",
                "reason": "the migration needs both", "created": created.isoformat(), "expires": expires.isoformat(),
            }
            for policy in ("break-even", "horizon", "probability")
        ]
    )  # fmt: skip


def test_a_valid_waiver_of_the_base_lets_it_through_and_is_shown(pull_request: PullRequest) -> None:
    pull_request.write("waivers.yaml", waivers(TODAY + timedelta(days=10)))
    pull_request.git("add", "waivers.yaml")
    pull_request.git("commit", "-q", "-m", "what finance agreed to")
    try:
        pull_request.clone.configure(DOUBLED)
        code, document, comment = pull_request.preview()
        assert (code, document["verdict"], document["scales"]) == (0, "WARN", None)
        assert "| break-even | used | the migration needs both (FIN-1); ada mends it, grace allows it until" in comment
        sarif = json.loads((pull_request.out / "sarif.json").read_text())
        assert all("suppressions" in r for r in sarif["runs"][0]["results"] if r["level"] == "error")
    finally:
        pull_request.git("reset", "-q", "--hard", "HEAD^1")


def test_one_of_the_same_pull_request_does_not(pull_request: PullRequest) -> None:
    """It counts from the next change on; program and pack, which know no base, let it through."""
    pull_request.clone.configure(DOUBLED)
    pull_request.write("waivers.yaml", waivers(TODAY + timedelta(days=10)))
    pull_request.git("add", "waivers.yaml")
    code, document, comment = pull_request.preview()
    assert (code, document["verdict"], document["head"]["verdict"]["verdict"]) == (2, "BLOCK", "WARN")
    assert not [violation for violation in document["violations"] if violation["level"] == "mandatory"]
    assert "**It changes what judges it:** `waivers.yaml`." in comment
    assert "| `waivers.yaml` | 0 waivers | 3 waivers |" in comment


def test_an_expired_one_does_not(pull_request: PullRequest) -> None:
    pull_request.clone.configure(DOUBLED)
    pull_request.write("waivers.yaml", waivers(TODAY - timedelta(days=1)))
    code, document, comment = pull_request.preview()
    assert (code, document["verdict"]) == (2, "BLOCK")
    assert "| break-even | expired | the migration needs both" in comment


@pytest.mark.parametrize(
    ("tokens_per_hour", "expected", "exit_code", "codes"),
    [(8_000_000, "WARN", 0, []), (400_000, "BLOCK", 2, ["break-even", "horizon", "probability"])],
)
def test_an_imported_export_gives_program_pack_and_plan_one_verdict(
    pull_request: PullRequest, tokens_per_hour: int, expected: str, exit_code: int, codes: list[str]
) -> None:
    """730 hours a month at $4.375: 5.84B cost $25,550 managed against $19,940, which pays, and 292M $1,277.50, which
    does not. An API with the same weights only warns, because `local` bills nothing."""
    clone, back = pull_request.clone, (traffic.TODAY - TODAY).days
    hours = traffic.hourly(range(back + 30, back, -1), lambda *_: (tokens_per_hour // 4 * 3, 0, tokens_per_hour // 4))
    pull_request.write("export.json", traffic.openai(hours))
    clone.run(".venv/bin/crossover", "usage", "import", "export.json", "--today", str(TODAY))
    clone.configure({"workload": {"usage": "usage.yaml"}})
    day, fails = {"CROSSOVER_TODAY": str(TODAY)}, exit_code != 0
    plan = clone.told(".venv/bin/crossover", "plan", "--json", fails=fails, **day)
    program = clone.pulumi("preview", "-s", "local", fails=fails, **day)
    code, document, comment = pull_request.preview()
    assert (code, document["verdict"], plan["verdict"]) == (exit_code, expected, expected)
    assert document["failures"] == document["notInForce"] == []
    pack = {v["rule"]: v["message"] for v in document["violations"] if v["level"] == "mandatory"}
    blocks = {reason["code"]: reason["message"] for reason in plan["reasons"] if reason["level"] == "BLOCK"}
    assert [*blocks] == sorted(pack) == codes
    for rule, message in blocks.items():
        assert message in pack[rule]
        assert f"BLOCK {rule}: {message}" in program
    assert plan["inputs"]["tokensPerMonth"]["value"] == tokens_per_hour * 730
    assert plan["inputs"]["tokensPerMonth"]["source"] == "usage, measured, 30 days to 2026-04-19 (openai)"
    assert "| … its source | asserted | usage, measured, 30 days to 2026-04-19 (openai) " in comment
    assert "volume-measured" not in program + comment


def test_a_broken_configuration_cannot_be_evaluated(pull_request: PullRequest) -> None:
    """Of the scenario or of what the program alone reads, each with its line."""
    pull_request.clone.configure({"workload.tokenPerMonth": 6e9, "serving.maxNumSeq": 1})
    code, document, comment = pull_request.preview()
    assert (code, document["verdict"], document["head"]["verdict"]) == (3, "CANNOT EVALUATE", None)
    for key, meant in (("workload.tokenPerMonth", "tokensPerMonth"), ("serving.maxNumSeq", "maxNumSeqs")):
        assert f": crossover:{key}: unknown key (did you mean {meant}?)" in comment
    assert "Pulumi.local.yaml:1:" not in comment


def test_a_program_failure_is_not_called_a_violation(pull_request: PullRequest) -> None:
    """Nor does what it says leak what looks like a key, or a secret of the configuration."""
    key = "sk-" + "x1" * 12
    secret = "planted in the " + "configuration"
    pull_request.clone.run(
        "scripts/pulumi", "config", "set", "--secret", "--path", "crossover:apiKeys.openai", secret, "-s", "local"
    )
    program = pull_request.clone.folder / "stacks" / "__main__.py"
    reveal = 'settings.api_keys["openai"].get_secret_value()'
    program.write_text(program.read_text() + f'\nraise ValueError("{key} " + {reveal})\n')
    code, document, comment = pull_request.preview()
    assert (code, document["verdict"]) == (1, "FAILED")
    assert "## 💥 FAILED: the preview of `local` did not run to its end (the cost gate alone says WARN)" in comment
    assert "this is no violation of a policy" in comment
    assert "ValueError: [secret] [secret]" in comment
    assert not [violation for violation in document["violations"] if violation["level"] == "mandatory"]
    for path in pull_request.out.iterdir():
        assert secret not in path.read_text()
        assert key not in path.read_text()


@pytest.mark.parametrize("level", ["disabled", "advisory"])
def test_a_rule_that_is_not_mandatory_blocks_by_its_name(pull_request: PullRequest, level: str) -> None:
    """Although nothing else is wrong and the engine is content."""
    path = pull_request.clone.folder / "levels.json"
    path.write_text(json.dumps({"capacity": level}))
    code, document, comment = pull_request.preview("--policy-pack-config", str(path))
    assert (code, document["verdict"]) == (2, "BLOCK")
    assert [entry["rule"] for entry in document["notInForce"]] == ["capacity"]
    assert "the mandatory rule capacity was not in force: " in comment


def test_a_rule_that_is_taken_out_of_the_pack_blocks_by_its_name(pull_request: PullRequest) -> None:
    """By events alone: no configuration tells of it."""
    entry = pull_request.clone.folder / "policies" / "__main__.py"
    text = entry.read_text()
    entry.write_text(text.replace("policies(), sys", '[p for p in policies() if p.name != "budget"], sys'))
    assert entry.read_text() != text
    code, document, comment = pull_request.preview()
    assert (code, document["notInForce"]) == (2, [{"rule": "budget", "how": "disabled"}])
    assert "**It changes what judges it:** `policies/__main__.py`." in comment


def test_a_forks_configuration_is_judged_without_its_program(pull_request: PullRequest) -> None:
    """The fork's program would fail, and would leave a mark if it ran."""
    clone = pull_request.clone
    pull_request.git("checkout", "-q", "-b", "fork")
    clone.configure(DOUBLED)
    mark = clone.folder / "ran"
    (clone.folder / "stacks" / "__main__.py").write_text(f"open({str(mark)!r}, 'w')\nraise SystemExit(1)\n")
    pull_request.git("commit", "-q", "-a", "-m", "from a fork")
    pull_request.git("checkout", "-q", "main")
    code, document, comment = pull_request.preview("--untrusted", "fork")
    assert (code, document["verdict"], document["changes"]) == (2, "BLOCK", None)
    assert "**No resource diff.**" in comment
    assert not mark.exists()


def test_a_stack_that_the_backend_does_not_know_is_a_failure_with_the_engines_words(pull_request: PullRequest) -> None:
    config = Path("stacks") / "config"
    folder = pull_request.clone.folder
    (folder / config / "Pulumi.other.yaml").write_text((folder / config / "Pulumi.local.yaml").read_text())
    workflow = folder / ".github" / "workflows" / "preview.yml"
    workflow.write_text(workflow.read_text().replace("  EXAMPLES: ", "  EXAMPLES: other "))  # no job needs to judge it
    code, document, comment = pull_request.preview("--stack", "other")
    assert (code, document["verdict"]) == (1, "FAILED")
    assert "no stack named" in comment
