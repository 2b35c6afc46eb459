"""An assignment that nobody acknowledges is offered on and stays one: who may take it, who may hand it on, and when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chassis.engine.decider import Refused
from services.dispatch.domain.commands import (
    Acknowledge,
    Arrive,
    Command,
    HandOn,
    Note,
    RequestExtension,
    Resolve,
    Return,
    SetOut,
)
from services.dispatch.domain.permissions import By
from tests.domain.dispatch_story import (
    CENTRAL,
    CENTRE,
    COMMUNITY,
    CREW,
    DECIDER,
    FIRE,
    GRID,
    HOUR,
    LEAD,
    MINUTE,
    STREET,
    STREETS,
    T0,
    World,
    acknowledged,
    assignment,
    dispatched,
    given_out,
    of,
    steps,
)

BACKUPS = ("member:g001-2", "member:g001-3")


def of_the_grid(**more: Any) -> World:
    """Given out to a grid with backups, below a community, a street and the district."""
    above = (COMMUNITY, STREET, CENTRAL)
    return given_out(assignment(1, GRID, backups=BACKUPS, escalated_to=above, **more))


def refused(world: World, asked: Command, at: datetime = T0 + MINUTE, **more: Any) -> str:
    with pytest.raises(Refused) as refusal:
        world.asked(asked, at, **more)
    return refusal.value.rule


def offers(facts: Any) -> list[tuple[str, str, tuple[str, ...]]]:
    """(when it was due, to whom, its backups) of each offer."""
    return [
        (f"{(fact.due_at - T0) / MINUTE:.0f}", fact.unit, fact.to)
        for fact in facts
        if fact.name == "Progressed" and fact.step == "offered"
    ]


def test_it_is_offered_to_the_backups_then_to_one_superior_after_the_other_and_then_waits() -> None:
    world = of_the_grid()
    found = []
    for _ in range(5):
        at = DECIDER.due(world.state)
        assert at is not None
        assert world.passed(at - timedelta(microseconds=1)) == []
        [fact] = world.passed(at)
        found.append(((at - T0) / MINUTE, fact.step, fact.unit, fact.level, (fact.due_at - T0) / MINUTE))
    assert found == [
        (10, "offered", GRID, 1, 20),
        (20, "offered", COMMUNITY, 2, 30),
        (30, "offered", STREET, 3, 40),
        (40, "offered", CENTRAL, 4, 50),
        (50, "escalation_failed", GRID, 5, 50),
    ]
    assert [fact.to for fact in world.own[:2]] == [BACKUPS, ()]
    assert (world.own[-1].because, world.assignment().unclaimed) == ("not_acknowledged", True)
    assert world.passed(T0 + 3 * HOUR) == []
    assert world.assignment().end is None


def test_after_a_long_stop_each_offer_is_told_once_and_the_deadline_to_resolve_it_passes_beside() -> None:
    world = of_the_grid(resolve_by=T0 + 27 * MINUTE)
    facts = world.passed(T0 + HOUR)
    assert [step for step, _, _ in steps(facts)] == [
        "offered",
        "offered",
        "nearly_due",
        "overdue",
        "escalated",
        "offered",
        "offered",
        "escalation_failed",
        "escalated",
    ]
    assert world.passed(T0 + HOUR) == []


def test_with_neither_backups_nor_superiors_it_waits_in_the_queue_at_once() -> None:
    world = given_out(assignment(1, CENTRAL, escalated_to=()))
    [failed] = world.passed(T0 + 10 * MINUTE)
    assert (failed.because, failed.level, failed.unit) == ("not_acknowledged", 1, CENTRAL)


def test_further_limits_run_on_the_clock_on_which_the_condition_is_acknowledged() -> None:
    friday = datetime(2026, 5, 15, 9, 0, tzinfo=UTC)  # 17:00 in Shanghai, an hour before closing; then a weekend
    monday = datetime(2026, 5, 18, 1, 0, tzinfo=UTC)  # 09:00: two working hours
    plan = assignment(1, "dept:water", start=friday, acknowledge_by=monday, resolve_by=friday + 90 * HOUR)
    world = World()
    world.took(dispatched(plan, condition="b", filed_at=friday), friday)
    [offered] = world.passed(monday)
    assert offered.due_at == monday + 2 * HOUR


def test_the_limit_counts_from_the_deadline_that_passed_not_from_when_it_was_noticed() -> None:
    world = given_out(assignment(1, "dept:water"))
    assert offers(world.passed(T0 + 19 * MINUTE)) == [("20", STREET, ())]


@pytest.mark.parametrize("unit", [GRID, COMMUNITY, STREET])
def test_the_first_to_acknowledge_has_it_the_unit_first_named_too(unit: str) -> None:
    world = of_the_grid()
    world.passed(T0 + 30 * MINUTE)
    [step] = world.asked(Acknowledge(LEAD, of(unit)), T0 + 35 * MINUTE)
    assert (step.unit, world.assignment().unit, world.assignment().status) == (unit, unit, "acknowledged")
    assert world.passed(T0 + 2 * HOUR) == []  # it is offered to nobody any more
    for other in {GRID, COMMUNITY, STREET} - {unit}:
        assert refused(world, Acknowledge(LEAD, of(other))) == "assignment.taken"
    assert refused(world, Acknowledge(LEAD, of(CENTRAL))) == "assignment.unit"
    [end] = world.asked(Resolve(LEAD, of(unit)), T0 + 2 * HOUR)
    assert end.unit == unit


def test_nobody_may_take_it_before_it_is_offered_to_him() -> None:
    world = of_the_grid()
    world.passed(T0 + 20 * MINUTE)
    assert refused(world, Acknowledge(LEAD, STREETS)) == "assignment.unit"


@pytest.mark.parametrize(
    "command",
    [
        SetOut(LEAD, CREW),
        Arrive(LEAD, CREW),
        Resolve(LEAD, CREW),
        Return(LEAD, CREW, "not ours"),
        Note(LEAD, CREW, "we are here"),
        RequestExtension(LEAD, CREW, "no pipe"),
        HandOn(LEAD, CREW, GRID, "busy"),
    ],
    ids=lambda command: type(command).__name__,
)
def test_once_another_has_it_only_the_holders_people_act(command: Command) -> None:
    world = given_out(assignment(1, "dept:water"))
    world.passed(T0 + 10 * MINUTE)
    world.asked(Acknowledge(LEAD, STREETS))
    assert refused(world, command) == "assignment.taken"


def test_whoever_is_only_offered_it_may_not_return_it_for_the_others() -> None:
    world = given_out(assignment(1, "dept:water"))
    world.passed(T0 + 10 * MINUTE)
    assert refused(world, Return(LEAD, STREETS, "not ours")) == "step.order"
    [end] = world.asked(Return(LEAD, CREW, "not ours"))
    assert (end.outcome, end.unit) == ("returned", "dept:water")


def test_taken_from_the_queue_it_waits_there_no_more() -> None:
    world = given_out(assignment(1, "dept:water"))
    world.passed(T0 + HOUR)
    assert world.assignment().unclaimed
    world.asked(Acknowledge(LEAD, CREW), T0 + HOUR)
    assert not world.assignment().unclaimed


def offered_to_the_street() -> World:
    world = given_out(assignment(1, "dept:water"))
    world.passed(T0 + 10 * MINUTE)
    return world


def test_a_superior_that_is_offered_it_hands_it_to_a_unit_below_and_all_of_them_may_still_take_it() -> None:
    for unit in (GRID, STREET, "dept:water"):
        world = offered_to_the_street()
        [handed] = world.asked(HandOn(LEAD, STREETS, GRID, "it is near"), T0 + 12 * MINUTE)
        assert (handed.unit, handed.by, handed.reason) == (GRID, STREET, "it is near")
        assert handed.due_at == T0 + 22 * MINUTE
        [step] = world.asked(Acknowledge(LEAD, of(unit)), T0 + 13 * MINUTE)
        assert step.unit == unit


def test_handed_on_and_not_acknowledged_it_is_offered_on_above_the_unit_that_handed_it_on() -> None:
    world = offered_to_the_street()
    world.asked(HandOn(LEAD, STREETS, GRID, "it is near"), T0 + 12 * MINUTE)
    assert world.passed(T0 + 21 * MINUTE) == []
    assert offers(world.passed(T0 + 22 * MINUTE)) == [("32", CENTRAL, ())]
    [failed] = world.passed(T0 + 32 * MINUTE)
    assert (failed.because, failed.level) == ("not_acknowledged", 2)


def test_handed_on_by_the_centre_it_is_offered_on_from_the_start_of_that_units_superiors() -> None:
    world = given_out(assignment(1, "dept:water"))
    world.passed(T0 + HOUR)
    assert world.assignment().unclaimed
    [handed] = world.asked(HandOn(LEAD, CENTRE, GRID, "it is near"), T0 + HOUR, "dispatcher")
    assert (handed.by, world.assignment().unclaimed) == (None, False)
    passed = world.passed(T0 + 2 * HOUR)
    assert [unit for _, unit, _ in offers(passed)] == [COMMUNITY, STREET, CENTRAL]
    assert steps(passed)[-1] == ("escalation_failed", LEAD, 4)


def test_a_holder_that_hands_it_on_has_it_no_more() -> None:
    world = offered_to_the_street()
    world.asked(Acknowledge(LEAD, STREETS), T0 + 11 * MINUTE)
    world.asked(SetOut(LEAD, STREETS), T0 + 12 * MINUTE)
    world.asked(HandOn(LEAD, STREETS, GRID, "it is near"), T0 + 13 * MINUTE)
    assert (world.assignment().status, world.assignment().unit) == ("dispatched", GRID)
    for unit in (STREET, "dept:water"):
        assert refused(world, Acknowledge(LEAD, of(unit))) == "assignment.taken"
    world.asked(Acknowledge(LEAD, of(GRID)), T0 + 14 * MINUTE)
    assert (world.assignment().holder, world.assignment().acknowledged_at) == (GRID, T0 + 14 * MINUTE)


def test_the_centre_takes_it_from_its_holder() -> None:
    world = acknowledged(assignment(1, "dept:water"))
    world.asked(RequestExtension(LEAD, CREW, "no pipe"))
    world.asked(HandOn(LEAD, CENTRE, "dept:fire", "their pump is needed"), T0 + HOUR, "dispatcher")
    assert (world.assignment().unit, world.assignment().extension_request) == ("dept:fire", None)
    assert world.asked(Acknowledge(LEAD, FIRE))


@pytest.mark.parametrize(
    ("by", "unit", "rule"),
    [
        (STREETS, "dept:fire", "hand_on.unit"),
        (STREETS, STREET, "hand_on.unit"),
        (STREETS, CENTRAL, "hand_on.unit"),
        (STREETS, "dept:none", "hand_on.unit"),
        (CENTRE, "dept:none", "hand_on.unit"),
        (CREW, GRID, "hand_on.unit"),
        (of(CENTRAL), GRID, "assignment.unit"),
        (FIRE, GRID, "assignment.unit"),
    ],
    ids=["not below", "itself", "above", "unknown", "unknown to the centre", "named", "not offered yet", "stranger"],
)
def test_it_is_handed_on_by_whom_it_is_offered_to_and_downwards(by: By, unit: str, rule: str) -> None:
    assert refused(offered_to_the_street(), HandOn(LEAD, by, unit, "because")) == rule


def test_a_unit_that_has_it_hands_it_to_those_below_and_to_nobody_else() -> None:
    world = acknowledged(assignment(1, STREET, escalated_to=(CENTRAL,)))
    assert refused(world, HandOn(LEAD, STREETS, "dept:fire", "because")) == "hand_on.unit"
    assert refused(world, HandOn(LEAD, CENTRE, STREET, "because")) == "hand_on.unit"
    [handed] = world.asked(HandOn(LEAD, STREETS, GRID, "because"), T0 + HOUR)
    assert handed.by == STREET


def test_a_superior_that_it_was_given_to_hands_it_on_without_taking_it_on_first() -> None:
    world = given_out(assignment(1, STREET, escalated_to=(CENTRAL,)))
    [handed] = world.asked(HandOn(LEAD, STREETS, GRID, "because"))
    assert (handed.unit, handed.by) == (GRID, STREET)
    assert world.asked(Acknowledge(LEAD, of(GRID)))


def test_what_has_begun_on_the_scene_is_not_handed_on() -> None:
    world = acknowledged(assignment(1, "dept:water"))
    world.asked(Arrive(LEAD, CREW))
    assert refused(world, HandOn(LEAD, CENTRE, "dept:fire", "because")) == "hand_on.begun"


def test_handing_it_on_again_to_the_same_unit_has_no_effect_until_its_time_is_over() -> None:
    world = offered_to_the_street()
    command = HandOn(LEAD, STREETS, GRID, "it is near")
    assert world.asked(command, T0 + 12 * MINUTE)
    assert list(world.asked(command, T0 + 13 * MINUTE)) == []
    world.passed(T0 + 22 * MINUTE)
    [again] = world.asked(command, T0 + 25 * MINUTE)
    assert again.due_at == T0 + 35 * MINUTE
