"""The bounds of what may be asked of an assignment: the last that is allowed, and the first that is not."""

from datetime import datetime, timedelta

import pytest

from chassis.engine.decider import Refused
from contracts.progress import Noted
from services.dispatch.domain.commands import (
    Acknowledge,
    Command,
    DecideExtension,
    RequestExtension,
    Resolve,
    Supervise,
    Urge,
    actions,
)
from tests.domain.dispatch_story import (
    CENTRE,
    CREW,
    HOUR,
    LEAD,
    MINUTE,
    RULES,
    T0,
    World,
    acknowledged,
    assignment,
    given_out,
)


def refused(world: World, asked: Command, at: datetime = T0 + MINUTE, who: str = "li") -> str:
    """The rule that forbids it."""
    with pytest.raises(Refused) as refusal:
        world.asked(asked, at, who)
    return refusal.value.rule


@pytest.mark.parametrize("handlers", [58, 59])
def test_fifty_nine_people_act_on_an_assignment_at_most_and_each_of_them_to_the_end(handlers: int) -> None:
    world = acknowledged(assignment(1, "dept:water"))
    for n in range(handlers - 1):
        step = Noted(assignment_id=LEAD, unit="dept:water", note="here")
        world.fold(step, T0 + MINUTE, "/services/dispatch", actor=f"helper {n}")
    assert len(world.assignment().handled_by) == handlers
    if handlers == 59:
        assert refused(world, Resolve(LEAD, CREW), who="one more") == "assignment.handlers"
        assert world.asked(Resolve(LEAD, CREW), who="helper 57")
    else:
        assert world.asked(Resolve(LEAD, CREW), who="one more")


def test_an_extension_is_requested_only_by_who_has_acknowledged() -> None:
    assert refused(given_out(), RequestExtension(LEAD, CREW, "no pipe")) == "step.order"


@pytest.mark.parametrize(("planned", "granted"), [(0, 0), (1, 1), (2, 2), (3, 2)])
def test_an_assignment_is_extended_as_often_as_both_its_plan_and_the_policy_allow(planned: int, granted: int) -> None:
    ends = tuple(T0 + 4 * (n + 2) * HOUR for n in range(planned))
    world = acknowledged(assignment(1, "dept:water", extensions=ends))
    for n in range(granted):
        world.asked(RequestExtension(LEAD, CREW, "no pipe"))
        [fact] = world.asked(DecideExtension(LEAD, CENTRE, granted=True), who="dispatcher")
        assert (fact.count, fact.due_at) == (n + 1, ends[n])
    assert refused(world, RequestExtension(LEAD, CREW, "no pipe")) == "extension.limit"


def test_an_assignment_is_urged_again_from_the_minute_that_the_refusal_names() -> None:
    world = acknowledged()
    world.asked(Urge(LEAD, CENTRE), T0 + MINUTE)
    again_at = T0 + 31 * MINUTE
    with pytest.raises(Refused, match="it may be urged again from 2026-05-09 02:31Z"):
        world.asked(Urge(LEAD, CENTRE), again_at - timedelta(microseconds=1))
    assert world.asked(Urge(LEAD, CENTRE), again_at)


def test_a_refusal_says_when_the_assignment_ended_or_became_overdue() -> None:
    world = acknowledged()
    with pytest.raises(Refused, match="it is overdue since 2026-05-09 06:00Z"):
        world.asked(RequestExtension(LEAD, CREW, "no pipe"), T0 + 4 * HOUR)
    world.asked(Resolve(LEAD, CREW), T0 + HOUR)
    with pytest.raises(Refused, match="the assignment ended as fixed at 2026-05-09 03:00Z"):
        world.asked(Resolve(LEAD, CREW))


def test_supervision_may_be_said_again_at_its_level_with_another_time_for_the_reply() -> None:
    world = given_out()
    world.asked(Supervise(LEAD, CENTRE, 2, "ordered"))
    [again] = world.asked(Supervise(LEAD, CENTRE, 2, "ordered again", T0 + HOUR))
    assert (again.level, again.reply_by) == (2, T0 + HOUR)


def test_a_reply_is_demanded_by_an_instant_after_this_one() -> None:
    world = given_out()
    assert refused(world, Supervise(LEAD, CENTRE, 1, "ordered", T0 + HOUR), T0 + HOUR) == "supervise.reply_by"
    later = T0 + HOUR + timedelta(microseconds=1)
    assert world.asked(Supervise(LEAD, CENTRE, 1, "ordered", later), T0 + HOUR)


def test_actions_on_a_late_entry_are_those_of_the_time_that_the_caller_states() -> None:
    world = given_out(assignment(1, "dept:water", start=T0 - 90 * HOUR), retrospective=True, filed_at=T0 - 90 * HOUR)
    in_time = T0 - 89 * HOUR
    world.asked(Acknowledge(LEAD, CREW), T0, claimed=in_time)
    inputs = world.inputs(T0 + MINUTE, "li", claimed=in_time)
    assert actions(CREW, world.assignment(), inputs, RULES)[RequestExtension] is None
    by_now = actions(CREW, world.assignment(), world.inputs(T0 + MINUTE, "li"), RULES)[RequestExtension]
    assert by_now is not None
    assert by_now.rule == "extension.overdue"
    assert world.asked(RequestExtension(LEAD, CREW, "no pipe"), T0 + MINUTE, claimed=in_time)
