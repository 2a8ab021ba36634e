"""A renewal of the catalogue: live sources are asked, compared with the rows, and written where that is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from cost_guard.catalogue.catalogue import MANAGED, PRICES, ManagedRates, Price, committed, load_catalogue
from scripts.crossover.prices import files, litellm, live
from scripts.crossover.prices.diff import Figures, RowChange, compare


@dataclass
class Renewal:
    """What was found out. Both questions raise CatalogueError where the files hold what is none."""

    data: Path
    """The catalogue's folder."""
    accepted: frozenset[str]
    """The rows that are taken though they are refused, new or gone."""
    today: date
    write: bool
    changes: list[RowChange] = field(default_factory=list)
    trouble: dict[str, str] = field(default_factory=dict)
    """Source → why it did not answer."""
    unlisted: list[str] = field(default_factory=list)
    """Live SKUs that have no row."""
    demanded: bool = False
    """A source did not answer that was asked for by name, or that has credentials."""
    written: list[str] = field(default_factory=list)

    def ask_clouds(self, names: Sequence[str] | None) -> None:
        """These alone; None is all that rent out. Raises InvalidRequest for a name that has no prices to ask for."""
        prices = load_catalogue(self.data).prices
        answers = live.ask_all(live.renting() if names is None else names, prices, self.accepted, self.today)
        answered = [answer for answer in answers if not answer.trouble]
        for answer in answers:
            for reason in answer.trouble.values():
                self.trouble[answer.cloud] = reason
            self.demanded |= bool(answer.failed or (names is not None and answer.missing))
        quotes = [quote for answer in answered for quote in answer.found]
        rows = live.refreshable(prices, [answer.cloud for answer in answered])
        self.unlisted += sorted({quote.key for quote in quotes} - prices.keys() - self.accepted)
        self._settle(PRICES, Price, compare(rows, quotes, self.accepted))

    def ask_litellm(self, source: str | None) -> None:
        """`source` is as for `litellm.load`."""
        rows = {key: _figures(model) for key, model in load_catalogue(self.data).managed.items()}
        try:
            found = litellm.load(source, self.today)
        except litellm.TableError as error:
            self.trouble["litellm"] = str(error)
            self.demanded = True
            return
        changes = compare(rows, litellm.quotes(found, self.today), self.accepted)
        self._settle(MANAGED, ManagedRates, changes, litellm.header(found))

    def check_accepted(self) -> None:
        """After all was asked: what is accepted and no source names is trouble too."""
        for key in sorted(self.accepted - {change.key for change in self.changes}):
            self.trouble[key] = "accepted, and no source names it: is it spelt as there?"
            self.demanded = True

    def _settle(
        self, name: str, model: type[Price] | type[ManagedRates], changes: list[RowChange], header: str | None = None
    ) -> None:
        self.changes += changes
        if self.write and files.rewrite(self.data / name, changes, model, header):
            self.written.append(name)
            committed.cache_clear()


def _figures(model: ManagedRates) -> Figures:
    told = {
        "inputUsdPerMillion": model.input_usd_per_million,
        "cachedInputUsdPerMillion": model.cached_input_usd_per_million,
        "outputUsdPerMillion": model.output_usd_per_million,
        "batchDiscount": model.batch_discount,
    }
    return {name: value for name, value in told.items() if value is not None}
