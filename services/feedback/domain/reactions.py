"""What follows from triage's rulings and from the ends of assignments.

A case ends by one verdict `closed`, and the first verdict stands: later facts do not change it. If a reporter withdraws
while the last unit reports its work as done, and no person checks, the fact that arrives first decides.
"""

from datetime import datetime, timedelta
from typing import Any, assert_never

from chassis.engine.decider import Facts, Inputs
from contracts import actors
from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.feedback import Evaluated, outcome_of
from contracts.intake import Rating, Reopening
from contracts.progress import Checking, Extended, Verified
from contracts.triage import Assigned, Dispatched, Merged, Rejected, Upheld, Withdrawn
from services.feedback.domain.case import Case, evolve, finished_at, ready
from services.feedback.domain.formulas import CHECK_RULE, doubt
from services.feedback.domain.verdicts import closed


def react(event: Event[Any], case: Case, inputs: Inputs) -> Facts:
    """The facts that follow from another service's fact; `case` is as it was before the event."""
    if case.closing is not None:
        return ()
    fact: Assigned | Resolved | Extended | Rating | Reopening = event.data
    match fact:
        case Dispatched() | Resolved():
            return _examine(evolve(case, event), inputs.at)
        case Merged() | Rejected() | Withdrawn():
            outcome, reason = outcome_of(fact)
            # Nothing is measured, because ends of assignments may still arrive.
            return (Evaluated(verdict="closed", outcome=outcome, reason=reason, reworks=case.reworks),)
        case Upheld() | Extended():  # the case goes on
            return ()
        case Rating() | Reopening():  # no verdict follows from it
            return ()
        case _:
            assert_never(fact)


def _examine(case: Case, now: datetime) -> Facts:
    """Once the work is done: the verdict, if the case is checked by rule and passes, else its place in the queue."""
    if case.ruling is None or case.checking is not None or not ready(case):
        return ()
    check = case.ruling.check
    against = None
    if check.method == "rule":
        against = doubt(case)
        if against is None:
            rule = f"{actors.RULE}:{CHECK_RULE.id}"
            return (Verified(rule=rule), closed(case, "fixed", checked_by=rule))
    # The clock of the unit's machine may be ahead: the check begins now at the latest.
    due_at = min(finished_at(case), now) + timedelta(minutes=check.within_minutes)
    return (Checking(due_at=due_at, reason=against),)
