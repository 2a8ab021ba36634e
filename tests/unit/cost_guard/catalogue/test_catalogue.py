"""The committed catalogue, and what is refused of one."""

from __future__ import annotations

import re
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost_guard.catalogue.catalogue import (
    DATA,
    TABLES,
    Catalogue,
    CatalogueError,
    ManagedRates,
    Price,
    check_dates,
    load_catalogue,
)

LOCK = Path(__file__).parents[4] / "requirements" / "litellm.txt"


@pytest.mark.parametrize(
    ("key", "month", "seen"),
    [
        ("quoted/lambda-8x-a100-80gb", "7920", date(2026, 3, 26)),
        ("quoted/aws-p4d.24xlarge", "9800", date(2026, 3, 26)),
        ("quoted/runpod-8x-a100-secure", "5600", date(2026, 3, 26)),
        ("quoted/vastai-8x-a100-spot", "5500", date(2026, 3, 26)),
        ("lambda/gpu_8x_a100_80gb_sxm4", "16293.60", date(2026, 9, 20)),
        ("lambda/gpu_8x_a100", "11621.60", date(2026, 9, 20)),
        ("aws/p4d.24xlarge", "16029.07866", date(2026, 11, 9)),
        ("aws/p4de.24xlarge", "20036.3465", date(2026, 11, 9)),
        ("aws/p4d.24xlarge-reserved-12m", "10162.403", date(2026, 9, 5)),
        ("aws/p4d.24xlarge-reserved-36m", "6843.166", date(2026, 9, 5)),
        ("aws/p4de.24xlarge-reserved-12m", "12703.022", date(2026, 9, 5)),
        ("aws/p4de.24xlarge-reserved-36m", "8553.994", date(2026, 9, 5)),
        ("aws/p4d.24xlarge-spot", "6679.938", date(2025, 11, 30)),
        ("aws/p4de.24xlarge-spot", "11545.242", date(2025, 11, 30)),
        ("lambda/gpu_8x_h100_sxm5", "23301.60", date(2026, 9, 20)),
        ("aws/p5.48xlarge", "40179.20", date(2026, 11, 9)),
        ("aws/p5.48xlarge-reserved-36m", "17357.429", date(2026, 9, 5)),
        ("lambda/gpu_4x_h100_sxm5", "11942.80", date(2026, 9, 20)),
        ("lambda/gpu_1x_h100_sxm5", "3131.70", date(2026, 9, 20)),
        ("runpod/8x-a100-sxm-80gb-secure", "10453.60", date(2026, 11, 9)),
        ("runpod/1x-a100-sxm-80gb-secure", "1306.70", date(2026, 11, 9)),
        ("vastai/8x-a100-sxm4-80gb", "9953.112", date(2026, 10, 29)),
        ("vastai/2x-a100-sxm4-80gb", "2488.278", date(2026, 10, 29)),
    ],
)
def test_a_month_is_the_quotation_or_730_hours(catalogue: Catalogue, key: str, month: str, seen: date) -> None:
    """Quotations as quoted. An hour × 730: $22.32, $15.92, $21.957642, $27.447050, 8 × $1.79 and 8 × $1.7043; reserved
    $13.9211, $9.3742, $17.4014, $11.7178 and $23.7773; spot $9.1506 and $15.8154; with H100 8 × $3.99, 4 × $4.09, $4.29
    and $55.04; fewer A100 by the same price of one."""
    price = catalogue.prices[key]
    assert (price.usd_per_month, price.date) == (Decimal(month), seen)


def test_every_row_has_a_source(catalogue: Catalogue) -> None:
    """No figure without a citation."""
    rows = (catalogue.prices, catalogue.throughputs, catalogue.managed)
    assert all(row.source for part in rows for row in part.values())


def _by_terms(catalogue: Catalogue) -> list[tuple[Price, Price]]:
    """Each row that is named after the terms of another one, with that one."""
    found = [(row, re.fullmatch(r"(aws/.+?)-(spot|reserved-\d+m)", row.key)) for row in catalogue.prices.values()]
    return [(row, catalogue.prices[named.group(1)]) for row, named in found if named]


