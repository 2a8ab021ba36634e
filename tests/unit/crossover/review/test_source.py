"""A configuration is data: read strictly, from files and from git, and nothing of it is run or followed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.crossover.review.review import Review
from scripts.crossover.stack.config import (
    MOST_BYTES,
    ConfigError,
    SourceError,
    Tree,
    changed_files,
    config_path,
    parse_config,
    read_config,
)
from tests.unit.crossover.review.conftest import Project, config

PATH = "stacks/config/Pulumi.prod.yaml"


def test_keys_lose_their_namespace_and_keep_their_lines() -> None:
    """A line is found for a key, and for one that is missing the line of what is around it."""
    found = parse_config("config:\n  aws:region: x\n  crossover:workload:\n    kind: measured\n", PATH)
    assert found.values == {"workload": {"kind": "measured"}}
    assert found.lines.at(("workload", "kind")) == 4
    assert found.lines.at(("workload", "tokensPerMonth")) == 3
    assert found.lines.at(("fleet",)) == 1


def test_a_secret_is_a_placeholder_and_its_place_is_known() -> None:
    """What is encrypted never becomes a value, in any namespace."""
    text = "config:\n  crossover:apiKeys:\n    openai: {secure: v1:abc:def}\n  aws:token: {secure: v1:x:y}\n"
    found = parse_config(text, PATH)
    assert found.values == {"apiKeys": {"openai": "[secret]"}}
    assert found.secrets == (("crossover:apiKeys", "openai"), ("aws:token",))


def test_text_that_is_json_is_what_the_program_would_read() -> None:
    """`pulumi config set` without --path stores structures as JSON."""
    assert parse_config("config:\n  crossover:managed: '{\"usdPerMillionTokens\": 5}'\n", PATH).values == {
        "managed": {"usdPerMillionTokens": 5}
    }


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("config: [", f"{PATH}:1: not YAML"),
        ("config: {crossover:managed: {}\n", f"{PATH}:2: not YAML"),
        ("config:\n  crossover:a: 1\n  crossover:a: 2\n", f"{PATH}:3: config.crossover:a: stands twice; keep one"),
        ("config: !!python/object:os.system {}", "could not determine a constructor"),
        ("config: [1]", "expected a map `config:`"),
        ("- 1", "expected a map `config:`"),
        (BOMB, "over 20,000 values large"),
        ("a: &a [*a]", "over 20,000 values large"),
        ("a: \x00", "not YAML"),
    ],
    ids=["list", "brace", "twice", "a tag", "no map", "a list", "a bomb", "a loop", "binary"],
)
def test_what_is_no_configuration_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_config(text, PATH)
    assert said in error.value.lines[0]


def test_a_large_file_is_refused_before_it_is_parsed(project: Project) -> None:
    """From the working tree and from a commit alike."""
    project.commit("x" * (MOST_BYTES + 1))
    for ref in ("", "HEAD"):
        with pytest.raises(ConfigError, match="larger than the 256 KiB"):
            Tree(project.folder, ref).text(config_path("prod"))


def test_a_commit_is_read_without_a_checkout(project: Project) -> None:
    """The working tree may say something else, or nothing."""
    project.commit(config(nodes=3))
    (project.folder / config_path("prod")).unlink()
    committed = read_config(Tree(project.folder, "HEAD"), config_path("prod"))
    assert committed is not None
    assert sorted(committed.values["fleet"]["nodes"]) == ["a", "b", "c"]
    assert read_config(Tree(project.folder), config_path("prod")) is None
    assert read_config(Tree(project.folder, "HEAD"), config_path("other")) is None


def test_a_link_in_a_commit_is_not_followed(project: Project, tmp_path: Path) -> None:
    """A fork could point it at a file of the machine that judges it."""
    (tmp_path / "secret").write_text("config: {}")
    path = project.folder / config_path("prod")
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "secret")
    project.commit()
    with pytest.raises(ConfigError, match="is not a plain file at HEAD"):
        Tree(project.folder, "HEAD").text(config_path("prod"))


@pytest.mark.parametrize("ref", ["nowhere", "--output=x", "HEAD:stacks", "HEAD; true"])
def test_a_ref_that_is_none_says_how_to_have_it(project: Project, ref: str) -> None:
    """What looks like an option is a ref that does not exist."""
    project.commit(config())
    with pytest.raises(SourceError, match=r"git knows no commit .*fetch-depth: 0"):
        Tree(project.folder, ref).text(config_path("prod"))


def test_changed_files(project: Project) -> None:
    project.commit(config())
    (project.folder / "policies").mkdir()
    (project.folder / "policies" / "prices.toml").write_text("x")
    project.commit(config(nodes=3))
    assert changed_files(project.folder, "HEAD^1", "HEAD") == ["policies/prices.toml", config_path("prod")]
    (project.folder / "policies" / "prices.toml").write_text("y")
    assert changed_files(project.folder, "HEAD", "") == ["policies/prices.toml"]


def test_a_file_that_nobody_has_added_yet_has_changed_in_the_working_tree(project: Project) -> None:
    """A new stack's, say. What git ignores is none."""
    (project.folder / ".gitignore").write_text("*.log")
    project.commit(config())
    project.write(config(), "new")
    (project.folder / "debug.log").write_text("x")
    assert changed_files(project.folder, "HEAD", "") == [config_path("new")]
    assert changed_files(project.folder, "HEAD", "HEAD") == []


