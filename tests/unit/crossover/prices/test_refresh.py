"""`crossover prices refresh` against emulated clouds and a small table of LiteLLM's; no network."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cost_guard.catalogue.catalogue import DATA, load_catalogue
from providers import registry
from providers.base import Capability, Cloud
from providers.clouds.lambdalabs.client import LambdaClient
from providers.clouds.lambdalabs.cloud import LambdaCloud
from providers.clouds.lambdalabs.config import LambdaConfig
from providers.clouds.runpod.client import RunpodClient
from providers.clouds.runpod.cloud import RunpodCloud
from providers.clouds.runpod.config import RunpodConfig
from providers.clouds.vastai.client import VastaiClient
from providers.clouds.vastai.cloud import VastaiCloud
from providers.clouds.vastai.config import VastaiConfig
from providers.errors import Unauthorized, Unavailable
from scripts.crossover.prices import files
from tests.clouds.lambdalabs import LambdaEmulator
from tests.clouds.runpod import RunpodEmulator
from tests.clouds.server import Nowhere
from tests.clouds.vastai import VastaiEmulator
from tests.support.clouds import Clock
from tests.support.market import MISSING, Market, offer, registered, row_of
from tests.support.pricing import PriceList


def only(folder: Path, *rows: str) -> str:
    """prices.toml, cut down to these rows; returns its text."""
    text = "# The head.\n\n" + "\n".join(rows)
    (folder / "prices.toml").write_text(text)
    (folder / "throughput.toml").write_text("")
    return text


def row(key: str, price: str, more: str = "") -> str:
    machine = 'machine = "8x-a100-sxm-80gb"\n'
    return f'["{key}"]\nusdPerHour = {price}\ndate = 2026-01-01\nkind = "list"\nsource = "s"\n{machine}{more}'


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[PriceList]:
    with PriceList().serving() as found:
        for name in list(os.environ):
            if name.startswith("AWS_"):
                monkeypatch.delenv(name)
        for name, value in found.environment.items():
            monkeypatch.setenv(name, value)
        yield found


# --- The clouds --------------------------------------------------------------------------------------------------


def test_every_renting_cloud_is_asked(
    refresh: Any, data: Path, monkeypatch: pytest.MonkeyPatch, aws: PriceList
) -> None:
    """The real clients against the vendors' emulators: Lambda's dearest region, RunPod's and Vast.ai's "any", AWS's
    price list with its reservations, and EC2's dearest zone for spot; interruptible SKUs are spot. Vast.ai's emulator
    asks $9.60 for the GPUs and $0.15/GB·month for 200 GB of disk, and at least $5 for a bid."""
    aws.on_demand = {
        "p4d.24xlarge": [{"USD": "21.9576420000"}], "p4de.24xlarge": [{"USD": "30.00"}], "p5.48xlarge": [{"USD": "50"}],
    }  # fmt: skip
    aws.reserved = {
        "p4d.24xlarge": {"1yr": "13.92109400", "3yr": "9.37421900"}, "p4de.24xlarge": {"1yr": "17", "3yr": "11"},
        "p5.48xlarge": {"3yr": "23.7773"},
    }  # fmt: skip
    aws.spot = {"p4d.24xlarge": {"us-east-1a": "8", "us-east-1b": "9"}, "p4de.24xlarge": {"us-east-1a": "16"}}
    clock = Clock()
    at_lambda, at_runpod = LambdaEmulator(Nowhere(), clock), RunpodEmulator(Nowhere(), clock)
    at_vast = VastaiEmulator(Nowhere(), clock)
    at_lambda.prices_cents["gpu_8x_a100_80gb_sxm4"] = 2000
    for gpus in (4, 2, 1):
        at_vast.offer(num_gpus=gpus, dph_base=1.7 * gpus)
    with at_lambda.serving() as one, at_runpod.serving() as two, at_vast.serving() as three:
        lambdalabs = LambdaClient(LambdaConfig(at_lambda.key, one), clock=clock, sleep=clock.sleep)
        runpod = RunpodClient(RunpodConfig(at_runpod.key, two), clock=clock, sleep=clock.sleep, paces=())
        vastai = VastaiClient(VastaiConfig(at_vast.key, three), clock=clock, sleep=clock.sleep)
        clouds: tuple[Cloud, ...] = (LambdaCloud(lambdalabs), RunpodCloud(runpod), VastaiCloud(vastai))
        made = {cloud.name: row_of(cloud) for cloud in clouds}
        monkeypatch.setattr(registry, "CLOUDS", made | {"aws": registry.CLOUDS["aws"]})
        done = refresh("--clouds", "lambda,runpod,vastai,aws", "--write", "--json")
    told = {change["key"]: change for change in json.loads(done.stdout)["changes"]}
    found = tomllib.loads((data / "prices.toml").read_text())
    assert told["lambda/gpu_8x_a100_80gb_sxm4"]["new"] == {"usdPerHour": "20"}
    assert told["runpod/8x-a100-sxm-80gb-secure"]["state"] == "same"
    assert told["runpod/8x-a100-sxm-80gb-spot"]["new"] == {"usdPerHour": "7.60"}
    assert told["aws/p4d.24xlarge"]["state"] == "same"
    assert (found["aws/p4de.24xlarge"]["usdPerHour"], found["aws/p4de.24xlarge"]["region"]) == (30, "us-east-1")
    assert told["aws/p4d.24xlarge-reserved-12m"]["new"] == {"usdPerHour": "13.921094"}
    assert told["aws/p5.48xlarge-reserved-36m"]["state"] == "same"
    assert told["aws/p4d.24xlarge-spot"]["new"] == {"usdPerHour": "9"}
    assert "note" not in found["aws/p4d.24xlarge-spot"]
    assert 9.6 < found["vastai/8x-a100-sxm4-80gb"]["usdPerHour"] < 9.8
    assert 5 < found["vastai/8x-a100-sxm4-80gb-interruptible"]["usdPerHour"] < 5.2
    assert "usdPerMonth" not in found["vastai/8x-a100-sxm4-80gb-interruptible"]
    assert {found[key]["terms"] for key in found if key.endswith(("-spot", "-interruptible"))} == {"spot"}
    assert {key: found[key]["date"] for key in told} == dict.fromkeys(told, date(2026, 12, 1))
    assert not [key for key in told if key.startswith(("quoted/", "existing/", "local/"))]
    assert done.exit_code == 0


def test_only_what_changed_is_edited(refresh: Any, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comments, order, other rows and the file's mode stay; a price that has not moved is dated anew and keeps its
    note; one that has moved loses the note that was the old one's."""
    registered(monkeypatch, Market("a", on_sale=[offer("a", "11", sku="x"), offer("a", "7", sku="y")]))
    only(data, row("a/x", "10 # dear", 'note = "old"\n'), "# About y.\n" + row("a/y", "7.00", 'note = "kept"\n'))
    (data / "prices.toml").chmod(0o640)
    assert refresh("--clouds", "a", "--write").exit_code == 0
    seen = 'date = 2026-12-01\nkind = "live-seen"\nsource = "the API of a, region r1, by `crossover prices refresh`"\n'
    seen += 'machine = "8x-a100-sxm-80gb"\n'
    assert (data / "prices.toml").read_text() == (
        f'# The head.\n\n["a/x"]\nusdPerHour = 11 # dear\n{seen}\n'
        f'# About y.\n["a/y"]\nusdPerHour = 7.00\n{seen}note = "kept"\n'
    )
    assert stat.S_IMODE((data / "prices.toml").stat().st_mode) == 0o640


