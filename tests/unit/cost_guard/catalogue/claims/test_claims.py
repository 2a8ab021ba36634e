"""The sources' figures against the formulas; what two nodes carry, and the catalogue's prices: test_derived.py."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from cost_guard.catalogue.catalogue import DATA, CatalogueError
from cost_guard.catalogue.claims.check import Checked, load_claims
from cost_guard.catalogue.claims.formula import compute

REPRODUCES, IF, CONTRADICTS, UNVERIFIABLE = "reproduces", "reproduces-if", "contradicts", "unverifiable"
QUOTED = "quoted"
H = 730 * 3600
"""Seconds of a month."""


@pytest.fixture(scope="module")
def claims() -> dict[str, Checked]:
    """By id."""
    return {one.claim.id: one for one in load_claims()}


def sequences(gpus: int) -> float:
    """Of 8,192 tokens, that 90 % of such A100 hold beside Llama 3.3 70B: 80 layers, 8 KV heads of 128, 16 bits."""
    room = gpus * 79.1 * 2**30 * 0.9 - 70_553_706_496 * 2
    return room / (80 * 8 * 128 * 2 * 2 * 8192)


EXPECTED = [
    ("node-lambda", QUOTED, None),
    ("node-aws", QUOTED, None),
    ("node-runpod", QUOTED, None),
    ("node-vast-low", QUOTED, None),
    ("node-vast-high", QUOTED, None),
    ("two-nodes", REPRODUCES, 15840),
    ("overhead", REPRODUCES, 4100),
    ("total", REPRODUCES, 19940),
    ("break-even-routed", REPRODUCES, 24.925e9),
    ("break-even-routed-busy", CONTRADICTS, 24.925e9 / H / (2 * 4759) * 100),
    ("break-even-routed-one-lost", CONTRADICTS, 24.925e9 / H / 4759 * 100),
    ("break-even-routed-marginal", CONTRADICTS, 7920 / (4759 * 0.7 / 1.3 * H / 1e6)),
    ("break-even-gpt4o", REPRODUCES, 3.988e9),
    ("break-even-a1", REPRODUCES, 25e9),
    ("break-even-a1-low", REPRODUCES, 23.75e9),
    ("break-even-a1-high", REPRODUCES, 27.5e9),
    ("six-times", REPRODUCES, 6.25),
    ("api-500m", REPRODUCES, 2500),
    ("api-500m-cheaper", REPRODUCES, 19940 / 2500),
    ("engineer-low", REPRODUCES, 2500),
    ("engineer-high", REPRODUCES, 50000 / 12),
    ("baseline-low", CONTRADICTS, 16240),
    ("baseline-high", CONTRADICTS, 16440),
    ("total-a1-low", CONTRADICTS, 18740),
    ("total-a1-high", CONTRADICTS, 20640),
    ("vram-70b", REPRODUCES, 140),
    ("tldr", IF, 3.988e9),
    ("tldr-routed", CONTRADICTS, 24.925e9),
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
    ("fintech-frontier", CONTRADICTS, 9400),
    ("fintech-self-hosted", CONTRADICTS, 28_400),
    ("fintech-one-node", CONTRADICTS, 80),
    ("fintech-pattern", CONTRADICTS, 39 / 47 * 100),
    ("fintech-premature", CONTRADICTS, 47_000),
    ("hybrid-saving", CONTRADICTS, (0.8 - 19.94 / 47) * 100),
    ("hybrid-saving-high", CONTRADICTS, (0.8 - 19.94 / 47) * 100),
    ("routing-saving", REPRODUCES, 84),
    ("pages", CONTRADICTS, 1.25e6),
    ("words", REPRODUCES, 18.75e9),
    ("napkin-bill", QUOTED, None),
    ("napkin-server", QUOTED, None),
    ("napkin-saving", REPRODUCES, 35_000),
    ("napkin-forgets", REPRODUCES, 30_060),
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
    ("redundancy-doubles", QUOTED, None),
    ("gpus-70b", REPRODUCES, 1.75),
    ("gpus-70b-comfortable", CONTRADICTS, sequences(gpus=2)),
    ("gpus-70b-production", REPRODUCES, sequences(gpus=8)),
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
    ("v100-tensor-parallel", UNVERIFIABLE, 3 * 22 - 64),
    ("tco-labor", CONTRADICTS, 5000),
    ("tco-labor-both", CONTRADICTS, 0),
    ("before-month-9", IF, 180_000 - 470_000 / 3),
    ("gap-widens", REPRODUCES, 470_000 / 24),
    ("asymptotic", CONTRADICTS, 6875),
    ("capital-in-rent", CONTRADICTS, 0),
    ("capital-in-tco", REPRODUCES, 180 / 345 * 100),
    ("steady", IF, 3.988e9),
    ("bursty", REPRODUCES, (25 * 7920 + 4100) / 5 * 1e6),
    ("go-gateway", UNVERIFIABLE, None),
    ("p99-100ms", UNVERIFIABLE, 0.1 / (70_553_706_496 * 2 / (8 * 2.039e12))),
]
"""Status and value of each claim whose figures are all in claims.toml."""


@pytest.mark.parametrize(("name", "status", "computed"), EXPECTED, ids=[row[0] for row in EXPECTED])
def test_each_figure_comes_out(claims: dict[str, Checked], name: str, status: str, computed: float | None) -> None:
    """Status and value of every claim."""
    one = claims[name]
    assert one.status == status
    assert (None if one.computed is None else float(one.computed)) == (
        None if computed is None else pytest.approx(computed, rel=1e-12)
    )


def test_no_claim_is_left_out(claims: dict[str, Checked]) -> None:
    """The list above is the data file, but for what the catalogue and the gate decide."""
    own = [name for name, one in claims.items() if one.catalogue_row is None and one.carries is None]
    assert own == [row[0] for row in EXPECTED]


def test_no_claim_is_its_own_proof(claims: dict[str, Checked]) -> None:
    """What reproduces is not just one of its inputs, whatever the others are: that is quoted, and proves nothing."""
    for one in claims.values():
        claim = one.claim
        if one.status not in (REPRODUCES, IF) or one.carries is not None or claim.formula is None:
            continue
        for name, value in claim.inputs.items():
            others = {other: it if other == name else it * 2 + 1 for other, it in claim.inputs.items()}
            assert value != one.computed or compute(claim.formula, others, claim.where) != value, claim.id


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("tier-gpt4o-low", "would need F = 75,000 USD/month"),
        ("tier-gpt4o-high", "would need F = 75,000 USD/month"),
        ("tier-70b-low", "would need F = 500 USD/month"),
        ("tier-70b-high", "would need F = 1,180 USD/month"),
        ("tier-8b-low", "would need F = 360 USD/month"),
        ("tier-8b-high", "would need F = 400 USD/month"),
        ("tldr-routed", "would need price = 3.99 USD/M tokens"),
        ("fintech-frontier", "would need share = 0.17 of the traffic, and nothing for the nodes"),
        ("fintech-one-node", "would need after = 17,320 USD/month"),
        ("fintech-pattern", "would need after = 14,100 USD/month"),
        ("hybrid-saving", "would need bill = 49,850 USD/month"),
        ("hybrid-saving-high", "would need bill = 199,400 USD/month"),
        ("tco-labor-both", "would need self_hosted = 180,000 USD over 24 months"),
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


def test_comfort_is_reckoned_with_the_model_as_it_is(claims: dict[str, Checked]) -> None:
    """Its shape is that of models.toml."""
    row = tomllib.loads((DATA / "models.toml").read_text("utf-8"))["meta-llama/Llama-3.3-70B-Instruct"]
    shape = {"parameters": "parameters", "layers": "layers", "kv_heads": "kvHeads", "head_size": "headSize"}
    for name in ("gpus-70b-comfortable", "gpus-70b-production"):
        assert {key: claims[name].claim.inputs[key] for key in shape} == {key: row[it] for key, it in shape.items()}


def test_json_has_the_documented_fields(claims: dict[str, Checked]) -> None:
    """Exactly these, a range as a list."""
    document = claims["routing-saving"].to_json_dict()
    assert list(document) == [
        "id", "source", "claim", "carries", "formula", "where", "inputs", "catalogueRow", "expected", "computed",
        "unit", "tolerance", "status", "reproducesIf",
    ]  # fmt: skip
    assert (document["expected"], document["computed"], document["inputs"]) == (
        [70, 97],
        84,
        {"naive": 5, "routed": 0.8},
    )
    assert claims["api-500m-cheaper"].to_json_dict()["expected"] == [2, None]
    assert list(claims["bursty"].to_json_dict()["where"]) == ["per_node", "margin", "last"]


GOOD = '[x]\nsource = "s"\nclaim = "c"\nunit = "u"\nformula = "a"\ninputs = {a = 1}\nexpected = 1\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[x", r"claims\.toml:1: not TOML"),
        (GOOD.replace("unit", "units"), r"claims\.toml:4: x\.units: unknown key \(did you mean unit\?\)"),
        (GOOD.replace('"a"', '"b"'), r"claims\.toml:1: x: .*b is not among the inputs"),
        (GOOD.replace("expected = 1\n", ""), "needs a formula and an expected figure"),
        (GOOD, "the formula is its own input, which proves nothing: kind = 'quoted'"),
        (GOOD + 'kind = "quoted"\n', "what is quoted has an expected figure and no formula"),
        (GOOD + "atLeast = 1\n", "one of expected and atLeast, not both"),
        (GOOD.replace('"a"', '"2 * a"').replace("expected", "atLeast") + "carried = {nodes = 2}\n",
         "no volume that nodes must carry"),
        (GOOD + 'catalogue = {price = "moon/base"}\n', "the catalogue has no hourly price moon/base"),
        (GOOD + 'catalogue = {price = "quoted/aws-p4d.24xlarge"}\n', "no hourly price quoted/aws-p4d.24xlarge"),
        (GOOD + 'catalogue = {managed = "moon"}\n', "the catalogue has no managed model moon"),
        (GOOD + "catalogue = {}\n", "exactly one of price and managed"),
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
