"""What would turn the verdict: the smallest change of one input, found by asking the gate itself, not by a formula."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from cost_guard import wording
from cost_guard.codes import Level
from cost_guard.scenario.fleet import LadderFleet
from cost_guard.scenario.proposal import Proposal
from cost_guard.scenario.scenario import Scenario
from cost_guard.verdict.verdict import Verdict
from scripts.crossover.stack.verdict import varied

STEP = Decimal("1.04")
STEPS = 120
"""1.04^120 is 111: beyond a hundredfold nobody is helped."""
HALVINGS = 24
"""Of a step of 4 %: an edge to one part in 10^8, finer than any figure that is shown."""
MOST_NODES = 64
Judge = Callable[[Scenario], Verdict | None]
"""None for a scenario that makes no sense."""


@dataclass(frozen=True)
class Flip:
    """One input that would turn the verdict, alone, and from where on."""

    input: str
    """"volume", "managed price" or "nodes"."""
    now: Decimal
    at: Decimal
    """The nearest value at which the verdict is turned, rounded as it is shown and asked for again."""
    level: Level
    """The verdict there."""
    rules: tuple[str, ...] = ()
    """Those that block on the refused side of that edge: they decide where it is."""
    model: str = ""
    """Whose input it is, where there are several: its own verdict is turned, and the others stay as they are."""

    @property
    def words(self) -> str:
        """ "a volume of at least 3.988B tokens/month (+697.6 %)"."""
        whose = f"{self.model}: " if self.model else ""
        bound = "at least" if self.at > self.now else "at most"
        if self.input == "nodes":
            return f"{whose}{wording.count(int(self.at), 'node')} instead of {int(self.now)}"
        change = wording.percent(self.at / self.now - 1)
        shown = f"{wording.tokens(self.at)} tokens/month" if self.input == "volume" else wording.per_million(self.at)
        return f"{whose}a {self.input} of {bound} {shown} ({'+' if self.at > self.now else ''}{change})"

    @property
    def decided_by(self) -> str:
        """ "before that, probability still blocks"; empty where nobody can say."""
        if not self.rules:
            return ""
        blocks = "block" if len(self.rules) > 1 else "blocks"
        named = _listed(self.rules)
        return f"there {named} {blocks}" if self.level is Level.BLOCK else f"before that, {named} still {blocks}"


def _listed(names: tuple[str, ...]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def flips_of(
    proposals: Mapping[str, Proposal], verdict: Verdict | None, judge: Callable[[Mapping[str, Proposal]], Verdict]
) -> tuple[Flip, ...]:
    """Those of a stack with its verdict. Of several models: of each that blocks, what would lift its own verdict. What
    would bring one is not asked there: each of some hundred questions is one to all models."""
    several = len(proposals) > 1
    if verdict is None or (several and not verdict.blocked):
        return ()

    def asked(name: str, proposal: Proposal) -> Judge:
        return varied(proposal, lambda given: of_model(judge({**proposals, name: given}), name))

    found = [
        replace(flip, model=name if several else "")
        for name, proposal in proposals.items()
        if of_model(verdict, name).blocked is verdict.blocked
        for flip in flips(proposal.scenario, asked(name, proposal))
    ]
    return tuple(found)


def of_model(verdict: Verdict, name: str) -> Verdict:
    """That of one of several models; of a single one, the whole."""
    return next((one for one in verdict.models if one.name == name), verdict)


def flips(scenario: Scenario, judge: Judge) -> tuple[Flip, ...]:
    """For a BLOCK, what would lift it; else, what would bring one. Only what one input can do alone."""
    now = judge(scenario)
    if now is None:
        return ()

    def ask(changed: Callable[[Scenario, Decimal], Scenario]) -> Callable[[Decimal], Verdict | None]:
        return lambda value: judge(changed(scenario, value))

    volume, price = scenario.workload.tokens_per_month, now.managed_usd_per_million
    found = [
        _nearest("volume", volume, now.blocked, ask(_with_volume), _digits) if volume else None,
        _nearest("managed price", price, now.blocked, ask(_with_price(_day_of(now))), _cents) if price else None,
        _nodes(scenario, now.blocked, judge),
    ]
    return tuple(flip for flip in found if flip is not None)


def _turned(verdict: Verdict | None, blocked: bool) -> bool:
    """Whether a verdict is the other one than that of a scenario that is `blocked` or not."""
    return verdict is not None and verdict.blocked is not blocked


def _blocking(verdict: Verdict | None) -> tuple[str, ...]:
    reasons = () if verdict is None else verdict.reasons
    return tuple(reason.code for reason in reasons if reason.level is Level.BLOCK)


def _nearest(
    name: str,
    now: Decimal,
    blocked: bool,
    ask: Callable[[Decimal], Verdict | None],
    rounded: Callable[[Decimal, str], Decimal],
) -> Flip | None:
    """Outwards in equal ratios, up and down in turn; then the edge of the step that turns it."""
    for near, far in _outwards(now):
        if not _turned(ask(far), blocked):
            continue
        outside, inside = near, far
        for _ in range(HALVINGS):
            middle = (outside + inside) / 2
            if _turned(ask(middle), blocked):
                inside = middle
            else:
                outside = middle
        # The nearest figure that can be shown and still turns it; what is narrower than that is told as it is.
        away = ROUND_CEILING if far > now else ROUND_FLOOR
        for at in (rounded(inside, ROUND_HALF_EVEN), rounded(inside, away), inside):
            verdict = ask(at)
            if verdict is not None and _turned(verdict, blocked):
                return Flip(name, now, at, verdict.level, _blocking(ask(outside) if blocked else verdict))
    return None


def _outwards(now: Decimal) -> Iterator[tuple[Decimal, Decimal]]:
    """The steps (near, far) around a value, the nearer ones first."""
    context = Context(prec=20)
    up = down = now
    for _ in range(STEPS):
        more, less = context.multiply(up, STEP), context.divide(down, STEP)
        yield up, more
        yield down, less
        up, down = more, less


def _digits(value: Decimal, rounding: str) -> Decimal:
    """To the four digits of wording.tokens."""
    return Context(prec=4, rounding=rounding).plus(value)


def _cents(value: Decimal, rounding: str) -> Decimal:
    """To cents, as wording.usd; below ten cents to two digits."""
    if value < Decimal("0.1"):
        return Context(prec=2, rounding=rounding).plus(value)
    return value.quantize(Decimal("0.01"), rounding=rounding)


def _with_volume(scenario: Scenario, tokens_per_month: Decimal) -> Scenario:
    # The volume alone: how it is known, and from when, stays.
    workload = scenario.workload.model_copy(update={"tokens_per_month": tokens_per_month})
    return scenario.model_copy(update={"workload": workload})


def _day_of(verdict: Verdict) -> date:
    """As of which it is."""
    return date.fromisoformat(str(verdict.inputs["today"].value))


def _with_price(today: date) -> Callable[[Scenario, Decimal], Scenario]:
    """One price, also in place of several routes, of the tokens that they displace. It has a source where they had."""

    def changed(scenario: Scenario, usd_per_million: Decimal) -> Scenario:
        given = scenario.managed
        update: dict[str, Any] = {"usd_per_million_tokens": usd_per_million, "routes": None}
        if given.routes is not None:
            update |= {"source": "what if", "date": today}
        workload = scenario.workload.model_copy(update={"tokens_per_month": scenario.displaced_tokens_per_month})
        return scenario.model_copy(update={"managed": given.model_copy(update=update), "workload": workload})

    return changed


def _nodes(scenario: Scenario, blocked: bool, judge: Judge) -> Flip | None:
    now = scenario.fleet.node_count

    def ask(count: int) -> Verdict | None:
        changed = _with_nodes(scenario, count)
        return None if changed is None else judge(changed)

    for step in range(1, MOST_NODES):
        for count, nearer in ((now - step, now - step + 1), (now + step, now + step - 1)):
            verdict = ask(count)
            if verdict is not None and _turned(verdict, blocked):
                decisive = _blocking(ask(nearer) if blocked else verdict)
                return Flip("nodes", Decimal(now), Decimal(count), verdict.level, decisive)
    return None


def _with_nodes(scenario: Scenario, count: int) -> Scenario | None:
    """The same fleet with the last nodes left out, or with more like the last, each in a failure domain of its own.
    None where there is no such fleet."""
    fleet = scenario.fleet
    if count <= fleet.spare_nodes:
        return None
    nodes: Any = count
    if isinstance(fleet, LadderFleet):
        kept = dict(list(fleet.nodes.items())[:count])
        last = list(fleet.nodes.values())[-1]
        for extra in range(count - len(kept)):
            rungs = [rung.model_copy(update={"region": f"{rung.region}+{extra + 1}"}) for rung in last.candidates]
            kept[f"extra-{extra + 1}"] = last.model_copy(update={"candidates": tuple(rungs)})
        nodes = kept
    return scenario.model_copy(update={"fleet": fleet.model_copy(update={"nodes": nodes})})
