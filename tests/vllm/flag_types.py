"""Prints vLLM's flags with their types, in the form of images/engines/vllm-flags.toml. Run by the Python of an
environment with vLLM, in which nothing of ours is; a new version's are read so: docs/howto/vllm-version.md."""

from __future__ import annotations

import argparse
import json
import textwrap

PLAIN = {"int": "int", "float": "float", "str": "string", "human_readable_int": "size", "union_dict_and_str": "any"}
WIDTH = 80
JSON = ("loads", "parse_dataclass")


def main() -> None:
    # Both are there at run time alone.
    from vllm.entrypoints.cli.serve import ServeSubcommand  # type: ignore[import-not-found]
    from vllm.utils.argparse_utils import FlexibleArgumentParser  # type: ignore[import-not-found]

    parser = ServeSubcommand().subparser_init(FlexibleArgumentParser().add_subparsers())
    for flag, kind in sorted(_kinds(parser).items()):
        print(f"{flag} = {_toml(kind)}")


def _toml(kind: object) -> str:
    if isinstance(kind, dict):
        return "{ " + ", ".join(f"{key} = {_toml(value)}" for key, value in kind.items()) + " }"
    line = json.dumps(kind)
    if len(line) <= WIDTH:
        return line
    items = textwrap.fill(line[1:-1], WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
    return f"[\n{items},\n]"


def _kinds(parser: argparse.ArgumentParser) -> dict[str, object]:
    return {
        word[2:]: _kind(action)
        for action in parser._actions  # argparse shows them nowhere else
        for word in action.option_strings
        if word.startswith("--") and not word.startswith("--no-") and word != "--help"
    }


def _kind(action: argparse.Action) -> object:
    if isinstance(action, argparse.BooleanOptionalAction):
        return "bool"
    if action.nargs == 0:
        return "switch"
    plain = _plain(action.type)
    if action.choices:
        choices = [choice for choice in action.choices if choice is not None]
        return {"several": choices} if action.nargs == "+" else choices
    return f"{plain}s" if action.nargs == "+" else plain


def _plain(kind: object) -> str:
    """Of a type that allows for None, the other one: it is what its function closes over."""
    name = getattr(kind, "__name__", "str")
    if name in ("_optional_type", "_parse_type"):
        return _plain(kind.__closure__[0].cell_contents)  # type: ignore[attr-defined]
    return "json" if name in JSON else PLAIN.get(name, "string")


if __name__ == "__main__":
    main()