def test_a_row_named_after_its_terms_has_them(catalogue: Catalogue) -> None:
    """As a refresh names them: aws/p4d.24xlarge-reserved-12m is paid for 12 months, -spot may be taken away; in the
    region of the row on demand, for less."""
    rows = _by_terms(catalogue)
    assert {row.terms for row, _ in rows} == {"reserved", "spot"}
    for row, on_demand in rows:
        months = f"-reserved-{row.commitment_months}m" if row.terms == "reserved" else "-spot"
        assert (row.key, row.region, on_demand.terms) == (on_demand.key + months, on_demand.region, "on-demand")
        assert row.cost_usd_per_month < on_demand.cost_usd_per_month


def test_terms_change_no_machine(catalogue: Catalogue) -> None:
    """So no throughput either."""
    assert all(row.machine == on_demand.machine for row, on_demand in _by_terms(catalogue))


def test_three_years_cost_less_than_one(catalogue: Catalogue) -> None:
    for machine in ("aws/p4d.24xlarge", "aws/p4de.24xlarge"):
        one, three = (catalogue.prices[f"{machine}-reserved-{months}m"] for months in (12, 36))
        assert three.usd_per_month < one.usd_per_month


def test_a_quotation_is_told_with_its_distance_from_live(catalogue: Catalogue) -> None:
    """16,293.60/7,920 − 1 = +105.7 %."""
    assert catalogue.describe_price("quoted/lambda-8x-a100-80gb") == (
        "table quotation $7,920/month (2026-03-26); live price seen 2026-09-20 is $22.32/h × 730 = $16,293.60, +105.7 %"
    )
    assert catalogue.describe_price("aws/p4de.24xlarge") == (
        "list price of 2026-11-09 is $27.447050/h × 730 = $20,036.35"
    )


def test_the_articles_own_table_is_a_catalogue_of_its_own(catalogue: Catalogue) -> None:
    """Both print the same four options; the range's upper end counts."""
    own = {key: row.usd_per_month for key, row in catalogue.prices.items() if key.startswith("quoted/")}
    assert sorted(own.values()) == [5500, 5600, 7920, 9800]
    assert {catalogue.prices[key].kind for key in own} == {"quoted"}


def test_every_renting_cloud_has_a_price_on_demand(catalogue: Catalogue) -> None:
    found = {key.partition("/")[0] for key, row in catalogue.prices.items() if row.terms == "on-demand"}
    assert found >= {"aws", "lambda", "runpod", "vastai"}


NODE = "8x-a100-sxm-80gb"
GOOD = f'["a/b"]\nusdPerHour = 1\ndate = 2026-01-01\nkind = "list"\nsource = "s"\nmachine = "{NODE}"\n'
MODEL = '[m]\ninputUsdPerMillion = 2\noutputUsdPerMillion = 8\ndate = 2026-01-01\nsource = "s"\n'


