"""An engine is one file: what is in it is found where a user would look for it."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from images import engines
from images.engines import vllm
from images.engines.common import registry
from images.engines.common.base import EngineOptions
from images.roles.gateway.haproxy import render_haproxy
from images.roles.gateway.settings import GatewaySettings
from images.roles.inference.bundle import inference_bundle, ports

TOY = """
from dataclasses import replace

from images.engines import vllm
from images.engines.common.base import Canary, HealthPath, EngineNeeds

ENGINE = replace(
    vllm.ENGINE,
    name="toy",
    title="Toy",
    port=9000,
    command=lambda options: ("run", options.model),
    key_variable="TOY_KEY",
    health=HealthPath("/alive", deadline_s=7),
    canary=Canary("/ask", lambda model, prompt: {"m": model, "p": prompt}, busy=(529,)),
    metrics=replace(vllm.ENGINE.metrics, namespace="toy"),
    needs=lambda runtime: EngineNeeds(("toy-server",), programs=("toy-server",)),
)
"""


class Named(BaseModel):
    """As the stack's settings name an engine."""

    engine: registry.EngineName = registry.DEFAULT


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Adds a file to the folder of engines."""
    monkeypatch.setattr(engines, "__path__", [*engines.__path__, str(tmp_path)])
    registry.known.cache_clear()

    def added(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()

    yield added
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(f"{engines.__name__}.{path.stem}", None)
        vars(engines).pop(path.stem, None)
    registry.known.cache_clear()


def test_the_engines_are_vllm_which_is_the_default_and_its_simulator() -> None:
    assert list(registry.known()) == ["vllm", "simulator"]
    assert Named().engine == "vllm"


def test_an_engine_that_is_one_file_can_be_chosen_and_installed_and_routed_to(add: Any) -> None:
    add("toy", TOY)
    toy = registry.engine(Named(engine="toy").engine)
    made = inference_bundle(toy, EngineOptions("tiny", ("tiny",)), "PEM")
    assert (made.services[0].command, made.programs) == (("toy-server", "run", "tiny"), ("toy-server",))
    assert [c.path for c in made.checks][:2] == ["/alive", "/ask"]
    assert ports(toy) == {"vllm": 9000}
    routed = render_haproxy(GatewaySettings(), ["tiny"], toy, [])
    assert "uri /alive" in routed
    assert json.dumps({"m": "tiny", "p": "ping"}) in routed
    assert "expect status 200,529" in routed


def test_an_engine_that_there_is_not_is_told_as_pydantic_tells_a_choice(add: Any) -> None:
    with pytest.raises(ValidationError) as told:
        Named(engine="llamacpp")
    assert told.value.errors()[0]["msg"] == "Input should be 'vllm' or 'simulator'"
    assert told.value.errors()[0]["type"] == "literal_error"
    with pytest.raises(ValueError, match="engine 'llamacpp' is unknown: vllm or simulator"):
        registry.engine("llamacpp")
    add("toy", TOY)
    registry.known.cache_clear()
    with pytest.raises(ValidationError, match="Input should be 'vllm', 'simulator' or 'toy'"):
        Named(engine="llamacpp")


@pytest.mark.parametrize("text", ["", "ENGINE = 1"], ids=["none", "another thing"])
def test_a_file_without_an_engine_is_an_error_that_names_it(add: Any, text: str) -> None:
    add("broken", text)
    with pytest.raises(TypeError, match="broken holds no ENGINE"):
        registry.known()


def test_two_engines_of_one_name_are_an_error(add: Any) -> None:
    add("another", TOY.replace('"toy"', '"simulator"', 1))
    with pytest.raises(TypeError, match="a name of its own"):
        registry.known()


@pytest.mark.parametrize(
    "changes",
    [
        {"model": ""},
        {"served_names": ()},
        {"served_names": ("",)},
        {"max_num_seqs": 0},
        {"max_num_queued_reqs": 0},
        {"shutdown_timeout_s": -1},
    ],
)
def test_options_that_cannot_be_served_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        replace(EngineOptions("m", ("m",)), **changes)


def test_the_canary_is_one_token() -> None:
    assert vllm.ENGINE.canary.body("m", "p") == {"model": "m", "prompt": "p", "max_tokens": 1, "temperature": 0}
