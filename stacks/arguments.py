"""Sections of the configuration that are told as they stand: what an engine takes, how long a step may be, which
machine."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from cost_guard.catalogue.models import Shape, shape_of
from images.bundle import Source
from images.engines.common.arguments import Vocabulary, argument_problem, known, variable_problem
from images.engines.common.base import API_KEY_SECRET, CLIENT_CERTIFICATE_SECRET, FORMER_KEY_SECRET, Engine
from images.engines.common.flags import Argument
from images.roles.gateway.endpoint import CERTIFICATE, ENDPOINT_KEYS
from images.roles.gateway.haproxy import BACKEND_KEYS
from images.roles.monitoring.access import WEB_SECRET
from images.sources import repository_source
from strict.fields import Section, form
from strict.names import MONITORING_KEY
from strict.numbers import Number, Whole, refuse, shown
from strict.problems import Problems, about, did_you_mean

GATEWAY_SECRETS = {
    BACKEND_KEYS,
    CERTIFICATE,
    ENDPOINT_KEYS,
    "litellm-master-key",
    *("redis-password", "redis.conf"),
    *(API_KEY_SECRET, FORMER_KEY_SECRET, CLIENT_CERTIFICATE_SECRET, MONITORING_KEY, WEB_SECRET),
}
"""Made by Credentials: no key of a user's may take their place."""
CHAT_TEMPLATE = "serving/chat-template.jinja"
"""Where it lies on a node."""
_TEMPLATES = (".jinja", ".jinja2", ".j2")
_LONGEST_FILE_BYTES = 1 << 20
_LONGEST_NAME = 128
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
"""Of the hub. It becomes a part of URLs and of paths on nodes, so that no segment is empty, . or .. here."""


def _one_of(kind: Vocabulary) -> AfterValidator:
    def checked(name: str) -> str:
        if name not in known(kind):
            raise refuse(f"vLLM has no {name!r}; {did_you_mean(name, known(kind))}")
        return name

    return AfterValidator(checked)


def _repository(value: str) -> str:
    if len(value) > _LONGEST_NAME or not _REPOSITORY.fullmatch(value):
        raise refuse(
            f"{shown(value)} is no repository of the hub: name or org/name, of letters, digits and . _ - only; where "
            "its files come from is serving.weights' to say"
        )
    return value


def _revision(value: str) -> str:
    if {"", ".", ".."} & set(value.split("/")):
        raise refuse(f"{shown(value)} is no commit, branch or tag: a part of it between slashes is empty, . or ..")
    return value


ToolCallParser = Annotated[str, _one_of("toolCallParsers")]
ReasoningParser = Annotated[str, _one_of("reasoningParsers")]
Quantization = Annotated[str, _one_of("quantizations")]
Revision = Annotated[
    str,
    form("[A-Za-z0-9][A-Za-z0-9._/-]{0,127}", "a commit, branch or tag: letters, digits and . _ / - only, at most 128"),
    AfterValidator(_revision),
]
Repository = Annotated[str, AfterValidator(_repository)]
ContextTokens = Annotated[int, Whole(at_least="256", at_most="1048576", hint="tokens of prompt and answer together")]
Sequences = Annotated[int, Whole(at_least="1", at_most="4096")]
Requests = Annotated[int, Whole(at_least="1", at_most="100000")]
Gpus = Annotated[int, Whole(at_least="1", at_most="64")]
MemoryShare = Annotated[
    Decimal, Number(above="0", at_most="1", hint="a share of a GPU's memory; vLLM's default is 0.92")
]
ShutdownSeconds = Annotated[int, Whole(at_least="0", at_most="600")]


def _arguments(value: object) -> Mapping[str, Argument]:
    if not isinstance(value, Mapping):
        raise refuse(f"expected a map of vLLM's flags, without their dashes, got {shown(value)}")
    return {str(flag): _argument(str(flag), item) for flag, item in value.items()}


def _argument(flag: str, value: object) -> Argument:
    if isinstance(value, list | tuple):
        if not all(isinstance(item, bool | int | float | str) for item in value):
            raise about(flag, "a list holds numbers and texts; a map is given by itself and becomes JSON")
        return tuple(value)
    if not isinstance(value, bool | int | float | str | Mapping):
        raise about(flag, f"must be true, a number, a text, a list or a map, got {shown(value)}")
    return value


