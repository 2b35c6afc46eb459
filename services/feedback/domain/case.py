"""A case as feedback knows it, folded from facts in whatever order the topics bring them.

Plans and ends of work are kept side by side under the assignment they are about, and what they mean is worked out when
it is asked for. So an end that comes before its plan waits here for it, and nothing is held back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.feedback import CaseOutcome, Evaluated, Score
from contracts.progress import Progressed
from contracts.triage import Assignment, Check, Dispatched, Merged, Rejected, Withdrawn


@dataclass(frozen=True, slots=True)
class Filing:
    """What triage says the case is, in the newest round known."""

    round: int
    category: str
    condition: str
    priority: int
    title: str
    area: str
    filed_at: datetime
    retrospective: bool
    check: Check


@dataclass(frozen=True, slots=True)
class Task:
    """One assignment of a plan, as it was given out."""

    assignment: Assignment
    round: int
    because: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Result:
    """How and when an assignment ended, in the words of one publisher."""

    resolved: Resolved
    at: datetime


@dataclass(frozen=True, slots=True)
class Checking:
    """The work is done and waits for its check."""

    since: datetime
    due_at: datetime
    overdue: bool = False


@dataclass(frozen=True, slots=True)
class Closing:
    """The verdict that ended the case."""

    outcome: CaseOutcome
    at: datetime
    reason: str | None
    checked_by: str | None
    due_at: datetime | None
    late_by_seconds: int | None
    scores: tuple[Score, ...]
    lead_unit: str | None
    """The unit that answered for the case when it was closed."""


@dataclass(frozen=True, slots=True)
class Rating:
    """What one person thinks of how the case was handled, 1 to 5."""

    rating: int
    comment: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Case:
    """Everything feedback took in and published about one case."""

    filing: Filing | None = None
    merged_into: str | None = None
    tasks: Mapping[str, Task] = field(default_factory=dict)
    ends: Mapping[str, tuple[Result, ...]] = field(default_factory=dict)
    """Assignment -> everything ever said about its end, in the topic's order."""
    failed: Mapping[str, datetime] = field(default_factory=dict)
    """Assignment -> when a check found its work wanting."""
    reworks: int = 0
    checking: Checking | None = None
    closing: Closing | None = None
    ratings: Mapping[str, Rating] = field(default_factory=dict)
    """Person -> what they gave."""


def evolve(case: Case, event: Event[Any]) -> Case:
    """Folds any fact of the case; what has no meaning here leaves it as it is."""
    match event.data:
        case Dispatched() as plan:
            return _planned(case, plan, event.time)
        case Merged(into=into):
            return replace(case, merged_into=into)
        case Rejected() | Withdrawn():
            return case  # the verdict that follows says all
        case Resolved(assignment_id=assignment) as resolved:
            ends = (*case.ends.get(assignment, ()), Result(resolved, event.time))
            return replace(case, ends={**case.ends, assignment: ends})
        case Evaluated() as evaluated:
            return _evaluated(case, evaluated, event.time)
        case Progressed(step="checking", due_at=due_at) if due_at is not None:
            return replace(case, checking=Checking(event.time, due_at))
        case Progressed(step="check_overdue") if case.checking is not None:
            return replace(case, checking=replace(case.checking, overdue=True))
        case Progressed(step="rated", rating=rating, note=comment) if rating is not None and event.actor is not None:
            return replace(case, ratings={**case.ratings, event.actor: Rating(rating, comment, event.time)})
        case _:
            return case


def _planned(case: Case, plan: Dispatched, at: datetime) -> Case:
    given = {one.id: Task(one, plan.round, plan.because, at) for one in plan.plan}
    filing = case.filing
    if filing is None or plan.round > filing.round:
        filing = Filing(
            round=plan.round,
            category=plan.category,
            condition=plan.condition,
            priority=plan.priority,
            title=plan.title,
            area=plan.area,
            filed_at=plan.filed_at,
            retrospective=plan.retrospective,
            check=plan.check,
        )
    after = replace(case, filing=filing, tasks={**given, **case.tasks})
    # Work added while the case waited for its check makes the check wait for that work.
    return after if after.checking is None or ready(after) else replace(after, checking=None)


