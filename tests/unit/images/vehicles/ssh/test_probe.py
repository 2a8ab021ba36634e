"""What a machine answers, and what follows from it."""

from __future__ import annotations

import base64
import json
from contextlib import nullcontext
from dataclasses import replace

import pytest

from images.bundle import Service
from images.remote.errors import MissingProgram
from images.vehicles.ssh.inspect import differences
from images.vehicles.ssh.keepers.keeper import longest_stop_s
from images.vehicles.ssh.keepers.systemd import systemd_orders
from images.vehicles.ssh.layout.layout import PlannedFile, secret_files
from images.vehicles.ssh.probe import Probe, parse
from images.vehicles.ssh.steps.look import wanted_effects
from images.vehicles.ssh.steps.packages import demands, require_programs
from tests.unit.images.samples import BUNDLE, REQUIREMENTS, layout


def standing(**changes: object) -> Probe:
    """A machine on which the sample stands as planned."""
    made = layout()
    files = (*made.files, made.manifest, *secret_files(BUNDLE, {"key": "value"}))
    probe = Probe(
        programs={"curl": "/usr/bin/curl"},
        environments={e.folder for e in made.environments},
        hashes={f.path: f.sha256 for f in files},
        modes={f.path: f"{f.mode:o}" for f in files},
        manifest=made.manifest.content.decode(),
        supervisord=True,
        services={"web": "RUNNING"},
    )
    for name, value in changes.items():
        setattr(probe, name, value)
    return probe


def problems(probe: Probe) -> list[str]:
    made = layout()
    return differences(probe, made, (*made.files, *secret_files(BUNDLE, {"key": "value"})))


def test_answers_are_read_and_unknown_lines_skipped() -> None:
    manifest = base64.b64encode(b'{"files": {}}').decode()
    probe = parse(
        "program\tcurl\t/usr/bin/curl\nprogram\thaproxy\t\nenvironment\t/c/venvs/a b\tthere\n"
        "free\t1024\t2048\nmode\tx\t644\nsha256\tx\tab\npending\tweb\treload\nsupervisord\trunning\n"
        f"service\tweb\tRUNNING\nuv\t/u/uv\npython\t/usr/bin/python3\nmanifest\t{manifest}\nwhat\tis this\n\n"
    )
    assert probe.programs == {"curl": "/usr/bin/curl", "haproxy": ""}
    assert probe.environments == {"/c/venvs/a b"}
    assert (probe.free_root_bytes, probe.modes, probe.hashes) == (1024, {"x": "644"}, {"x": "ab"})
    assert (probe.pending, probe.supervisord, probe.services) == ({"web": "reload"}, True, {"web": "RUNNING"})
    assert (probe.uv, probe.python, probe.python_problem) == ("/u/uv", "/usr/bin/python3", "")
    assert probe.recorded() == {"files": {}}


@pytest.mark.parametrize("manifest", ["", "not json", "[]"])
def test_a_manifest_that_cannot_be_read_counts_as_none(manifest: str) -> None:
    assert standing(manifest=manifest).recorded() == {}


def test_a_machine_as_planned_has_no_problems() -> None:
    assert problems(standing()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"programs": {"curl": ""}}, "curl is not installed"),
        ({"environments": set()}, "the Python environment app is not there"),
        ({"hashes": {}}, "web/web.conf is missing"),
        ({"modes": {}}, "secrets/key differs"),
        ({"manifest": json.dumps({"files": {"old": {}}, "secrets": ["gone"]})}, "secrets/gone is left over"),
        ({"pending": {"web": "restart"}}, "web waits for its restart"),
        ({"supervisord": False}, "supervisord does not run"),
        ({"services": {"web": "FATAL"}}, "web is FATAL"),
        ({"services": {}}, "web is not there"),
    ],
)
def test_each_difference_is_named(changes: dict[str, object], said: str) -> None:
    assert said in problems(standing(**changes))


def test_a_restart_that_was_interrupted_outweighs_a_reload_and_the_other_way_round() -> None:
    file = PlannedFile("x", b"", 0o644, {"a": "reload", "b": "restart"})
    probe = Probe(pending={"a": "restart", "b": "reload", "c": "reload"})
    assert wanted_effects(probe, [file]) == {"a": "restart", "b": "restart", "c": "reload"}


def test_a_missing_package_is_named_where_it_differs_from_its_program() -> None:
    with pytest.raises(MissingProgram, match=r"promtool is not there \(Debian package prometheus\)"):
        require_programs(standing(programs={"promtool": ""}), layout())


def test_python_is_needed_only_where_an_environment_has_to_be_made() -> None:
    require_programs(standing(python=""), layout())
    with pytest.raises(MissingProgram, match="python3"):
        require_programs(standing(python="", environments=set()), layout())


def test_packages_are_asked_for_by_their_own_names_and_versions() -> None:
    missing = {"curl": "/usr/bin/curl", "haproxy": "", "amtool": "", "vllm": ""}
    probe = standing(programs=missing, python="", python_problem="old", environments=set())
    assert demands(probe, layout()) == ["haproxy>=2.5", "prometheus-alertmanager"]
    for problem in ("none", "venv"):
        probe.python_problem = problem
        assert demands(probe, layout())[-1] == "python3-venv"


@pytest.mark.parametrize(("version", "refused"), [("2.4.24-0ubuntu0.22.04.1", True), ("2.5.0", False), ("", False)])
def test_a_program_that_is_too_old_is_refused_with_the_reason(version: str, refused: bool) -> None:
    """Ubuntu 22.04 has HAProxy 2.4; http_auth_bearer came with 2.5."""
    probe = standing(programs={"haproxy": "/usr/sbin/haproxy"}, versions={"haproxy": version})
    with pytest.raises(MissingProgram, match=r"2\.5 is the least: .*http_auth_bearer") if refused else nullcontext():
        require_programs(probe, layout())


def test_systemd_is_told_to_remove_what_is_gone_and_to_start_what_is_down() -> None:
    made = layout(supervision="systemd")
    probe = standing(manifest=json.dumps({"services": ["old", "web"]}), services={})
    lines, applied = systemd_orders(made, probe, {})
    assert lines == [
        "remove crossover-sample-old.service",
        "unit crossover-sample-web.service",
        "restart crossover-sample-web.service web",
    ]
    assert applied.restarted == ["web"]


def test_systemd_is_told_to_signal_and_left_alone_where_nothing_changed() -> None:
    service = Service("web", ("x",), reload_signal="HUP")
    made = layout(replace(BUNDLE, services=(service,)), supervision="systemd")
    probe = standing(services={"crossover-sample-web.service": "active"})
    lines, applied = systemd_orders(made, probe, {"web": "reload"})
    assert lines[-1] == "reload crossover-sample-web.service web HUP"
    assert (applied.restarted, applied.reloaded) == ([], ["web"])
    assert systemd_orders(made, probe, {})[0] == ["unit crossover-sample-web.service"]


def test_systemd_is_told_what_a_service_with_a_user_of_its_own_is_started_from() -> None:
    made = layout(
        replace(BUNDLE, files=(), services=(replace(BUNDLE.services[0], own_user=True),)), supervision="systemd"
    )
    lines, _ = systemd_orders(made, standing(services={}), {})
    assert lines == [
        "unit crossover-sample-web.service",
        f"apart crossover-sample-web.service /var/cache/crossover/venvs/{REQUIREMENTS.sha256[:16]}",
        "restart crossover-sample-web.service web",
    ]


def test_services_get_their_own_time_to_stop() -> None:
    assert longest_stop_s(BUNDLE) == 40 + 10
