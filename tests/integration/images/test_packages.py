"""Packages on bare machines, by the real apt of Debian 12 and real packages: what comes, what stays off, what goes
wrong, and that the next run ends what a killed one began."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from images.bundle import Bundle, Service
from images.packages import apt
from images.packages.apt import AptFailed, Kind
from images.remote.errors import CommandFailed, DiskFull, MissingProgram, RemoteError, Unreachable
from images.remote.host import Host
from images.remote.waiting import Waiting
from images.vehicles.ssh.install import InstallReport, install
from providers.renting.firstboot import user_data
from providers.renting.hostkeys import one_use
from tests.clouds.server import Boot
from tests.support import sandbox_bare, sandbox_systemd
from tests.support.eventually import eventually
from tests.support.reached import Reached
from tests.support.sandbox import CACHE, sandboxes
from tests.support.sandbox_bare import GATEWAY, Bare, Repository, downloaded, make_package
from tests.support.sshd import make_key, public_key

POLICY = "#!/bin/sh\n# a machine's own\nexit 104\n"
UNIT = "[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target\n"


@dataclass
class Machine(Reached):
    """A bare machine, its repository and the way in."""

    repository: Repository
    folder: Path

    def install(self, *demands: str, said: list[str] | None = None, locks_s: float = 30) -> dict[str, str]:
        lines = said if said is not None else []
        with self.connect() as connection:
            return apt.install(connection, demands, watch=Waiting(120), say=lines.append, locks_s=locks_s)

    def offer(self, name: str, version: str = "1.0", fields: str = "", postinst: str = "", **files: str) -> None:
        """A package of our own, with a unit of its name."""
        unit = {f"lib/systemd/system/{name}.service": UNIT}
        enable = f"deb-systemd-helper enable {name}.service >/dev/null\n"
        made = make_package(
            self.folder, name, version, files={**unit, **files}, fields=fields, postinst=enable + postinst
        )
        self.repository.add([made])

    def status(self, package: str) -> str:
        return self.run(f"dpkg-query -W -f '${{db:Status-Status}}' {package} 2>/dev/null || true")


@contextmanager
def machine(folder: Path, *packages: str, systemd: bool = False) -> Iterator[Machine]:
    if reason := sandbox_bare.missing() or (sandbox_systemd.missing() if systemd else ""):
        pytest.skip(reason)
    repository = Repository(folder / "repository")
    try:
        repository.add(downloaded(*packages) if packages else [])
    except RuntimeError as e:
        pytest.skip(str(e))
    with sandboxes() as sandboxed:
        key = make_key(folder / "key")
        host_key = one_use(key, "bare")
        order = Boot("bare", (public_key(folder / "key"),), user_data(host_key), ports=(22,))
        address = sandboxed.boot(order, systemd=systemd, bare=Bare(repository)).address
        supervision = "systemd" if systemd else "supervisor"
        host = Host(address, 22, "ubuntu", host_key.public, "/opt/crossover", CACHE, "0.0.0.0", supervision=supervision)
        yield Machine(host, key, repository, folder)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One for the tests of packages that we make."""
    with machine(tmp_path_factory.mktemp("bare")) as made:
        yield made


def failing(install: Callable[[], object], kind: Kind) -> str:
    with pytest.raises(AptFailed) as caught:
        install()
    assert caught.value.kind == kind, caught.value
    return str(caught.value)


def test_a_bundles_programs_come_their_services_stay_off_and_a_second_run_asks_apt_nothing(tmp_path: Path) -> None:
    """Debian's units of HAProxy, Redis, Prometheus and Alertmanager start with their packages; ours need the ports."""
    programs = ("haproxy", "redis-server", "prometheus", "prometheus-alertmanager")
    units = " ".join(programs)
    with machine(tmp_path, *GATEWAY, systemd=True) as m:
        bundle = Bundle("bare", programs=programs)
        host = replace(m.host, ports={"redis": 6379})

        def bring(bundle: Bundle = bundle) -> InstallReport:
            return install(
                host, bundle, {}, m.key, say=print, cancelled=lambda: False, deadline_s=200, connect_within_s=30
            )

        bring()
        assert m.run(f"for p in {units}; do command -v $p; done").split() == BINARIES
        assert set(m.run(f"systemctl is-active {units} || true").split()) == {"inactive"}
        assert set(m.run(f"systemctl is-enabled {units} || true").split()) == {"disabled"}
        assert m.run("ss -Hltn 'sport = :6379 or sport = :9090 or sport = :9093'") == ""
        assert m.run("ls /usr/sbin/policy-rc.d /var/lib/crossover-packages 2>/dev/null || true") == LEFT
        m.run("mv /usr/bin/apt-get /usr/bin/dpkg /tmp")
        report = bring()
        assert (report.transferred_bytes, report.changed_files) == (0, ())
        # Now as if it were a stranger's, that was there before.
        m.run("systemctl start redis-server && ss -Hltn 'sport = :6379' | grep -q .")
        service = Service("redis", ("redis-server", "--port", "@PORT:redis@"))
        with pytest.raises(
            CommandFailed, match=r"port 6379 is in use by redis-server \(pid \d+, unit redis-server.serv"
        ):
            bring(replace(bundle, services=(service,)))
        assert m.run("systemctl is-active redis-server") == "active"