def _variables(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise refuse(f"expected a map of variables, got {shown(value)}")
    for name, item in value.items():
        if isinstance(item, bool) or not isinstance(item, int | float | str):
            raise about(str(name), f'a variable is a text or a number, such as "1", got {shown(item)}')
        if problem := variable_problem(str(name), str(item)):
            raise about(str(name), problem)
    return {str(name): str(item) for name, item in value.items()}


EngineArguments = Annotated[Mapping[str, Any], BeforeValidator(_arguments)]
Variables = Annotated[Mapping[str, str], BeforeValidator(_variables)]


def check_arguments(arguments: Mapping[str, Argument], engine: Engine, max_num_seqs: int) -> None:
    """Raises a pydantic error about the flags that this engine may not be told: all of them, under the first's key."""
    found = {flag: argument_problem(flag, value, engine.arguments) for flag, value in arguments.items()}
    batched = "max-num-batched-tokens"
    if isinstance(given := arguments.get(batched), int) and given < max_num_seqs:
        found[batched] = found[batched] or f"vLLM wants at least maxNumSeqs, {max_num_seqs}"
    wrong = [(f"engineArgs.{flag}", problem) for flag, problem in found.items() if problem]
    if wrong:
        (first, problem), *more = wrong
        raise about(first, "; ".join([problem, *(f"{key}: {problem}" for key, problem in more)]))


def template_source(path: str | None, root: Path, key: str) -> Source | None:
    """The file of the repository as what a bundle takes along; `key` is what messages call it. Raises Problems."""
    if path is None:
        return None
    found, _ = _text_of(path, root, key)
    below = found.relative_to(root.resolve())
    if not {Path(path).suffix, below.suffix} <= set(_TEMPLATES):
        raise Problems(f"{key}: {path!r} is no Jinja file by its name: it ends in {', '.join(_TEMPLATES)}")
    return repository_source(CHAT_TEMPLATE, below.as_posix(), root=root)


def model_shape(path: str | None, root: Path, key: str) -> Shape | None:
    """What the config.json at `path` says of its model; `key` is what messages call it. Raises Problems."""
    if path is None:
        return None
    _, text = _text_of(path, root, key)
    try:
        config = json.loads(text)
        if not isinstance(config, Mapping):
            raise ValueError("it is no map")  # noqa: TRY004 - told as the others
        return shape_of(config)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        told = str(error).splitlines()[0]
        raise Problems(f"{key}: {path!r} is no config.json that can be reckoned with: {told}") from None


def _text_of(path: str, root: Path, key: str) -> tuple[Path, str]:
    """A file below the repository's root, and what it holds. Raises Problems."""
    try:
        found = (root / path).resolve()
        if not found.is_relative_to(root.resolve()) or not found.is_file():
            raise Problems(f"{key}: {path!r} is no file below the repository's root")
        parts = (*Path(path).parts, *found.relative_to(root.resolve()).parts)
        if any(part.startswith(".") and part != ".." for part in parts):
            raise Problems(f"{key}: {path!r} is hidden, or in a hidden folder, where keys lie: move what is meant")
        if found.stat().st_size > _LONGEST_FILE_BYTES:
            raise Problems(f"{key}: {path!r} is longer than {_LONGEST_FILE_BYTES} bytes")
        return found, found.read_text("utf-8")
    except Problems:
        raise
    except (OSError, ValueError) as error:
        raise Problems(f"{key}: {path!r} cannot be read as text: {error}") from None


class GatewayNode(Section):
    """The machine that carries the gateway (placement `own`)."""

    cloud: str
    region: str
    sku: str


class Deadlines(Section):
    """How long a step may take before it counts as failed; the machine is kept, and the next `up` resumes."""

    rent_s: int = Field(1800, ge=5, le=7200)
    """From the launch to first contact."""
    install_s: int = Field(1800, ge=5, le=7200)
    """From first contact to a node that answers a completion."""
