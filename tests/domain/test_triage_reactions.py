"""What follows from reports, ends and verdicts: in which words, counted from when, and by when a person must decide."""

from datetime import timedelta
from typing import Any

import pytest

from chassis.engine.decider import Unfit
from contracts.feedback import Evaluated
from contracts.fields import Fact
from contracts.intake import Supplement, Withdrawal
from contracts.progress import AwaitingRuling, RulingOverdue, Verifying
from contracts.triage import Merged, Upheld, Withdrawn
from services.triage.domain.case import Case, evolve
from services.triage.domain.commands import Dispatch, NamedUnit
from services.triage.domain.planning import explanation
from tests.domain.triage_story import (
    CASE,
    CENTRE,
    GRID,
    LEADER,
    MAIN,
    NOW,
    OTHER,
    POLICY,
    POTHOLE,
    RULES,
    STREET,
    WATER,
    Story,
    event,
    filed,
    only,
    report,
    result,
    returned_twice,
    rework,
    rulebook,
    verifying,
    waiting,
)

HOUR = timedelta(hours=1)


def test_a_second_report_of_a_case_leads_to_nothing() -> None:
    for story in (filed(), waiting(), verifying()):
        assert story.hear(report(POTHOLE)) == []


def test_a_supplement_leads_to_no_ruling() -> None:
    assert filed().hear(Supplement(text="more")) == []


@pytest.mark.parametrize(
    ("category", "said"),
    [
        (MAIN, "no open case of the category within 800 m and 24 h"),
        ("service.finance.tax", "no open case of the category by the same reporter within 50 m and 168 h"),
    ],
)
def test_a_ruling_says_within_which_bounds_no_duplicate_was_found(category: str, said: str) -> None:
    duplicates = RULES.catalogue.by_code[category].duplicates
    bounds = f"within {duplicates.radius_m} m and {duplicates.window_hours} h"
    ruling = only(Story().hear(report(category)))
    assert f"{said.partition(' within ')[0]} {bounds}" in ruling.explanation.rules


def test_whoever_looks_at_the_place_reads_all_the_rules_that_led_there() -> None:
    [step] = Story().hear(report(POTHOLE, channel="citizen"))
    assert isinstance(step, Verifying)
    assert step.note.split("\n") == [
        f"area {GRID} as reported",
        f"category {POTHOLE} as the reporter chose",
        "no open case of the category within 50 m and 168 h",
    ]


@pytest.mark.parametrize("queue", ["unlocated", "unclassified", "second_return", "no_unit"])
def test_a_ruling_on_what_to_file_and_one_on_whom_to_dispatch_have_limits_of_their_own(queue: str) -> None:
    rules = rulebook(policy=POLICY.model_copy(update={"file_minutes": 7, "dispatch_minutes": 11}))
    story = Story(rules)
    if queue == "unlocated":
        story.hear(report(place=type(report().place)()))
    elif queue == "unclassified":
        story.hear(report(None, title="zzz"))
    else:
        story.hear(report())
        story.end(f"{CASE}.1.1", "returned", **({"unit": CENTRE} if queue == "no_unit" else {}))
        if queue == "second_return":
            story.end(f"{CASE}.2.1", "returned")
    step = story.told[-1].data
    assert isinstance(step, AwaitingRuling)
    minutes = 7 if queue in ("unlocated", "unclassified") else 11
    assert (step.queue, step.due_at) == (queue, NOW + timedelta(minutes=minutes))


def test_a_further_round_counts_from_when_its_cause_is_heard_except_in_a_late_entry() -> None:
    for late, counted in ((False, NOW), (True, NOW - HOUR)):
        story = Story()
        story.hear(report(retrospective=late), when=NOW - 2 * HOUR)
        ruling = only(story.hear(result(f"{CASE}.1.1", "returned"), when=NOW - HOUR))
        assert ruling.plan[0].resolve_by == counted + 12 * HOUR