BINARIES = ["/usr/sbin/haproxy", "/usr/bin/redis-server", "/usr/bin/prometheus", "/usr/bin/prometheus-alertmanager"]
LEFT = "/var/lib/crossover-packages:"


def test_a_machine_without_a_program_that_is_no_package_is_told_before_anything_is_installed(bare: Machine) -> None:
    bundle = Bundle("bare", programs=("haproxy", "nothing-of-debian"))
    with pytest.raises(MissingProgram, match="nothing-of-debian is not there"):
        install(bare.host, bundle, {}, bare.key, say=print, cancelled=lambda: False, deadline_s=60)
    assert bare.status("haproxy") == ""


@pytest.mark.parametrize("lock", ["/var/lib/dpkg/lock-frontend", "/var/lib/apt/lists/lock"])
def test_a_lock_is_waited_for_with_the_name_of_who_holds_it(bare: Machine, lock: str) -> None:
    name = f"waits-{Path(lock).parent.name}"
    bare.offer(name)
    hold = (
        "import fcntl, os, sys, time\n"
        f"f = open({lock!r}, 'w'); fcntl.lockf(f, fcntl.LOCK_EX)\n"
        "open('/tmp/held', 'w').close()\n"
        "while os.path.exists('/tmp/held'): time.sleep(0.05)\n"
    )
    bare.run(
        f'mkdir -p /var/lib/apt/lists; python3 -c "{hold}" >/dev/null 2>&1 </dev/null & '
        "while [ ! -e /tmp/held ]; do sleep 0.05; done"
    )
    said: list[str] = []
    try:
        assert "python3 (pid " in failing(lambda: bare.install(name, locks_s=0), Kind.LOCKS)
        assert bare.status(name) == ""
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(bare.install, name, said=said)
            eventually(lambda: any("python3 (pid " in line for line in said) or waiting.done(), "a word of the lock")
            bare.run("rm /tmp/held")
            assert waiting.result(60) == {name: "1.0"}
    finally:
        bare.run("rm -f /tmp/held")


def test_a_package_that_nobody_has_is_told(bare: Machine) -> None:
    assert "no-such-package" in failing(lambda: bare.install("no-such-package"), Kind.NO_PACKAGE)
    bare.offer("one-version")
    assert "Version '2.0' for 'one-version'" in failing(lambda: bare.install("one-version=2.0"), Kind.NO_PACKAGE)


def test_a_version_that_is_too_old_is_refused_and_nothing_is_installed(bare: Machine) -> None:
    """Ubuntu 22.04 has HAProxy 2.4."""
    bare.offer("haproxy", "2.4.24-0ubuntu0.22.04.1")
    said = failing(lambda: bare.install("haproxy>=2.5"), Kind.OLD_VERSION)
    assert "haproxy 2.4.24-0ubuntu0.22.04.1 is what debian 12 offers, and 2.5 or newer is needed" in said
    assert bare.status("haproxy") == ""


def test_packages_that_are_in_the_way_are_left_alone(bare: Machine) -> None:
    bare.offer("stranger")
    bare.install("stranger")
    bare.offer("rival", fields="Conflicts: stranger\n")
    failing(lambda: bare.install("rival"), Kind.CONFLICT)
    assert bare.status("stranger") == "installed"


def test_room_is_looked_at_before_anything_is_begun(bare: Machine) -> None:
    bare.offer("huge", fields="Installed-Size: 900000000000\n")
    with pytest.raises(DiskFull, match="MB are needed where /usr lies"):
        bare.install("huge")
    assert bare.status("huge") == ""


def test_a_disk_that_fills_while_packages_are_unpacked_is_told_and_the_next_run_ends_it(bare: Machine) -> None:
    bare.run("mkdir -p /mnt/small && mount -t tmpfs -o size=1m small /mnt/small")
    bare.offer("large", **{"mnt/small/large": "x" * 3_000_000})
    with pytest.raises(DiskFull, match="No space left on device"):
        bare.install("large")
    bare.run("umount /mnt/small")
    assert bare.install("large") == {"large": "1.0"}


def test_a_repository_that_does_not_answer_is_told(bare: Machine) -> None:
    sources = "/etc/apt/sources.list"
    bare.run(f"cp {sources} /tmp/sources; rm -rf /var/lib/apt/lists/*; echo 'deb http://127.0.0.1:9 x main' >{sources}")
    try:
        said = failing(lambda: bare.install("far-away"), Kind.NETWORK)
        assert "127.0.0.1:9" in said
    finally:
        bare.run(f"mv /tmp/sources {sources}")


