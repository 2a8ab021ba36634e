"""What a pull request may change unseen is a short list; all else has a say in verdicts, and an owner."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from images.sources import REPOSITORY
from scripts.crossover.review.judges import is_judge

CODEOWNERS = REPOSITORY / ".github" / "CODEOWNERS"


@pytest.mark.parametrize(
    "path",
    [
        "policies/cost_guard/catalogue/data/prices.toml",
        "stacks/settings.py",
        "stacks/__main__.py",
        "providers/registry.py",
        "providers/__main__.py",
        "images/engines/vllm.py",
        "scripts/bootstrap",
        "scripts/crossover/review/judges.py",
        "waivers.yaml",
        "Pulumi.yaml",
        "pyproject.toml",
        "requirements/crossover.txt",
        ".github/CODEOWNERS",
        ".github/workflows/preview.yml",
        "cost_guard/verdict/judge.py",  # would shadow the pack, were it first on the path
        "strict.py",
        "stacks/config/sitecustomize.py",
        "stacks/config/x.yaml/y.py",
        "usage/read.py",
        "usage/a/b.yaml",
        "usage.yaml.py",
        "docs",
        "tests.py",
        "scripts/README.md",
        "new/folder/docs/page.md",
        "stacks/config/Pulumi.x.yaml\n.py",
    ],
)
def test_it_is_a_judge(path: str) -> None:
    """Audit 6: each of these changed a verdict unseen."""
    assert is_judge(path)


@pytest.mark.parametrize(
    "path",
    [
        "stacks/config/Pulumi.local.yaml",
        "stacks/config/existing.yaml",
        "usage.yaml",
        "usage/prod.yaml",
        "docs/howto/plan.yaml",
        "tests/unit/house/test_size.py",
        "README.md",
        "CHANGELOG.md",
    ],
)
def test_it_is_none(path: str) -> None:
    assert not is_judge(path)


def test_codeowners_asks_for_an_owner_of_every_judge_and_of_nothing_else(tmp_path: Path) -> None:
    """By git's own matching, whose patterns GitHub's are: the first line owns all, each further one frees some."""
    lines = [line for line in CODEOWNERS.read_text().splitlines() if line and not line.startswith("#")]
    (everything, owner), *free = (line.split() for line in lines)
    assert everything == "*"
    assert owner.startswith("@")
    assert all(len(line) == 1 for line in free)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("\n".join(pattern for (pattern,) in free))
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    paths = [path for path in tracked.stdout.split("\0") if path]
    paths += ["usage.yaml", "usage/prod.yaml", "usage/read.py", "stacks/config/Pulumi.new.yaml", "stacks/config/x.py"]
    paths += [
        "waivers.yaml",
        "cost_guard/codes.py",
        "a/usage.yaml",
        "a/docs/b",
        "a/README.md",
        "stacks/config/a/b.yaml",
    ]
    asked = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin", "-z"],
        cwd=tmp_path, input="\0".join(paths), capture_output=True, text=True, check=False,
    )  # fmt: skip
    freed = {path for path in asked.stdout.split("\0") if path}
    assert len(freed) > 100
    assert freed == {path for path in paths if not is_judge(path)}
