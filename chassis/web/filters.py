"""Filters that lists have in common, and the refusal of those that name nothing.

A filter that names no area, unit or category of the district, or no status of the service, is refused: an empty list
would hide the mistake.
"""

from collections.abc import Container
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo

from chassis.engine.commands import Unusable
from contracts.fields import AreaPath, ClaimedInstant, Name
from contracts.reference import Catalogue
from contracts.status import Status, shown_by

AreaPrefix = Annotated[
    AreaPath | None, Field(description="This area and all areas in it.", examples=["CH/shuangqiaozi"])
]
CategoryPrefix = Annotated[
    Name | None, Field(description="A category, or the first parts of its code.", examples=["event.emergency"])
]


def not_before(begin: str) -> AfterValidator:
    """Of a field that ends a range: it does not lie before the field `begin`, which must be declared before it."""

    def check(end: Any, info: ValidationInfo) -> Any:
        first = info.data.get(begin)
        if end is not None and first is not None and end < first:
            raise ValueError(f"lies before {begin}")
        return end

    return AfterValidator(check)


Until = Annotated[ClaimedInstant | None, not_before("since")]
"""The end of a period that begins with the field `since`."""
ReportedSince = Annotated[
    ClaimedInstant | None,
    Field(description="Reported at or after this instant.", examples=["2026-05-09T00:00:00+08:00"]),
]
ReportedUntil = Annotated[
    Until, Field(description="Reported before this instant.", examples=["2026-05-10T00:00:00+08:00"])
]
SearchText = Annotated[
    Name | None,
    Field(description="Words that the names contain, in either language, in any case and order.", examples=["water"]),
]
"""A filter by `contracts.reference.addresses.holds_words`."""


def require_area(area: str | None, areas: Container[str]) -> None:
    """Raises `Unusable` if that is not one of the district's areas."""
    if area is not None and area not in areas:
        raise Unusable("area", f"{area} is not an area of the district")


def require_unit(unit: str | None, units: Container[str], field: str = "unit") -> None:
    """Raises `Unusable` if that is not one of the district's units."""
    if unit is not None and unit not in units:
        raise Unusable(field, f"{unit} is not a unit of the district")


def require_category(category: str | None, catalogue: Catalogue) -> None:
    """Raises `Unusable` if that is not a category of the catalogue."""
    if category is not None and category not in catalogue.by_code:
        raise Unusable("category", f"{category} is not in catalogue {catalogue.version}")


def require_categories(prefix: str | None, catalogue: Catalogue) -> None:
    """Raises `Unusable` if that is neither a category of the catalogue nor the first parts of one's code."""
    if prefix is not None and not any(f"{code}.".startswith(f"{prefix}.") for code in catalogue.by_code):
        raise Unusable("category", f"{prefix} is not in catalogue {catalogue.version}, nor begins a code there")


def require_status(status: Status | None, service: str) -> None:
    """Raises `Unusable` if no case has that status in the service; the error names those that it shows."""
    if status is not None and status not in (shown := shown_by(service)):
        raise Unusable("status", f"{service} does not show {status}; it shows {', '.join(shown)}")


def statuses_of(service: str) -> str:
    """The statuses that the service shows, for descriptions."""
    *others, last = (f"`{status}`" for status in shown_by(service))
    return f"{', '.join(others)} and {last}"
