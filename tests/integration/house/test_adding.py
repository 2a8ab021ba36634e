"""What one adds is found where a user looks for it, and no other line has to know of it: toys of each kind, in a copy
of the tree. `toys/<kind>/` holds exactly what is added; a cloud also needs the lines of ROWS.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.support.checkout import TODAY, Checkout

TOYS = Path(__file__).parent / "toys"
FILES = {
    "alert": 3,  # the rules, their test, the runbook
    "cloud": 4,  # a folder: __init__, config, client, cloud
    "command": 1,
    "engine": 1,
    "resource_rule": 1,
    "usage_format": 1,
    "verdict_rule": 1,
}
DATA = "policies/cost_guard/catalogue/data"
DATED = f'date = {TODAY}\nsource = "a test"\n'
MACHINE = 'machine = "8x-a100-sxm-80gb"\n'
ROWS = {
    "providers/registry.py": ('    "vastai": ', '    "toycloud": _row("toycloud.cloud", "ToyCloud"),\n'),
    f"{DATA}/clouds.toml": ("", "\n[toycloud]\n"),
    f"{DATA}/prices.toml": (
        "",
        f'\n["toycloud/box"]\nmachine = "8x-a100-sxm-80gb"\nusdPerHour = 11\nkind = "list"\n{DATED}',
    ),
}
"""File → before which line (at the end where there is none), and what a cloud adds there."""

Added = Callable[[str], Checkout]


@pytest.fixture
def added() -> Iterator[Added]:
    """added("engine"): a copy of the tree with that toy, and a stack `local`."""
    made: list[Checkout] = []

    def add(kind: str) -> Checkout:
        made.append(clone := Checkout.make())
        shutil.copytree(TOYS / kind, clone.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        for name, (before, line) in ROWS.items() if kind == "cloud" else ():
            text = (clone.folder / name).read_text()
            assert before in text
            place = text.index(before) if before else len(text)
            (clone.folder / name).write_text(text[:place] + line + text[place:])
        return clone

    yield add
    for clone in made:
        clone.discard()


CROSSOVER = (".venv/bin/python", "-m", "scripts.crossover")

COMPOSE = """
import json
from tests.support.composition import INSTALL, compose
made = compose("local")
print(json.dumps({name: made.inputs(INSTALL, name)["bundle"] for name in made.of(INSTALL)}))
"""


def bundles(clone: Checkout) -> dict[str, str]:
    """What the program would bring onto each machine, as text."""
    made: dict[str, object] = clone.told(".venv/bin/python", "-c", COMPOSE)
    return {name: json.dumps(bundle) for name, bundle in made.items()}


def preview(clone: Checkout, *, fails: bool = False) -> str:
    """What the engine would do, and what the pack says of it."""
    clone.init()
    return clone.pulumi("preview", "-s", "local", "--policy-pack", "policies", "--diff", fails=fails)


def test_each_kind_is_as_few_files_as_is_said() -> None:
    """Those of CONTRIBUTING.md."""
    kinds = {kind.name: [path for path in kind.rglob("*") if path.is_file()] for kind in TOYS.iterdir()}
    counts = {kind: len([p for p in found if p.suffix != ".pyc"]) for kind, found in kinds.items()}
    assert counts == FILES


def test_a_command_is_listed_and_runs(added: Added) -> None:
    clone = added("command")
    assert "Says hello." in clone.run(*CROSSOVER, "--help")
    assert clone.run(*CROSSOVER, "hello", "--name", "world") == "hello world\n"


def test_a_usage_format_is_imported(added: Added) -> None:
    """It is told by its header, and taken by name: 30 days of 3M tokens are 91.25M a month of 730 hours."""
    clone = added("usage_format")
    days = (date.fromisoformat(TODAY) - timedelta(days=back) for back in range(30, 0, -1))
    table = ["day,heard,said", *(f"{day},2000000,1000000" for day in days)]
    (clone.folder / "export.csv").write_text("\n".join(table))
    for form in ("auto", "toy"):
        told = clone.told(*CROSSOVER, "usage", "import", "export.csv", "--format", form, "--json")
        assert (told["tokensPerMonth"], told["sources"][0]["format"]) == (91_250_000, "toy")


def test_an_engine_can_be_selected_and_starts_on_the_nodes(added: Added) -> None:
    clone = added("engine")
    clone.configure({"serving.engine": "toy"})
    started = {name for name, bundle in bundles(clone).items() if '"toy-serve"' in bundle}
    assert started == {"a-inference", "b-inference"}
    clone.configure({"serving.engine": "toi"})
    assert "'toy'" in clone.run(*CROSSOVER, "plan", "--stack", "local", fails=True)


def test_an_alert_is_in_the_bundle_of_the_gateway_and_is_tested(added: Added) -> None:
    clone = added("alert")
    assert "images/roles/monitoring/rules/toy.yaml" in bundles(clone)["gateway-router"]
    suite = "tests/unit/images/roles/monitoring/test_rules.py"
    tested = clone.run(".venv/bin/python", "-m", "pytest", suite, "-v", "-k", "toy", "-p", "no:cacheprovider")
    assert "[toy] PASSED" in tested
    assert "[ToyBroken] PASSED" in tested


@pytest.mark.engine
def test_a_rule_on_the_verdict_judges_in_plan_program_and_pack(added: Added) -> None:
    clone = added("verdict_rule")
    plan = clone.told(*CROSSOVER, "plan", "--stack", "local", "--json", fails=True)
    said = f"on {TODAY} the toy forbids it"
    assert {"code": "toy-names", "level": "BLOCK", "message": said} in plan["reasons"]
    shown = preview(clone, fails=True)
    assert f"BLOCK toy-names: {said}" in shown
    assert "[mandatory] [severity: low]  toy-names" in shown


@pytest.mark.engine
def test_a_rule_on_a_resource_is_the_packs(added: Added) -> None:
    shown = preview(added("resource_rule"), fails=True)
    assert "[mandatory] [severity: low]  toy-keys" in shown
    assert "the toy forbids the node a" in shown


@pytest.mark.engine
def test_a_cloud_is_judged_configured_and_asked(added: Added) -> None:
    """The gate knows its price, settings ask it of its section, and `offers` what it has."""
    clone = added("cloud")
    rungs = {
        key: {"cloud": "toycloud", "region": region, "sku": "box"} for key, region in (("a", "attic"), ("b", "barn"))
    }
    nodes = {key: {"candidates": [rung]} for key, rung in rungs.items()}
    why = {"reason": "rate limits below the peak", "approvedBy": "a. person", "date": str(TODAY)}  # this cloud bills
    change = {"fleet.nodes": nodes, "managed.notSameWeights": why}
    clone.configure({**change, "clouds.toycloud": {"color": "red"}})
    shown = preview(clone, fails=True)
    assert "clouds.toycloud.color: unknown key (known are colour)" in shown
    clone.configure({"clouds.toycloud": {"colour": "red"}})
    plan = clone.run(*CROSSOVER, "plan", "--stack", "local")
    assert f"Price of toycloud/box: list price of {TODAY} is $11/h × 730 = $8,030." in plan
    assert "price-known" not in plan
    assert "toycloud" in clone.pulumi("preview", "-s", "local", "--policy-pack", "policies", "--diff")
    offers = clone.told(*CROSSOVER, "offers", "--cloud", "toycloud", "--json")["offers"]
    assert [(offer["cloud"], offer["sku"], offer["region"]) for offer in offers] == [("toycloud", "box", "attic")]
