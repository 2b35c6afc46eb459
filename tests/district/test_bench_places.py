"""Where the benchmark's reports lie: no report may become part of another's case."""

from math import cos, hypot, radians

import pytest

from contracts.fields import Point
from deploy.bench.chain import CATEGORY, places
from tests.district.generated import Generated, generate

METRES_A_DEGREE = 111_195


def test_no_two_places_are_within_the_radius_of_a_duplicate_across_grids_either(full: Generated) -> None:
    points = [place.point for place in places(full.areas.areas, 10_000) if place.point is not None]
    assert len(points) == 10_000
    assert nearest(points) > full.catalogue.by_code[CATEGORY].duplicates.radius_m


def test_a_district_without_room_is_named() -> None:
    tiny = generate("tiny")
    with pytest.raises(ValueError, match=r"the district has room for [0-9]+ reports of their own, not for 1000000"):
        places(tiny.areas.areas, 1_000_000)


def nearest(points: list[Point]) -> float:
    """Metres between the two that lie nearest to each other, of those that share a cell of about thirty metres."""
    cells: dict[tuple[int, int], list[Point]] = {}
    found = float("inf")
    for point in points:
        row, column = int(point.lat / 0.0003), int(point.lon / 0.0003)
        for other in (o for r in (-1, 0, 1) for c in (-1, 0, 1) for o in cells.get((row + r, column + c), ())):
            east = (point.lon - other.lon) * cos(radians(point.lat))
            found = min(found, METRES_A_DEGREE * hypot(point.lat - other.lat, east))
        cells.setdefault((row, column), []).append(point)
    return found
