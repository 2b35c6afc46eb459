"""What comes back to triage: results, verdicts, withdrawals; and what the case then is."""

from datetime import timedelta
from itertools import permutations

import pytest

from chassis.engine.decider import Refused
from contracts.fields import Fact
from contracts.intake import Supplement, Withdrawal
from contracts.progress import AwaitingRuling
from contracts.triage import Merged, Upheld, Withdrawn
from services.triage.domain.commands import Dispatch, NamedUnit, Reject
from tests.domain.triage_story import (
    CASE,
    CENTRE,
    CLOSED,
    FIRE,
    GRID,
    LEADER,
    MAIN,
    NOW,
    OTHER,
    POLICY,
    POSTER,
    STREET,
    WATER,
    Story,
    event,
    filed,
    only,
    refused,
    report,
    result,
    returned_twice,
    rework,
    rulebook,
    sole,
    verifying,
    waiting,
)

# what comes back


def test_returned_work_goes_up_with_its_task_and_never_back() -> None:
    story = filed()
    ruling = only(story.end(f"{CASE}.1.1", "returned"))
    [again] = ruling.plan
    assert (ruling.round, ruling.because, ruling.reason) == (2, "returned", "for a reason")
    assert again.id == f"{CASE}.2.1"
    assert (again.unit, again.replaces, again.lead, again.task) == (
        CENTRE,
        f"{CASE}.1.1",
        True,
        story.state.assignments[f"{CASE}.1.1"].plan.task,
    )
    assert "for a reason" in ruling.explanation.rules[0]
    assert story.state.gaps == ()


def test_the_second_return_is_the_shift_leaders_who_may_split_the_work() -> None:
    story = returned_twice()
    assert refused(story, Dispatch(units=(NamedUnit(WATER),))) == "ruling.second_return"
    assert refused(story, Reject("not_ours", "no")) == "ruling.second_return"
    units = (NamedUnit(WATER), NamedUnit("dept:transport", "excavate"))
    ruling = only(story.ask(Dispatch(units=units, by=LEADER)))
    assert [(one.unit, one.lead, one.replaces) for one in ruling.plan] == [
        (WATER, True, f"{CASE}.2.1"),
        ("dept:transport", False, f"{CASE}.2.1"),
    ]
    assert (ruling.round, ruling.because, ruling.filed_at) == (3, "manual", NOW)
    assert story.status == "dispatched"


def test_two_gaps_are_both_filled_or_the_ruling_is_refused() -> None:
    story = filed()
    story.end(f"{CASE}.1.1", "returned")
    story.end(f"{CASE}.1.2", "returned")
    story.end(f"{CASE}.2.1", "returned")
    assert {gap.plan.id for gap in story.state.gaps} == {f"{CASE}.1.2", f"{CASE}.2.1"}
    ask = [NamedUnit(WATER, replaces=f"{CASE}.2.1"), NamedUnit("dept:gas", "watch")]
    assert refused(story, Dispatch(units=(ask[0],), by=LEADER)) == "ruling.incomplete"
    wrong = Dispatch(units=(NamedUnit(WATER, replaces=f"{CASE}.1.1"),), by=LEADER)
    assert refused(story, wrong) == "ruling.replaces"
    extra = NamedUnit("dept:power", "light")
    ruling = only(story.ask(Dispatch(units=(*ask, extra), by=LEADER)))
    assert [(one.unit, one.lead, one.replaces) for one in ruling.plan] == [
        (WATER, True, f"{CASE}.2.1"),
        ("dept:gas", False, f"{CASE}.1.2"),
        ("dept:power", False, None),
    ]


def test_nobody_above_and_nobody_who_returned_is_given_the_work_without_a_person() -> None:
    story = filed()
    [step] = story.end(f"{CASE}.1.1", "returned", unit=CENTRE)
    assert isinstance(step, AwaitingRuling)
    assert step.queue == "no_unit"
    story.end(f"{CASE}.1.2", "returned")
    assert story.state.waiting is not None
    assert story.state.waiting.queue == "second_return"
    named = (NamedUnit(WATER, replaces=f"{CASE}.1.1"), NamedUnit(FIRE))
    with pytest.raises(Refused, match=f"left above {CENTRE}"):
        story.ask(Dispatch(by=LEADER))
    assert [one.unit for one in only(story.ask(Dispatch(units=named, by=LEADER))).plan] == [WATER, FIRE]


