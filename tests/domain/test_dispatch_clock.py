"""The instants between an assignment's deadlines: its light, its further limits, and changed reference data."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contracts.reference import Units
from services.dispatch.domain import decider
from services.dispatch.domain.assignment import Assignment
from services.dispatch.domain.commands import HandOn
from services.dispatch.domain.rules import Rules
from tests.domain.dispatch_story import (
    CENTRAL,
    CENTRE,
    CLOCK,
    DECIDER,
    GRID,
    HOUR,
    LEAD,
    MINUTE,
    POLICY,
    T0,
    UNITS,
    World,
    assignment,
    dispatched,
    given_out,
)

FRIDAY = datetime(2026, 5, 15, 0, 0, tzinfo=UTC)
"""08:00 in Shanghai, when a working day begins."""
SATURDAY = FRIDAY + timedelta(days=1)


def in_working_time(start: datetime, resolve_by: datetime) -> Assignment:
    """An assignment whose condition counts working days."""
    world = World()
    plan = assignment(1, "dept:water", start=start, resolve_by=resolve_by)
    world.took(dispatched(plan, condition="b", filed_at=start), start)
    return world.assignment()


def of_a_newer_catalogue(start: datetime = T0) -> World:
    """An assignment of a category that dispatch's catalogue does not have."""
    world = World()
    world.took(dispatched(assignment(1, "dept:water", start=start), category="event.new.kind"), start)
    return world


@pytest.mark.parametrize("resolve_by", [FRIDAY + 10 * HOUR, SATURDAY + 4 * HOUR], ids=["at the close", "on a weekend"])
def test_the_light_is_red_from_the_deadline_on_even_where_it_lies_outside_working_time(resolve_by: datetime) -> None:
    assert CLOCK.red_at(in_working_time(FRIDAY, resolve_by)) == resolve_by


def test_the_light_is_red_at_the_share_of_the_limit_that_the_policy_sets() -> None:
    early = replace(CLOCK, red_percent=90)
    assert early.red_at(given_out().assignment()) == T0 + 4 * HOUR * 0.9
    assert CLOCK.red_at(given_out().assignment()) == T0 + 4 * HOUR
    assert early.yellow_at(given_out().assignment()) == T0 + 4 * HOUR * 0.8


def test_a_limit_with_no_working_time_in_it_turns_yellow_at_its_deadline() -> None:
    found = in_working_time(SATURDAY, SATURDAY + 4 * HOUR)
    assert CLOCK.yellow_at(found) == SATURDAY + 4 * HOUR
    assert [CLOCK.escalates_at(found, level) for level in (1, 2, 3)] == [SATURDAY + 4 * HOUR] * 3


def test_superiors_are_told_at_the_deadline_and_one_limit_later_each() -> None:
    found = given_out().assignment()
    assert [CLOCK.escalates_at(found, level) for level in (1, 2, 3)] == [T0 + 4 * n * HOUR for n in (1, 2, 3)]
    extended = replace(found, resolve_by=T0 + 8 * HOUR)
    assert [CLOCK.escalates_at(extended, level) for level in (1, 2)] == [T0 + 8 * HOUR, T0 + 12 * HOUR]


def test_a_category_that_the_catalogue_does_not_have_runs_on_in_real_time() -> None:
    night = FRIDAY + 14 * HOUR
    world = of_a_newer_catalogue(night)
    [offered] = world.passed(night + 10 * MINUTE)
    assert (offered.step, offered.due_at) == ("offered", night + 20 * MINUTE)
    assert CLOCK.escalates_at(world.assignment(), 2) == night + 8 * HOUR


def test_an_assignment_waits_in_the_queue_where_fewer_units_stand_above_it_than_it_was_offered_to() -> None:
    world = given_out(assignment(1, "dept:water"))
    world.asked(HandOn(LEAD, CENTRE, GRID, "it is near"), T0 + MINUTE, "dispatcher")
    world.passed(T0 + 40 * MINUTE)
    assert world.assignment().offers == 3
    flat = Units(version="2", units=tuple(unit.model_copy(update={"superior": None}) for unit in UNITS.units))
    reorganised = decider(Rules(CLOCK, flat, POLICY))
    at = T0 + 41 * MINUTE
    assert DECIDER.due(world.state) == at
    facts = reorganised.on_deadline(world.state, world.inputs(at, "clock"))
    assert [(fact.step, fact.because) for fact in facts] == [("escalation_failed", "not_acknowledged")]  # pyright: ignore[reportAttributeAccessIssue]
    world.publish(facts, at)
    assert reorganised.due(world.state) == T0 + 4 * HOUR * 0.8


def test_the_top_of_the_ladder_is_reached_once() -> None:
    world = given_out(assignment(1, CENTRAL, escalated_to=()))
    world.passed(T0 + 1000 * HOUR)
    assert DECIDER.due(world.state) is None
