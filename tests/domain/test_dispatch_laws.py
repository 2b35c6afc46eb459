"""Laws of dispatch's decider that hold for any history."""

from datetime import datetime
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from chassis.decider import Early, Inputs, Refused
from contracts.dispatch import Resolved
from contracts.feedback import Evaluated
from contracts.fields import Fact
from contracts.progress import Progressed
from contracts.triage import Withdrawn
from contracts.wire import parse
from services.dispatch.domain.commands import (
    Acknowledge,
    Arrive,
    Command,
    DecideExtension,
    Note,
    RequestExtension,
    Resolve,
    Return,
    SetOut,
    Supervise,
    Urge,
)
from services.dispatch.domain.state import Case
from services.dispatch.views import item
from tests.domain.dispatch_story import (
    CASE,
    CENTRE,
    CREW,
    DECIDER,
    FIRE,
    LEAD,
    MINUTE,
    RECKONING,
    SUPPORT,
    T0,
    World,
    acknowledged,
    assignment,
    dispatched,
    ended,
)
from tests.support.facts import event_of

COMMANDS: list[Command] = [
    *(kind(one, by) for one, by in ((LEAD, CREW), (SUPPORT, FIRE)) for kind in (Acknowledge, SetOut, Arrive, Resolve)),
    Return(LEAD, CREW, "not ours"),
    Note(SUPPORT, FIRE, "on our way"),
    Urge(LEAD, CENTRE),
    Supervise(SUPPORT, CENTRE, 1, "ordered"),
    RequestExtension(LEAD, CREW, "no pipe"),
    DecideExtension(LEAD, CENTRE, granted=True),
    DecideExtension(LEAD, CENTRE, granted=False, reason="there is one"),
]
OTHERS: list[tuple[Fact, str]] = [
    (dispatched(), "/services/triage"),
    (dispatched(assignment(1, "street:CH/shengdeng", of_round=2), of_round=2), "/services/triage"),
    (Withdrawn(reason="it has stopped"), "/services/triage"),
    (ended(), "/partners/fire"),
    (ended(outcome="returned"), "/partners/fire"),
    (Evaluated(verdict="rework", failed=(LEAD,)), "/services/feedback"),
    (Evaluated(verdict="closed", outcome="fixed"), "/services/feedback"),
]
histories = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(COMMANDS), st.sampled_from(OTHERS), st.just("time passes")), st.integers(0, 400)
    ),
    max_size=30,
)


def lived(history: list[tuple[Any, int]]) -> World:
    """A world in which all that was tried, minute after minute, as far as the rules allowed it."""
    world, now = World(), T0
    world.took(dispatched(), now)
    for what, minutes in history:
        now += minutes * MINUTE
        if what == "time passes":
            world.passed(now)
        elif isinstance(what, tuple):
            world.took(what[0], now, what[1])
        else:
            try:
                world.asked(what, now, "dispatcher" if isinstance(what, DecideExtension) else "li")
            except Refused:
                continue
    return world


@given(histories)
def test_facts_survive_the_wire_and_unknown_fields_are_ignored(history: list[tuple[Any, int]]) -> None:
    world = lived(history)
    state = DECIDER.initial
    for topic, raw in world.raws:
        body = orjson.loads(raw)
        body["data"]["added later"] = body["added later"] = {"a": 1}
        state = DECIDER.evolve(state, parse(topic, orjson.dumps(body)))
    assert state == world.state


@given(histories)
def test_every_assignment_ends_once_at_most(history: list[tuple[Any, int]]) -> None:
    ends = [fact.assignment_id for fact in lived(history).own if isinstance(fact, Resolved)]
    assert len(ends) == len(set(ends))


@given(histories, st.integers(0, 5000))
def test_after_a_lapse_nothing_is_due_until_later_and_a_second_one_says_nothing(
    history: list[tuple[Any, int]], minutes: int
) -> None:
    world = lived(history)
    now = world.events[-1].time + minutes * MINUTE
    world.passed(now)
    due_at = DECIDER.due(world.state)
    assert due_at is None or due_at > now
    assert list(world.passed(now)) == []


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=8))
def test_how_often_the_clock_is_looked_at_does_not_matter(minutes: list[int]) -> None:
    seldom, often = acknowledged(), acknowledged()
    for now in sorted(minutes):
        often.passed(T0 + now * MINUTE)
    seldom.passed(T0 + max(minutes) * MINUTE)
    assert sorted(map(repr, seldom.own)) == sorted(map(repr, often.own))
    assert seldom.state == often.state


@given(histories)
def test_deciding_is_pure(history: list[tuple[Any, int]]) -> None:
    world = lived(history)
    now = world.events[-1].time + MINUTE
    before = repr(world.state)
    for data, source in OTHERS:
        event, _ = event_of(CASE, data, source=source, time=now)
        inputs = Inputs(at=now, now=now, stream=CASE)
        assert DECIDER.react(event, world.state, inputs) == DECIDER.react(event, world.state, inputs)
        DECIDER.evolve(world.state, event)
    for command in COMMANDS:
        inputs = Inputs(at=now, now=now, stream=CASE, actor="li")
        assert outcome(command, world.state, inputs) == outcome(command, world.state, inputs)
    assert repr(world.state) == before


def outcome(command: Command, state: Case, inputs: Inputs) -> Any:
    try:
        return DECIDER.decide(command, state, inputs)
    except Refused as refusal:
        return refusal.rule


@given(st.lists(st.sampled_from([*OTHERS, (Progressed(step="overdue", assignment_id=LEAD), "/services/dispatch")])))
def test_any_facts_in_any_order_fold(facts: list[tuple[Fact, str]]) -> None:
    state = DECIDER.initial
    for data, source in facts:
        state = DECIDER.evolve(state, event_of(CASE, data, source=source, time=T0)[0])
    for work in state.work.values():
        item(RECKONING, CASE, state, work)
    DECIDER.due(state)


TOPICS: dict[str, list[Fact]] = {
    "Assigned": [
        dispatched(),
        dispatched(assignment(1, "dept:water", of_round=2, replaces=LEAD), of_round=2, because="rework"),
    ],
    "Resolved": [
        ended(LEAD, "dept:water"),
        ended(SUPPORT, "dept:fire"),
        ended(LEAD, "dept:water", "returned"),
        ended(f"{CASE}.2.1", "dept:water"),
    ],
    "Evaluated": [Evaluated(verdict="rework", failed=(LEAD,)), Evaluated(verdict="closed", outcome="fixed")],
}


@given(st.permutations([topic for topic, facts in TOPICS.items() for _ in facts]))
def test_the_order_between_topics_does_not_matter(order: list[str]) -> None:
    assert through(order) == through([topic for topic, facts in TOPICS.items() for _ in facts])


def through(order: list[str]) -> Case:
    """What becomes of the case when the topics' facts come in this order, early ones held and tried again."""
    world = World()
    waiting: dict[str, list[tuple[Fact, datetime]]] = {topic: [] for topic in TOPICS}
    seen = dict.fromkeys(TOPICS, 0)
    for topic in order:
        at = T0 + (list(TOPICS).index(topic) * 10 + seen[topic]) * MINUTE
        waiting[topic].append((TOPICS[topic][seen[topic]], at))
        seen[topic] += 1
        moved = True
        while moved:
            moved = False
            for queue in waiting.values():
                while queue and not isinstance(world.took(*queue[0], source="/partners/bench"), Early):
                    queue.pop(0)
                    moved = True
    assert not any(waiting.values())
    return world.state
