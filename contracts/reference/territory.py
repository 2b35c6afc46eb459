"""Areas, units, members and key places of a district."""

from collections.abc import Iterator, Mapping
from datetime import datetime, time
from functools import cached_property
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from contracts.reference.base import (
    LEVELS,
    AreaPath,
    Competence,
    Level,
    PlaceKind,
    Point,
    Reference,
    Text,
    UnitId,
    UnitKind,
    Weekday,
    unique,
)


class Area(Reference):
    """A node of the area tree; `polygon` is a closed ring of [lon, lat], WGS 84, counter-clockwise."""

    path: AreaPath
    level: Level
    name: Text
    name_en: Text
    households: int = Field(ge=0)
    polygon: tuple[Point, ...]

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.level != LEVELS[self.path.count("/")]:
            raise ValueError(f"level of {self.path} must be {LEVELS[self.path.count('/')]}, is {self.level}")
        if len(self.polygon) < 4 or self.polygon[0] != self.polygon[-1]:
            raise ValueError(f"polygon of {self.path} must be a closed ring of at least four points")
        return self

    @property
    def parent(self) -> str | None:
        return self.path.rpartition("/")[0] or None


class Areas(Reference):
    version: Text
    areas: tuple[Area, ...]

    @model_validator(mode="after")
    def _tree(self) -> Self:
        unique("areas.path", (area.path for area in self.areas))
        for area in self.areas:
            if area.parent is not None and area.parent not in self.by_path:
                raise ValueError(f"areas.path: {area.path} has no parent {area.parent} in this file")
        return self

    @cached_property
    def by_path(self) -> Mapping[str, Area]:
        return {area.path: area for area in self.areas}

    @cached_property
    def root(self) -> str | None:
        """The area in which all others lie: the district. None where there is none such."""
        roots = [area.path for area in self.areas if area.parent is None]
        return roots[0] if len(roots) == 1 else None


class Unit(Reference):
    """Whoever can be assigned."""

    id: UnitId
    name: Text
    name_en: Text
    kind: UnitKind
    area: AreaPath
    competences: tuple[Competence, ...]
    superior: UnitId | None = None

    @model_validator(mode="after")
    def _kind_is_prefix(self) -> Self:
        prefix = self.id.partition(":")[0]
        if self.kind != ("department" if prefix == "dept" else prefix):
            raise ValueError(f"kind of {self.id} must match the prefix of its id, is {self.kind}")
        return self

    def competent(self, category: str) -> bool:
        """Whether a competence is the category's code or one of its dotted prefixes."""
        return any(category == c or category.startswith(f"{c}.") for c in self.competences)


class Units(Reference):
    version: Text
    units: tuple[Unit, ...]

    @model_validator(mode="after")
    def _ladder(self) -> Self:
        unique("units.id", (unit.id for unit in self.units))
        for unit in self.units:
            seen = {unit.id}
            superior = unit.superior
            while superior is not None:
                if superior in seen:
                    raise ValueError(f"units.superior: the ladder of {unit.id} runs in a circle at {superior}")
                if superior not in self.by_id:
                    raise ValueError(f"units.superior: {superior}, above {unit.id}, is not a unit of this file")
                seen.add(superior)
                superior = self.by_id[superior].superior
        return self

    @cached_property
    def by_id(self) -> Mapping[str, Unit]:
        return {unit.id: unit for unit in self.units}

    @cached_property
    def superiors(self) -> Mapping[str, tuple[str, ...]]:
        """Unit -> the units above it, lowest first."""
        return {unit.id: tuple(self._above(unit.superior)) for unit in self.units}

    def _above(self, unit: str | None) -> Iterator[str]:
        while unit is not None:
            yield unit
            unit = self.by_id[unit].superior


class Shift(Reference):
    """Hours on some weekdays (1 Monday .. 7 Sunday), local time; `ends` not after `starts` runs into the next day."""

    weekdays: tuple[Weekday, ...] = Field(min_length=1)
    starts: time
    ends: time

    def covers(self, local: datetime) -> bool:
        """Whether a local time lies in the shift; its start belongs to it, its end does not."""
        today = local.isoweekday() in self.weekdays
        if self.starts < self.ends:
            return today and self.starts <= local.time() < self.ends
        yesterday = (local.isoweekday() - 2) % 7 + 1 in self.weekdays
        return (today and local.time() >= self.starts) or (yesterday and local.time() < self.ends)


class Member(Reference):
    """A grid member; within a grid, `order` 0 is responsible and the others follow as backups.

    A part-time member belongs to a `subgrid` of the grid where it has any. A full-time one works in the whole grid.
    """

    id: Annotated[str, StringConstraints(pattern=r"^member:[a-z0-9-]+$")]
    unit: UnitId
    grid: AreaPath
    subgrid: AreaPath | None = None
    full_time: bool
    order: int = Field(ge=0)
    shifts: tuple[Shift, ...]

    @model_validator(mode="after")
    def _subgrid_of_the_grid(self) -> Self:
        if self.subgrid is not None:
            if self.subgrid.rpartition("/")[0] != self.grid:
                raise ValueError(f"subgrid of {self.id} must be one of the grid {self.grid}, is {self.subgrid}")
            if self.full_time:
                raise ValueError(f"subgrid of {self.id} must be absent: a full-time member works in the whole grid")
        return self

    def on_duty(self, local: datetime) -> bool:
        return any(shift.covers(local) for shift in self.shifts)


class Members(Reference):
    version: Text
    members: tuple[Member, ...]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        unique("members.id", (member.id for member in self.members))
        unique("members.order within a grid", (f"{member.grid}#{member.order}" for member in self.members))
        return self


class Place(Reference):
    """A named place; a report at one with `priority_raise` gets that many steps more urgent."""

    id: Annotated[str, StringConstraints(pattern=r"^place:[a-z0-9-]+$")]
    name: Text
    name_en: Text
    kind: PlaceKind
    point: Point
    area: AreaPath
    radius_m: int = Field(gt=0, description="a report counts as at the place within this distance")
    priority_raise: int = Field(ge=0, le=3)


class Places(Reference):
    version: Text
    places: tuple[Place, ...]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        unique("places.id", (place.id for place in self.places))
        return self
