"""What feedback says may be done with a case: as the commands themselves would be decided, whatever its history."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.engine.decider import Inputs, Refused, refusal
from contracts.triage import Rejected
from services.feedback.domain.case import Case, done
from services.feedback.domain.commands import Action, By, Command, FailCheck, ForceClose, PassCheck, actions
from tests.domain.feedback_story import (
    CALLER,
    CASE,
    CHECKER,
    FEEDBACK,
    GRID,
    LEAD,
    LEADER,
    OTHER,
    REPORTER,
    TURNS,
    WATER,
    Desk,
    Topics,
    checking,
    closed,
    name,
    plan,
    stories,
)
from tests.support import rulings

WORKER, PLUMBER = By("worker:1", GRID), By("worker:9", WATER)
PEOPLE = st.sampled_from([CHECKER, CALLER, LEADER, REPORTER, WORKER, PLUMBER])
WAYS = st.lists(st.sampled_from(["pass", "fail", "force", "merge"]), max_size=5)


def complete(action: Action, by: By, case: Case) -> list[Command]:
    """Entries that break no rule about what is entered."""
    match action:
        case "check":
            failed = tuple(one.assignment_id for one, _ in done(case))
            return [PassCheck(by), FailCheck(by, "still wet"), FailCheck(by, "still wet", failed=failed)]
        case "force_closing":
            return [ForceClose(by, "pulled down")]


def incomplete(action: Action, by: By) -> list[Command]:
    """Entries that break such a rule."""
    return [FailCheck(by, "still wet", failed=(name(9, 9),))] if action == "check" else []


def go(desk: Desk, way: str) -> None:
    """One thing that may happen to a case at any time."""
    commands: dict[str, Command] = {
        "pass": PassCheck(CALLER),
        "fail": FailCheck(CALLER, "still wet"),
        "force": ForceClose(LEADER, "pulled down"),
    }
    if way == "merge":
        desk.take(rulings.merged(OTHER), at=desk.now)
    else:
        try:
            desk.give(commands[way], desk.now)
        except Refused:
            return


@settings(max_examples=300)
@given(story=stories(), turns=TURNS, heard=st.integers(0, 40), ways=WAYS, by=PEOPLE)
def test_an_action_is_refused_by_the_rule_that_refuses_its_command_whatever_is_entered(
    story: Topics, turns: list[int], heard: int, ways: list[str], by: By
) -> None:
    desk = Desk()
    desk.hear(*story.interleaved(turns)[:heard])
    for way in ways:
        go(desk, way)
    case, inputs = desk.state, Inputs(at=desk.now, now=desk.now, stream=CASE, actor=by.subject)
    for action, refused in actions(by, case, inputs).items():
        right = [refusal(FEEDBACK.decide, command, case, inputs) for command in complete(action, by, case)]
        wrong = [refusal(FEEDBACK.decide, command, case, inputs) for command in incomplete(action, by)]
        if refused is None:
            assert right == [None] * len(right)
            assert all(one is not None and one.rule == "check.failed" for one in wrong)
        else:
            assert None not in (*right, *wrong)
            assert {(one.rule, str(one)) for one in (*right, *wrong) if one} == {(refused.rule, str(refused))}


def rules(by: By, desk: Desk) -> tuple[str | None, ...]:
    """The rules that forbid the person to check and to close by force."""
    found = actions(by, desk.state, Inputs(at=desk.now, now=desk.now, stream=CASE, actor=by.subject))
    return tuple(one.rule if one else None for one in found.values())


def called_back() -> Desk:
    return checking("call_back")


def merged() -> Desk:
    desk = checking()
    desk.take(rulings.merged(OTHER))
    return desk


def rejected() -> Desk:
    """Closed without ever being filed."""
    desk = Desk()
    desk.take(Rejected(why="not_ours", reason="another district"))
    return desk


def dispatched() -> Desk:
    desk = Desk()
    desk.take(plan(1, LEAD))
    return desk


@pytest.mark.parametrize(
    ("story", "by", "expected"),
    [
        (Desk, LEADER, ("unknown", "unknown")),
        (dispatched, CHECKER, ("check.not_ready", None)),
        (checking, CHECKER, (None, None)),
        (checking, WORKER, ("check.separation", "closing.separation")),
        (checking, PLUMBER, ("check.separation", "closing.separation")),
        (called_back, CHECKER, ("check.by", None)),
        (called_back, CALLER, (None, None)),
        (closed, REPORTER, ("case.closed", "case.closed")),
        (rejected, LEADER, ("case.closed", "case.closed")),
        (merged, REPORTER, ("case.closed", "case.closed")),
    ],
)
def test_what_may_be_done_depends_on_who_asks_and_on_what_the_case_waits_for(
    story: Callable[[], Desk], by: By, expected: tuple[str | None, ...]
) -> None:
    assert rules(by, story()) == expected
