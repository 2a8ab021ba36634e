"""A bundle and a host become files; what does not fit together is refused before anything is sent."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from images.bundle import Bundle, File, HttpCheck, PythonEnvironment, Service
from images.remote.errors import InvalidBundle
from images.vehicles.ssh.layout import rendering
from images.vehicles.ssh.layout.layout import MANIFEST, Layout, draft_manifest, make_layout, secret_files
from tests.unit.images.samples import BUNDLE, PLACEMENT, REQUIREMENTS, layout

ENVIRONMENT = f"/var/cache/crossover/venvs/{REQUIREMENTS.sha256[:16]}"


def content(made: Layout, path: str) -> str:
    return next(f.content for f in made.files if f.path == path).decode()


def test_files_are_resolved_and_sources_are_taken_as_they_are() -> None:
    made = layout()
    assert content(made, "web/web.conf") == "listen 0.0.0.0:8000\nkey /opt/crossover/secrets/key\n"
    assert content(made, "lib/web.py") == "x"


def test_the_launcher_is_this_script() -> None:
    assert (
        content(layout(), "run/web")
        == f"""#!/bin/sh
# Starts web in the foreground. Written by Crossover's installer: changes here are overwritten.
set -eu
cd /opt/crossover
PATH="${{PATH}}:/usr/local/sbin:/usr/sbin:/sbin"
CROSSOVER_ROOT=/opt/crossover
export PATH CROSSOVER_ROOT
export NOTE='it'"'"'s $HOME'
export PYTHONPATH=/opt/crossover/lib
API_KEY=$(cat /opt/crossover/secrets/key)
export API_KEY
exec {ENVIRONMENT}/bin/python -m web /opt/crossover/web/web.conf
"""
    )


def test_supervisor_gets_one_program_a_service() -> None:
    text = content(layout(), "supervisor/programs/web.conf")
    assert 'command="/opt/crossover/run/web"' in text
    assert "stopwaitsecs=40" in text
    assert "autorestart=true" in text
    assert "file=/opt/crossover/run/supervisor.sock" in content(layout(), "supervisor/supervisord.conf")


def test_systemd_gets_one_unit_a_service_run_by_who_installs() -> None:
    made = layout(supervision="systemd")
    assert not [f.path for f in made.files if f.path.startswith("supervisor")]
    text = content(made, "systemd/crossover-sample-web.service")
    for line in ('ExecStart="/opt/crossover/run/web"', "User=ubuntu", "Restart=always", "TimeoutStopSec=40"):
        assert line in text.splitlines()


APART = replace(
    BUNDLE, files=(File("web/web.conf", "listen @BIND@\n"),), services=(replace(BUNDLE.services[0], own_user=True),)
)


def test_a_service_with_a_user_of_its_own_is_shown_what_it_uses_and_handed_its_secrets() -> None:
    """Audit 19: the user who installs, who may do anything, ran a hundred packages of others."""
    made = layout(APART, supervision="systemd", root="/opt/100 %")
    unit = content(made, "systemd/crossover-sample-web.service").splitlines()
    assert "DynamicUser=yes" in unit
    assert not [line for line in unit if line.startswith(("User=", "AmbientCapabilities="))]
    assert 'TemporaryFileSystem="/opt/100 %%:ro"' in unit
    assert {line for line in unit if line.startswith("BindReadOnlyPaths=")} == {
        f'BindReadOnlyPaths="{path}"'
        for path in ("/opt/100 %%/run/web", "/opt/100 %%/lib", "/opt/100 %%/web/web.conf", ENVIRONMENT)
    }
    assert [line for line in unit if "secrets" in line] == ["LoadCredential=key:/opt/100 %%/secrets/key"]
    launcher = content(made, "run/web")
    assert 'API_KEY=$(cat "${CREDENTIALS_DIRECTORY:' in launcher
    assert "secrets/" not in launcher


def test_a_launcher_says_what_it_needs_of_a_systemd_that_hands_nothing_over(tmp_path: Path) -> None:
    script = content(layout(APART, supervision="systemd", root=str(tmp_path)), "run/web")
    ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
    assert ran.returncode != 0
    assert "systemd 247 or newer is needed" in ran.stderr


def test_without_systemd_an_own_user_changes_no_file() -> None:
    """Containers and `local` go on as they were."""
    with_one, without = layout(APART), layout(replace(APART, services=BUNDLE.services))
    assert with_one.files == without.files


@pytest.mark.parametrize("place", ["root", "cache"])
def test_an_own_user_needs_paths_without_a_colon(place: str) -> None:
    with pytest.raises(InvalidBundle, match="colon"):
        layout(APART, supervision="systemd", **{place: "/opt/a:b"})


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("bundle", [BUNDLE, APART], ids=["installer", "own"])
def test_systemd_takes_the_unit(bundle: Bundle, tmp_path: Path) -> None:
    made = layout(bundle, supervision="systemd", ssh_user="root", root=str(tmp_path))
    (tmp_path / "run").mkdir()
    (tmp_path / "run/web").write_text("#!/bin/sh\n")
    (tmp_path / "run/web").chmod(0o755)
    unit = tmp_path / "crossover-sample-web.service"
    unit.write_text(content(made, f"systemd/{unit.name}"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)], capture_output=True, text=True
    )
    assert (checked.returncode, [line for line in checked.stderr.splitlines() if unit.name in line]) == (0, [])


def test_a_path_too_long_for_a_socket_moves_the_socket_alone() -> None:
    long = replace(PLACEMENT, root="/home/" + "x" * 100)
    socket = rendering.supervisor_socket(long)
    assert socket.startswith("/tmp/crossover-")
    assert len(socket) <= rendering.LONGEST_SOCKET_PATH
    assert socket != rendering.supervisor_socket(replace(PLACEMENT, root="/home/" + "y" * 100))


def test_the_manifest_holds_hashes_of_files_and_only_names_of_secrets() -> None:
    made = layout()
    value = json.loads(made.manifest.content)
    assert (made.manifest.path, made.manifest.mode) == (MANIFEST, 0o600)
    assert set(value["files"]) == {f.path for f in made.files}
    assert value["secrets"] == ["key"]
    assert "secrets/key" not in value["files"]


def test_the_manifest_between_two_bundles_knows_the_files_of_both() -> None:
    recorded = {"files": {"old.txt": {"mode": "644", "sha256": "0"}}, "secrets": ["old"], "services": ["old"]}
    value = json.loads(draft_manifest(layout(), recorded).content)
    assert {"old.txt", "web/web.conf"} <= set(value["files"])
    assert (value["secrets"], value["services"]) == (["key", "old"], ["web", "old"])


def test_the_plan_is_the_same_whatever_order_the_bundle_came_in() -> None:
    turned = replace(BUNDLE, files=BUNDLE.files[::-1])
    assert layout(turned) == layout()


def test_secret_files_are_private_and_only_those_that_the_bundle_names() -> None:
    (file,) = secret_files(BUNDLE, {"key": "value", "of-another-role": "x"})
    assert (file.path, file.content, file.mode) == ("secrets/key", b"value", 0o600)
    assert file.effects == {"web": "restart"}


@pytest.mark.parametrize("given", [{}, {"key": ""}])
def test_a_missing_or_empty_secret_is_named(given: dict[str, str]) -> None:
    with pytest.raises(InvalidBundle, match="key"):
        secret_files(BUNDLE, given)


def test_supervision_without_systemd_needs_supervisors_requirements() -> None:
    with pytest.raises(InvalidBundle, match="supervisor"):
        make_layout(BUNDLE, PLACEMENT, lambda _: b"x")


def _service(**changes: Any) -> dict[str, Any]:
    return {"services": (replace(BUNDLE.services[0], **changes),)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"role": "Big Role"}, "role"),
        ({"files": (File("../x", ""),)}, r"\.\./x"),
        ({"files": (File("/etc/passwd", ""),)}, "/etc/passwd"),
        ({"files": (File("a b", ""),)}, "a b"),
        ({"files": (File("a", ""), File("a", "x"))}, "a is there twice"),
        ({"files": (File("secrets/key", "x"),)}, "installer's"),
        ({"directories": ("a/../../b",)}, r"a/\.\./\.\./b"),
        ({"secrets": ("key", "key")}, "key is there twice"),
        ({"secrets": ("key", "../key")}, "secret"),
        ({"services": BUNDLE.services * 2}, "web is there twice"),
        (_service(name="_supervisord"), "_supervisord"),
        (_service(command=()), "no command"),
        (_service(command=("a\0",)), "zero byte"),
        (_service(environment={"A-B": "x"}), "A-B"),
        (_service(secret_environment={"A": "other"}), "no secret other"),
        (_service(reload_signal="hup; rm"), "signal"),
        (_service(reload_files=("web/web.conf",)), "reload_signal"),
        (_service(own_user=True, secret_environment={}), "secret's file: key"),
        (_service(own_user=True, reload_signal="HUP"), "cannot be reloaded"),
        ({"environments": (PythonEnvironment("app", REQUIREMENTS),) * 2}, "app is there twice"),
        ({"checks": (HttpCheck("c", "other", "/"),)}, "no port named other"),
        ({"checks": (HttpCheck("c", "web", "/", bearer_secret="other"),)}, "no secret other"),
        ({"checks": (HttpCheck("c", "web", "/", tls_ca="@RUUT@/x"),)}, "@RUUT@"),
    ],
)
def test_a_bundle_that_does_not_fit_together_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidBundle, match=said):
        layout(replace(BUNDLE, **changes))


def test_a_bundle_survives_its_way_through_json() -> None:
    assert Bundle.from_dict(json.loads(json.dumps(BUNDLE.to_dict()))) == BUNDLE


def test_templates_hold_no_name_that_is_not_filled_in() -> None:
    with pytest.raises(KeyError):
        rendering.fill("launcher.sh", service="x")
    assert "{{" not in "".join(f.content.decode() for f in (*layout().files, *layout(supervision="systemd").files))


def test_a_service_that_is_named_in_no_variable_gets_a_launcher_without_any() -> None:
    bare = Bundle(role="r", services=(Service("one", ("sleep", "9")),))
    assert content(layout(bare), "run/one").endswith("export PATH CROSSOVER_ROOT\nexec sleep 9\n")


def test_what_came_later_changes_no_file_of_a_service_that_has_no_use_for_it() -> None:
    """A gateway goes on without a restart: these are the files of before."""
    unit = content(layout(supervision="systemd"), f"systemd/crossover-{BUNDLE.role}-web.service")
    assert "After=network-online.target\nStartLimit" in unit
    assert "Type=exec\nUser=ubuntu\nExecStart=" in unit
    assert "LimitNOFILE=65536\nNoNewPrivileges=yes\nAmbientCapabilities=CAP_NET_BIND_SERVICE\nPrivateTmp=yes\n" in unit
    assert "CROSSOVER_SERVICE" not in content(layout(), "run/web")


def test_a_service_on_gpus_starts_after_what_sets_them_up_and_pins_memory() -> None:
    bundle = replace(BUNDLE, **_service(after=("a.service", "b.service"), locks_memory=True))
    unit = content(layout(bundle, supervision="systemd"), f"systemd/crossover-{BUNDLE.role}-web.service")
    assert "After=network-online.target a.service b.service\n" in unit
    assert "LimitNOFILE=65536\nLimitMEMLOCK=infinity\nNoNewPrivileges" in unit


def test_a_launcher_ends_what_workers_are_left_only_where_the_keeper_does_not() -> None:
    """setproctitle 1.3.8 overwrites the mark in /proc/PID/environ unless SPT_NOENV is set: tried with vLLM's own."""
    bundle = replace(BUNDLE, **_service(has_workers=True))
    launcher = content(layout(bundle), "run/web")
    assert launcher.index("ending what the last run has left") < launcher.index("export PATH CROSSOVER_ROOT")
    assert "export CROSSOVER_SERVICE SPT_NOENV" in launcher
    assert "CROSSOVER_SERVICE" not in content(layout(bundle, supervision="systemd"), "run/web")
