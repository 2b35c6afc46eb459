"""Open cases near a report: what it may be a duplicate of.

Two reports are about one case if they have one category and one community, and lie within the category's radius and
time window. If one of them has no position, being in the same grid counts instead of the radius. In a category that the
catalogue calls personal, only a report of the same reporter is a duplicate.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import floor, inf
from typing import Any, assert_never

from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.fields import Point
from contracts.intake import NewReport
from contracts.progress import AwaitingRuling, RulingOverdue, TriageStep, VerifiedBeforeFiling, Verifying
from contracts.reference import Category
from contracts.territory import COMMUNITY, GRID, METRES_PER_DEGREE, metres_between, upto
from contracts.triage import Dispatched, Merged, Rejected, Ruling, Upheld, Withdrawn
from services.triage.domain.assessment import Assessment, assess
from services.triage.domain.rulebook import Rulebook


@dataclass(frozen=True, slots=True)
class OpenCase:
    """What is needed of an open case to recognise a duplicate of it."""

    case_id: str
    category: str
    area: str
    point: Point | None
    reported_at: datetime
    retrospective: bool
    reporter_ref: str | None


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The open case that a report is a duplicate of, and why."""

    case_id: str
    why: str


@dataclass
class Neighbourhood:
    """The open cases that the reports of one batch may be duplicates of, kept current while the batch takes effect."""

    rules: Rulebook
    assessments: dict[str, Assessment] = field(default_factory=dict[str, Assessment])
    """Event id -> the assessment of its report, made before the batch began."""
    leaders: set[str] = field(default_factory=set[str])
    """The cases into which others are merged, of those that this batch may withdraw."""
    _open: dict[str, OpenCase] = field(default_factory=dict[str, OpenCase])
    _strips: dict[tuple[str, str, int], dict[str, OpenCase]] = field(default_factory=lambda: defaultdict(dict))
    """(category, community, strip of latitude) -> the cases with a position."""
    _grids: dict[tuple[str, str | None], dict[str, OpenCase]] = field(default_factory=lambda: defaultdict(dict))
    """(category, grid) -> its cases."""
    _reports: dict[str, Event[Any]] = field(default_factory=dict[str, Event[Any]])

    def assessment(self, event: Event[Any]) -> Assessment:
        """What the rules find of the report in an event."""
        return self.assessments.get(event.id) or assess(event.data, self.rules)

    def add(self, cases: Iterable[OpenCase]) -> None:
        """Adds open cases; one that is there already stays."""
        for case in cases:
            if case.case_id not in self._open:
                self._open[case.case_id] = case
                for index in self._indexes(case):
                    index[case.case_id] = case

    def remove(self, case_id: str) -> None:
        """Removes a case that is no longer open."""
        case = self._open.pop(case_id, None)
        if case is not None:
            for index in self._indexes(case):
                del index[case_id]

    def learn(self, event: Event[Any]) -> None:
        """Follows an event of the batch."""
        match event.data:
            case NewReport():
                self._reports.setdefault(event.subject, event)
            case data if isinstance(data, Ruling):
                self._ruled(event.subject, data)
            case data if isinstance(data, TriageStep):
                self._after_step(event.subject, data)
            case Evaluated(verdict="closed"):
                self.remove(event.subject)
            case _:  # only the start and the end of a case count
                pass

    def _ruled(self, case_id: str, ruling: Ruling) -> None:
        match ruling:
            case Dispatched():
                self._start(case_id, ruling.category, ruling.area)
            case Merged(into=into):
                self.leaders.add(into)
                self.remove(case_id)
            case Rejected() | Withdrawn():
                self.remove(case_id)
            case Upheld():
                pass
            case _:
                assert_never(ruling)

    def _after_step(self, case_id: str, step: TriageStep) -> None:
        match step:
            case Verifying():
                self._start(case_id, step.category, step.area)
            case VerifiedBeforeFiling() | AwaitingRuling() | RulingOverdue():
                pass
            case _:
                assert_never(step)

    def _start(self, case_id: str, category: str, area: str) -> None:
        report = self._reports.get(case_id)
        if report is not None:
            self.add([open_case(case_id, report, category, area)])

    def duplicate(self, event: Event[NewReport], category: Category, area: str) -> Duplicate | None:
        """The nearest open case that the report is a duplicate of."""
        report = event.data
        window = timedelta(hours=category.duplicates.window_hours)
        best: tuple[float, datetime, str] | None = None
        for case, metres in self._candidates(report, category, area):
            if (
                case.case_id != event.subject
                and case.retrospective == report.retrospective
                and abs(case.reported_at - event.time) <= window
                and (not category.personal or _by_one_reporter(report, case))
            ):
                rank = (metres, case.reported_at, case.case_id)
                best = rank if best is None else min(best, rank)
        if best is None:
            return None
        metres, reported_at, case_id = best
        apart = round(abs(reported_at - event.time).total_seconds() / 60)
        bounds = f"of the same category, {apart} min apart of {category.duplicates.window_hours} h allowed"
        where = "in the same grid" if metres == inf else f"{metres:.0f} m away"
        return Duplicate(
            case_id, f"the same as case {case_id}: {where} ({category.duplicates.radius_m} m allowed), {bounds}"
        )

    def _candidates(self, report: NewReport, category: Category, area: str) -> Iterator[tuple[OpenCase, float]]:
        """Open cases with their distance; infinite for a case that is only in the same grid."""
        code, radius, point = category.code, category.duplicates.radius_m, report.place.point
        for case in self._grids.get((code, upto(area, GRID)), {}).values():
            if point is None or case.point is None:
                yield case, inf
        community = upto(area, COMMUNITY)
        if point is None or community is None:
            return
        strip = _strip(point, radius)
        for beside in (strip - 1, strip, strip + 1):
            for case in self._strips.get((code, community, beside), {}).values():
                if case.point is not None and (metres := metres_between(point, case.point)) <= radius:
                    yield case, metres

    def _indexes(self, case: OpenCase) -> Iterator[dict[str, OpenCase]]:
        category = self.rules.catalogue.by_code.get(case.category)
        community, grid = upto(case.area, COMMUNITY), upto(case.area, GRID)
        if grid is not None:
            yield self._grids[case.category, grid]
        if category is not None and case.point is not None and community is not None:
            yield self._strips[case.category, community, _strip(case.point, category.duplicates.radius_m)]


def open_case(case_id: str, event: Event[NewReport], category: str, area: str) -> OpenCase:
    """The open case that begins with a report."""
    report = event.data
    return OpenCase(case_id, category, area, report.place.point, event.time, report.retrospective, report.reporter_ref)


def _by_one_reporter(report: NewReport, case: OpenCase) -> bool:
    return report.reporter_ref is not None and report.reporter_ref == case.reporter_ref


def _strip(point: Point, radius_m: int) -> int:
    """The number of the strip of latitude, as high as the radius, in which a point lies."""
    return floor(point.lat * METRES_PER_DEGREE / radius_m)
