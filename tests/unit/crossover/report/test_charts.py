"""The charts of `crossover plan --charts`: what is drawn, that it can be read, and that it comes out the same."""

from __future__ import annotations

import itertools
import json
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from datetime import date
from fractions import Fraction
from math import exp
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from typer.testing import CliRunner

from cost_guard.arithmetic.months.crossings import Crossing
from cost_guard.arithmetic.reading import Reading
from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.scenario.proposal import parse_scenario
from cost_guard.verdict.rule import Judged
from cost_guard.verdict.verdict import Verdict
from scripts.crossover.__main__ import app
from scripts.crossover.report.charts import CHARTS, probability, staircase, tco, tornado, write
from scripts.crossover.report.charts.canvas import DARK, DPI, HEIGHT, LIGHT, WIDTH, Theme, figure_of, render
from tests.support.gate import verdict_of

ROOT = Path(__file__).parents[4]
IMAGES = ROOT / "docs" / "images" / "plan"
PER = Fraction(4759) * Fraction(7, 10) * 730 * 3600 / 2
"""Tokens per month of a node of facts/breakeven.md: C = 4,759, u = 0.7, ρ = 2."""
SVG = "{http://www.w3.org/2000/svg}"

Judge = Callable[..., Verdict]


def judge(volume: str = "6e9", price: str = "5", rho: str = "2", nodes: int = 2, **sections: Any) -> Verdict:
    """The scenario of facts/breakeven.md: two nodes at $7,920, one spare, $4,100 of overhead."""
    data = {
        "workload": {"tokensPerMonth": volume, "kind": "measured", "peakToMean": rho, **sections.pop("workload", {})},
        "managed": {"usdPerMillionTokens": price, "model": "claude-opus-4-8", "source": "x", "date": "2026-11-01"},
        "fleet": {"nodes": nodes, "usdPerNodeMonth": 7920, "tokensPerSecond": 4759},
        **sections,
    }
    return verdict_of(parse_scenario(data, prefix=""), load_catalogue(), date(2026, 11, 22), bills_money=False)


CASES = {
    "pays": judge(),
    "between first and stable": judge("4.2e9"),
    "far below": judge("500e6", horizon={"upfrontUsd": 180000, "discountRatePerYear": 0.08}),
    "none exists": judge("24e9", price="0.8", workload={"growthPerMonth": 0.05}),
    "meets late": judge(horizon={"months": 120, "upfrontUsd": 250000, "discountRatePerYear": 0.125}),
    "huge": judge("9e12", nodes=999),
    "meets often": judge("20e9", workload={"growthPerMonth": "-0.1"}, horizon={"upfrontUsd": 30000}),
    "certain": judge(uncertainty={"volume": 0, "outlook": 0, "throughput": 0, "apiPrice": 0, "overhead": 0}),
}


def exactly(*values: Any) -> Any:
    """Whole numbers stand for fractions."""
    return values


def judged_of(verdict: Verdict) -> Judged:
    assert verdict.shown is not None
    return verdict.shown


def stairs_of(verdict: Verdict) -> Reading:
    return judged_of(verdict).reading


def test_the_staircase_has_its_corners_where_nodes_are_added() -> None:
    """One node carries the peak of PER tokens, the other is spare; each further PER asks for one node more."""
    drawn = staircase.data(stairs_of(judge()))
    assert drawn.to == Fraction(6 * 10**9) * Fraction(13, 10)
    assert drawn.stairs == exactly((0, 19940), (PER, 19940), (PER, 27860), (drawn.to, 27860))
    assert drawn.managed == exactly((0, 0), (drawn.to, 39000))


def test_the_marks_of_the_staircase_are_those_of_the_facts() -> None:
    """First 19,940/5 = 3.988B; lost above PER = 4.377B; stable (3 × 7,920 + 4,100)/5 = 5.572B; 2,140 saved at 6B."""
    drawn = staircase.data(stairs_of(judge()))
    assert drawn.first == exactly(3_988_000_000, 19940)
    assert drawn.stable == exactly(5_572_000_000, 27860)
    assert drawn.losing == exactly((0, 3_988_000_000), (PER, 5_572_000_000))
    assert drawn.saving == 2140


