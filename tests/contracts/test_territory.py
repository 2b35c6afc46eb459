"""The area tree, distances, and what lies at a position."""

from math import asin, cos, radians, sin, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.fields import Place as Where
from contracts.fields import Point
from contracts.reference import LEVELS, Area, Areas, Place, Places
from contracts.territory import (
    COMMUNITY,
    DISTRICT,
    GRID,
    SUBGRID,
    Territory,
    around,
    depth,
    metres_between,
    upto,
)

EAST = "CH/a/b/g001"
WEST = "CH/a/b/g002"
LEAF = f"{EAST}/s01"


def square(path: str, west: float, south: float, side: float) -> Area:
    ring = ((west, south), (west + side, south), (west + side, south + side), (west, south + side), (west, south))
    return Area(path=path, level=LEVELS[path.count("/")], name=path, name_en=path, households=1, polygon=ring)


def school(name: str, lon: float, steps: int, radius: int) -> Place:
    return Place(
        id=f"place:{name}",
        name=name,
        name_en=name,
        kind="school",
        point=(lon, 30.008),
        area=EAST,
        radius_m=radius,
        priority_raise=steps,
    )


TERRITORY = Territory(
    Areas(
        version="1",
        areas=(
            *(square(path, 104, 30, 0.04) for path in ("CH", "CH/a", "CH/a/b")),
            square(EAST, 104, 30, 0.01),
            square(LEAF, 104, 30, 0.005),
            square(WEST, 104.01, 30, 0.01),
        ),
    ),
    Places(
        version="1",
        places=(
            school("near", 104.0080, 1, 100),
            school("nearer", 104.0083, 1, 100),
            school("greater", 104.0030, 2, 300),
            school("lesser", 104.0032, 1, 300),
            school("plain", 104.0150, 0, 300),
        ),
    ),
)


@pytest.mark.parametrize(
    ("lon", "lat", "area"),
    [
        (104.002, 30.002, LEAF),
        (104.007, 30.001, EAST),
        (104.015, 30.001, WEST),
        (104.005, 30.002, EAST),  # on the edge of the sub-grid, inside its grid
        (104.01, 30.005, None),  # on the edge between two grids
        (104.01, 30.0, None),  # on a corner of both
        (104.035, 30.035, None),  # in the community, in no grid
        (121.47, 31.23, None),
    ],
)
def test_a_point_lies_in_the_deepest_area_that_holds_it_inside_or_in_none(
    lon: float, lat: float, area: str | None
) -> None:
    assert TERRITORY.area_at(Point(lon=lon, lat=lat)) == area


@pytest.mark.parametrize(
    ("lon", "lat", "place"),
    [
        (104.0081, 30.0080, "near"),
        (104.00825, 30.0080, "nearer"),
        (104.0033, 30.0080, "greater"),
        (104.0060, 30.0080, "greater"),
        (104.0150, 30.0080, None),  # it raises no priority
        (104.0095, 30.0080, None),  # beyond the radius of the nearest, though others reach as far
        (104.0081, 30.0020, None),
    ],
)
def test_a_point_is_at_the_key_place_that_raises_the_priority_most_then_at_the_nearest(
    lon: float, lat: float, place: str | None
) -> None:
    assert TERRITORY.key_place_at(Point(lon=lon, lat=lat)) == (place and f"place:{place}")


def test_a_district_may_have_no_grids_and_no_places() -> None:
    empty = Territory(Areas(version="1", areas=()), Places(version="1", places=()))
    here = Point(lon=104, lat=30)
    assert (empty.area_at(here), empty.key_place_at(here)) == (None, None)


def test_depths_count_from_the_district_and_an_area_is_cut_at_a_depth() -> None:
    assert [depth(path) for path in ("CH", "CH/a", "CH/a/b", EAST, LEAF)] == [DISTRICT, 2, COMMUNITY, GRID, SUBGRID]
    assert [upto(LEAF, level) for level in range(1, 6)] == ["CH", "CH/a", "CH/a/b", EAST, LEAF]
    assert (upto("CH/a", COMMUNITY), upto(None, DISTRICT)) == (None, None)


def great_circle(one: Point, other: Point) -> float:
    """The distance on a sphere, by the haversine formula."""
    north, east = radians(other.lat - one.lat), radians(other.lon - one.lon)
    chord = sin(north / 2) ** 2 + cos(radians(one.lat)) * cos(radians(other.lat)) * sin(east / 2) ** 2
    return 2 * 6_371_000 * asin(sqrt(chord))


OFFSETS = st.floats(-0.02, 0.02)


@given(st.floats(-60, 60), OFFSETS, OFFSETS)
def test_the_distance_on_the_plane_is_that_on_the_sphere_to_a_per_mille(lat: float, north: float, east: float) -> None:
    one, other = Point(lat=lat, lon=104), Point(lat=lat + north, lon=104 + east)
    assert metres_between(one, other) == pytest.approx(great_circle(one, other), rel=1e-3, abs=0.01)


@given(st.floats(-60, 60), OFFSETS, OFFSETS)
def test_the_box_around_a_point_holds_all_within_the_distance(lat: float, north: float, east: float) -> None:
    one, other = Point(lat=lat, lon=104), Point(lat=lat + north, lon=104 + east)
    bottom, top, left, right = around(one, metres_between(one, other) + 0.01)
    assert bottom <= other.lat <= top
    assert left <= other.lon <= right


NOWHERE = Point(lat=31.23, lon=121.47)
IN_WEST, AT_SCHOOL = Point(lat=30.001, lon=104.015), Point(lat=30.008, lon=104.008)


@pytest.mark.parametrize(
    ("place", "by", "area", "key_place"),
    [
        (Where(point=IN_WEST), "position", WEST, None),
        (Where(point=AT_SCHOOL), "position", EAST, "place:near"),
        (Where(point=IN_WEST, area="CH/a/b"), "position", WEST, None),
        (Where(point=IN_WEST, area=EAST, address=EAST), "position", WEST, None),
        (Where(point=NOWHERE), None, None, None),
        (Where(point=NOWHERE, area="CH/a/b", address=EAST), None, None, None),
        (Where(area="CH/a", address=EAST), "name", "CH/a", None),
        (Where(area="CH/z", address=EAST), "address", EAST, None),
        (Where(address="near"), "address", EAST, "place:near"),
        (Where(address="CH/a"), None, None, None),
        (Where(area="CH/z"), None, None, None),
        (Where(), None, None, None),
    ],
)
def test_a_position_decides_where_a_report_lies_else_the_named_area_else_the_address(
    place: Where, by: str | None, area: str | None, key_place: str | None
) -> None:
    found = TERRITORY.locate(place)
    assert (found.by, found.place.area, found.place.key_place) == (by, area, key_place)
    assert (found.place.point, found.place.address) == (place.point, place.address)


NEARBY = st.builds(Point, lat=st.floats(29.99, 30.05), lon=st.floats(103.99, 104.05))


@given(
    st.builds(
        Where,
        point=st.none() | NEARBY,
        address=st.none() | st.sampled_from([EAST, "near", "CH/a", "nothing"]),
        area=st.none() | st.sampled_from([*sorted(TERRITORY.areas), "CH/z"]),
    )
)
def test_a_place_that_was_located_lies_where_it_lay(place: Where) -> None:
    once = TERRITORY.locate(place).place
    assert TERRITORY.locate(once).place == once
