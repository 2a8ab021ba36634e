"""The catalogue: what a node costs and serves, and what managed models cost, from the committed data files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path

from cost_guard import wording
from cost_guard.catalogue.clouds import CLOUDS, CloudFacts, cloud_facts, load_clouds, read_clouds
from cost_guard.catalogue.machines import GPUS, GpuMachine, load_machines, read_machines
from cost_guard.catalogue.managed import MANAGED, ManagedRates
from cost_guard.catalogue.models import MODELS, KnownModel, load_models, read_models
from cost_guard.catalogue.prices import PRICES, Price
from cost_guard.catalogue.resources import (
    ALLOWED,
    RESOURCES,
    AllowedType,
    ResourcePrice,
    load_allowed,
    load_resources,
    read_allowed,
    read_resources,
)
from cost_guard.catalogue.throughput import THROUGHPUT, Throughput
from strict.numbers import shown
from strict.problems import nearest
from strict.toml import CatalogueError, Row, read, read_rows, wrong

DATA = Path(__file__).parent / "data"
TABLES = {
    "prices": PRICES, "throughputs": THROUGHPUT, "managed": MANAGED, "clouds": CLOUDS, "machines": GPUS,
    "models": MODELS, "resources": RESOURCES, "allowed": ALLOWED,
}  # fmt: skip
"""Table of the Catalogue → its file."""


@dataclass(frozen=True)
class Catalogue:
    """Prices by `cloud/sku`, throughputs by `machine@model`, managed models by name."""

    prices: Mapping[str, Price]
    throughputs: Mapping[str, Throughput]
    managed: Mapping[str, ManagedRates] = field(default_factory=dict)
    clouds: Mapping[str, CloudFacts] = field(default_factory=load_clouds)
    """What the gate must know of each cloud."""
    machines: Mapping[str, GpuMachine] = field(default_factory=load_machines)
    models: Mapping[str, KnownModel] = field(default_factory=load_models)
    """By each name that a model has."""
    resources: Mapping[str, ResourcePrice] = field(default_factory=load_resources)
    """What resources beside nodes cost, by `cloud/service/kind`."""
    allowed: Mapping[str, AllowedType] = field(default_factory=load_allowed)
    """The types that the team lets through, by their tokens."""

    def cloud(self, name: str) -> CloudFacts:
        """The facts of a cloud, whether the table has it or not."""
        return cloud_facts(name, self.clouds)

    def model(self, name: str) -> KnownModel | None:
        """By its repository, or one of the same shape and types; None where nobody knows it."""
        return self.models.get(name)

    def machine_of(self, key: str) -> str | None:
        """What is rented as `cloud/sku`, e.g. "8x-a100-sxm-80gb"; None where that has no price."""
        price = self.prices.get(key)
        return None if price is None else price.machine

    def throughput(self, model: str, key: str) -> Throughput | None:
        """What the machine of `cloud/sku` serves of a model, by any of its names; None where no row says it."""
        known, machine = self.model(model), self.machine_of(key)
        named = model if known is None else known.serves_as or known.key
        return None if machine is None else self.throughputs.get(f"{machine}@{named}")

    def same_weights(self, model: str) -> list[ManagedRates]:
        """The managed models that serve a model's weights, quantized or not. Not by `also`, which names what has the
        same shape: a base model, or one that reasons, has other weights."""
        name = model.replace("/Meta-Llama-", "/Llama-")  # as Meta renamed its repositories
        known = self.models.get(name)
        named = {name, known.quantizes if known is not None and known.key == name else None} - {None}
        return [row for row in self.managed.values() if row.weights in named]

    def describe_price(self, key: str) -> str:
        """A row's price in words; a quotation together with the live price it is compared with and the distance."""
        price = self.prices[key]
        live = self.prices.get(price.compared_with or "")
        if live is None:
            return price.describe()
        distance = wording.percent(live.usd_per_month / price.usd_per_month - 1)
        return f"{price.describe()}; {live.describe()}, {'' if distance.startswith('-') else '+'}{distance}"

    def nearest(self, key: str) -> str | None:
        """The known key most like an unknown one."""
        return nearest(key, self.prices)


