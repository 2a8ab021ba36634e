"""`crossover doctor`: what `up` would run into, told before money is spent, each line with a remedy."""

from __future__ import annotations

import json
import re
import socket
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cost_guard.catalogue.catalogue import CatalogueError, load_catalogue
from images.sources import REPOSITORY
from providers.base import Capability
from providers.errors import Unauthorized, Unavailable
from providers.preflight import Check, Grade
from scripts.crossover.__main__ import app
from scripts.crossover.doctor import checks
from scripts.crossover.doctor import looks as doctor
from scripts.crossover.doctor.checks import Wanted
from scripts.crossover.shell.clouds import CloudAnswer
from scripts.crossover.stack import fleet
from scripts.crossover.stack.engine import StackError
from tests.support.market import MISSING, Market, offer, registered

LAMBDA = "gpu_8x_a100_80gb_sxm4"
KEY = f"lambda/{LAMBDA}"
"""22.32 USD/h in the catalogue (live-seen 2026-09-20)."""
TODAY = date(2026, 11, 22)


def rung(node: str = "a", region: str = "r1", ceiling: str | None = None, key: str | None = KEY) -> Wanted:
    return Wanted(node, "lambda", region, LAMBDA, None if ceiling is None else Decimal(ceiling), key)


def judged(wanted: list[Wanted], *offers: Any, standing: tuple[str, ...] = ()) -> list[Check]:
    return checks.candidates(wanted, [CloudAnswer("lambda", tuple(offers))], load_catalogue(), standing, today=TODAY)


def on_sale(price: str = "22.32", region: str = "r1", available: bool = True, sku: str = LAMBDA) -> Any:
    return offer("lambda", price, region, sku, available)


def test_a_rung_at_the_catalogues_price_and_below_its_ceiling_is_well() -> None:
    [check] = judged([rung(ceiling="25")], on_sale())
    assert check == Check(
        f"lambda/r1/{LAMBDA}", Grade.OK,
        "free at 22.32 USD/h, ceiling 25; the gate reckons 22.32 of 2026-09-20: +0 %",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("price", "level", "told"),
    [("23.43", Grade.OK, "+5 %"), ("24.552", Grade.WARN, "+10 %"), ("20.088", Grade.WARN, "-10 %")],
)
def test_a_live_price_far_from_the_catalogues_warns(price: str, level: Grade, told: str) -> None:
    """22.32 × 1.1 = 24.552; × 0.9 = 20.088; 23.43 is 4.97 % above."""
    [check] = judged([rung()], on_sale(price))
    assert (check.level, check.detail.endswith(told), bool(check.remedy)) == (level, True, level is Grade.WARN)


@pytest.mark.parametrize(
    ("sold", "ceiling", "told", "remedy"),
    [
        (on_sale(available=False), None, "none is free now", "none is free elsewhere in this cloud"),
        (on_sale("30"), "25", "30 USD/h, above the ceiling of 25", "raise maxUsdPerHour"),
        (on_sale(region="r2"), None, "lambda has no region r1", "choose one of r2"),
        (on_sale(sku="gpu_8x_a100"), None, f"lambda has no {LAMBDA} in r1", "did you mean gpu_8x_a100?"),
    ],
)
def test_what_cannot_be_had_fails_and_says_what_to_do(sold: Any, ceiling: str | None, told: str, remedy: str) -> None:
    [check] = judged([rung(ceiling=ceiling)], sold)
    assert check.level is Grade.FAIL
    assert told in check.detail
    assert check.detail.endswith("nothing else can be had for node a")
    assert remedy in check.remedy


def test_where_it_is_free_instead_is_told() -> None:
    [check] = judged([rung()], on_sale(available=False), on_sale(region="r7"), on_sale(region="r3"))
    assert check.remedy.startswith("it is free in r3, r7")


def test_a_rung_that_cannot_be_had_only_warns_while_its_nodes_have_another() -> None:
    wanted = [rung("a", "r1"), rung("a", "r2"), rung("b", "r2")]
    first, second = judged(wanted, on_sale(available=False), on_sale(region="r2"))
    assert (first.level, second.level) == (Grade.WARN, Grade.OK)
    first, second = judged([rung("a", "r1"), rung("b", "r2")], on_sale(available=False), on_sale(region="r2"))
    assert (first.level, second.level) == (Grade.FAIL, Grade.OK)


def test_a_node_that_has_its_machine_needs_no_capacity() -> None:
    [check] = judged([rung()], on_sale(available=False), standing=("a",))
    assert check.level is Grade.WARN


def test_a_sku_that_the_gate_knows_no_price_of_fails() -> None:
    [check] = judged([rung(key="lambda/gpu_8x_a100_80gb")], on_sale())
    assert check.level is Grade.FAIL
    assert "add a row lambda/gpu_8x_a100_80gb" in check.remedy
    assert KEY in check.remedy


