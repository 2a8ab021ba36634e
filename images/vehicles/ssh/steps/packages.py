"""Programs that the bundle needs and the machine lacks come by its apt, and none of their own services starts."""

from __future__ import annotations

from images.packages import apt
from images.packages.programs import PROGRAMS, VENV, demand, too_old
from images.remote.errors import MissingProgram
from images.vehicles.ssh.layout.layout import Layout
from images.vehicles.ssh.probe import Probe
from images.vehicles.ssh.steps.installation import Installation

_PYTHON_PROBLEMS = {
    "none": "python3 is not there (Debian package python3, with python3-venv)",
    "old": "its python3 is older than 3.11 (Debian 12 and Ubuntu 24.04 have a newer one)",
    "venv": "its python3 cannot make environments (Debian package python3-venv)",
}


def install_packages(under_way: Installation) -> None:
    """Asks apt only where something is missing, or where a run was killed before its end."""
    probe, layout = under_way.probe, under_way.layout
    wanted = demands(probe, layout)
    if not wanted and not probe.packages_pending:
        return require_programs(probe, layout)
    if probe.shared or not probe.apt:
        return require_programs(probe, layout)
    if hopeless := [*unknown(probe), *_versions(probe), *_python(probe, layout, but=("none", "venv"))]:
        raise _missing(layout, hopeless)
    everything = [demand(name) for name in probe.programs if name in PROGRAMS]  # what the killed run wanted
    came = apt.install(
        under_way.connection,
        dict.fromkeys(wanted or everything),
        watch=under_way.watch,
        say=under_way.say,
    )
    under_way.say(f"installed {', '.join(f'{name} {version}' for name, version in came.items()) or 'nothing new'}")
    return require_programs(under_way.ask(), layout)


def demands(probe: Probe, layout: Layout) -> list[str]:
    """Pure: what apt is to install, as it takes it."""
    wanted = [demand(name) for name, path in probe.programs.items() if not path and name in PROGRAMS]
    return [*wanted, VENV] if _python(probe, layout, but=("old",)) else wanted


def unknown(probe: Probe) -> list[str]:
    """Pure: what is missing and is no package."""
    missing = [name for name, path in probe.programs.items() if not path]
    return [f"{name} is not there" for name in missing if name not in PROGRAMS]


def require_programs(probe: Probe, layout: Layout) -> None:
    """Raises MissingProgram, naming all that is missing or too old and the packages that bring it."""
    missing = [name for name, path in probe.programs.items() if not path and name in PROGRAMS]
    problems = [f"{name} is not there (Debian package {PROGRAMS[name].package})" for name in missing]
    if found := [*problems, *unknown(probe), *_versions(probe), *_python(probe, layout)]:
        raise _missing(layout, found)


def _missing(layout: Layout, problems: list[str]) -> MissingProgram:
    return MissingProgram(
        f"{layout.host.where} cannot carry the bundle {layout.bundle.role}: {'; '.join(problems)}. Where the machine "
        "is this computer, scripts/bootstrap installs packages; where it has apt, `up` does; the rest is yours to do"
    )


def _versions(probe: Probe) -> list[str]:
    problems = (too_old(name, version) for name, version in probe.versions.items())
    return [f"{problem}. Debian 12 and Ubuntu 24.04 have a younger one" for problem in problems if problem]


def _python(probe: Probe, layout: Layout, but: tuple[str, ...] = ()) -> list[str]:
    """What is wrong with its Python, where an environment has to be made."""
    if probe.python or probe.python_problem in but or all(e.folder in probe.environments for e in layout.environments):
        return []
    return [_PYTHON_PROBLEMS.get(probe.python_problem, probe.python_problem)]
