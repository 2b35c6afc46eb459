"""Foreign places in the district, a second opinion on words, and the times of steps."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from deploy.district.__main__ import main
from deploy.replay import district
from deploy.replay.district import SQUARE, District
from deploy.replay.rows import Report
from deploy.replay.times import Times
from deploy.replay.words import NOTHING, Groups

SINCE = datetime(2011, 3, 1, 19, 27, 57, tzinfo=UTC)
NOW = datetime(2026, 5, 9, tzinfo=UTC)
latitudes, longitudes = st.floats(40.4, 41.0), st.floats(-74.3, -73.6)
spans = st.timedeltas(timedelta(0), timedelta(days=400))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> District:
    folder: Path = tmp_path_factory.mktemp("district")
    assert main(["--scale", "small", "--out", str(folder)]) == 0
    return district.load(folder)


def containing(known: District, lat: float, lon: float) -> list[str]:
    point = shapely.Point(lon, lat)
    return [grid.path for grid in known.grids if shapely.Polygon(grid.polygon).contains(point)]


@given(lat=latitudes, lon=longitudes)
def test_every_place_comes_to_lie_in_exactly_one_grid(known: District, lat: float, lon: float) -> None:
    there = known.place(lat, lon)
    assert len(containing(known, there["lat"], there["lon"])) == 1
    assert known.place(lat, lon) == there


@given(
    row=st.integers(10_100, 10_250),
    column=st.integers(-18_600, -18_400),
    one=st.tuples(st.floats(0.05, 0.95), st.floats(0.05, 0.95)),
    shift=st.tuples(st.floats(-0.04, 0.04), st.floats(-0.04, 0.04)),
)
def test_places_near_each_other_in_a_square_come_to_lie_in_one_grid_and_stay_apart(
    known: District, row: int, column: int, one: tuple[float, float], shift: tuple[float, float]
) -> None:
    other = one[0] + shift[0], one[1] + shift[1]
    here, there = (known.place((row + north) * SQUARE, (column + east) * SQUARE) for north, east in (one, other))
    assert containing(known, **here) == containing(known, **there)
    if max(map(abs, shift)) > 0.001:
        assert here != there


def test_squares_are_spread_over_the_grids(known: District) -> None:
    used = {
        containing(known, **known.place((10_100 + n // 20 + 0.4) * SQUARE, (n % 20 + 0.3) * SQUARE))[0]
        for n in range(400)
    }
    assert used == {grid.path for grid in known.grids}


def test_the_same_words_always_mean_the_same_grid(known: District) -> None:
    assert known.grid_for("1 INVENTED ROAD") == known.grid_for("1 INVENTED ROAD")
    assert len({known.grid_for(f"{n} INVENTED ROAD") for n in range(500)}) == len(known.grids)


def test_a_neighbour_is_a_member_of_another_grid_that_was_given_no_work(known: District) -> None:
    grid = known.grids[0].path
    found = known.neighbour(grid + "/s01", frozenset({f"grid:{grid}"}))
    assert found is not None
    member, unit = found
    assert unit != f"grid:{grid}"
    assert unit.removeprefix("grid:").rpartition("/")[0] == grid.rpartition("/")[0]
    assert known.member_of(unit.removeprefix("grid:")) == member
    everybody = frozenset(f"grid:{one.path}" for one in known.grids)
    assert known.neighbour(grid, everybody) is None


@pytest.mark.parametrize(
    ("words", "group"),
    [
        ("邻居家天天唱歌跳舞噪音大，噪声扰民", "event.environment."),
        ("hole in the road, a pothole", "component.road-traffic."),
        ("小学入学怎么报名，学区划分", "service.education."),
    ],
)
def test_the_acceptor_takes_the_other_of_the_group_that_the_words_point_to(
    known: District, words: str, group: str
) -> None:
    found = Groups(known.catalogue).other_of(words)
    assert found.startswith(group)
    assert found.endswith(".other")


def test_what_no_word_places_goes_to_the_desk_that_answers_questions(known: District) -> None:
    assert Groups(known.catalogue).other_of("qwertz", "") == NOTHING
    assert NOTHING in known.catalogue.by_code


def report(ended_at: datetime | None = None, *, still_open: bool = False) -> Report:
    return Report(1, "7001", "a lamp", "", "hotline", SINCE, ended_at=ended_at, open=still_open)


@given(ended=st.none() | spans, still_open=st.booleans(), acknowledge=spans, resolve=spans, now=spans)
def test_steps_happen_in_their_order_and_never_in_the_future(
    ended: timedelta | None, still_open: bool, acknowledge: timedelta, resolve: timedelta, now: timedelta
) -> None:
    at = SINCE + now
    ended_at = None if ended is None or SINCE + ended > at else SINCE + ended
    times = Times(report(ended_at, still_open=still_open and ended_at is None), at)
    resolved_at = times.resolved_at(SINCE + resolve)
    acknowledged_at = times.acknowledged_at(SINCE + acknowledge, resolved_at)
    assert SINCE <= acknowledged_at <= resolved_at <= times.checked_at(resolved_at) <= at
    assert SINCE <= times.looked_at() <= at


def test_work_ends_as_the_row_says_else_at_the_limit_or_within_it() -> None:
    limit = SINCE + timedelta(days=5)
    ended_at = SINCE + timedelta(days=9)
    assert Times(report(ended_at), NOW).resolved_at(limit) == ended_at
    assert Times(report(still_open=True), NOW).resolved_at(limit) == limit
    assert SINCE < Times(report(), NOW).resolved_at(limit) < limit
