"""Who acts in a district and where: units and their ladder, grid members and shifts, key places."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import time
from random import Random
from typing import Any

from contracts.reference import LADDER, Area, Catalogue, Member, Place, PlaceKind, Shift, Unit, UnitKind
from deploy.district.tiling import PER_DEGREE, Vertex, contains

Json = Mapping[str, Any]
Sight = tuple[PlaceKind, int, str, str, int, int]
STATION = {
    "grid": ("{}", "{}"),
    "community": ("{}网格化服务站", "{} station"),
    "street": ("{}网格化服务中心", "{} service centre"),
    "district": ("{}网格化监管中心", "{} supervision centre"),
}
MEDIATION = {"community": "人民调解委员会", "street": "行政调解中心", "district": "司法调解中心"}
EVERYTHING = ("component", "event", "dispute", "service")

WEEK = (1, 2, 3, 4, 5)
DAY, EVENING, NIGHT = (time(8), time(18)), (time(12), time(20)), (time(18), time(8))
FULL_TIME = (
    (Shift(weekdays=WEEK, starts=DAY[0], ends=DAY[1]),),
    (Shift(weekdays=WEEK, starts=EVENING[0], ends=EVENING[1]),),
)
# Together these three cover every night and both days of the weekend, so a grid always has somebody on duty.
PART_TIME = (
    (Shift(weekdays=(1, 2, 3), starts=NIGHT[0], ends=NIGHT[1]),),
    (Shift(weekdays=(4, 5), starts=NIGHT[0], ends=NIGHT[1]), Shift(weekdays=(7,), starts=DAY[0], ends=DAY[1])),
    (Shift(weekdays=(6, 7), starts=NIGHT[0], ends=NIGHT[1]), Shift(weekdays=(6,), starts=DAY[0], ends=DAY[1])),
)
BACKUP = (Shift(weekdays=(6, 7), starts=time(9), ends=time(17)),)

# Per community or street: kind, number, name, reach in metres, steps of priority.
PER_COMMUNITY: tuple[Sight, ...] = (
    ("school", 1, "{}小学", "{} primary school", 150, 1),
    ("care_home", 1, "{}养老服务站", "{} care home", 100, 1),
)
PER_STREET: tuple[Sight, ...] = (
    ("hospital", 1, "{}医院", "{} hospital", 200, 1),
    ("gas_station", 2, "{}加油站", "{} gas station", 150, 1),
    ("market", 1, "{}农贸市场", "{} market", 150, 0),
    ("metro_station", 2, "{}地铁站", "{} metro station", 150, 1),
    ("park", 1, "{}公园", "{} park", 300, 0),
)


def units(areas: Sequence[Area], organisation: Json, catalogue: Catalogue) -> list[Unit]:
    """Every unit; the ladder of each ends at the district's supervision centre."""
    tasks = _tasks_by_role(catalogue)
    claimable = tuple(category.code for category in catalogue.categories if category.claimable)
    made: list[Unit] = []
    for area in areas:
        if area.level != "subgrid":
            made.append(_station(area, tuple(tasks["grid"]) if area.level == "grid" else EVERYTHING))
        if area.level in MEDIATION:
            made.append(_mediator(area))
        if area.level == "street":
            made.append(_co_building(area, claimable))
    root = areas[0].path
    made.extend(_office("department", f"dept:{row['slug']}", row, root, tasks) for row in organisation["departments"])
    made.extend(_office("partner", f"partner:{row['slug']}", row, root, tasks) for row in organisation["organisations"])
    return made


def members(areas: Sequence[Area], full_time: int, part_time: int, random: Random) -> list[Member]:
    """Full-time members first, then part-time ones, in every grid; each grid has somebody on duty at any time.

    Part-time members stand on the sub-grids of their grid, in turn. Every grid has as many as its nights and weekends
    take; those who are left are spread over the grids that have sub-grids. So a grid without sub-grids keeps no more
    than it needs, and no sub-grid is without a member.
    """
    grids = [area.path for area in areas if area.level == "grid"]
    subgrids: dict[str, list[str]] = {grid: [] for grid in grids}
    for area in areas:
        if area.level == "subgrid":
            subgrids[area.path.rpartition("/")[0]].append(area.path)
    divided = [grid for grid in grids if subgrids[grid]]
    full = dict(zip(grids, _spread(len(grids), full_time, random), strict=True))
    more = dict(zip(divided, _spread(len(divided), part_time - len(grids) * len(PART_TIME), random), strict=True))
    return [
        member
        for grid in grids
        for member in _of_grid(grid, full[grid], len(PART_TIME) + more.get(grid, 0), subgrids[grid])
    ]


def places(areas: Sequence[Area], random: Random) -> list[Place]:
    """Schools, hospitals, gas stations and the like, and the road and the building site of the reference scenario."""
    grids_of: dict[str, list[Area]] = defaultdict(list)
    for area in areas:
        if area.level == "grid":
            community, _, _ = area.path.rpartition("/")
            grids_of[community].append(area)
            grids_of[community.rpartition("/")[0]].append(area)
    made: list[Place] = []
    for area in areas:
        for sight in {"community": PER_COMMUNITY, "street": PER_STREET}.get(area.level, ()):
            made.extend(_sights(area, sight, grids_of[area.path], random))
    made.extend(_shuangqiao_road(areas, random))
    return made


