"""What follows from others' facts: triage's rulings, partners' own results, feedback's verdicts."""

from typing import Any

from chassis.decider import Early, Facts, Inputs, Unfit
from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.fields import Line
from contracts.progress import Progressed
from contracts.triage import Dispatched, Merged, Rejected, Withdrawn
from services.dispatch.domain.state import Case, resolved


def react(event: Event[Any], case: Case, inputs: Inputs) -> Facts | Early | Unfit:
    """The facts that follow from `event`; a ruling or a verdict that only says again what is known has none."""
    match event.data:
        case Dispatched():
            return ()
        case Merged(into=into):
            return _cancelled(case, inputs, f"merged into case {into}")
        case Rejected(reason=reason):
            return _cancelled(case, inputs, f"rejected: {reason}")
        case Withdrawn(reason=reason):
            return _cancelled(case, inputs, f"withdrawn: {reason}")
        case Resolved() as end:
            return _ended_elsewhere(event, end, case, inputs)
        case Evaluated():
            return ()
        case _:
            return Unfit(f"type: dispatch does not read {event.type}")


def _cancelled(case: Case, inputs: Inputs, reason: Line) -> Facts:
    return [resolved(work, "cancelled", inputs.at, reason=reason[:500]) for work in case.open]


def _ended_elsewhere(event: Event[Any], end: Resolved, case: Case, inputs: Inputs) -> Facts | Early | Unfit:
    """A unit's own system says how its assignment ended. The first end counts; a later one leaves a trace only."""
    if case.order is None:
        return Early(f"unknown case {inputs.stream}")
    work = case.work.get(end.assignment_id)
    if work is None:
        return Early(f"unknown assignment {end.assignment_id}")
    if work.plan.unit != end.unit:
        return Unfit(f"unit: {end.assignment_id} is {work.plan.unit}'s, not {end.unit}'s")
    if work.end is None:
        return ()
    return [
        Progressed(
            step="refused",
            assignment_id=end.assignment_id,
            unit=end.unit,
            reason=f"{event.source} says {end.outcome}, but it ended as {work.end.outcome} before",
        )
    ]
