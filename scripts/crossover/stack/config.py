"""A stack's configuration as data: parsed YAML, from the working tree or from a git ref. Nothing of it is run."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cost_guard.scenario.proposal import STACK_PREFIX, misspelt_namespace
from strict import yaml as strict_yaml
from strict.places import Lines, Place, told
from strict.problems import Problems

MOST_BYTES = 256 * 1024
SECRET = "[secret]"
"""In place of every secret value."""


class SourceError(Exception):
    """The repository cannot be asked: no such ref, or no git. The message says what to do."""


class ConfigError(Problems):
    """The file cannot be used; the lines name it."""


@dataclass(frozen=True)
class Tree:
    """The project's files as they are at `ref`, or in the working tree where it is empty."""

    folder: Path
    ref: str = ""

    def text(self, path: str) -> str | None:
        """The content of a file by its path from the project's root; None where there is none. Raises ConfigError,
        SourceError."""
        return self._committed(path) if self.ref else self._working(path)

    @contextmanager
    def folder_with(self, *paths: str) -> Iterator[Path]:
        """A folder that has those of these files which this tree has. Raises ConfigError, SourceError."""
        if not self.ref:
            yield self.folder
            return
        with TemporaryDirectory() as name:
            for path in paths:
                if (text := self.text(path)) is not None:
                    (Path(name) / path).parent.mkdir(parents=True, exist_ok=True)
                    (Path(name) / path).write_text(text, encoding="utf-8")
            yield Path(name)

    def names(self, folder: str) -> list[str]:
        """What stands directly in a folder, links and folders included; nothing where there is none. Raises
        SourceError."""
        if not self.ref:
            return sorted(path.name for path in (self.folder / folder).glob("*"))
        commit = commit_of(self.folder, self.ref)
        listed = git(self.folder, "--literal-pathspecs", "ls-tree", "--name-only", "-z", commit, "--", f"{folder}/")
        return sorted(name.removeprefix(f"{folder}/") for name in listed.split("\0") if name)

    def _working(self, path: str) -> str | None:
        try:
            with (self.folder / path).open("rb") as file:
                return _decoded(path, file.read(MOST_BYTES + 1))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None

    def _committed(self, path: str) -> str | None:
        commit = commit_of(self.folder, self.ref)
        # The listing tells files from links and folders: what a link of someone else's says is not followed.
        listed = git(self.folder, "--literal-pathspecs", "ls-tree", "--long", "-z", commit, "--", path)
        if not listed:
            return None
        mode, _, blob, size, *_ = listed.split()
        if not mode.startswith("100"):
            raise ConfigError(f"{path}: is not a plain file at {self.ref}")
        if int(size) > MOST_BYTES:
            raise ConfigError(_too_large(path))
        return _decoded(path, git(self.folder, "cat-file", "blob", blob, text=False))


@dataclass(frozen=True)
class StackConfig:
    """One stack's configuration file."""

    values: Mapping[str, Any]
    """By key without the namespace `crossover:`; a secret is the text "[secret]"."""
    lines: Lines
    """Of the keys from the namespace on, ("fleet", "nodes", "a"), in the file by its path from the project's root."""
    secrets: tuple[Place, ...] = ()
    """The keys whose values are encrypted in the file, each from its namespace on: ("crossover:apiKeys", "openai")."""
    environments: tuple[str, ...] = ()
    """Pulumi ESC environments that the file names, in its order."""
    environments_line: int = 1

    @property
    def unseen(self) -> str:
        """What is to be said of environments, whose values are in no file; empty where there are none."""
        if not self.environments:
            return ""
        return (
            f"environment: {', '.join(self.environments)}: what Pulumi ESC sets there stands in no file, so it is not "
            "judged here: a key that is set only there counts as not given, and a change of it is in no pull request. "
            f"The program in `up` sees it. Write what the gate judges into {self.lines.file}; keep secrets and "
            "credentials there."
        )


def config_path(stack: str) -> str:
    """Where the configuration of a stack is; of organization/project/stack, the stack counts."""
    return f"stacks/config/Pulumi.{stack.rpartition('/')[2]}.yaml"


def read_config(tree: Tree, path: str) -> StackConfig | None:
    """None where the file does not exist. Raises ConfigError, SourceError."""
    text = tree.text(path)
    return None if text is None else parse_config(text, path)


