"""Deadlines of assignments: when each of them passes, and which facts follow, once, even after a long stop.

acknowledge_by   nobody has acknowledged: the assignment is offered to the unit's backups, then to one superior after
                 the other, each for one more acknowledge limit; after the last one it waits in dispatch's queue
yellow           a share of the resolve limit is used up: the assignment is nearly due
resolve_by       the assignment is overdue: the unit's superior is told, then one more superior per original limit
after the last   the escalation has failed: there is no superior left to tell

No deadline ends an assignment. A late entry has no deadlines. Whenever the deadlines of a case are decided, partners
that have become responsible for an assignment are told of it, too.
"""

from collections.abc import Iterator
from datetime import datetime
from itertools import count
from typing import Literal

from chassis.engine.decider import Facts, Inputs
from contracts.progress import ClockStep, Escalated, EscalationFailed, NearlyDue, Offered, Overdue
from services.dispatch.domain.assignment import Assignment
from services.dispatch.domain.case import Case
from services.dispatch.domain.notices import Notices
from services.dispatch.domain.rules import Rules

Passed = tuple[datetime, ClockStep]
"""When a deadline passed, and the step that follows."""


def due(case: Case, rules: Rules) -> datetime | None:
    """The next deadline of the case's open assignments."""
    return min((at for assignment in case.open_assignments for at in _next(assignment, rules)), default=None)


def on_deadline(case: Case, inputs: Inputs, rules: Rules) -> Facts:
    """The facts of all deadlines that have passed by now and have none yet, in the order in which they passed."""
    notices = Notices(case, inputs.partners)
    facts = [notice for assignment in case.open_assignments for notice in notices.announce(assignment)]
    passed = [
        (at, assignment, fact)
        for assignment in case.open_assignments
        for at, fact in _passed(assignment, inputs.now, rules)
    ]
    for _, assignment, fact in sorted(passed, key=lambda one: one[0]):
        facts += notices.with_notices(assignment, fact)
    return facts


def _next(assignment: Assignment, rules: Rules) -> Iterator[datetime]:
    if assignment.ruling.retrospective:
        return
    if assignment.holder is None and not assignment.unclaimed:
        yield assignment.acknowledge_by
    if not assignment.nearly_due:
        yield rules.clock.yellow_at(assignment)
    if not assignment.escalation_failed:
        # The first superior is told when it becomes overdue.
        yield rules.clock.escalates_at(assignment, assignment.escalation_level + 1)


def _passed(assignment: Assignment, now: datetime, rules: Rules) -> Iterator[Passed]:
    if assignment.ruling.retrospective:
        return
    yield from _offers(assignment, now, rules)
    name, unit, due_at = assignment.plan.id, assignment.unit, assignment.resolve_by
    yellow_at = rules.clock.yellow_at(assignment)
    if not assignment.nearly_due and yellow_at <= now:
        yield yellow_at, NearlyDue(assignment_id=name, unit=unit, due_at=due_at)
    if due_at <= now:
        if not assignment.overdue:
            yield due_at, Overdue(assignment_id=name, unit=unit, due_at=due_at)
        yield from _escalations(assignment, now, rules)


def _offers(assignment: Assignment, now: datetime, rules: Rules) -> Iterator[Passed]:
    """The offers until somebody acknowledges."""
    if assignment.holder is not None or assignment.unclaimed:
        return
    at, order = assignment.acknowledge_by, _offer_order(assignment, rules)
    for level in count(assignment.offers + 1):
        if at > now:
            return
        if level > len(order):
            yield at, _failed(assignment, "not_acknowledged", level, at)
            return
        unit, backups = order[level - 1]
        due_at = rules.clock.next_acknowledge_by(assignment, at)
        yield at, Offered(assignment_id=assignment.plan.id, unit=unit, to=backups, level=level, due_at=due_at)
        at = due_at


def _offer_order(assignment: Assignment, rules: Rules) -> list[tuple[str, tuple[str, ...]]]:
    """(unit, its backups) in the order in which the assignment is offered to them."""
    plan, last = assignment.plan, assignment.hand_over
    if last is not None:
        return [(unit, ()) for unit in rules.units.superiors.get(last.by or last.unit, ())]
    backups = [(plan.unit, plan.backups)] if plan.backups else []
    return [*backups, *((unit, ()) for unit in plan.escalated_to)]


def _escalations(assignment: Assignment, now: datetime, rules: Rules) -> Iterator[Passed]:
    superiors = assignment.plan.escalated_to
    for level in range(assignment.escalation_level + 1, len(superiors) + 2):
        at = rules.clock.escalates_at(assignment, level)
        if at > now or assignment.escalation_failed:
            return
        if level <= len(superiors):
            superior = superiors[level - 1]
            yield at, Escalated(assignment_id=assignment.plan.id, unit=superior, level=level, due_at=at)
        else:
            yield at, _failed(assignment, "overdue", level, at)


def _failed(
    assignment: Assignment, because: Literal["not_acknowledged", "overdue"], level: int, at: datetime
) -> ClockStep:
    name, unit = assignment.plan.id, assignment.unit
    return EscalationFailed(assignment_id=name, unit=unit, because=because, level=level, due_at=at)
