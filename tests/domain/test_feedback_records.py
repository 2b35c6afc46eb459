"""What feedback's read models show of a case: who answers for it, since when, and what became of each assignment."""

from datetime import timedelta
from typing import Any

import pytest

from contracts.fields import Fact
from contracts.progress import Checking
from services.feedback.domain.commands import FailCheck, ForceClose, PassCheck
from services.feedback.views import ASSIGNMENTS
from tests.domain.feedback_story import (
    CASE,
    CHECKER,
    FIRE,
    HOUR,
    LEAD,
    LEADER,
    NOW,
    OTHER,
    STREET,
    SUPPORT,
    WATER,
    Desk,
    assignment,
    checking,
    ended,
    extended,
    name,
    plan,
    row,
    score,
)
from tests.support import rulings

NEXT = assignment(2, 1, FIRE, lead=True, replaces=LEAD.id)
LATER = assignment(2, 1, FIRE)


def shown(desk: Desk, assignment_id: str) -> dict[str, Any]:
    """The row of an assignment."""
    [found] = [one for one in ASSIGNMENTS.rows(CASE, desk.state) if one[1] == assignment_id]
    return dict(zip(ASSIGNMENTS.columns, found, strict=True))


@pytest.mark.parametrize(
    ("facts", "unit"),
    [
        ([plan(1, LEAD, SUPPORT)], WATER),
        ([plan(1, SUPPORT)], None),
        ([plan(1, LEAD), ended(LEAD.id, WATER, "returned"), plan(2, NEXT)], FIRE),
        ([plan(1, LEAD), plan(2, assignment(2, 1, FIRE, lead=True), because="manual")], FIRE),
        ([plan(1, LEAD), plan(2, LATER)], WATER),
        ([ended(name(2, 1), FIRE), plan(1, LEAD)], WATER),
    ],
)
def test_the_lead_of_the_newest_round_that_no_other_took_over_answers_for_an_open_case(
    facts: list[Fact], unit: str | None
) -> None:
    desk = Desk()
    desk.take(*facts)
    assert row(desk, "cases")["lead_unit"] == unit


def test_a_case_without_a_lead_has_no_deadline_and_can_be_closed_by_force() -> None:
    desk = Desk()
    desk.take(plan(1, SUPPORT))
    assert row(desk, "cases")["due_at"] is None
    desk.give(ForceClose(LEADER, "pulled down"))
    assert desk.verdicts()[-1].due_at is None
    assert (row(desk, "cases")["lead_unit"], row(desk, "cases")["due_at"]) == (None, None)


@pytest.mark.parametrize(("minutes", "unit"), [(-1, STREET), (0, STREET), (1, WATER)])
def test_a_unit_that_took_over_answers_for_a_forced_closing_from_the_instant_its_work_ended(
    minutes: int, unit: str
) -> None:
    desk = Desk()
    desk.take(plan(1, LEAD))
    desk.give(ForceClose(LEADER, "pulled down"), NOW + HOUR)
    desk.take(ended(LEAD.id, STREET), at=NOW + HOUR + timedelta(minutes=minutes))
    assert row(desk, "cases")["lead_unit"] == unit


def test_a_unit_that_fixed_something_handled_the_case_also_where_no_person_is_named() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT), ended(LEAD.id, WATER), ended(SUPPORT.id, STREET, "cancelled"))
    assert row(desk, "cases")["handling_units"] == f'["{WATER}"]'


def test_a_plan_said_again_changes_nothing_of_an_assignment() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD))
    before = shown(desk, LEAD.id)
    desk.take(plan(1, LEAD.model_copy(update={"unit": FIRE, "resolve_by": NOW + 9 * HOUR})), at=NOW + HOUR)
    assert shown(desk, LEAD.id) == before


def test_an_assignment_shows_why_its_round_was_given_out() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD), ended(LEAD.id, WATER, "returned"), plan(2, NEXT), plan(3, assignment(3, 1, STREET)))
    desk.take(plan(4, assignment(4, 1, STREET), because="manual"))
    assert [shown(desk, name(number, 1))["because"] for number in (1, 2, 4)] == ["first", "returned", "manual"]


def test_an_assignment_whose_work_failed_at_a_check_shows_when() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT), ended(LEAD.id, WATER), ended(SUPPORT.id, STREET))
    desk.give(FailCheck(CHECKER, "still wet"), NOW + HOUR)
    assert [shown(desk, one.id)["failed_at"] for one in (LEAD, SUPPORT)] == [NOW + HOUR, None]


def test_what_follows_a_failed_check_cannot_be_of_before_it() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD), ended(LEAD.id, WATER))
    desk.give(FailCheck(CHECKER, "still wet"), NOW + 3 * HOUR)
    desk.give(ForceClose(LEADER, "pulled down"), NOW + 4 * HOUR, claimed=NOW + 2 * HOUR)
    assert desk.verdicts()[-1].time_doubtful