def load_catalogue(folder: Path = DATA) -> Catalogue:
    """The catalogue of a folder: the committed one is read once, any other as it stands now. Where a folder has no
    file of clouds, machines, models or resources, the committed one counts. Raises CatalogueError."""
    return committed() if folder == DATA else _read(folder)


@lru_cache(maxsize=1)
def committed() -> Catalogue:
    """Raises CatalogueError."""
    return _read(DATA)


def _read(folder: Path) -> Catalogue:
    def own(name: str) -> bool:
        return (folder / name).exists()

    found = Catalogue(
        prices=read_rows(folder / PRICES, Price),
        throughputs=read_rows(folder / THROUGHPUT, Throughput),
        managed=read_rows(folder / MANAGED, ManagedRates) if own(MANAGED) else {},
        clouds=read_clouds(folder / CLOUDS) if own(CLOUDS) else load_clouds(),
        machines=read_machines(folder / GPUS) if own(GPUS) else load_machines(),
        models=read_models(folder / MODELS) if own(MODELS) else load_models(),
        resources=read_resources(folder / RESOURCES) if own(RESOURCES) else load_resources(),
        allowed=read_allowed(folder),
    )
    _check_prices(found, folder)
    _check_throughputs(found, folder)
    return found


def _check_prices(found: Catalogue, folder: Path) -> None:
    for price in found.prices.values():
        if price.compared_with is not None and price.compared_with not in found.prices:
            place = (price.key, "comparedWith")
            raise wrong(read(folder / PRICES), PRICES, place, f"there is no row {shown(price.compared_with)}")
        if price.machine not in found.machines:
            words = f"there is no machine {shown(price.machine)} (gpus.toml); did you mean {_near(price, found)!r}?"
            raise wrong(read(folder / PRICES), PRICES, (price.key, "machine"), words)


def _near(price: Price, found: Catalogue) -> str | None:
    return nearest(price.machine, found.machines)


def _check_throughputs(found: Catalogue, folder: Path) -> None:
    """A misspelt machine or model would be a row that nothing finds."""
    for row in found.throughputs.values():
        known = found.model(row.model)
        if row.machine not in found.machines:
            words = f"there is no machine {shown(row.machine)} (gpus.toml)"
        elif known is None or known.key != row.model:
            words = f"there is no model {shown(row.model)} (models.toml)" + (f": it is {known.key}" if known else "")
        elif known.serves_as is not None:
            words = f"{row.model} serves as {known.serves_as} (models.toml), whose row counts"
        elif row.scaled_from is not None and row.scaled_from not in found.throughputs:
            words = f"scaledFrom: there is no row {shown(row.scaled_from)}"
        else:
            continue
        raise wrong(read(folder / THROUGHPUT), THROUGHPUT, (row.key,), words)


def check_dates(folder: Path, today: date) -> None:
    """Raises CatalogueError for a row of the future. A day more is allowed: today is not the same everywhere.

    Whoever changes the files is told so; the gate only warns (`price-fresh`): a wrong clock stops nobody.
    """
    catalogue = load_catalogue(folder)
    files: tuple[tuple[str, Mapping[str, Row]], ...] = (
        (PRICES, catalogue.prices),
        (THROUGHPUT, catalogue.throughputs),
        (MANAGED, catalogue.managed),
    )
    for file, rows in files:
        for row in rows.values():
            if row.date > today + timedelta(days=1):
                raise wrong(read(folder / file), file, (row.key, "date"), f"{row.date} is after today, {today}")


__all__ = [
    "ALLOWED", "DATA", "MANAGED", "PRICES", "RESOURCES", "TABLES", "THROUGHPUT", "Catalogue", "CatalogueError",
    "ManagedRates", "Price", "Throughput", "check_dates", "committed", "load_catalogue",
]  # fmt: skip
