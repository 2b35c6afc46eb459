"""What dispatch knows of a case and its assignments after each fact, and what it asks of a case for a partner."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given

from contracts import request
from contracts.dispatch import Resolved
from contracts.feedback import Evaluated
from contracts.fields import Attachment, Fact
from contracts.notice import AcceptanceNotice, RefusalNotice
from contracts.progress import (
    Acknowledged,
    AssignmentStep,
    Checking,
    EnRoute,
    Noted,
    Overdue,
    Refused,
    UnitStep,
)
from contracts.triage import Rejected, Upheld, Withdrawn
from services.dispatch.domain.assignment import after_step
from services.dispatch.domain.commands import (
    Acknowledge,
    Arrive,
    DecideExtension,
    HandOn,
    Note,
    RequestExtension,
    Resolve,
    SetOut,
)
from services.dispatch.domain.requests import answered, involved
from tests.contracts.strategies import UNHURRIED, facts
from tests.domain.dispatch_story import (
    CASE,
    CENTRE,
    CREW,
    DECIDER,
    FIRE,
    HOUR,
    LEAD,
    MINUTE,
    OTHER,
    SUPPORT,
    T0,
    WATER_AND_FIRE,
    World,
    acknowledged,
    added,
    assignment,
    dispatched,
    given_out,
    merged,
    told,
)
from tests.support.facts import event_of

WITHDRAWN, REJECTED = Withdrawn(reason="it has stopped"), Rejected(why="not_ours", reason="private ground")


def test_an_assignment_shows_how_far_its_unit_has_come_and_then_how_it_ended() -> None:
    world = given_out()
    shown: list[str] = [world.assignment().status]
    for step in (Acknowledge(LEAD, CREW), SetOut(LEAD, CREW), Arrive(LEAD, CREW), Resolve(LEAD, CREW)):
        world.asked(step)
        shown.append(world.assignment().status)
    assert shown == ["dispatched", "acknowledged", "en_route", "on_scene", "fixed"]
    assert world.assignment().stage == "on_scene"


def test_an_assignment_that_has_ended_waits_for_no_decision_on_an_extension() -> None:
    world = acknowledged()
    world.asked(RequestExtension(LEAD, CREW, "no pipe"))
    assert world.assignment().extension_request is not None
    world.asked(Resolve(LEAD, CREW))
    assert world.assignment().extension_request is None


def test_a_granted_extension_brings_a_failed_escalation_back_to_the_start() -> None:
    world = acknowledged(assignment(1, "dept:water", escalated_to=()))
    world.asked(RequestExtension(LEAD, CREW, "no pipe"))
    world.passed(T0 + 5 * HOUR)
    assert world.assignment().escalation_failed
    [granted] = world.asked(DecideExtension(LEAD, CENTRE, granted=True), T0 + 5 * HOUR, "dispatcher")
    assert (granted.count, granted.due_at) == (1, T0 + 8 * HOUR)
    assert not world.assignment().escalation_failed
    assert [fact.step for fact in world.passed(T0 + 8 * HOUR)] == ["nearly_due", "overdue", "escalation_failed"]


def test_a_limit_starts_with_its_round_and_that_of_a_late_entry_when_the_case_was_filed() -> None:
    filed_at = T0 - 90 * HOUR
    for retrospective, started_at in ((False, T0), (True, filed_at)):
        world = given_out(filed_at=filed_at, retrospective=retrospective)
        assert {one.started_at for one in world.state.assignments.values()} == {started_at}


def test_a_claim_from_before_the_assignment_was_handed_on_is_doubtful() -> None:
    world = acknowledged(assignment(1, "dept:water"))
    world.asked(HandOn(LEAD, CENTRE, "dept:fire", "their pump is needed"), T0 + HOUR, "dispatcher")
    [step] = world.asked(Acknowledge(LEAD, FIRE), T0 + 2 * HOUR, claimed=T0 + 30 * MINUTE)
    assert step.time_doubtful


def test_a_fact_without_an_actor_names_nobody_who_handled_the_assignment() -> None:
    world = acknowledged()
    step = EnRoute(assignment_id=LEAD, unit="dept:water")
    event, _ = event_of(CASE, step, time=T0 + HOUR, cause=OTHER)
    after = DECIDER.evolve(world.state, event).assignments[LEAD]
    assert (event.actor, after.en_route_at, after.handled_by) == (None, T0 + HOUR, ("li",))


class Postponed(Fact):
    """A unit's step that the contracts have and dispatch has forgotten."""

    name: ClassVar[str] = "Progressed"
    step: Literal["postponed"] = "postponed"
    assignment_id: str = LEAD
    unit: str = "dept:water"


