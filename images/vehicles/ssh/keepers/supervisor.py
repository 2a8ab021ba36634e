"""PyPI's supervisor as a keeper."""

from __future__ import annotations

import re
from collections.abc import Mapping

from images.remote.errors import CommandFailed
from images.remote.scripts import require
from images.vehicles.ssh.keepers.keeper import COMING_UP, FROM_NOW, Applied, Keeper, Sign, longest_stop_s
from images.vehicles.ssh.layout.effects import Effect
from images.vehicles.ssh.layout.layout import PROGRAMS, SUPERVISOR_ENVIRONMENT, SUPERVISORD_MARK
from images.vehicles.ssh.layout.rendering import supervisor_socket
from images.vehicles.ssh.probe import Probe
from images.vehicles.ssh.scripts import run_script

OWN_LOG = "supervisord"
"""The name of supervisord's log among those of its services."""
_EXITED = re.compile(r"exited: (\S+) \((.+); (?:not )?expected\)")
_KILLED = re.compile(r"killing '(\S+)' \(\d+\) with SIGKILL")
"""Words of supervisor 4.3, supervisor/process.py."""


class Supervisor(Keeper):
    """PyPI's supervisor, run from an environment of its own and as the user who logs in.

    supervisord is started detached and inherits the environment of the SSH session: on `local` that carries the mark
    by which the machine's processes are found.
    """

    def apply(self, probe: Probe, wanted: Mapping[str, Effect]) -> Applied:
        names = [s.name for s in self.layout.bundle.services]
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
            if effect == "restart" or probe.services.get(service) not in COMING_UP:
                self.say(f"restarting {service}")
                self._control("restart", service, mark=service)
                applied.restarted.append(service)
            elif effect == "reload":
                signal = self.layout.service(service).reload_signal or "HUP"
                self.say(f"sending {service} the signal {signal}")
                self._control("signal", signal, service, mark=service)
                applied.reloaded.append(service)
        return applied

    def stop(self, service: str) -> None:
        self._control("stop", service)

    def log_of(self, service: str) -> tuple[str, str]:
        return f"{self.layout.host.root}/logs/{service}.log", ""

    def marks(self) -> dict[str, str]:
        script = 'cd "$1/logs" && stat -c "%n %s" ./*.log'
        result = self.connection.run(script, self.layout.host.root, watch=self.watch, step="looking at logs")
        sizes = dict(line.rsplit(" ", 1) for line in result.stdout.splitlines())
        names = [OWN_LOG, *(s.name for s in self.layout.bundle.services)]
        return {name: sizes.get(f"./{name}.log", "0") for name in names}

    def followed(self, marks: Mapping[str, str]) -> list[str]:
        names = [OWN_LOG, *(s.name for s in self.layout.bundle.services)]
        return [f"file\t{name}\t{marks.get(name, FROM_NOW)}\t{self.log_of(name)[0]}" for name in names]

    def sign(self, log: str, line: str) -> Sign | None:
        if log != OWN_LOG:
            return None
        if found := _EXITED.search(line):
            return Sign(found[1], exited=found[2], again=True)
        if found := _KILLED.search(line):
            return Sign(found[1], killed=True)
        return Sign("")

    def _programs_differ(self, probe: Probe) -> bool:
        return any(f.path.startswith(PROGRAMS) and probe.differs(f) for f in self.layout.files)

    def _start_supervisord(self) -> None:
        self.say("starting supervisord and its services")
        host = self.layout.host
        result = run_script(
            self.connection,
            "strays",
            "supervisord",
            args=[
                host.root,
                self.layout.folder(SUPERVISOR_ENVIRONMENT),
                supervisor_socket(host),
                str(longest_stop_s(self.layout.bundle)),
            ],
            watch=self.watch,
            step="starting supervisord",
        )
        require(result, f"supervisord does not start on {host.where}")
        self._clear_marks(SUPERVISORD_MARK, *(s.name for s in self.layout.bundle.services))

    def _clear_marks(self, *services: str) -> None:
        """Those services were started from what is on the disk now."""
        script = 'cd "$1"/state/pending && shift && rm -f -- "$@"'
        self.connection.run(script, self.layout.host.root, *services, watch=self.watch, step="starting services")

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
        """Runs supervisorctl, and takes that service's mark away."""
        host = self.layout.host
        environment = self.layout.folder(SUPERVISOR_ENVIRONMENT)
        step = f"running supervisorctl {' '.join(words)}"
        result = run_script(
            self.connection, "control", args=[host.root, environment, mark, *words], watch=self.watch, step=step
        )
        if result.status == 4:
            raise CommandFailed(f"supervisord on {host.where} does not answer: run again, it is started anew")
        return result.stdout
