"""The instants between an assignment's given deadlines, on the clock of its category's condition.

Triage decides `acknowledge_by`, `resolve_by` and the extensions. From these and the calendar dispatch computes when the
light turns yellow and red, when an assignment that nobody acknowledges is offered on, and when the next superior is
told that it is overdue.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from contracts.clocks import advance, elapsed
from contracts.reference import Calendar, Catalogue, Clock, Condition
from services.dispatch.domain.assignment import Assignment

_NO_TIME = timedelta(0)


@dataclass(frozen=True)
class DeadlineClock:
    """Computes instants by the catalogue's clocks and the calendar.

    A category that this catalogue does not have (triage has a newer one) runs on the continuous clock.
    """

    catalogue: Catalogue
    calendar: Calendar
    yellow_percent: int
    red_percent: int

    @cached_property
    def _conditions(self) -> Mapping[tuple[str, str], Condition]:
        return {
            (category.code, condition.code): condition
            for category in self.catalogue.categories
            for condition in category.conditions
        }

    def date_of(self, at: datetime) -> date:
        """The local date of an instant."""
        return at.astimezone(ZoneInfo(self.calendar.time_zone)).date()

    def next_acknowledge_by(self, assignment: Assignment, since: datetime) -> datetime:
        """One more original acknowledge limit, from `since`."""
        condition = self._condition(assignment)
        clock: Clock = condition.acknowledge.clock if condition is not None else "continuous"
        limit = elapsed(assignment.started_at, assignment.plan.acknowledge_by, clock, self.calendar)
        return advance(since, max(limit, _NO_TIME), clock, self.calendar)

    def yellow_at(self, assignment: Assignment) -> datetime:
        """When the light turns yellow."""
        return self._share(assignment, self.yellow_percent)

    def red_at(self, assignment: Assignment) -> datetime:
        """When the light turns red."""
        return self._share(assignment, self.red_percent)

    def escalates_at(self, assignment: Assignment, level: int) -> datetime:
        """When the superior of that level (from 1) is told: at the deadline, then one original limit later each."""
        clock = self._resolve_clock(assignment)
        limit = elapsed(assignment.started_at, assignment.plan.resolve_by, clock, self.calendar)
        return advance(assignment.resolve_by, max(limit, _NO_TIME) * (level - 1), clock, self.calendar)

    def _share(self, assignment: Assignment, percent: int) -> datetime:
        clock = self._resolve_clock(assignment)
        limit = elapsed(assignment.started_at, assignment.resolve_by, clock, self.calendar)
        if percent == 100 or limit <= _NO_TIME:
            return assignment.resolve_by
        return advance(assignment.started_at, limit * percent / 100, clock, self.calendar)

    def _resolve_clock(self, assignment: Assignment) -> Clock:
        condition = self._condition(assignment)
        return condition.resolve.clock if condition is not None else "continuous"

    def _condition(self, assignment: Assignment) -> Condition | None:
        return self._conditions.get((assignment.ruling.category, assignment.ruling.condition))