def _tasks_by_role(catalogue: Catalogue) -> Mapping[str, list[str]]:
    roles: dict[str, list[str]] = defaultdict(list)
    for category in catalogue.categories:
        for task in (category.lead, *category.supports):
            roles[task.unit].append(category.code)
    return roles


def _station(area: Area, competences: tuple[str, ...]) -> Unit:
    assert area.level != "subgrid"
    name, name_en = STATION[area.level]
    return Unit(
        id=f"{area.level}:{area.path}",
        name=name.format(area.name),
        name_en=name_en.format(area.name_en),
        kind=area.level,
        area=area.path,
        competences=competences,
        superior=None if area.parent is None else f"{LADDER[LADDER.index(area.level) + 1]}:{area.parent}",
    )


def _mediator(area: Area) -> Unit:
    return Unit(
        id=f"mediator:{area.path}",
        name=f"{area.name}{MEDIATION[area.level]}",
        name_en=f"{area.name_en} mediation",
        kind="mediator",
        area=area.path,
        competences=("dispute",),
        superior=f"district:{area.path}" if area.parent is None else f"mediator:{area.parent}",
    )


def _office(kind: UnitKind, unit: str, row: Json, root: str, tasks: Mapping[str, list[str]]) -> Unit:
    """A department or an organisation: competent for what it lists, and for whatever the catalogue asks of it. Above
    it stands the superior that it names, else the district's supervision centre.
    """
    listed = row["competences"]
    asked = [code for code in tasks.get(unit, ()) if not any(code.startswith(f"{prefix}.") for prefix in listed)]
    return Unit(
        id=unit,
        name=row["name"],
        name_en=row["name_en"],
        kind=kind,
        area=root,
        competences=(*listed, *asked),
        superior=row.get("superior", f"district:{root}"),
    )


def _co_building(street: Area, claimable: tuple[str, ...]) -> Unit:
    return Unit(
        id=f"partner:co-building-{street.path.rpartition('/')[2]}",
        name=f"{street.name}共建单位联盟",
        name_en=f"{street.name_en} co-building units",
        kind="partner",
        area=street.path,
        competences=claimable,
        superior=f"street:{street.path}",
    )


def _spread(places: int, total: int, random: Random) -> list[int]:
    """`total` over `places` as evenly as can be; chance says who gets one more."""
    fewest, more = divmod(total, places)
    lucky = set(random.sample(range(places), more))
    return [fewest + (i in lucky) for i in range(places)]


def _of_grid(grid: str, full: int, part: int, subgrids: Sequence[str]) -> Iterator[Member]:
    *_, community, number = grid.split("/")
    for order in range(full + part):
        full_time = order < full
        shifts = FULL_TIME[min(order, 1)] if full_time else (*PART_TIME, BACKUP)[min(order - full, len(PART_TIME))]
        yield Member(
            id=f"member:{community}-{number}-{order + 1}",
            unit=f"grid:{grid}",
            grid=grid,
            subgrid=None if full_time or not subgrids else subgrids[(order - full) % len(subgrids)],
            full_time=full_time,
            order=order,
            shifts=shifts,
        )


def _sights(area: Area, sight: Sight, grids: Sequence[Area], random: Random) -> Iterator[Place]:
    kind, count, name, name_en, radius_m, steps = sight
    slug = "-".join((*area.path.split("/")[1:], kind.replace("_", "-")))
    short, short_en = area.name[:-2], area.name_en.rpartition(" ")[0]
    for number in range(1, count + 1):
        grid = random.choice(grids)
        yield Place(
            id=f"place:{slug}" if count == 1 else f"place:{slug}-{number}",
            name=name.format(short if count == 1 else f"{short}第{number}"),
            name_en=name_en.format(short_en if count == 1 else f"{short_en} {number}"),
            kind=kind,
            point=_inside(grid, random),
            area=grid.path,
            radius_m=radius_m,
            priority_raise=steps,
        )


def _shuangqiao_road(areas: Sequence[Area], random: Random) -> Iterator[Place]:
    grid = next(area for area in areas if area.path.endswith("/shuangqiaozi/shuangqiaolubei/g001"))
    road = _inside(grid, random)
    sights: tuple[tuple[str, str, str, PlaceKind, int], ...] = (
        ("shuangqiao-road", "双桥路", "Shuangqiao Road", "road", 400),
        ("shuangqiao-road-metro-site", "双桥路地铁施工工地", "Shuangqiao Road metro site", "construction_site", 150),
    )
    for slug, name, name_en, kind, radius_m in sights:
        yield Place(
            id=f"place:{slug}",
            name=name,
            name_en=name_en,
            kind=kind,
            point=road,
            area=grid.path,
            radius_m=radius_m,
            priority_raise=0,
        )


def _inside(area: Area, random: Random) -> tuple[float, float]:
    """A point well inside an area: a mix of its corners, drawn again if the area is not convex there."""
    ring: list[Vertex] = [(round(lon * PER_DEGREE), round(lat * PER_DEGREE)) for lon, lat in area.polygon[:-1]]
    while True:
        weights = [random.uniform(0.5, 1.5) for _ in ring]
        total = sum(weights)
        point = (
            round(sum(w * x for w, (x, _) in zip(weights, ring, strict=True)) / total),
            round(sum(w * y for w, (_, y) in zip(weights, ring, strict=True)) / total),
        )
        if contains(ring, point):
            return point[0] / PER_DEGREE, point[1] / PER_DEGREE
