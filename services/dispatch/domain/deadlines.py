"""Deadlines of assignments: when each of them passes, and what is said of it, once, also after a long stop.

acknowledge_by   nobody acknowledged: offered to the unit's backups, then to one superior after the other, each further
                 acknowledge limit one; after the last it waits in dispatch's queue
yellow           a share of the resolve limit is used up: nearly due
resolve_by       overdue; the unit's superior hears of it, then one more superior each further original limit
after the last   escalation failed: nobody is left to hear of it

None of them ends an assignment. One entered long after the fact has none of these. Whenever the clock is looked at,
partners that have become responsible for an assignment meanwhile are told of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from chassis.decider import Facts, Inputs
from contracts.fields import Fact
from contracts.progress import Escalated, EscalationFailed, NearlyDue, Offered, Overdue
from contracts.reference import Units
from services.dispatch.domain.notices import Teller
from services.dispatch.domain.reckoning import Reckoning
from services.dispatch.domain.state import Case, Work

Passage = tuple[datetime, Fact]
"""When a deadline passed, and what that means."""


@dataclass(frozen=True)
class Deadlines:
    """`lapse` and `due` of dispatch."""

    reckoning: Reckoning
    units: Units

    def due(self, case: Case) -> datetime | None:
        """The next passage of any of the case's open assignments."""
        return min((at for work in case.open for at in self._ahead(work)), default=None)

    def lapse(self, case: Case, inputs: Inputs) -> Facts:
        """What has passed until now and was not told yet, in the order in which it passed."""
        teller = Teller(case, inputs.partners)
        facts = [notice for work in case.open for notice in teller.newcomers(work)]
        passed = [(at, work, fact) for work in case.open for at, fact in self._passed(work, inputs.now)]
        for _, work, fact in sorted(passed, key=lambda found: found[0]):
            facts += teller.fact(work, fact)
        return facts

    def _ahead(self, work: Work) -> Iterator[datetime]:
        if work.order.retrospective:
            return
        if work.holder is None and not work.unclaimed:
            yield work.acknowledge_by
        if not work.nearly_due:
            yield self.reckoning.yellow_at(work)
        if not work.overdue:
            yield work.resolve_by
        elif not work.escalation_failed:
            yield self.reckoning.escalates_at(work, work.level + 1)

    def _passed(self, work: Work, now: datetime) -> Iterator[Passage]:
        if work.order.retrospective:
            return
        yield from self._offers(work, now)
        name, unit, due_at = work.plan.id, work.unit, work.resolve_by
        yellow_at = self.reckoning.yellow_at(work)
        if not work.nearly_due and yellow_at <= now:
            yield yellow_at, NearlyDue(assignment_id=name, unit=unit, due_at=due_at)
        if due_at <= now:
            if not work.overdue:
                yield due_at, Overdue(assignment_id=name, unit=unit, due_at=due_at)
            yield from self._escalations(work, now)

    def _offers(self, work: Work, now: datetime) -> Iterator[Passage]:
        """Who is offered it, one after the other, until somebody acknowledges it."""
        if work.holder is not None or work.unclaimed:
            return
        at, order = work.acknowledge_by, self._order(work)
        for level in range(work.offers + 1, len(order) + 2):
            if at > now:
                return
            if level > len(order):
                yield at, _failed(work, "not_acknowledged", level, at)
                return
            unit, backups = order[level - 1]
            due_at = self.reckoning.acknowledge_again(work, at)
            yield at, Offered(assignment_id=work.plan.id, unit=unit, to=backups, level=level, due_at=due_at)
            at = due_at

    def _order(self, work: Work) -> list[tuple[str, tuple[str, ...]]]:
        """(unit, its backups) in the order in which it is offered to them."""
        if work.handed is not None:
            return [(unit, ()) for unit in self.units.superiors.get(work.handed.by or work.handed.unit, ())]
        backups = [(work.plan.unit, work.plan.backups)] if work.plan.backups else []
        return [*backups, *((unit, ()) for unit in work.plan.escalated_to)]

    def _escalations(self, work: Work, now: datetime) -> Iterator[Passage]:
        superiors = work.plan.escalated_to
        for level in range(work.level + 1, len(superiors) + 2):
            at = self.reckoning.escalates_at(work, level)
            if at > now or work.escalation_failed:
                return
            if level <= len(superiors):
                superior = superiors[level - 1]
                yield at, Escalated(assignment_id=work.plan.id, unit=superior, level=level, due_at=at)
            else:
                yield at, _failed(work, "overdue", level, at)


def _failed(work: Work, because: str, level: int, at: datetime) -> Fact:
    return EscalationFailed.model_validate(
        {"assignment_id": work.plan.id, "unit": work.unit, "because": because, "level": level, "due_at": at}
    )
