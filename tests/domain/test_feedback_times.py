"""Feedback's times: the deadline in force, and which instant counts for a command."""

from datetime import timedelta
from typing import Any

import pytest

from contracts.feedback import Evaluated
from services.feedback.domain.commands import FailCheck, ForceClose, PassCheck
from services.feedback.domain.formulas import CLOSING_RATE, FORMULAS
from tests.domain.feedback_story import (
    CHECKER,
    HOUR,
    LEAD,
    LEADER,
    NOW,
    POLICY,
    STREET,
    SUPPORT,
    WATER,
    Desk,
    checking,
    due_at,
    ended,
    extended,
    plan,
    row,
)


def test_an_extension_moves_the_deadline_of_an_open_assignment() -> None:
    desk = Desk()
    desk.take(extended(LEAD.id, 1, NOW + 8 * HOUR), plan(1, LEAD, SUPPORT))
    assert due_at(desk) == NOW + 8 * HOUR
    assert desk.take(extended(LEAD.id, 2, NOW + 12 * HOUR), at=NOW + 7 * HOUR) == []
    assert due_at(desk) == NOW + 12 * HOUR
    shown = row(desk, "assignments")
    assert (shown["planned_by"], shown["resolve_by"]) == (LEAD.resolve_by, NOW + 12 * HOUR)
    assert shown["extensions"] == 2
    assert shown["extended"] == (
        '[{"granted_at":"2026-05-09T08:00:00Z","due_at":"2026-05-09T16:00:00Z"},'
        '{"granted_at":"2026-05-09T15:00:00Z","due_at":"2026-05-09T20:00:00Z"}]'
    )
    assert row(desk, "cases")["due_at"] == NOW + 12 * HOUR


def test_the_latest_extension_counts_in_whatever_order_they_come_and_only_for_its_own_assignment() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT), extended(LEAD.id, 2, NOW + 12 * HOUR), extended(LEAD.id, 1, NOW + 8 * HOUR))
    assert due_at(desk) == NOW + 12 * HOUR
    assert desk.state.assignments[SUPPORT.id].resolve_by == SUPPORT.resolve_by


def test_the_end_says_the_deadline_for_good() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT), ended(LEAD.id, WATER, resolve_by=NOW + 8 * HOUR, extensions=1))
    desk.take(extended(LEAD.id, 1, NOW + 9 * HOUR))
    assert due_at(desk) == NOW + 8 * HOUR
    assert row(desk, "assignments")["extensions"] == 1


def test_a_forced_closing_counts_by_the_deadline_in_force() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD), extended(LEAD.id, 1, NOW + 8 * HOUR))
    desk.give(ForceClose(LEADER, "pulled down"), NOW + HOUR)
    assert desk.verdicts()[-1].due_at == NOW + 8 * HOUR


def test_the_formula_says_that_extensions_move_the_deadline() -> None:
    assert "extensions granted by then" in CLOSING_RATE.definition


def test_every_figure_says_under_what_its_members_count() -> None:
    figures = [one for one in FORMULAS if one.about == "group" and not one.definition.startswith("As ")]
    assert len(figures) > 5
    assert all(
        "counts under the" in one.definition and "Later rulings change nothing" in one.definition for one in figures
    )


SKEW = timedelta(seconds=POLICY.max_future_skew_seconds)
LATER = NOW + 3 * HOUR
COMMANDS = (PassCheck(CHECKER), FailCheck(CHECKER, "still wet"), ForceClose(LEADER, "pulled down"))


@pytest.mark.parametrize("command", COMMANDS)
def test_arrival_counts_and_what_was_claimed_stands_beside_it(command: PassCheck | FailCheck | ForceClose) -> None:
    desk = checking()
    facts: list[Any] = desk.give(command, LATER, claimed=NOW + HOUR)
    assert {(fact.claimed_at, fact.time_doubtful) for fact in facts} == {(NOW + HOUR, False)}
    assert {event.time for event in desk.events[-len(facts) :]} == {LATER}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("claimed", "doubtful"),
    [
        (LATER + SKEW, False),
        (LATER + SKEW + timedelta(seconds=1), True),
        (NOW - SKEW, False),
        (NOW - SKEW - timedelta(seconds=1), True),
    ],
)
def test_a_claim_that_cannot_be_is_doubtful_and_no_reason_to_refuse(
    command: PassCheck | FailCheck | ForceClose, claimed: Any, doubtful: bool
) -> None:
    facts: list[Any] = checking().give(command, LATER, claimed=claimed)
    assert {(fact.claimed_at, fact.time_doubtful) for fact in facts} == {(claimed, doubtful)}


@pytest.mark.parametrize(("hours", "doubtful"), [(1, True), (2, False)])
def test_what_is_done_at_a_check_follows_the_begin_of_the_check(hours: int, doubtful: bool) -> None:
    """The work was done at once, and feedback heard of it two hours later."""
    desk = Desk(now=NOW + 2 * HOUR)
    desk.take(plan(1, LEAD), ended(LEAD.id, WATER))
    facts: list[Any] = desk.give(PassCheck(CHECKER), LATER, claimed=NOW + hours * HOUR)
    assert {fact.time_doubtful for fact in facts} == {doubtful}


def test_a_forced_closing_of_open_work_follows_what_is_known_of_the_work() -> None:
    desk = Desk()
    desk.take(plan(1, LEAD, SUPPORT))
    desk.take(ended(SUPPORT.id, STREET), at=NOW + 2 * HOUR)
    (verdict,) = desk.give(ForceClose(LEADER, "pulled down"), LATER, claimed=NOW + HOUR)
    assert isinstance(verdict, Evaluated)
    assert verdict.time_doubtful


def retrospective(at: timedelta) -> Desk:
    """A case of May that is entered much later, and whose work was done at NOW + 3 h."""
    desk = Desk(now=NOW + at)
    desk.take(plan(1, LEAD, retrospective=True), at=desk.now)
    desk.take(ended(LEAD.id, WATER, handled_by=("worker:1",)), at=NOW + 3 * HOUR)
    assert desk.steps() == ["checking"]
    return desk


def test_in_a_retrospective_case_the_claimed_time_counts_between_what_it_follows_and_its_arrival() -> None:
    now = NOW + timedelta(days=900)
    desk = retrospective(timedelta(days=900))
    facts: list[Any] = desk.give(PassCheck(CHECKER), now, claimed=NOW + 5 * HOUR)
    assert desk.state.closing is not None
    assert desk.state.closing.at == NOW + 5 * HOUR
    assert {(fact.claimed_at, fact.time_doubtful) for fact in facts} == {(None, False)}
    desk = retrospective(timedelta(days=900))
    facts = desk.give(PassCheck(CHECKER), now, claimed=NOW + HOUR)
    assert desk.state.closing is not None
    assert desk.state.closing.at == NOW + 3 * HOUR, "not before the work was done"
    assert {(fact.claimed_at, fact.time_doubtful) for fact in facts} == {(NOW + HOUR, True)}


def test_in_a_retrospective_case_arrival_counts_for_whoever_is_not_to_be_believed() -> None:
    now = NOW + timedelta(days=900)
    desk = retrospective(timedelta(days=900))
    desk.give(PassCheck(CHECKER), now, claimed=NOW + 5 * HOUR, believed=False)
    assert desk.state.closing is not None
    assert desk.state.closing.at == now
