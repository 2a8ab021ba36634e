"""What is known of an engine's log: data, held to the lines that it cites."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from images.engines.common.registry import known
from images.engines.common.words import KnownFailure, Stage, read_words, words_of

WORDS = words_of("vllm")


@pytest.mark.parametrize("failure", WORDS.failures, ids=lambda f: f.name)
def test_a_failure_is_found_in_its_cited_line_and_says_what_to_do(failure: KnownFailure) -> None:
    """As vLLM's processes write it: with a prefix of their own."""
    assert WORDS.failure(f"(EngineCore pid=70) ERROR 11-29 13:47:35 [core.py:1510] {failure.example}") is failure
    assert failure.source
    assert failure.remedy[0].isupper()
    assert not failure.remedy.endswith(".")


@pytest.mark.parametrize("stage", WORDS.stages, ids=lambda s: s.says)
def test_a_stage_is_told_by_its_cited_line(stage: Stage) -> None:
    told = WORDS.stage(stage.example)
    assert told
    assert "{" not in told
    assert stage.source


def test_loading_counts_its_files() -> None:
    line = "Loading safetensors checkpoint shards:  40% Completed | 12/30 [00:31<00:46,  2.58s/it]"
    assert WORDS.stage(line) == "loading weights: 12 of 30 files"


@pytest.mark.parametrize(
    "line",
    [
        "(APIServer pid=1704) INFO 11-29 13:47:35 [launcher.py:254] [shutdown] API server: shutdown triggered",
        "(EngineCore pid=3146) WARNING 11-29 13:47:42 [multiproc_executor.py:491] [shutdown] Executor: workers still "
        "running after grace period; sending SIGTERM count=1",
        "Triton is installed, but doesn't include CPU backend. Disabling Triton.",
    ],
)
def test_what_a_healthy_vllm_writes_is_no_failure(line: str) -> None:
    """Lines of a real vLLM 0.32.0."""
    assert WORDS.failure(line) is None


def test_an_engine_that_nobody_knows_has_no_words() -> None:
    assert words_of("").failures == words_of("of-another-version").failures == ()


def test_the_simulator_speaks_as_vllm_does() -> None:
    assert words_of("simulator") is WORDS
    assert "simulator" in known()


def test_a_pattern_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("[[stages]]\npattern = '('\nsays = ''\nsource = ''\nexample = ''\n")
    with pytest.raises(ValidationError, match="no regular expression"):
        read_words(tmp_path / "x.toml")
