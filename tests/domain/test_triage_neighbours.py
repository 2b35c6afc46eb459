"""Which of the open cases near a report it is a duplicate of, how the ruling says so, and which cases are open."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from contracts.fields import Fact, Point
from contracts.fields import Place as Where
from contracts.intake import Supplement
from contracts.progress import Verifying
from contracts.territory import METRES_PER_DEGREE
from contracts.triage import Merged, Rejected, Withdrawn
from services.triage.domain.assessment import Assessment
from services.triage.domain.neighbours import Duplicate, Neighbourhood, OpenCase
from services.triage.domain.planning import explanation
from tests.domain.triage_story import (
    CASE,
    CATALOGUE,
    CLOSED,
    GRID,
    MAIN,
    NOW,
    OTHER,
    RULES,
    event,
    filed,
    only,
    report,
    rework,
    rulebook,
)

MILL = "CH/north/mill"
CATEGORY = CATALOGUE.by_code[MAIN]
"""800 m and 24 hours."""
METRE = 1 / METRES_PER_DEGREE
ALL = "(800 m allowed), of the same category"
THIRD = OTHER[:-1] + "3"


def point(metres: float = 0, lat: float = 30.005) -> Point:
    """So far north of the place."""
    return Point(lat=lat + metres * METRE, lon=104.005)


def an_open_case(case_id: str = OTHER, **more: Any) -> OpenCase:
    """By default a burst main in the first grid of mill, reported at the place now."""
    known = OpenCase(case_id, MAIN, GRID, point(), NOW, retrospective=False, reporter_ref=None)
    return replace(known, **more)


def near(*cases: OpenCase, **more: Any) -> Neighbourhood:
    found = Neighbourhood(RULES, **more)
    found.add(cases)
    return found


def duplicate(found: Neighbourhood, where: Point | None, area: str = GRID, **more: Any) -> Duplicate | None:
    """What a report there, now, is a duplicate of."""
    new = event(report(place=Where(point=where, area=area)), case=CASE, **more)
    return found.duplicate(new, CATEGORY, area)


def into(found: Neighbourhood, where: Point | None, area: str = GRID, **more: Any) -> str | None:
    one = duplicate(found, where, area, **more)
    return one.case_id if one else None


@pytest.mark.parametrize(
    ("case", "where", "minutes", "why"),
    [
        (an_open_case(point=point(29)), point(), 0, f"29 m away {ALL}, 0 min apart of 24 h allowed"),
        (an_open_case(), point(), 61, f"0 m away {ALL}, 61 min apart of 24 h allowed"),
        (an_open_case(), point(), -61, f"0 m away {ALL}, 61 min apart of 24 h allowed"),
        (an_open_case(), point(), 24 * 60, f"0 m away {ALL}, 1440 min apart of 24 h allowed"),
        (an_open_case(point=None), point(), 1, f"in the same grid {ALL}, 1 min apart of 24 h allowed"),
        (an_open_case(), None, 1, f"in the same grid {ALL}, 1 min apart of 24 h allowed"),
    ],
)
def test_a_merger_says_how_far_away_and_how_long_ago_the_other_case_is(
    case: OpenCase, where: Point | None, minutes: int, why: str
) -> None:
    found = duplicate(near(case), where, when=NOW + timedelta(minutes=minutes))
    assert found == Duplicate(OTHER, f"the same as case {OTHER}: {why}")


def test_a_report_is_no_duplicate_of_its_own_case() -> None:
    assert into(near(an_open_case(CASE)), point()) is None


def test_the_nearest_case_is_chosen_then_the_earliest_then_the_first_by_id() -> None:
    close, far = an_open_case(OTHER, point=point(100)), an_open_case(THIRD, point=point(-200))
    earlier = replace(far, reported_at=NOW - timedelta(hours=1))
    assert into(near(close, earlier), point()) == OTHER
    assert into(near(close, replace(earlier, point=point(100))), point()) == THIRD
    assert into(near(replace(far, point=point(100)), close), point()) == OTHER
    assert into(near(replace(earlier, point=None), close), point()) == OTHER


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("metres", "found"), [(799, OTHER), (801, None)])
def test_a_case_within_the_radius_is_found_to_the_north_and_to_the_south(
    side: int, metres: float, found: str | None
) -> None:
    for offset in range(0, 800, 160):
        where = point(offset)
        assert into(near(an_open_case(point=point(offset + side * metres))), where) == found


def test_a_case_at_the_radius_exactly_is_within_it() -> None:
    a_degree = CATEGORY.duplicates.model_copy(update={"radius_m": METRES_PER_DEGREE})
    category = CATEGORY.model_copy(update={"duplicates": a_degree})
    rules = rulebook(catalogue=CATALOGUE.model_copy(update={"categories": (category,), "by_code": {MAIN: category}}))
    found = Neighbourhood(rules)
    found.add([an_open_case(point=point(lat=31))])
    new = event(report(place=Where(point=point(lat=30), area=GRID)), case=CASE)
    one = found.duplicate(new, category, GRID)
    assert one is not None
    assert f"{METRES_PER_DEGREE} m away" in one.why


@pytest.mark.parametrize(
    ("case", "where", "area"),
    [
        (an_open_case(point=None, area=MILL), None, MILL),
        (an_open_case(point=None, area=MILL), None, GRID),
        (an_open_case(point=None), None, MILL),
        (an_open_case(area="CH/north"), point(), "CH/north"),
        (an_open_case(area="CH/north"), point(), GRID),
        (an_open_case(), point(), "CH/north"),
    ],
)
def test_a_case_or_report_without_a_grid_and_a_position_or_without_a_community_is_nobodys_duplicate(
    case: OpenCase, where: Point | None, area: str
) -> None:
    assert into(near(case), where, area) is None


def test_a_case_of_a_community_is_found_by_its_position() -> None:
    assert into(near(an_open_case(area=MILL)), point(10), MILL) == OTHER


def test_a_case_of_a_category_that_the_catalogue_does_not_have_is_in_nobodys_way() -> None:
    found = near(an_open_case(category="event.gone.gone"))
    assert into(found, point()) is None
    found.remove(OTHER)


def test_a_case_that_is_open_already_stays_where_it_is() -> None:
    found = near(an_open_case(), an_open_case(point=point(700), area="CH/north/hill/g001"))
    one = duplicate(found, point())
    assert one is not None
    assert "0 m away" in one.why
    found.remove(OTHER)
    assert into(found, point()) is None
    found.remove(OTHER)


def test_an_assessment_made_before_the_batch_is_used_again() -> None:
    new = event(report())
    made = Assessment(Where(), None, None, ("made before",), "unlocated")
    assert near(assessments={new.id: made}).assessment(new) is made
    assert near().assessment(new).area == GRID


WHY = explanation(("by hand",), RULES)
REWORK = rework(f"{CASE}.1.1")


@pytest.mark.parametrize(
    ("fact", "open_"),
    [
        (Merged(into=OTHER, explanation=WHY), False),
        (Rejected(why="not_ours", reason="private ground"), False),
        (Withdrawn(reason="dried up"), False),
        (CLOSED, False),
        (REWORK, True),
        (Supplement(text="more"), True),
        (report(title="again", place=Where(point=point(700), area=GRID)), True),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_case_is_open_until_a_ruling_or_verdict_ends_it(fact: Fact, open_: bool) -> None:
    found = near()
    found.learn(event(report(place=Where(point=point(), area=GRID))))
    found.learn(event(only([filed().told[1].data])))
    again = event(report(place=Where(point=point(), area=GRID)), case=OTHER)
    assert found.duplicate(again, CATEGORY, GRID) is not None
    found.learn(event(fact))
    assert (found.duplicate(again, CATEGORY, GRID) is not None) == open_
    assert found.leaders == ({OTHER} if isinstance(fact, Merged) else set())


def test_a_case_is_open_where_its_first_report_says_and_as_it_is_ruled() -> None:
    for ruling in (
        only([filed().told[1].data]),
        Verifying(category=MAIN, area=GRID, note="the rules", due_at=NOW),
    ):
        found = near()
        found.learn(event(report(place=Where(point=point(), area=GRID), reporter_ref="reporter:1")))
        found.learn(event(report(place=Where(point=point(700), area=GRID))))
        found.learn(event(ruling))
        again = event(report(place=Where(point=point(), area=GRID)), case=OTHER)
        one = found.duplicate(again, CATEGORY, GRID)
        assert one is not None
        assert "0 m away" in one.why


def test_a_ruling_on_a_case_whose_report_was_not_in_the_batch_opens_nothing_here() -> None:
    found = near()
    found.learn(event(only([filed().told[1].data])))
    assert into(found, None, when=NOW) is None
    assert found.duplicate(event(report(), case=OTHER), CATEGORY, GRID) is None
