"""What partners' systems are told: what concerns their units, whole, once, and nothing else."""

from typing import Any

import pytest

from contracts import causes
from contracts.feedback import Evaluated
from contracts.fields import Attachment, Fact
from contracts.intake import Supplement
from contracts.notice import AssignmentNotice
from contracts.progress import HandedOn
from contracts.triage import Upheld, Withdrawn
from deploy.partners.entries import retired
from services.dispatch.domain.commands import (
    Acknowledge,
    Arrive,
    Command,
    DecideExtension,
    HandOn,
    Note,
    RequestExtension,
    Resolve,
    Return,
    Supervise,
    Urge,
)
from services.dispatch.domain.permissions import By
from services.dispatch.domain.requests import involved
from services.dispatch.domain.requests import told as was_told
from tests.domain.dispatch_story import (
    CENTRAL,
    CENTRE,
    CREW,
    DECIDER,
    FIRE,
    GRID,
    HOUR,
    LEAD,
    MINUTE,
    STREET,
    STREETS,
    SUPPORT,
    T0,
    WATER_AND_FIRE,
    WATER_ONLY,
    World,
    acknowledged,
    assignment,
    dispatched,
    given_out,
    of,
    partners,
    told,
)

CITY = partners(water=["dept:water"], city=[STREET])
CLOSED = Evaluated(verdict="closed", outcome="fixed")
ONE = (assignment(1, "dept:water"),)
SYSTEM = By(frozenset({"dept:water"}), partner="water")
"""The water company's own system."""


def test_an_assignment_is_told_whole_to_the_partner_of_its_unit_and_no_other_units_task() -> None:
    photo = Attachment(uri="https://photos.example/1.jpg")
    world = given_out(to=WATER_ONLY, text="the road is under water", attachments=(photo,))
    [notice] = world.own
    assert notice == AssignmentNotice(
        to="water",
        assignment_id=LEAD,
        unit="dept:water",
        lead=True,
        task="repair the main",
        title="a water main has burst",
        text="the road is under water",
        attachments=(photo,),
        place=dispatched().place,
        category="component.public-facilities.manhole",
        condition="a",
        closing="dry",
        priority=1,
        round=1,
        because="first",
        acknowledge_by=T0 + 10 * MINUTE,
        resolve_by=T0 + 4 * HOUR,
    )
    assert notice.topic == "to.water"


def test_each_partner_is_told_of_its_own() -> None:
    assert told(given_out(to=WATER_AND_FIRE).own) == [("water", "assigned", LEAD), ("fire", "assigned", SUPPORT)]
    assert told(given_out(to=partners(all=["dept:water", "dept:fire"])).own) == [
        ("all", "assigned", LEAD),
        ("all", "assigned", SUPPORT),
    ]


def test_a_plan_said_again_is_not_told_again_and_a_further_round_is() -> None:
    world = given_out(*ONE, to=WATER_ONLY)
    assert list(world.took(dispatched(*ONE))) == []
    again = assignment(1, "dept:water", of_round=2, replaces=LEAD)
    [notice] = world.took(dispatched(again, of_round=2, because="rework", reason="it still rattles"))
    assert (notice.assignment_id, notice.round, notice.because) == (again.id, 2, "rework")
    assert (notice.reason, notice.stage) == ("it still rattles", "dispatched")


def test_nobody_is_told_where_no_partner_answers_for_a_unit() -> None:
    world = acknowledged()
    world.asked(Urge(LEAD, CENTRE, "calls"))
    world.took(Supplement(text="more"))
    world.took(CLOSED)
    assert world.notices() == []