def test_the_cheapest_that_is_free_counts() -> None:
    [check] = judged([rung(ceiling="25", key=None)], on_sale("9", available=False), on_sale("24"), on_sale("30"))
    assert (check.level, check.detail) == (Grade.OK, "free at 24 USD/h, ceiling 25")


def test_a_rung_at_a_cloud_that_did_not_answer_fails() -> None:
    [check] = checks.candidates([rung()], [CloudAnswer("lambda", failed="503")], load_catalogue(), today=TODAY)
    assert (check.level, "lambda could not be asked" in check.detail) == (Grade.FAIL, True)


@pytest.mark.parametrize(
    ("answer", "used", "level"),
    [
        (CloudAnswer("a", (on_sale(), on_sale(available=False))), True, Grade.OK),
        (CloudAnswer("a", missing=MISSING), True, Grade.FAIL),
        (CloudAnswer("a", missing=MISSING), False, Grade.OK),
        (CloudAnswer("a", failed="503"), True, Grade.FAIL),
        (CloudAnswer("a", failed="503"), False, Grade.WARN),
    ],
)
def test_only_what_the_stack_uses_can_fail_it(answer: CloudAnswer[Any], used: bool, level: Grade) -> None:
    assert checks.credentials(answer, used).level is level


@pytest.mark.parametrize(
    ("found", "level"),
    [("v3.259.0", "ok"), ("3.260.1", "ok"), ("v3.259.0-dev.1", "ok"), ("v3.258.9", "fail"), (None, "fail")],
)
def test_an_engine_that_is_too_old_fails(found: str | None, level: str) -> None:
    assert checks.version("engine", found, checks.LEAST_ENGINE, "run scripts/bootstrap").level == level


def test_what_is_demanded_is_what_the_bootstrap_installs() -> None:
    script = (REPOSITORY / "scripts" / "bootstrap").read_text()
    assert f"least_engine={checks.LEAST_ENGINE}\n" in script
    assert f"least_python={checks.LEAST_PYTHON}\n" in script
    listed = re.search(r"system_programs=\((.*?)\)", script, re.DOTALL)
    assert listed is not None
    assert [pair.partition(":")[0] for pair in listed[1].split()] == list(doctor.PROGRAMS)


def test_the_rungs_come_from_the_committed_configuration() -> None:
    """Of Pulumi.local.yaml: nodes a and b, and the gateway's machine; what stands for another has no price."""
    found = [(w.node, *w.place, w.catalogue_key) for w in doctor.wanted("organization/crossover/local")]
    assert found == [
        ("a", "local", "bay-1", "sim-8x-a100", None),
        ("b", "local", "bay-2", "sim-8x-a100", None),
        ("gateway", "local", "bay-3", "small", None),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "crossover:workload"),
        ("[", "cannot read stacks/config/Pulumi.x.yaml"),
        (None, "there is no stacks/config/Pulumi.x.yaml"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, told: str
) -> None:
    folder = tmp_path / "stacks" / "config"
    folder.mkdir(parents=True)
    monkeypatch.setattr(fleet, "REPOSITORY", tmp_path)
    if text is not None:
        (folder / "Pulumi.x.yaml").write_text(text)
    with pytest.raises(StackError, match=re.escape(told)) as e:
        doctor.wanted("x")
    assert "\n" not in str(e.value)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An engine of the right version, and no stack yet; nothing is remembered of machines that were duds."""
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}/backend")

    def absent(stack: str) -> Any:
        raise StackError("no stack")

    monkeypatch.setattr(doctor, "pulumi", lambda *arguments: "v3.259.0\n")
    monkeypatch.setattr(doctor, "resources", absent)
    monkeypatch.setattr(doctor, "_missing_programs", list)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["doctor", *arguments])


def local_market() -> Market:
    sold = [offer("local", "0", f"bay-{bay}", sku) for bay in (1, 2, 3) for sku in ("sim-8x-a100", "small")]
    return Market("local", frozenset({Capability.BILLS_NOTHING, Capability.THIS_COMPUTER}), on_sale=sold)


@pytest.mark.usefixtures("engine")
def test_all_well_exits_0_and_one_failure_1(monkeypatch: pytest.MonkeyPatch) -> None:
    market = local_market()
    registered(monkeypatch, market, Market("other", refuses=Unauthorized(MISSING)))
    done = run("--json")
    assert (done.exit_code, {check["level"] for check in json.loads(done.stdout)}) == (0, {"ok"})
    market.refuses = Unavailable("503")
    done = run("--json")
    failed = [check["name"] for check in json.loads(done.stdout) if check["level"] == "fail"]
    assert done.exit_code == 1
    assert failed[0] == "cloud local"
    assert "→ see the check of the way out" in run().stdout


@pytest.mark.usefixtures("engine")
def test_a_cloud_that_does_not_exist_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch, Market("other"))
    checked = {check["name"]: check["level"] for check in json.loads(run("--json").stdout)}
    assert checked["cloud local"] == "fail"


@pytest.mark.usefixtures("engine")
def test_a_renting_cloud_that_tells_no_quota_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    market = local_market()
    market.capabilities = frozenset()
    registered(monkeypatch, market)
    done = run("--json")
    [quota] = [check for check in json.loads(done.stdout) if check["name"] == "quota of local"]
    assert (done.exit_code, quota["level"]) == (0, "warn")
    assert quota["detail"] == "cannot be asked: its API does not tell"


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("broken", ["catalogue", "day"])
def test_what_the_gate_cannot_judge_by_hides_no_other_check(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """A price row that is wrong, or a day that is none, is a failed check and no traceback."""

    def refused() -> Any:
        raise CatalogueError("prices.toml:9: a/b.source: missing; it has no default, set it")

    if broken == "catalogue":
        monkeypatch.setattr(doctor, "load_catalogue", refused)
    else:
        monkeypatch.setenv("CROSSOVER_TODAY", "soon")
    registered(monkeypatch, local_market())
    done = run("--json")
    found = {check["name"]: check for check in json.loads(done.stdout)}
    assert (done.exit_code, found["prices"]["level"], found["cloud local"]["level"]) == (1, "fail", "ok")
    assert ("prices.toml:9" if broken == "catalogue" else "CROSSOVER_TODAY is 'soon'") in found["prices"]["detail"]


def test_a_structured_value_may_stand_as_json_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As `pulumi config set` writes it, and as the program reads it."""
    folder = tmp_path / "stacks" / "config"
    folder.mkdir(parents=True)
    document = yaml.safe_load((REPOSITORY / "stacks" / "config" / "Pulumi.local.yaml").read_text())
    document["config"]["crossover:fleet"] = json.dumps(document["config"]["crossover:fleet"])
    (folder / "Pulumi.x.yaml").write_text(yaml.safe_dump(document))
    committed = doctor.wanted("local")
    monkeypatch.setattr(fleet, "REPOSITORY", tmp_path)
    assert doctor.wanted("x") == committed


