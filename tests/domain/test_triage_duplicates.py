"""What triage takes for the same matter, and what not."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chassis.engine.decider import Inputs, Unfit
from contracts.fields import Fact
from contracts.fields import Place as Where
from contracts.intake import Withdrawal
from contracts.territory import metres_between
from contracts.triage import Dispatched, Merged
from services.triage.domain.case import Case
from services.triage.domain.neighbours import Neighbourhood, open_case
from tests.domain.triage_story import (
    CASE,
    CATALOGUE,
    CLOSED,
    GRID,
    MAIN,
    NOW,
    OTHER,
    POTHOLE,
    RULES,
    Story,
    at,
    event,
    report,
)

# duplicates


def told(place: Where, minutes: float = 0, case: str = OTHER, category: str = MAIN, **more: Any) -> Any:
    """Another report, as an event."""
    made = report(category, place=place, **more)
    return event(made, case=case, when=NOW + timedelta(minutes=minutes), number=99)


def second(place: Where, minutes: float = 0, category: str = MAIN, first: Where | None = None, **more: Any) -> Fact:
    """What follows from a second report, when the first lies at 30.005."""
    story = Story()
    story.hear(report(category, place=first or at(30.005), **more.pop("of_first", {})))
    assert story.near is not None
    again = told(place, minutes, category=category, **more)
    inputs = Inputs(at=NOW, now=NOW, stream=OTHER, context=story.near)
    outcome = story.decider.react(again, Case(), inputs)
    assert not isinstance(outcome, Unfit)
    [fact] = outcome
    return fact


METRE = 1 / 111_195
PLACE = at(30.005)


@pytest.mark.parametrize(
    ("place", "minutes", "more", "merged"),
    [
        (at(30.005 + 29 * METRE), 0, {}, True),
        (at(30.005 + 31 * METRE), 0, {}, False),
        (at(30.005, 104.005 + 33 * METRE), 0, {}, True),
        (PLACE, 72 * 60, {}, True),
        (PLACE, 72 * 60 + 1, {}, False),
        (PLACE, -72 * 60, {}, True),
        (PLACE, 0, {"retrospective": True}, False),
        (Where(area=GRID), 0, {}, True),
        (Where(area=f"{GRID}/s01"), 0, {}, True),
        (Where(area="CH/north/mill/g002"), 0, {}, False),
        (Where(area="CH/north/mill"), 0, {}, False),
    ],
)
def test_a_second_report_of_one_thing_is_merged_into_the_first(
    place: Where, minutes: float, more: dict[str, Any], merged: bool
) -> None:
    manhole = "component.public-facilities.manhole"
    fact = second(place, minutes, manhole, **more)
    assert isinstance(fact, Merged if merged else Dispatched)
    if isinstance(fact, Merged):
        assert (fact.into, fact.category, fact.said) == (CASE, manhole, "water gushes out of the road")
        assert f"the same as case {CASE}" in fact.explanation.rules[-1]


def test_two_communities_are_two_matters_also_across_a_street() -> None:
    assert isinstance(second(at(30.0201), first=at(30.0199)), Dispatched)
    assert isinstance(second(at(30.0198), first=at(30.0199)), Merged)


def test_another_category_is_another_matter() -> None:
    story = Story()
    story.hear(report(POTHOLE, place=PLACE))
    assert isinstance(story.decider.react(told(PLACE), Case(), story.inputs()), list)
    near = story.near
    assert near is not None
    assert near.duplicate(told(PLACE), CATALOGUE.by_code[MAIN], GRID) is None
    assert near.duplicate(told(PLACE, category=POTHOLE), CATALOGUE.by_code[POTHOLE], GRID) is not None


PERSONAL = (
    "event.emergency.public-safety-injury",
    "event.emergency.public-safety-order",
    "event.emergency.public-safety-property",
    "dispute.family.violence",
    "dispute.labour.wages",
    "dispute.neighbour.quarrel",
    "service.finance.tax",
    "component.greening.other",
)


@pytest.mark.parametrize("category", PERSONAL)
@pytest.mark.parametrize(
    ("first", "again", "merged"),
    [
        ("reporter:1", "reporter:1", True),
        ("reporter:1", "reporter:2", False),
        ("reporter:1", None, False),
        (None, None, False),
    ],
)
def test_what_is_about_persons_is_repeated_by_the_same_reporter_only(
    category: str, first: str | None, again: str | None, merged: bool
) -> None:
    fact = second(PLACE, category=category, reporter_ref=again, of_first={"reporter_ref": first})
    assert isinstance(fact, Merged) == merged
    if isinstance(fact, Dispatched):
        assert any("no open case" in rule and "by the same reporter" in rule for rule in fact.explanation.rules)


def test_a_case_still_to_be_verified_is_merged_into_as_well() -> None:
    fact = second(PLACE, category=POTHOLE, channel="citizen", of_first={"channel": "citizen"})
    assert isinstance(fact, Merged)


@pytest.mark.parametrize("end", [CLOSED, Withdrawal(reason="dried up")])
def test_nothing_is_merged_into_a_case_that_is_over(end: Fact) -> None:
    story = Story()
    story.hear(report(place=PLACE))
    assert story.near is not None
    assert story.near.duplicate(told(PLACE), CATALOGUE.by_code[MAIN], GRID) is not None
    story.hear(end)
    assert story.near.duplicate(told(PLACE), CATALOGUE.by_code[MAIN], GRID) is None


spots = st.builds(
    lambda north, east, point: corner(north, east) if point else Where(area=corner(north, east).area),
    st.integers(0, 599),
    st.integers(0, 199),
    st.booleans(),
)


def corner(north: int, east: int) -> Where:
    """A point of a raster that avoids the edges of the grids."""
    return at(30 + (north + 0.5) / 20_000, 104 + (east + 0.5) / 20_000)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(spots, st.integers(0, 100)), min_size=1, max_size=30), spots, st.integers(0, 100))
def test_the_nearest_duplicate_is_the_one_a_plain_search_finds(
    others: list[tuple[Where, int]], place: Where, hour: int
) -> None:
    category = CATALOGUE.by_code["component.public-facilities.public-toilet"]
    near = Neighbourhood(RULES)
    cases = []
    for n, (where, seen) in enumerate(others):
        made = told(where, seen * 60, case=f"019e0a9c-1f78-7c3e-8b1a-{n:012x}", category=category.code)
        cases.append(open_case(made.subject, made, category.code, where.area or ""))
    near.add(cases)
    new = told(place, hour * 60, category=category.code)
    area = place.area or ""
    found = []
    for one in cases:
        apart = abs(one.reported_at - new.time) <= timedelta(hours=category.duplicates.window_hours)
        if place.point is not None and one.point is not None:
            metres = metres_between(place.point, one.point)
            close = metres <= category.duplicates.radius_m and one.area.split("/")[:3] == area.split("/")[:3]
        else:
            metres, close = 1e9, one.area.split("/")[:4] == area.split("/")[:4]
        if apart and close:
            found.append((metres, one.reported_at, one.case_id))
    duplicate = near.duplicate(new, category, area)
    assert (duplicate.case_id if duplicate else None) == (min(found)[2] if found else None)
    for one in cases:
        near.remove(one.case_id)
    assert near.duplicate(new, category, area) is None