def test_what_a_preview_has_written_is_no_change_but_what_was_added_there_is(project: Project) -> None:
    """Or the second preview would name the first one's files."""
    project.commit(config())
    reports = project.folder / "preview"
    reports.mkdir()
    (reports / "comment.md").write_text("x")
    assert changed_files(project.folder, "HEAD", "", reports) == []
    assert changed_files(project.folder, "HEAD", "") == ["preview/comment.md"]
    project.git("add", "preview")
    assert changed_files(project.folder, "HEAD", "", reports) == ["preview/comment.md"]


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("[prod/llm, team]", "prod/llm, team"),
        ("[{prod/llm: {merge: false}}]", "prod/llm"),
        ("{imports: [prod/llm], values: {pulumiConfig: {crossover:fleet: {nodes: 9}}}}", "prod/llm, its own values"),
    ],
)
def test_an_environment_of_pulumi_is_named_and_that_it_is_not_seen(written: str, named: str) -> None:
    """What it sets is in no file: passed over in silence, a review would judge another stack than `up` makes."""
    found = parse_config(f"environment: {written}\nconfig:\n  crossover:workload: {{}}\n", "Pulumi.x.yaml")
    assert found.unseen.startswith(f"environment: {named}: what Pulumi ESC sets there stands in no file")
    assert found.environments_line == 1
    assert parse_config("config: {}\n", "Pulumi.x.yaml").unseen == ""


def test_an_environment_is_a_warning_of_the_review(reviewed: Callable[..., Review]) -> None:
    review = reviewed({"environment": ["prod/llm"], **config()}, config())
    [finding] = [one for one in review.findings if one.rule == "environment"]
    assert (finding.level, finding.line) == ("WARN", 1)
    assert review.outcome == "WARN"


@pytest.mark.parametrize("namespace", ["crosover", "crossovers", "Crossover", "cross-over"])
def test_a_misspelt_namespace_is_refused_with_the_nearest(namespace: str) -> None:
    """Nobody would read its keys: what is missing would be all that is said, or nothing, of a key with a default."""
    text = f"config:\n  aws:region: us-east-1\n  crossplane:x: 1\n  {namespace}:deadlines: {{}}\n"
    with pytest.raises(ConfigError) as refused:
        parse_config(text, PATH)
    told = f"{PATH}:4: {namespace}:deadlines: unknown namespace {namespace} (did you mean crossover?)"
    assert refused.value.lines == [told]


def test_a_key_without_a_namespace_is_the_programs_as_for_the_engine() -> None:
    """`pulumi config` of 3.259 shows it as the project's own; beside the whole key, nobody could say which counts."""
    text = "config:\n  workload: {tokensPerMonth: 1}\n  apiKeys:\n    x: {secure: v1:cipher}\n"
    found = parse_config(text, PATH)
    assert found.values["workload"] == {"tokensPerMonth": 1}
    assert (found.lines.at(("workload", "tokensPerMonth")), found.secrets) == (2, (("crossover:apiKeys", "x"),))
    with pytest.raises(ConfigError, match=r":2: workload: stands twice, with crossover: and without it; keep one"):
        parse_config(f"{text}  crossover:workload: {{}}\n", PATH)


def test_a_merge_that_nobody_ended_is_told_as_one(project: Project) -> None:
    """Not as "could not find expected ':'"."""
    lines = ["config:", "<<<<<<< HEAD", "  crossover:a: 1", "=======", "  crossover:a: 2", ">>>>>>> theirs", ""]
    project.write("\n".join(lines))
    (error,) = project.side().errors
    assert error.startswith(f"{PATH}:2: both sides of a merge stand here; keep one, and take out git's lines <<<<<<<")


