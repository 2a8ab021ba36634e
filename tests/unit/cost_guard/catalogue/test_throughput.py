"""What a machine serves of a model: the committed rows are what their shapes, or the row they are scaled from, say."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path

import pytest

from cost_guard.arithmetic.memory import MachineGpus, ServingSizes, divides, footing
from cost_guard.catalogue.catalogue import Catalogue, CatalogueError, load_catalogue
from cost_guard.catalogue.fit import fitted
from cost_guard.catalogue.throughput import Throughput
from tests.unit.cost_guard.catalogue.test_catalogue import written

ROWS = load_catalogue().throughputs
FITTED = [row for row in ROWS.values() if len(row.shapes) > 1]
SCALED = [row for row in ROWS.values() if row.scaled_from]
LLAMA = "meta-llama/Llama-3.1-70B-Instruct"
SERVED = f"""["8x-a100-sxm-80gb@{LLAMA}"]
prefillTokensPerSecond = 7201
decodeTokensPerSecond = 5555
sigma = 0.29
kind = "measured"
date = 2026-01-01
source = "s"
"""


def misfit(row: Throughput, prefill: float, decode: float) -> float:
    """Σ(ln Ĉ − ln C)² over a row's shapes, Ĉ = (i + o)/(i/P + o/D) of i input and o output tokens."""
    found = 0.0
    for read, write, rate in row.shapes:
        found += math.log((read + write) / (read / prefill + write / decode) / float(rate)) ** 2
    return found


@pytest.mark.parametrize("row", FITTED, ids=lambda row: row.key)
def test_prefill_and_decode_are_the_fit_of_their_shapes(row: Throughput) -> None:
    """No other P and D, nearby in any direction, fit better; sigma is the root mean square of what is left, of what is
    modelled 0.5."""
    prefill, decode = float(row.prefill_tokens_per_second), float(row.decode_tokens_per_second)
    best = misfit(row, prefill, decode)
    for step in (0.005, 0.05, 0.5):
        for turn in range(16):
            along, across = math.cos(turn * math.pi / 8), math.sin(turn * math.pi / 8)
            assert misfit(row, prefill * math.exp(step * along), decode * math.exp(step * across)) > best
    found = fitted(row.shapes)
    assert (round(found.prefill_tokens_per_second), round(found.decode_tokens_per_second)) == (prefill, decode)
    left = math.sqrt(best / len(row.shapes))
    assert row.kind in {"published", "modelled"}
    assert float(row.sigma) == pytest.approx(left if row.kind == "published" else 0.5, abs=0.005)


def test_nvidias_shapes_give_what_the_scenario_says(catalogue: Catalogue) -> None:
    """Eight shapes of Llama 3.1 70B on 8 × A100 80 GB: P 7,201, D 5,555, sigma 0.29, 6,704.36 tokens/s at 3:1."""
    row = catalogue.throughputs[f"8x-a100-sxm-80gb@{LLAMA}"]
    prefill, decode = row.prefill_tokens_per_second, row.decode_tokens_per_second
    assert (int(prefill), int(decode), row.sigma, len(row.shapes)) == (7201, 5555, Decimal("0.29"), 8)
    assert round(1 / (Decimal("0.75") / prefill + Decimal("0.25") / decode), 2) == Decimal("6704.36")


FLOPS = {"a100": 312, "h100": 989}
GB_PER_S = {"a100-sxm-80gb": 2039, "a100-sxm-40gb": 1555, "h100-sxm-80gb": 3350}
"""By the data sheets."""


RESIZED = [row for row in SCALED if not row.shapes and ROWS[row.scaled_from or ""].model != row.model]


@pytest.mark.parametrize("row", RESIZED, ids=lambda row: row.key)
def test_another_dense_model_is_scaled_by_its_size(catalogue: Catalogue, row: Throughput) -> None:
    """Prefill by parameters, decode by bytes of weights; as unsure as it gets."""
    known = ROWS[row.scaled_from or ""]
    small, large = catalogue.models[known.model], catalogue.models[row.model]
    assert (small.active_parameters, large.active_parameters, known.machine) == (None, None, row.machine)
    more = large.parameters / small.parameters
    bits = {None: 16, "fbgemm_fp8": 8}
    prefill, decode = float(known.prefill_tokens_per_second), float(known.decode_tokens_per_second)
    assert float(row.prefill_tokens_per_second) == pytest.approx(prefill / more, abs=0.51)
    decoded = decode / more * bits[small.quantization] / bits[large.quantization]
    assert float(row.decode_tokens_per_second) == pytest.approx(decoded, abs=0.51)
    assert row.sigma == Decimal("0.6")


MOVED = [row for row in SCALED if not row.shapes and row not in RESIZED]


