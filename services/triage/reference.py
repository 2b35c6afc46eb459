"""The district's reference files, read once at the start, and the places behind positions."""

from collections import defaultdict
from pathlib import Path
from typing import TypeVar

from shapely import Point, STRtree, box
from shapely.geometry import Polygon

from contracts.fields import Point as Position
from contracts.reference import (
    Area,
    Areas,
    Calendar,
    Catalogue,
    Member,
    Members,
    Place,
    Places,
    Policy,
    Reference,
    Units,
)
from services.triage.domain.neighbours import around, metres_between
from services.triage.domain.rulebook import Rulebook

R = TypeVar("R", bound=Reference)


def load(folder: Path) -> Rulebook:
    """Everything triage rules by. Raises `SystemExit` naming what is missing."""
    areas = _read(folder, Areas)
    places = _read(folder, Places)
    members: dict[str, list[Member]] = defaultdict(list)
    for member in sorted(_read(folder, Members).members, key=lambda member: member.order):
        members[member.unit].append(member)
    return Rulebook(
        catalogue=_read(folder, Catalogue),
        policy=_read(folder, Policy),
        calendar=_read(folder, Calendar),
        units=_read(folder, Units),
        members={unit: tuple(found) for unit, found in members.items()},
        areas=frozenset(areas.by_path),
        places={place.id: place for place in places.places},
        area_at=Grids(areas.areas).at,
        key_place_at=KeyPlaces(places.places).at,
    )


class Grids:
    """Finds the grid or sub-grid around a position."""

    def __init__(self, areas: tuple[Area, ...]) -> None:
        # The deepest first, then by path: a point on a common edge belongs to the same grid on every day.
        grids = sorted(
            (area for area in areas if area.level in ("grid", "subgrid")),
            key=lambda area: (-area.path.count("/"), area.path),
        )
        self._paths = [area.path for area in grids]
        self._tree = STRtree([Polygon(area.polygon) for area in grids])

    def at(self, lat: float, lon: float) -> str | None:
        """The path of the deepest area around a position."""
        found = self._tree.query(Point(lon, lat), predicate="intersects")
        return self._paths[int(found.min())] if len(found) else None


class KeyPlaces:
    """Finds the named place that a position belongs to."""

    def __init__(self, places: tuple[Place, ...]) -> None:
        self._places = places
        self._tree = STRtree([_around(place) for place in places])

    def at(self, lat: float, lon: float) -> str | None:
        """The place within whose reach a position lies; of several the most urgent, then the nearest."""
        here = Position(lat=lat, lon=lon)
        best: tuple[int, float, str] | None = None
        for index in self._tree.query(Point(lon, lat)):
            place = self._places[int(index)]
            metres = metres_between(here, _position(place))
            if metres <= place.radius_m:
                rank = (-place.priority_raise, metres, place.id)
                best = rank if best is None else min(best, rank)
        return best[2] if best else None


def _around(place: Place) -> Polygon:
    """A box that holds the reach of a place."""
    south, north, west, east = around(_position(place), place.radius_m)
    return box(west, south, east, north)


def _position(place: Place) -> Position:
    return Position(lat=place.point[1], lon=place.point[0])


def _read(folder: Path, kind: type[R]) -> R:
    path = folder / f"{kind.__name__.lower()}.json"
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise SystemExit(
            f"{path} is missing: `python -m deploy.district --out {folder}` makes the reference district"
        ) from None
