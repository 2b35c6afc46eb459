"""Clock arithmetic on an assignment's limits, by the clocks that its category's condition runs on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from contracts.clocks import advance, elapsed
from contracts.reference import Calendar, Catalogue, Clock, Condition
from services.dispatch.domain.state import Work

_NO_TIME = timedelta(0)


@dataclass(frozen=True)
class Reckoning:
    """When what passes. A category that the catalogue does not have (a newer triage gave it out) runs on the continuous
    clock.
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

    def acknowledge_again(self, work: Work, since: datetime) -> datetime:
        """The next deadline to acknowledge it: as long after `since` as the first was after it was given out."""
        condition = self._conditions.get((work.order.category, work.order.condition))
        clock: Clock = condition.acknowledge.clock if condition is not None else "continuous"
        limit = elapsed(work.started_at, work.plan.acknowledge_by, clock, self.calendar)
        return advance(since, max(limit, _NO_TIME), clock, self.calendar)

    def yellow_at(self, work: Work) -> datetime:
        """When the light turns yellow."""
        return self._share(work, self.yellow_percent)

    def red_at(self, work: Work) -> datetime:
        """When the light turns red."""
        return self._share(work, self.red_percent)

    def escalates_at(self, work: Work, level: int) -> datetime:
        """When the superior of that level (from 1) hears of it: at the deadline, and each further original limit."""
        clock = self._clock(work)
        limit = elapsed(work.started_at, work.plan.resolve_by, clock, self.calendar)
        if level == 1 or limit <= _NO_TIME:
            return work.resolve_by
        return advance(work.resolve_by, limit * (level - 1), clock, self.calendar)

    def _share(self, work: Work, percent: int) -> datetime:
        clock = self._clock(work)
        limit = elapsed(work.started_at, work.resolve_by, clock, self.calendar)
        if percent == 100 or limit <= _NO_TIME:
            return work.resolve_by
        return advance(work.started_at, limit * percent / 100, clock, self.calendar)

    def _clock(self, work: Work) -> Clock:
        condition = self._conditions.get((work.order.category, work.order.condition))
        return condition.resolve.clock if condition is not None else "continuous"
