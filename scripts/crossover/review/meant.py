"""What a change of a configuration means for who reads it, in words: resources and their inputs do not say it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.crossover.stack.verdict import Side

_MODEL = r"(?:models\.(?P<model>[^.]+)\.)?"
SAID = (
    (rf"{_MODEL}serving\.model", "the model"),
    (rf"{_MODEL}serving\.revision", "the revision of the weights"),
    (rf"{_MODEL}serving\.quantization", "the quantization"),
    (rf"{_MODEL}serving\.maxModelLen", "the longest context, in tokens"),
    (rf"{_MODEL}serving\.tensorParallelSize", "how many GPUs share the model"),
    (rf"{_MODEL}serving\.engine", "the engine"),
    (rf"{_MODEL}serving\.image", "the image of containers"),
    (rf"{_MODEL}fleet\.nodes\.(?P<node>[^.]+)\.candidates\[(?P<rung>\d+)\]\.maxUsdPerHour", "the ceiling, USD an hour"),
    (r"generations\.(?P<node>[^.]+)", "the generation: its machine is replaced"),
    (r"credentialsGeneration", "the generation of all keys and certificates"),
    (r"clouds\.(?P<cloud>[^.]+)\.(?:rootGb|diskGb)", "the disk of each node, GB"),
    (r"gateway\.managedBudgetUsdPerMonth", "what the gateway may spend at managed APIs, USD a month"),
    (r"gateway\.placement", "where the gateway runs"),
    (r"gatewayNode\.(?:cloud|region|sku)", "the gateway's machine"),
)
"""Key of the configuration → what it is to a reader."""
_WITHOUT_DEFAULT = re.compile(r".*\.maxUsdPerHour|gateway\.managedBudgetUsdPerMonth|.*serving\.model|gatewayNode\..*")
NONE, DEFAULT = "none", "the default"


@dataclass(frozen=True)
class Meaning:
    """One thing that changes. `before` or `now` is empty where that side does not say it."""

    what: str
    """ "the longest context, in tokens"; with the node and the model, where there are several."""
    before: str
    now: str
    unsaid: str = DEFAULT
    """What holds where a side does not say it: DEFAULT, or NONE."""


def meant(head: Side, base: Side | None) -> tuple[Meaning, ...]:
    """In the order of SAID; nothing where one side has no configuration."""
    if head.config is None or base is None or base.config is None:
        return ()
    now, before = dict(_flat("", head.config.values)), dict(_flat("", base.config.values))
    changed = [key for key in sorted({*now, *before}) if now.get(key) != before.get(key)]
    return tuple(
        Meaning(f"{what}{_of(found)}", before.get(key, ""), now.get(key, ""), _unsaid(key))
        for pattern, what in SAID
        for key in changed
        if (found := re.fullmatch(pattern, key))
    )


def _unsaid(key: str) -> str:
    return NONE if _WITHOUT_DEFAULT.fullmatch(key) else DEFAULT


def _of(found: re.Match[str]) -> str:
    """Whose it is: " (node a, candidate 2)"."""
    named = found.groupdict()
    told = [f"{kind} {named[kind]}" for kind in ("cloud", "model", "node") if named.get(kind)]
    told += [f"candidate {int(named['rung']) + 1}"] if named.get("rung") else []
    return f" ({', '.join(told)})" if told else ""


def _flat(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _flat(f"{key}.{name}" if key else str(name), item)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _flat(f"{key}[{number}]", item)
    else:
        yield key, str(value)
