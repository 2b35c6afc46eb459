"""Feedback's rules: when work is done, who may check it, what the verdict says, and what status follows."""

from datetime import timedelta

import pytest

from chassis.engine.decider import Inputs, Refused, Unknown
from contracts.feedback import Evaluated
from contracts.fields import Attachment, Fact
from contracts.progress import Checking, CheckOverdue, Failed, Verified
from contracts.triage import Rejected, Upheld, Withdrawn
from services.feedback.domain.commands import By, FailCheck, ForceClose, PassCheck
from services.feedback.domain.formulas import CHECK_RULE
from tests.domain.feedback_story import (
    CALLER,
    CASE,
    CHECKER,
    FEEDBACK,
    FIRE,
    GRID,
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
    closed,
    ended,
    event_of,
    name,
    plan,
    row,
    score,
)
from tests.support import rulings


def test_a_case_is_checked_once_every_assignment_has_ended() -> None:
    desk = Desk()
    assert desk.take(plan(1, LEAD, SUPPORT)) == []
    assert desk.take(ended(LEAD.id, WATER), at=NOW + timedelta(hours=1)) == []
    after = desk.take(ended(SUPPORT.id, STREET), at=NOW + timedelta(hours=2))
    assert after == [Checking(due_at=NOW + timedelta(hours=4))]


def test_the_check_is_due_after_the_last_end_whichever_came_last() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT))
    desk.take(ended(SUPPORT.id, STREET), at=NOW + timedelta(hours=2))
    after = desk.take(ended(LEAD.id, WATER), at=NOW + timedelta(hours=1))
    assert after == [Checking(due_at=NOW + timedelta(hours=4))]


def test_what_came_back_must_be_taken_over_before_the_check() -> None:
    desk = Desk()
    assert desk.take(plan(1, LEAD, SUPPORT), ended(LEAD.id, WATER), ended(SUPPORT.id, STREET, "returned")) == []
    assert desk.take(plan(2, assignment(2, 1, "district:CH", replaces=SUPPORT.id))) == []
    assert [type(fact) for fact in desk.take(ended(name(2, 1), "district:CH"))] == [Checking]


def test_a_cancelled_support_is_not_waited_for_but_a_cancelled_lead_is_no_end() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT), ended(SUPPORT.id, STREET, "cancelled"), ended(LEAD.id, WATER))
    assert desk.steps() == ["checking"]
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT), ended(SUPPORT.id, STREET), ended(LEAD.id, WATER, "cancelled"))
    assert desk.steps() == []


def test_an_end_counts_also_before_its_plan_and_whoevers_unit_it_names() -> None:
    desk = Desk()
    assert desk.take(ended(LEAD.id, FIRE)) == []
    assert desk.take(plan(1, LEAD)) == [Checking(due_at=NOW + 2 * HOUR)]


def test_an_assignment_ends_once() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD), ended(LEAD.id, WATER, "returned"), ended(LEAD.id, WATER))
    assert desk.published == []
    assert desk.state.standing.status == "filed"


def test_what_a_superior_took_over_is_the_superiors() -> None:
    """Who handled it, the scores, the unit that answers: all go by the end, not by the plan."""
    desk = Desk()
    desk.take(plan(1, LEAD), ended(LEAD.id, STREET, handled_by=("chief:1",)))
    for by in (By("chief:1"), By("clerk:1", STREET)):
        with pytest.raises(Refused, match="handled") as refusal:
            desk.give(PassCheck(by))
        assert refusal.value.rule == "check.separation"
    desk.give(PassCheck(By("worker:9", WATER)))
    assert score(desk.verdicts()[-1])["unit-on-time.v1", STREET] == 1
    assert ("unit-on-time.v1", WATER) not in score(desk.verdicts()[-1])
    assert row(desk, "cases")["lead_unit"] == STREET
    shown = row(desk, "assignments")
    assert (shown["given_to"], shown["unit"]) == (WATER, STREET)


def test_the_unit_of_a_closed_case_is_the_one_that_answered_for_it_when_it_was_closed() -> None:
    """A verdict `fixed` knows the end of the lead, even if dispatch's clock is ahead of feedback's."""
    desk = Desk()
    desk.take(plan(1, LEAD, method="rule"), ended(LEAD.id, STREET), at=NOW + timedelta(seconds=1))
    assert desk.state.closing is not None
    assert desk.state.closing.at == NOW
    assert row(desk, "cases")["lead_unit"] == STREET
    desk = Desk()
    desk.take(plan(1, LEAD))
    desk.give(ForceClose(LEADER, "pulled down"), NOW + HOUR)
    desk.take(ended(LEAD.id, STREET), at=NOW + 2 * HOUR)
    assert row(desk, "cases")["lead_unit"] == WATER
    assert row(desk, "assignments")["unit"] == STREET


