"""No step is refused, or dated before what it follows, because the clock of the service that takes it is behind."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from chassis.engine.decider import decided
from services.dispatch.domain import commands as dispatch
from services.feedback.domain import commands as feedback
from services.intake.domain import commands as intake
from services.triage.domain import commands as triage
from tests.domain import dispatch_story, feedback_story, intake_story, triage_story
from tests.domain.dispatch_story import CENTRE, CREW, LEAD
from tests.domain.intake_story import CLOSED

_Steps = tuple[datetime, datetime, int]
"""The last step, the new one, and the number of facts."""


def of_dispatch(told: Callable[[], dispatch_story.World], command: dispatch.Command) -> Callable[[timedelta], _Steps]:
    def run(behind: timedelta) -> _Steps:
        world = told()
        last = world.assignment().last_step_at
        facts = world.asked(command, last - behind)
        return last, world.events[-1].time, len(facts)

    return run


def of_feedback(command: feedback.Command) -> Callable[[timedelta], _Steps]:
    def run(behind: timedelta) -> _Steps:
        desk = feedback_story.checking()
        assert desk.state.checking is not None
        last = desk.state.checking.since
        facts = desk.give(command, last - behind)
        return last, desk.events[-1].time, len(facts)

    return run


def of_triage(told: Callable[[], triage_story.Story], command: triage.Command) -> Callable[[timedelta], _Steps]:
    def run(behind: timedelta) -> _Steps:
        story = told()
        assert story.state.waiting is not None
        last = story.state.waiting.since
        story.now = last - behind
        facts = story.ask(command)
        return last, story.told[-1].time, len(facts)

    return run


def of_intake(command: intake.Command, *facts: Any) -> Callable[[timedelta], _Steps]:
    def run(behind: timedelta) -> _Steps:
        inputs = intake_story.inputs(partners=intake_story.REGISTERED)
        late = type(inputs)(**{**vars(inputs), "at": intake_story.NOW - behind, "now": intake_story.NOW - behind})
        counted, found = decided(intake_story.INTAKE, command, intake_story.case(*facts), late)
        return intake_story.NOW, counted.at, len(found)

    return run


GIVEN, TAKEN = dispatch_story.given_out, dispatch_story.acknowledged
STEPS = {
    "acknowledge": of_dispatch(GIVEN, dispatch.Acknowledge(LEAD, CREW)),
    "hand on": of_dispatch(GIVEN, dispatch.HandOn(LEAD, CENTRE, "dept:fire", "nearer")),
    "remark": of_dispatch(GIVEN, dispatch.Note(LEAD, CREW, "seen")),
    "urge": of_dispatch(GIVEN, dispatch.Urge(LEAD, CENTRE)),
    "supervise": of_dispatch(GIVEN, dispatch.Supervise(LEAD, CENTRE, 1, "late")),
    "set out": of_dispatch(TAKEN, dispatch.SetOut(LEAD, CREW)),
    "arrive": of_dispatch(TAKEN, dispatch.Arrive(LEAD, CREW)),
    "resolve": of_dispatch(TAKEN, dispatch.Resolve(LEAD, CREW)),
    "return": of_dispatch(TAKEN, dispatch.Return(LEAD, CREW, "not ours")),
    "ask for time": of_dispatch(TAKEN, dispatch.RequestExtension(LEAD, CREW, "rain")),
    "pass a check": of_feedback(feedback.PassCheck(feedback_story.CHECKER)),
    "fail a check": of_feedback(feedback.FailCheck(feedback_story.CHECKER, "still wet")),
    "close by force": of_feedback(feedback.ForceClose(feedback_story.CHECKER, "enough")),
    "verify": of_triage(triage_story.verifying, triage.Verify(True)),
    "reject": of_triage(triage_story.waiting, triage.Reject("incomplete", "no word can be understood")),
    "add": of_intake(intake.AddSupplement("more"), intake_story.REPORT),
    "withdraw": of_intake(intake.Withdraw("no"), intake_story.REPORT),
    "rate": of_intake(intake.Rate(2, "slow"), intake_story.REPORT, CLOSED),
    "reopen": of_intake(intake.Reopen("again"), intake_story.REPORT, CLOSED),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("behind", [timedelta(0), timedelta(seconds=1), timedelta(minutes=10), timedelta(days=400)])
def test_a_step_counts_as_at_what_it_follows(step: str, behind: timedelta) -> None:
    last, at, facts = STEPS[step](behind)
    assert facts > 0
    assert at == last
