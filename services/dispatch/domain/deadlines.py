"""Deadlines of assignments: when each of them passes, and what is said of it, once, also after a long stop.

acknowledge_by   passed without acknowledgement: the assignment ends as escalated, triage plans anew
yellow           a share of the resolve limit is used up: nearly due
resolve_by       overdue; the unit's superior hears of it, then one more superior each further original limit
after the last   escalation failed: nobody is left to hear of it

A closed case and one entered long after the fact have none of these.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from chassis.decider import Facts, Inputs
from contracts.clocks import advance, elapsed
from contracts.fields import Fact
from contracts.progress import Progressed
from contracts.reference import Calendar, Catalogue, Clock
from contracts.wire import instant
from services.dispatch.domain.state import Case, Work, resolved

_NO_TIME = timedelta(0)


@dataclass(frozen=True)
class Reckoning:
    """Clock arithmetic on an assignment's limit, by the clock its category's condition runs on.

    A category that the catalogue does not have (a newer triage gave it out) runs on the continuous clock.
    """

    catalogue: Catalogue
    calendar: Calendar
    yellow_percent: int
    red_percent: int

    @cached_property
    def _clocks(self) -> dict[tuple[str, str], Clock]:
        return {
            (category.code, condition.code): condition.resolve.clock
            for category in self.catalogue.categories
            for condition in category.conditions
        }

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
        return self._clocks.get((work.order.category, work.order.condition), "continuous")


@dataclass(frozen=True)
class Deadlines:
    """`lapse` and `due` of dispatch."""

    reckoning: Reckoning

    def due(self, case: Case) -> datetime | None:
        """The next passage of any of the case's open assignments."""
        if case.closed:
            return None
        return min((at for work in case.open for at in self._ahead(work)), default=None)

    def lapse(self, case: Case, inputs: Inputs) -> Facts:
        """What has passed until now and was not told yet."""
        if case.closed:
            return ()
        return [fact for work in case.open for fact in self._passed(work, inputs.now)]

    def _ahead(self, work: Work) -> Iterator[datetime]:
        if work.order.retrospective:
            return
        if work.acknowledged_at is None:
            yield work.plan.acknowledge_by
        if not work.nearly_due:
            yield self.reckoning.yellow_at(work)
        if not work.overdue:
            yield work.resolve_by
        elif not work.escalation_failed:
            yield self.reckoning.escalates_at(work, work.level + 1)

    def _passed(self, work: Work, now: datetime) -> Iterator[Fact]:
        if work.order.retrospective:
            return
        if work.acknowledged_at is None and work.plan.acknowledge_by <= now:
            yield resolved(
                work, "escalated", now, reason=f"not acknowledged by {instant(work.plan.acknowledge_by)[:19]}Z"
            )
            return
        if not work.nearly_due and self.reckoning.yellow_at(work) <= now:
            yield self._step(work, "nearly_due", work.resolve_by)
        if work.resolve_by <= now:
            if not work.overdue:
                yield self._step(work, "overdue", work.resolve_by)
            yield from self._escalations(work, now)

    def _escalations(self, work: Work, now: datetime) -> Iterator[Fact]:
        superiors = work.plan.escalated_to
        for level in range(work.level + 1, len(superiors) + 2):
            at = self.reckoning.escalates_at(work, level)
            if at > now or work.escalation_failed:
                return
            if level <= len(superiors):
                yield self._step(work, "escalated", at, unit=superiors[level - 1], level=level)
            else:
                yield self._step(work, "escalation_failed", at, level=level)

    def _step(self, work: Work, step: str, due_at: datetime, unit: str | None = None, level: int | None = None) -> Fact:
        return Progressed.model_validate(
            {
                "step": step,
                "assignment_id": work.plan.id,
                "unit": unit or work.plan.unit,
                "due_at": due_at,
                "level": level,
                "reason": _REASONS[step],
            }
        )


_REASONS = {
    "nearly_due": "most of the time to resolve it is used up",
    "overdue": "the deadline has passed",
    "escalated": "it is overdue",
    "escalation_failed": "it is overdue and no superior is left to hear of it",
}
