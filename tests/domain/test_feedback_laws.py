"""Laws of feedback's decider that hold for any history: no order between the topics matters, and folding is pure."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from contracts import causes
from contracts.feedback import Evaluated
from contracts.fields import Fact
from contracts.intake import Reopening
from contracts.progress import Checking, CheckOverdue, Discarded, Forged, Retried
from contracts.status import Standing, shown_by
from contracts.triage import Upheld, Withdrawn
from contracts.wire import Circumstances, build, parse
from services.feedback.domain.case import Case, spans
from services.feedback.domain.commands import FailCheck, PassCheck
from services.feedback.views import CASES, VIEWS
from tests.domain.feedback_story import (
    CALLER,
    CASE,
    CLOSING,
    FEEDBACK,
    FIRE,
    HOUR,
    LEAD,
    NOW,
    TURNS,
    WATER,
    Desk,
    Topics,
    assignment,
    ended,
    event_of,
    extended,
    name,
    plan,
    rated,
    stories,
)


def known(case: Case) -> Case:
    """The case but for how many facts feedback itself has said of it."""
    return replace(case, standing=replace(case.standing, verdict_sequence=0))


def rows(case: Case) -> list[list[tuple[Any, ...]]]:
    return [sorted(view.rows(CASE, case)) for view in VIEWS]


@given(story=stories(), turns=TURNS)
def test_no_order_between_the_topics_matters(story: Topics, turns: list[int]) -> None:
    straight, other = Desk(), Desk()
    straight.hear(*story.interleaved([]))
    other.hear(*story.interleaved(turns))
    assert other.verdicts() == straight.verdicts()
    assert known(other.state) == known(straight.state)
    assert rows(other.state) == rows(straight.state)
    if isinstance(story.assigned[-1].data, Withdrawn):
        assert [verdict.outcome for verdict in other.verdicts()] == ["withdrawn"]
    else:
        assert straight.steps() in (["checking"], ["verified"])
        assert other.published == straight.published
        assert other.state.standing.status in ("checking", "closed")


@given(story=stories(), turns=TURNS)
def test_the_deadline_in_force_is_the_latest_that_dispatch_has_said_in_any_order(
    story: Topics, turns: list[int]
) -> None:
    """Also while the work is open: rulings and extensions alone, in any order."""
    story.resolved.clear()
    desk = Desk()
    desk.hear(*story.interleaved(turns))
    for name_, one in desk.state.assignments.items():
        assert one.plan is not None
        granted = [event.data.due_at for event in story.extended if event.data.assignment_id == name_]
        assert one.resolve_by == max([one.plan.resolve_by, *granted])


@given(story=stories(), turns=TURNS, passes=st.booleans())
def test_no_check_by_rule_passes_where_an_end_that_counts_is_doubtful(
    story: Topics, turns: list[int], passes: bool
) -> None:
    desk = every_way_out(story, turns, passes)
    gone = {
        given.replaces for event in story.assigned if event.data.ruling == "dispatched" for given in event.data.plan
    }
    doubtful = [
        event
        for event in story.resolved
        if event.data.time_doubtful and event.data.outcome == "fixed" and event.data.assignment_id not in gone
    ]
    if doubtful:
        assert all((verdict.checked_by or "").partition(":")[0] != "rule" for verdict in desk.verdicts())


@given(story=stories(), turns=TURNS, at=st.integers(0, 40))
def test_facts_said_again_change_nothing(story: Topics, turns: list[int], at: int) -> None:
    order = story.interleaved(turns)
    desk = Desk()
    desk.hear(*order)
    published, state = list(desk.published), desk.state
    desk.hear(order[at % len(order)])
    assert desk.published == published
    assert desk.state == state
    twice = Desk()
    twice.hear(*(event for event in order for _ in range(2)))
    assert twice.published == published


def every_way_out(story: Topics, turns: list[int], passes: bool) -> Desk:
    desk = Desk()
    desk.hear(*story.interleaved(turns))
    if desk.state.checking is not None:
        desk.on_deadline(NOW + timedelta(days=1))
        desk.give(PassCheck(CALLER) if passes else FailCheck(CALLER, "no"), NOW + timedelta(days=1))
    return desk


@given(story=stories(), turns=TURNS, passes=st.booleans())
def test_every_fact_of_feedback_finds_its_cause_in_what_it_heard_or_said(
    story: Topics, turns: list[int], passes: bool
) -> None:
    marks: causes.Marks = {}
    for place, event in enumerate(every_way_out(story, turns, passes).events, start=1):
        if event.source == "/services/feedback":
            assert causes.cause(event.data, marks) is not None, event.data
        marks = causes.marked(marks, event, place)


@given(story=stories(), turns=TURNS, passes=st.booleans())
def test_deciding_is_pure_and_folding_from_the_wire_gives_the_same_state(
    story: Topics, turns: list[int], passes: bool
) -> None:
    desk, again = every_way_out(story, turns, passes), every_way_out(story, turns, passes)
    assert desk.published == again.published
    state = FEEDBACK.initial
    for event in desk.events:
        _, raw = build(
            event.data,
            Circumstances(
                event_id=event.id,
                source=event.source,
                subject=event.subject,
                time=event.time,
                recorded=event.recordedtime,
                sequence=int(event.sequence),
                actor=event.actor,
            ),
        )
        stranger = orjson.loads(raw)
        stranger["data"]["some_later_field"] = 1
        assert parse(event.topic, orjson.dumps(stranger)) == event
        state = FEEDBACK.evolve(state, parse(event.topic, raw))
    assert state == desk.state


@given(story=stories(), turns=TURNS, passes=st.booleans())
def test_a_row_once_there_never_disappears(story: Topics, turns: list[int], passes: bool) -> None:
    state, seen = FEEDBACK.initial, {view.table: set[tuple[Any, ...]]() for view in VIEWS}
    for event in every_way_out(story, turns, passes).events:
        state = FEEDBACK.evolve(state, event)
        for view in VIEWS:
            found = list(view.rows(CASE, state))
            assert all(len(row) == len(view.columns) for row in found)
            keys = {row[: len(view.key)] for row in found}
            assert len(keys) == len(found)
            assert keys >= seen[view.table]
            seen[view.table] = keys


@given(story=stories(), turns=TURNS, passes=st.booleans())
def test_a_case_has_a_status_that_feedback_shows(story: Topics, turns: list[int], passes: bool) -> None:
    desk = Desk()
    for event in story.interleaved(turns):
        desk.hear(event)
        assert {row[1] for row in CASES.rows(CASE, desk.state)} <= set(shown_by("feedback"))
    assert every_way_out(story, turns, passes).state.standing.status in shown_by("feedback")


def test_a_case_nothing_is_known_of_has_no_rows() -> None:
    assert all(not list(view.rows(CASE, FEEDBACK.initial)) for view in VIEWS)
    assert FEEDBACK.initial.standing == Standing()


SETTLED = {"parked_topic": "Assigned", "partition": 0, "offset": 1, "parked_because": "failed", "reason": "by hand"}
ANY = (
    Retried(**SETTLED),
    Discarded(**SETTLED),
    Forged(forged_topic="Evaluated", partition=0, offset=1, because="unknown"),
    CheckOverdue(due_at=NOW),
    rated(3),
    Reopening(verdict_id=CLOSING, reason="again"),
    Checking(due_at=NOW),
    Evaluated(verdict="rework", failed=(name(1, 1),)),
    Evaluated(verdict="closed", outcome="fixed"),
    plan(2, assignment(2, 1, WATER, replaces=name(2, 1))),
    plan(1, LEAD, retrospective=True),
    ended(name(2, 1), WATER),
    ended(LEAD.id, WATER, "returned"),
    ended(LEAD.id, FIRE),
    extended(LEAD.id, 2, NOW + 8 * HOUR),
    extended(LEAD.id, 1, NOW + 6 * HOUR),
    Upheld(reason="it goes on"),
    Withdrawn(reason="a mistake"),
)


RULINGS = st.lists(
    st.tuples(st.integers(1, 6), st.integers(-6, 6)), min_size=1, max_size=6, unique_by=lambda found: found[0]
)


@given(rulings=RULINGS, hours=st.integers(-8, 8))
def test_at_every_instant_the_latest_round_that_had_been_ruled_is_in_force(
    rulings: list[tuple[int, int]], hours: int
) -> None:
    """In whatever order the rulings come, and also if a clock ran behind between two of them."""
    desk = Desk()
    for sequence, (round_, ruled) in enumerate(rulings, start=1):
        desk.fold(event_of(plan(round_, assignment(round_, 1, WATER)), sequence, NOW + ruled * HOUR))
    at = NOW + hours * HOUR
    found = [
        ruling.round for ruling, since, until in spans(desk.state) if since <= at and (until is None or at < until)
    ]
    before = [round_ for round_, ruled in rulings if ruled <= hours]
    assert found == [max(before) if before else min(round_ for round_, _ in rulings)]


@given(facts=st.lists(st.sampled_from(ANY), max_size=12))
def test_folding_accepts_any_fact_in_any_order(facts: list[Fact]) -> None:
    desk = Desk()
    for sequence, fact in enumerate(facts, start=1):
        desk.fold(event_of(fact, sequence, NOW))
        FEEDBACK.due(desk.state)
        rows(desk.state)
