"""The reference data a ruling is made by, and what is worked out from it once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

from contracts.reference import LADDER, Calendar, Catalogue, Member, Place, Policy, Units, unit_for
from services.triage.domain.recognition import Recognizer

Locate = Callable[[float, float], str | None]
"""(latitude, longitude) -> the path or identifier of what lies there."""


@dataclass(frozen=True, eq=False)
class Rulebook:
    """Catalogue, policy and calendar; the areas and who works in them. Equal only to itself."""

    catalogue: Catalogue
    policy: Policy
    calendar: Calendar
    units: Units
    members: Mapping[str, tuple[Member, ...]]
    """Grid unit -> its members, the responsible one first."""
    areas: frozenset[str]
    places: Mapping[str, Place]
    area_at: Locate
    """The deepest area around a position."""
    key_place_at: Locate
    """The nearest named place within whose reach a position lies."""

    @cached_property
    def recognizer(self) -> Recognizer:
        """Tells categories by words."""
        return Recognizer(self.catalogue, self.policy)

    @cached_property
    def zone(self) -> ZoneInfo:
        """The time zone of shifts."""
        return ZoneInfo(self.calendar.time_zone)

    @cached_property
    def superiors(self) -> Mapping[str, tuple[str, ...]]:
        """Unit -> the units above it, lowest first."""
        return {unit.id: tuple(self._above(unit.superior)) for unit in self.units.units}

    def _above(self, unit: str | None) -> list[str]:
        found = []
        while unit is not None:
            found.append(unit)
            unit = self.units.by_id[unit].superior
        return found

    def unit_of(self, role: str, area: str) -> str | None:
        """The unit that fills a role in an area; where the area is too wide to name one, the next up the ladder that
        covers all of it. None where there is no such unit.
        """
        for rung in self._rungs(role, area):
            try:
                unit = unit_for(rung, area)
            except ValueError:
                continue
            if unit in self.units.by_id:
                return unit
        return None

    @staticmethod
    def _rungs(role: str, area: str) -> tuple[str, ...]:
        if role in LADDER:
            return LADDER[LADDER.index(role) :]
        return (role, f"mediator:{area}", *LADDER[2:]) if role == "mediator" else (role, *LADDER[2:])


def covers(area: str, other: str) -> bool:
    """Whether `other` is `area` or lies in it."""
    return other == area or other.startswith(area + "/")


def depth(area: str) -> int:
    """1 for a district, 2 street, 3 community, 4 grid, 5 sub-grid."""
    return area.count("/") + 1


def upto(area: str | None, level: int) -> str | None:
    """The area of that depth around an area; None where the area is wider."""
    if area is None:
        return None
    parts = area.split("/", level)
    return "/".join(parts[:level]) if len(parts) >= level else None
