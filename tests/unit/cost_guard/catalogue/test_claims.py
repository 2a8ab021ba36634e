"""The sources' figures against the formulas, and the evaluator that may do arithmetic and nothing else."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from cost_guard.catalogue.catalogue import CatalogueError
from cost_guard.catalogue.claims import Checked, FormulaError, compute, load_claims

REPRODUCES, IF, CONTRADICTS, UNVERIFIABLE = "reproduces", "reproduces-if", "contradicts", "unverifiable"


@pytest.fixture(scope="module")
def claims() -> dict[str, Checked]:
    """By id."""
    return {one.claim.id: one for one in load_claims()}


EXPECTED = [
    ("node-lambda", REPRODUCES, 11 * 720),
    ("node-aws", REPRODUCES, 9800),
    ("node-runpod", REPRODUCES, 5600),
    ("node-vast-low", REPRODUCES, 3200),
    ("node-vast-high", REPRODUCES, 5500),
    ("two-nodes", REPRODUCES, 15840),
    ("overhead", REPRODUCES, 4100),
    ("total", REPRODUCES, 19940),
    ("break-even-routed", REPRODUCES, 24.925e9),
    ("break-even-gpt4o", REPRODUCES, 3.988e9),
    ("break-even-a1", REPRODUCES, 25e9),
    ("break-even-a1-low", REPRODUCES, 23.75e9),
    ("break-even-a1-high", REPRODUCES, 27.5e9),
    ("six-times", REPRODUCES, 6.25),
    ("api-500m", REPRODUCES, 2500),
    ("api-500m-routed", REPRODUCES, 400),
    ("engineer-low", REPRODUCES, 2500),
    ("engineer-high", REPRODUCES, 50000 / 12),
    ("baseline-low", CONTRADICTS, 16240),
    ("baseline-high", CONTRADICTS, 16440),
    ("total-a1-low", CONTRADICTS, 18740),
    ("total-a1-high", CONTRADICTS, 20640),
    ("vram-70b", REPRODUCES, 140),
    ("tldr-low", CONTRADICTS, 24.925e9),
    ("tldr-high", CONTRADICTS, 24.925e9),
    ("tier-gpt4o-low", CONTRADICTS, 19940e6 / 15),
    ("tier-gpt4o-high", CONTRADICTS, 3.988e9),
    ("tier-70b-low", CONTRADICTS, 19.94e9),
    ("tier-70b-high", CONTRADICTS, 19940e6 / 0.59),
    ("tier-8b-low", CONTRADICTS, 19940e6 / 0.18),
    ("tier-8b-high", CONTRADICTS, 398.8e9),
    ("smaller-models", CONTRADICTS, 0.59 / 0.18),
    ("tco-cloud", REPRODUCES, 635_000),
    ("tco-self-hosted", REPRODUCES, 345_000),
    ("tco-saving", CONTRADICTS, 290_000),
    ("crossover-month", IF, 180 / ((515 - 45) / 24)),
    ("after-month-18", REPRODUCES, 172_500),
    ("fintech", REPRODUCES, 39 / 47 * 100),
    ("hybrid-saving", UNVERIFIABLE, None),
    ("routing-saving", REPRODUCES, 84),
    ("pages", CONTRADICTS, 1.25e6),
    ("words", REPRODUCES, 18.75e9),
    ("napkin-bill", UNVERIFIABLE, None),
    ("napkin-server", CONTRADICTS, 7920),
    ("napkin-saving", REPRODUCES, 35_000),
    ("vllm-speed", UNVERIFIABLE, None),
    ("v100-low", UNVERIFIABLE, 990),
    ("v100-high", UNVERIFIABLE, 2190),
    ("understated-50", UNVERIFIABLE, 8200),
    ("understated-70", UNVERIFIABLE, 4100 / 0.3),
    ("rule-20k", CONTRADICTS, 25e9),
    ("rule-80k", CONTRADICTS, 100e9),
    ("rule-5b", CONTRADICTS, 4000),
    ("rule-80k-window", CONTRADICTS, 19940),
    ("engineer-year-low", REPRODUCES, 30_000),
    ("engineer-year-high", REPRODUCES, 50_000),
    ("engineer-3500", REPRODUCES, 210_000),
    ("redundancy-doubles", REPRODUCES, 2),
    ("gpus-70b", REPRODUCES, 1.75),
    ("self-hosted-per-1000", IF, 0.0008),
    ("openai-dollars", CONTRADICTS, 0.005),
    ("cheap-models", UNVERIFIABLE, 68 / 4.88),
    ("frontier-20", CONTRADICTS, 1.096),
    ("break-even-displaced", CONTRADICTS, 24.925e9 / 0.8),
    ("up-to-80", CONTRADICTS, 84),
    ("routing-97", REPRODUCES, 97.6),
    ("mid-size-product", UNVERIFIABLE, None),
    ("mid-size-enterprise", UNVERIFIABLE, 49.8),
    ("tldr-table-low", CONTRADICTS, 0.5e9),
    ("tldr-table-high", CONTRADICTS, 15e9),
    ("order-of-magnitude", REPRODUCES, 30),
    ("fintech-growth", UNVERIFIABLE, 47_000 * 1.15**12),
    ("v100-electricity", UNVERIFIABLE, 35 / 0.12 / 0.73),
    ("tco-labor", CONTRADICTS, 5000),
    ("before-month-9", IF, 180_000 - 470_000 / 3),
    ("gap-widens", REPRODUCES, 470_000 / 24),
    ("asymptotic", CONTRADICTS, 6875),
    ("go-gateway", UNVERIFIABLE, None),
]


@pytest.mark.parametrize(("name", "status", "computed"), EXPECTED, ids=[row[0] for row in EXPECTED])
def test_each_figure_comes_out(claims: dict[str, Checked], name: str, status: str, computed: float | None) -> None:
    """Status and value of every claim."""
    one = claims[name]
    assert one.status == status
    assert (None if one.computed is None else float(one.computed)) == (
        None if computed is None else pytest.approx(computed, rel=1e-12)
    )


def test_no_claim_is_left_out(claims: dict[str, Checked]) -> None:
    """The list above is the data file."""
    assert list(claims) == [row[0] for row in EXPECTED]


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("tier-gpt4o-low", "would need F = 75,000 USD/month"),
        ("tier-gpt4o-high", "would need F = 75,000 USD/month"),
        ("tier-70b-low", "would need F = 500 USD/month"),
        ("tier-70b-high", "would need F = 1,180 USD/month"),
        ("tier-8b-low", "would need F = 360 USD/month"),
        ("tier-8b-high", "would need F = 400 USD/month"),
        ("tldr-low", "would need price = 9.97 USD/M tokens"),
        ("tldr-high", "would need price = 3.99 USD/M tokens"),
        ("frontier-20", "would need share = 0.14 of the traffic"),
        ("break-even-displaced", "would need displaced = 1 of the volume"),
        ("tco-labor", "would need labor = 100,800 USD"),
        ("openai-dollars", "would need price = 1,000 USD/M tokens"),
        ("pages", "would need words_per_page = 1,736.11 words/page"),
    ],
)
def test_a_contradiction_says_what_it_would_need(claims: dict[str, Checked], name: str, needed: str) -> None:
    """Printed instead of hidden."""
    assert claims[name].reproduces_if == needed


def test_only_contradictions_and_conditions_have_a_remedy(claims: dict[str, Checked]) -> None:
    """And each of them has one."""
    for one in claims.values():
        assert (one.reproduces_if is not None) is (one.status in (CONTRADICTS, IF))


def test_json_has_the_documented_fields(claims: dict[str, Checked]) -> None:
    """Exactly these, a range as a list."""
    document = claims["routing-saving"].to_json_dict()
    assert list(document) == [
        "id", "source", "claim", "formula", "inputs", "expected", "computed", "unit", "tolerance", "status",
        "reproducesIf",
    ]  # fmt: skip
    assert (document["expected"], document["computed"], document["inputs"]) == (
        [70, 97],
        84,
        {"naive": 5, "routed": 0.8},
    )


@pytest.mark.parametrize(
    ("formula", "value"),
    [("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("-a ** 2", -4), ("2 ** 10", 1024), ("a / 8 - 0.25", 0), ("10 ** -2", 0.01)],
)
def test_arithmetic_is_decimal(formula: str, value: float) -> None:
    """Precedence as in Python; 0.25 is a quarter."""
    assert compute(formula, {"a": Decimal(2)}) == Decimal(str(value))


@pytest.mark.parametrize(
    "formula",
    ["__import__('os')", "a.real", "f(1)", "[1]", "'x'", "True", "1 if a else 2", "a < 2", "1 // 2", "1 % 2", "b",
     "lambda: 1", "1 +", "", "1 / 0", "2 ** 0.5", "2 ** 1000", "9 ** 9 ** 9", "1j", "~a", "+a", "0 ** -1", "1e400",
     "(" * 500 + ")" * 500],
)  # fmt: skip
def test_anything_but_arithmetic_is_refused(formula: str) -> None:
    """A data file cannot run code, divide by zero or fill the memory."""
    with pytest.raises(FormulaError):
        compute(formula, {"a": Decimal(2)})


GOOD = '[x]\nsource = "s"\nclaim = "c"\nunit = "u"\nformula = "a"\ninputs = {a = 1}\nexpected = 1\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[x", r"claims\.toml:1: not TOML"),
        (GOOD.replace("unit", "units"), r"claims\.toml:4: x\.units: unknown key \(did you mean unit\?\)"),
        (GOOD.replace('"a"', '"b"'), r"claims\.toml:1: x: .*b is not among the inputs"),
        (GOOD.replace("expected = 1\n", ""), "needs a formula and an expected figure"),
        (GOOD.replace("expected = 1", "expected = 2") + 'needs = {input = "a", formula = "a", unit = "u"}\n',
         "a = 1 would not give 2"),
    ],
)  # fmt: skip
def test_a_broken_data_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Also a remedy that would not cure."""
    path = tmp_path / "claims.toml"
    path.write_text(text)
    with pytest.raises(CatalogueError, match=said):
        load_claims(path)
    path.unlink()
    with pytest.raises(CatalogueError, match=r"claims\.toml"):
        load_claims(path)