def test_what_a_killed_run_left_is_ended_by_the_next_and_the_machines_own_policy_is_back(bare: Machine) -> None:
    bare.run(f"printf '%b' {POLICY!r} >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d")
    bare.offer("halfway", postinst="if [ -e /tmp/stop-here ]; then touch /tmp/reached; sleep 600; fi")
    bare.run("touch /tmp/stop-here")
    with ThreadPoolExecutor() as pool:
        killed = pool.submit(bare.install, "halfway")
        eventually(lambda: bare.run("ls /tmp") and "reached" in bare.run("ls /tmp"), "the postinst", deadline_s=60)
        assert bare.run("/usr/sbin/policy-rc.d x start || echo $?") == "101"
        # All of it at once, as a machine that loses its power: our script, apt-get, dpkg and what they started.
        bare.run("kill -KILL $(pgrep -f 'crossover-packages|apt-get|dpkg|halfway' | grep -vx $$) || true")
        with pytest.raises(RemoteError):
            killed.result(60)
    assert bare.status("halfway") == "half-configured"
    bare.run("rm /tmp/stop-here; test -e /var/lib/crossover-packages/pending")
    bare.install("halfway")
    assert bare.status("halfway") == "installed"
    assert bare.run("cat /usr/sbin/policy-rc.d") == POLICY.strip()
    assert bare.run("systemctl is-enabled halfway || true") == "disabled"
    bare.run("test ! -e /var/lib/crossover-packages/pending")


def test_a_lost_connection_stops_nothing_and_the_next_run_waits_for_it(bare: Machine) -> None:
    bare.offer("goes-on", postinst="touch /tmp/begun; while [ ! -e /tmp/go ]; do sleep 0.1; done")
    connection = bare.connect()
    with ThreadPoolExecutor() as pool:
        lost = pool.submit(apt.install, connection, ["goes-on"], watch=Waiting(60), say=print)
        eventually(lambda: "begun" in bare.run("ls /tmp"), "the postinst", deadline_s=60)
        connection.close()
        with pytest.raises(Unreachable):
            lost.result(30)
        said: list[str] = []
        second = pool.submit(bare.install, "goes-on", said=said)
        eventually(lambda: any("another install of packages is under way" in line for line in said), "a word of it")
        bare.run("touch /tmp/go")
        assert second.result(60) == {}
    assert bare.status("goes-on") == "installed"


def test_a_user_who_is_not_root_needs_sudo_and_it_is_used(bare: Machine) -> None:
    bare.offer("by-sudo")
    bare.run(
        "useradd --create-home --shell /bin/sh admin && cp -r ~root/.ssh ~admin/ && chown -R admin ~admin/.ssh && "
        "usermod -p '*' admin"
    )
    other = replace(bare, host=replace(bare.host, ssh_user="admin"))
    assert "sudo refuses" in failing(lambda: other.install("by-sudo"), Kind.NO_ROOT)
    try:
        bare.repository.add(downloaded("sudo"))
    except RuntimeError as e:
        pytest.skip(str(e))
    bare.install("sudo")
    bare.run("echo 'admin ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/admin")
    assert other.install("by-sudo") == {"by-sudo": "1.0"}


def test_upgrades_stop_and_one_that_is_under_way_is_waited_for(tmp_path: Path) -> None:
    with machine(tmp_path, systemd=True) as m:
        m.run(
            "printf '[Service]\\nType=oneshot\\nExecStart=/bin/sh -c "
            '"while [ ! -e /tmp/go ]; do sleep 0.1; done"\\n\' >/etc/systemd/system/apt-daily-upgrade.service && '
            "systemctl daemon-reload && systemctl start --no-block apt-daily-upgrade.service && "
            "systemctl enable apt-daily.timer"
        )
        said: list[str] = []

        def stop() -> None:
            with m.connect() as connection:
                apt.stop_upgrades(connection, watch=Waiting(60), say=said.append, locks_s=locks_s)

        locks_s = 0.0
        assert "apt-daily-upgrade.service" in failing(stop, Kind.LOCKS)
        locks_s = 60.0
        with ThreadPoolExecutor() as pool:
            stopping = pool.submit(stop)
            eventually(lambda: any("waiting for apt-daily-upgrade.service" in line for line in said), "a word of it")
            m.run("touch /tmp/go")
            stopping.result(60)
        timers = m.run("systemctl is-enabled apt-daily.timer apt-daily-upgrade.timer || true").split()
        assert set(timers) == {"disabled"}
        assert m.run("apt-config shell X APT::Periodic::Enable").strip() == "X='0'"
