"""Which machines a team owns, from a file that the team keeps, and what an hour of one costs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from providers.errors import InvalidRequest, Unauthorized
from strict import yaml
from strict.fields import Address, IpAddress, Section
from strict.problems import Problems, parse, within

CHECKOUT = Path(__file__).resolve().parents[3]
HOURS_PER_MONTH = 730
"""As the gate counts (`cost_guard.units`): 8,760 hours a year / 12."""

Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_./-]*$", max_length=100)]
Usd = Annotated[Decimal, Field(ge=0, le=Decimal("1e9"))]


class OwnedMachine(Section):
    """One machine of the file. Keys are camelCase there."""

    id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=60)]
    address: Address
    """Where the gateway and the installer reach it: a name or an IP address."""
    ssh_port: Port = 22
    ssh_user: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9._-]*$")]
    """Root, or a user who may use sudo without a password."""
    host_key: Annotated[str, StringConstraints(pattern=r"^(ssh|ecdsa)-[a-z0-9-]+ [A-Za-z0-9+/]{40,}={0,2}$")]
    """The machine's public SSH host key, "ssh-ed25519 AAAA…" as `ssh-keyscan` prints it: the only one accepted."""
    identity_file: Path | None = None
    """A private key that may log in today. With it a claim puts the stack's public key into the user's
    authorized_keys; without it a person does so before."""
    region: Name
    """Site and rack: what fails together."""
    sku: Name
    gpus: Annotated[int, Field(ge=0, le=64)] = 0
    gpu_memory_gib: Annotated[int, Field(ge=0, le=1024)] = 0
    ports: dict[str, Port] = Field(default_factory=dict)
    """Service → the port under which it is reached; the port that was asked for where a service is absent."""
    bind: IpAddress = "0.0.0.0"
    """What services on it listen on."""
    supervision: Literal["systemd", "supervisor"] = "systemd"
    root: Annotated[str, StringConstraints(pattern=r"^/\S+$")] = "/opt/crossover"
    cache: Annotated[str, StringConstraints(pattern=r"^/\S+$")] = "/var/cache/crossover"
    purchase_usd: Usd
    months: Annotated[int, Field(ge=1, le=240)]
    """Over how many months the purchase is written off."""
    watts: Annotated[Decimal, Field(ge=0, le=100_000)]
    """Mean draw at the wall, cooling included."""
    usd_per_kwh: Annotated[Decimal, Field(ge=0, le=10)]

    @model_validator(mode="after")
    def _ssh_has_one_port(self) -> OwnedMachine:
        if "ssh" in self.ports:
            raise ValueError("ports: the port of ssh is sshPort")
        return self

    @property
    def usd_per_hour(self) -> Decimal:
        """purchaseUsd / (months × 730 h) + watts / 1000 × usdPerKwh, to a hundredth of a cent.

        $180,000 over 36 months and 4,500 W at $0.18/kWh: 6.8493 + 0.81 = 7.6593.
        """
        purchase = self.purchase_usd / (self.months * HOURS_PER_MONTH)
        return (purchase + self.watts / 1000 * self.usd_per_kwh).quantize(Decimal("0.0001"))


class _File(Section):
    machines: tuple[OwnedMachine, ...]

    @model_validator(mode="after")
    def _each_once(self) -> _File:
        for what, values in (
            ("id", [m.id for m in self.machines]),
            ("address and sshPort", [f"{m.address}:{m.ssh_port}" for m in self.machines]),
        ):
            if twice := sorted({value for value in values if values.count(value) > 1}):
                raise ValueError(f"two machines have the {what} {', '.join(twice)}")
        return self


@dataclass(frozen=True, slots=True)
class ExistingConfig:
    """Where the list of machines is, and where claims on them are kept."""

    machines: Path
    state: Path
    """Holds one JSON file per claimed machine. Those who share the machines share this folder."""

    @classmethod
    def from_environment(cls) -> ExistingConfig:
        """CROSSOVER_EXISTING_MACHINES (default: stacks/config/existing.yaml in this checkout);
        CROSSOVER_EXISTING_STATE (default: .state/existing in this checkout)."""
        machines = os.environ.get("CROSSOVER_EXISTING_MACHINES")
        state = os.environ.get("CROSSOVER_EXISTING_STATE")
        return cls(
            machines=Path(machines) if machines else CHECKOUT / "stacks" / "config" / "existing.yaml",
            state=Path(state) if state else CHECKOUT / ".state" / "existing",
        )


def load(path: Path) -> tuple[OwnedMachine, ...]:
    """The machines of the file. Raises Unauthorized where there is no file, as where a cloud has no credentials, and
    InvalidRequest with file, line and key of everything that is wrong in it."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise Unauthorized(
            f"existing: there is no list of machines at {path}: write one (docs/reference/clouds/existing.md), or name "
            "yours in CROSSOVER_EXISTING_MACHINES"
        ) from None
    except (OSError, UnicodeDecodeError) as e:
        raise InvalidRequest(f"existing: cannot read {path}: {e}") from None
    try:
        document, lines = yaml.load(text, str(path))
        with within(lines):
            return parse(_File, document, values=False).machines
    except Problems as e:
        raise InvalidRequest(f"existing: {'; '.join(e.lines)}") from None
