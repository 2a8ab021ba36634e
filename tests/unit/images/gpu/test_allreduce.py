"""An all-reduce: its bandwidth by the formula of nccl-tests, its floors, and what is said of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from images.gpu.acceptance.allreduce import measuring
from images.gpu.acceptance.allreduce.measuring import (
    AllReduce,
    bus_gb_per_s,
    floor_of,
    judge_all_reduce,
    read,
    told,
)
from images.gpu.acceptance.finding import Remedy
from images.gpu.facts import Gpu, GpuFacts

AGENT = Path(measuring.__file__).with_name("agent.py")


def facts(name: str, count: int = 8) -> GpuFacts:
    return GpuFacts(gpus=(Gpu(name, "580.105.08", persistent=True, lost=False),) * count)


def test_bus_bandwidth_is_that_of_nccl_tests() -> None:
    """NVIDIA/nccl-tests#149 and doc/PERFORMANCE.md: 8 ranks, 2 × 7/8 of the bytes over the time."""
    assert bus_gb_per_s(8, 4e9, 0.035) == pytest.approx(2 * 7 / 8 * 4 / 0.035)
    assert bus_gb_per_s(2, 1e9, 1.0) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("name", "wanted", "floor"),
    [
        ("NVIDIA A100-SXM4-80GB", None, 200.0),
        ("NVIDIA A100-SXM4-40GB", None, 200.0),
        ("NVIDIA H100 80GB HBM3", None, 400.0),
        ("NVIDIA H100 PCIe", None, None),
        ("NVIDIA A100 80GB PCIe", None, None),
        ("NVIDIA L4", None, None),
        ("NVIDIA H100 PCIe", 40.0, 40.0),
        ("NVIDIA A100-SXM4-80GB", 150.0, 150.0),
    ],
)
def test_the_floor_is_what_is_wanted_or_what_is_known_of_such_gpus(
    name: str, wanted: float | None, floor: float | None
) -> None:
    assert floor_of(facts(name), wanted) == floor


def test_no_floor_is_known_of_no_gpus() -> None:
    assert floor_of(GpuFacts(), None) is None


def measured(size_bytes: int, seconds: float) -> str:
    return json.dumps({"key": "k", "date": "2026-11-29", "measured": {"bytes": size_bytes, "seconds": seconds}})


def test_a_figure_an_absence_and_a_failure_are_told_apart() -> None:
    assert read(8, f"{measured(4_000_000_000, 0.035)}\n").gb_per_s == pytest.approx(200.0)
    assert read(8, '{"absent": "python has no torch"}\n') == AllReduce(absent="python has no torch")
    assert read(8, '{"wrong": "GPU 3: NCCL error"}\n') == AllReduce(wrong="GPU 3: NCCL error")
    assert read(8, "") == AllReduce(absent="the GPUs serve")


@pytest.mark.parametrize("text", ["Traceback", '{"measured": {}}', "[]", '{"other": 1}', measured(1, 0)])
def test_what_cannot_be_read_is_no_figure(text: str) -> None:
    with pytest.raises((LookupError, ValueError, TypeError, ZeroDivisionError)):
        read(8, text)


def test_a_figure_below_the_floor_fails_and_says_both() -> None:
    [finding] = judge_all_reduce(AllReduce(199.4, "2026-11-29"), 200.0, container=False)
    assert finding.remedy is Remedy.REBOOT
    assert "199 GB/s of at least 200" in finding.what
    [finding] = judge_all_reduce(AllReduce(199.4, "2026-11-29"), 200.0, container=True)
    assert finding.remedy is Remedy.GIVE_BACK


def test_a_failure_fails_with_its_line() -> None:
    [finding] = judge_all_reduce(AllReduce(wrong="GPU 3: ncclUnhandledCudaError"), None, container=False)
    assert "GPU 3: ncclUnhandledCudaError" in finding.what


@pytest.mark.parametrize(
    "measured", [AllReduce(200.0, "2026-11-29"), AllReduce(absent="no torch"), AllReduce(1.0, "2026-11-29")]
)
def test_what_reaches_the_floor_or_has_none_passes(measured: AllReduce) -> None:
    floor = None if measured.gb_per_s == 1.0 else 200.0
    assert judge_all_reduce(measured, floor, container=False) == []


def test_what_is_told_has_figure_floor_and_day() -> None:
    assert told(AllReduce(231.6, "2026-11-29"), 200.0) == "232 GB/s (at least 200) on 2026-11-29"
    assert told(AllReduce(absent="the GPUs serve"), 200.0) == "not measured: the GPUs serve"


def test_a_python_without_torch_says_so() -> None:
    """That of the tests has none. With torch: tests/vllm/test_allreduce.py."""
    run = [sys.executable, "-I", str(AGENT), "2", "1024", "1", "gloo"]
    said = subprocess.run(run, capture_output=True, text=True, timeout=60, check=True)
    assert "no torch" in json.loads(said.stdout)["absent"]
