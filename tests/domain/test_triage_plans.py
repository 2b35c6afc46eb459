"""What a round is made of, and what its explanation says: place, priority, units, members, condition, lines."""

from datetime import timedelta
from typing import Any

import pytest

from contracts.fields import Place as Where
from contracts.progress import AwaitingRuling
from contracts.reference import Member, Unit, Units
from contracts.triage import Dispatched
from services.triage.domain.assessment import assess
from services.triage.domain.commands import Dispatch, NamedUnit
from services.triage.domain.planning import explanation
from services.triage.domain.rulebook import Rulebook
from tests.domain.triage_story import (
    CASE,
    CATALOGUE,
    CENTRE,
    FIRE,
    GRID,
    LEADER,
    MAIN,
    NOW,
    POLICY,
    POSTER,
    POTHOLE,
    RULES,
    SCHOOL,
    STREET,
    WATER,
    Story,
    area,
    filed,
    only,
    report,
    returned_twice,
    rulebook,
    sole,
    territory,
    waiting,
)

MILL, COMMUNITY = "CH/north/mill", "community:CH/north/mill"


def rules(ruling: Dispatched) -> tuple[str, ...]:
    return ruling.explanation.rules


def competent(**changed: tuple[str, ...]) -> Rulebook:
    """The small district, in which these kinds of units have other competences."""
    units = tuple(
        Unit.model_validate({**unit.model_dump(), "competences": changed[unit.kind]}) if unit.kind in changed else unit
        for unit in RULES.units.units
    )
    return rulebook(units=Units(version="1", units=units))


# where


@pytest.mark.parametrize(
    ("place", "why"),
    [
        (Where(area=f"{MILL}/g002"), f"area {MILL}/g002 as reported"),
        (Where(area=MILL), f"area {MILL} as reported"),
        (Where(area="XX/gone"), "there is no area XX/gone, and no position"),
        (Where(), "no position and no area were reported"),
    ],
)
def test_an_explanation_says_how_the_area_was_found_or_why_not(place: Where, why: str) -> None:
    found = assess(report(place=place), RULES)
    assert why in found.rules
    assert found.place.area == (place.area if found.area else None)


@pytest.mark.parametrize(("grids", "end"), [(10, "g010 X"), (11, "g010 X and 1 more"), (12, "g010 X and 2 more")])
def test_of_the_areas_that_an_address_may_mean_ten_are_shown(grids: int, end: str) -> None:
    paths = [f"{MILL}/g{number:03}" for number in range(1, grids + 1)]
    wide = [area("CH", "成华区"), area("CH/north", "北街道"), area(MILL, "磨坊社区")]
    areas = [*wide, *(area(path, "X") for path in paths)]
    here = rulebook(territory=territory(areas))
    [step] = Story(here).hear(report(POTHOLE, place=Where(address="磨坊社区东门")))
    assert isinstance(step, AwaitingRuling)
    assert step.note.endswith(f"{MILL}/{end}")


# what, and how urgent


def test_where_the_reporter_chose_no_category_the_explanation_names_none() -> None:
    assert assess(report(None, title="zzz"), RULES).rules[1] == "no category: none of the words is known"
    chosen = assess(report("gone.gone", title="zzz"), RULES).rules[1]
    assert chosen == "no category: none of the words is known; the reporter's gone.gone is not in the catalogue"


@pytest.mark.parametrize(
    ("raised", "why"),
    [
        (0, "priority 3 of the category"),
        (1, "priority 2: 3 of the category, raised at place:here"),
        (2, "priority 1: 3 of the category, raised at place:here"),
        (3, "priority 1: 3 of the category, raised at place:here"),
    ],
)
def test_a_key_place_raises_the_priority_to_the_highest_at_most(raised: int, why: str) -> None:
    here = SCHOOL.model_copy(update={"id": "place:here", "priority_raise": raised})
    story = Story(rulebook(places={here.id: here}))
    assert why in rules(only(story.hear(report(POTHOLE, place=Where(area=GRID, key_place="place:here")))))


def test_at_a_place_that_is_not_known_the_priority_is_that_of_the_category() -> None:
    for key_place in (None, "place:gone"):
        ruling = only(Story().hear(report(POTHOLE, place=Where(area=GRID, key_place=key_place))))
        assert (ruling.priority, "priority 3 of the category" in rules(ruling)) == (3, True)