def test_where_no_break_even_exists_everything_is_tinted_and_nothing_marked() -> None:
    drawn = staircase.data(stairs_of(judge("24e9", price="0.8")))
    assert (drawn.first, drawn.stable, drawn.losing) == exactly(None, None, ((0, drawn.to),))


@pytest.mark.parametrize("name", CASES)
def test_the_staircase_lies_on_the_cost_and_is_tinted_where_it_loses(name: str) -> None:
    """Right edges and middles of the steps, against Staircase.cost and Staircase.pays."""
    verdict = CASES[name]
    stairs = stairs_of(verdict)
    drawn = staircase.data(stairs)
    assert len(drawn.stairs) <= 2 * staircase.MOST_STEPS * 2 + 2
    if (drawn.to - drawn.stairs[1][0]) / stairs.added.tokens_per_month < staircase.MOST_STEPS:
        for (left, cost), (right, same) in itertools.pairwise(drawn.stairs):
            if left < right:
                assert cost == same == stairs.cost(right) == stairs.cost((left + right) / 2)
    for place in range(1, 200):
        volume = drawn.to * place / 200
        tinted = any(low < volume < high for low, high in drawn.losing)
        assert tinted is not stairs.pays(volume) or volume in {edge for pair in drawn.losing for edge in pair}


def test_the_tornado_tells_each_uncertainty_at_its_p10_and_p90() -> None:
    """Factors exp(∓1.28155 σ), over 24 months; the API price moves 6B × $5 alone, the overhead $4,100 alone."""
    bars = {bar.name: bar for bar in tornado.data(judged_of(judge()))}
    assert set(bars) == {"volume", "growth", "API price", "overhead", "throughput", "node price"}
    for sign, end in ((-1, "low_saving_usd"), (1, "high_saving_usd")):
        price, overhead = (exp(sign * 1.2815515655446004 * sigma) for sigma in (0.10, 0.25))
        assert float(getattr(bars["API price"], end)) == pytest.approx(24 * (30_000 * price - 27_860))
        assert float(getattr(bars["overhead"], end)) == pytest.approx(24 * (30_000 - 23_760 - 4100 * overhead))
    assert (bars["API price"].low, bars["API price"].high) == ("$4.40/M", "$5.68/M")
    assert bars["throughput"].low_saving_usd == bars["throughput"].high_saving_usd == 24 * 2140
    assert bars["node price"].low_saving_usd == bars["node price"].high_saving_usd == 24 * 2140


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("pays", "Growth or API price alone can make it lose"),
        ("far below", "No uncertainty alone makes it pay"),
        ("certain", "No uncertainty alone makes it lose"),
    ],
)
def test_the_tornado_says_what_turns_the_answer(name: str, title: str) -> None:
    assert tornado.chart(CASES[name]).title == title


def test_the_sums_meet_where_the_crossover_month_is() -> None:
    """20,000 up front against 2,140 a month: after 20000/2140 months, at 30,000 a month."""
    drawn = tco.data(judged_of(judge(horizon={"upfrontUsd": 20000})))
    at = Fraction(20000, 2140)
    assert drawn.crossings == ((Crossing(at, "self-hosted"), (at, at * 30000)),)
    assert drawn.self_hosted[:3] == exactly((0, 0), (0, 20000), (1, 47860))
    assert (drawn.managed[-1], drawn.self_hosted[-1]) == exactly((24, 720_000), (24, 24 * 27_860 + 20_000))


def test_the_first_day_is_marked_and_what_never_happens_is_not() -> None:
    """Cheaper at once, and never."""
    drawn = tco.data(judged_of(CASES["pays"]))
    assert (drawn.crossings, drawn.best_start) == exactly(((Crossing(Fraction(0), "self-hosted"), (0, 0)),), 0)
    never = tco.data(judged_of(CASES["none exists"]))
    assert (never.crossings, never.best_start) == ((), None)


