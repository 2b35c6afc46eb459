"""What intake knows of the district: which area a point, an address or a name lies in, key places, policy.

A point decides: the sub-grid it lies in, else the grid. On an edge or outside all of them it lies in none, whatever
area was named with it, and a person decides. Without a point the area that was named counts, else the address, if the
names of areas and places in it agree on one grid.
"""

import math
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import shapely

from chassis.decider import Refused
from contracts import fields
from contracts.fields import lies_in
from contracts.reference import Area, Areas, Places, Policy, Reference
from contracts.reference import Place as KnownPlace

R = TypeVar("R", bound=Reference)

METRES_PER_DEGREE = 111_195
"""Of latitude, on a sphere of the Earth's mean radius (6,371 km)."""
GRID = 3
"""Slashes in the path of a grid; a sub-grid has one more."""


class UnknownArea(Refused):
    """The area that was named is not in this district."""

    def __init__(self, area: str) -> None:
        super().__init__("place.area", f"{area} is not an area of this district")


class Territory:
    """Where things are."""

    def __init__(self, areas: Areas, places: Places) -> None:
        self._areas = areas.by_path
        self._leaves = sorted((a for a in areas.areas if a.path.count("/") >= GRID), key=lambda area: area.path)
        self._tree = shapely.STRtree([shapely.Polygon(area.polygon) for area in self._leaves])
        latitudes = [lat for area in self._leaves for _, lat in area.polygon]
        self._narrowing = math.cos(math.radians(sum(latitudes) / len(latitudes))) if latitudes else 1.0
        self._key = [place for place in places.places if place.priority_raise > 0]
        self._key_tree = shapely.STRtree([shapely.Point(self._metres(*place.point)) for place in self._key])
        self._reach = max((place.radius_m for place in self._key), default=0)
        self._names = _names(areas, places)
        self._lengths = sorted({len(name) for name in self._names}, reverse=True)

    def locate(self, point: fields.Point | None, address: str | None, area: str | None) -> fields.Place:
        """The place with the area it lies in, and the key place it is at. Raises `UnknownArea`."""
        if area is not None and area not in self._areas:
            raise UnknownArea(area)
        key_place = None
        if point is not None:
            area, key_place = self.area_at(point), self.key_place_at(point)
        elif address is not None and area is None:
            area, key_place = self._read(address)
        return fields.Place(point=point, address=address, area=area, key_place=key_place)

    def area_at(self, point: fields.Point) -> str | None:
        """The deepest grid or sub-grid with the point in its interior; None where there is none."""
        found = self._tree.query(shapely.Point(point.lon, point.lat), predicate="within")
        return max((self._leaves[index].path for index in found), key=lambda path: path.count("/"), default=None)

    def key_place_at(self, point: fields.Point) -> str | None:
        """Of the key places whose radius reaches the point, the one that raises the priority most; then the nearest."""
        here = shapely.Point(self._metres(point.lon, point.lat))
        near = self._key_tree.query(here, predicate="dwithin", distance=self._reach) if self._key else ()
        candidates = []
        for index in near:
            place = self._key[index]
            distance = float(shapely.distance(here, self._key_tree.geometries[index]))
            if distance <= place.radius_m:
                candidates.append((-place.priority_raise, distance, place.id))
        return min(candidates)[2] if candidates else None

    def _metres(self, lon: float, lat: float) -> tuple[float, float]:
        """A plane in metres; true to a per mille within a district."""
        return lon * self._narrowing * METRES_PER_DEGREE, lat * METRES_PER_DEGREE

    def _read(self, address: str) -> tuple[str | None, str | None]:
        """The grid that all names in an address agree on, and the key place among them."""
        meant = [self._names[name] for name in self._names_in(_plain(address))]
        every = {area for named in meant for area, _ in named}
        agreed = {a for a in every if all(any(lies_in(a, area) for area, _ in named) for named in meant)}
        deepest = [a for a in agreed if not any(other != a and lies_in(other, a) for other in agreed)]
        if len(deepest) != 1 or deepest[0].count("/") < GRID:
            return None, None
        keys = [
            place
            for named in meant
            for area, place in named
            if place and place.priority_raise > 0 and area == deepest[0]
        ]
        return deepest[0], max(keys, key=lambda place: (place.priority_raise, place.id)).id if keys else None

    def _names_in(self, text: str) -> Iterator[str]:
        """The known names in a text; of two that overlap, the one that begins first, and the longer of those."""
        at = 0
        while at < len(text):
            name = next((text[at : at + n] for n in self._lengths if self._stands(text, at, n)), None)
            if name is not None:
                yield name
            at += len(name) if name else 1

    def _stands(self, text: str, at: int, length: int) -> bool:
        """Whether a known name of that length stands there: in Latin letters and digits only as whole words."""
        end = at + length
        return (
            text[at:end] in self._names
            and not (at > 0 and _in_word(text[at - 1]) and _in_word(text[at]))
            and not (end < len(text) and _in_word(text[end]) and _in_word(text[end - 1]))
        )


@dataclass(frozen=True)
class District:
    """The reference files intake uses."""

    territory: Territory
    policy: Policy


def load(folder: Path) -> District:
    """Reads the district's files. Raises `FileNotFoundError` that says how to make them."""
    return District(
        Territory(_read_file(folder, "areas", Areas), _read_file(folder, "places", Places)),
        _read_file(folder, "policy", Policy),
    )


def _read_file(folder: Path, name: str, model: type[R]) -> R:
    path = folder / f"{name}.json"
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path} is missing: `python -m deploy.district --out {folder}` makes it, or set CASEGRID_DISTRICT"
        ) from None


def _names(areas: Areas, places: Places) -> Mapping[str, list[tuple[str, KnownPlace | None]]]:
    """Name -> what it may mean: an area, or a place in one."""
    found: dict[str, list[tuple[str, KnownPlace | None]]] = defaultdict(list)
    for area in areas.areas:
        for name in _both(area):
            found[name].append((area.path, None))
    for place in places.places:
        for name in _both(place):
            found[name].append((place.area, place))
    return dict(found)


def _both(named: Area | KnownPlace) -> set[str]:
    return {_plain(named.name), _plain(named.name_en)}


def _plain(text: str) -> str:
    """As names are compared: one form of width, lower case, single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _in_word(character: str) -> bool:
    return character.isascii() and character.isalnum()