@pytest.mark.parametrize(
    ("priority", "why"),
    [
        (None, "priority 1 of the category"),
        (1, "priority 1 of the category"),
        (3, "priority 3 as ruled; by the rules 1"),
    ],
)
def test_a_priority_that_a_person_gave_is_named_where_the_rules_have_another(priority: int | None, why: str) -> None:
    ruling = only(waiting().ask(Dispatch(MAIN, area=GRID, priority=priority)))
    assert why in rules(ruling)
    assert ruling.priority == (priority or 1)


# who


@pytest.mark.parametrize(("place", "wide"), [(MILL, True), (GRID, False), (f"{GRID}/s01", False)])
def test_a_plan_says_where_its_area_is_wider_than_a_grid(place: str, wide: bool) -> None:
    ruling = only(Story().hear(report(POSTER, place=Where(area=place))))
    assert (f"area {place} is wider than a grid" in rules(ruling)) == wide


@pytest.mark.parametrize(
    ("found", "place", "lead"),
    [
        (RULES, GRID, f"lead grid:{GRID} by the catalogue"),
        (RULES, MILL, f"lead {COMMUNITY}, in the place of any grid by the catalogue"),
        (competent(grid=("dispute",)), GRID, f"lead {COMMUNITY}, because grid:{GRID} is not competent"),
        (
            competent(grid=("dispute",), community=("dispute",)),
            GRID,
            f"lead {STREET}, because grid:{GRID} is not competent",
        ),
        (
            competent(**dict.fromkeys(("grid", "community", "street", "district"), ("dispute",))),
            GRID,
            f"lead grid:{GRID} by the catalogue, though neither it nor any above it is competent",
        ),
        (
            competent(**dict.fromkeys(("grid", "community", "street", "district"), ("dispute",))),
            MILL,
            f"lead {COMMUNITY}, in the place of any grid by the catalogue,"
            " though neither it nor any above it is competent",
        ),
    ],
    ids=["as named", "wide", "the next above", "the one above that", "nobody", "nobody in a wide area"],
)
def test_a_plan_says_why_the_lead_is_who_it_is(found: Rulebook, place: str, lead: str) -> None:
    ruling = only(Story(found).hear(report(POSTER, place=Where(area=place))))
    assert lead in rules(ruling)
    assert ruling.plan[0].unit == lead.split()[1].strip(",")


def test_a_unit_of_the_catalogue_is_named_without_a_word_of_a_role() -> None:
    ruling = only(Story().hear(report()))
    assert [line for line in rules(ruling) if line.startswith(("lead", "support"))] == [
        f"lead {WATER} by the catalogue",
        f"support {STREET} by the catalogue",
        f"support {FIRE} by the catalogue",
    ]


def test_a_district_in_which_no_unit_fills_a_role_is_an_error_that_names_it() -> None:
    left = [unit.model_copy(update={"superior": None}) for unit in RULES.units.units if unit.kind == "department"]
    units = Units(version="1", units=tuple(left))
    with pytest.raises(LookupError, match=f"no unit of the district fills the role grid in {GRID}, nor any above it"):
        Story(rulebook(units=units)).hear(report(POSTER))


@pytest.mark.parametrize(("members", "backups"), [(50, 49), (51, 50), (52, 50)])
def test_a_plan_names_fifty_backups_at_most(members: int, backups: int) -> None:
    unit = f"grid:{GRID}"
    shift = RULES.members[unit][0].shifts
    team = tuple(
        Member(id=f"member:{n}", unit=unit, grid=GRID, full_time=n == 0, order=n, shifts=shift) for n in range(members)
    )
    assignment = sole(Story(rulebook(members={unit: team})).hear(report(POSTER)))
    assert assignment.member == "member:0"
    assert assignment.backups == tuple(f"member:{n}" for n in range(1, backups + 1))


# who takes over


def returned(found: Rulebook, **end: Any) -> Any:
    """What follows when a poster's grid, or the unit that had the work then, returns it."""
    story = Story(found)
    story.hear(report(POSTER))
    return story.end(f"{CASE}.1.1", "returned", **end)


@pytest.mark.parametrize(
    ("incompetent", "unit"),
    [
        ((), COMMUNITY),
        (("community",), STREET),
        (("community", "street"), CENTRE),
        (("community", "street", "district"), COMMUNITY),
    ],
    ids=["the next", "the one above that", "the top", "nobody: the next"],
)
def test_returned_work_goes_to_the_first_competent_unit_above_else_to_the_next(
    incompetent: tuple[str, ...], unit: str
) -> None:
    [again] = returned(competent(**dict.fromkeys(incompetent, ("dispute",))))
    assert [one.unit for one in again.plan] == [unit]
    assert rules(again)[:2] == (
        f"grid:{GRID} returned assignment {CASE}.1.1: for a reason",
        f"{unit} is the next unit above it that did not return it",
    )