@pytest.mark.parametrize("name", ["pays", "between first and stable", "far below", "none exists", "certain"])
def test_the_curve_passes_through_the_verdicts_probability(name: str) -> None:
    """At another volume it says what the gate would say there; it never falls."""
    verdict = CASES[name]
    drawn = probability.data(judged_of(verdict))
    assert drawn.share == verdict.break_even.probability
    shares = [share for _, share in drawn.curve]
    assert shares == sorted(shares)
    for volume, share in ((drawn.even, 0.5), (drawn.likely, 0.8)):
        if volume is not None:
            reached = judge(str(volume * 1.000001), **_uncertainty(verdict)).break_even.probability
            assert reached is not None
            assert reached >= share


def _uncertainty(verdict: Verdict) -> dict[str, Any]:
    return {
        "uncertainty": {
            name.removeprefix("uncertainty."): None if given.value is None else str(given.value)
            for name, given in verdict.inputs.items()
            if name.startswith("uncertainty.")
        }
    }


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_all_colours_but_the_grid_contrast_with_the_background(theme: Theme) -> None:
    """4.5 as WCAG 2 asks for text; white, and GitHub's #0d1117, are the backgrounds."""
    assert theme.background in ("#ffffff", "#0d1117")
    for field in fields(theme):
        if field.name not in ("background", "grid"):
            assert contrast(getattr(theme, field.name), theme.background) >= 4.5, field.name


def test_the_two_sides_differ_also_without_colour() -> None:
    """In lightness, besides the names at their ends: a contrast of 1.5 between them, as printed in grey."""
    for theme in (LIGHT, DARK):
        assert contrast(theme.ours, theme.theirs) >= 1.5


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast ratio of two colours "#rrggbb"."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """WCAG 2's relative luminance."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_contrast_is_wcags() -> None:
    """Its two ends: 21 for black on white, 1 for a colour on itself."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#777777") == 1


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize("name", CASES)
def test_no_word_leaves_the_picture(name: str, chart: str) -> None:
    """Whatever the figures: the measured extent of every text lies within."""
    figure = figure_of(CHARTS[chart](CASES[name]), LIGHT)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    low, high = figure.axes[0].get_xlim()
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if not text.get_text() or not text.get_visible():
            continue
        box = text.get_window_extent(canvas.get_renderer())
        on_axis = text in figure.axes[0].get_xticklabels() and not low <= text.get_position()[0] <= high
        assert on_axis or (box.x0 >= 0 and box.x1 <= WIDTH * DPI and box.y0 >= 0 and box.y1 <= HEIGHT * DPI), text


@pytest.mark.parametrize("chart", CHARTS)
def test_both_formats_are_what_they_say_and_come_out_the_same_twice(chart: str) -> None:
    """A PNG of 1280 × 720; an SVG with a role, a title and a description, without a date, a script or an address."""
    made = CHARTS[chart](CASES["pays"])
    svg, png = render(made, LIGHT)
    assert render(CHARTS[chart](judge()), LIGHT) == (svg, png)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (1280, 720)
    root = ElementTree.fromstring(svg)
    assert (root.tag, root.get("role"), root.get("aria-labelledby")) == (f"{SVG}svg", "img", "title desc")
    assert [root.findtext(f"{SVG}{name}") for name in ("title", "desc")] == [made.title, made.description]
    assert made.title in {text.text for text in root.iter(f"{SVG}text")}
    assert not list(root.iter(f"{SVG}script"))
    assert b"dc:date" not in svg
    assert b"dc:creator" not in svg


def test_what_a_scenario_says_cannot_break_the_svg() -> None:
    """A title with markup stays text."""
    made = CHARTS["tco"](CASES["pays"])
    odd = type(made)("<b>&", made.subtitle, "<script>&", made.paint)
    root = ElementTree.fromstring(render(odd, DARK)[0])
    assert (root.findtext(f"{SVG}title"), root.findtext(f"{SVG}desc")) == ("<b>&", "<script>&")


def test_the_committed_charts_and_the_report_of_the_docs_are_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/howto/plan.md names the command; the SVG files are the snapshot, of at most 60 kB as the PNG files are."""
    monkeypatch.chdir(ROOT)
    page = Path("docs/howto/plan.md").read_text(encoding="utf-8")
    command = "crossover plan --file docs/howto/plan.yaml --today 2026-11-22 --charts docs/images/plan"
    assert f"    {command}" in page
    done = CliRunner().invoke(app, [*command.split()[1:-1], str(tmp_path)])
    report = done.stdout.partition("\nCharts in ")[0]
    told = [line.rstrip() for line in report.splitlines()]
    excerpt = page.partition("```text\n")[2].partition("\n```")[0].splitlines()
    assert excerpt[0] == "$ crossover plan --file docs/howto/plan.yaml --today 2026-11-22"
    for block in "\n".join(excerpt[1:]).split("\n[…]\n"):
        assert block.strip("\n") in "\n".join(told)
    made = {path.name: path for path in tmp_path.iterdir()}
    assert sorted(made) == sorted(path.name for path in IMAGES.iterdir())
    assert len(made) == 16
    for name, path in made.items():
        committed = (IMAGES / name).read_bytes()
        assert len(committed) <= 60_000
        if name.endswith(".svg"):
            assert path.read_bytes() == committed, f"{name}: run the command of docs/howto/plan.md"


