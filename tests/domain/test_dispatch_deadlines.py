"""Dispatch's deadlines: what passes when, told once, also after a long stop."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contracts.feedback import Evaluated
from services.dispatch.domain.commands import (
    DecideExtension,
    RequestExtension,
)
from tests.domain.dispatch_story import (
    CENTRE,
    CLOCK,
    CREW,
    DECIDER,
    HOUR,
    LADDER,
    LEAD,
    T0,
    World,
    acknowledged,
    assignment,
    dispatched,
    given_out,
    steps,
)


def test_yellow_red_and_the_ladder_pass_one_by_one_and_each_is_told_once() -> None:
    world = acknowledged(assignment(1, "dept:water"))
    told = []
    while (at := DECIDER.due(world.state)) is not None:
        assert world.passed(at - timedelta(microseconds=1)) == []
        told += [((at - T0) / HOUR, *steps([fact])[0]) for fact in world.passed(at)]
    assert told == [
        (3.2, "nearly_due", LEAD, None),
        (4.0, "overdue", LEAD, None),
        (4.0, "escalated", LEAD, 1),
        (8.0, "escalated", LEAD, 2),
        (12.0, "escalation_failed", LEAD, 3),
    ]
    assert [fact.unit for fact in world.own if fact.step == "escalated"] == [*LADDER]
    assert world.own[-1].because == "overdue"


def test_after_a_stop_longer_than_every_limit_each_passage_is_told_once_with_its_own_time() -> None:
    world = acknowledged(assignment(1, "dept:water"))
    facts = world.passed(T0 + 1000 * HOUR)
    assert [s[0] for s in steps(facts)] == ["nearly_due", "overdue", "escalated", "escalated", "escalation_failed"]
    assert [fact.due_at for fact in facts if fact.step == "escalated"] == [T0 + 4 * HOUR, T0 + 8 * HOUR]
    assert DECIDER.due(world.state) is None
    assert world.passed(T0 + 2000 * HOUR) == []


def test_at_the_top_of_the_ladder_the_failure_to_escalate_is_told() -> None:
    world = acknowledged(assignment(1, "district:CH", escalated_to=()))
    assert steps(world.passed(T0 + 4 * HOUR))[1:] == [("overdue", LEAD, None), ("escalation_failed", LEAD, 1)]


def test_a_new_deadline_has_passages_of_its_own() -> None:
    world = acknowledged(assignment(1, "dept:water"))
    world.asked(RequestExtension(LEAD, CREW, "no pipe"), T0 + 3 * HOUR)
    world.passed(T0 + 4 * HOUR)
    world.asked(DecideExtension(LEAD, CENTRE, granted=True), T0 + 5 * HOUR, "dispatcher")
    assert DECIDER.due(world.state) == T0 + 6.4 * HOUR
    assert [s[0] for s in steps(world.passed(T0 + 8 * HOUR))] == ["nearly_due", "overdue", "escalated"]


def test_yellow_is_a_share_of_the_limit_on_the_categorys_own_clock() -> None:
    friday = datetime(2026, 5, 15, 0, 0, tzinfo=UTC)  # 08:00 in Shanghai: two working days end on Monday, 18:00
    monday = datetime(2026, 5, 18, 10, 0, tzinfo=UTC)
    plan = assignment(1, "dept:water", start=friday, resolve_by=monday)
    world = World()
    world.took(dispatched(plan, condition="b", filed_at=friday), friday)
    assert CLOCK.yellow_at(world.assignment()) == datetime(2026, 5, 18, 6, 48, tzinfo=UTC)  # 12.8 of 16 working hours
    assert CLOCK.escalates_at(world.assignment(), 2) == datetime(2026, 5, 20, 10, 0, tzinfo=UTC)
    newer = world.assignment().ruling.model_copy(update={"category": "event.new.kind"})
    unknown = replace(world.assignment(), ruling=newer)
    assert CLOCK.yellow_at(unknown) == friday + (monday - friday) * 0.8


@pytest.mark.parametrize("resolve_by", [T0, T0 - HOUR])
def test_a_deadline_that_had_passed_when_it_was_given_is_told_at_once(resolve_by: datetime) -> None:
    world = acknowledged(assignment(1, "dept:water", resolve_by=resolve_by))
    assert len(world.passed(T0)) == 5
    assert DECIDER.due(world.state) is None


def test_a_late_entry_and_a_closed_case_raise_no_alarm() -> None:
    late = given_out(retrospective=True)
    assert DECIDER.due(late.state) is None
    assert late.passed(T0 + 1000 * HOUR) == []
    closed = given_out()
    closed.took(Evaluated(verdict="closed", outcome="forced", reason="by the leader"))
    assert DECIDER.due(closed.state) is None
    assert closed.passed(T0 + 1000 * HOUR) == []
