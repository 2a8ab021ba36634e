"""Read-only: does a machine still carry its bundle, and does it answer?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from images.bundle import Bundle
from images.remote.connection import Connection
from images.remote.errors import CommandFailed
from images.remote.host import Host
from images.remote.mask import Mask
from images.remote.waiting import Waiting
from images.sources import REPOSITORY
from images.vehicles.ssh.checks import Checks, down_services
from images.vehicles.ssh.keepers.choice import keeper
from images.vehicles.ssh.layout.layout import Layout, PlannedFile, layout_for, secret_files
from images.vehicles.ssh.probe import Probe, ask
from images.weights.onto import WeightsFailed, job_of, look


@dataclass(frozen=True, slots=True)
class Health:
    """What is wrong, one short line each, without secrets; nothing wrong is healthy."""

    problems: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def inspect(
    host: Host,
    bundle: Bundle,
    secrets: Mapping[str, str],
    private_key: str,
    *,
    repository: Path = REPOSITORY,
    deadline_s: float = 60,
) -> Health:
    """Looks at programs, files, secrets, environments, services and checks (one try each), and changes nothing.

    Raises Unreachable and the other errors of a connection: a machine that does not answer is not an unhealthy one.
    """
    watch = Waiting(deadline_s)
    layout = layout_for(host, bundle, repository)
    wanted = (*layout.files, *secret_files(bundle, secrets))
    mask = Mask([*secrets.values(), private_key])
    with Connection.open(host, private_key) as connection:
        probe = ask(connection, layout, bundle.secrets, watch)
        keeping = keeper(connection, layout, watch, _silent)
        checks = Checks(connection, layout, watch, _silent, mask, keeping)
        problems = [*differences(probe, layout, wanted), *_weights(connection, layout, watch), *failures(checks)]
    return Health(tuple(mask(p) for p in problems))


def differences(probe: Probe, layout: Layout, wanted: Sequence[PlannedFile]) -> list[str]:
    """Pure: where the machine is not as planned."""
    problems = [f"{name} is not installed" for name, path in probe.programs.items() if not path]
    for environment in layout.environments:
        if environment.folder not in probe.environments:
            problems.append(f"the Python environment {environment.name} is not there")
    for file in wanted:
        if probe.differs(file):
            problems.append(f"{file.path} {'differs' if file.path in probe.hashes else 'is missing'}")
    problems += [f"{path} is left over" for path in probe.leftovers(layout)]
    problems += [f"{name} waits for its {effect}" for name, effect in probe.pending.items()]
    if layout.host.supervision == "supervisor" and not probe.supervisord:
        return [*problems, "supervisord does not run"]
    return problems + [f"{name} is {state}" for name, state in down_services(probe, layout).items()]


def _weights(connection: Connection, layout: Layout, watch: Waiting) -> list[str]:
    if layout.bundle.weights is None:
        return []
    try:
        look(connection, job_of(layout.host, layout.bundle, layout.bundle.weights, layout.record), watch)
    except (WeightsFailed, CommandFailed) as e:
        return [str(e)]
    return []


def failures(checks: Checks) -> list[str]:
    """The checks that fail now."""
    problems = []
    for check in checks.layout.bundle.checks:
        if not checks.attempt(check, 0):
            problems.append(f"{check.name} fails: {checks.answers.get(check.name, 'no answer')}")
    return problems


def _silent(_: str) -> None:
    """Nobody waits for a look."""
