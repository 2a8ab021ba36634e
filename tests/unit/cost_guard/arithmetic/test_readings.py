"""The readings of ladders: first, dearest and slowest, each with every kind that may be added."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from cost_guard.arithmetic.node import NodeKind
from cost_guard.arithmetic.readings import LadderRung, Site, readings, shown
from cost_guard.arithmetic.tco import HorizonTerms
from tests.support.fleets import kind

SITE = Site(1, Fraction(4100), Fraction(0), Fraction(5), Fraction(6 * 10**9), Fraction("1.3"))
CHEAP, DEAR, SLOW = kind(5000, 4000, name="cheap"), kind(9000, 4000, name="dear"), kind(6000, 1000, name="slow")


def rungs(*nodes: NodeKind) -> list[LadderRung]:
    return [LadderRung(node, node) for node in nodes]


def names(ladders: list[list[LadderRung]]) -> list[tuple[str, list[str], str]]:
    return [(one.name, [node.name for node in one.nodes], one.added.name) for one in readings(ladders, SITE)]


def test_equal_nodes_are_one_reading() -> None:
    assert names([rungs(CHEAP), rungs(CHEAP)]) == [("first", ["cheap", "cheap"], "cheap")]


def test_each_kind_that_may_be_added_is_a_reading() -> None:
    assert names([rungs(CHEAP), rungs(DEAR)]) == [
        ("first", ["cheap", "dear"], "cheap"),
        ("first", ["cheap", "dear"], "dear"),
    ]


def test_ladders_are_read_at_their_dearest_and_slowest_rungs() -> None:
    ladder = rungs(CHEAP, SLOW, DEAR)
    assert names([ladder, ladder]) == [
        ("first", ["cheap", "cheap"], "cheap"),
        ("dearest", ["dear", "dear"], "dear"),
        ("slowest", ["slow", "slow"], "slow"),
    ]


def test_what_is_the_same_twice_has_its_first_name() -> None:
    """Slowest and dearest are one rung here; and in which node it stands makes no difference."""
    assert [name for name, _, _ in names([rungs(CHEAP, SLOW)] * 2)] == ["first", "dearest"]
    crossed = [rungs(CHEAP, DEAR), rungs(DEAR, CHEAP)]
    assert (
        names(crossed)
        == [
            ("first", ["cheap", "dear"], "cheap"),
            ("first", ["cheap", "dear"], "dear"),
            ("dearest", ["dear", "dear"], "dear"),
            ("slowest", ["dear", "dear"], "dear"),
        ][:3]
    )


def test_ties_go_to_the_worse_of_the_other_kind() -> None:
    """Of equally dear rungs the slower, of equally slow ones the dearer."""
    fast, dearer = (
        replace(SLOW, name="fast", tokens_per_second=Fraction(4000)),
        replace(SLOW, name="dearer", usd_per_month=Fraction(7000)),
    )
    (_, _, dearest), *_ = names([rungs(CHEAP, fast, SLOW)])[1:]
    assert dearest == "slow"
    assert [added for name, _, added in names([rungs(CHEAP, SLOW, dearer, DEAR)]) if name == "slowest"] == ["dearer"]


def test_a_ceiling_of_a_market_counts_in_the_dearest_alone() -> None:
    """$9,500 at most, on a market: the rung is the dearest, at that; first and slowest have the price seen."""
    ladder = [LadderRung(CHEAP, replace(CHEAP, usd_per_month=Fraction(9500))), *rungs(DEAR)]
    found = readings([ladder], SITE)
    assert [(one.name, one.nodes[0].name, one.nodes[0].usd_per_month) for one in found] == [
        ("first", "cheap", Fraction(5000)), ("dearest", "cheap", Fraction(9500)), ("slowest", "dear", Fraction(9000)),
    ]  # fmt: skip


def test_up_front_counts_for_what_is_dearest() -> None:
    """c = pay + U/L: $8,900 and $24,000 for 12 months is $10,900."""
    reserved = replace(
        DEAR, name="reserved", usd_per_month=Fraction(8900), upfront_usd=Fraction(24_000), commitment_months=12
    )
    assert [one.added.name for one in readings([rungs(CHEAP, DEAR, reserved)], SITE) if one.name == "dearest"] == [
        "reserved"
    ]


def test_the_figures_shown_are_those_of_the_costliest() -> None:
    """By cost(V); then by `stable`, none being the greatest; then by what the horizon comes to."""
    terms = HorizonTerms(24)
    ladder = rungs(CHEAP, SLOW, DEAR)
    found = readings([ladder, ladder], replace(SITE, volume=Fraction(10**9)))
    assert shown(found, terms).name == "dearest"
    far = readings([ladder, ladder], replace(SITE, volume=Fraction(30 * 10**9)))
    assert shown(far, terms).name == "slowest"
    same_cost = [replace(found[0], usd_per_million=Fraction(usd)) for usd in ("5", "0.1", "4")]
    assert [one.stable is None for one in same_cost] == [False, True, False]
    assert shown(same_cost, terms) is same_cost[1]
    committed = replace(found[0], nodes=tuple(replace(node, commitment_months=36) for node in found[0].nodes))
    assert shown([found[0], committed], terms) is committed