def _evaluated(case: Case, evaluated: Evaluated, at: datetime) -> Case:
    if evaluated.verdict == "rework":
        failed = {**dict.fromkeys(evaluated.failed, at), **case.failed}
        return replace(case, checking=None, failed=failed, reworks=case.reworks + 1)
    if evaluated.outcome is None or case.closing is not None:
        return case
    task = lead(case)
    closing = Closing(
        outcome=evaluated.outcome,
        at=at,
        reason=evaluated.reason,
        checked_by=evaluated.checked_by,
        due_at=evaluated.due_at,
        late_by_seconds=evaluated.late_by_seconds,
        scores=evaluated.scores,
        lead_unit=task.assignment.unit if task is not None else None,
    )
    return replace(case, checking=None, closing=closing)


def result(case: Case, assignment: str) -> Result | None:
    """The end that counts: the first that its own unit's name stands on."""
    task = case.tasks.get(assignment)
    if task is None:
        return None
    return next((end for end in case.ends.get(assignment, ()) if end.resolved.unit == task.assignment.unit), None)


def replaced(case: Case) -> frozenset[str]:
    """The assignments whose work another took over."""
    return frozenset(task.assignment.replaces for task in case.tasks.values() if task.assignment.replaces is not None)


def current(case: Case) -> list[Task]:
    """The assignments no other took over, leads first, newest round first."""
    gone = replaced(case)
    found = [task for name, task in case.tasks.items() if name not in gone]
    return sorted(found, key=lambda task: (not task.assignment.lead, -task.round, task.assignment.id))


def lead(case: Case) -> Task | None:
    """The assignment that answers for the case."""
    first = next(iter(current(case)), None)
    return first if first is not None and first.assignment.lead else None


def done(case: Case) -> list[tuple[Task, Result]]:
    """The work that is the case's outcome: what is fixed, with how it ended; leads first."""
    return [
        (task, end)
        for task in current(case)
        if (end := result(case, task.assignment.id)) is not None and end.resolved.outcome == "fixed"
    ]


def lead_done(case: Case) -> tuple[Task, Result] | None:
    """The lead and its end, once that is fixed."""
    first = next(iter(done(case)), None)
    return first if first is not None and first[0].assignment.lead else None


def cancelled(case: Case) -> list[Task]:
    """The assignments that were cancelled and taken over by no other."""
    return [
        task
        for task in current(case)
        if (end := result(case, task.assignment.id)) is not None and end.resolved.outcome == "cancelled"
    ]


def ready(case: Case) -> bool:
    """Whether the work is done: every assignment has ended, what came back was given out anew, the lead is fixed."""
    taken_over = replaced(case)
    for name in case.tasks:
        end = result(case, name)
        if end is None:
            return False
        came_back = end.resolved.outcome in ("returned", "escalated") or name in case.failed
        if came_back and name not in taken_over:
            return False
    return lead_done(case) is not None


def finished_at(case: Case) -> datetime:
    """When the last of the work that counts ended; of a case that is `ready`."""
    return max(end.at for _, end in done(case))


def deadline(case: Case, task: Task) -> datetime:
    """When the task was to be done: as its end says, which knows of extensions, else as planned."""
    end = result(case, task.assignment.id)
    return (end.resolved.resolve_by if end else None) or task.assignment.resolve_by


def late_by_seconds(case: Case, task: Task) -> int | None:
    """How late the task's work was; None while it has not ended."""
    end = result(case, task.assignment.id)
    if end is None:
        return None
    if end.resolved.late_by_seconds is not None:
        return end.resolved.late_by_seconds
    return max(0, int((end.at - deadline(case, task)).total_seconds()))


def given_at(case: Case, task: Task) -> datetime:
    """When the unit got the task; for a retrospective entry, when the case was filed, or, of a task that took over from
    another, when that one ended.
    """
    if case.filing is None or not case.filing.retrospective:
        return task.at
    if task.round == 1:
        return case.filing.filed_at
    before = result(case, task.assignment.replaces) if task.assignment.replaces is not None else None
    return before.at if before else task.at


def handlers(case: Case) -> frozenset[str]:
    """Everybody who acted on the case, by any account of any assignment's end."""
    return frozenset(who for end in _ends(case) for who in end.resolved.handled_by)


def handling_units(case: Case) -> frozenset[str]:
    """The units that did, or began, some of the work."""
    return frozenset(
        end.resolved.unit for end in _ends(case) if end.resolved.outcome == "fixed" or end.resolved.handled_by
    )


def _ends(case: Case) -> Iterator[Result]:
    return (end for ends in case.ends.values() for end in ends)
