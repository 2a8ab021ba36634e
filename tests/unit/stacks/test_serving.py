"""`serving`: what a stack may say of how its nodes serve, and how each slip is told."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stacks.served import Serving
from stacks.settings import Settings, SettingsError, parse
from tests.unit.stacks.test_settings import change, values

__all__ = ["values"]  # the stack `local`, a fixture

EVERYTHING = {
    "engine": "vllm",
    "model": "Qwen/Qwen3-32B",
    "revision": "9216db5781bf21249d130ec9da846c4624c16137",
    "servedName": "qwen",
    "aliases": ["qwen-32b", "Qwen/Qwen3-32B"],
    "dtype": "bfloat16",
    "quantization": "fp8",
    "toolCallParser": "hermes",
    "reasoningParser": "qwen3",
    "gpuMemoryUtilization": 0.9,
    "engineArgs": {"kv-cache-dtype": "fp8", "cudagraph-capture-sizes": [1, 2], "compilation-config": {"mode": 3}},
    "environment": {"OMP_NUM_THREADS": 8, "NCCL_DEBUG": "WARN"},
}


def test_all_that_can_be_said_is_taken(values: dict[str, Any]) -> None:
    serving = parse(change(values, "serving", EVERYTHING)).models[0].serving
    assert serving.names == ("qwen", "qwen-32b", "Qwen/Qwen3-32B")
    assert (serving.tool_call_parser, serving.reasoning_parser) == ("hermes", "qwen3")
    assert serving.gpu_memory_utilization == Decimal("0.9")
    assert serving.engine_args["cudagraph-capture-sizes"] == (1, 2)
    assert serving.environment == {"OMP_NUM_THREADS": "8", "NCCL_DEBUG": "WARN"}


def test_what_was_never_said_stays_as_it_was(values: dict[str, Any]) -> None:
    serving = parse(values).models[0].serving
    assert serving == Serving(
        engine="simulator", model=serving.model, served_name="llama-70b", tool_call_parser="llama3_json"
    )
    assert (serving.max_model_len, serving.max_num_seqs, serving.max_num_queued_reqs) == (32_768, 128, 256)
    assert (serving.tensor_parallel_size, serving.shutdown_timeout_s) == (8, 30)


def test_clients_may_ask_for_every_name_and_series_have_the_first(values: dict[str, Any]) -> None:
    settings: Settings = parse(change(values, "serving.aliases", ["llama", "gpt-oss"]))
    assert settings.served_names == ("llama-70b", "llama", "gpt-oss")


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("maxNumSeqs", True, r"serving\.maxNumSeqs: must be a number, got true"),
        ("maxModelLen", "many", r"serving\.maxModelLen: must be a number without separators or a unit, got 'many'"),
        ("tensorParallelSize", 2.5, r"serving\.tensorParallelSize: must be a whole number, got 2\.5"),
        ("shutdownTimeoutS", False, r"serving\.shutdownTimeoutS: must be a number, got false"),
        ("gpuMemoryUtilization", 90, r"serving\.gpuMemoryUtilization: must be at most 1, got 90; a share"),
        ("dtype", "bf16", r"serving\.dtype: must be 'auto', 'half'"),
        ("quantization", "fp-8", r"serving\.quantization: vLLM has no 'fp-8'; did you mean fp8\?"),
        ("toolCallParser", "llama_json", r"toolCallParser: vLLM has no 'llama_json'; did you mean llama4_json\?"),
        ("reasoningParser", "qwen", r"serving\.reasoningParser: vLLM has no 'qwen'; did you mean qwen3\?"),
        ("revision", "a b", r"serving\.revision: must be a commit, branch or tag: .*, got 'a b'"),
        ("weights", {"source": "ftp"}, r"serving\.weights\.source: must be hf or s3 or path, got 'ftp'"),
        ("weights", {"tokenSecret": "hf"}, r"serving\.weights\.source: missing; it must be hf or s3 or path"),
        ("weights", {"source": "hf", "stallS": 1}, r"serving\.weights\.stallS: must be at least 5, got 1"),
        ("weights", {"source": "hf", "token": "x"}, r"serving\.weights\.token: unknown key \(did you mean tokenSecret"),
        ("weights", {"source": "hf", "tokenSecret": "hf_A1"}, r"tokenSecret: must be a name .*; the secret itself"),
        ("weights", {"source": "path", "path": "a"}, r"serving\.weights\.path: must be an absolute path, .*, got 'a'"),
        ("image", "a b", r"serving\.image: must be an image with an exact tag or a digest, .*, got 'a b'"),
        ("engineArgs", {"seed": "abc"}, r"serving\.engineArgs\.seed: takes a whole number, got 'abc'"),
        *(("revision", name, r"serving\.revision: .* is no commit") for name in ("refs//x", "a/../b", "a/", "a/./b")),
        *(
            ("model", name, r"serving\.model: .* is no repository of the hub: name or org/name")
            for name in (
                "https://evil/x", "s3://x/y", "a/../../x", "a//b", "a/b/", "a/b/c", "x/..", "../x", "/a", "a:b", "a\n",
            )
        ),
        ("aliases", ["llama-70b"], r"serving\.aliases: llama-70b is a name of it already"),
        ("aliases", ["a", "a"], r"serving\.aliases: a is a name of it already"),
        ("aliases", ["a b"], r"serving\.aliases\[0\]: 'a b' is no model name"),
        ("aliases", ["managed-stand-in"], r"managed-stand-in is the name of the self-hosted model too"),
        ("engineArgs", ["x"], r"serving\.engineArgs: expected a map of vLLM's flags, without their dashes"),
        ("engineArgs", {"port": 9000}, r"serving\.engineArgs\.port: nodes listen where their machine says"),
        ("engineArgs", {"seed": None}, r"serving\.engineArgs\.seed: must be true, a number"),
        ("engineArgs", {"block-size": [[1]]}, r"serving\.engineArgs\.block-size: a list holds numbers and texts"),
        ("engineArgs", {"all2all-backend": "naive"}, r"engineArgs\.all2all-backend: it is vLLM's, and this engine"),
        ("engineArgs", {"max-num-batched-tokens": 64}, r"max-num-batched-tokens: vLLM wants at least maxNumSeqs, 128"),
        (
            "engineArgs", {"seed": "abc", "block-size": 16, "port": 1, "dtype": "half"},
            r"engineArgs\.seed: takes a whole number, got 'abc'; engineArgs\.port: nodes .*; engineArgs\.dtype",
        ),
        ("environment", ["x"], r"serving\.environment: expected a map of variables"),
        ("environment", {"NCCL_DEBUG": True}, r'serving\.environment\.NCCL_DEBUG: a variable is a text or a number'),
        ("environment", {"HF_TOKEN": "hf_x"}, r"serving\.environment\.HF_TOKEN: set serving\.weights\.tokenSecret"),
        ("chatTemplate", "templates/none.jinja", r"serving\.chatTemplate: 'templates/none\.jinja' is no file below"),
        ("chatTemplate", "../../etc/passwd", r"serving\.chatTemplate: '\.\./\.\./etc/passwd' is no file below"),
        ("chatTemplate", "/etc/passwd", r"serving\.chatTemplate: '/etc/passwd' is no file below"),
        ("chatTemplate", "a\0b", r"serving\.chatTemplate: 'a\\x00b' cannot be read as text"),
    ],
)  # fmt: skip
def test_a_slip_is_told_with_its_key(values: dict[str, Any], key: str, value: Any, line: str) -> None:
    with pytest.raises(SettingsError, match=line):
        parse(change(values, f"serving.{key}", value))


def test_a_token_is_never_repeated(values: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as told:
        parse(change(values, "serving.environment", {"HF_TOKEN": "hf_secret"}))
    assert "hf_secret" not in str(told.value)


def test_a_template_travels_as_the_file_that_it_is(values: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "tools.jinja").write_text("{{ messages }} @ROOT@")
    (model,) = parse(change(values, "serving.chatTemplate", "templates/tools.jinja"), tmp_path).models
    assert model.chat_template is not None
    assert (model.chat_template.path, model.chat_template.source) == (
        "serving/chat-template.jinja",
        "templates/tools.jinja",
    )


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (".git/config", "is hidden, or in a hidden folder"),
        ("templates/.env.jinja", "is hidden, or in a hidden folder"),
        ("templates/keys.toml", r"is no Jinja file by its name: it ends in \.jinja, \.jinja2, \.j2"),
        ("link.jinja", "is hidden, or in a hidden folder"),
    ],
)
def test_a_file_that_is_no_template_by_its_name_travels_nowhere(
    values: dict[str, Any], tmp_path: Path, path: str, words: str
) -> None:
    (tmp_path / "link.jinja").symlink_to(".git/config")
    for file in (".git/config", "templates/.env.jinja", "templates/keys.toml"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("secret")
    with pytest.raises(SettingsError, match=rf"serving\.chatTemplate: .*{words}"):
        parse(change(values, "serving.chatTemplate", path), tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\xff\xfe\x00", "cannot be read as text"), (b"x" * ((1 << 20) + 1), "is longer than 1048576 bytes")],
    ids=["no text", "too long"],
)
def test_a_file_that_is_no_template_is_told(values: dict[str, Any], tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "t.jinja").write_bytes(content)
    with pytest.raises(SettingsError, match=words):
        parse(change(values, "serving.chatTemplate", "t.jinja"), tmp_path)
