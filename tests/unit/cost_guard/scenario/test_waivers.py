"""waivers.yaml: what is refused, what a waiver lifts on which day at which cost, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cost_guard.catalogue.catalogue import load_catalogue
from cost_guard.codes import Level
from cost_guard.pack.registry import codes
from cost_guard.scenario.scenario import Scenario
from cost_guard.scenario.sections.approval import Status
from cost_guard.scenario.waiver_file import WAIVERS_VARIABLE, WaiverError, load_waivers, parse_waivers
from cost_guard.scenario.waivers import NO_WAIVERS, Waivers, fleet_urn
from cost_guard.verdict.verdict import Verdict
from tests.support.gate import verdict_of

TODAY = date(2026, 11, 22)
URN = fleet_urn("prod-eu")
ENTRY = {
    "policy": "break-even",
    "stack": "prod-*",
    "owner": "ml-platform",
    "approver": "finance",
    "reason": "launch in week 3",
    "ticket": "OPS-1",
    "created": date(2026, 11, 1),
    "expires": date(2026, 12, 1),
}


def waivers(*changes: dict[str, Any]) -> Waivers:
    """An entry for each change; None takes a key away."""
    entries = [{k: v for k, v in {**ENTRY, **change}.items() if v is not None} for change in changes]
    return parse_waivers(yaml.safe_dump(entries, sort_keys=False), codes())


def refused(text: str) -> list[str]:
    with pytest.raises(WaiverError) as caught:
        parse_waivers(text, codes())
    return caught.value.lines


BLOCKS = ("break-even", "horizon", "probability")
Lifted = Callable[..., Verdict]


@pytest.fixture
def lifted(quotation: Callable[..., Scenario]) -> Lifted:
    """The verdict on 500e6 tokens against $19,940 under waivers, as of a day: BLOCKS block."""

    def judged(given: Waivers, day: date = TODAY, **fleet: Any) -> Verdict:
        return verdict_of(quotation("500e6", fleet=fleet), load_catalogue(), day, waivers=given, urn=URN)

    return judged


@pytest.fixture
def blocked(lifted: Lifted) -> Verdict:
    """Without a waiver."""
    verdict = lifted(NO_WAIVERS)
    assert tuple(r.code for r in verdict.reasons if r.level is Level.BLOCK) == BLOCKS
    return verdict


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        ({"policy": "breakeven"}, 1, "policy: there is no rule 'breakeven'; did you mean break-even?"),
        ({"policy": "price-known"}, 1, "policy: price-known is never waived: without a price nothing else can be"),
        ({"approver": " ML-Platform "}, 4, "approver: must not be the owner"),
        ({"approver": None}, 1, "approver: missing; it has no default, set it"),
        ({"reason": "  "}, 5, "reason: must be a text that is not empty"),
        ({"ticket": None}, 1, "ticket: missing"),
        (
            {"expires": date(2027, 1, 31)},
            8,
            "expires: must be within 90 days of created, by 2027-01-30, got 2027-01-31",
        ),
        ({"expires": date(2026, 10, 31)}, 8, "expires: 2026-10-31 is before created, 2026-11-01"),
        ({"expires": "soon"}, 8, "expires: must be a date as YYYY-MM-DD, got 'soon'"),
        ({"aprover": "x"}, 9, "aprover: unknown key (did you mean approver?)"),
        ({"costCapUsdPerMonth": 0}, 9, "costCapUsdPerMonth: must be more than 0"),
        ({"costCapUsdPerMonth": ".nan"}, 9, "costCapUsdPerMonth: must be a"),
        (
            {"policy": "ingress-closed", "costCapUsdPerMonth": 5},
            9,
            "costCapUsdPerMonth: the rule ingress-closed knows no",
        ),
    ],
)
def test_a_mistake_is_told_with_file_line_and_key(change: dict[str, Any], line: int, message: str) -> None:
    """One line each, and no other."""
    with pytest.raises(WaiverError) as caught:
        waivers(change)
    (told,) = caught.value.lines
    assert told.startswith(f"waivers.yaml:{line}: {message}")


def test_a_file_that_is_no_list_of_maps_is_refused() -> None:
    """With the line, where there is one; a key that stands twice is not taken silently."""
    assert refused("policy: x") == ["waivers.yaml:1: expected a list of waivers, got {'policy': 'x'}"]
    assert refused("- 3") == ["waivers.yaml:1: expected a map of keys, got 3"]
    assert refused("- policy: a\n  policy: b") == ["waivers.yaml:2: [0].policy: stands twice; keep one"]
    assert refused("- ? [a]\n  : b") == ["waivers.yaml:1: not YAML: found unhashable key"]
    assert refused("- {policy: ]")[0].startswith("waivers.yaml:1: not YAML: ")
    assert "waivers.yaml:2: created: must be a date as YYYY-MM-DD, got '2026-13-01'" in refused(
        "- ticket: T\n  created: 2026-13-01"
    )
    assert parse_waivers("", codes()) == NO_WAIVERS
    assert parse_waivers("# none today\n", codes()).entries == ()


def test_every_mistake_of_every_entry_is_told() -> None:
    """So that one look mends the file."""
    with pytest.raises(WaiverError) as caught:
        waivers({"policy": "x"}, {}, {"owner": None, "reason": ""})
    assert len(caught.value.lines) == 3


@pytest.mark.parametrize(
    ("day", "cost", "status"),
    [
        ("2026-10-31", None, Status.NOT_BEGUN),
        ("2026-11-01", None, Status.VALID),
        ("2026-12-01", None, Status.VALID),
        ("2026-12-02", None, Status.EXPIRED),
    ],
)
def test_it_holds_from_created_to_expires_both_included(day: str, cost: Any, status: Status) -> None:
    (waiver,) = waivers({}).entries
    assert waiver.status(date.fromisoformat(day), cost) is status


def test_a_valid_waiver_lifts_the_block_and_says_who_why_and_until_when(lifted: Lifted) -> None:
    """WAIVED, the verdict WARN, and the code that it does not name still blocks."""
    verdict = lifted(waivers(*({"policy": code} for code in BLOCKS)))
    assert verdict.level is Level.WARN
    assert verdict.exit_code() == 0
    told = {r.code: r.message for r in verdict.reasons if r.level is Level.WAIVED}
    assert tuple(told) == BLOCKS
    assert told["break-even"].endswith(
        "Waived until 2026-12-01 by finance, ml-platform mends it: launch in week 3 (OPS-1)."
    )
    assert lifted(waivers({})).level is Level.BLOCK


@pytest.mark.parametrize(
    ("change", "day", "words"),
    [
        ({}, "2026-12-02", "The waiver OPS-1 of ml-platform expired on 2026-12-01."),
        ({}, "2026-10-01", "The waiver OPS-1 begins on 2026-11-01."),
        (
            {"costCapUsdPerMonth": 19939},
            "2026-11-22",
            "The waiver OPS-1 of ml-platform is void: nodes and overhead cost $19,940/month, its cap is $19,939/month.",
        ),
    ],
)
def test_one_that_lifts_nothing_resurfaces_in_the_block(
    lifted: Lifted, change: dict[str, Any], day: str, words: str
) -> None:
    """The BLOCK stays and says which waiver is past."""
    verdict = lifted(waivers(change), date.fromisoformat(day))
    (reason,) = [r for r in verdict.reasons if r.code == "break-even"]
    assert reason.level is Level.BLOCK
    assert reason.message.endswith(words)


def test_the_cap_is_inclusive_and_an_unknown_cost_voids(lifted: Lifted) -> None:
    """19,940 is not above 19,940; what nobody knows is not below any cap."""
    capped = waivers({"costCapUsdPerMonth": 19940}, {"policy": "horizon"}, {"policy": "probability"})
    assert lifted(capped).level is Level.WARN
    level, message = capped.settle("break-even", "m.", URN, TODAY, None)
    assert (level, "are of unknown cost" in message) == (Level.BLOCK, True)


@pytest.mark.parametrize("change", [{"stack": "prod"}, {"stack": "dev-*"}, {"urn": "*::other"}, {"policy": "capacity"}])
def test_another_stack_resource_or_code_is_not_covered(
    lifted: Lifted, blocked: Verdict, change: dict[str, Any]
) -> None:
    """Globs match the whole name."""
    assert lifted(waivers(change)).reasons == blocked.reasons


def test_a_waiver_that_nothing_needs_is_told(lifted: Lifted, blocked: Verdict) -> None:
    """In the notes of the verdict, for codes of the verdict and this stack alone."""
    unneeded = waivers({"policy": "capacity", "ticket": "OPS-2"}, {"policy": "ingress-closed"}, {"stack": "dev"})
    notes = lifted(unneeded).notes
    assert [n for n in notes if n not in blocked.notes] == [
        "The waiver OPS-2 of capacity is not used: nothing violates it; remove it."
    ]
    assert unneeded.unused("prod-eu", TODAY, [("ingress-closed", URN)]) == unneeded.entries[:1]


def test_a_waiver_of_another_resource_is_told_as_not_used(lifted: Lifted, blocked: Verdict) -> None:
    """A slip in a glob lifts nothing, and is not silent."""
    notes = lifted(waivers({"urn": "*::flet"})).notes
    assert [n for n in notes if n not in blocked.notes] == [
        f"The waiver OPS-1 of break-even is not used: its urn, *::flet, does not cover {URN}; mend it or remove it."
    ]


def test_a_reason_fits_a_comment() -> None:
    """It is shown whole in every comment, JUnit and SARIF."""
    assert waivers({"reason": "x" * 1000}).entries
    (line,) = refused(yaml.safe_dump([{**ENTRY, "reason": "x" * 1001}], sort_keys=False))
    assert line == "waivers.yaml:5: reason: must be of 1,000 characters at most, got 1,001: link to the rest"


def test_the_cap_holds_for_what_may_be_billed(lifted: Lifted) -> None:
    """Two nodes of 13,500 and 4,100."""
    dearer = lifted(waivers({"costCapUsdPerMonth": 20_000}), usdPerNodeMonth=13_500)
    (reason,) = [r for r in dearer.reasons if r.code == "break-even"]
    assert reason.level is Level.BLOCK
    assert reason.message.endswith("is void: nodes and overhead cost $31,100/month, its cap is $20,000/month.")


def test_of_several_the_valid_one_counts() -> None:
    """Whatever their order in the file."""
    several = waivers({"expires": date(2026, 11, 2)}, {"ticket": "OPS-2"}, {"created": date(2026, 11, 30)})
    assert several.settle("break-even", "m.", URN, TODAY)[0] is Level.WAIVED
    assert several.ruling("break-even", URN, TODAY) == several.entries[1]


@pytest.mark.parametrize("code", codes().mandatory)
def test_every_rule_but_those_that_guard_the_gate_can_be_waived(code: str) -> None:
    """Each exception has its reason."""
    if code in codes().never_waived:
        with pytest.raises(WaiverError, match="never waived"):
            waivers({"policy": code})
    else:
        assert waivers({"policy": code}).entries[0].policy == code


@given(created=st.dates(date(2000, 1, 1), date(2100, 1, 1)), days=st.integers(-400, 400))
def test_no_waiver_lasts_longer_than_90_days(created: date, days: int) -> None:
    """For all dates: accepted exactly from 0 to 90 days."""
    try:
        waivers({"created": created, "expires": created + timedelta(days=days)})
    except WaiverError:
        assert not 0 <= days <= 90
    else:
        assert 0 <= days <= 90


def test_the_file_is_beside_the_pack_or_where_the_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file beside is none; a variable that names no file is refused, and so is what is no text."""
    monkeypatch.delenv(WAIVERS_VARIABLE, raising=False)
    assert load_waivers(tmp_path, codes) is NO_WAIVERS
    (tmp_path / "waivers.yaml").write_text(yaml.safe_dump([ENTRY]))
    assert len(load_waivers(tmp_path, codes).entries) == 1
    monkeypatch.setenv(WAIVERS_VARIABLE, str(tmp_path / "none.yaml"))
    with pytest.raises(WaiverError, match="cannot be read"):
        load_waivers(tmp_path, codes)
    (tmp_path / "none.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WaiverError, match="is not UTF-8"):
        load_waivers(tmp_path, codes)
