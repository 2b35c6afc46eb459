"""The area tree: counts, exact tiling, households."""

from collections.abc import Iterator
from random import Random

import pytest
from shapely import STRtree
from shapely.geometry import Point, Polygon

from contracts.reference import LEVELS, Area
from deploy.district.tiling import PER_DEGREE, Mesh, Plot, Ring, doubled_area
from tests.district.generated import Generated, generate


def ring(area: Area) -> Ring:
    return [(round(lon * PER_DEGREE), round(lat * PER_DEGREE)) for lon, lat in area.polygon[:-1]]


def families(district: Generated) -> Iterator[tuple[Area, list[Area]]]:
    """Every area that has parts, with them."""
    parts: dict[str, list[Area]] = {}
    for area in district.areas.areas:
        parts.setdefault(area.parent or "", []).append(area)
    yield from ((district.areas.by_path[path], areas) for path, areas in parts.items() if path)


def of_level(district: Generated, level: str) -> list[Area]:
    return [area for area in district.areas.areas if area.level == level]


@pytest.mark.parametrize(
    ("scale", "counts"), [("full", (1, 14, 106, 855, 973)), ("small", (1, 2, 6, 24, 27)), ("tiny", (1, 1, 2, 4, 5))]
)
def test_a_scale_has_exactly_its_areas(scale, counts):
    district = generate(scale)
    assert tuple(len(of_level(district, level)) for level in LEVELS) == counts


def test_the_full_district_carries_the_names_of_its_streets(full):
    names = "猛追湾 双桥子 建设路 府青路 二仙桥 跳蹬河 双水碾 万年场 桃蹊路 驷马桥 圣灯 保和 青龙 龙潭"
    assert {area.name.removesuffix("街道") for area in of_level(full, "street")} == set(names.split(" "))


def test_paths_that_examples_rely_on_exist(full):
    assert full.areas.by_path["CH/shengdeng/hualin/g012/s03"].name == "华林社区第12网格3号微网格"


@pytest.mark.parametrize("seed", [510108, 1, 2, 3, 4])
def test_the_parts_of_an_area_have_its_exact_area(seed):
    district = generate("full", seed)
    assert all(doubled_area(ring(area)) > 0 for area in district.areas.areas), "rings run counter-clockwise"
    for area, parts in families(district):
        assert sum(doubled_area(ring(part)) for part in parts) == doubled_area(ring(area)), area.path


def test_the_border_of_an_area_is_made_of_its_parts_borders_alone(district):
    for area, parts in families(district):
        rings = [ring(part) for part in parts]
        edges = {edge for part in rings for edge in zip(part, part[1:] + part[:1], strict=True)}
        outer = {(a, b) for a, b in edges if (b, a) not in edges}
        own = ring(area)
        assert outer == set(zip(own, own[1:] + own[:1], strict=True)), area.path


def test_every_polygon_is_simple(district):
    assert [area.path for area in district.areas.areas if not Polygon(area.polygon).is_valid] == []


@pytest.mark.parametrize("level", ["street", "community", "grid"])
def test_a_point_of_the_district_lies_in_exactly_one_area_of_a_level(full, level):
    areas = of_level(full, level)
    tree = STRtree([Polygon(area.polygon) for area in areas])
    outline = Polygon(full.areas.areas[0].polygon)
    random = Random(7)
    west, south, east, north = outline.bounds
    inside = 0
    for _ in range(5000):
        point = Point(random.uniform(west, east), random.uniform(south, north))
        hits = len(tree.query(point, predicate="within"))
        assert hits == outline.contains(point)
        inside += hits
    assert inside > 2000


def test_a_sub_grid_lies_in_its_grid(full):
    for area in of_level(full, "subgrid"):
        grid = Polygon(full.areas.by_path[area.parent or ""].polygon)
        assert grid.contains(Polygon(area.polygon).representative_point())


def test_households_are_those_of_the_parts_and_within_bounds(district):
    for area, parts in families(district):
        assert area.households == sum(part.households for part in parts), area.path
    assert all(300 <= area.households <= 500 for area in of_level(district, "grid"))
    assert all(150 <= area.households <= 200 for area in of_level(district, "subgrid"))


def test_a_cut_puts_its_end_into_the_part_on_the_other_side():
    square = [(0, 0), (10_000_000, 0), (10_000_000, 10_000_000), (0, 10_000_000)]
    mesh = Mesh(Random(0))
    left, right = mesh.cut(square, 0.5, (1, 0))
    lower, _ = mesh.cut(left, 0.3, (0, 1))
    shared = set(mesh.ring(lower)) & set(mesh.ring(right))
    assert (5_000_000, 3_000_000) in {(round(x, -2), round(y, -2)) for x, y in shared}


def test_plots_get_their_share_of_the_area():
    square = [(0, 0), (10_000_000, 0), (10_000_000, 10_000_000), (0, 10_000_000)]
    mesh = Mesh(Random(0))
    parts = mesh.divide(square, [Plot(1), Plot(2), Plot(5)])
    shares = [doubled_area(mesh.ring(part)) / doubled_area(square) for part in parts]
    assert shares == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=1e-4)