@pytest.mark.parametrize("retrospective", [False, True])
def test_an_assignment_is_given_when_it_is_dispatched_and_in_a_late_entry_when_its_work_was_to_be_done(
    retrospective: bool,
) -> None:
    """Of a late entry: when the case was filed, or when the assignment ended whose work it takes over, if known."""
    late = Desk(now=NOW + timedelta(days=900))
    late.take(plan(1, LEAD, retrospective=retrospective), at=late.now)
    late.take(ended(LEAD.id, WATER, "returned"), at=NOW + 2 * HOUR)
    added, unheard = assignment(2, 2, STREET), assignment(2, 3, STREET, replaces=name(1, 9))
    open_, extra = assignment(2, 4, STREET, replaces=name(1, 2)), assignment(1, 2, STREET)
    late.take(plan(1, extra, retrospective=retrospective), at=late.now)
    late.take(plan(2, NEXT, added, unheard, open_, retrospective=retrospective), at=late.now + HOUR)
    dispatched = late.now + HOUR
    given = [shown(late, one.id)["given_at"] for one in (LEAD, NEXT, added, unheard, open_)]
    if retrospective:
        assert given == [NOW, NOW + 2 * HOUR, dispatched, dispatched, dispatched]
    else:
        assert given == [late.now, dispatched, dispatched, dispatched, dispatched]


def test_the_scores_of_a_late_entry_count_from_the_end_of_the_work_that_was_taken_over() -> None:
    desk = Desk(now=NOW + timedelta(days=900))
    desk.take(plan(1, LEAD, method="rule", retrospective=True), at=desk.now)
    desk.take(ended(LEAD.id, WATER, "returned"), at=NOW + 2 * HOUR)
    desk.take(plan(2, NEXT, method="rule", retrospective=True), at=desk.now)
    end = ended(NEXT.id, FIRE, acknowledged_at=NOW + 3 * HOUR, arrived_at=NOW + 4 * HOUR)
    desk.take(end, at=NOW + 6 * HOUR)
    scores = score(desk.verdicts()[-1])
    assert scores["hours-to-acknowledge.v1", None] == 1
    assert scores["hours-to-arrive.v1", None] == 2
    assert scores["hours-to-resolve.v1", None] == 6


def test_the_check_waits_since_feedback_knew_the_work_done_and_in_a_late_entry_since_it_was_done() -> None:
    for retrospective, since in ((False, NOW + 9 * HOUR), (True, NOW + HOUR)):
        desk = Desk(now=NOW + 9 * HOUR)
        desk.take(plan(1, LEAD, retrospective=retrospective), ended(LEAD.id, WATER), at=NOW + HOUR)
        assert row(desk, "cases")["checking_since"] == since


@pytest.mark.parametrize(
    "early",
    [
        extended(name(2, 1), 1, NOW + 8 * HOUR),
        ended(name(2, 1), FIRE, "returned"),
        ended(name(2, 1), FIRE, time_doubtful=True),
        ended(name(2, 1), FIRE, "cancelled"),
    ],
)
def test_what_is_known_of_an_assignment_counts_only_once_its_plan_has_come(early: Fact) -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, method="rule"))
    desk.take(early, at=NOW + 9 * HOUR)
    desk.take(ended(LEAD.id, WATER))
    assert desk.steps() == ["verified"]
    assert {unit for formula, unit in score(desk.verdicts()[-1]) if formula == "unit-on-time.v1"} == {WATER}
    desk = Desk()
    desk.take(plan(1, LEAD))
    desk.take(early, at=NOW + 9 * HOUR)
    assert desk.take(ended(LEAD.id, WATER)) == [Checking(due_at=NOW + 2 * HOUR)]


def test_work_that_another_took_over_does_not_count_once_more() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT), ended(LEAD.id, WATER, late_by_seconds=60), ended(SUPPORT.id, STREET))
    desk.give(FailCheck(CHECKER, "still wet"))
    desk.take(plan(2, NEXT, because="rework"), ended(NEXT.id, FIRE))
    desk.give(PassCheck(CHECKER))
    scores = score(desk.verdicts()[-1])
    assert {unit for formula, unit in scores if formula == "unit-on-time.v1"} == {FIRE, STREET}
    assert scores["on-time.v1", None] == 1


def test_a_ruling_that_ends_a_case_counts_how_often_it_was_reworked() -> None:
    desk = checking()
    desk.give(FailCheck(CHECKER, "still wet"))
    desk.take(rulings.merged(OTHER))
    assert desk.verdicts()[-1].reworks == 1
