"""Feedback's evaluation of what is closed: a reporter's rating, and the scores."""

from datetime import timedelta

import pytest

from chassis.engine.decider import Refused, Unknown
from contracts.progress import Rated
from contracts.triage import Assignment
from services.feedback.domain.commands import By, PassCheck, Rate
from services.feedback.domain.formulas import FORMULAS
from tests.domain.feedback_story import (
    CHECKER,
    LEAD,
    NOW,
    OTHER,
    POLICY,
    REPORTER,
    STREET,
    SUPPORT,
    WATER,
    Desk,
    assignment,
    checking,
    closed,
    ended,
    plan,
    score,
)
from tests.support import rulings


def test_a_reporter_rates_once_within_the_days_of_the_policy() -> None:
    desk = closed()
    last = NOW + timedelta(days=POLICY.rating_days)
    with pytest.raises(Refused) as refusal:
        desk.give(Rate(REPORTER, 5), last + timedelta(seconds=1))
    assert refusal.value.rule == "rating.late"
    assert desk.give(Rate(REPORTER, 5, "well done"), last) == [Rated(rating=5, comment="well done")]
    assert [(who, one.rating, one.comment) for who, one in desk.state.ratings.items()] == [
        (REPORTER.subject, 5, "well done")
    ]
    with pytest.raises(Refused) as refusal:
        desk.give(Rate(REPORTER, 1))
    assert refusal.value.rule == "rating.once"
    assert desk.give(Rate(By("reporter:2"), 3))


def test_what_is_open_merged_or_unknown_is_not_rated_nor_by_its_checker() -> None:
    with pytest.raises(Unknown):
        Desk().give(Rate(REPORTER, 5))
    with pytest.raises(Refused, match="not closed"):
        checking().give(Rate(REPORTER, 5))
    merged = Desk()
    merged.take(rulings.merged(OTHER))
    with pytest.raises(Refused, match=OTHER):
        merged.give(Rate(REPORTER, 5))
    with pytest.raises(Refused, match="checked"):
        closed().give(Rate(CHECKER, 5))


def test_scores_of_a_case_with_a_late_support() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT), at=NOW + timedelta(minutes=6))
    desk.take(
        ended(
            LEAD.id,
            WATER,
            acknowledged_at=NOW + timedelta(minutes=9),
            arrived_at=NOW + timedelta(minutes=36),
            resolve_by=NOW + timedelta(hours=8),
            extensions=1,
        ),
        at=NOW + timedelta(hours=6),
    )
    desk.take(ended(SUPPORT.id, STREET, late_by_seconds=3600), at=NOW + timedelta(hours=5))
    desk.give(PassCheck(CHECKER), NOW + timedelta(hours=7))
    verdict = desk.verdicts()[-1]
    assert (verdict.due_at, verdict.late_by_seconds) == (NOW + timedelta(hours=8), 0)
    assert score(verdict) == {
        ("on-time.v1", None): 1,
        ("hours-to-acknowledge.v1", None): 0.05,
        ("hours-to-arrive.v1", None): 0.5,
        ("hours-to-resolve.v1", None): 6,
        ("reworks.v1", None): 0,
        ("unit-on-time.v1", WATER): 1,
        ("unit-on-time.v1", STREET): 0,
    }


def test_lateness_is_what_dispatch_measured() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, method="rule"), ended(LEAD.id, WATER, late_by_seconds=77))
    assert desk.verdicts()[0].late_by_seconds == 77
    assert score(desk.verdicts()[0])["on-time.v1", None] == 0


@pytest.mark.parametrize(("minutes", "hours"), [(-1, 0), (0, 0), (5, 0.0833), (40, 0.6667), (90, 1.5)])
def test_hours_have_four_decimals_and_are_none_where_a_clock_runs_behind(minutes: int, hours: float) -> None:
    at = NOW + timedelta(minutes=minutes)
    desk = Desk()
    desk.take(plan(1, LEAD), ended(LEAD.id, WATER, acknowledged_at=at))
    desk.give(PassCheck(CHECKER))
    assert score(desk.verdicts()[-1])["hours-to-acknowledge.v1", None] == hours


def test_a_retrospective_entry_is_measured_from_its_own_times() -> None:
    desk = Desk(now=NOW + timedelta(days=900))
    desk.take(plan(1, LEAD, method="rule", retrospective=True), at=desk.now)
    desk.take(
        ended(LEAD.id, WATER, acknowledged_at=NOW + timedelta(hours=1)),
        at=NOW + timedelta(hours=3),
    )
    scores = score(desk.verdicts()[0])
    assert scores["hours-to-acknowledge.v1", None] == 1
    assert scores["hours-to-resolve.v1", None] == 3
    assert scores["on-time.v1", None] == 1


def test_a_plan_of_very_many_units_still_gets_its_verdict() -> None:
    desk, crowds = Desk(), list[Assignment]()
    for round_ in (1, 2, 3):
        crowd = [assignment(round_, n, f"dept:d{round_}-{n}", lead=(round_, n) == (1, 1)) for n in range(1, 51)]
        desk.take(*(ended(one.id, one.unit) for one in crowd), plan(round_, *crowd))
        crowds += crowd
    desk.give(PassCheck(CHECKER))
    assert desk.verdicts()[-1].outcome == "fixed"
    units = sorted(one.unit for one in crowds)
    assert [one.unit for one in desk.verdicts()[-1].scores if one.unit is not None] == units[:90]


def test_a_formula_keeps_its_name_and_version() -> None:
    """What was published stays what it means: a changed definition is a new version, beside the old one."""
    assert {formula.id for formula in FORMULAS} == {
        "on-time.v1",
        "hours-to-acknowledge.v1",
        "hours-to-arrive.v1",
        "hours-to-resolve.v1",
        "reworks.v1",
        "unit-on-time.v1",
        "done-in-order.v1",
        "closing-rate.v1",
        "on-time-closing-rate.v1",
        "rework-rate.v1",
        "acknowledgement-p50.v1",
        "acknowledgement-p90.v1",
        "arrival-p50.v1",
        "arrival-p90.v1",
        "dispatch-accuracy.v1",
        "urges.v1",
        "supervisions.v1",
        "satisfaction.v1",
    }
