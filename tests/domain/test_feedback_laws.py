"""Laws of feedback's decider that hold for any history: no order between the topics matters, and folding is pure."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from contracts import causes
from contracts.dispatch import Outcome
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.fields import Fact
from contracts.progress import Checking, CheckOverdue, Discarded, Rated, Retried
from contracts.status import Standing
from contracts.triage import Assignment, CheckMethod, Upheld, Withdrawn
from contracts.wire import build, parse
from services.feedback.domain import Case, FailCheck, PassCheck, Rate
from services.feedback.domain.case import deadline
from services.feedback.views import VIEWS
from tests.domain.feedback_story import (
    CALLER,
    CASE,
    FEEDBACK,
    FIRE,
    GRID,
    HOUR,
    LEAD,
    NOW,
    REPORTER,
    STREET,
    WATER,
    Desk,
    assignment,
    ended,
    event_of,
    extended,
    name,
    plan,
)

TURNS = st.lists(st.integers(0, 2), max_size=80)


@dataclass
class Story:
    """What triage and dispatch say of one case, each topic in its own order."""

    assigned: list[Event[Any]] = field(default_factory=list)
    resolved: list[Event[Any]] = field(default_factory=list)
    extended: list[Event[Any]] = field(default_factory=list)
    said: int = 0
    """How many facts dispatch has said, on both its topics."""

    def ruling(self, fact: Fact) -> None:
        self.assigned.append(event_of(fact, len(self.assigned) + 1, NOW))

    def work(self, topic: list[Event[Any]], fact: Fact) -> None:
        self.said += 1
        topic.append(event_of(fact, self.said, NOW + timedelta(minutes=self.said)))

    def interleaved(self, turns: list[int]) -> list[Event[Any]]:
        """All topics in one order, each keeping its own."""
        topics = [list(self.assigned), list(self.resolved), list(self.extended)]
        order = [topics[turn].pop(0) for turn in turns if topics[turn]]
        return order + [event for topic in topics for event in topic]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """A case's rounds until everything is fixed or cancelled; some assignments are extended, some change hands.

    In some the reporter withdraws before the end, and what is open is cancelled.
    """
    story = Story()
    method: CheckMethod = draw(st.sampled_from(["photo", "rule"]))
    units = [WATER, STREET, FIRE, GRID]
    given = [assignment(1, n + 1, unit, lead=n == 0) for n, unit in enumerate(units[: draw(st.integers(1, 4))])]
    withdrawn_in = draw(st.integers(1, 8))
    for round_ in range(1, 5):
        story.ruling(plan(round_, *given, method=method))
        if draw(st.booleans()):
            story.ruling(Upheld(reason="the matter is urgent"))
        back: list[Assignment] = []
        for n, one in enumerate(given):
            due_at = one.resolve_by
            for count in range(1, draw(st.integers(1, 3))):
                due_at += 4 * HOUR
                story.work(story.extended, extended(one.id, count, due_at))
            outcome: Outcome = draw(st.sampled_from(["fixed", "fixed", "returned", "cancelled"]))
            if round_ == withdrawn_in:
                outcome = "cancelled" if n == len(given) - 1 else draw(st.sampled_from(["fixed", "cancelled"]))
            elif round_ == 4 or (outcome == "cancelled" and one.lead):
                outcome = "fixed"
            if outcome == "returned":
                back.append(one)
            story.work(
                story.resolved,
                ended(
                    one.id,
                    draw(st.sampled_from([one.unit, "district:CH"])),
                    outcome,
                    resolve_by=due_at,
                    handled_by=draw(st.sampled_from([(), ("worker:1",)])),
                    time_doubtful=draw(st.booleans()),
                ),
            )
        if round_ == withdrawn_in:
            story.ruling(Withdrawn(reason="a mistake"))
            return story
        if not back:
            return story
        given = [assignment(round_ + 1, n + 1, one.unit, lead=one.lead, replaces=one.id) for n, one in enumerate(back)]
    raise AssertionError("the last round ends everything")


def known(case: Case) -> Case:
    """The case but for how many facts feedback itself has said of it."""
    return replace(case, standing=replace(case.standing, verdict_sequence=0))


def rows(case: Case) -> list[list[tuple[Any, ...]]]:
    return [sorted(view.rows(CASE, case)) for view in VIEWS]


@given(story=stories(), turns=TURNS)
def test_no_order_between_the_topics_matters(story: Story, turns: list[int]) -> None:
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
    story: Story, turns: list[int]
) -> None:
    """Also while the work is open: rulings and extensions alone, in any order."""
    story.resolved.clear()
    desk = Desk()
    desk.hear(*story.interleaved(turns))
    for task in desk.state.tasks.values():
        granted = [event.data.due_at for event in story.extended if event.data.assignment_id == task.assignment.id]
        assert deadline(desk.state, task) == max([task.assignment.resolve_by, *granted])


@given(story=stories(), turns=TURNS, passes=st.booleans())
def test_no_check_by_rule_passes_where_an_end_that_counts_is_doubtful(
    story: Story, turns: list[int], passes: bool
) -> None:
    desk = every_way_out(story, turns, passes)
    gone = {task.assignment.replaces for task in desk.state.tasks.values()}
    doubtful = [
        event
        for event in story.resolved
        if event.data.time_doubtful and event.data.outcome == "fixed" and event.data.assignment_id not in gone
    ]
    if doubtful:
        assert all((verdict.checked_by or "").partition(":")[0] != "rule" for verdict in desk.verdicts())


@given(story=stories(), turns=TURNS, at=st.integers(0, 40))
def test_facts_said_again_change_nothing(story: Story, turns: list[int], at: int) -> None:
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


def every_way_out(story: Story, turns: list[int], passes: bool) -> Desk:
    desk = Desk()
    desk.hear(*story.interleaved(turns))
    if desk.state.checking is not None:
        desk.lapse(NOW + timedelta(days=1))
        desk.give(PassCheck(CALLER) if passes else FailCheck(CALLER, "no"), NOW + timedelta(days=1))
    if desk.state.closing is not None:
        desk.give(Rate(REPORTER, 4), NOW + timedelta(days=2))
    return desk


@given(story=stories(), turns=TURNS, passes=st.booleans())
def test_every_fact_of_feedback_finds_its_cause_in_what_it_heard_or_said(
    story: Story, turns: list[int], passes: bool
) -> None:
    marks: causes.Marks = {}
    for place, event in enumerate(every_way_out(story, turns, passes).events, start=1):
        if event.source == "/services/feedback":
            assert causes.cause(event.data, marks) is not None, event.data
        marks = causes.marked(marks, event, place)


@given(story=stories(), turns=TURNS, passes=st.booleans())
def test_deciding_is_pure_and_folding_from_the_wire_gives_the_same_state(
    story: Story, turns: list[int], passes: bool
) -> None:
    desk, again = every_way_out(story, turns, passes), every_way_out(story, turns, passes)
    assert desk.published == again.published
    state = FEEDBACK.initial
    for event in desk.events:
        _, raw = build(
            event_id=event.id,
            source=event.source,
            subject=event.subject,
            time=event.time,
            recorded=event.recordedtime,
            sequence=int(event.sequence),
            data=event.data,
            actor=event.actor,
        )
        stranger = orjson.loads(raw)
        stranger["data"]["some_later_field"] = 1
        assert parse(event.data.topic, orjson.dumps(stranger)) == event
        state = FEEDBACK.evolve(state, parse(event.data.topic, raw))
    assert state == desk.state


@given(story=stories(), turns=TURNS, passes=st.booleans())
def test_a_row_once_there_never_disappears(story: Story, turns: list[int], passes: bool) -> None:
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


def test_a_case_nothing_is_known_of_has_no_rows() -> None:
    assert all(not list(view.rows(CASE, FEEDBACK.initial)) for view in VIEWS)
    assert FEEDBACK.initial.standing == Standing()


SETTLED = {"parked_topic": "Assigned", "partition": 0, "offset": 1, "parked_because": "failed", "reason": "by hand"}
ANY = (
    Retried(**SETTLED),
    Discarded(**SETTLED),
    CheckOverdue(due_at=NOW),
    Rated(rating=3),
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


@given(facts=st.lists(st.sampled_from(ANY), max_size=12))
def test_folding_accepts_any_fact_in_any_order(facts: list[Fact]) -> None:
    desk = Desk()
    for sequence, fact in enumerate(facts, start=1):
        desk.fold(event_of(fact, sequence, NOW))
        FEEDBACK.due(desk.state)
        rows(desk.state)
