"""The committed catalogue, and what is refused of one."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from cost_guard import Catalogue, CatalogueError, load_catalogue


@pytest.mark.parametrize(
    ("key", "month", "seen"),
    [
        ("quoted/lambda-8x-a100-80gb", "7920", date(2026, 3, 26)),
        ("quoted/aws-p4d.24xlarge", "9800", date(2026, 3, 26)),
        ("quoted/runpod-8x-a100-secure", "5600", date(2026, 3, 26)),
        ("quoted/vastai-8x-a100-spot", "5500", date(2026, 3, 26)),
        ("lambda/gpu_8x_a100_80gb_sxm4", "16293.60", date(2026, 9, 20)),
        ("lambda/gpu_8x_a100", "11621.60", date(2026, 9, 20)),
        ("aws/p4d.24xlarge", "16029.07866", date(2026, 11, 1)),
        ("aws/p4de.24xlarge", "20036.3465", date(2026, 11, 1)),
        ("runpod/8x-a100-sxm-80gb-secure", "10453.60", date(2026, 11, 22)),
    ],
)
def test_a_month_is_the_quotation_or_730_hours(catalogue: Catalogue, key: str, month: str, seen: date) -> None:
    """Quotations as quoted; $22.32, $15.92, $21.957642, $27.447050 and 8 × $1.79 an hour times 730."""
    price = catalogue.prices[key]
    assert (price.usd_per_month, price.date) == (Decimal(month), seen)


def test_every_row_has_a_source(catalogue: Catalogue) -> None:
    """No price and no throughput without a citation."""
    assert all(row.source for row in (*catalogue.prices.values(), *catalogue.throughputs.values()))


def test_throughput_is_said_to_be_illustrative(catalogue: Catalogue) -> None:
    """4,759 = 1/(0.75/18,200 + 0.25/1,480) was reckoned, not measured; every row with it says so."""
    assert round(1 / (0.75 / 18200 + 0.25 / 1480)) == 4759
    assert {row.kind for row in catalogue.throughputs.values() if row.tokens_per_second == 4759} == {"illustrative"}


def test_40_gb_nodes_have_no_throughput(catalogue: Catalogue) -> None:
    """No figure is known for them, so the gate blocks them."""
    for key in ("lambda/gpu_8x_a100", "aws/p4d.24xlarge", "quoted/aws-p4d.24xlarge"):
        assert key in catalogue.prices
        assert key not in catalogue.throughputs


def test_every_throughput_has_a_price(catalogue: Catalogue) -> None:
    """A misspelt key would be a row that nothing finds."""
    assert set(catalogue.throughputs) <= set(catalogue.prices)


def test_a_quotation_is_told_with_its_distance_from_live(catalogue: Catalogue) -> None:
    """16,293.60/7,920 − 1 = +105.7 %."""
    assert catalogue.describe_price("quoted/lambda-8x-a100-80gb") == (
        "table quotation $7,920/month (2026-03-26); live price seen 2026-09-20 is $22.32/h × 730 = $16,293.60, +105.7 %"
    )
    assert catalogue.describe_price("aws/p4de.24xlarge") == (
        "list price of 2026-11-01 is $27.447050/h × 730 = $20,036.35"
    )


GOOD = '["a/b"]\nusdPerHour = 1\ndate = 2026-01-01\nkind = "list"\nsource = "s"\n'


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        (None, "No such file"),
        ("[", "prices.toml: "),
        (GOOD.replace("usdPerHour", "usdPerHuor"), "a/b: usdPerHuor"),
        (GOOD.replace("= 1\n", "= -1\n"), "must be more than 0"),
        (GOOD.replace("= 1\n", "= 1\nusdPerMonth = 5\n"), "exactly one of usdPerMonth and usdPerHour"),
        (GOOD.replace("usdPerHour = 1\n", ""), "exactly one of usdPerMonth and usdPerHour"),
        (GOOD.replace("2026-01-01", '"soon"'), "must be a date"),
        (GOOD + 'comparedWith = "c/d"\n', "a/b is compared with c/d, which has no row"),
    ],
    ids=["missing", "not TOML", "typo", "negative", "two units", "no unit", "no date", "dangling"],
)
def test_a_broken_catalogue_is_refused(tmp_path: Path, prices: str | None, said: str) -> None:
    """With the file, the row and the fault."""
    (tmp_path / "throughput.toml").write_text("")
    if prices is not None:
        (tmp_path / "prices.toml").write_text(prices)
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(tmp_path)
    assert said in str(caught.value)
