"""How a check becomes a request on the machine."""

from __future__ import annotations

from typing import Any, cast

import pytest

from images.bundle import REFUSED, HttpCheck
from images.remote.mask import Mask
from images.remote.waiting import Waiting
from images.vehicles.ssh import checks
from images.vehicles.ssh.checks import SETTLING_PAUSE_S, Checks, check_arguments
from images.vehicles.ssh.probe import Probe
from tests.unit.images.samples import BUNDLE, layout


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