def parse_config(text: str, path: str) -> StackConfig:
    """The `crossover:` keys of a stack's configuration file. Raises ConfigError."""
    try:
        document, placed = strict_yaml.load(text, path)
    except strict_yaml.DocumentError as error:
        raise ConfigError(str(error)) from None
    config = document.get("config") if isinstance(document, dict) else document
    if not isinstance(config, dict | None):
        line = placed.at(("config",))
        raise ConfigError(told(path, line, "", f"expected a map `config:` of keys like {STACK_PREFIX}workload"))
    given = dict(config or {})
    wrong = {key: words for key in given if (words := misspelt_namespace(str(key)) or _twice(str(key), given))}
    if wrong:
        raise ConfigError(told(path, placed.at(("config", str(key))), "", words) for key, words in wrong.items())
    given = {key if ":" in str(key) else f"{STACK_PREFIX}{key}": value for key, value in given.items()}
    secrets: list[Place] = []
    shown = {str(key): _without_secrets(_value(value), (str(key),), secrets) for key, value in given.items()}
    values = {key.removeprefix(STACK_PREFIX): value for key, value in shown.items() if key.startswith(STACK_PREFIX)}
    lines = {
        (place[1].removeprefix(STACK_PREFIX), *place[2:]): line
        for place, line in placed.known.items()
        if len(place) > 1 and place[0] == "config" and _ours(place[1])
    }
    environments = tuple(_environments(document.get("environment") if isinstance(document, dict) else None))
    line = placed.at(("environment",))
    return StackConfig(values, Lines(path, lines, STACK_PREFIX), tuple(secrets), environments, line)


def _environments(given: Any) -> Iterator[str]:
    """The names of a list, of a map's `imports`, or of what else stands there: the values themselves are not shown."""
    listed = given.get("imports", []) if isinstance(given, Mapping) else given
    for one in listed if isinstance(listed, list) else []:
        yield str(next(iter(one), "")) if isinstance(one, Mapping) else str(one)
    if isinstance(given, Mapping) and (own := [key for key in given if key != "imports"]):
        yield f"its own {', '.join(map(str, own))}"


def commit_of(folder: Path, ref: str) -> str:
    """The commit that a ref names. Raises SourceError."""
    try:
        commit: str = git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
    except SourceError:
        raise SourceError(
            f"git knows no commit {ref!r}; fetch it first (in GitHub Actions: actions/checkout with fetch-depth: 0)"
        ) from None
    return commit.strip()


def changed_files(folder: Path, base: str, head: str, reports: Path | None = None) -> list[str]:
    """Which files differ between two refs, one that was moved by both its names; `head` empty is the working tree, but
    for what is below `reports` and nobody has added. Raises SourceError."""
    refs = [commit_of(folder, ref) for ref in (base, head) if ref]
    # What a user's git is told of renames, submodules and folders hides nothing.
    options = ("--name-only", "--no-renames", "--no-relative", "--ignore-submodules=none", "-z")
    found = git(folder, "diff", *options, *refs, "--").split("\0")
    if not head:  # what nobody has added yet is in the working tree all the same
        root = Path(git(folder, "rev-parse", "--show-toplevel").removesuffix("\n"))
        new = git(folder, "ls-files", "--others", "--exclude-standard", "--full-name", "-z", ":/").split("\0")
        found += [name for name in new if reports is None or not (root / name).is_relative_to(reports.resolve())]
    return [name for name in found if name]


def git(folder: Path, *arguments: str, text: bool = True) -> Any:
    """Standard output of git, decoded or as bytes. Raises SourceError."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, timeout=60, check=True)
    except FileNotFoundError:
        raise SourceError("git is not installed") from None
    except subprocess.TimeoutExpired:
        raise SourceError(f"git {arguments[0]} did not answer in 60 s") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise SourceError(f"git {' '.join(arguments)}: {said or 'failed'}") from None
    return done.stdout.decode(errors="replace") if text else done.stdout


def _ours(key: str) -> bool:
    """Whether the program is given that key. The engine takes one without a namespace for the project's."""
    return key.startswith(STACK_PREFIX) or ":" not in key


def _twice(key: str, given: Mapping[str, Any]) -> str:
    """What is wrong where the engine would take one of two keys, and this the other."""
    both = ":" not in key and f"{STACK_PREFIX}{key}" in given
    return f"{key}: stands twice, with {STACK_PREFIX} and without it; keep one" if both else ""


def _decoded(path: str, content: bytes) -> str:
    if len(content) > MOST_BYTES:
        raise ConfigError(_too_large(path))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(told(path, 1, "", "not UTF-8")) from None


def _too_large(path: str) -> str:
    return f"{path}: is larger than the {MOST_BYTES // 1024} KiB that a configuration may have"


def _value(given: Any) -> Any:
    """As the program reads it."""
    return strict_yaml.configured(given) if isinstance(given, str) else given


def _without_secrets(value: Any, place: Place, found: list[Place]) -> Any:
    if isinstance(value, dict):
        if set(value) == {"secure"}:
            found.append(place)
            return SECRET
        return {key: _without_secrets(item, (*place, str(key)), found) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_secrets(item, (*place, str(index)), found) for index, item in enumerate(value)]
    return value
