"""systemd as a keeper."""

from __future__ import annotations

import re
from collections.abc import Mapping

from images.remote.scripts import require
from images.vehicles.ssh.keepers.keeper import COMING_UP, FROM_NOW, Applied, Keeper, Sign
from images.vehicles.ssh.layout.effects import Effect
from images.vehicles.ssh.layout.layout import Layout
from images.vehicles.ssh.layout.rendering import environment_of, lives_apart, unit_name
from images.vehicles.ssh.probe import Probe
from images.vehicles.ssh.scripts import run_script

UNITS = "/etc/systemd/system"
_EXITED = re.compile(r"Main process exited, code=\w+, status=(\S+)")
_AGAIN = "Scheduled restart job"
_KILLED = re.compile(r"State '\S+' timed out\. Killing\.")
"""Words of systemd 252, src/core/service.c. An exit with status 0 is not told."""


class Systemd(Keeper):
    """systemd, through `sudo -n` where the user who logs in is not root."""

    def apply(self, probe: Probe, wanted: Mapping[str, Effect]) -> Applied:
        lines, applied = systemd_orders(self.layout, probe, wanted)
        host = self.layout.host
        result = run_script(
            self.connection,
            "systemd",
            args=[host.root, UNITS],
            stdin="".join(f"{line}\n" for line in lines).encode(),
            watch=self.watch,
            step="bringing systemd up to date",
            on_line=self.say,
        )
        require(result, f"systemd on {host.where} does not take the bundle {self.layout.bundle.role}")
        return applied

    def stop(self, service: str) -> None:
        script = 'sudo=; [ "$(id -u)" -eq 0 ] || sudo="sudo -n"; $sudo systemctl stop "$1"'
        unit = unit_name(self.layout.bundle.role, service)
        result = self.connection.run(script, unit, watch=self.watch, step=f"ending {service}")
        require(result, f"{service} on {self.layout.host.where} does not end")

    def log_of(self, service: str) -> tuple[str, str]:
        return "", unit_name(self.layout.bundle.role, service)

    def marks(self) -> dict[str, str]:
        now = self.connection.run("date +%s.%N", watch=self.watch, step="looking at the clock").stdout.strip()
        return {s.name: now for s in self.layout.bundle.services}

    def followed(self, marks: Mapping[str, str]) -> list[str]:
        names = [s.name for s in self.layout.bundle.services]
        return [f"unit\t{name}\t{marks.get(name, FROM_NOW)}\t{self.log_of(name)[1]}" for name in names]

    def sign(self, log: str, line: str) -> Sign | None:
        if self.log_of(log)[1] not in line:
            return None
        exited = _EXITED.search(line)
        return Sign(
            log,
            exited=f"status {exited[1]}" if exited else "",
            again=_AGAIN in line,
            killed=_KILLED.search(line) is not None,
        )


def systemd_orders(layout: Layout, probe: Probe, wanted: Mapping[str, Effect]) -> tuple[list[str], Applied]:
    """Pure: the lines that systemd.sh reads, and what they do."""
    role = layout.bundle.role
    names = [s.name for s in layout.bundle.services]
    gone = [s for s in probe.recorded().get("services", ()) if s not in names]
    lines = [f"remove {unit_name(role, s)}" for s in gone] + [f"unit {unit_name(role, s)}" for s in names]
    lines += [
        f"apart {unit_name(role, s.name)} {layout.folder(environment_of(s))}"
        for s in layout.bundle.services
        if lives_apart(s, layout.host) and environment_of(s)
    ]
    applied = Applied()
    for service in layout.bundle.services:
        unit = unit_name(role, service.name)
        effect = wanted.get(service.name)
        if effect == "restart" or probe.services.get(unit) not in COMING_UP:
            lines.append(f"restart {unit} {service.name}")
            applied.restarted.append(service.name)
        elif effect == "reload":
            lines.append(f"reload {unit} {service.name} {service.reload_signal}")
            applied.reloaded.append(service.name)
    return lines, applied
