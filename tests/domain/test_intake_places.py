"""Where a report lies: by its point, its address, or the area it names."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from contracts.fields import Point
from contracts.reference import Area, Areas, Places
from contracts.reference import Place as KnownPlace
from contracts.territory import Territory
from deploy.district import __main__ as district
from services.intake import reference
from services.intake.reference import UnknownArea

# where


def square(path: str, west: float, south: float, side: float, name: str = "") -> Area:
    ring = [(west, south), (west + side, south), (west + side, south + side), (west, south + side), (west, south)]
    level = ("district", "street", "community", "grid", "subgrid")[path.count("/")]
    name = name or path
    return Area(path=path, level=level, name=name, name_en=name, households=1, polygon=tuple(ring))  # pyright: ignore[reportArgumentType]


def known(slug: str, area: str, lon: float, lat: float, steps: int, radius: int = 100) -> KnownPlace:
    return KnownPlace(
        id=f"place:{slug}",
        name=f"{slug}学校",
        name_en=f"{slug} school",
        kind="school",
        point=(lon, lat),
        area=area,
        radius_m=radius,
        priority_raise=steps,
    )


TERRITORY = Territory(
    Areas(
        version="1",
        areas=(
            square("CH", 104, 30, 0.04),
            square("CH/a", 104, 30, 0.04),
            square("CH/a/b", 104, 30, 0.02, "华林社区"),
            square("CH/a/b/g001", 104, 30, 0.01, "华林社区第1网格"),
            square("CH/a/b/g001/s01", 104, 30, 0.005),
            square("CH/a/b/g002", 104.01, 30, 0.01, "华林社区第2网格"),
            square("CH/a/c", 104, 30.02, 0.02, "South Community"),
            square("CH/a/c/g001", 104, 30.02, 0.01, "grid 1"),
            square("CH/a/c/g012", 104.01, 30.02, 0.01, "grid 12"),
        ),
    ),
    Places(
        version="1",
        places=(
            known("near", "CH/a/b/g001", 104.0080, 30.0080, 1),
            known("nearer", "CH/a/b/g001", 104.0083, 30.0080, 1),
            known("greater", "CH/a/b/g001", 104.0030, 30.0080, 2, 300),
            known("lesser", "CH/a/b/g001", 104.0032, 30.0080, 1, 300),
            known("plain", "CH/a/b/g002", 104.0150, 30.0050, 0),
        ),
    ),
)


def locate(lon: float | None = None, lat: float | None = None, **more: Any) -> tuple[str | None, str | None]:
    point = Point(lon=lon, lat=lat) if lon is not None and lat is not None else None
    place = reference.locate(TERRITORY, point, more.get("address"), more.get("area"))
    return place.area, place.key_place


@pytest.mark.parametrize(
    ("lon", "lat", "area"),
    [
        (104.002, 30.002, "CH/a/b/g001/s01"),
        (104.007, 30.001, "CH/a/b/g001"),
        (104.015, 30.001, "CH/a/b/g002"),
        (104.005, 30.002, "CH/a/b/g001"),  # on the sub-grid's edge, inside its grid
        (104.01, 30.005, None),  # on the edge between two grids
        (104.035, 30.035, None),  # in the street, in no grid
        (121.47, 31.23, None),
    ],
)
def test_a_point_lies_in_the_deepest_area_or_in_none(lon: float, lat: float, area: str | None) -> None:
    assert locate(lon, lat)[0] == area
    assert locate(lon, lat, area="CH/a/b/g002", address="华林社区第2网格")[0] == area


@pytest.mark.parametrize(
    ("lon", "lat", "place"),
    [
        (104.0081, 30.0080, "place:near"),
        (104.00825, 30.0080, "place:nearer"),
        (104.0033, 30.0080, "place:greater"),
        (104.0060, 30.0080, "place:greater"),
        (104.0150, 30.0050, None),
        (104.0095, 30.0080, None),  # beyond the radius of the nearest, though others reach as far
        (104.0081, 30.0020, None),
    ],
)
def test_a_point_is_at_the_key_place_that_matters_most_then_the_nearest(
    lon: float, lat: float, place: str | None
) -> None:
    assert locate(lon, lat)[1] == place


@pytest.mark.parametrize(
    ("address", "area"),
    [
        ("华林社区第2网格，近路口", "CH/a/b/g002"),
        ("华林社区", None),
        ("华林社区 第2网格", "CH/a/b/g002"),
        ("华林社区2网格3单元", "CH/a/b/g002"),
        ("第2网格", "CH/a/b/g002"),
        ("Grid  12, South community", "CH/a/c/g012"),
        ("GRID 1", "CH/a/c/g001"),
        ("grid 123", None),
        ("near school, gate 3", "CH/a/b/g001"),
        ("near school, grid 12", None),
        ("linear school", None),
        ("somewhere", None),
        (".", None),
    ],
)
def test_an_address_counts_where_its_names_agree_on_one_grid(address: str, area: str | None) -> None:
    assert locate(address=address)[0] == area


def test_an_address_names_the_key_place_but_an_area_that_was_named_goes_first() -> None:
    assert locate(address="near学校") == ("CH/a/b/g001", "place:near")
    assert locate(address="plain学校") == ("CH/a/b/g002", None)
    assert locate(address="near学校", area="CH/a") == ("CH/a", None)


def test_an_area_that_is_not_of_the_district_is_refused_unless_a_position_decides() -> None:
    with pytest.raises(UnknownArea, match=r"CH/z .*areas\.json"):
        locate(area="CH/z")
    with pytest.raises(UnknownArea, match="CH/z"):
        locate(area="CH/z", address="华林社区第2网格")
    assert locate(104.015, 30.001, area="CH/z") == ("CH/a/b/g002", None)
    assert locate(121.47, 31.23, area="CH/z") == (None, None)


def test_in_a_generated_district_every_point_lies_where_its_polygon_says(tmp_path: Path) -> None:
    district.main(["--scale", "tiny", "--out", str(tmp_path)])
    areas = Areas.model_validate_json((tmp_path / "areas.json").read_bytes())
    territory = Territory(areas, Places.model_validate_json((tmp_path / "places.json").read_bytes()))
    leaves = [area for area in areas.areas if area.level in ("grid", "subgrid")]
    lons, lats = zip(*(corner for area in leaves for corner in area.polygon), strict=True)
    random, inside = Random(7), 0
    for _ in range(500):
        lon, lat = random.uniform(min(lons), max(lons)), random.uniform(min(lats), max(lats))
        around = [area.path for area in leaves if _winds_around(area, lon, lat)]
        expected = max(around, key=len, default=None)
        assert territory.area_at(Point(lon=lon, lat=lat)) == expected
        inside += expected is not None
    assert inside > 100


def _winds_around(area: Area, lon: float, lat: float) -> bool:
    """The even-odd rule, written without the library under test."""
    odd = False
    for (x1, y1), (x2, y2) in zip(area.polygon, area.polygon[1:], strict=False):
        if (y1 > lat) != (y2 > lat) and lon < x1 + (lat - y1) * (x2 - x1) / (y2 - y1):
            odd = not odd
    return odd
