"""Readiness: a bundle's checks run on its machine by curl, and the log of what does not pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from images.bundle import HttpCheck
from images.remote.connection import Connection
from images.remote.errors import CheckFailed, DeadlineExceeded, RemoteError
from images.remote.mask import Mask
from images.remote.waiting import Progress, Waiting
from images.tokens import resolve, secret_path
from images.vehicles.ssh.keepers.keeper import Keeper
from images.vehicles.ssh.layout.layout import Layout
from images.vehicles.ssh.layout.rendering import supervised_name
from images.vehicles.ssh.lives import Lives, Lost
from images.vehicles.ssh.probe import Probe, ask
from images.vehicles.ssh.scripts import run_script

LOG_LINES = 30
LOOK_S = 15.0
"""For a look at what failed, after the install's own time."""
SETTLING_S = 10.0
"""A service without a check has this long to get through `startsecs`."""
SETTLING_PAUSE_S = 0.5
"""Between two looks at a service that is on its way up, as between two tries of check.sh."""


class _InVain(Exception):
    """There is no use in waiting."""

    def __init__(self, lost: Lost) -> None:
        super().__init__(lost.why)
        self.lost = lost


@dataclass(slots=True)
class Checks:
    """The checks of one bundle on one machine."""

    connection: Connection
    layout: Layout
    watch: Waiting
    say: Callable[[str], None]
    mask: Mask
    keeper: Keeper
    marks: Mapping[str, str] = field(default_factory=dict)
    """Of the keeper: from when on what services write and how they end is told; else from the first try on."""
    answers: dict[str, str] = field(default_factory=dict)
    """Check → its newest answer that was not the expected one, masked."""

    def wait(self) -> tuple[str, ...]:
        """Runs all checks in order, each until it passes, and returns their names. Raises CheckFailed: at a check's
        deadline, or as soon as a service is lost."""
        lives = Lives(self.layout.bundle)
        for check in self.layout.bundle.checks:
            seconds = min(check.deadline_s, int(self.watch.remaining_s))
            try:
                passed = self.attempt(check, seconds, lives)
            except DeadlineExceeded:  # a try may outlast its seconds; what it waited for is the news, and its log
                passed = False
            except _InVain as e:
                raise self._lost(check, e.lost) from None
            self.marks = {}
            if not passed:
                raise self._late(check, seconds, lives)
            self.say(f"{check.name} is ready")
        return tuple(c.name for c in self.layout.bundle.checks)

    def attempt(self, check: HttpCheck, seconds: int, lives: Lives | None = None) -> bool:
        """Whether it passes within `seconds` (0: one try). With `lives` the services are watched meanwhile, and _InVain
        is raised once one is lost."""
        progress = Progress(self.say, prefix=f"waiting for {check.name}: ")
        followed = self.keeper.followed(self.marks) if lives else []
        owners = self.owners(check)
        shown = ""

        def heard(line: str) -> None:
            nonlocal shown
            kind, _, said = self.mask(line).partition("\t")
            if kind == "answer":
                self.answers[check.name] = said.strip()
            elif kind == "log" and lives:
                self._hear(*said.partition("\t")[::2], lives)
            elif lives:
                for news in lives.news():
                    self.say(news)
                if lost := lives.lost():
                    raise _InVain(lost)
            status = (lives.stage(owners) if lives else "") or self.answers.get(check.name, "")
            if status != shown and progress.due:
                progress(status)
                shown = status

        result = run_script(
            self.connection,
            "check",
            args=check_arguments(check, self.layout, seconds),
            watch=self.watch,
            step=f"waiting for {check.name}",
            stdin="".join(f"{line}\n" for line in followed).encode(),
            on_line=heard,
        )
        return result.status == 0

    def _hear(self, log: str, line: str, lives: Lives) -> None:
        sign = self.keeper.sign(log, line)
        if sign is None:
            lives.hear(log, line)
        elif news := lives.take(sign):
            self.say(news)

    def _lost(self, check: HttpCheck, lost: Lost) -> CheckFailed:
        return CheckFailed(
            f"{self._where()}: {check.name} will not be ready: {lost.why} The machine is kept; the next run resumes. "
            "The end of its log:",
            self._answer_to(lost.ask) + self._logs([lost.service]),
        )

    def _late(self, check: HttpCheck, seconds: int, lives: Lives) -> CheckFailed:
        owners = self.owners(check)
        answer = self.answers.get(check.name) or "none"
        more = [f"It was {stage}." if (stage := lives.stage(owners)) else "", lives.known()]
        return CheckFailed(
            f"{self._where()}: {check.name} was not ready within {seconds} s, its last answer: {answer}. "
            + "".join(f"{text} " for text in more if text)
            + "The machine is kept; the next run resumes. The end of its log:",
            self._logs(self.suspects(check)),
        )

    def settle(self) -> Probe:
        """Waits until every service is up, and returns the probe that saw it. Raises CheckFailed."""
        patience = Waiting(SETTLING_S, self.watch.cancelled)
        while True:
            probe = ask(self.connection, self.layout, (), self.watch)
            down = down_services(probe, self.layout)
            if not down:
                return probe
            if patience.remaining_s == 0:
                states = ", ".join(f"{name} is {state}" for name, state in down.items())
                raise CheckFailed(
                    f"{self._where()}: {states}. The machine is kept; the next run resumes. The end of its log:",
                    self._logs(list(down)),
                )
            time.sleep(min(SETTLING_PAUSE_S, patience.remaining_s))

    def suspects(self, check: HttpCheck) -> list[str]:
        """The services whose logs may tell why it fails: those that it speaks to, and those that are down."""
        try:
            down = down_services(ask(self.connection, self.layout, (), Waiting(LOOK_S)), self.layout)
        except RemoteError:  # the machine is in a bad way, which the log that is asked for next will say
            down = {}
        return list(dict.fromkeys((*self.owners(check), *down)))

    def owners(self, check: HttpCheck) -> list[str]:
        """The services that a check speaks to: those that name its port, else all."""
        token = f"@PORT:{check.port}@"
        services = self.layout.bundle.services
        found = [s.name for s in services if any(token in t for t in (*s.command, *s.environment.values()))]
        return found or [s.name for s in services]

    def _answer_to(self, command: tuple[str, ...]) -> str:
        """What the machine says to a command that a known failure asks for; "" where it has none of that name."""
        if not command:
            return ""
        script, step = 'command -v "$1" >/dev/null && timeout 10 "$@" 2>&1', f"asking {command[0]}"
        said = self.connection.run(script, *command, watch=Waiting(LOOK_S), step=step).stdout.strip()
        return f"--- {' '.join(command)} ---\n{self.mask(said)}\n--- log ---\n" if said else ""

    def _logs(self, services: list[str]) -> str:
        tails = []
        for service in services:
            log, unit = self.keeper.log_of(service)
            result = run_script(
                self.connection,
                "log",
                args=[log, unit, str(LOG_LINES)],
                watch=Waiting(LOOK_S),
                step=f"reading the log of {service}",
            )
            text = self.mask(result.stdout).rstrip() or "(empty)"
            tails.append(f"--- {service} ---\n{text}" if len(services) > 1 else text)
        return "\n".join(tails)

    def _where(self) -> str:
        return f"{self.layout.bundle.role} on {self.layout.host.where}"


