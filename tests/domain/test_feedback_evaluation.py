"""Feedback's evaluation of what is closed: what its reporter says, and the scores."""

from datetime import timedelta
from typing import Any

import pytest

from contracts.feedback import Evaluated
from contracts.intake import Reopening
from contracts.triage import Assignment
from services.feedback.domain.commands import PassCheck
from services.feedback.domain.formulas import FORMULAS
from services.feedback.views import VIEWS
from tests.domain.feedback_story import (
    CASE,
    CHECKER,
    HOUR,
    LEAD,
    NOW,
    STREET,
    SUPPORT,
    WATER,
    Desk,
    assignment,
    closed,
    ended,
    event_of,
    plan,
    rated,
    row,
    score,
)


def ratings(desk: Desk) -> list[tuple[Any, ...]]:
    """Who rated the case, how, in which words, and whether that counts."""
    view = next(view for view in VIEWS if view.table == "ratings")
    rows = [dict(zip(view.columns, one, strict=True)) for one in view.rows(CASE, desk.state)]
    return [(one["rater"], one["rating"], one["comment"], one["counts"]) for one in rows]


@pytest.mark.parametrize(
    ("rater", "given", "counts"),
    [
        ("reporter:1", {}, True),
        ("acceptor:1", {"unit": "district:CH"}, True),
        ("worker:1", {}, False),
        ("worker:8", {"unit": WATER}, False),
        ("partner:hotline", {"partner": "hotline"}, True),
        ("worker:agent", {"partner": "worker"}, False),
        ("partner:worker", {"partner": "worker"}, False),
        ("partner:work", {"partner": "work"}, True),
        ("partner:work", {"partner": "work", "partner_units": ("dept:fire", WATER)}, False),
        ("partner:work", {"partner": "work", "partner_units": ("dept:fire",)}, True),
    ],
)
@pytest.mark.parametrize("early", [False, True])
def test_a_rating_is_kept_with_its_words_and_counts_unless_its_giver_handled_the_case(
    rater: str, given: dict[str, Any], counts: bool, early: bool
) -> None:
    desk = Desk()
    rating = event_of(rated(1, "still wet", **given), 2, NOW, rater)
    if early:
        desk.hear(rating)
    desk.take(plan(1, LEAD), ended(LEAD.id, WATER, handled_by=("worker:1",)))
    desk.give(PassCheck(CHECKER))
    before = list(desk.published)
    if not early:
        desk.hear(rating)
    assert ratings(desk) == [(rater, 1, "still wet", counts)]
    assert desk.published == before, "no verdict follows from it"
    desk.hear(event_of(rated(5, "dry", **given), 3, NOW + HOUR, rater))
    assert ratings(desk) == [(rater, 1, "still wet", counts)], "feedback took the first itself, before intake did"


def test_a_wish_to_reopen_is_shown_and_changes_no_status() -> None:
    desk = closed()
    desk.hear(event_of(Reopening(verdict_id=desk.verdict_id, reason="wet again"), 2, NOW + HOUR, "reporter:1"))
    shown = row(desk, "cases")
    wish = [shown[f"reopening_{what}"] for what in ("requested_at", "requested_by", "reason")]
    assert wish == [NOW + HOUR, "reporter:1", "wet again"]
    assert (shown["status"], desk.steps(), len(desk.verdicts())) == ("closed", ["checking", "verified"], 1)


def test_a_wish_to_reopen_is_shown_until_another_verdict() -> None:
    desk = closed()
    first = desk.verdict_id
    desk.hear(event_of(Reopening(verdict_id=first, reason="wet again"), 2, NOW + HOUR, "reporter:1"))
    for later in (
        Evaluated(verdict="rework", reason="still wet", failed=(LEAD.id,)),
        Evaluated(verdict="closed", outcome="forced", reason="pulled down"),
    ):
        desk.publish(later)
        assert row(desk, "cases")["reopening_requested_at"] is None
    assert row(desk, "cases")["outcome"] == "forced"
    desk.hear(event_of(Reopening(verdict_id=first, reason="late"), 3, NOW + HOUR, "reporter:1"))
    assert row(desk, "cases")["reopening_requested_at"] is None, "of the verdict before"
    desk.hear(event_of(Reopening(verdict_id=desk.verdict_id, reason="again"), 4, NOW + HOUR, "reporter:1"))
    assert row(desk, "cases")["reopening_reason"] == "again"


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