def test_work_added_while_the_check_waits_makes_it_wait_for_that_work() -> None:
    desk = checking()
    desk.take(plan(2, assignment(2, 1, FIRE), because="manual"))
    with pytest.raises(Refused, match="not done"):
        desk.give(PassCheck(CHECKER))
    desk.take(ended(name(2, 1), FIRE))
    assert desk.steps() == ["checking", "checking"]


def test_a_plan_said_again_moves_no_deadline_and_the_newest_round_says_what_the_case_is() -> None:
    later = LEAD.model_copy(update={"resolve_by": NOW + timedelta(days=9)})
    corrected = plan(2, SUPPORT.model_copy(update={"id": name(2, 1)}), because="manual")
    corrected = corrected.model_copy(update={"category": "event.other.other"})
    desk = Desk()
    desk.take(plan(1, LEAD), corrected, plan(1, later))
    assert desk.state.ruling is not None
    assert desk.state.ruling.category == "event.other.other"
    desk.take(ended(LEAD.id, WATER), ended(name(2, 1), STREET))
    desk.give(PassCheck(CHECKER))
    assert desk.verdicts()[-1].due_at == LEAD.resolve_by


def test_a_check_by_rule_closes_at_once() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, method="rule"))
    verified, verdict = desk.take(ended(LEAD.id, WATER, late_by_seconds=3600), at=NOW + timedelta(hours=5))
    assert verified == Verified(rule="rule:done-in-order.v1")
    assert isinstance(verdict, Evaluated)
    assert (verdict.verdict, verdict.outcome, verdict.checked_by) == ("closed", "fixed", "rule:done-in-order.v1")
    assert (verdict.due_at, verdict.late_by_seconds) == (NOW + timedelta(hours=4), 3600)


def test_where_something_was_cancelled_a_person_checks() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT, method="rule"), ended(SUPPORT.id, STREET, "cancelled"), ended(LEAD.id, WATER))
    assert desk.steps() == ["checking"]


def test_times_that_contradict_one_another_are_for_a_person_to_check() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, method="rule"), ended(LEAD.id, WATER, arrived_at=NOW + timedelta(hours=1)))
    assert desk.steps() == ["checking"]
    assert desk.verdicts() == []
    desk.give(PassCheck(CHECKER))
    assert desk.verdicts()[-1].outcome == "fixed"


def test_an_end_whose_time_is_doubtful_is_for_a_person_to_check() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT, method="rule"), ended(LEAD.id, WATER))
    (step,) = desk.take(ended(SUPPORT.id, STREET, time_doubtful=True, claimed_at=NOW + timedelta(days=1)))
    assert isinstance(step, Checking)
    assert step.reason == f"the time at which assignment {SUPPORT.id} ended is doubtful"
    assert "doubtful" in CHECK_RULE.definition


def test_a_doubtful_end_whose_work_another_took_over_does_not_matter() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, method="rule"), ended(LEAD.id, WATER, "returned", time_doubtful=True))
    desk.take(plan(2, assignment(2, 1, FIRE, lead=True, replaces=LEAD.id), method="rule"), ended(name(2, 1), FIRE))
    assert desk.steps() == ["verified"]


PHOTOS = (Attachment(uri="https://photos.example/7.jpg"),)


def test_a_passed_check_closes_as_fixed() -> None:
    desk = checking()
    verified, verdict = desk.give(PassCheck(CHECKER, "water is back", PHOTOS))
    assert verified == Verified(note="water is back", evidence=PHOTOS)
    assert isinstance(verdict, Evaluated)
    assert (verdict.verdict, verdict.outcome, verdict.checked_by) == ("closed", "fixed", CHECKER.subject)


@pytest.mark.parametrize(
    "by",
    [
        By("worker:1"),
        By("worker:1", "grid:CH/shuangqiaozi/xinhong/g009"),
        By("worker:2", WATER),
    ],
)
def test_whoever_handled_a_case_neither_checks_nor_closes_it(by: By) -> None:
    desk = checking()
    for command in (PassCheck(by), FailCheck(by, "no"), ForceClose(by, "no")):
        with pytest.raises(Refused, match="whoever handled") as refusal:
            desk.give(command)
        assert refusal.value.rule.endswith(".separation")