@pytest.mark.parametrize("row", MOVED, ids=lambda row: row.key)
def test_another_machine_is_scaled_by_flops_and_bandwidth(row: Throughput) -> None:
    """Of all GPUs together; three quarters are kept each time that their number doubles; sigma 0.5, 0.6 where the other
    row is modelled itself, and never less than its own."""
    known = ROWS[row.scaled_from or ""]
    (old, gpu), (new, other) = (each.machine.split("x-", 1) for each in (known, row))
    more = int(new) / int(old)
    kept = more * 0.75 ** math.log2(more)
    flops = kept * FLOPS[other[:4]] / FLOPS[gpu[:4]]
    bandwidth = kept * GB_PER_S[other] / GB_PER_S[gpu]
    assert known.model == row.model
    assert float(row.prefill_tokens_per_second) == pytest.approx(
        float(known.prefill_tokens_per_second) * flops, abs=0.51
    )
    assert float(row.decode_tokens_per_second) == pytest.approx(
        float(known.decode_tokens_per_second) * bandwidth, abs=0.51
    )
    assert row.sigma == (Decimal("0.6") if known.kind == "modelled" else max(Decimal("0.5"), known.sigma))
    assert row.milliseconds_per_output_token == known.milliseconds_per_output_token


@pytest.mark.parametrize("row", [row for row in SCALED if row.shapes], ids=lambda row: row.key)
def test_another_model_is_scaled_to_the_one_shape_that_is_known(row: Throughput) -> None:
    """P to D as of the other model on the same machine; at the shape, what was found there."""
    known, [(read, write, rate)] = ROWS[row.scaled_from or ""], row.shapes
    assert known.machine == row.machine
    prefill, decode = float(row.prefill_tokens_per_second), float(row.decode_tokens_per_second)
    assert (read + write) / (read / prefill + write / decode) == pytest.approx(float(rate), rel=1e-3)
    assert prefill / decode == pytest.approx(
        float(known.prefill_tokens_per_second / known.decode_tokens_per_second), rel=1e-3
    )


def test_every_row_says_where_it_comes_from(catalogue: Catalogue) -> None:
    """A fit, or scaled; nothing is illustrative, and 4,759 is nowhere."""
    for row in catalogue.throughputs.values():
        assert bool(row.scaled_from) or len(row.shapes) > 1, row.key
        assert row.kind in {"published", "modelled"}
        assert "4,759" not in row.source
        assert row.kind != "modelled" or row.sigma >= Decimal("0.4")


@pytest.mark.parametrize(
    ("model", "key", "row"),
    [
        (LLAMA, "lambda/gpu_8x_a100_80gb_sxm4", f"8x-a100-sxm-80gb@{LLAMA}"),
        ("meta-llama/Llama-3.1-70B", "aws/p4de.24xlarge-spot", f"8x-a100-sxm-80gb@{LLAMA}"),
        ("meta-llama/Llama-3.3-70B-Instruct", "quoted/aws-p4d.24xlarge", f"8x-a100-sxm-40gb@{LLAMA}"),
        ("Qwen/Qwen3-Next-80B-A3B-Thinking", "aws/p5.48xlarge", "8x-h100-sxm-80gb@Qwen/Qwen3-Coder-Next"),
        ("meta-llama/Llama-3.1-405B-Instruct", "aws/p5.48xlarge", None),
        ("nobody/knows", "aws/p5.48xlarge", None),
        (LLAMA, "nobody/sells", None),
    ],
    ids=["itself", "also", "servesAs", "also of servesAs", "does not fit", "no model", "no price"],
)
def test_a_throughput_is_found_by_model_and_price(catalogue: Catalogue, model: str, key: str, row: str | None) -> None:
    """Whatever the model is called, and by the machine that the price names."""
    found = catalogue.throughput(model, key)
    assert (None if found is None else found.key) == row


@pytest.mark.parametrize("machine", ["8x-a100-sxm-80gb", "8x-a100-sxm-40gb", "8x-h100-sxm-80gb"])
def test_what_fits_a_machine_of_eight_is_known_there(catalogue: Catalogue, machine: str) -> None:
    """All nine models on 80 GB; on 8 × 40 GB all but the two whose weights are larger."""
    models = {row.model for row in catalogue.throughputs.values()}
    lacking = {model for model in models if f"{machine}@{model}" not in catalogue.throughputs}
    assert len(models) == 9
    assert {catalogue.models[model].parameters > 200e9 for model in lacking} == ({True} if "40gb" in machine else set())


