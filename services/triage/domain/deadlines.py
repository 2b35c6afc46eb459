"""What follows when nobody has decided in time."""

from datetime import datetime

from chassis.engine.decider import Facts, Inputs
from contracts.progress import RulingOverdue
from services.triage.domain.case import Case


def due(state: Case) -> datetime | None:
    """When a case that waits for a person becomes overdue; never for a case entered long after the fact."""
    waiting = state.waiting
    if waiting is None or waiting.overdue or (state.report is not None and state.report.data.retrospective):
        return None
    return waiting.due_at


def on_deadline(state: Case, inputs: Inputs) -> Facts:
    """Says once that the decision is overdue."""
    waiting = state.waiting
    if waiting is None or waiting.overdue or waiting.due_at > inputs.now:
        return ()
    return [RulingOverdue(queue=waiting.queue, unit=waiting.unit, due_at=waiting.due_at)]