def test_who_handled_an_earlier_round_is_not_forgotten() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD), ended(LEAD.id, WATER, "returned", handled_by=("worker:1",)))
    desk.take(plan(2, assignment(2, 1, FIRE, lead=True, replaces=LEAD.id)), ended(name(2, 1), FIRE))
    with pytest.raises(Refused, match="worker:1 handled"):
        desk.give(PassCheck(By("worker:1")))


def test_a_unit_whose_people_acted_before_returning_the_case_does_not_check_it() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD), ended(LEAD.id, WATER, "returned", handled_by=("worker:1",)))
    desk.take(plan(2, assignment(2, 1, FIRE, lead=True, replaces=LEAD.id)), ended(name(2, 1), FIRE))
    with pytest.raises(Refused, match=f"{WATER} handled"):
        desk.give(PassCheck(By("worker:8", WATER)))


def test_a_unit_that_never_touched_its_assignment_may_check() -> None:
    desk = Desk()
    desk.take(plan(1, assignment(1, 1, GRID, lead=True)), ended(name(1, 1), GRID, "returned"))
    desk.take(plan(2, assignment(2, 1, FIRE, lead=True, replaces=name(1, 1))), ended(name(2, 1), FIRE))
    assert desk.give(PassCheck(By("member:g007-1", GRID)))


def test_a_call_back_takes_an_evaluator() -> None:
    desk = checking("call_back")
    with pytest.raises(Refused) as refusal:
        desk.give(PassCheck(CHECKER))
    assert refusal.value.rule == "check.by"
    assert desk.give(PassCheck(CALLER))


def test_nothing_is_checked_before_its_time_nor_after_it() -> None:
    desk = Desk()
    with pytest.raises(Unknown):
        desk.give(PassCheck(CHECKER))
    desk.take(ended(LEAD.id, WATER))
    with pytest.raises(Unknown):
        desk.give(PassCheck(CHECKER))
    desk = closed()
    with pytest.raises(Refused) as refusal:
        desk.give(PassCheck(CHECKER))
    assert refusal.value.rule == "case.closed"


def test_a_failed_check_is_rework_of_the_lead_and_the_check_comes_again() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT), ended(LEAD.id, WATER), ended(SUPPORT.id, STREET))
    failed, verdict = desk.give(FailCheck(CHECKER, "still wet", "a puddle", PHOTOS))
    assert failed == Failed(reason="still wet", note="a puddle", evidence=PHOTOS)
    assert verdict == Evaluated(
        verdict="rework", reason="still wet", failed=(LEAD.id,), checked_by=CHECKER.subject, reworks=1
    )
    with pytest.raises(Refused, match="not done"):
        desk.give(PassCheck(CHECKER))
    again = assignment(2, 1, WATER, lead=True, replaces=LEAD.id)
    assert desk.take(plan(2, again, because="rework")) == []
    desk.take(ended(again.id, WATER))
    assert desk.steps() == ["checking", "failed", "checking"]
    desk.give(PassCheck(CHECKER))
    assert desk.verdicts()[-1].reworks == 1


def test_a_failed_check_may_name_a_support() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT), ended(LEAD.id, WATER), ended(SUPPORT.id, STREET))
    with pytest.raises(Refused) as refusal:
        desk.give(FailCheck(CHECKER, "nobody came", failed=(name(1, 9),)))
    assert refusal.value.rule == "check.failed"
    desk.give(FailCheck(CHECKER, "nobody came", failed=(SUPPORT.id,)))
    assert desk.verdicts()[-1].failed == (SUPPORT.id,)
    desk.take(plan(2, assignment(2, 1, STREET, replaces=SUPPORT.id), because="rework"), ended(name(2, 1), STREET))
    assert desk.steps()[-1] == "checking"


def test_an_overdue_check_is_told_once_also_after_a_long_stop() -> None:
    desk = checking()
    due_at = NOW + timedelta(hours=2)
    assert FEEDBACK.due(desk.state) == due_at
    assert desk.on_deadline(due_at - timedelta(seconds=1)) == []
    assert FEEDBACK.on_deadline(desk.state, Inputs(due_at, due_at, CASE)) == (CheckOverdue(due_at=due_at),)
    assert desk.on_deadline(due_at + timedelta(days=30)) == [CheckOverdue(due_at=due_at)]
    assert FEEDBACK.due(desk.state) is None
    assert desk.on_deadline(due_at + timedelta(days=60)) == []
    assert desk.give(PassCheck(CHECKER))