def test_work_is_not_given_to_a_unit_that_returned_other_work_of_the_case() -> None:
    story = Story(rulebook(policy=POLICY.model_copy(update={"returns_before_shift_leader": 9})))
    story.hear(report())
    story.end(f"{CASE}.1.1", "returned", unit=CENTRE)
    [step] = story.end(f"{CASE}.1.2", "returned")
    assert isinstance(step, AwaitingRuling)
    assert (step.queue, step.note) == (
        "no_unit",
        f"{STREET} returned assignment {CASE}.1.2: for a reason; no unit is left above it",
    )


# under which condition


@pytest.mark.parametrize(
    ("category", "condition", "expected"),
    [
        (None, None, (MAIN, "b")),
        (MAIN, None, (MAIN, "b")),
        (MAIN, "a", (MAIN, "a")),
        (POTHOLE, None, (POTHOLE, "a")),
        (POTHOLE, "b", (POTHOLE, "b")),
        (POTHOLE, "z", (POTHOLE, "a")),
    ],
)
def test_a_further_round_keeps_the_condition_unless_the_category_or_a_person_says_otherwise(
    category: str | None, condition: str | None, expected: tuple[str, str]
) -> None:
    story = waiting()
    story.ask(Dispatch(MAIN, condition="b", area=GRID))
    story.end(f"{CASE}.1.1", "returned")
    story.end(f"{CASE}.2.1", "returned")
    ruling = only(story.ask(Dispatch(category, condition, units=(NamedUnit(WATER),), by=LEADER)))
    assert (ruling.category, ruling.condition) == expected


def test_a_further_round_keeps_area_and_priority_unless_a_person_names_others() -> None:
    ruling = only(returned_twice().ask(Dispatch(units=(NamedUnit(WATER),), by=LEADER)))
    assert (ruling.area, ruling.place.area, ruling.priority, ruling.reason) == (GRID, GRID, 1, None)
    hill = "CH/north/hill/g001"
    named = Dispatch(area=hill, priority=4, units=(NamedUnit(WATER),), reason="over there", by=LEADER)
    ruling = only(returned_twice().ask(named))
    assert (ruling.area, ruling.place.area, ruling.priority, ruling.reason) == (hill, hill, 4, "over there")


def test_a_check_is_due_as_many_hours_after_the_work_as_the_policy_says() -> None:
    policy = POLICY.model_copy(update={"check_hours": 3})
    assert only(Story(rulebook(policy=policy)).hear(report())).check.within_minutes == 180


def test_a_ruling_says_when_the_work_counts_as_done_and_which_limits_apply() -> None:
    ruling = only([filed().told[1].data])
    condition = CATALOGUE.by_code[MAIN].conditions[0]
    assert ruling.closing == f"{condition.closing} / {condition.closing_en}"
    assert rules(ruling)[-1] == (
        f"condition a of {MAIN}: acknowledge within 5 minutes (continuous), resolve within 12 hours (continuous)"
    )


# in how many words


def test_an_explanation_has_fifty_lines_at_most_and_none_that_is_empty_or_longer_than_a_line() -> None:
    assert explanation([str(n) for n in range(60)], RULES).rules == tuple(str(n) for n in range(50))
    assert explanation(["a", "", "b" * 501], RULES).rules == ("a", "b" * 500)


def test_a_reason_and_a_task_are_as_long_as_a_line_at_most() -> None:
    task = NamedUnit(WATER, "t" * 600)
    ruling = only(returned_twice().ask(Dispatch(units=(task,), reason="r" * 600, by=LEADER)))
    assert (ruling.reason, ruling.plan[0].task) == ("r" * 500, "t" * 500)


def test_the_clock_of_a_further_round_starts_with_the_ruling_and_that_of_the_case_does_not() -> None:
    story = returned_twice()
    story.now = NOW + timedelta(hours=3)
    ruling = only(story.ask(Dispatch(units=(NamedUnit(WATER),), by=LEADER)))
    assert (ruling.filed_at, ruling.plan[0].resolve_by) == (NOW, NOW + timedelta(hours=15))