def written(folder: Path, prices: str | None = GOOD, throughput: str = "", managed: str | None = None) -> Path:
    for name, text in (("prices", prices), ("throughput", throughput), ("managed", managed)):
        if text is not None:
            (folder / f"{name}.toml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        (None, "No such file"),
        ("[", "prices.toml:1: not TOML: "),
        (GOOD.replace("usdPerHour", "usdPerHuor"), "prices.toml:2: a/b.usdPerHuor: unknown key (did you mean"),
        (GOOD.replace("= 1\n", "= -1\n"), "prices.toml:2: a/b.usdPerHour: must be more than 0"),
        (GOOD.replace("= 1\n", "= nan\n"), "prices.toml:2: a/b.usdPerHour: must be a finite number"),
        (GOOD.replace("= 1\n", "= -inf\n"), "prices.toml:2: a/b.usdPerHour: must be a finite number"),
        (GOOD.replace("= 1\n", "= true\n"), "prices.toml:2: a/b.usdPerHour: must be a number"),
        (
            GOOD.replace("= 1\n", "= 1\nusdPerMonth = 5\n"),
            "prices.toml:1: a/b: exactly one of usdPerMonth and usd",
        ),
        (GOOD.replace("usdPerHour = 1\n", ""), "exactly one of usdPerMonth and usdPerHour"),
        (GOOD.replace("2026-01-01", '"soon"'), "prices.toml:3: a/b.date: must be a date"),
        (GOOD.replace("2026-01-01", "2026-01-01T10:00:00Z"), "prices.toml:3: a/b.date: must be a date"),
        (GOOD.replace('source = "s"\n', ""), "prices.toml:1: a/b.source: missing"),
        (GOOD.replace('"s"', '" "'), "prices.toml:5: a/b.source: must be a text that is not empty"),
        (
            GOOD.replace('"list"', '"guessed"'),
            "prices.toml:4: a/b.kind: must be 'quoted', 'list', 'live-seen' or",
        ),
        (GOOD + 'currency = "EUR"\n', "prices.toml:7: a/b.currency: must be USD, got 'EUR'"),
        (GOOD + "interruptionLoss = 0.1\n", "interruptionLoss is for spot prices"),
        (GOOD + 'terms = "spot"\ninterruptionLoss = 1\n', "prices.toml:8: a/b.interruptionLoss: must be less than 1"),
        (GOOD + 'terms = "reserved"\n', "commitmentMonths is for terms = 'reserved'"),
        (GOOD + "commitmentMonths = 12\n", "commitmentMonths is for terms = 'reserved'"),
        (GOOD + "upfrontUsd = 12\n", "upfrontUsd is for reserved prices"),
        (GOOD.replace('"list"', '"contract"'), "contract, its reference, is for kind = 'contract'"),
        (GOOD + 'contract = "C-1"\n', "contract, its reference, is for kind = 'contract'"),
        (GOOD.replace("a/b", "ab"), "prices.toml:1: ab: a row is named cloud/sku"),
        (GOOD + GOOD, "prices.toml:7: a/b: not TOML: "),
        (GOOD + "date = 2026-01-02\n", "prices.toml:7: a/b: not TOML: Cannot overwrite a value"),
        (GOOD + 'key = "c/d"\n', "prices.toml:7: a/b.key: unknown key"),
        ("loose = 1\n" + GOOD, "prices.toml:1: loose: must be a table"),
        (GOOD + 'comparedWith = "c/d"\n', "prices.toml:7: a/b.comparedWith: there is no row 'c/d'"),
        (GOOD.replace(f'machine = "{NODE}"\n', ""), "prices.toml:1: a/b.machine: missing"),
        (
            GOOD.replace(NODE, "8x-a100-80gb"),
            "prices.toml:6: a/b.machine: there is no machine '8x-a100-80gb' (gpus.toml)",
        ),
    ],
)
def test_a_broken_price_is_refused(tmp_path: Path, prices: str | None, said: str) -> None:
    """With the file, the line, the row, the key and the fault."""
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(written(tmp_path, prices))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"managed": MODEL.replace('source = "s"\n', "")}, "managed.toml:1: m.source: missing"),
        ({"managed": MODEL.replace("= 8", "= 8e6")}, "managed.toml:3: m.outputUsdPerMillion: must be at most"),
        ({"managed": MODEL + "cachedInputUsdPerMillion = 3\n"}, "cachedInputUsdPerMillion is above inputUsdPerMillion"),
        ({"managed": MODEL + 'currency = "EUR"\n'}, "managed.toml:6: m.currency: must be USD"),
    ],
)
def test_broken_managed_models_are_refused(tmp_path: Path, files: dict[str, str], said: str) -> None:
    """As prices are."""
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(written(tmp_path, **files))
    assert said in str(caught.value)


def test_a_row_of_the_future_is_told_with_its_line(tmp_path: Path) -> None:
    """Against an injected today; one day is allowed, for those who are ahead."""
    folder = written(tmp_path, managed=MODEL.replace("2026-01-01", "2026-01-03"))
    check_dates(folder, date(2026, 1, 2))
    with pytest.raises(CatalogueError, match=r"managed\.toml:4: m.date: 2026-01-03 is after today, 2026-01-01"):
        check_dates(folder, date(2026, 1, 1))


@pytest.mark.parametrize(
    ("more", "month"),
    [
        ("", "730"),
        ('terms = "spot"\ninterruptionLoss = 0.2\n', "730"),
        ('terms = "reserved"\ncommitmentMonths = 12\nupfrontUsd = 1200\n', "830"),
    ],
    ids=["on demand", "spot costs what it bills", "730 + 1200/12"],
)
def test_terms_make_what_a_month_costs(tmp_path: Path, more: str, month: str) -> None:
    """Of $1 an hour: what is paid up front is spread over the commitment; what spot loses is no price."""
    price = load_catalogue(written(tmp_path, GOOD + more)).prices["a/b"]
    assert (price.usd_per_month, price.cost_usd_per_month) == (Decimal(730), Decimal(month))