def test_pyplot_is_never_loaded_and_matplotlib_only_for_charts(scenario_file: Callable[..., str]) -> None:
    """In a process of its own, because tests beside may have loaded them."""
    path = scenario_file()
    program = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from scripts.crossover.__main__ import app\n"
        f"done = CliRunner().invoke(app, ['plan', '--json', '--file', {path!r}])\n"
        "assert done.exit_code == 0 and 'matplotlib' not in sys.modules\n"
        f"done = CliRunner().invoke(app, ['plan', '--json', '--file', {path!r}, '--charts', sys.argv[1]])\n"
        "assert done.exit_code == 0 and 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules\n"
    )
    folder = Path(path).parent / "charts"
    command = [sys.executable, "-c", program, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(folder.iterdir())) == 16


def test_drawing_leaves_no_trace_in_matplotlibs_settings() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    render(CHARTS["tco"](CASES["pays"]), LIGHT)
    assert dict(matplotlib.rcParams) == before


def test_a_folder_that_cannot_be_written_says_so(scenario_file: Callable[..., str], tmp_path: Path) -> None:
    """Exit 1 and nothing on standard output, with --json too."""
    taken = tmp_path / "taken"
    taken.write_text("a file")
    for folder in (taken, taken / "below"):
        done = CliRunner().invoke(app, ["plan", "--json", "--file", scenario_file(), "--charts", str(folder)])
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr.startswith(f"crossover: --charts: {folder} cannot be written: ")


def test_without_a_price_there_are_no_charts(scenario_file: Callable[..., str], tmp_path: Path) -> None:
    """The verdict is still told, with its exit code."""
    path = scenario_file(fleet={"nodes": 2, "sku": "lambda/nonsense"}, workload={"model": "org/model"})
    done = CliRunner().invoke(app, ["plan", "--json", "--file", path, "--charts", str(tmp_path / "none")])
    assert (done.exit_code, json.loads(done.stdout)["verdict"]) == (2, "BLOCK")
    assert "no charts: a price or a throughput is not known" in done.stderr
    assert not (tmp_path / "none").exists()


def test_the_files_are_named_after_chart_and_theme(tmp_path: Path) -> None:
    names = [path.relative_to(tmp_path / "a" / "b").as_posix() for path in write(CASES["pays"], tmp_path / "a" / "b")]
    assert names[:4] == ["staircase.svg", "staircase.png", "staircase-dark.svg", "staircase-dark.png"]
    assert {name.partition(".")[0].removesuffix("-dark") for name in names} == set(CHARTS)
