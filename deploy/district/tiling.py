"""Cuts a polygon into parts that tile it exactly: whole-number vertices, every one shared by all parts that touch it.

A cut that ends on an edge puts a vertex into it, also for the part on the other side, whether that part exists yet,
has been cut further or never will be. So no part overlaps another and no gap opens, in whole numbers, at any depth.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

Vertex = tuple[int, int]
Ring = list[Vertex]

# Unit of a coordinate: 1e-7 degree, about a centimetre.
PER_DEGREE = 10_000_000
# At 30.7 degrees north a degree of longitude is this much of a degree of latitude.
LON_SCALE = 0.86
NORMALS = ((1, 0), (0, 1), (1, 1), (1, -1), (2, 1), (1, 2), (2, -1), (1, -2))
# A cut this near a vertex goes through it: about two metres.
NEAR = 200


@dataclass(frozen=True)
class Plot:
    """A part to be cut: its share relative to the others, and where it should lie, if that matters."""

    weight: float
    centre: Vertex | None = None


class Unsplittable(Exception):
    """No straight cut of the wanted share leaves exactly two pieces."""


class Mesh:
    """The edges of all parts, with the vertices that cuts have put into them."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._middle: dict[tuple[Vertex, Vertex], Vertex] = {}

    def ring(self, corners: Ring) -> Ring:
        """The ring with every vertex that any cut has put on its edges so far."""
        full: Ring = []
        for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
            full.extend(self._expand(start, end))
        return full

    def cut(self, corners: Ring, share: float, normal: tuple[float, float]) -> tuple[Ring, Ring]:
        """Cut across `normal` so that the first part, the lower side along it, has `share` of the area.

        Raises Unsplittable where the line crosses the ring more than twice or the parts would be degenerate.
        """
        ring = self.ring(corners)
        offset = _offset(ring, share, normal)
        heights = [_along(point, normal) - offset for point in ring]
        crossings = [i for i, height in enumerate(heights) if (height < 0) != (heights[(i + 1) % len(ring)] < 0)]
        if len(crossings) != 2:
            raise Unsplittable
        points = [self._cross(ring, heights, i) for i in crossings]
        ring = self.ring(ring)
        first, second = sorted(ring.index(point) for point in points)
        parts = [ring[first : second + 1], ring[second:] + ring[: first + 1]]
        if min(len(part) for part in parts) < 3:
            raise Unsplittable
        parts.sort(key=lambda part: sum(_along(point, normal) for point in part) / len(part))
        return parts[0], parts[1]

    def divide(self, corners: Ring, plots: Sequence[Plot]) -> list[Ring]:
        """One part per plot, in their order, each with its plot's share of the area.

        Plots with a centre come to lie as their centres do; the others follow each other along the long axis.
        """
        if len(plots) == 1:
            return [corners]
        for normal in self.normals(self.ring(corners)):
            order = sorted(range(len(plots)), key=lambda i: _along(plots[i].centre or (0, 0), normal))
            here, there = _halve(order, [plot.weight for plot in plots])
            total = sum(plot.weight for plot in plots)
            try:
                lower, upper = self.cut(corners, sum(plots[i].weight for i in here) / total, normal)
            except Unsplittable:
                continue
            parts = dict(zip(here, self.divide(lower, [plots[i] for i in here]), strict=True))
            parts.update(zip(there, self.divide(upper, [plots[i] for i in there]), strict=True))
            return [parts[i] for i in range(len(plots))]
        raise Unsplittable

    def normals(self, ring: Ring) -> list[tuple[float, float]]:
        """Directions to cut across, the one in which the ring is longest first, each turned a little by chance."""
        turned = [(a + self._random.uniform(-0.15, 0.15), b + self._random.uniform(-0.15, 0.15)) for a, b in NORMALS]
        return sorted(turned, key=lambda normal: _extent(ring, normal), reverse=True)

    def _expand(self, start: Vertex, end: Vertex) -> Iterable[Vertex]:
        middle = self._middle.get((start, end))
        if middle is None:
            return [start]
        return [*self._expand(start, middle), *self._expand(middle, end)]

    def _cross(self, ring: Ring, heights: list[float], i: int) -> Vertex:
        start, end = ring[i], ring[(i + 1) % len(ring)]
        part = heights[i] / (heights[i] - heights[(i + 1) % len(ring)])
        point = (round(start[0] + (end[0] - start[0]) * part), round(start[1] + (end[1] - start[1]) * part))
        for corner in (start, end):
            if abs(point[0] - corner[0]) + abs(point[1] - corner[1]) < NEAR:
                return corner
        self._middle[start, end] = self._middle[end, start] = point
        return point


def doubled_area(ring: Ring) -> int:
    """Twice the signed area in square units, exact; positive where the ring runs counter-clockwise."""
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, ring[1:] + ring[:1], strict=True))


def contains(ring: Ring, point: Vertex) -> bool:
    """Whether a point lies inside, by counting crossings; a point on the border may be told either."""
    inside = False
    x, y = point
    for (ax, ay), (bx, by) in zip(ring, ring[1:] + ring[:1], strict=True):
        if (ay > y) != (by > y):
            left = (bx - ax) * (y - ay) - (x - ax) * (by - ay)
            inside ^= (left > 0) == (by > ay)
    return inside


def _halve(order: list[int], weights: list[float]) -> tuple[list[int], list[int]]:
    """Two non-empty runs of `order` with weights as near to equal as can be."""
    total = sum(weights[i] for i in order)
    cuts = range(1, len(order))
    best = min(cuts, key=lambda n: abs(2 * sum(weights[i] for i in order[:n]) - total))
    return order[:best], order[best:]


def _along(point: Vertex, normal: tuple[float, float]) -> float:
    return point[0] * LON_SCALE * normal[0] + point[1] * normal[1]


def _extent(ring: Ring, normal: tuple[float, float]) -> float:
    heights = [_along(point, normal) for point in ring]
    return (max(heights) - min(heights)) / (normal[0] ** 2 + normal[1] ** 2) ** 0.5


def _offset(ring: Ring, share: float, normal: tuple[float, float]) -> float:
    """The height along `normal` below which `share` of the area lies, by halving; a metre's error does no harm."""
    origin = ring[0]
    local = [(x - origin[0], y - origin[1]) for x, y in ring]
    heights = [_along(point, normal) for point in local]
    wanted = share * _area_below(local, heights, max(heights) + 1)
    low, high = min(heights), max(heights)
    for _ in range(24):
        middle = (low + high) / 2
        if _area_below(local, heights, middle) < wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2 + _along(origin, normal)


def _area_below(ring: Ring, heights: list[float], offset: float) -> float:
    """Twice the area of the part of a ring that lies below a height: Sutherland and Hodgman's clipping, summed."""
    total = 0.0
    first: tuple[float, float] | None = None
    last = (0.0, 0.0)
    count = len(ring)
    for i in range(count):
        (ax, ay), (bx, by) = ring[i - 1], ring[i]
        below, above = heights[i - 1] < offset, heights[i] < offset
        corners: list[tuple[float, float]] = []
        if below != above:
            part = (offset - heights[i - 1]) / (heights[i] - heights[i - 1])
            corners.append((ax + (bx - ax) * part, ay + (by - ay) * part))
        if above:
            corners.append((bx, by))
        for corner in corners:
            if first is None:
                first = corner
            else:
                total += last[0] * corner[1] - corner[0] * last[1]
            last = corner
    return total + (last[0] * first[1] - first[0] * last[1] if first else 0.0)