@pytest.mark.parametrize(
    ("day", "level"),
    [(date(2026, 12, 19), Grade.OK), (date(2026, 12, 20), Grade.WARN), (date(2027, 3, 20), Grade.FAIL)],
)
def test_an_old_price_is_told_as_the_gate_will_take_it(day: date, level: Grade) -> None:
    """Of 2026-09-20: 90, 91 and 181 days."""
    [check] = checks.candidates([rung()], [CloudAnswer("lambda", (on_sale(),))], load_catalogue(), today=day)
    assert (check.level, bool(check.remedy)) == (level, level is not Grade.OK)


def test_a_cloud_without_a_price_is_judged_by_the_catalogues() -> None:
    untold = replace(on_sale(), usd_per_hour=None, available=None, description="no right")
    [check] = judged([rung(ceiling="25")], untold)
    assert (check.level, check.detail) == (
        Grade.OK, "offered, price not told: no right, ceiling 25; the gate reckons 22.32 of 2026-09-20",
    )  # fmt: skip


def test_the_way_out_is_tried_by_tcp(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert doctor.way_out("a", f"http://127.0.0.1:{port}/v1").level is Grade.OK
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        through = doctor.way_out("a", "https://cloud.example/v1")
        assert (through.level, through.detail.startswith("the proxy before cloud.example")) == (Grade.OK, True)
    monkeypatch.delenv("https_proxy")
    closed = doctor.way_out("a", f"http://127.0.0.1:{port}")
    assert (closed.level, "does not take connections" in closed.detail) == (Grade.FAIL, True)


def test_a_name_that_cannot_be_resolved_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any, **named: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(doctor, "getproxies", dict)
    monkeypatch.setattr(socket, "getaddrinfo", fails)
    check = doctor.way_out("a", "https://cloud.example/v1")
    assert (check.level, "cloud.example:443: the name cannot be resolved" in check.detail) == (Grade.FAIL, True)


@pytest.mark.usefixtures("engine")
def test_the_committed_configuration_needs_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "stacks" / "config"
    folder.mkdir(parents=True)
    document = yaml.safe_load((REPOSITORY / "stacks" / "config" / "Pulumi.local.yaml").read_text())
    document["config"]["crossover:apiKeys"] = {"openai": {"secure": "v1:ciphertext"}}
    (folder / "Pulumi.x.yaml").write_text(yaml.safe_dump(document))
    monkeypatch.setattr(fleet, "REPOSITORY", tmp_path)
    registered(monkeypatch, local_market())
    done = run("--stack", "x")
    assert done.exit_code == 0
    assert "ciphertext" not in done.output
