"""Laws of dispatch's decider that hold for any history."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.engine.decider import Inputs, Refused, decided
from contracts.feedback import Evaluated
from contracts.fields import Fact
from contracts.intake import Supplement
from contracts.progress import Overdue
from contracts.triage import Withdrawn
from contracts.wire import parse
from services.dispatch.domain.case import Case
from services.dispatch.domain.commands import (
    Acknowledge,
    Arrive,
    Command,
    DecideExtension,
    HandOn,
    Note,
    RequestExtension,
    Resolve,
    Return,
    SetOut,
    Supervise,
    Urge,
    actions,
)
from services.dispatch.domain.permissions import By
from services.dispatch.views import item, views
from tests.contracts.strategies import UNHURRIED
from tests.domain.dispatch_story import (
    CASE,
    CENTRAL,
    CENTRE,
    CLOCK,
    CREW,
    DECIDER,
    FIRE,
    GRID,
    LEAD,
    MINUTE,
    RULES,
    STREET,
    STREETS,
    SUPPORT,
    T0,
    UNITS,
    World,
    acknowledged,
    assignment,
    dispatched,
    given_out,
    of,
    partners,
)
from tests.support.facts import event_of

REGISTERED = partners(water=["dept:water"], city=[STREET, GRID])
COMMANDS: list[Command] = [
    *(kind(one, by) for one, by in ((LEAD, CREW), (SUPPORT, FIRE)) for kind in (Acknowledge, SetOut, Arrive, Resolve)),
    *(Acknowledge(LEAD, by) for by in (STREETS, of(GRID))),
    *(HandOn(LEAD, by, GRID, "near") for by in (STREETS, CENTRE)),
    Return(LEAD, CREW, "not ours"),
    Note(SUPPORT, FIRE, "on our way"),
    Urge(LEAD, CENTRE),
    Supervise(SUPPORT, CENTRE, 1, "ordered"),
    RequestExtension(LEAD, CREW, "no pipe"),
    DecideExtension(LEAD, CENTRE, granted=True),
    DecideExtension(LEAD, CENTRE, granted=False, reason="there is one"),
]
OTHERS: list[Fact] = [
    dispatched(),
    dispatched(assignment(1, STREET, of_round=2), of_round=2),
    Withdrawn(reason="it has stopped"),
    Supplement(text="still"),
    Evaluated(verdict="rework", failed=(LEAD,)),
    Evaluated(verdict="closed", outcome="fixed"),
]
SOMETHING = st.one_of(st.sampled_from(COMMANDS), st.sampled_from(OTHERS), st.just("time passes"))
histories = st.lists(st.tuples(SOMETHING, st.integers(0, 400)), max_size=30)


def lived(history: list[tuple[Any, int]]) -> World:
    """A world in which all that was tried, minute after minute, as far as the rules allowed it."""
    world, now = World(REGISTERED), T0
    world.took(dispatched(), now)
    for what, minutes in history:
        now += minutes * MINUTE
        if what == "time passes":
            world.passed(now)
        elif isinstance(what, Fact):
            world.took(what, now)
        else:
            try:
                world.asked(what, now, "dispatcher" if isinstance(what, DecideExtension) else "li")
            except Refused:
                continue
    return world


@UNHURRIED
@given(histories)
def test_facts_survive_the_wire_and_unknown_fields_are_ignored(history: list[tuple[Any, int]]) -> None:
    world = lived(history)
    state = DECIDER.initial
    for topic, raw in world.raws:
        body = orjson.loads(raw)
        body["data"]["added later"] = body["added later"] = {"a": 1}
        state = DECIDER.evolve(state, parse(topic, orjson.dumps(body)))
    assert state == world.state


@UNHURRIED
@given(histories)
def test_every_assignment_ends_once_at_most_and_its_end_names_whose_it_was(history: list[tuple[Any, int]]) -> None:
    world = lived(history)
    ends = [fact for fact in world.own if fact.name == "Resolved"]
    assert len({end.assignment_id for end in ends}) == len(ends)
    for end in ends:
        assert end.unit == world.assignment(end.assignment_id).unit


@UNHURRIED
@given(histories)
def test_a_partner_hears_of_an_assignment_only_between_its_being_told_and_its_end(
    history: list[tuple[Any, int]],
) -> None:
    known: set[tuple[str, str]] = set()
    told: set[tuple[str, str, str]] = set()
    for notice in lived(history).notices():
        if notice.kind == "assigned":
            unit = (notice.to, notice.assignment_id, notice.unit)
            assert unit not in told
            told.add(unit)
            known.add(unit[:2])
        elif notice.kind == "cancelled":
            known.remove((notice.to, notice.assignment_id))
            told -= {one for one in told if one[:2] == (notice.to, notice.assignment_id)}
        elif hasattr(notice, "assignment_id"):
            assert (notice.to, notice.assignment_id) in known


@UNHURRIED
@given(histories, st.integers(0, 5000))
def test_after_the_deadlines_nothing_is_due_until_later_and_a_second_look_says_nothing(
    history: list[tuple[Any, int]], minutes: int
) -> None:
    world = lived(history)
    now = world.events[-1].time + minutes * MINUTE
    world.passed(now)
    due_at = DECIDER.due(world.state)
    assert due_at is None or due_at > now
    assert list(world.passed(now)) == []


@given(st.lists(st.integers(1, 2000), min_size=1, max_size=8), st.booleans())
def test_how_often_the_clock_is_looked_at_does_not_matter(minutes: list[int], acknowledged: bool) -> None:
    seldom, often = given_out(to=REGISTERED), given_out(to=REGISTERED)
    for world in (seldom, often):
        if acknowledged:
            world.asked(Acknowledge(LEAD, CREW), T0)
    for now in sorted(minutes):
        often.passed(T0 + now * MINUTE)
    seldom.passed(T0 + max(minutes) * MINUTE)
    assert list(map(repr, seldom.own)) == list(map(repr, often.own))
    assert seldom.state.assignments == often.state.assignments


@UNHURRIED
@given(histories)
def test_deciding_is_pure(history: list[tuple[Any, int]]) -> None:
    world = lived(history)
    now = world.events[-1].time + MINUTE
    before = repr(world.state)
    for data in OTHERS:
        event, _ = event_of(CASE, data, time=now)
        assert DECIDER.react(event, world.state, world.inputs(now)) == DECIDER.react(
            event, world.state, world.inputs(now)
        )
        DECIDER.evolve(world.state, event)
    for command in COMMANDS:
        assert outcome(command, world) == outcome(command, world)
    assert repr(world.state) == before


def outcome(command: Command, world: World) -> Any:
    try:
        return DECIDER.decide(command, world.state, world.inputs(world.events[-1].time + MINUTE, "li"))
    except Refused as refusal:
        return refusal.rule


ENTERED: Mapping[type[Command], Sequence[tuple[Any, ...]]] = {
    **{kind: [()] for kind in (Acknowledge, SetOut, Arrive, Resolve)},
    Return: [("not ours",)],
    HandOn: [(unit, "near") for unit in (*UNITS.by_id, "dept:none")],
    Note: [("on our way",)],
    Urge: [(), ("they call again",)],
    Supervise: [(level, "ordered", reply_by) for level in (1, 2, 3) for reply_by in (None, T0)],
    RequestExtension: [("no pipe",)],
    DecideExtension: [(True,), (False, "there is one")],
}
"""Command -> what may be entered: some of it fits, whatever the state is."""
ASKING = [
    *(CREW, FIRE, STREETS, of(GRID), of(CENTRAL), CENTRE, By(), By(acceptor=True)),
    *(replace(CENTRE, units=CREW.units), replace(CREW, partner="water"), replace(FIRE, partner="fire")),
]
PEOPLE = ("li", "dispatcher", "partner:water", "somebody else")


@UNHURRIED
@given(histories, st.sampled_from(ASKING), st.sampled_from(PEOPLE), st.integers(0, 400))
def test_actions_say_which_rule_refuses_a_command_whatever_is_entered(
    history: list[tuple[Any, int]], by: By, who: str, minutes: int
) -> None:
    agree_on_what_is_allowed(lived(history), by, who, minutes)


@pytest.mark.parametrize("who", ["helper 0", "somebody else"])
def test_actions_say_so_when_too_many_people_have_acted(who: str) -> None:
    world = acknowledged()
    for n in range(49):
        world.asked(Note(LEAD, CREW, "here"), who=f"helper {n}")
    agree_on_what_is_allowed(world, CREW, who, 1)


def agree_on_what_is_allowed(world: World, by: By, who: str, minutes: int) -> None:
    """Actions refuse a command if decisions do by the same rule, whatever is entered, and only then."""
    inputs = world.inputs(world.events[-1].time + minutes * MINUTE, who)
    for name, one in world.state.assignments.items():
        found = actions(by, one, inputs, RULES)
        assert {*found} == {*get_args(Command)}
        for kind, refused in found.items():
            rules = {rule_against(kind(name, by, *entered), world, inputs) for entered in ENTERED[kind]}
            if refused is None:
                assert None in rules
            else:
                assert rules == {(refused.rule, str(refused))}


def rule_against(command: Command, world: World, inputs: Inputs) -> tuple[str, str] | None:
    """The rule by which a decision refuses the command, and its words."""
    try:
        decided(DECIDER, command, world.state, inputs)
    except Refused as refused:
        return refused.rule, str(refused)
    return None


@given(st.lists(st.sampled_from([*OTHERS, Overdue(assignment_id=LEAD, unit="dept:water", due_at=T0)])))
def test_any_facts_in_any_order_fold(facts: list[Fact]) -> None:
    state: Case = DECIDER.initial
    for data in facts:
        state = DECIDER.evolve(state, event_of(CASE, data, time=T0)[0])
    for one in state.assignments.values():
        item(CASE, one, CLOCK)
    DECIDER.due(state)


@UNHURRIED
@given(histories)
def test_a_row_never_disappears(history: list[tuple[Any, int]]) -> None:
    world = lived(history)
    state, keys = DECIDER.initial, {view.table: set[tuple[Any, ...]]() for view in views(CLOCK)}
    for topic, raw in world.raws:
        state = DECIDER.evolve(state, parse(topic, raw))
        for view in views(CLOCK):
            rows = list(view.rows(CASE, state))
            found = {tuple(row[list(view.columns).index(name)] for name in view.key) for row in rows}
            assert len(found) == len(rows)
            assert keys[view.table] <= found
            keys[view.table] = found
