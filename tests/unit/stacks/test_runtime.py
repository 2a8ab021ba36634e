"""How vLLM gets onto a node, by what its cloud can do."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from images.bundle import RuntimeKind
from providers import registry
from stacks import runtime
from stacks.settings import SettingsError, parse
from tests.support.composition import CONFIG

DEFAULTS = {
    "aws": "environment",
    "existing": "machine",
    "lambda": "environment",
    "local": "machine",
    "runpod": "image",
    "vastai": "image",
}
DIGEST = f"sha256:{'0' * 64}"


def values(stack: str, **serving: Any) -> dict[str, Any]:
    """An example's configuration, with these keys of `serving`."""
    config = yaml.safe_load((CONFIG / f"Pulumi.{stack}.yaml").read_text())["config"]
    found = {key.removeprefix("crossover:"): value for key, value in config.items()}
    found["serving"].pop("runtime", None)
    found["serving"] |= serving
    return {**found, "apiKeys": {"openai": "k", "hf": "k"}}


def test_every_cloud_has_a_way_of_its_own() -> None:
    """A container has its image, a machine of yours what you put there, and the rest is brought along."""
    assert {cloud: runtime.runtime_at(cloud, None) for cloud in registry.NAMES} == DEFAULTS


@pytest.mark.parametrize("wanted", ["environment", "image", "machine"])
def test_what_is_wanted_wins(wanted: RuntimeKind) -> None:
    assert {runtime.runtime_at(cloud, wanted) for cloud in registry.NAMES} == {wanted}


@pytest.mark.parametrize(
    ("stack", "serving", "said"),
    [
        ("lambda", {"runtime": "image"}, "serving.runtime: lambda rents no containers"),
        ("existing", {"runtime": "image"}, "serving.runtime: existing rents no containers"),
        ("mixed", {"runtime": "image"}, "serving.runtime: lambda rents no containers"),
        ("runpod", {"runtime": "machine"}, "serving.runtime: nobody but us puts vLLM into a container of runpod"),
        ("runpod", {"runtime": "conda"}, "serving.runtime: "),
        ("lambda", {"image": "vllm/vllm-openai:v0.32.0"}, "serving.image: no candidate rents containers"),
        ("runpod", {"image": "vllm/vllm-openai"}, "serving.image: must have an exact tag or a digest"),
        ("runpod", {"image": "vllm/vllm-openai:latest"}, "serving.image: must have an exact tag or a digest"),
        ("runpod", {"image": "registry.example:5000/vllm"}, "serving.image: must have an exact tag or a digest"),
        ("runpod", {"image": "vllm@sha256:12"}, "serving.image: "),
    ],
)
def test_what_a_cloud_cannot_give_is_refused(stack: str, serving: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=f"crossover:{said}"):
        parse(values(stack, **serving))


def test_two_keys_that_say_what_containers_are_made_of_are_refused() -> None:
    """Neither is silently passed over."""
    given = values("runpod", image="vllm/vllm-openai:v0.32.0")
    given["clouds"]["runpod"]["image"] = "registry.example/other:1"
    with pytest.raises(SettingsError, match=r"crossover:clouds\.runpod\.image: serving\.image says it too"):
        parse(given)


@pytest.mark.parametrize("image", ["registry.example:5000/vllm:1.2", f"vllm/vllm-openai@{DIGEST}", f"a/b:1@{DIGEST}"])
def test_an_image_with_an_exact_tag_or_a_digest_can_be_used(image: str) -> None:
    (model,) = parse(values("runpod", image=image)).models
    assert model.serving.image == image


def test_a_preview_says_what_will_be_on_a_node() -> None:
    """Version, CUDA and driver of images/gpu/versions.toml; and of an image, whether it may be another one tomorrow."""
    assert runtime.told("a", {"lambda": "environment"}, {}) == [
        "node a: vLLM 0.32.0 in an environment that is made there, CUDA 13, NVIDIA driver 580 or newer"
    ]
    assert runtime.told("a", {"existing": "machine"}, {}) == [
        "node a: the machine's own vLLM, 0.29.0 or newer (read of 0.32.0); CUDA 13, NVIDIA driver 580 or newer"
    ]
    environment, image = runtime.told("a", {"lambda": "environment", "runpod": "image", "vastai": "image"}, {})
    assert environment.startswith("node a at lambda: vLLM 0.32.0 in an environment")
    assert image == (
        "node a at runpod or vastai: vLLM of the image vllm/vllm-openai:v0.32.0, CUDA 13, NVIDIA driver 580 or newer; "
        "a tag may move: pin it by serving.image with @sha256:…"
    )
    [fixed] = runtime.told("b", {"runpod": "image"}, {"runpod": f"vllm/vllm-openai@{DIGEST}"})
    assert DIGEST in fixed
    assert "may move" not in fixed
