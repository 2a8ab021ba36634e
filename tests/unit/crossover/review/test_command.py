"""`crossover preview`: exit codes, one document, four files on every outcome, and no engine for a fork."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cost_guard.catalogue.catalogue import DATA, CatalogueError
from images.sources import REPOSITORY
from scripts.crossover.__main__ import app
from scripts.crossover.review import make
from scripts.crossover.review.jobs import EXAMPLES, WORKFLOW
from scripts.crossover.review.preview.events import Run
from scripts.crossover.review.scales.base import DATA as PLACE
from scripts.crossover.stack.config import config_path
from tests.unit.crossover.review.conftest import CATALOGUE, TODAY, Project, config

FILES = {"comment.md", "report.json", "junit.xml", "sarif.json"}
Invoke = Callable[..., Any]


@pytest.fixture
def invoke(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Runs the command on the project, with an engine that says what it is told to."""
    shutil.copy(REPOSITORY / "Pulumi.yaml", project.folder)
    monkeypatch.setattr(make, "REPOSITORY", project.folder)
    monkeypatch.setattr(make, "load_catalogue", lambda: CATALOGUE)
    monkeypatch.setenv("CROSSOVER_TODAY", TODAY.isoformat())
    monkeypatch.delenv("CROSSOVER_WAIVERS", raising=False)
    engines: list[str] = []

    def run(*arguments: str, engine: Run | None = None) -> Any:
        def preview(stack: str, *_: Any) -> Run:
            engines.append(stack)
            assert engine is not None, "the engine was started"
            return engine

        monkeypatch.setattr(make, "preview", preview)
        monkeypatch.setattr(make, "secret_values", lambda *_: ["planted-" + "value"])
        return CliRunner().invoke(app, ["preview", "--stack", "prod", "--out", str(tmp_path / "out"), *arguments])

    return run


ASSERTED = {"tokensPerMonth": 6e9, "kind": "asserted"}


@pytest.mark.parametrize(
    ("new", "engine", "strict", "code", "verdict"),
    [
        (config(2), Run(), False, 0, "PASS"),
        (config(2), Run(), True, 0, "PASS"),
        (config(2, workload=ASSERTED), Run(), False, 0, "WARN"),
        (config(2, workload=ASSERTED), Run(), True, 4, "WARN"),
        (config(4), Run(), False, 2, "BLOCK"),
        (config(4), Run(), True, 2, "BLOCK"),
        (config(2), Run(weakened=(("budget", "disabled"),)), False, 2, "BLOCK"),
        (config(2, managed={}), None, False, 3, "CANNOT EVALUATE"),
        ("config: [", None, True, 3, "CANNOT EVALUATE"),
        (config(2), Run(failures=("boom",)), False, 1, "FAILED"),
    ],
)
def test_exit_codes_and_files(
    project: Project,
    invoke: Invoke,
    tmp_path: Path,
    new: Any,
    engine: Run | None,
    strict: bool,
    code: int,
    verdict: str,
) -> None:
    """Standard output is the same document as report.json; the comment is there on every one."""
    project.commit(config(2))
    project.write(new)
    done = invoke("--base", "HEAD", "--json", *(["--strict"] if strict else []), engine=engine)
    document = json.loads(done.stdout)
    assert (done.exit_code, document["verdict"], document["exitCode"]) == (code, verdict, code)
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == document
    assert (tmp_path / "out" / "comment.md").read_text().startswith("<!-- crossover:stack=prod -->\n## ")
    assert verdict in (tmp_path / "out" / "comment.md").read_text().splitlines()[1]


def test_a_stack_without_a_file_cannot_be_evaluated(invoke: Invoke, project: Project, tmp_path: Path) -> None:
    project.commit(config(2), stack="other")
    done = invoke()
    assert done.exit_code == 3
    assert "there is no such file; has stack prod another name?" in (tmp_path / "out" / "comment.md").read_text()


def test_a_stack_that_is_removed_says_what_to_do_first(invoke: Invoke, project: Project, tmp_path: Path) -> None:
    """Machines outlive the file: what they cost is told, and that nothing was previewed."""
    project.commit(config(2))
    (project.folder / config_path("prod")).unlink()
    assert invoke("--base", "HEAD").exit_code == 3
    comment = (tmp_path / "out" / "comment.md").read_text()
    assert "## ❓ CANNOT EVALUATE: this pull request removes the configuration of `prod`\n" in comment
    assert "It was **$19,940 a month** for 2 nodes. The check fails" in comment
    assert "take the stack down first (make down STACK=prod)" in comment