def test_a_step_that_an_assignment_does_not_provide_for_is_not_passed_over() -> None:
    step: Any = Postponed()
    event, _ = event_of(CASE, Overdue(assignment_id=LEAD, unit="dept:water", due_at=T0), time=T0)
    with pytest.raises(AssertionError, match="postponed"):
        after_step(given_out().assignment(), step, event)


@UNHURRIED
@given(facts("Progressed").filter(lambda step: isinstance(step, AssignmentStep)))
def test_whoever_takes_a_step_of_the_unit_has_acted_on_the_work_and_nobody_else_has(step: Any) -> None:
    event, _ = event_of(CASE, step.model_copy(update={"assignment_id": LEAD}), time=T0 + HOUR, actor="wang")
    after = DECIDER.evolve(given_out().state, event).assignments[LEAD]
    acted = isinstance(step, UnitStep) and step.unit is not None
    assert after.handled_by == (("wang",) if acted else ())


def _ended(**more: Any) -> Resolved:
    return Resolved(
        **{"assignment_id": LEAD, "unit": "dept:water", "resolve_by": T0, "late_by_seconds": 0, "outcome": "fixed"}
        | more
    )


STEPS: list[Fact] = [
    Acknowledged(assignment_id=LEAD, unit="dept:fire", due_at=T0),
    Noted(assignment_id=LEAD, unit="dept:water", note="still"),
    _ended(outcome="returned", reason="not ours"),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_nothing_changes_an_assignment_that_has_ended(step: Fact) -> None:
    world = acknowledged()
    world.asked(Resolve(LEAD, CREW))
    before = world.assignment()
    world.fold(step, T0 + HOUR, "/services/dispatch", actor="wang")
    assert world.assignment() == before


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_a_step_of_an_assignment_that_is_not_known_opens_none(step: Fact) -> None:
    world = World()
    world.fold(step, T0, "/services/dispatch")
    assert world.state.assignments == {}


@pytest.mark.parametrize(
    "fact",
    [
        Upheld(reason="the road is still open"),
        Checking(due_at=T0),
        Refused(partner="water", rule="step.order", reason="acknowledge it first"),
        Refused(partner="water", rule="step.order", reason="acknowledge it first", assignment_id=LEAD),
    ],
    ids=["upheld", "checking", "refused", "refused of an assignment"],
)
def test_a_fact_that_decides_nothing_leaves_verdict_and_assignments_as_they_are(fact: Fact) -> None:
    world = acknowledged()
    before = world.state
    source = "/services/dispatch" if isinstance(fact, Refused) else None
    event, _ = event_of(CASE, fact, source=source, sequence=99, time=T0 + HOUR)
    after = DECIDER.evolve(before, event)
    assert replace(after, standing=before.standing) == before


def test_a_case_is_not_made_anew_by_a_fact_that_says_nothing_of_it() -> None:
    world = acknowledged()
    event, _ = event_of(CASE, Upheld(reason="the road is still open"), sequence=99, time=T0 + HOUR)
    assert DECIDER.evolve(world.state, event) is world.state


def test_what_a_partner_asks_for_changes_nothing_until_it_is_decided() -> None:
    world = given_out()
    event, _ = event_of(CASE, request.Acknowledge(assignment_id=LEAD), time=T0 + MINUTE)
    assert DECIDER.evolve(world.state, event) is world.state


@pytest.mark.parametrize(
    ("ruling", "ended_by"),
    [(WITHDRAWN, "withdrawn"), (REJECTED, "rejected"), (merged(into=OTHER), "merged")],
    ids=["withdrawn", "rejected", "merged"],
)
def test_a_case_says_which_ruling_ended_it_until_work_is_given_out_again(ruling: Fact, ended_by: str) -> None:
    world = acknowledged()
    assert (world.state.ended_by, world.state.merged_into) == (None, None)
    world.took(ruling)
    assert (world.state.ended_by, world.state.merged_into) == (ended_by, OTHER if ended_by == "merged" else None)
    world.took(dispatched(assignment(1, "dept:water", of_round=2), of_round=2))
    assert (world.state.ended_by, world.state.merged_into) == (None, None)


@pytest.mark.parametrize("ruling", [WITHDRAWN, REJECTED], ids=["withdrawn", "rejected"])
def test_a_case_that_was_merged_and_then_ended_otherwise_has_no_leader_any_more(ruling: Fact) -> None:
    world = acknowledged()
    world.took(merged(into=OTHER))
    world.took(ruling)
    assert world.state.merged_into is None


def test_a_case_counts_the_answers_to_each_partners_requests() -> None:
    world = given_out(to=WATER_AND_FIRE)
    assert (answered(world.state, "water"), answered(world.state, "hotline")) == (0, 0)
    answers = (
        AcceptanceNotice(to="water", request=OTHER),
        RefusalNotice(to="water", request=OTHER, rule="step.order", reason="acknowledge it first"),
    )
    for count, answer in enumerate(answers, start=1):
        world.publish([answer], T0)
        assert (answered(world.state, "water"), answered(world.state, "fire")) == (count, 0)
    stranger = World()
    stranger.publish([AcceptanceNotice(to="hotline", request=OTHER)], T0)
    assert not involved(stranger.state, "hotline")


def test_a_partner_that_so_far_had_only_answers_hears_that_a_case_with_its_work_is_closed() -> None:
    world = World(WATER_AND_FIRE)
    world.publish([RefusalNotice(to="water", request=OTHER, rule="unknown", reason="no such assignment")], T0)
    world.took(Evaluated(verdict="closed", outcome="fixed"))
    assert told(world.took(dispatched(assignment(1, "dept:water")))) == [
        ("water", "assigned", LEAD),
        ("water", "cancelled", LEAD),
        ("water", "case_closed", None),
    ]


def test_a_plan_after_the_closing_is_told_cancelled_and_not_closed_again() -> None:
    world = World(WATER_AND_FIRE)
    world.took(Evaluated(verdict="closed", outcome="fixed"))
    world.took(dispatched(assignment(1, "dept:water")))
    again = assignment(1, "dept:water", of_round=2)
    assert told(world.took(dispatched(again, of_round=2))) == [
        ("water", "assigned", again.id),
        ("water", "cancelled", again.id),
    ]


def test_of_a_plan_after_the_closing_each_partner_hears_that_its_own_assignment_is_cancelled() -> None:
    world = World(WATER_AND_FIRE)
    world.took(Evaluated(verdict="closed", outcome="fixed"))
    facts = world.took(dispatched())
    assert sorted(told(facts), key=lambda one: one[0]) == [
        ("fire", "assigned", SUPPORT),
        ("fire", "cancelled", SUPPORT),
        ("fire", "case_closed", None),
        ("water", "assigned", LEAD),
        ("water", "cancelled", LEAD),
        ("water", "case_closed", None),
    ]
    assert {fact.reason for fact in facts if fact.name == "Resolved"} == {"the case is closed as fixed"}


def test_a_plan_after_a_verdict_of_rework_is_worked_on_even_if_the_verdict_says_an_outcome() -> None:
    world = World(WATER_AND_FIRE)
    world.took(Evaluated(verdict="rework", outcome="fixed", failed=(LEAD,)))
    world.took(dispatched())
    assert len(world.state.open_assignments) == 2


def test_a_new_partner_hears_of_the_assignment_before_it_hears_what_was_added() -> None:
    world = acknowledged()
    world.partners = WATER_AND_FIRE
    facts = world.hears(added("still"))
    assert told(facts) == [
        ("water", "assigned", LEAD),
        ("water", "supplement", None),
        ("fire", "assigned", SUPPORT),
        ("fire", "supplement", None),
    ]


def test_photos_stay_with_what_they_were_added_to() -> None:
    photo = Attachment(uri="https://photos.example/2.jpg")
    world = acknowledged(to=WATER_AND_FIRE)
    [remark] = world.asked(Note(LEAD, CREW, "see", (photo,)))
    assert remark.evidence == (photo,)
    leader = acknowledged()
    said = added("still")
    said = said.model_copy(update={"data": said.data.model_copy(update={"attachments": (photo,)})})
    [step] = leader.hears(said)
    assert step.attachments == (photo,)


def test_a_claim_a_little_earlier_than_the_last_step_is_a_slow_clock() -> None:
    world = acknowledged()
    world.asked(Arrive(LEAD, CREW), T0 + HOUR)
    [end] = world.asked(Resolve(LEAD, CREW), T0 + 2 * HOUR, claimed=T0 + HOUR - timedelta(seconds=1))
    assert not end.time_doubtful