CONTROL: dict[str, tuple[Command, dict[str, Any]]] = {
    "urged": (Urge(LEAD, CENTRE, "calls"), {"reason": "calls", "count": 1}),
    "supervised": (
        Supervise(LEAD, CENTRE, 2, "ordered", T0 + 3 * HOUR),
        {"level": 2, "reason": "ordered", "reply_by": T0 + 3 * HOUR},
    ),
    "extended": (
        DecideExtension(LEAD, CENTRE, granted=True, reason="granted"),
        {"reason": "granted", "resolve_by": T0 + 8 * HOUR},
    ),
    "extension_refused": (
        DecideExtension(LEAD, CENTRE, granted=False, reason="there is one"),
        {"reason": "there is one", "resolve_by": T0 + 4 * HOUR},
    ),
}


@pytest.mark.parametrize("kind", CONTROL)
def test_what_the_centre_does_is_told_to_the_partner_whose_unit_has_it(kind: str) -> None:
    command, content = CONTROL[kind]
    world = acknowledged(to=WATER_AND_FIRE)
    world.asked(RequestExtension(LEAD, CREW, "no pipe"))
    notices = [fact for fact in world.asked(command, who="dispatcher") if fact.name == "Notice"]
    assert told(notices) == [("water", kind, LEAD)]
    assert notices[0].model_dump(exclude={"to", "kind", "assignment_id", "name"}, exclude_none=True) == content


OWN_STEPS = (Arrive(LEAD, CREW), Note(LEAD, CREW, "stuck"), Note(LEAD, CENTRE, "ask the county"), Resolve(LEAD, SYSTEM))


@pytest.mark.parametrize("command", OWN_STEPS, ids=lambda command: type(command).__name__)
def test_of_its_own_steps_a_partner_hears_nothing(command: Command) -> None:
    world = acknowledged(to=WATER_AND_FIRE)
    assert told(world.asked(command)) == []


def test_an_offer_is_told_to_the_superiors_partner_as_an_offer() -> None:
    world = given_out(*ONE, to=CITY)
    notices = world.passed(T0 + 10 * MINUTE)
    assert told(notices) == [("city", "assigned", LEAD)]
    [_, notice] = notices
    assert (notice.unit, notice.offered, notice.acknowledge_by) == (STREET, True, T0 + 20 * MINUTE)


def test_whoever_was_told_hears_that_another_unit_has_taken_it_on() -> None:
    world = given_out(*ONE, to=CITY)
    world.passed(T0 + 10 * MINUTE)
    assert told(world.asked(Acknowledge(LEAD, CREW))) == [("city", "cancelled", LEAD)]
    other = given_out(*ONE, to=CITY)
    other.passed(T0 + 10 * MINUTE)
    assert told(other.asked(Acknowledge(LEAD, STREETS))) == [("water", "cancelled", LEAD)]
    assert told(other.asked(Urge(LEAD, CENTRE))) == [("city", "urged", LEAD)]


def test_a_partner_with_both_units_keeps_it_and_is_told_of_each() -> None:
    world = given_out(*ONE, to=partners(all=["dept:water", STREET]))
    assert [notice.unit for notice in world.passed(T0 + 10 * MINUTE) if notice.name == "Notice"] == [STREET]
    assert told(world.asked(Urge(LEAD, CENTRE))) == [("all", "urged", LEAD)]
    assert told(world.asked(Acknowledge(LEAD, STREETS))) == []


def test_while_it_is_offered_all_who_may_take_it_hear_of_it() -> None:
    world = given_out(*ONE, to=CITY)
    world.passed(T0 + 10 * MINUTE)
    assert told(world.asked(Urge(LEAD, CENTRE))) == [("water", "urged", LEAD), ("city", "urged", LEAD)]


def test_handed_on_it_is_told_to_that_units_partner_and_cancelled_for_who_had_it() -> None:
    registered = partners(water=["dept:water"], fire=["dept:fire"])
    world = acknowledged(*ONE, to=registered)
    facts = world.asked(HandOn(LEAD, CENTRE, "dept:fire", "their pump is needed"), T0 + HOUR, "dispatcher")
    assert told(facts) == [("water", "cancelled", LEAD), ("fire", "assigned", LEAD)]
    assert isinstance(facts[0], HandedOn)
    told_to_fire = facts[2]
    assert (told_to_fire.unit, told_to_fire.offered, told_to_fire.stage) == ("dept:fire", False, "dispatched")
    assert (told_to_fire.reason, told_to_fire.acknowledge_by) == ("their pump is needed", T0 + HOUR + 10 * MINUTE)


