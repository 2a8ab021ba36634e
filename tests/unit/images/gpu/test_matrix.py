"""The matrix of vLLM, CUDA and driver."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest

from images.gpu import matrix
from images.gpu.matrix import Choice, NotAllowed, load, pinned, validate
from images.simulator import VLLM_VERSION
from images.sources import REPOSITORY
from providers.clouds.runpod.config import RunpodSettings
from providers.clouds.vastai.config import VastaiSettings

LOCK = REPOSITORY / "requirements" / "vllm.txt"
WHEEL = Choice("environment", "0.32.0", "13", "580")
IMAGE = Choice("image", "0.32.0", "13", "580.65.06")


def test_the_pins_are_allowed() -> None:
    assert validate(pinned(load()), load()) is None


@pytest.mark.parametrize("settings", [RunpodSettings(), VastaiSettings()], ids=["runpod", "vastai"])
def test_the_container_clouds_default_to_the_pins(settings: RunpodSettings | VastaiSettings) -> None:
    """The image of that vLLM, on hosts whose driver runs the CUDA that it is built for."""
    pins = pinned(load())
    tag = validate(replace(pins, runtime="image"), load())
    cuda = settings.min_cuda_version if isinstance(settings, RunpodSettings) else settings.min_cuda
    assert settings.image == f"vllm/vllm-openai:{tag}"
    assert Decimal(cuda) >= Decimal(pins.cuda)


def test_the_simulator_plays_the_pinned_vllm() -> None:
    assert pinned(load()).vllm == VLLM_VERSION


def test_the_lock_of_an_environment_is_of_the_pinned_vllm_and_any_python_that_we_install_on() -> None:
    """Every line a package with its version, or a hash: no marker that another Python reads differently, no address."""
    pin = f"vllm=={pinned(load()).vllm}"
    wanted = [line for line in (LOCK.with_suffix(".in")).read_text().splitlines() if not line.startswith("#")]
    assert wanted == [pin]
    lines = LOCK.read_text().splitlines()
    names = [line for line in lines if not line.startswith("    --hash=sha256:")]
    assert f"{pin} \\" in names
    assert [line for line in names if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*==[0-9][0-9a-z.+!-]* \\", line)] == []
    assert all(lines[lines.index(name) + 1].startswith("    --hash=") for name in names)


def test_the_image_is_fixed_only_where_its_digest_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tag may move; nobody could be asked for the digest, so none is made up."""
    assert (matrix.image(), matrix.fixed_image()) == ("vllm/vllm-openai:v0.32.0", None)
    digest = f"sha256:{'0' * 64}"
    known = {**load(), "image": {"repository": "vllm/vllm-openai", "digest": digest}}
    monkeypatch.setattr(matrix, "shipped", lambda: known)
    assert matrix.image() == matrix.fixed_image() == f"vllm/vllm-openai:v0.32.0@{digest}"


@pytest.mark.parametrize(
    ("choice", "tag"),
    [
        (WHEEL, None),
        (replace(WHEEL, vllm="0.29.1", driver="590.1"), None),
        (IMAGE, "v0.32.0"),
        (replace(IMAGE, cuda="12.9", driver="535"), "v0.32.0-cu129"),
    ],
)
def test_what_the_matrix_allows_has_its_tag(choice: Choice, tag: str | None) -> None:
    assert validate(choice, load()) == tag


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (replace(WHEEL, driver="575"), "needs driver 580"),
        (replace(IMAGE, cuda="12.9", driver="520"), "needs driver 525"),
        (replace(WHEEL, cuda="12.9"), "not built for CUDA 12.9: known are 13"),
        (replace(WHEEL, vllm="0.18.1", cuda="12.8"), "max-num-queued-reqs"),
        (replace(WHEEL, vllm="latest"), "no released version"),
        (replace(WHEEL, driver="new"), "no released version"),
        (replace(WHEEL, runtime="snap"), "known are environment, machine, image"),
    ],
)
def test_what_is_outside_is_refused_with_what_would_do(choice: Choice, said: str) -> None:
    with pytest.raises(NotAllowed, match=said):
        validate(choice, load())


def test_old_wheels_are_cuda_12_8_and_a_release_in_no_row_is_refused() -> None:
    matrix = {**load(), "minimum": {"vllm": "0.11.0"}}
    assert validate(Choice("environment", "0.18.1", "12.8", "525"), matrix) is None
    with pytest.raises(NotAllowed, match="no row"):
        validate(Choice("environment", "0.19.0", "12.8", "580"), matrix)
