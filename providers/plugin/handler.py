"""What a kind of resource is to this plugin: six functions over plain values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from pulumi.provider.experimental.provider import CheckFailure

from images.remote.waiting import Waiting
from providers.plugin.values import Plain


class InitFailed(Exception):
    """The resource exists and is not in order. The engine keeps id, outputs and reasons; the next `up` updates it."""

    def __init__(self, resource_id: str, outputs: Plain, inputs: Plain, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.resource_id = resource_id
        self.outputs = outputs
        self.inputs = inputs
        self.reasons = list(reasons)


class Handler(ABC):
    """Outputs always contain the inputs, because the engine's diff sees old outputs only."""

    inputs: ClassVar[tuple[str, ...]]
    """Names of all inputs; others are refused."""
    replacing: ClassVar[frozenset[str]] = frozenset()
    """Inputs whose change replaces the resource."""
    silent: ClassVar[frozenset[str]] = frozenset()
    """Inputs whose change alone is no change (deadlines): they take effect with the next one."""
    secret: ClassVar[frozenset[str]] = frozenset()
    """Properties that are secret, whether they came as inputs or were made here."""

    def check(self, olds: Plain, news: Plain) -> list[CheckFailure]:
        """Everything wrong with the inputs that can be told without a cloud. Unknown parts are not judged."""
        failures = [CheckFailure(key, f"unknown input {key!r}") for key in news if key not in self.inputs]
        failures += [CheckFailure(key, f"{key} is required") for key in self.inputs if news.get(key) is None]
        return failures

    def inputs_of(self, olds: Plain) -> Plain:
        """The inputs among a state's outputs; an older state has not each."""
        return {key: olds[key] for key in self.inputs if key in olds}

    def unfinished(self, olds: Plain) -> tuple[str, ...]:
        """Outputs that the next `up` must try for again although no input changed."""
        return ()

    def compared(self, values: Plain) -> Plain:
        """The inputs as far as a difference in them is a change."""
        return values

    @abstractmethod
    def preview(self, olds: Plain, news: Plain) -> Plain:
        """Outputs as far as a preview can know them. `olds` is empty for a create. Touches nothing."""

    @abstractmethod
    def create(self, urn: str, news: Plain, waiting: Waiting) -> tuple[str, Plain]:
        """Id and outputs. Raises InitFailed once something exists; any other exception means that nothing does."""

    @abstractmethod
    def read(self, resource_id: str, olds: Plain, waiting: Waiting) -> tuple[Plain, Plain] | None:
        """(inputs, outputs) as they are now; None where it is authoritatively gone. `olds` is empty on import."""

    @abstractmethod
    def update(self, resource_id: str, olds: Plain, news: Plain, waiting: Waiting) -> Plain:
        """Outputs after the change. Raises InitFailed where the new inputs are in force and it is not in order."""

    @abstractmethod
    def delete(self, resource_id: str, olds: Plain, waiting: Waiting) -> None:
        """Ends it; one that is already gone is fine."""
