"""What a claim's row leaves to the catalogue and to the gate: inputs that follow their prices, and the second row of a
volume that nodes must carry."""

from __future__ import annotations

import re
from decimal import Decimal

from cost_guard import wording
from cost_guard.catalogue.catalogue import Catalogue
from cost_guard.catalogue.claims.claim import Carried, Claim, FromCatalogue, Requirement
from cost_guard.catalogue.claims.formula import FormulaError
from cost_guard.units import SECONDS_PER_MONTH

UTILISATION, PEAK_TO_MEAN, SPARE_NODES = Decimal("0.7"), Decimal("1.3"), Decimal(1)
"""The scenario's defaults."""


def carried(claim: Claim, by: Carried) -> Claim:
    """The second row of a volume that some nodes must carry: how many the gate asks for, of nodes alike.

    The one place that knows the gate's capacity: max(nodes, ceil(V/s) + spare), s = C·u·H/ρ, the arithmetic of a
    scenario that gives its tokens per second.
    """
    volume = by.volume if by.volume is not None else claim.bounds[1] if claim.bounds else None
    if volume is None or volume.is_infinite():
        raise FormulaError("carried: there is no volume that nodes must carry")
    rate, busy = wording.rate(by.tokens_per_second), wording.percent(UTILISATION)
    return Claim(
        id=f"{claim.id}-carried",
        source=claim.source,
        claim=f"{wording.count(int(by.nodes), 'node')} carry {wording.tokens(volume)} tokens a month, one to lose "
        f"(at {rate} each, {busy} busy when the load is {PEAK_TO_MEAN}× its mean)",
        unit="nodes",
        formula="max(nodes, ceil(volume / per_node) + spare)",
        where={"per_node": "tokens_per_second * utilisation * seconds / peak_to_mean"},
        inputs={
            "volume": volume,
            "nodes": by.nodes,
            "spare": SPARE_NODES,
            "tokens_per_second": by.tokens_per_second,
            "utilisation": UTILISATION,
            "seconds": Decimal(SECONDS_PER_MONTH),
            "peak_to_mean": PEAK_TO_MEAN,
        },
        expected=by.nodes,
        needs=Requirement(
            input="tokens_per_second",
            formula="ceil(volume * peak_to_mean / (utilisation * seconds * (nodes - spare)))",
            unit="tokens/s a node",
        ),
    )


def with_inputs(claim: Claim, known: FromCatalogue, catalogue: Catalogue) -> tuple[Claim, str]:
    """The claim with the inputs that its row of the catalogue gives, and that row. Raises FormulaError."""
    if (known.price is None) == (known.managed is None):
        raise FormulaError("catalogue: exactly one of price and managed")
    if known.price is not None:
        price = catalogue.prices.get(known.price)
        if price is None or price.usd_per_hour is None:
            raise FormulaError(f"the catalogue has no hourly price {known.price}")
        found, row = {"usd_per_hour": price.usd_per_hour}, f"{price.key}, {price.date}"
    else:
        wanted, share = re.compile(known.managed or "", re.IGNORECASE), claim.inputs.get("input_share", Decimal(1))
        rates = [one for name, one in catalogue.managed.items() if wanted.fullmatch(name)]
        if not rates:
            raise FormulaError(f"the catalogue has no managed model {known.managed}")
        choose = min if known.pick == "cheapest" else max
        rate = choose(rates, key=lambda one: one.blended(share, Decimal(0)))
        found = {"input_price": rate.input_usd_per_million, "output_price": rate.output_usd_per_million}
        row = f"{rate.key}, {rate.date}"
    return claim.model_copy(update={"inputs": {**claim.inputs, **found}}), row