def test_a_policy_that_allows_more_returns_still_never_gives_work_back() -> None:
    policy = POLICY.model_copy(update={"returns_before_shift_leader": 9})
    story = Story(rulebook(policy=policy))
    story.hear(report(POSTER))
    assert sole(story.end(f"{CASE}.1.1", "returned")).unit == "community:CH/north/mill"
    assert sole(story.end(f"{CASE}.2.1", "returned", unit=STREET)).unit == CENTRE
    [step] = story.end(f"{CASE}.3.1", "returned")
    assert isinstance(step, AwaitingRuling)
    assert step.queue == "no_unit"


def test_what_a_superior_took_over_goes_on_from_that_superior() -> None:
    story = Story()
    story.hear(report(POSTER))
    ruling = only(story.end(f"{CASE}.1.1", "returned", unit="community:CH/north/mill"))
    assert (ruling.plan[0].unit, ruling.plan[0].replaces) == (STREET, f"{CASE}.1.1")
    assert ruling.explanation.rules[0].startswith("community:CH/north/mill returned assignment")
    assert story.state.assignments[f"{CASE}.1.1"].unit == "community:CH/north/mill"


def test_rework_goes_to_the_unit_that_failed_once() -> None:
    story = filed()
    for number in (1, 2, 3):
        assert story.end(f"{CASE}.1.{number}") == []
    story.now = NOW + timedelta(hours=5)
    ruling = only(story.hear(rework(f"{CASE}.1.1")))
    [again] = ruling.plan
    assert (ruling.because, again.unit, again.replaces, again.lead) == ("rework", WATER, f"{CASE}.1.1", True)
    assert ruling.reason == "still leaking"
    assert again.resolve_by == NOW + timedelta(hours=17)
    assert ruling.filed_at == NOW
    assert story.hear(rework(f"{CASE}.1.1")) == []
    story.end(f"{CASE}.2.1")
    assert only(story.hear(rework(f"{CASE}.2.1"))).round == 3


def test_rework_goes_to_the_superior_that_had_taken_the_work_over_whatever_is_heard_first() -> None:
    told = (
        result(f"{CASE}.1.1", unit=CENTRE),
        result(f"{CASE}.1.2", unit=STREET),
        rework(f"{CASE}.1.1", f"{CASE}.1.2"),
    )
    for order in permutations(told):
        story = filed()
        *before, last = (story.hear(fact) for fact in order)
        assert before == [[], []]
        ruling = only(last)
        assert (ruling.because, ruling.round) == ("rework", 2)
        assert [(one.unit, one.replaces) for one in ruling.plan] == [(CENTRE, f"{CASE}.1.1"), (STREET, f"{CASE}.1.2")]
        assert "still leaking" in ruling.explanation.rules[0]
        assert story.hear(rework(f"{CASE}.1.1")) == []


@pytest.mark.parametrize("first", ["fixed", "returned", "cancelled"])
@pytest.mark.parametrize("later", ["fixed", "returned", "cancelled"])
def test_of_an_assignment_that_has_ended_nothing_more_follows(first: str, later: str) -> None:
    story = filed()
    story.end(f"{CASE}.1.2", first)
    before = story.state
    assert story.end(f"{CASE}.1.2", later) == []
    assert story.state == before


@pytest.mark.parametrize("over", [CLOSED, Withdrawal(reason="dried up")])
def test_what_ends_after_the_case_leads_to_nothing(over: Fact) -> None:
    story = filed()
    story.hear(over)
    assert story.end(f"{CASE}.1.1", "returned") == []
    assert story.end(f"{CASE}.1.2") == []
    assert (story.state.waiting, story.state.round) == (None, 1)
    before_that = event(rework(f"{CASE}.1.2"), number=1)
    assert story.decider.react(before_that, story.state, story.inputs()) == ()