def test_handed_on_before_anybody_has_it_nobody_loses_it() -> None:
    registered = partners(water=["dept:water"], city=[STREET], grid=[GRID])
    world = given_out(*ONE, to=registered)
    world.passed(T0 + 10 * MINUTE)
    assert told(world.asked(HandOn(LEAD, STREETS, GRID, "near"))) == [("grid", "assigned", LEAD)]
    assert told(world.asked(Acknowledge(LEAD, of(GRID)))) == [
        ("city", "cancelled", LEAD),
        ("water", "cancelled", LEAD),
    ]


def test_what_comes_back_to_a_partner_is_told_again() -> None:
    world = acknowledged(*ONE, to=WATER_AND_FIRE)
    world.asked(HandOn(LEAD, CENTRE, "dept:fire", "pump"), T0 + HOUR, "dispatcher")
    world.asked(Acknowledge(LEAD, FIRE), T0 + HOUR)
    assert told(world.asked(HandOn(LEAD, CENTRE, "dept:water", "pipe"), T0 + 2 * HOUR, "dispatcher")) == [
        ("fire", "cancelled", LEAD),
        ("water", "assigned", LEAD),
    ]


def test_returned_by_the_unit_it_is_cancelled_for_whom_it_was_offered_to() -> None:
    world = given_out(*ONE, to=CITY)
    world.passed(T0 + 10 * MINUTE)
    assert told(world.asked(Return(LEAD, SYSTEM, "not ours"))) == [("city", "cancelled", LEAD)]


@pytest.mark.parametrize("command", [Return(LEAD, CREW, "not ours"), Resolve(LEAD, CREW)])
def test_what_one_of_its_own_people_ends_is_cancelled_for_the_units_partner(command: Command) -> None:
    world = acknowledged(*ONE, to=WATER_ONLY)
    facts = world.asked(command)
    assert told(facts) == [("water", "cancelled", LEAD)]
    outcome = "fixed" if isinstance(command, Resolve) else "returned"
    assert facts[-1].reason == f"it has been entered as {outcome}"


def test_a_partner_registered_amid_the_work_is_told_how_far_it_has_come_and_of_the_supervision() -> None:
    world = acknowledged(*ONE)
    world.asked(Supervise(LEAD, CENTRE, 2, "the street is flooded", T0 + HOUR), who="dispatcher")
    world.asked(Arrive(LEAD, CREW))
    world.partners = WATER_ONLY
    facts = world.asked(Urge(LEAD, CENTRE))
    assert told(facts) == [("water", "assigned", LEAD), ("water", "supervised", LEAD), ("water", "urged", LEAD)]
    notices = [fact for fact in facts if fact.name == "Notice"]
    assert (notices[0].stage, notices[0].offered) == ("on_scene", False)
    assert (notices[1].level, notices[1].reason, notices[1].reply_by) == (2, "the street is flooded", T0 + HOUR)


def test_a_ruling_that_takes_the_case_back_cancels_what_is_open() -> None:
    world = acknowledged(to=WATER_AND_FIRE)
    world.asked(Resolve(SUPPORT, FIRE))
    facts = world.took(Withdrawn(reason="it has stopped"), T0 + HOUR)
    assert told(facts) == [("water", "cancelled", LEAD)]
    assert facts[-1].reason == "the case is closed as withdrawn: it has stopped"
    assert told(world.took(Upheld(reason="after all"), T0 + HOUR)) == []