def test_a_retrospective_entry_raises_no_alarm() -> None:
    assert FEEDBACK.due(checking(retrospective=True).state) is None


@pytest.mark.parametrize(
    ("ruling", "outcome", "reason"),
    [
        (
            rulings.merged(OTHER),
            "duplicate",
            f"merged into {OTHER}",
        ),
        (Rejected(why="not_reproducible", reason="nothing there"), "not_reproducible", "nothing there"),
        (Rejected(why="not_ours", reason="another district"), "not_ours", "another district"),
        (Rejected(why="incomplete", reason="no place"), "not_ours", "incomplete: no place"),
        (Withdrawn(reason="a mistake"), "withdrawn", "a mistake"),
    ],
)
def test_a_ruling_that_ends_the_case_closes_it_at_once(ruling: Fact, outcome: str, reason: str) -> None:
    desk = Desk()
    (verdict,) = desk.take(ruling)
    assert verdict == Evaluated(verdict="closed", outcome=outcome, reason=reason)  # pyright: ignore[reportArgumentType]
    assert desk.take(ruling) == []


def test_a_withdrawal_ends_a_case_that_was_dispatched_or_waits_for_its_check() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD), Withdrawn(reason="a mistake"), ended(LEAD.id, WATER, "cancelled"))
    assert [verdict.outcome for verdict in desk.verdicts()] == ["withdrawn"]
    desk = checking()
    desk.take(Withdrawn(reason="a mistake"))
    assert FEEDBACK.due(desk.state) is None
    assert [verdict.outcome for verdict in desk.verdicts()] == ["withdrawn"]


def test_a_forced_closing_ends_an_open_case_once() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD))
    (verdict,) = desk.give(ForceClose(LEADER, "pulled down"))
    assert isinstance(verdict, Evaluated)
    assert (verdict.outcome, verdict.reason, verdict.checked_by) == ("forced", "pulled down", None)
    with pytest.raises(Refused, match="closed as forced"):
        desk.give(ForceClose(LEADER, "again"))
    assert desk.take(ended(LEAD.id, WATER)) == []


def test_a_withdrawal_that_is_not_followed_changes_nothing() -> None:
    desk = checking()
    before = desk.state
    assert desk.take(Upheld(reason="the road is still wet")) == []
    assert desk.state == before
    assert desk.give(PassCheck(CHECKER))


def test_the_first_verdict_stands() -> None:
    desk = closed()
    event = event_of(Evaluated(verdict="closed", outcome="forced"), 9, NOW + timedelta(days=1), LEADER.subject)
    assert FEEDBACK.evolve(desk.state, event).closing == desk.state.closing


def test_the_status_follows_the_facts_as_far_as_feedback_sees_them() -> None:
    desk = Desk()
    assert desk.state.standing.status is None
    desk.take(plan(1, LEAD, SUPPORT))
    assert desk.state.standing.status == "dispatched"
    desk.take(ended(LEAD.id, WATER, "returned"))
    assert desk.state.standing.status == "filed"
    again = assignment(2, 1, FIRE, lead=True, replaces=LEAD.id)
    desk.take(plan(2, again), ended(again.id, FIRE))
    assert desk.state.standing.status == "fixed"
    desk.take(ended(SUPPORT.id, STREET))
    assert desk.state.standing.status == "checking"
    desk.give(FailCheck(CHECKER, "still wet"))
    assert desk.state.standing.status == "rework"
    third = assignment(3, 1, FIRE, lead=True, replaces=again.id)
    desk.take(plan(3, third, because="rework"))
    assert desk.state.standing.status == "dispatched"
    desk.take(ended(third.id, FIRE))
    desk.give(PassCheck(CHECKER))
    assert desk.state.standing.status == "closed"


@pytest.mark.parametrize(
    ("ruling", "status"),
    [
        (rulings.merged(OTHER), "merged"),
        (Rejected(why="not_ours", reason="another district"), "rejected"),
        (Withdrawn(reason="a mistake"), "withdrawn"),
    ],
)
def test_a_ruling_that_ends_a_case_shows_until_the_verdict(ruling: Fact, status: str) -> None:
    desk = Desk()
    desk.fold(event_of(ruling, 1, NOW))
    assert desk.state.standing.status == status
    desk = Desk()
    desk.take(ruling)
    assert desk.state.standing.status == "closed"
