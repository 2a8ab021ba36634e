"""Rule throughput-known: what each machine serves of the model is known, and by what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cost_guard.codes import Level, Severity
from cost_guard.verdict.rule import Objection, Question, VerdictRule
from strict.problems import nearest

if TYPE_CHECKING:  # to start faster: see `verdict.rule`
    from cost_guard.catalogue.catalogue import Catalogue
    from cost_guard.catalogue.throughput import Throughput
    from cost_guard.verdict.facts.rungs import RungFacts

GUESSES = ("modelled", "illustrative")


def find(asked: Question) -> Objection | None:
    """BLOCK where a machine has no row of the model; WARN where a row is no measurement, ignores latency, or rests on
    an assumed share of cache hits. A quotation gives the figure itself."""
    work, rungs = asked.proposal.scenario.workload, [one for one in asked.facts.rungs.values() if one.key]
    missing = [one for one in rungs if one.throughput is None and one.price is not None]
    doubts = [words for row in _rows(rungs) if (words := _doubt(row))]
    if work.assumes_prefix_hits and rungs:
        doubts.append(
            f"workload.prefixHitShare is not given: that nodes find {work.cached_share:f} of the input in their own "
            "cache, as the managed API does, is assumed."
        )
    if missing:
        meant = _meant(work.model or "", asked.catalogue)
        return Objection(Level.BLOCK, " ".join([*(_missing(one, work.model) for one in missing), *meant, *doubts]))
    return Objection(Level.WARN, " ".join(doubts)) if doubts else None


def _missing(rung: RungFacts, model: str | None) -> str:
    assert rung.price is not None
    return (
        f"no throughput is known of {model} on {rung.price.machine} ({rung.key}); measure it with `crossover bench`, "
        "and add the row to the pack's data/throughput.toml."
    )


def _meant(model: str, catalogue: Catalogue) -> list[str]:
    """The model that a misspelt name is most like."""
    near = None if catalogue.model(model) else nearest(model, catalogue.models)
    return [f"{model} is not in the table of models; did you mean {near}?"] if near else []


def _rows(rungs: list[RungFacts]) -> list[Throughput]:
    return list({one.throughput.key: one.throughput for one in rungs if one.throughput is not None}.values())


def _doubt(row: Throughput) -> str:
    said = []
    if row.kind in GUESSES:
        said.append(f"is {row.kind}, with a sigma of {row.sigma:f}")
    if row.milliseconds_per_output_token is None:
        said.append("does not look at latency")
    return f"The throughput of {row.model} on {row.machine} {' and '.join(said)}." if said else ""


RULE = VerdictRule(
    code="throughput-known",
    position=52,
    severity=Severity.HIGH,
    demand="What each machine serves of the model must be known.",
    remedy="Measure it with `crossover bench`, or choose a machine of which the catalogue knows it.",
    key=("fleet", "nodes"),
    asks=Question,
    find=find,
    repair_goes_through=True,
)
