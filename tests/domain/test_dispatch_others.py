"""What cases have to do with each other: who works on a leader hears how many have joined it, and what they add."""

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import pytest

from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.fields import Fact
from contracts.intake import Supplement
from contracts.progress import Supplemented
from contracts.triage import Withdrawn
from services.dispatch.domain.commands import Acknowledge, Resolve
from tests.domain.dispatch_story import (
    CASE,
    CREW,
    FIRE,
    HOUR,
    LEAD,
    MINUTE,
    OTHER,
    SUPPORT,
    T0,
    WATER_AND_FIRE,
    WATER_ONLY,
    World,
    acknowledged,
    added,
    assignment,
    dispatched,
    follower,
    given_out,
    merged,
    told,
)
from tests.support.facts import case_id, event_of


def test_a_merger_and_all_that_was_added_before_is_for_the_leader_to_hear() -> None:
    world = World(case=OTHER)
    for text in ("the cellar is full", "still"):
        assert world.met(Supplement(text=text))[1] == []
    _, heard = world.met(merged())
    assert [(event.data, leader) for event, leader in heard] == [
        (merged(), CASE),
        (Supplement(text="the cellar is full"), CASE),
        (Supplement(text="still"), CASE),
    ]


def test_what_is_added_to_a_merged_case_is_for_its_leader_until_it_is_given_out_itself() -> None:
    world = World(case=OTHER)
    world.met(merged())
    assert [leader for _, leader in world.met(Supplement(text="still"))[1]] == [CASE]
    world.met(dispatched(assignment(1, "dept:water", id=f"{OTHER}.1.1")))
    assert world.met(Supplement(text="still"))[1] == []


def test_a_merger_is_a_step_of_the_leader_and_is_told_to_who_has_open_work_in_it() -> None:
    world = acknowledged(to=WATER_AND_FIRE)
    world.asked(Resolve(SUPPORT, FIRE))
    facts = world.hears(follower(said="no water since noon"))
    [joined, notice] = facts
    assert (joined.case_id, joined.count, joined.said) == (OTHER, 1, "no water since noon")
    assert (notice.to, notice.assignment_id, notice.joined, notice.said) == ("water", LEAD, 1, "no water since noon")


def test_what_a_merged_case_adds_is_told_without_who_said_it() -> None:
    world = acknowledged(to=WATER_AND_FIRE)
    assert told(world.hears(added("still"))) == [("water", "supplement", None), ("fire", "supplement", None)]


def test_what_a_merged_case_adds_is_a_step_of_the_leader_and_is_told_with_what_is_given_out_later() -> None:
    world = World(WATER_ONLY)
    world.hears(follower())
    for text in ("the cellar is full", "still", "still"):
        [step] = world.hears(added(text))
        assert (step.step, step.case_id, step.text) == ("supplemented", OTHER, text)
    facts = world.took(dispatched(assignment(1, "dept:water")))
    assert [getattr(fact, "text", None) for fact in facts if fact.kind == "supplement"] == [
        "the cellar is full",
        "still",
        "still",
    ]
    world.took(Supplement(text="here, too"))
    world.partners = WATER_AND_FIRE
    [_, *supplements] = world.took(dispatched(assignment(2, "dept:fire", of_round=2), of_round=2))
    assert [fact.text for fact in supplements if fact.kind == "supplement"][-1] == "here, too"
    assert len(world.notices("fire")) == 1 + 1 + 4


def test_what_the_case_itself_said_does_not_come_back_to_it_through_another_case() -> None:
    world = acknowledged(to=WATER_ONLY)
    world.took(Supplement(text="still"))
    step = Supplemented(case_id=CASE, supplement_id=world.events[-1].id, text="still")
    before = list(world.own)
    assert list(world.hears(event_of(OTHER, step, time=T0)[0])) == []
    assert world.own == before


def test_what_was_heard_is_not_heard_again() -> None:
    world = acknowledged(to=WATER_ONLY)
    events = [follower(), added("still"), follower(case=case_id()), added("still")]
    for event in events:
        world.hears(event)
    before = list(world.own)
    for event in events:
        assert list(world.hears(event)) == []
    assert world.own == before
    assert [fact.count for fact in before if fact.name == "Progressed" and fact.step == "joined"] == [1, 2]


