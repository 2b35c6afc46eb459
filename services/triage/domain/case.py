"""A case as triage knows it: folded from reports, triage's own rulings and steps, results and verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, assert_never

from contracts import status, triage
from contracts.dispatch import Outcome, Resolved
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.intake import NewReport, Rating, Reopening, Said, Supplement, Withdrawal
from contracts.progress import AwaitingRuling, Queue, RulingOverdue, TriageStep, VerifiedBeforeFiling, Verifying
from contracts.states import altered
from contracts.triage import Assigned, Dispatched, Merged, Rejected, Ruling, Upheld, Withdrawn

Awaited = Literal[Queue, "verify"]
"""What a case waits for: a look at the place before it is filed, or a ruling that the rules could not make."""

OVER: frozenset[status.Status | None] = frozenset({"merged", "rejected", "withdrawn", "closed"})
"""The statuses of a case about which triage decides nothing more."""


@dataclass(frozen=True)
class Waiting:
    """What a person must decide, since when and until when."""

    queue: Awaited
    since: datetime
    words: str
    due_at: datetime
    unit: str | None = None
    """Who is to look at the place (queue `verify`)."""
    overdue: bool = False


@dataclass(frozen=True)
class Assignment:
    """An assignment of the case. `failed`: at the check; `replaced`: a later assignment took its work over."""

    plan: triage.Assignment
    unit: str
    """The unit of the plan; from the end on the unit that had it in the end."""
    outcome: Outcome | None = None
    failed: bool = False
    replaced: bool = False


@dataclass(frozen=True)
class Case:
    """Everything triage decides by."""

    report: Event[NewReport] | None = None
    category: str | None = None
    area: str | None = None
    waiting: Waiting | None = None
    rounds: tuple[Dispatched, ...] = ()
    assignments: Mapping[str, Assignment] = field(default_factory=dict[str, Assignment])
    merged_into: str | None = None
    ruling: Assigned | None = None
    """The latest ruling of any kind, except `upheld`."""
    verdict: Evaluated | None = None
    """The latest verdict."""
    supplements: tuple[Supplement, ...] = ()
    standing: status.Standing = field(default_factory=status.Standing)

    @property
    def over(self) -> bool:
        """Whether triage decides nothing more about it."""
        return self.standing.status in OVER

    @property
    def dispatched(self) -> Dispatched | None:
        """The ruling of the latest round."""
        return self.rounds[-1] if self.rounds else None

    @property
    def round(self) -> int:
        """The number of the latest round; 0 before the first."""
        return self.rounds[-1].round if self.rounds else 0

    @property
    def returned(self) -> tuple[Assignment, ...]:
        """All returned assignments, in the order in which they were given."""
        return tuple(one for one in self.assignments.values() if one.outcome == "returned")

    @property
    def gaps(self) -> tuple[Assignment, ...]:
        """The returned assignments whose work nobody has taken over."""
        return tuple(one for one in self.returned if not one.replaced)

    @property
    def failed(self) -> tuple[Assignment, ...]:
        """The assignments that failed at the check and have not been given again."""
        return tuple(one for one in self.assignments.values() if one.failed and not one.replaced)


def evolve(state: Case, event: Event[Any]) -> Case:
    """The state after an event; an event that says nothing new leaves it as it is."""
    changed, standing = _changed(state, event), status.evolve(state.standing, event)
    return changed if standing is state.standing else altered(changed, standing=standing)


def _changed(state: Case, event: Event[Any]) -> Case:
    match event.data:
        case data if isinstance(data, Said):
            return _after_report(state, data, event)
        case data if isinstance(data, Ruling):
            return _ruled(state, data)
        case data if isinstance(data, TriageStep):
            return _after_step(state, data, event.time)
        case Resolved() as result:
            return _resolved(state, result)
        case Evaluated(verdict="closed") as verdict:
            return altered(state, waiting=None, verdict=verdict)
        case Evaluated() as verdict:
            known = state.assignments
            failed = {name: altered(known[name], failed=True) for name in verdict.failed if name in known}
            return altered(state, assignments={**known, **failed}, verdict=verdict)
        case _:  # what became of a parked record
            return state


def _after_report(state: Case, said: Said, event: Event[Any]) -> Case:
    match said:
        case NewReport():
            return altered(state, report=event) if state.report is None else state
        case Supplement():
            return altered(state, supplements=(*state.supplements, said))
        case Withdrawal():  # the ruling on it follows
            return state
        case Rating() | Reopening():  # of a case that is over
            return state
        case _:
            assert_never(said)


def _ruled(state: Case, ruling: Ruling) -> Case:
    match ruling:
        case Dispatched():
            return _dispatched(state, ruling)
        case Merged():
            return altered(
                state,
                merged_into=ruling.into,
                waiting=None,
                ruling=ruling,
                category=ruling.category or state.category,
                area=ruling.area or state.area,
            )
        case Rejected() | Withdrawn():
            return altered(state, waiting=None, ruling=ruling)
        case Upheld():  # the case goes on as it was
            return state
        case _:
            assert_never(ruling)


def _after_step(state: Case, step: TriageStep, at: datetime) -> Case:
    match step:
        case Verifying() | AwaitingRuling():
            return _waiting(state, step, at)
        case RulingOverdue():
            return state if state.waiting is None else altered(state, waiting=altered(state.waiting, overdue=True))
        case VerifiedBeforeFiling():  # the ruling follows
            return state
        case _:
            assert_never(step)


def _dispatched(state: Case, ruling: Dispatched) -> Case:
    assignments = dict(state.assignments)
    for plan in ruling.plan:
        assignments[plan.id] = Assignment(plan, plan.unit)
        if plan.replaces in assignments:
            assignments[plan.replaces] = altered(assignments[plan.replaces], replaced=True)
    settled = ruling.because in ("first", "manual")
    return altered(
        state,
        rounds=(*state.rounds, ruling),
        ruling=ruling,
        assignments=assignments,
        category=ruling.category,
        area=ruling.area,
        waiting=None if settled else state.waiting,
    )


def _resolved(state: Case, result: Resolved) -> Case:
    assignment = state.assignments.get(result.assignment_id)
    if assignment is None or assignment.outcome is not None:
        return state
    ended = altered(assignment, outcome=result.outcome, unit=result.unit)
    return altered(state, assignments={**state.assignments, result.assignment_id: ended})


def _waiting(state: Case, step: Verifying | AwaitingRuling, at: datetime) -> Case:
    """A case that waits already keeps its `since` and deadline, and stays with the shift leader if it is there."""
    if isinstance(step, Verifying):
        waiting = Waiting("verify", at, step.note, step.due_at, step.unit)
    else:
        waiting = Waiting(step.queue, at, step.note, step.due_at)
    before = state.waiting
    if before is not None:
        queue = before.queue if before.queue == "second_return" else waiting.queue
        waiting = altered(waiting, queue=queue, since=before.since, due_at=before.due_at, overdue=before.overdue)
    return altered(state, category=step.category or state.category, area=step.area or state.area, waiting=waiting)