def test_every_price_names_a_machine_that_serves_something(catalogue: Catalogue) -> None:
    serving = {row.machine for row in catalogue.throughputs.values()}
    assert {price.machine for price in catalogue.prices.values()} <= serving


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SERVED.replace("@", "/"), f"throughput.toml:1: 8x-a100-sxm-80gb/{LLAMA}: a row is named"),
        (SERVED.replace("8x-", "9x-"), "there is no machine '9x-a100-sxm-80gb' (gpus.toml)"),
        (SERVED.replace("70B", "71B"), "there is no model 'meta-llama/Llama-3.1-71B-Instruct' (models.toml)"),
        (SERVED.replace("-Instruct", ""), "(models.toml): it is meta-llama/Llama-3.1-70B-Instruct"),
        (SERVED.replace("3.1", "3.3"), "serves as meta-llama/Llama-3.1-70B-Instruct (models.toml), whose row counts"),
        (SERVED.replace("= 5555", "= inf"), f"throughput.toml:3: 8x-a100-sxm-80gb@{LLAMA}.decode"),
        (SERVED.replace('"measured"', '"published"'), "kind = 'published', which cannot do without"),
        (SERVED.replace('"measured"', '"modelled"'), "sigma is at least 0.4 where kind = 'modelled', got 0.29"),
        (SERVED + "shapes = [[1, 2]]\n", "must be a list of [input tokens, output tokens, tokens per second]"),
        (SERVED + "shapes = [[0, 2, 3]]\n", "each above 0, got [[0, 2, 3]]"),
        (SERVED + "shapes = [[1, 2.5, 3]]\n", "each above 0"),
        (SERVED + "shapes = [[1, 2, nan]]\n", "each above 0"),
        (SERVED + "shapes = 5\n", "each above 0, got 5"),
        (SERVED + "shapes = [[1, 2, 3]]\n", "one shape alone tells no P and no D"),
        (SERVED + 'scaledFrom = "x@y"\n', "scaledFrom is for kind = 'modelled'"),
        (
            SERVED.replace('"measured"', '"modelled"').replace("0.29", "0.5") + 'scaledFrom = "x@y"\n',
            "scaledFrom: there is no row 'x@y'",
        ),
    ],
)  # fmt: skip
def test_a_broken_throughput_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """With the file, the line, the row, the key and the fault."""
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(written(tmp_path, throughput=text))
    assert said in str(caught.value)


PAGE = Path(__file__).parents[4] / "docs" / "reference" / "prices.md"
MACHINES = [f"{count}x-{gpu}" for gpu in ("a100-sxm-80gb", "h100-sxm-80gb") for count in (1, 2, 4, 8)]
MACHINES.insert(4, "8x-a100-sxm-40gb")


def table() -> str:
    """The committed rows as docs/reference/prices.md shows them: C at r = 0.75, and where it comes from."""
    heads = [
        key.replace("-sxm-", " ").replace("x-", " × ").upper().replace("GB", "").replace("×", "×") for key in MACHINES
    ]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (len(MACHINES) + 1) + "|"]
    for model in dict.fromkeys(row.model for row in ROWS.values()):
        cells = [_cell(ROWS.get(f"{machine}@{model}")) for machine in MACHINES]
        lines.append(f"| {model.partition('/')[2]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(row: Throughput | None) -> str:
    if row is None:
        return "–"
    return f"{at_three_to_one(row):,.0f} {'s' if row.scaled_from else row.kind[0]}"


def test_the_page_shows_the_committed_rows() -> None:
    shown = PAGE.read_text().partition("<!-- throughput -->\n")[2].partition("\n<!-- /throughput -->")[0]
    assert shown == table()


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda row: row.key)
def test_what_is_served_fits_the_machine(catalogue: Catalogue, row: Throughput) -> None:
    """One engine on all GPUs holds the weights and a request of 8,192 tokens at least: who rents it for that figure can
    start it."""
    machine, model = catalogue.machines[row.machine], catalogue.models[row.model]
    wanted = ServingSizes(tensor_parallel_size=machine.gpus, max_model_len=8192)
    found = footing(model.shape, wanted, MachineGpus(machine.gpus, machine.gpu, machine.memory_gib))
    assert divides(model.shape, machine.gpus)
    assert found is not None
    assert found.sequences > 0


def at_three_to_one(row: Throughput) -> Decimal:
    return 1 / (Decimal("0.75") / row.prefill_tokens_per_second + Decimal("0.25") / row.decode_tokens_per_second)


@pytest.mark.parametrize("model", sorted({row.model for row in ROWS.values()}))
def test_more_or_better_gpus_serve_more(model: str) -> None:
    """Whatever the rows come from: more of the same GPU, 80 GB instead of 40, H100 instead of A100."""
    rates = {row.machine: at_three_to_one(row) for row in ROWS.values() if row.model == model}
    for machine, rate in rates.items():
        count, gpu = machine.split("x-", 1)
        other_gpus = (gpu.replace("40gb", "80gb"), gpu.replace("a100-sxm-80gb", "h100-sxm-80gb"))
        better = [f"{2 * int(count)}x-{gpu}", *(f"{count}x-{other}" for other in other_gpus)]
        assert all(rates[other] > rate for other in better if other in rates and other != machine), machine