def test_whoever_works_or_worked_in_it_hears_once_that_the_case_is_closed() -> None:
    world = acknowledged(to=WATER_AND_FIRE)
    world.asked(Resolve(LEAD, CREW))
    facts = world.took(CLOSED, T0 + HOUR)
    assert told(facts) == [
        ("fire", "cancelled", SUPPORT),
        ("fire", "case_closed", None),
        ("water", "case_closed", None),
    ]
    assert facts[-1].outcome == "fixed"
    assert told(world.took(CLOSED, T0 + HOUR)) == []
    assert told(world.took(dispatched(), T0 + HOUR)) == []


def test_a_plan_after_the_verdict_is_told_cancelled_and_closed() -> None:
    world = World(WATER_ONLY)
    world.took(CLOSED)
    assert told(world.took(dispatched(*ONE))) == [
        ("water", "assigned", LEAD),
        ("water", "cancelled", LEAD),
        ("water", "case_closed", None),
    ]


def test_what_is_added_is_told_to_who_has_open_work_and_to_a_partner_once() -> None:
    world = acknowledged(to=partners(water=["dept:water"], fire=["dept:fire"]))
    world.asked(Resolve(SUPPORT, FIRE))
    photo = Attachment(uri="https://photos.example/2.jpg")
    [notice] = world.took(Supplement(text="the cellar is full", attachments=(photo,), reporter_ref="reporter:1"))
    assert (notice.to, notice.text, notice.attachments) == ("water", "the cellar is full", (photo,))
    assert "reporter" not in notice.model_dump_json()
    two = given_out(to=partners(all=["dept:water", "dept:fire"]))
    assert len(two.took(Supplement(text="the cellar is full"))) == 1


def test_what_was_added_before_it_was_given_out_is_told_with_it_once() -> None:
    world = World(partners(all=["dept:water", "dept:fire"]))
    for text in ("the cellar is full", "still", "still"):
        world.took(Supplement(text=text))
    told_then = world.took(dispatched())
    assert [fact.kind for fact in told_then] == ["assigned", "supplement", "supplement", "supplement", "assigned"]
    [later] = world.took(Supplement(text="still"))
    assert later.text == "still"
    again = world.took(dispatched(assignment(1, "dept:water", of_round=2), of_round=2))
    assert [fact.kind for fact in again] == ["assigned"]


def test_what_was_added_while_it_had_no_work_is_told_with_the_next() -> None:
    world = acknowledged(*ONE, to=WATER_ONLY)
    world.asked(Resolve(LEAD, CREW))
    assert list(world.took(Supplement(text="it drips again"))) == []
    again = world.took(dispatched(assignment(1, "dept:water", of_round=2), of_round=2))
    assert [fact.kind for fact in again] == ["assigned", "supplement"]


def test_a_new_partner_is_told_of_every_open_assignment_of_its_units_once() -> None:
    world = given_out()
    world.took(Supplement(text="the cellar is full"))
    world.partners = WATER_AND_FIRE
    assert told(world.passed(T0 + MINUTE)) == [
        ("water", "assigned", LEAD),
        ("water", "supplement", None),
        ("fire", "assigned", SUPPORT),
        ("fire", "supplement", None),
    ]
    assert world.passed(T0 + 2 * MINUTE) == []


def test_a_new_partner_is_told_of_what_its_unit_holds_or_is_offered_and_of_nothing_that_has_ended() -> None:
    world = given_out(*ONE)
    world.passed(T0 + 10 * MINUTE)
    world.partners = partners(city=[STREET], above=[CENTRAL])
    [notice] = world.passed(T0 + 11 * MINUTE)
    assert (notice.to, notice.unit, notice.offered, notice.acknowledge_by) == ("city", STREET, True, T0 + 20 * MINUTE)
    held = given_out(*ONE)
    held.passed(T0 + 10 * MINUTE)
    held.asked(Acknowledge(LEAD, STREETS))
    held.partners = CITY
    [notice] = held.passed(T0 + 11 * MINUTE)
    assert (notice.to, notice.unit, notice.offered) == ("city", STREET, False)
    held.asked(Resolve(LEAD, STREETS))
    held.partners = partners(new=[STREET])
    assert held.passed(T0 + 12 * MINUTE) == []


