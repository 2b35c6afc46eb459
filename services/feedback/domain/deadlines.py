"""What follows when nobody has checked in time."""

from datetime import datetime

from chassis.engine.decider import Facts, Inputs
from contracts.progress import CheckOverdue
from services.feedback.domain.case import Case


def due(case: Case) -> datetime | None:
    """When the check becomes overdue; never in a case entered long after the fact, whose deadlines raise no alarm."""
    if case.checking is None or case.checking.overdue or case.ruling is None or case.ruling.retrospective:
        return None
    return case.checking.due_at


def on_deadline(case: Case, inputs: Inputs) -> Facts:
    """Says once that the check is overdue."""
    due_at = due(case)
    if due_at is None or due_at > inputs.now:
        return ()
    return (CheckOverdue(due_at=due_at),)
