"""How a check becomes a request on the machine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from images.bundle import REFUSED, HttpCheck
from images.remote.errors import CheckFailed, DeadlineExceeded
from images.remote.exchange import Result
from images.remote.mask import Mask
from images.remote.waiting import Waiting
from images.vehicles.ssh import checks
from images.vehicles.ssh.checks import SETTLING_PAUSE_S, Checks, check_arguments
from images.vehicles.ssh.install import install
from images.vehicles.ssh.probe import Probe
from images.vehicles.ssh.steps.accept import accept
from images.vehicles.ssh.steps.order import STEPS
from tests.unit.images.samples import BUNDLE, PLACEMENT, layout


def test_over_tls_the_name_in_the_certificate_is_asked_for_where_the_service_listens() -> None:
    assert check_arguments(BUNDLE.checks[0], layout(), 30) == [
        "30",
        "200",
        "GET",
        "",
        "a.nodes.crossover.internal:8000:127.0.0.1",
        "/opt/crossover/tls/ca.pem",
        "/opt/crossover/secrets/key",
        "",
        "",
        "https://a.nodes.crossover.internal:8000/health",
    ]


def test_a_client_certificate_is_shown_by_its_file_and_further_paths_are_asked_on_the_same_server() -> None:
    check = HttpCheck("c", "web", "/x", more_paths=("/y",), client_certificate="key", expect_status=REFUSED)
    assert check_arguments(check, layout(), 5) == [
        "5", "000", "GET", "", "", "", "", "/opt/crossover/secrets/key", "",
        "http://127.0.0.1:8000/x", "http://127.0.0.1:8000/y",
    ]  # fmt: skip


def test_without_tls_the_address_is_asked() -> None:
    check = HttpCheck("c", "web", "/x", method="POST", body='{"at": "@PORT:web@"}', expect_status=204)
    assert check_arguments(check, layout(), 0) == [
        "0", "204", "POST", '{"at": "8000"}', "", "", "", "", "", "http://127.0.0.1:8000/x"
    ]  # fmt: skip


def test_a_user_stands_before_the_urls_and_his_password_in_a_file() -> None:
    check = HttpCheck("c", "web", "/x", bearer_secret="key", user="u")
    assert check_arguments(check, layout(), 0)[6:] == ["/opt/crossover/secrets/key", "", "u", "http://127.0.0.1:8000/x"]


def test_an_ipv6_address_stands_in_brackets() -> None:
    check = HttpCheck("c", "web", "/x")
    assert check_arguments(check, layout(bind="::"), 0)[-1] == "http://[::1]:8000/x"


def test_a_service_on_its_way_up_is_looked_at_again_after_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not as often as the machine can answer."""
    answers = [Probe(services={"web": state}) for state in ("STARTING", "STARTING", "RUNNING")]
    seen, pauses = iter(answers), list[float]()
    monkeypatch.setattr(checks, "ask", lambda *_: next(seen))
    monkeypatch.setattr("images.vehicles.ssh.checks.time.sleep", pauses.append)
    nothing = cast(Any, None)
    made = Checks(nothing, layout(), Waiting(60), lambda _: None, Mask([]), nothing)
    assert made.settle() is answers[-1]
    assert pauses == [SETTLING_PAUSE_S] * 2


@dataclass
class Mute:
    """In place of a connection to a machine whose check never answers, and that says nothing else either."""

    tries: list[tuple[int, Waiting]] = field(default_factory=list)
    """Seconds that check.sh was given, and what waited for it."""

    def run(self, _script: str, *words: str, watch: Waiting, step: str, **_: object) -> Result:
        if step != "waiting for web":
            return Result(1, "", "")
        self.tries.append((int(words[0]), watch))
        raise DeadlineExceeded(step)

    def close(self) -> None:
        pass


def test_a_check_has_no_more_time_than_is_left_of_the_whole_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it may take 5000 s by itself. Minutes of 1000 s are left here however slow the computer is."""
    mute = Mute()
    bundle = replace(BUNDLE, checks=(replace(BUNDLE.checks[0], deadline_s=5000),))
    monkeypatch.setitem(install.__globals__, "layout_for", lambda *_: layout(bundle))
    monkeypatch.setitem(install.__globals__, "connect", lambda *_: mute)
    last = [step for step in STEPS if step.run is accept]
    with pytest.raises(CheckFailed, match=r"web was not ready within \d+ s, its last answer: none"):
        install(
            PLACEMENT, bundle, {"key": "k"}, "", say=lambda _: None, cancelled=lambda: False, deadline_s=1000,
            steps=last,
        )  # fmt: skip
    [(seconds, watch)] = mute.tries
    assert 500 < seconds <= 1000
    assert 500 < watch.remaining_s <= 1000
