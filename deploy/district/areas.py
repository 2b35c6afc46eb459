"""The area tree of a district at a scale: streets, communities, grids and sub-grids with households and polygons."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from contracts.reference import LEVELS, Area, Scale
from deploy.district.tiling import PER_DEGREE, Mesh, Plot, Ring, doubled_area

Json = Mapping[str, Any]
# A sub-grid has 150-200 households and a grid 300-500, so a grid of two has 300-400 and one of three 450-500.
UNDIVIDED, HALF, THIRD = (300, 500), (150, 200), (150, 166)
FEWEST_GRIDS = 4


@dataclass
class Node:
    """An area before its polygon is closed: the ring grows a vertex wherever a neighbour is cut."""

    path: str
    name: str
    name_en: str
    ring: Ring
    households: int
    children: list["Node"]

    def walk(self) -> Iterator["Node"]:
        yield self
        for child in self.children:
            yield from child.walk()


def build(territory: Json, scale: Scale, random: Random) -> list[Area]:
    """Every area, parents before children. The parts of an area tile it exactly."""
    size = territory["scales"][scale]
    chosen = _chosen(territory["streets"], size["streets"])
    root = territory["root"]
    grids = _grids_per_community(chosen, size, root["path"], random)
    mesh = Mesh(random)
    outline = [_vertex(lon, lat) for lon, lat in territory["outline"]]
    top = Node(root["path"], root["name"], root["name_en"], outline, 0, [])
    plots = [Plot(street["area_km2"], _vertex(*street["centre"])) for street in chosen]
    for street, ring in zip(chosen, mesh.divide(outline, plots), strict=True):
        top.children.append(_street(street, f"{top.path}/{street['slug']}", ring, grids, mesh))
    leaves = [grid for street in top.children for community in street.children for grid in community.children]
    _divide_grids(leaves, size["subgrids"], mesh, random)
    for street in top.children:
        for community in street.children:
            community.households = sum(grid.households for grid in community.children)
        street.households = sum(community.households for community in street.children)
    top.households = sum(street.households for street in top.children)
    return [_area(node, mesh) for node in top.walk()]


def _chosen(streets: Sequence[Json], wanted: Mapping[str, Sequence[str]] | None) -> list[dict[str, Any]]:
    """The streets of a scale, each with the communities of that scale."""
    if wanted is None:
        return [dict(street) for street in streets]
    return [
        {**street, "communities": [c for c in street["communities"] if c["slug"] in wanted[street["slug"]]]}
        for street in streets
        if street["slug"] in wanted
    ]


def _grids_per_community(streets: Sequence[Json], size: Json, root: str, random: Random) -> dict[str, int]:
    """Grids per community path: the fixed ones, and the rest spread by chance, with the total of the scale."""
    paths = [f"{root}/{street['slug']}/{place['slug']}" for street in streets for place in street["communities"]]
    fixed = size["fixed_grids"]
    free = [path for path in paths if path not in fixed]
    left = size["grids"] - sum(fixed.values())
    fewest = min(FEWEST_GRIDS, left // len(free))
    counts = dict.fromkeys(free, fewest)
    weights = [random.uniform(0.5, 1.5) for _ in free]
    for path in random.choices(free, weights, k=left - fewest * len(free)):
        counts[path] += 1
    return {**counts, **fixed}


def _street(street: Json, path: str, ring: Ring, grids: Mapping[str, int], mesh: Mesh) -> Node:
    node = Node(path, f"{street['name']}街道", f"{street['name_en']} Street", ring, 0, [])
    paths = [f"{path}/{community['slug']}" for community in street["communities"]]
    parts = mesh.divide(ring, [Plot(grids[path]) for path in paths])
    for community, path, part in zip(street["communities"], paths, parts, strict=True):
        child = Node(path, f"{community['name']}社区", f"{community['name_en']} Community", part, 0, [])
        for number, cell in enumerate(mesh.divide(part, [Plot(1)] * grids[path]), 1):
            names = (f"{child.name}第{number}网格", f"{child.name_en} grid {number}")
            child.children.append(Node(f"{path}/g{number:03}", *names, cell, 0, []))
        node.children.append(child)
    return node


def _divide_grids(grids: Sequence[Node], counts: Json, mesh: Mesh, random: Random) -> None:
    """Cut the wanted numbers of grids into two and three sub-grids, and give every leaf its households."""
    known = [grid for grid in grids if grid.path in counts["always_three"]]
    others = [grid for grid in grids if grid not in known]
    divided = random.sample(others, counts["two"] + counts["three"] - len(known))
    three = {grid.path for grid in (*known, *divided)[: counts["three"]]}
    two = {grid.path for grid in (*known, *divided)[counts["three"] :]}
    for grid in grids:
        if grid.path not in three | two:
            grid.households = random.randint(*UNDIVIDED)
            continue
        share, parts = (THIRD, 3) if grid.path in three else (HALF, 2)
        households = [random.randint(*share) for _ in range(parts)]
        rings = mesh.divide(grid.ring, [Plot(number) for number in households])
        for number, (count, ring) in enumerate(zip(households, rings, strict=True), 1):
            names = (f"{grid.name}{number}号微网格", f"{grid.name_en} sub-grid {number}")
            grid.children.append(Node(f"{grid.path}/s{number:02}", *names, ring, count, []))
        grid.households = sum(households)


def _area(node: Node, mesh: Mesh) -> Area:
    ring = mesh.ring(node.ring)
    if doubled_area(ring) < 0:
        ring.reverse()
    points = tuple((x / PER_DEGREE, y / PER_DEGREE) for x, y in (*ring, ring[0]))
    return Area(
        path=node.path,
        level=LEVELS[node.path.count("/")],
        name=node.name,
        name_en=node.name_en,
        households=node.households,
        polygon=points,
    )


def _vertex(lon: float, lat: float) -> tuple[int, int]:
    return round(lon * PER_DEGREE), round(lat * PER_DEGREE)
