"""Where things are: the levels of the area tree, distances, which grid or key place a position lies in, and where a
report lies.
"""

from dataclasses import dataclass
from math import cos, hypot, radians
from typing import Literal

import shapely

from contracts import fields
from contracts.fields import Point
from contracts.reference import Areas, Gazetteer, Place, Places, Reading

DISTRICT, STREET, COMMUNITY, GRID, SUBGRID = range(1, 6)
"""The depths of the area tree."""
METRES_PER_DEGREE = 111_195
"""Of latitude, on a sphere of the Earth's mean radius (6,371 km)."""


def depth(area: str) -> int:
    """1 for a district, 2 street, 3 community, 4 grid, 5 sub-grid."""
    return area.count("/") + 1


def upto(area: str | None, level: int) -> str | None:
    """The area of that depth around an area; None where the area is wider."""
    if area is None:
        return None
    parts = area.split("/", level)
    return "/".join(parts[:level]) if len(parts) >= level else None


def metres_between(one: Point, other: Point) -> float:
    """The distance on a plane that touches the Earth between them: exact to 0.1 % within a few kilometres."""
    north = (one.lat - other.lat) * METRES_PER_DEGREE
    east = (one.lon - other.lon) * METRES_PER_DEGREE * cos(radians((one.lat + other.lat) / 2))
    return hypot(north, east)


def around(point: Point, metres: float) -> tuple[float, float, float, float]:
    """South, north, west and east of a box that holds all within that distance of a point."""
    north = metres / METRES_PER_DEGREE
    east = north / max(0.01, cos(radians(min(90.0, abs(point.lat) + north))))
    return point.lat - north, point.lat + north, point.lon - east, point.lon + east


@dataclass(frozen=True, slots=True)
class Location:
    """Where a report lies. `place` has its area and key place; without an area a person must decide."""

    place: fields.Place
    by: Literal["position", "name", "address"] | None
    """What located it; None if nothing did."""
    reading: Reading | None = None
    """What its address means, if it has one and neither a position nor a name located it."""


class Territory:
    """Finds the grid and the key place of a position, and where a report lies."""

    def __init__(self, areas: Areas, places: Places) -> None:
        self.areas = areas.by_path
        self.root = areas.root
        self._addresses = Gazetteer(areas.areas, places.places)
        leaves = [area for area in areas.areas if depth(area.path) >= GRID]
        self._paths = [area.path for area in leaves]
        self._polygons = shapely.STRtree([shapely.Polygon(area.polygon) for area in leaves])
        self._key_places = [place for place in places.places if place.priority_raise > 0]
        self._reaches = shapely.STRtree([_reach(place) for place in self._key_places])

    def area_at(self, point: Point) -> str | None:
        """The deepest grid or sub-grid that holds the point strictly inside. None for a point on an edge or outside of
        all: a person decides where it belongs.
        """
        found: list[int] = self._polygons.query(shapely.Point(point.lon, point.lat), predicate="within").tolist()
        return max((self._paths[index] for index in found), key=lambda path: (depth(path), path), default=None)

    def key_place_at(self, point: Point) -> str | None:
        """Of the key places whose radius reaches the point, the one that raises the priority most; then the nearest."""
        found: list[int] = self._reaches.query(shapely.Point(point.lon, point.lat)).tolist()
        candidates: list[tuple[int, float, str]] = []
        for place in (self._key_places[index] for index in found):
            metres = metres_between(point, _position(place))
            if metres <= place.radius_m:
                candidates.append((-place.priority_raise, metres, place.id))
        return min(candidates)[2] if candidates else None

    def locate(self, place: fields.Place) -> Location:
        """Where a report lies. A position decides: it lies in the deepest area around it, whatever area was named; on
        an edge or outside all grids it lies in none. Without a position the area that was named counts, if the district
        has it; else the address, if its names agree on one grid that nothing in it contradicts.

        Locating a place again that was located before changes nothing.
        """
        if place.point is None and place.area is not None and place.area in self.areas:
            return Location(place, "name")
        area, key_place, by, reading = None, None, None, None
        if place.point is not None:
            area, key_place, by = self.area_at(place.point), self.key_place_at(place.point), "position"
        if area is None and place.address is not None:
            reading = self._addresses.read(place.address)
        if place.point is None and reading is not None:
            area, key_place, by = reading.grid, reading.key_place, "address"
        located = place.model_copy(update={"area": area, "key_place": key_place})
        return Location(located, by if area is not None else None, reading)


def _reach(place: Place) -> shapely.Polygon:
    south, north, west, east = around(_position(place), place.radius_m)
    return shapely.box(west, south, east, north)


def _position(place: Place) -> Point:
    lon, lat = place.point
    return Point(lat=lat, lon=lon)
