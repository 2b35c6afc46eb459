"""Open cases near a report: what it may be a duplicate of.

Two reports are one case when they are of one category, in one community, and within the category's radius and window.
Where one of them has no position, the same grid takes the place of the radius. What concerns one person rather than a
place (a service, or what is left to an "other") is repeated only by the same reporter.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import cos, floor, hypot, radians
from typing import Any

from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.fields import Point
from contracts.intake import NewReport
from contracts.progress import Verifying
from contracts.reference import Category
from contracts.triage import Dispatched, Merged, Rejected, Withdrawn
from services.triage.domain.assessment import GRID, Assessment, assess
from services.triage.domain.rulebook import Rulebook, upto

COMMUNITY = 3
"""The depth of a community in the area tree."""
_METRES_PER_DEGREE = 111_195


@dataclass(frozen=True, slots=True)
class OpenCase:
    """A case that is not over, as far as a duplicate of it must be recognised."""

    case_id: str
    category: str
    area: str
    point: Point | None
    reported_at: datetime
    retrospective: bool
    reporter_ref: str | None


@dataclass(frozen=True, slots=True)
class Twin:
    """The open case that a report repeats, and why it is taken for the same."""

    case_id: str
    why: str


@dataclass
class Neighbourhood:
    """The open cases that the reports of one batch may repeat, kept current while the batch takes effect."""

    rules: Rulebook
    assessments: dict[str, Assessment] = field(default_factory=dict)
    """Event -> what was found of its report before the batch began."""
    leaders: set[str] = field(default_factory=set)
    """Cases that others are merged into, of those in this batch that may be withdrawn."""
    _open: dict[str, OpenCase] = field(default_factory=dict)
    _strips: dict[tuple[str, str, int], dict[str, OpenCase]] = field(default_factory=lambda: defaultdict(dict))
    _grids: dict[tuple[str, str], dict[str, OpenCase]] = field(default_factory=lambda: defaultdict(dict))
    _reports: dict[str, Event[Any]] = field(default_factory=dict)

    def assessment(self, event: Event[Any]) -> Assessment:
        """What the rules make of the report in an event."""
        return self.assessments.get(event.id) or assess(event.data, self.rules)

    def add(self, cases: Iterable[OpenCase]) -> None:
        """Adds open cases; one that is there already stays."""
        for case in cases:
            if case.case_id not in self._open:
                self._open[case.case_id] = case
                for shelf in self._shelves(case):
                    shelf[case.case_id] = case

    def remove(self, case_id: str) -> None:
        """Takes a case out that is open no longer."""
        case = self._open.pop(case_id, None)
        if case is not None:
            for shelf in self._shelves(case):
                del shelf[case_id]

    def learn(self, event: Event[Any]) -> None:
        """Takes note of an event of the batch."""
        match event.data:
            case NewReport():
                self._reports.setdefault(event.subject, event)
            case Dispatched() | Verifying():
                report = self._reports.get(event.subject)
                if report is not None:
                    self.add([open_case(event.subject, report, event.data.category, event.data.area)])
            case Merged(into=into):
                self.leaders.add(into)
                self.remove(event.subject)
            case Rejected() | Withdrawn() | Evaluated(verdict="closed"):
                self.remove(event.subject)
            case _:
                pass

    def twin(self, event: Event[NewReport], category: Category, area: str) -> Twin | None:
        """The nearest open case that the report repeats."""
        report = event.data
        window = timedelta(hours=category.duplicates.window_hours)
        personal = concerns_a_person(category)
        best: tuple[float, datetime, str] | None = None
        for case, metres in self._near(report, category, area):
            if (
                case.case_id != event.subject
                and case.retrospective == report.retrospective
                and abs(case.reported_at - event.time) <= window
                and (not personal or (report.reporter_ref is not None and case.reporter_ref == report.reporter_ref))
            ):
                rank = (metres, case.reported_at, case.case_id)
                best = rank if best is None else min(best, rank)
        if best is None:
            return None
        metres, reported_at, case_id = best
        apart = round(abs(reported_at - event.time).total_seconds() / 60)
        bounds = f"of the same category, {apart} min apart of {category.duplicates.window_hours} h allowed"
        where = "in the same grid" if metres > category.duplicates.radius_m else f"{metres:.0f} m away"
        return Twin(
            case_id, f"the same as case {case_id}: {where} ({category.duplicates.radius_m} m allowed), {bounds}"
        )

    def _near(self, report: NewReport, category: Category, area: str) -> Iterator[tuple[OpenCase, float]]:
        """Open cases in question, with their distance; beyond the radius for those that are only in the same grid."""
        code, radius, point = category.code, category.duplicates.radius_m, report.place.point
        beyond = radius + 1.0
        grid = upto(area, GRID)
        if grid is not None:
            for case in self._grids.get((code, grid), {}).values():
                if point is None or case.point is None:
                    yield case, beyond
        community = upto(area, COMMUNITY)
        if point is None or community is None:
            return
        strip = _strip(point, radius)
        for beside in (strip - 1, strip, strip + 1):
            for case in self._strips.get((code, community, beside), {}).values():
                if case.point is not None and (metres := metres_between(point, case.point)) <= radius:
                    yield case, metres

    def _shelves(self, case: OpenCase) -> Iterator[dict[str, OpenCase]]:
        category = self.rules.catalogue.by_code.get(case.category)
        community, grid = upto(case.area, COMMUNITY), upto(case.area, GRID)
        if grid is not None:
            yield self._grids[case.category, grid]
        if category is not None and case.point is not None and community is not None:
            yield self._strips[case.category, community, _strip(case.point, category.duplicates.radius_m)]


def open_case(case_id: str, event: Event[NewReport], category: str, area: str) -> OpenCase:
    """A case as it is open from its report on."""
    report = event.data
    return OpenCase(case_id, category, area, report.place.point, event.time, report.retrospective, report.reporter_ref)


def concerns_a_person(category: Category) -> bool:
    """Whether two reports of the category at one place are two matters, unless one person made both."""
    return category.kind == "service" or category.code.endswith(".other")


def metres_between(one: Point, other: Point) -> float:
    """The distance on a plane that touches the earth between them: exact to 0.1 % within a few kilometres."""
    north = (one.lat - other.lat) * _METRES_PER_DEGREE
    east = (one.lon - other.lon) * _METRES_PER_DEGREE * cos(radians((one.lat + other.lat) / 2))
    return hypot(north, east)


def around(point: Point, metres: float) -> tuple[float, float, float, float]:
    """South, north, west and east of a box that holds all within that distance of a point."""
    north = _degrees(metres)
    east = north / max(0.01, cos(radians(min(90.0, abs(point.lat) + north))))
    return point.lat - north, point.lat + north, point.lon - east, point.lon + east


def _degrees(metres: float) -> float:
    """How many degrees north that many metres are."""
    return metres / _METRES_PER_DEGREE


def _strip(point: Point, radius_m: int) -> int:
    """Which strip of latitude, as high as the radius, a point lies in."""
    return floor(point.lat / _degrees(radius_m))
