"""The reference data a ruling is made by, and what is worked out from it once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

from contracts.reference import Calendar, Catalogue, Member, Place, Policy, Units, filled_by
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

    def unit_of(self, role: str, area: str) -> str | None:
        """The unit that fills a role in an area, or stands in for it."""
        return filled_by(role, area, self.units.by_id)


def depth(area: str) -> int:
    """1 for a district, 2 street, 3 community, 4 grid, 5 sub-grid."""
    return area.count("/") + 1


def upto(area: str | None, level: int) -> str | None:
    """The area of that depth around an area; None where the area is wider."""
    if area is None:
        return None
    parts = area.split("/", level)
    return "/".join(parts[:level]) if len(parts) >= level else None
