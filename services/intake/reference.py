"""What intake knows of the district: which area a point, an address or a name lies in, key places, categories, policy.

Where a report lies is `contracts.territory.Territory.locate`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from chassis.engine.decider import Refused
from chassis.reference import read
from contracts import fields
from contracts.reference import Area, Areas, Catalogue, Category, Places, Policy
from contracts.reference.addresses import plain
from contracts.territory import Territory
from services.intake.domain.commands import Rules


class UnknownArea(Refused):
    """The area that was named, without a position, is not in the district."""

    def __init__(self, area: str) -> None:
        super().__init__(
            "place.area", f"{area} is not an area of the district (areas.json, GET /areas); a position needs no area"
        )


def locate(territory: Territory, point: fields.Point | None, address: str | None, area: str | None) -> fields.Place:
    """The place with the area it lies in, and the key place it is at. Where there is a position, the area that was
    named counts for nothing. Raises `UnknownArea`.
    """
    if point is None and area is not None and area not in territory.areas:
        raise UnknownArea(area)
    return territory.locate(fields.Place(point=point, address=address, area=area)).place


@dataclass(frozen=True)
class District:
    """The reference files that intake uses."""

    territory: Territory
    areas: Areas
    catalogue: Catalogue
    policy: Policy

    @cached_property
    def rules(self) -> Rules:
        """What the district decides for reports."""
        return Rules.of(self.policy, partial(locate, self.territory))

    @cached_property
    def areas_in_order(self) -> tuple[Area, ...]:
        """The areas in the order of their paths."""
        return tuple(sorted(self.areas.areas, key=lambda area: area.path))

    @cached_property
    def categories_in_order(self) -> tuple[Category, ...]:
        """The categories in the order of their codes."""
        return tuple(sorted(self.catalogue.categories, key=lambda category: category.code))

    @cached_property
    def names(self) -> Mapping[str, str]:
        """Area path or category code -> its names in both languages, a category's group included, to be searched."""
        areas = {area.path: plain(f"{area.name} {area.name_en}") for area in self.areas.areas}
        return areas | {
            one.code: plain(f"{one.name} {one.name_en} {one.group_name} {one.group_name_en}")
            for one in self.catalogue.categories
        }


def load(folder: Path) -> District:
    """Reads the district's files. Raises `BadReference`."""
    areas = read(folder, Areas)
    return District(Territory(areas, read(folder, Places)), areas, read(folder, Catalogue), read(folder, Policy))
