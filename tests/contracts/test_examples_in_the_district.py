"""The examples take place in the reference district: places, categories, units, members and deadlines are its own."""

from collections.abc import Iterator
from typing import Any

import pytest

from contracts.clocks import advance, due, length
from contracts.export.examples import scenario
from contracts.fields import Place
from contracts.progress import HandedOn, Verifying
from contracts.reference import Calendar
from contracts.request import FileReport
from contracts.territory import Territory
from contracts.triage import Assignment, Dispatched
from deploy.district.__main__ import HERE
from tests.district.generated import Generated, generate

EVENTS = [example.event for example in scenario()]
NAMES = {example.event.id: example.file_name for example in scenario()}
CATEGORIES = {event.subject: event.data.category for event in EVENTS if isinstance(event.data, Dispatched)}
"""Case -> what its rounds say it is about."""
ROUNDS = [event for event in EVENTS if isinstance(event.data, Dispatched)]


def named(event: Any) -> str:
    return NAMES[event.id]


def with_field(*fields: str) -> list[Any]:
    """The events that say something in one of these fields."""
    return [event for event in EVENTS if any(getattr(event.data, field, None) is not None for field in fields)]


@pytest.fixture(scope="module")
def district() -> Generated:
    return generate("full")


@pytest.fixture(scope="module")
def territory(district: Generated) -> Territory:
    return Territory(district.areas, district.places)


@pytest.mark.parametrize("event", with_field("place"), ids=named)
def test_a_place_lies_where_it_says(event: Any, territory: Territory) -> None:
    if not isinstance(event.data, FileReport):
        assert territory.locate(event.data.place).place == event.data.place
        return
    reported = Place.model_validate(event.data.place.model_dump())
    filed = [fact.data.place for fact in EVENTS if fact.causationid == event.id and fact.data.name == "ReportFiled"]
    assert [territory.locate(reported).place] == filed


@pytest.mark.parametrize("event", with_field("area"), ids=named)
def test_an_area_is_there_and_that_of_the_case(event: Any, district: Generated) -> None:
    reported = [
        one.data.place.area for one in EVENTS if one.subject == event.subject and named(one)[:15] == "ReportFiled.new"
    ]
    assert [event.data.area] == reported
    assert event.data.area in district.areas.by_path


@pytest.mark.parametrize("event", with_field("category"), ids=named)
def test_a_category_is_in_the_catalogue(event: Any, district: Generated) -> None:
    assert event.data.category in district.catalogue.by_code


@pytest.mark.parametrize("event", ROUNDS, ids=named)
def test_a_round_is_as_the_catalogue_says(event: Any, district: Generated) -> None:
    ruling, calendar = event.data, Calendar.model_validate_json((HERE / "calendar.json").read_bytes())
    category = district.catalogue.by_code[ruling.category]
    (condition,) = (one for one in category.conditions if one.code == ruling.condition)
    assert ruling.closing == f"{condition.closing} / {condition.closing_en}"
    assert ruling.priority == category.priority
    assert (ruling.check.method, ruling.check.by) == (category.check.method, category.check.by)
    assert ruling.round > 1 or ruling.plan[0].unit == category.lead.unit
    for part in ruling.plan:
        limit = length(condition.resolve, calendar)
        assert part.acknowledge_by == due(event.time, condition.acknowledge, calendar)
        assert part.resolve_by == due(event.time, condition.resolve, calendar)
        for number, later in enumerate(part.extensions, 1):
            assert later == advance(part.resolve_by, number * limit, condition.resolve.clock, calendar)


def units_of(event: Any) -> Iterator[str]:
    """The units that an event names."""
    yield from (unit for field in ("unit", "by") if isinstance(unit := getattr(event.data, field, None), str))
    for part in getattr(event.data, "plan", ()):
        yield from (part.unit, *part.escalated_to)
    yield from (score.unit for score in getattr(event.data, "scores", ()) if score.unit is not None)


@pytest.mark.parametrize("event", [event for event in EVENTS if list(units_of(event))], ids=named)
def test_a_unit_is_there_and_competent_for_what_it_is_given(event: Any, district: Generated) -> None:
    for name in units_of(event):
        unit = district.units.by_id[name]
        if not isinstance(event.data, Verifying):  # to look at the place is no work on the case
            assert unit.competent(CATEGORIES[event.subject]), (name, CATEGORIES[event.subject])


@pytest.mark.parametrize("part", [part for event in ROUNDS for part in event.data.plan], ids=lambda part: part.id)
def test_an_assignment_goes_up_the_ladder_of_the_district(part: Assignment, district: Generated) -> None:
    assert part.escalated_to == district.units.superiors[part.unit]


@pytest.mark.parametrize("event", [event for event in EVENTS if isinstance(event.data, HandedOn)], ids=named)
def test_who_hands_on_stands_above(event: Any, district: Generated) -> None:
    assert event.data.by is None or event.data.by in district.units.superiors[event.data.unit]


def test_every_member_is_one_of_the_grid(district: Generated) -> None:
    members = {member.id: member.unit for member in district.members.members}
    named = {event.actor for event in EVENTS} | {getattr(event.data, "checked_by", None) for event in EVENTS}
    for part in (part for event in ROUNDS for part in event.data.plan):
        assert {members[one] for one in (part.member, *part.backups) if one} <= {part.unit}
    assert {name for name in named if name and name.startswith("member:")} <= members.keys()