def test_terms_and_contracts_are_told(tmp_path: Path) -> None:
    """Wherever a price is told, so that nobody takes one for another."""
    contract = GOOD.replace('"list"', '"contract"').replace("a/b", "a/c") + 'contract = "C-17"\n'
    text = GOOD + 'terms = "reserved"\ncommitmentMonths = 12\nupfrontUsd = 1200\n' + contract
    found = load_catalogue(written(tmp_path, text)).prices
    assert found["a/b"].describe().endswith("= $730 (reserved for 12 months, $1,200 up front)")
    assert found["a/c"].describe() == "contract C-17 of 2026-01-01 is $1/h × 730 = $730"


def billed(read: object, cached: object, write: object) -> ManagedRates:
    told = {"inputUsdPerMillion": read, "cachedInputUsdPerMillion": cached, "outputUsdPerMillion": write}
    row = {"key": "m", "date": date(2026, 1, 1), "source": "s"}
    return ManagedRates.model_validate({**row, **{name: value for name, value in told.items() if value is not None}})


@pytest.mark.parametrize(
    ("cached", "shares", "price"),
    [
        ("1.25", ("0.75", "0"), "4.375"),
        ("1.25", ("0.75", "0.4"), "4"),
        (None, ("0.75", "0.4"), "4.375"),
        ("1.25", ("1", "1"), "1.25"),
        ("1.25", ("0", "1"), "10"),
    ],
)
def test_a_models_price_is_blended(cached: str | None, shares: tuple[str, str], price: str) -> None:
    """$2.50 in and $10 out: 0.75·2.5 + 0.25·10 = 4.375; with 40 % of the input cached at $1.25, 0.45·2.5 + 0.3·1.25 +
    0.25·10 = 4."""
    model = billed("2.5", cached, "10")
    assert model.blended(Decimal(shares[0]), Decimal(shares[1])) == Decimal(price)


CENTS = st.integers(1, 10**6).map(lambda cents: Decimal(cents) / 100)
SHARES = st.integers(0, 100).map(lambda percent: Decimal(percent) / 100)


@given(CENTS, CENTS, CENTS, SHARES, SHARES)
def test_a_blended_price_lies_between_its_parts(
    one: Decimal, other: Decimal, write: Decimal, input_share: Decimal, cached_share: Decimal
) -> None:
    """And never rises with the share that is cached."""
    cached, read = sorted((one, other))
    model = billed(read, cached, write)
    price = model.blended(input_share, cached_share)
    assert min(cached, write) <= price <= max(read, write)
    assert price <= model.blended(input_share, Decimal(0))


def test_the_committed_models_are_those_of_the_pinned_table(catalogue: Catalogue) -> None:
    """LiteLLM 1.106.2 has GPT-4o at $2.50, $1.25 cached and $10, half in a batch; its version is the gateway's pin."""
    pin = next(line for line in LOCK.read_text().splitlines() if line.startswith("litellm==")).split()[0]
    head = (DATA / "managed.toml").read_text().splitlines()[0]
    assert pin.replace("litellm==", "LiteLLM ") in head
    model = catalogue.managed["gpt-4o"]
    figures = (model.input_usd_per_million, model.cached_input_usd_per_million, model.output_usd_per_million)
    assert (*figures, model.batch_discount) == (Decimal("2.5"), Decimal("1.25"), Decimal(10), Decimal("0.5"))


def test_a_folder_is_all_that_counts_and_is_read_as_it_stands_now(tmp_path: Path) -> None:
    """Its own machines, models, clouds, resources and, above it, allowed types; the committed ones are not touched."""
    folder = tmp_path / "policies" / "cost_guard" / "catalogue" / "data"
    shutil.copytree(DATA, folder)
    here = load_catalogue(folder)
    assert here == load_catalogue()
    for name, old, new in (
        ("gpus.toml", 'name = "A100 80 GB"', 'name = "A100 81 GB"'),
        ("models.toml", "context = 131_072", "context = 131_073"),
        ("clouds.toml", "market = true", "market = false"),
        ("resources.toml", "usdPerGbMonth = 0.08", "usdPerGbMonth = 0.09"),
    ):
        text = (folder / name).read_text("utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))
    row = '["a:b:C"]\nusdPerMonth = 3\ndate = 2026-11-29\nsource = "a bill"\nreason = "needed"\n'
    (tmp_path / "policies" / "allowed-types.toml").write_text(row)
    found = load_catalogue(folder)
    differing = {table for table in TABLES if getattr(found, table) != getattr(here, table)}
    assert differing == {"machines", "models", "clouds", "resources", "allowed"}
    assert load_catalogue().models == here.models
