"""A stack's committed configuration is judged as `up` would, without an engine."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml

from scripts.crossover.stack import engine
from scripts.crossover.stack import verdict as stack
from scripts.crossover.stack.engine import StackError

CONFIG = Path(__file__).resolve().parents[4] / "stacks" / "config" / "Pulumi.local.yaml"


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The configuration of the stack prod in a project of its own, a copy of local's. The engine is never asked."""
    for module in (engine, stack):
        monkeypatch.setattr(module, "REPOSITORY", tmp_path)
    monkeypatch.setattr(engine, "pulumi", lambda *arguments: pytest.fail("the engine was asked"))
    monkeypatch.setenv("CROSSOVER_TODAY", "2026-11-22")
    (tmp_path / "Pulumi.yaml").write_text("name: crossover")
    file = tmp_path / "stacks" / "config" / "Pulumi.prod.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(CONFIG.read_text())
    return file


@pytest.mark.parametrize("name", ["prod", "organization/crossover/prod"])
def test_the_verdict_needs_no_secret(config: Path, name: str) -> None:
    """It comes from the committed file, in which secrets are encrypted; the stack need not exist."""
    config.write_text(f"{config.read_text()}  crossover:apiKeys:\n    openai: {{secure: v1:cipher}}\n")
    assert stack.verdict(name).fixed_usd_per_month == 19940


@pytest.mark.parametrize("example", sorted(CONFIG.parent.glob("Pulumi.*.yaml")), ids=lambda path: path.name)
def test_an_example_is_judged_before_its_secrets_are_set(config: Path, example: Path) -> None:
    """They name a token of the hub, and one of a managed model; whether it pays is known without."""
    config.write_text(example.read_text())
    assert stack.verdict("prod").level in ("PASS", "WARN")


def test_a_bad_configuration_is_a_message_with_its_place(config: Path) -> None:
    config.write_text("config:\n  crossover:workload: {tokensPerMonth: many}\n")
    with pytest.raises(StackError, match=r"Pulumi\.prod\.yaml:2: crossover:workload\.tokensPerMonth"):
        stack.verdict("prod")


def test_a_stack_without_a_configuration_says_which_file_is_missing(config: Path) -> None:
    with pytest.raises(StackError, match=r"there is no stacks/config/Pulumi\.other\.yaml"):
        stack.verdict("other")


WAIVED = ("break-even", "horizon", "probability")


def test_a_waiver_counts_in_the_verdict_as_in_up(config: Path) -> None:
    """500M tokens do not pay; who waives it is told, and the verdict is a warning."""
    config.write_text(config.read_text().replace("6.0e9", "500e6"))
    assert stack.verdict("prod").level == "BLOCK"
    entry = {
        "stack": "prod", "urn": "*", "owner": "a@example.com", "approver": "b@example.com", "reason": "a trial",
        "ticket": "T-1", "created": date(2026, 11, 1), "expires": date(2026, 12, 1), "costCapUsdPerMonth": 20000,
    }  # fmt: skip
    entries = [{"policy": code, **entry} for code in WAIVED]
    (config.parents[2] / "waivers.yaml").write_text(yaml.safe_dump(entries))
    found = stack.verdict("prod")
    assert found.level == "WARN"
    assert {reason.code for reason in found.reasons if reason.level == "WAIVED"} == set(WAIVED)
    (config.parents[2] / "waivers.yaml").write_text("waivers: 1")
    with pytest.raises(StackError, match=r"waivers\.yaml"):
        stack.verdict("prod")