def test_a_leader_that_was_not_given_out_yet_tells_of_each_one_that_joined_with_its_plan() -> None:
    world = World(WATER_ONLY)
    world.hears(follower(said="first"))
    world.hears(follower(said="second", case=case_id()))
    assert told(world.own) == []
    facts = world.took(dispatched(assignment(1, "dept:water")))
    assert [(fact.kind, getattr(fact, "joined", None), getattr(fact, "said", None)) for fact in facts] == [
        ("assigned", None, None),
        ("changed", 1, "first"),
        ("changed", 2, "second"),
    ]


def test_a_leader_that_was_merged_itself_notes_who_joined_and_tells_nobody() -> None:
    world = acknowledged(to=WATER_ONLY)
    world.took(merged(into=case_id()))
    assert [fact.step for fact in world.hears(follower())] == ["joined"]
    assert [fact.step for fact in world.hears(added("still"))] == ["supplemented"]


@pytest.mark.parametrize("over", [Withdrawn(reason="it has stopped"), Evaluated(verdict="closed", outcome="fixed")])
def test_whose_work_is_over_hears_no_more(over: Withdrawn | Evaluated) -> None:
    world = acknowledged(to=WATER_ONLY)
    world.took(over, T0 + HOUR)
    assert told(world.hears(follower())) == []
    assert told(world.hears(added("still"))) == []


LIVED: list[tuple[str, Fact | Event[Any]]] = [
    ("Assigned", dispatched()),
    ("ReportFiled", Supplement(text="the cellar is full")),
    ("ReportFiled", Supplement(text="still")),
    ("merged", follower(said="first", case=case_id())),
    ("merged", follower(said="second", case=case_id())),
    ("Evaluated", Evaluated(verdict="rework", failed=(LEAD,))),
]


def orders() -> Iterator[list[Fact | Event[Any]]]:
    """All orders of `LIVED` in which each topic keeps its own; the mergers, too, so that the first counts as one."""
    for order in permutations(range(len(LIVED))):
        places = {topic: [n for n in order if LIVED[n][0] == topic] for topic, _ in LIVED}
        if all(found == sorted(found) for found in places.values()):
            yield [LIVED[n][1] for n in order]


def lived(world: World, one: Fact | Event[Any]) -> None:
    if isinstance(one, Event):
        world.hears(one, T0)
    else:
        world.took(one, T0)


def test_in_whatever_order_the_topics_bring_them_the_facts_are_the_same() -> None:
    outcomes = set()
    for order in orders():
        world = World(WATER_AND_FIRE)
        for one in order:
            lived(world, one)
        outcomes.add(tuple(sorted(map(repr, world.own))))
    [facts] = outcomes
    assert len(facts) == 2 + 2 + 4 + 4  # joined; and for each of two partners assigned, twice changed, twice supplement


def test_the_verdict_may_overtake_the_plan_and_the_mergers() -> None:
    plan = dispatched(assignment(1, "dept:water"))
    closed = Evaluated(verdict="closed", outcome="fixed")
    outcomes = set()
    for order in permutations((plan, closed, follower())):
        world = World(WATER_ONLY)
        for one in order:
            lived(world, one)
        facts = [fact for fact in world.own if getattr(fact, "kind", None) != "changed"]  # of open work only
        outcomes.add(tuple(sorted(map(repr, facts))))
    [told_of] = outcomes
    assert len(told_of) == 5  # joined; the end; assigned, cancelled, closed


def test_the_followers_own_crew_is_called_off_and_told_that_its_case_is_closed() -> None:
    world = World(WATER_ONLY, case=OTHER)
    world.took(dispatched(assignment(1, "dept:water", id=f"{OTHER}.1.1")))
    world.asked(Acknowledge(f"{OTHER}.1.1", CREW))
    assert told(world.took(merged(), T0 + MINUTE)) == [("water", "cancelled", f"{OTHER}.1.1")]
    duplicate = Evaluated(verdict="closed", outcome="duplicate")
    assert told(world.took(duplicate, T0 + HOUR)) == [("water", "case_closed", None)]


def test_a_thousand_that_join_are_counted_and_told_one_by_one() -> None:
    world = given_out(assignment(1, "dept:water"), to=WATER_ONLY)
    for _ in range(1000):
        world.hears(follower(case=case_id()))
    changes = [notice.joined for notice in world.notices("water") if notice.kind == "changed"]
    assert changes == list(range(1, 1001))
