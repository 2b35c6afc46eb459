"""The reference data that rulings are made by, and what is worked out from it once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

from contracts.reference import Area, Calendar, Catalogue, Member, Place, Policy, Unit, Units, filled_by
from contracts.territory import Territory
from services.triage.domain.recognition import Recognizer


@dataclass(frozen=True, eq=False)
class Rulebook:
    """Catalogue, policy and calendar; the areas and who works in them. Equal only to itself."""

    catalogue: Catalogue
    policy: Policy
    calendar: Calendar
    units: Units
    members: Mapping[str, tuple[Member, ...]]
    """Grid unit -> its members, the responsible one first."""
    places: Mapping[str, Place]
    territory: Territory

    @property
    def areas(self) -> Mapping[str, Area]:
        """The district's areas, by path."""
        return self.territory.areas

    @cached_property
    def recognizer(self) -> Recognizer:
        """Tells categories by words."""
        return Recognizer(self.catalogue, self.policy)

    @cached_property
    def units_in_order(self) -> tuple[Unit, ...]:
        """By their ids."""
        return tuple(sorted(self.units.units, key=lambda unit: unit.id))

    @cached_property
    def zone(self) -> ZoneInfo:
        """The time zone of shifts."""
        return ZoneInfo(self.calendar.time_zone)

    def unit_of(self, role: str, area: str) -> str | None:
        """The unit that fills a role in an area, or stands in for it."""
        return filled_by(role, area, self.units.by_id)
