"""Keeps the services of a bundle alive: PyPI's supervisor, or systemd on a VM. Two classes with the same methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from images.bundle import Bundle
from images.remote.errors import CommandFailed
from images.remote.ssh import Connection
from images.remote.waiting import Watch
from images.vehicles.ssh.layout.effects import Effect
from images.vehicles.ssh.layout.plan import PROGRAMS, SUPERVISOR_ENVIRONMENT, SUPERVISORD_MARK, Plan
from images.vehicles.ssh.layout.rendering import supervisor_socket, unit_name
from images.vehicles.ssh.probe import Probe
from images.vehicles.ssh.scripts import require, run_script

SYSTEMD_UNITS = "/etc/systemd/system"
SLACK_S = 10
"""On top of a service's own time to stop, before a stray is killed."""
_UP = frozenset({"RUNNING", "STARTING", "BACKOFF", "active", "activating"})
"""States in which the supervisor is at it; anything else has to be started by us."""


@dataclass(slots=True)
class Applied:
    """What was done to services."""

    restarted: list[str] = field(default_factory=list)
    """Started anew, for whatever reason."""
    reloaded: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Supervisor:
    """PyPI's supervisor, run from an environment of its own and as the user who logs in.

    supervisord is started detached and inherits the environment of the SSH session: on `local` that carries the mark
    by which the machine's processes are found.
    """

    connection: Connection
    plan: Plan
    watch: Watch
    say: Callable[[str], None]

    def apply(self, probe: Probe, wanted: Mapping[str, Effect]) -> Applied:
        """Brings services to what stands on the disk. `wanted`: service → what its changed files ask for."""
        names = [s.name for s in self.plan.bundle.services]
        if not probe.supervisord or SUPERVISORD_MARK in wanted:
            self._start_supervisord()
            return Applied(restarted=names)
        applied = Applied()
        if set(probe.services) != set(names) or self._programs_differ(probe):
            applied.restarted += self._update()
        for service in names:
            if service in applied.restarted:
                continue
            effect = wanted.get(service)
            if effect == "restart" or probe.services.get(service) not in _UP:
                self.say(f"restarting {service}")
                self._control("restart", service, mark=service)
                applied.restarted.append(service)
            elif effect == "reload":
                signal = self.plan.service(service).reload_signal or "HUP"
                self.say(f"sending {service} the signal {signal}")
                self._control("signal", signal, service, mark=service)
                applied.reloaded.append(service)
        return applied

    def log_file(self, service: str) -> tuple[str, str]:
        """The service's log, and its unit: one of them is empty."""
        return f"{self.plan.placement.root}/logs/{service}.log", ""

    def _programs_differ(self, probe: Probe) -> bool:
        return any(f.path.startswith(PROGRAMS) and probe.differs(f) for f in self.plan.files)

    def _start_supervisord(self) -> None:
        self.say("starting supervisord and its services")
        placement = self.plan.placement
        result = run_script(
            self.connection,
            "strays",
            "supervisord",
            args=[
                placement.root,
                self.plan.folder(SUPERVISOR_ENVIRONMENT),
                supervisor_socket(placement),
                str(longest_stop_s(self.plan.bundle)),
            ],
            watch=self.watch,
            step="starting supervisord",
        )
        require(result, f"supervisord does not start on {placement.where}")
        self._clear_marks(SUPERVISORD_MARK, *(s.name for s in self.plan.bundle.services))

    def _clear_marks(self, *services: str) -> None:
        """Those services were started from what is on the disk now."""
        script = 'cd "$1"/state/pending && shift && rm -f -- "$@"'
        self.connection.run(script, self.plan.placement.root, *services, watch=self.watch, step="starting services")

    def _update(self) -> list[str]:
        """Adds, changes and removes services; returns those that this has started, and clears their marks."""
        output = self._control("update")
        started = []
        for line in output.splitlines():
            name, _, what = line.partition(": ")
            if what in ("added process group", "updated process group"):
                started.append(name)
                self.say(f"started {name}")
            elif what == "removed process group":
                self.say(f"removed {name}")
        self._clear_marks(*started)
        return started

    def _control(self, *words: str, mark: str = "") -> str:
        """Runs supervisorctl. A service that does not come up is left to the checks, which show its log."""
        placement = self.plan.placement
        environment = self.plan.folder(SUPERVISOR_ENVIRONMENT)
        step = f"running supervisorctl {' '.join(words)}"
        result = run_script(
            self.connection, "control", args=[placement.root, environment, mark, *words], watch=self.watch, step=step
        )
        if result.status == 4:
            raise CommandFailed(f"supervisord on {placement.where} does not answer: run again, it is started anew")
        return result.stdout


@dataclass(slots=True)
class Systemd:
    """systemd, through `sudo -n` where the user who logs in is not root."""

    connection: Connection
    plan: Plan
    watch: Watch
    say: Callable[[str], None]

    def apply(self, probe: Probe, wanted: Mapping[str, Effect]) -> Applied:
        """As Supervisor.apply."""
        lines, applied = systemd_orders(self.plan, probe, wanted)
        placement = self.plan.placement
        result = run_script(
            self.connection,
            "systemd",
            args=[placement.root, SYSTEMD_UNITS],
            stdin="".join(f"{line}\n" for line in lines).encode(),
            watch=self.watch,
            step="bringing systemd up to date",
            on_line=self.say,
        )
        require(result, f"systemd on {placement.where} does not take the bundle {self.plan.bundle.role}")
        return applied

    def log_file(self, service: str) -> tuple[str, str]:
        """The service's log, and its unit: one of them is empty."""
        return "", unit_name(self.plan.bundle.role, service)


def systemd_orders(plan: Plan, probe: Probe, wanted: Mapping[str, Effect]) -> tuple[list[str], Applied]:
    """Pure: the lines that systemd.sh reads, and what they do."""
    role = plan.bundle.role
    names = [s.name for s in plan.bundle.services]
    gone = [s for s in probe.recorded().get("services", ()) if s not in names]
    lines = [f"remove {unit_name(role, s)}" for s in gone] + [f"unit {unit_name(role, s)}" for s in names]
    applied = Applied()
    for service in plan.bundle.services:
        unit = unit_name(role, service.name)
        effect = wanted.get(service.name)
        if effect == "restart" or probe.services.get(unit) not in _UP:
            lines.append(f"restart {unit} {service.name}")
            applied.restarted.append(service.name)
        elif effect == "reload":
            lines.append(f"reload {unit} {service.name} {service.reload_signal}")
            applied.reloaded.append(service.name)
    return lines, applied


def longest_stop_s(bundle: Bundle) -> int:
    """Seconds after which every service of the bundle has ended or may be killed."""
    return max((s.stop_timeout_s for s in bundle.services), default=0) + SLACK_S


def supervision(connection: Connection, plan: Plan, watch: Watch, say: Callable[[str], None]) -> Supervisor | Systemd:
    """What keeps services alive on that machine."""
    kind = Supervisor if plan.placement.supervision == "supervisor" else Systemd
    return kind(connection, plan, watch, say)