def test_waivers_that_cannot_be_read_cannot_be_evaluated(invoke: Invoke, project: Project, tmp_path: Path) -> None:
    """Else a typo in one would let another one lapse unseen."""
    project.write(config(4))
    (project.folder / "waivers.yaml").write_text("- policy: break-evn\n")
    assert invoke().exit_code == 3
    comment = (tmp_path / "out" / "comment.md").read_text()
    assert "`prod` cannot be judged, 8 errors\n" in comment  # not in the configuration
    assert "waivers.yaml:1: policy: there is no rule" in comment


def test_a_catalogue_that_cannot_be_read_cannot_be_evaluated(
    invoke: Invoke, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for every command, and the comment says so; no side has a verdict by other prices."""

    def refused() -> Any:
        raise CatalogueError("prices.toml:9: a/b.source: missing; it has no default, set it")

    monkeypatch.setattr(make, "load_catalogue", refused)
    project.commit(config(2))
    done = invoke("--base", "HEAD", "--json")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["exitCode"], document["verdict"]) == (3, 3, "CANNOT EVALUATE")
    assert (document["head"]["verdict"], document["base"]["verdict"]) == (None, None)
    assert "prices.toml:9: a/b.source: missing" in (tmp_path / "out" / "comment.md").read_text()


@pytest.mark.parametrize(
    "arguments",
    [["--stack", "../prod"], ["--stack", "a b"], ["--base", "nowhere"], ["--untrusted", "nowhere"], ["--bogus"]],
)
def test_wrong_calls_exit_1_and_write_nothing(
    invoke: Invoke, project: Project, tmp_path: Path, arguments: list[str]
) -> None:
    """Not 2, which would read as BLOCK."""
    project.commit(config(2))
    done = invoke(*arguments, engine=Run())
    assert (done.exit_code, done.stdout) == (1, "")
    assert not (tmp_path / "out").exists()


def test_a_fork_is_judged_as_data(invoke: Invoke, project: Project, tmp_path: Path) -> None:
    """From its commit, although the working tree says something else; the engine is not started."""
    project.commit(config(2))
    project.git("checkout", "-q", "-b", "fork")
    project.commit(config(4))
    project.git("checkout", "-q", "main")
    done = invoke("--untrusted", "fork", "--base", "HEAD", "--json")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["untrusted"], document["changes"]) == (2, True, None)
    assert document["head"]["verdict"]["fixedUsdPerMonth"] == 35780
    assert "**No resource diff.**" in (tmp_path / "out" / "comment.md").read_text()


def test_a_fork_does_not_bring_its_own_scales(invoke: Invoke, project: Project) -> None:
    """12B tokens would carry four nodes; the base says 6B."""
    project.commit(config(2, workload=ASSERTED))
    project.git("checkout", "-q", "-b", "fork")
    project.commit(config(4, workload={**ASSERTED, "tokensPerMonth": 12e9}))
    project.git("checkout", "-q", "main")
    done = invoke("--untrusted", "fork", "--base", "HEAD", "--json")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["head"]["verdict"]["verdict"]) == (2, "WARN")
    assert document["scales"]["buysMore"] == ["4 nodes instead of 2", "nodes that cost more a month"]
    assert document["scales"]["verdict"]["verdict"] == "BLOCK"


FOUR = {"nodes": 4, "usdPerMonth": 35780, "approvedBy": "a. person", "date": "2026-04-01"}


def test_a_pull_request_does_not_approve_its_own_growth(invoke: Invoke, project: Project) -> None:
    """The engine passes it, as the program does by the committed baseline; without a base nothing is compared."""
    project.commit(config(2))
    project.write(config(4, baseline=FOUR))
    done = invoke("--base", "HEAD", engine=Run())
    assert done.exit_code == 2
    assert done.stdout.startswith("BLOCK")
    assert "WARN own-baseline: this pull request gives itself a baseline of 4 nodes" in " ".join(done.stdout.split())
    assert invoke(engine=Run()).exit_code == 0


@pytest.mark.parametrize("base", [["--base", "main"], []], ids=["a base", "the working tree"])
def test_nor_does_a_fork(invoke: Invoke, project: Project, base: list[str]) -> None:
    """Without a base, what stands in the working tree counts, as its waivers do."""
    project.commit(config(2))
    project.git("checkout", "-q", "-b", "fork")
    project.commit(config(4, baseline=FOUR))
    project.git("checkout", "-q", "main")
    done = invoke("--untrusted", "fork", *base, "--json")
    assert (done.exit_code, json.loads(done.stdout)["verdict"]) == (2, "BLOCK")
    where = "main" if base else "the working tree"
    assert f"There is none at {where}, so none counts here" in done.stdout


@pytest.mark.parametrize("before", [FOUR, None], ids=["the same", "raised"])
def test_an_own_baseline_of_the_future_is_refused_as_plan_refuses_it(
    invoke: Invoke, project: Project, before: dict[str, Any] | None
) -> None:
    """Although the day of the base's would count beside it, or the base's alone."""
    project.commit(config(4, baseline=before))
    project.git("checkout", "-q", "-b", "fork")
    tomorrow = TODAY + timedelta(days=1)
    project.commit(config(4, baseline=FOUR | {"date": tomorrow.isoformat()}))
    project.git("checkout", "-q", "main")
    done = invoke("--untrusted", "fork", "--base", "main", "--json")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["verdict"]) == (3, "CANNOT EVALUATE")
    [finding] = document["findings"]
    assert finding["line"] > 1
    assert f"baseline.date: {tomorrow} is after today, {TODAY}; give the day of the approval" in finding["message"]
    project.git("checkout", "-q", "fork")
    assert invoke("--base", "main").exit_code == 3


def test_changes_of_the_gate_itself_are_told(invoke: Invoke, project: Project) -> None:
    project.commit(config(2))
    (project.folder / "policies").mkdir()
    (project.folder / "policies" / "prices.toml").write_text("cheaper")
    project.git("add", "-A")
    document = json.loads(invoke("--base", "HEAD", "--json", engine=Run()).stdout)
    assert document["judgesChanged"] == ["policies/prices.toml"]


def test_what_was_is_told_with_the_prices_that_were(invoke: Invoke, project: Project) -> None:
    """2 nodes at $4,000 and $4,100 were $12,100; at the $7,920 of this pull request they are $19,940."""
    shutil.copytree(DATA, project.folder / PLACE)
    prices = project.folder / PLACE / "prices.toml"
    text = prices.read_text()
    prices.write_text(text.replace("usdPerMonth = 7920", "usdPerMonth = 4000", 1))
    project.commit(config(2))
    prices.write_text(text)
    document = json.loads(invoke("--base", "HEAD", "--json", engine=Run()).stdout)
    assert document["base"]["verdict"]["fixedUsdPerMonth"] == 12100
    assert document["head"]["verdict"]["fixedUsdPerMonth"] == 19940
    assert "7920" in [change["now"] for change in document["scales"]["changed"]]


def test_a_judge_that_is_moved_away_is_told_by_its_old_name_too(invoke: Invoke, project: Project) -> None:
    """Git would call it renamed, and name what is now a page of the docs alone."""
    for folder in ("stacks", "docs"):
        (project.folder / folder).mkdir()
    (project.folder / "stacks" / "settings.py").write_text("what the gate reads\n" * 9)
    project.commit(config(2))
    (project.folder / "stacks" / "settings.py").rename(project.folder / "docs" / "settings.py")
    project.git("add", "-A")
    document = json.loads(invoke("--base", "HEAD", "--json", engine=Run()).stdout)
    assert document["judgesChanged"] == ["stacks/settings.py"]


@pytest.mark.parametrize("working", [True, False], ids=["working tree", "commit"])
@pytest.mark.parametrize(
    ("matrices", "examples", "left"),
    [
        ((["prod"], ["prod"]), "", ["new"]),
        ((["prod", "new"], ["prod"]), "", ["new"]),  # a preview that nobody comments on
        ((["prod", "new"], ["prod", "new"]), "", []),
        ((["prod"], ["prod"]), "new other", []),
        ((["prod", "new"], "${{ fromJSON(x) }}"), "", ["new", "prod"]),
        ((), "", ["new", "prod"]),
    ],
)
def test_a_stack_without_a_job_fails_the_check(
    invoke: Invoke, project: Project, matrices: Any, examples: str, left: list[str], working: bool
) -> None:
    """Audit 20: Else it would be judged by nobody, and no comment would say so."""
    jobs = {f"job{i}": {"strategy": {"matrix": {"stack": listed}}} for i, listed in enumerate(matrices)}
    (project.folder / WORKFLOW).parent.mkdir(parents=True)
    (project.folder / WORKFLOW).write_text(json.dumps({"env": {EXAMPLES: examples}, "jobs": {"other": {}, **jobs}}))
    project.commit(config(2))
    project.git("checkout", "-q", "-b", "new")
    (project.folder / config_path("Pulumi")).write_text("config:\n")
    (project.folder / config_path("Pulumi")).rename((project.folder / config_path("x")).with_name("existing.yaml"))
    project.commit(config(2), "new")
    where = () if working else ("--untrusted", "new")
    done = invoke("--base", "main", *where, "--json", engine=Run())
    document = json.loads(done.stdout)
    assert document["stacksWithoutJob"] == left
    found = {finding["path"]: finding["message"] for finding in document["findings"] if finding["level"] == "BLOCK"}
    assert set(found) == {config_path(stack) for stack in left}
    assert all("add it to every matrix.stack of .github/workflows/preview.yml" in told for told in found.values())
    assert done.exit_code == (2 if left else 0)


def test_a_workflow_that_cannot_be_read_cannot_be_evaluated(invoke: Invoke, project: Project) -> None:
    project.commit(config(2))
    (project.folder / WORKFLOW).parent.mkdir(parents=True)
    (project.folder / WORKFLOW).write_text("jobs: {\n")
    done = invoke("--base", "HEAD", "--json")
    (finding,) = json.loads(done.stdout)["findings"]
    assert (done.exit_code, finding["path"], finding["line"]) == (3, WORKFLOW, 2)
    assert finding["message"].startswith(".github/workflows/preview.yml:2: not YAML: ")


def test_a_secret_that_is_not_set_is_a_warning_with_what_to_do(invoke: Invoke, project: Project) -> None:
    """Whether it pays is known without; `up` will refuse."""
    serving = {
        "engine": "simulator",
        "model": "a/b",
        "servedName": "m",
        "weights": {"source": "hf", "tokenSecret": "hf"},
    }
    project.write(config(2, serving=serving))
    document = json.loads(invoke("--json", engine=Run()).stdout)
    (finding,) = (finding for finding in document["findings"] if finding["rule"] == "secrets-set")
    assert finding["level"] == "WARN"
    assert finding["message"] == (
        "apiKeys: hf is missing, which serving.weights.tokenSecret names: pulumi config set --secret --path "
        "crossover:apiKeys.hf. `up` will refuse."
    )
    project.write(config(2, serving=serving, apiKeys={"hf": {"secure": "v1:cipher"}}))
    found = json.loads(invoke("--json", engine=Run()).stdout)["findings"]
    assert "secrets-set" not in {finding["rule"] for finding in found}


def test_no_planted_secret_is_in_any_file(
    invoke: Invoke, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a secret key, of the environment, of a passphrase file, and one that only looks like a key."""
    (tmp_path / "passphrase").write_text("correct horse battery")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    monkeypatch.setenv("RUNPOD_API_KEY", "from-the-environment")
    key = "sk-" + "x1" * 12
    planted = [f"planted-{'value'}", "from-the-environment", "correct horse battery", key]
    sealed = {"openai": {"secure": "v1:" + "c2VjcmV0LXNlY3JldA==" + ":c2VjcmV0LXNlY3JldA=="}}
    rung = {"cloud": "local", "sku": "x", "standsFor": f"quoted/{key}"}
    fleet = {"nodes": {name: {"candidates": [{**rung, "region": name}]} for name in "ab"}}
    project.write(config(2, apiKeys=sealed, fleet=fleet))
    done = invoke(engine=Run(failures=tuple(f"login with {value} failed" for value in planted)))
    texts = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert set(texts) == FILES
    assert "login with [secret] failed" in texts["comment.md"]
    for name, text in {**texts, "stdout": done.stdout, "stderr": done.stderr}.items():
        for value in (*planted, "c2VjcmV0"):
            assert value not in text, (name, value)


def test_the_day_can_be_given(invoke: Invoke, project: Project) -> None:
    """It stands above CROSSOVER_TODAY."""
    project.write(config(2))
    assert json.loads(invoke("--json", engine=Run()).stdout)["today"] == TODAY.isoformat()
    assert json.loads(invoke("--json", "--today", "2026-05-01", engine=Run()).stdout)["today"] == "2026-05-01"


def test_a_folder_that_cannot_be_written_is_said(invoke: Invoke, project: Project, tmp_path: Path) -> None:
    project.write(config(2))
    (tmp_path / "file").write_text("")
    done = invoke("--out", str(tmp_path / "file" / "below"), engine=Run())
    assert done.exit_code == 1
    assert done.stderr.startswith("crossover: ")
    assert "Traceback" not in done.stderr