def test_errors_name_file_line_and_key(project: Project) -> None:
    """Of the scenario, and of what only the program would refuse."""
    broken = config(serving={"servedName": "m", "model": "m", "maxNumSeq": 1})
    broken["config"]["crossover:workload"] = {"tokensPerMonth": -1}
    project.write(broken)
    text = (project.folder / config_path("prod")).read_text().splitlines()
    lines = {
        name: next(n for n, line in enumerate(text, 1) if name in line) for name in ("tokensPerMonth", "maxNumSeq")
    }
    errors = project.side().errors
    assert any(e.startswith(f"{PATH}:{lines['tokensPerMonth']}: crossover:workload.tokensPerMonth: ") for e in errors)
    assert any(f"{PATH}:{lines['maxNumSeq']}: crossover:serving.maxNumSeq: unknown key" in e for e in errors)


def usage(tokens_per_month: float) -> dict[str, Any]:
    """A usage file's content: 30 full days of March."""
    return {
        "tokensPerMonth": tokens_per_month, "inputShare": 0.7, "cachedShare": 0.1, "peakToMean": 1.5,
        "peakBasis": "hourly", "kind": "measured", "from": "2026-03-01", "to": "2026-03-30", "days": 30,
        "volumeSigma": 0.1, "importedAt": "2026-04-01",
        "perDay": {"least": 10**8, "median": 2 * 10**8, "most": 3 * 10**8},
        "sources": [{"name": "a.csv", "format": "daily CSV", "sha256": "a" * 64, "records": 30}],
    }  # fmt: skip


def test_a_usage_file_is_read_from_the_same_commit(project: Project) -> None:
    """The base's volume is the base's file, not that of the working tree."""
    file = project.folder / "usage" / "prod.yaml"
    file.parent.mkdir()
    file.write_text(yaml.safe_dump(usage(6e9)))
    project.commit(config(workload={"usage": "usage/prod.yaml"}))
    file.write_text(yaml.safe_dump(usage(7e9)))
    before, now = project.side("HEAD", whole=False), project.side()
    assert before.errors == now.errors == ()
    assert before.scenario is not None
    assert now.scenario is not None
    assert (before.scenario.workload.tokens_per_month, now.scenario.workload.tokens_per_month) == (
        Decimal("6e9"),
        Decimal("7e9"),
    )
    file.write_text("tokensPerMonth: 1")
    assert any(line.startswith("usage/prod.yaml:1: inputShare: missing") for line in project.side().errors)


@pytest.mark.parametrize("named", ["", "a\0b", "a\ud800b", "x" * 200_000])
def test_a_usage_file_whose_name_is_no_path_is_refused_and_git_is_not_asked(project: Project, named: str) -> None:
    """In a fork's file as in the working tree: git would end with an error of the system's."""
    project.commit(config(workload={"usage": named}))
    for side in (project.side("HEAD"), project.side()):
        (error,) = side.errors
        assert "crossover:workload.usage: " in error
        assert "is no path of a file" in error


@pytest.mark.parametrize("named", ["../outside.yaml", "/etc/hostname", "usage/missing.yaml"])
def test_a_usage_file_outside_the_commit_is_not_read(project: Project, named: str) -> None:
    (project.folder.parent / "outside.yaml").write_text("tokensPerMonth: 1")
    project.commit(config(workload={"usage": named}))
    errors = project.side("HEAD").errors
    assert len(errors) == 1
    assert "crossover:workload.usage" in errors[0]
    assert "leads out of" in errors[0] or "there is no file" in errors[0]


def test_the_files_that_a_configuration_names_are_read_at_its_ref(project: Project) -> None:
    """A model that the catalogue lacks, and a template: as data, without a working tree. 80 layers of 8,192 are 141 GB
    in 16 bits, as Llama 70B."""
    shape = {"model_type": "llama", "hidden_size": 8192, "num_hidden_layers": 80, "num_attention_heads": 64,
             "num_key_value_heads": 8, "vocab_size": 128256, "intermediate_size": 28672,
             "max_position_embeddings": 131072}  # fmt: skip
    (project.folder / "models").mkdir()
    (project.folder / "models/own.json").write_text(json.dumps(shape))
    (project.folder / "models/own.jinja").write_text("{{ messages }}")
    serving = {"engine": "simulator", "model": "acme/own", "servedName": "own", "modelConfig": "models/own.json",
               "chatTemplate": "models/own.jinja"}  # fmt: skip
    project.commit(config(serving=serving))
    shutil.rmtree(project.folder / "models")
    side = project.side("HEAD")
    assert side.errors == ()
    (proposal,) = side.proposals.values()
    assert proposal.served is not None
    assert proposal.served.shape is not None
    assert float(proposal.served.shape["parameters"]) == pytest.approx(70.55e9, rel=0.001)