def test_the_shift_leader_reads_who_returned_what_and_why() -> None:
    story = filed()
    story.end(f"{CASE}.1.1", "returned")
    [step] = story.end(f"{CASE}.2.1", "returned")
    assert isinstance(step, AwaitingRuling)
    assert step.note == f"{CENTRE} returned assignment {CASE}.2.1: for a reason"


def test_a_round_of_rework_says_why_and_who_does_what_again() -> None:
    story = filed()
    for number in (1, 2, 3):
        story.end(f"{CASE}.1.{number}")
    ruling = only(story.hear(rework(f"{CASE}.1.1", f"{CASE}.1.2")))
    assert ruling.explanation.rules[:3] == (
        "failed at the check: still leaking",
        f"{WATER} does the work of {CASE}.1.1 again",
        f"{STREET} does the work of {CASE}.1.2 again",
    )
    story.end(f"{CASE}.2.1")
    unsaid = only(story.hear(Evaluated(verdict="rework", failed=(f"{CASE}.2.1",))))
    assert (unsaid.explanation.rules[0], unsaid.reason) == ("failed at the check: no reason given", None)


# taking back


def test_a_report_may_be_taken_back_where_all_that_was_entered_as_done_failed_at_the_check() -> None:
    story = filed()
    for number in (1, 2, 3):
        story.end(f"{CASE}.1.{number}", "fixed" if number == 1 else "cancelled")
    story.hear(rework(f"{CASE}.1.1"))
    assert story.hear(Withdrawal(reason="dried up")) == [Withdrawn(reason="dried up", category=MAIN, area=GRID)]


def test_an_upheld_withdrawal_says_why_the_case_goes_on() -> None:
    done = filed()
    done.end(f"{CASE}.1.1")
    assert done.hear(Withdrawal(reason="no")) == [
        Upheld(reason="work has been entered as done: it is checked, whoever reported it")
    ]
    leader = filed()
    assert leader.near is not None
    leader.near.learn(event(Merged(into=CASE, explanation=explanation(("by hand",), RULES)), case=OTHER))
    assert leader.hear(Withdrawal(reason="no")) == [
        Upheld(reason="others reported the same and were merged into this case: it goes on")
    ]


# deadlines


def test_an_overdue_ruling_is_said_at_its_deadline_and_not_before_or_again() -> None:
    story = returned_twice()
    waits = story.state.waiting
    assert waits is not None
    before = story.decider.on_deadline(story.state, _at(story, waits.due_at - timedelta(microseconds=1)))
    assert before == ()
    said = [RulingOverdue(queue="second_return", due_at=waits.due_at)]
    assert story.decider.on_deadline(story.state, _at(story, waits.due_at)) == said
    overdue = evolve(story.state, event(said[0], number=90))
    assert story.decider.on_deadline(overdue, _at(story, waits.due_at + HOUR)) == ()
    assert story.decider.due(overdue) is None


def test_of_a_case_that_waits_for_nobody_nothing_is_overdue() -> None:
    for state in (Case(), filed().state):
        assert Story().decider.on_deadline(state, _at(Story(), NOW + 90 * HOUR)) == ()
        assert Story().decider.due(state) is None


def test_what_waits_without_a_report_is_due_all_the_same() -> None:
    step = AwaitingRuling(queue="no_unit", note="none is left", due_at=NOW + HOUR)
    assert Story().decider.due(evolve(Case(), event(step))) == NOW + HOUR


def _at(story: Story, now: Any) -> Any:
    story.now = now
    return story.inputs()


def test_a_round_that_a_person_ruled_ends_the_wait() -> None:
    story = returned_twice()
    story.ask(Dispatch(units=(NamedUnit(WATER),), by=LEADER))
    assert story.decider.due(story.state) is None


def test_a_report_of_a_new_kind_is_parked_until_triage_reads_it() -> None:
    class Reopening(Fact):
        name = "ReportFiled"

    story = filed()
    heard = event(Supplement(text="x")).model_copy(update={"data": Reopening()})
    assert story.decider.react(heard, story.state, story.inputs()) == Unfit("data: triage does not read Reopening")
