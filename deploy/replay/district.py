"""The reference district as the replay needs it: where foreign places go, and who lives beside a grid to check it."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import shapely

from chassis.reference import read
from contracts.reference import Area, Areas, Catalogue, Member, Members

SQUARE = 0.004
"""Degrees: the side of the squares of a foreign city of which each goes to one grid; about as large as a grid."""
_INWARD = 0.97
"""How far towards the edge of its grid a place may come; a point on the edge lies in no grid."""


@dataclass(frozen=True)
class District:
    """Grids, their members, and the catalogue."""

    areas: Sequence[Area]
    members: Sequence[Member]
    catalogue: Catalogue

    @cached_property
    def grids(self) -> list[Area]:
        """In the order of their paths, so that the same hash means the same grid in every run."""
        return sorted((area for area in self.areas if area.level == "grid"), key=lambda area: area.path)

    @cached_property
    def _shapes(self) -> list["_Shape"]:
        return [_Shape.of(grid) for grid in self.grids]

    @cached_property
    def _members(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for member in sorted(self.members, key=lambda member: (member.grid, member.order)):
            found[member.grid].append(member.id)
        return found

    @cached_property
    def _communities(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for grid in self.grids:
            found[grid.path.rpartition("/")[0]].append(grid.path)
        return found

    def grid_for(self, words: str) -> str:
        """A grid by hash: the same words, the same grid."""
        return self.grids[_number(words) % len(self.grids)].path

    def place(self, lat: float, lon: float) -> dict[str, float]:
        """Where in this district a place of another city is played: the same for equal places, near for near ones.

        The square of the other city that the place lies in has a grid by hash; in it the place keeps its relative
        position. Places on the two sides of a square's edge may come to lie far apart.
        """
        row, column = math.floor(lat / SQUARE), math.floor(lon / SQUARE)
        shape = self._shapes[_number(f"{row}:{column}") % len(self._shapes)]
        east, north = lon / SQUARE - column, lat / SQUARE - row
        x, y = shape.within(2 * east - 1, 2 * north - 1)
        return {"lat": round(y, 7), "lon": round(x, 7)}

    def member_of(self, grid: str) -> str:
        """The member that answers for a grid."""
        return self._members[grid][0]

    def neighbour(self, area: str, unlike: frozenset[str]) -> tuple[str, str] | None:
        """(Member, unit) of another grid of the same community whose unit is none of `unlike`; None: there is none."""
        parts = area.split("/")
        own, community = "/".join(parts[:4]), "/".join(parts[:3])
        for grid in self._communities.get(community, ()):
            unit = f"grid:{grid}"
            if grid != own and unit not in unlike and self._members.get(grid):
                return self._members[grid][0], unit
        return None


@dataclass(frozen=True)
class _Shape:
    """A grid as seen from a point in its middle."""

    x: float
    y: float
    edge: shapely.LinearRing
    reach: float
    """Farther from the middle than every corner."""

    @classmethod
    def of(cls, grid: Area) -> "_Shape":
        polygon = shapely.Polygon(grid.polygon)
        middle = polygon.centroid if polygon.contains(polygon.centroid) else polygon.representative_point()
        return cls(middle.x, middle.y, polygon.exterior, math.hypot(*_extent(polygon)))

    def within(self, east: float, north: float) -> tuple[float, float]:
        """The position in the grid that lies as far towards the edge as (east, north), each -1 to 1, does in a square.

        Each ray from the middle is stretched by itself, so no two positions become one.
        """
        length = math.hypot(east, north)
        if length == 0:
            return self.x, self.y
        share = max(abs(east), abs(north))
        ray = shapely.LineString(
            [
                (self.x, self.y),
                (self.x + east / length * self.reach, self.y + north / length * self.reach),
            ]
        )
        to_edge = shapely.Point(self.x, self.y).distance(ray.intersection(self.edge))
        distance = to_edge * share * _INWARD
        return self.x + east / length * distance, self.y + north / length * distance


def load(folder: Path) -> District:
    """Reads the district's files. Raises `BadReference`."""
    return District(read(folder, Areas).areas, read(folder, Members).members, read(folder, Catalogue))


def _extent(polygon: shapely.Polygon) -> tuple[float, float]:
    west, south, east, north = polygon.bounds
    return east - west, north - south


def _number(words: str) -> int:
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big")


def share(words: str) -> float:
    """A number from 0 to 1 by hash."""
    return _number(words) / 2**64