UNKNOWN_CASE: list[Fact] = [
    *(result(f"{CASE}.1.1"), rework(f"{CASE}.1.1"), CLOSED),
    *(Supplement(text="more"), Withdrawal(reason="no")),
]


@pytest.mark.parametrize("fact", UNKNOWN_CASE, ids=lambda fact: type(fact).__name__)
def test_what_is_said_of_a_case_without_a_report_does_not_fit(fact: Fact) -> None:
    assert Story().refuses_to_hear(fact) == f"subject: there is no report of case {CASE}"


@pytest.mark.parametrize("fact", [result(f"{CASE}.7.1"), rework(f"{CASE}.1.1", f"{CASE}.7.1")])
def test_what_is_said_of_an_assignment_that_was_not_given_out_does_not_fit(fact: Fact) -> None:
    story = filed()
    assert story.refuses_to_hear(fact) == f"assignment_id: the case has no assignment {CASE}.7.1"
    story.hear(CLOSED)
    story.refuses_to_hear(fact)
    rejected = waiting()
    rejected.ask(Reject("not_ours", "no"))
    rejected.refuses_to_hear(fact)


# what people are shown


def test_a_case_that_awaits_its_first_ruling_is_reported() -> None:
    story = waiting()
    assert story.status == "reported"
    story.ask(Dispatch(category=MAIN, area=GRID))
    assert story.status == "dispatched"


def test_a_filed_case_that_awaits_a_ruling_again_is_what_the_work_of_its_lead_says() -> None:
    assert returned_twice().status == "filed"
    story = filed()
    story.end(f"{CASE}.1.2", "returned")
    story.end(f"{CASE}.2.1", "returned", unit=CENTRE)
    assert story.state.waiting is not None
    assert story.status == "dispatched"
    story.end(f"{CASE}.1.1")
    assert story.state.waiting is not None
    assert story.status == "fixed"


def test_a_check_that_failed_shows_until_the_work_is_given_out_again() -> None:
    story = filed()
    assert story.hear(rework(f"{CASE}.1.1")) == []
    assert story.status == "rework"
    only(story.end(f"{CASE}.1.1"))
    assert story.status == "dispatched"
    story.hear(CLOSED)
    assert story.status == "closed"


# taking back


def test_a_report_is_not_taken_back_once_work_was_entered_as_done_for_then_it_is_checked() -> None:
    story = filed()
    story.end(f"{CASE}.1.1")
    [ruling] = story.hear(Withdrawal(reason="never mind"))
    assert isinstance(ruling, Upheld)
    assert "checked" in ruling.reason


def test_a_report_taken_back_before_it_is_closed_is_withdrawn() -> None:
    for story in (filed(), verifying(), waiting()):
        category, area = story.state.category, story.state.area
        [fact] = story.hear(Withdrawal(reason="dried up"))
        assert fact == Withdrawn(reason="dried up", category=category, area=area)
        assert story.status == "withdrawn"
        assert story.hear(Withdrawal(reason="again")) == []
    story = filed()
    story.hear(CLOSED)
    assert story.hear(Withdrawal(reason="too late")) == []


def test_who_may_take_a_report_back_is_not_triages_to_judge() -> None:
    story = filed(reporter_ref="reporter:1")
    [fact] = story.hear(Withdrawal(reporter_ref="reporter:2", reason="yes"))
    assert fact == Withdrawn(reason="yes", category=MAIN, area=GRID)


def test_a_case_into_which_others_were_merged_goes_on_and_says_so() -> None:
    story = filed()
    assert story.near is not None
    story.near.learn(event(Merged(into=CASE, explanation=only([story.told[1].data]).explanation), case=OTHER))
    before = story.state
    [ruling] = story.hear(Withdrawal(reason="dried up here"))
    assert isinstance(ruling, Upheld)
    assert "merged into this case" in ruling.reason
    assert story.state == before
    assert story.status == "dispatched"
    story.hear(CLOSED)
    assert story.hear(Withdrawal(reason="again")) == []