def test_whatever_happens_first_to_it_a_new_partner_hears_of_the_assignment_before_and_loses_nothing() -> None:
    world = acknowledged(*ONE)
    world.partners = WATER_ONLY
    assert told(world.asked(Urge(LEAD, CENTRE))) == [("water", "assigned", LEAD), ("water", "urged", LEAD)]
    assert world.passed(T0 + 2 * MINUTE) == []


def test_a_unit_that_goes_to_another_partner_is_told_to_that_one() -> None:
    world = given_out(*ONE, to=WATER_ONLY)
    world.partners = partners(works=["dept:water"])
    assert told(world.passed(T0 + MINUTE)) == [("works", "assigned", LEAD)]
    assert told(world.asked(Urge(LEAD, CENTRE))) == [("works", "urged", LEAD)]
    world.partners = WATER_ONLY
    assert told(world.passed(T0 + 2 * MINUTE)) == [("water", "assigned", LEAD)]


def test_nothing_is_told_to_who_is_registered_no_more() -> None:
    world = given_out(*ONE, to=WATER_ONLY)
    world.partners = retired(WATER_ONLY, "water")
    world.asked(Urge(LEAD, CENTRE))
    world.took(CLOSED)
    assert told(world.own) == [("water", "assigned", LEAD)]


def test_a_request_may_name_every_notice_to_that_partner_on_that_case_and_no_other() -> None:
    world = given_out(to=WATER_AND_FIRE)
    ids = {event.data.to: event.id for event in world.events if event.data.name == "Notice"}
    assert was_told(world.state, "water", ids["water"])
    assert not was_told(world.state, "water", ids["fire"])
    assert not was_told(world.state, "water", world.events[0].id)
    assert (involved(world.state, "water"), involved(world.state, "hotline")) == (True, False)


def test_every_fact_names_a_cause_that_the_table_allows() -> None:
    world = World(partners(water=["dept:water"], city=[STREET], fire=["dept:fire"], grid=[GRID]))
    world.took(dispatched())
    world.asked(Acknowledge(SUPPORT, FIRE))
    world.asked(Urge(SUPPORT, CENTRE, "calls"))
    world.asked(RequestExtension(SUPPORT, FIRE, "no hose"))
    world.asked(DecideExtension(SUPPORT, CENTRE, granted=True), who="dispatcher")
    world.asked(RequestExtension(SUPPORT, FIRE, "no hose"))
    world.asked(DecideExtension(SUPPORT, CENTRE, granted=False, reason="buy one"), who="dispatcher")
    world.passed(T0 + 10 * MINUTE)
    world.asked(HandOn(LEAD, STREETS, GRID, "near"), T0 + 11 * MINUTE)
    world.passed(T0 + 2 * HOUR)
    world.asked(Acknowledge(LEAD, of(GRID)), T0 + 2 * HOUR)
    world.asked(Supervise(LEAD, CENTRE, 1, "ordered"), T0 + 2 * HOUR)
    world.took(Supplement(text="still"), T0 + 3 * HOUR)
    world.passed(T0 + 30 * HOUR)
    world.asked(Resolve(SUPPORT, FIRE), T0 + 30 * HOUR)
    world.took(CLOSED, T0 + 31 * HOUR)
    labels = {event.id: causes.label(event.data) for event in world.events}
    own = [event for event in world.events if event.source == "/services/dispatch"]
    assert len({causes.label(event.data) for event in own}) > 15
    for event in own:
        label = causes.label(event.data)
        assert labels.get(event.causationid or "") in causes.CAUSES[label], (label, event.causationid)


def test_who_is_registered_changes_nothing_but_what_is_told() -> None:
    silent, told_of = acknowledged(*ONE), acknowledged(*ONE, to=WATER_ONLY)
    facts: list[Fact] = [fact for fact in told_of.own if fact.name != "Notice"]
    assert facts == silent.own
    assert DECIDER.due(told_of.state) == DECIDER.due(silent.state)