def check_arguments(check: HttpCheck, layout: Layout, seconds: int) -> list[str]:
    """Pure: what check.sh takes. Over TLS the URLs hold the server's name, and curl is told where that name is."""
    host, bundle = layout.host, layout.bundle
    where = f"check {check.name}"
    port = host.ports[check.port]
    address = f"[{host.loopback}]" if ":" in host.loopback else host.loopback
    paths = [resolve(path, host, bundle, where=where) for path in (check.path, *check.more_paths)]
    body = resolve(check.body, host, bundle, where=where) if check.body is not None else ""
    authority, located, ca = address, "", ""
    if check.tls_ca is not None:
        ca = resolve(check.tls_ca, host, bundle, where=where)
        if check.tls_server_name is not None:
            authority = resolve(check.tls_server_name, host, bundle, where=where)
            located = f"{authority}:{port}:{address}"
    base = f"{'http' if check.tls_ca is None else 'https'}://{authority}:{port}"
    bearer = secret_path(check.bearer_secret, host) if check.bearer_secret is not None else ""
    shown = secret_path(check.client_certificate, host) if check.client_certificate is not None else ""
    fixed = [str(seconds), f"{check.expect_status:03}", check.method, body, located, ca, bearer, shown, check.user]
    return [*fixed, *(f"{base}{path}" for path in paths)]


def down_services(probe: Probe, layout: Layout) -> dict[str, str]:
    """Services that are not up → their state in their supervisor's word."""
    down = {}
    for service in layout.bundle.services:
        name = supervised_name(layout.host, layout.bundle.role, service.name)
        state = probe.services.get(name, "not there")
        if state not in ("RUNNING", "active"):
            down[service.name] = state
    return down
