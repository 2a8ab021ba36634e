"""`crossover doctor`: a container's image that may be another one tomorrow is told."""

from __future__ import annotations

from typing import Any

from providers.preflight import Grade
from scripts.crossover.doctor.image import image

SERVING: dict[str, Any] = {"model": "m/x", "servedName": "x"}
DIGEST = f"sha256:{'0' * 64}"


def test_an_image_by_its_tag_alone_is_told_with_what_to_do() -> None:
    """vLLM's own has no digest on record; VMs have no image of ours."""
    [check] = image({"serving": SERVING}, {"runpod", "lambda"})
    assert (check.name, check.level) == ("image at runpod", Grade.WARN)
    assert "vllm/vllm-openai:v0.32.0" in check.detail
    assert "serving.image" in str(check.remedy)


def test_an_image_by_its_digest_is_fine_wherever_it_is_named() -> None:
    named = f"vllm/vllm-openai@{DIGEST}"
    by_serving = {"serving": {**SERVING, "image": named}}
    by_cloud = {"serving": SERVING, "clouds": {"vastai": {"image": named}}}
    for values in (by_serving, by_cloud):
        assert [(c.level, c.detail) for c in image(values, {"vastai"})] == [(Grade.OK, named)]


def test_a_simulator_and_a_configuration_that_cannot_be_read_have_none() -> None:
    assert image({"serving": {**SERVING, "engine": "simulator"}}, {"runpod"}) == []
    assert image({"serving": {"model": 1}}, {"runpod"}) == []