def test_without_write_nothing_is_written(refresh: Any, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch, Market("a", on_sale=[offer("a", "11", sku="x")]))
    before = only(data, row("a/x", "10"))
    done = refresh("--clouds", "a")
    assert (done.exit_code, (data / "prices.toml").read_text()) == (0, before)
    assert "nothing is written without --write" in done.stdout
    assert "+10 %" in done.stdout


def test_a_refused_row_stays_and_the_others_are_written(
    refresh: Any, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 1 as long as anything is refused; --accept takes it."""
    registered(monkeypatch, Market("a", on_sale=[offer("a", "1.25", sku="x"), offer("a", "8", sku="y")]))
    only(data, row("a/x", "10"), row("a/y", "7"))
    done = refresh("--clouds", "a", "--write", "--json")
    [refused] = [c for c in json.loads(done.stdout)["changes"] if c["state"] == "refused"]
    assert (done.exit_code, refused["key"]) == (1, "a/x")
    assert "one GPU" in refused["reason"]
    found = tomllib.loads((data / "prices.toml").read_text())
    assert (found["a/x"]["usdPerHour"], found["a/y"]["usdPerHour"]) == (10, 8)
    assert refresh("--clouds", "a", "--write", "--accept", "a/x").exit_code == 0
    assert tomllib.loads((data / "prices.toml").read_text())["a/x"]["usdPerHour"] == 1.25


NEW = "8x-h100-sxm-spot"


def test_accepting_adds_and_removes_rows(refresh: Any, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that is gone stays until it is accepted; what has no row is named and enters by its name, with the
    machine that its GPUs are, or not at all."""
    on_sale = [offer("a", "8", sku="y"), offer("a", "9", sku=NEW), offer("a", "7", sku="q")]
    registered(monkeypatch, Market("a", on_sale=on_sale))
    only(data, row("a/x", "10"), row("a/y", "8"))
    done = refresh("--clouds", "a", "--json")
    assert (done.exit_code, json.loads(done.stdout)["unlisted"]) == (1, [f"a/{NEW}", "a/q"])
    assert refresh("--clouds", "a", "--write", "--accept", "a/x", "--accept", f"a/{NEW}").exit_code == 0
    found = tomllib.loads((data / "prices.toml").read_text())
    assert list(found) == ["a/y", f"a/{NEW}"]
    assert (found[f"a/{NEW}"]["terms"], found[f"a/{NEW}"]["machine"]) == ("spot", "8x-h100-sxm-80gb")
    unknown = refresh("--clouds", "a", "--write", "--accept", "a/q", "--json")
    assert (unknown.exit_code, "no GPU of gpus.toml is recognised in it" in unknown.stdout) == (1, True)
    misspelt = refresh("--clouds", "a", "--accept", "a/zz")
    assert (misspelt.exit_code, "a/zz: accepted, and no source names it" in misspelt.stderr) == (1, True)


def test_a_contracts_price_is_left_alone(refresh: Any, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch, Market("a", on_sale=[offer("a", "22", sku="x")]))
    before = only(data, row("a/x", "10", 'contract = "C-1"\n').replace('"list"', '"contract"'))
    assert refresh("--clouds", "a", "--write").exit_code == 0
    assert (data / "prices.toml").read_text() == before


def test_an_outcome_that_is_no_catalogue_is_never_written(
    refresh: Any, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new text is parsed before it takes the file's place, and no draft stays behind."""
    registered(monkeypatch, Market("a", on_sale=[offer("a", "2e9", sku="x")]))
    before = only(data, row("a/x", "10"))
    done = refresh("--clouds", "a", "--write", "--accept", "a/x")
    assert (done.exit_code, (data / "prices.toml").read_text()) == (3, before)
    assert "prices.toml:4: a/x.usdPerHour: must be at most 1000" in done.stderr
    assert sorted(path.name for path in data.iterdir()) == sorted(path.name for path in DATA.iterdir())


def test_a_failed_replacement_leaves_the_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "prices.toml"
    path.write_text("old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        files.replace(path, "new")
    assert (path.read_text(), [p.name for p in tmp_path.iterdir()]) == ("old", ["prices.toml"])


@pytest.mark.parametrize(
    ("refuses", "named", "code", "said"),
    [
        (Unauthorized(MISSING), True, 1, f"b: {MISSING}"),
        (Unavailable("503"), True, 1, "b: 503"),
    ],
)
def test_a_cloud_that_does_not_answer_keeps_its_rows(
    refresh: Any, data: Path, monkeypatch: pytest.MonkeyPatch, refuses: Any, named: bool, code: int, said: str
) -> None:
    """Silence is not a vanished SKU; and the other clouds' rows are renewed."""
    registered(monkeypatch, Market("a", on_sale=[offer("a", "11", sku="x")]), Market("b", refuses=refuses))
    only(data, row("a/x", "10"), row("b/x", "10"))
    done = refresh("--clouds", "a,b", "--write")
    found = tomllib.loads((data / "prices.toml").read_text())
    assert (done.exit_code, found["a/x"]["usdPerHour"], found["b/x"]["usdPerHour"]) == (code, 11, 10)
    assert said in done.stderr


def test_what_has_no_prices_cannot_be_asked(refresh: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cloud that is none, and one whose machines bill nothing."""
    free = Market("free", capabilities=frozenset({Capability.BILLS_NOTHING}))
    registered(monkeypatch, Market("a"), free)
    for name in ("nowhere", "free"):
        done = refresh("--clouds", name)
        assert (done.exit_code, done.stderr) == (
            1,
            f"crossover: no prices can be asked of {name!r}: choose of a\n",
        )


# --- AWS ---------------------------------------------------------------------------------------------------------


def test_aws_tells_on_demand_reserved_and_spot(refresh: Any, data: Path, aws: PriceList) -> None:
    """Reserved with nothing up front; spot in the dearest zone, asked for only where there is a row or it is accepted;
    all of the row's own region."""
    aws.on_demand = {"p4d.24xlarge": [{"USD": "20"}]}
    aws.reserved = {"p4d.24xlarge": {"1yr": "14", "3yr": "9"}}
    aws.spot = {"p4d.24xlarge": {"eu-west-1a": "8.5", "eu-west-1b": "9.25"}}
    only(data, row("aws/p4d.24xlarge", "21", 'region = "eu-west-1"\n'))
    accepted = ("aws/p4d.24xlarge-reserved-12m", "aws/p4d.24xlarge-spot")
    done = refresh("--clouds", "aws", "--write", *(f"--accept={key}" for key in accepted), "--json")
    assert (done.exit_code, json.loads(done.stdout)["unlisted"]) == (0, ["aws/p4d.24xlarge-reserved-36m"])
    prices = load_catalogue(data).prices
    told = {key: f"{price.usd_per_hour} {price.terms} {price.commitment_months}" for key, price in prices.items()}
    assert told == {
        "aws/p4d.24xlarge": "20 on-demand None",
        "aws/p4d.24xlarge-reserved-12m": "14 reserved 12",
        "aws/p4d.24xlarge-spot": "9.25 spot None",
    }
    assert {price.region for price in prices.values()} == {"eu-west-1"}
    assert set(aws.regions) == {"eu-west-1"}


def test_without_the_right_to_spot_prices_the_others_are_renewed(refresh: Any, data: Path, aws: PriceList) -> None:
    """Another right than the price list's: its row is refused with the right that is missing, and stays."""
    aws.on_demand = {"p4d.24xlarge": [{"USD": "20"}]}
    aws.refuses_spot = True
    only(data, row("aws/p4d.24xlarge", "21"), row("aws/p4d.24xlarge-spot", "9", 'terms = "spot"\n'))
    done = refresh("--clouds", "aws", "--write", "--json")
    told = {change["key"]: change for change in json.loads(done.stdout)["changes"]}
    found = tomllib.loads((data / "prices.toml").read_text())
    assert (found["aws/p4d.24xlarge"]["usdPerHour"], found["aws/p4d.24xlarge-spot"]["usdPerHour"]) == (20, 9)
    assert "ec2:DescribeSpotPriceHistory" in told["aws/p4d.24xlarge-spot"]["reason"]
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([{"CNY": "140"}], "AWS tells its price in CNY and not in USD"),
        ([{"USD": "20"}, {"USD": "21"}], "AWS names 2 prices: 20, 21"),
        ([{"USD": "0"}], "usdPerHour is 0, which is no price"),
        ([], "no longer offered"),
    ],
)
def test_aws_answers_that_are_no_price_are_refused(
    refresh: Any, data: Path, aws: PriceList, answers: list[dict[str, str]], said: str
) -> None:
    aws.on_demand = {"p4d.24xlarge": answers}
    before = only(data, row("aws/p4d.24xlarge", "21"))
    done = refresh("--clouds", "aws", "--write", "--json")
    [change] = json.loads(done.stdout)["changes"]
    assert change["reason"].startswith(said)
    assert (done.exit_code, (data / "prices.toml").read_text()) == (1, before)


def test_aws_refusals_are_told_without_a_key(refresh: Any, data: Path, aws: PriceList) -> None:
    only(data, row("aws/p4d.24xlarge", "21"))
    aws.refuses = "AccessDeniedException"
    done = refresh("--clouds", "aws")
    assert (done.exit_code, "pricing:GetProducts" in done.stderr, "testing" in done.stderr) == (1, True, False)


# --- Bad files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_json", [False, True])
def test_a_bad_file_exits_3_with_file_line_and_key(refresh: Any, data: Path, as_json: bool) -> None:
    only(data, row("a/x", "10").replace("2026-01-01", "2027-01-01"))
    done = refresh("--clouds", "aws", *(["--json"] if as_json else []))
    line = "prices.toml:5: a/x.date: 2027-01-01 is after today, 2026-12-01"
    told = json.loads(done.stdout)["errors"] if as_json else [done.stderr.strip().removeprefix("cannot evaluate: ")]
    assert (done.exit_code, told) == (3, [line])
