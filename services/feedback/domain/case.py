"""A case as feedback knows it, folded from facts in whatever order the topics bring them.

Plans, extensions and ends of work are kept side by side under the assignment they are about, and what they mean is
worked out when it is asked for. So an end that comes before its plan waits here for it, and nothing is held back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from contracts import status
from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.feedback import CaseOutcome, Evaluated, Score
from contracts.progress import Checking, CheckOverdue, Extended, Rated
from contracts.status import Standing
from contracts.triage import Assignment, Check, Dispatched, Merged


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
    """How and when an assignment ended. `resolved.unit` had it in the end, whoever it was given to."""

    resolved: Resolved
    at: datetime


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension of an assignment: its number from 1, when it was granted, and the deadline from then on."""

    count: int
    granted_at: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True)
class OpenCheck:
    """The work is done and waits for its check; of a retrospective entry, since it was done."""

    since: datetime
    due_at: datetime
    overdue: bool = False


@dataclass(frozen=True, slots=True)
class Closing:
    """The verdict that ended the case."""

    outcome: CaseOutcome
    at: datetime
    recorded_at: datetime
    """When it was published, which is later than `at` in a case entered long after the fact."""
    reason: str | None
    checked_by: str | None
    due_at: datetime | None
    late_by_seconds: int | None
    scores: tuple[Score, ...]
    lead: str | None
    """The assignment that answered for the case when it was closed."""


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
    extensions: Mapping[str, tuple[Extension, ...]] = field(default_factory=dict)
    """Assignment -> its extensions in their order."""
    ends: Mapping[str, Result] = field(default_factory=dict)
    """Assignment -> its one end."""
    failed: Mapping[str, datetime] = field(default_factory=dict)
    """Assignment -> when a check found its work wanting."""
    reworks: int = 0
    checking: OpenCheck | None = None
    closing: Closing | None = None
    ratings: Mapping[str, Rating] = field(default_factory=dict)
    """Person -> what they gave."""
    standing: Standing = field(default_factory=Standing)
    """What the public status follows from."""


def evolve(case: Case, event: Event[Any]) -> Case:
    """Folds any fact of the case; what has no meaning here leaves it as it is."""
    return replace(_folded(case, event), standing=status.evolve(case.standing, event))


def _folded(case: Case, event: Event[Any]) -> Case:
    match event.data:
        case Dispatched() as plan:
            return _planned(case, plan, event.time)
        case Merged(into=into):
            return replace(case, merged_into=into)
        case Extended() as extended:
            return _extended(case, extended, event.time)
        case Resolved(assignment_id=assignment) as resolved:
            return replace(case, ends={assignment: Result(resolved, event.time), **case.ends})
        case Evaluated() as evaluated:
            return _evaluated(case, evaluated, event)
        case Checking(due_at=due_at):
            return replace(case, checking=OpenCheck(_checking_since(case, event.time), due_at))
        case CheckOverdue() if case.checking is not None:
            return replace(case, checking=replace(case.checking, overdue=True))
        case Rated(rating=rating, comment=comment) if event.actor is not None:
            return replace(case, ratings={**case.ratings, event.actor: Rating(rating, comment, event.time)})
        case _:  # of the rulings that end a case, the verdict that follows says all
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


def _extended(case: Case, extended: Extended, at: datetime) -> Case:
    known = case.extensions.get(extended.assignment_id, ())
    if any(one.count == extended.count for one in known):
        return case
    every = sorted((*known, Extension(extended.count, at, extended.due_at)), key=lambda one: one.count)
    return replace(case, extensions={**case.extensions, extended.assignment_id: tuple(every)})


def _checking_since(case: Case, at: datetime) -> datetime:
    """From when a check that began at `at` can be made, in the times of the case."""
    retrospective = case.filing is not None and case.filing.retrospective
    return finished_at(case) if retrospective and done(case) else at


def _evaluated(case: Case, evaluated: Evaluated, event: Event[Any]) -> Case:
    if evaluated.verdict == "rework":
        failed = {**dict.fromkeys(evaluated.failed, event.time), **case.failed}
        return replace(case, checking=None, failed=failed, reworks=case.reworks + 1)
    if evaluated.outcome is None or case.closing is not None:
        return case
    task = lead(case)
    closing = Closing(
        outcome=evaluated.outcome,
        at=event.time,
        recorded_at=event.recordedtime,
        reason=evaluated.reason,
        checked_by=evaluated.checked_by,
        due_at=evaluated.due_at,
        late_by_seconds=evaluated.late_by_seconds,
        scores=evaluated.scores,
        lead=task.assignment.id if task is not None else None,
    )
    return replace(case, checking=None, closing=closing)


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
        if (end := case.ends.get(task.assignment.id)) is not None and end.resolved.outcome == "fixed"
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
        if (end := case.ends.get(task.assignment.id)) is not None and end.resolved.outcome == "cancelled"
    ]


def ready(case: Case) -> bool:
    """Whether the work is done: every assignment has ended, what came back was given out anew, the lead is fixed."""
    taken_over = replaced(case)
    for name in case.tasks:
        end = case.ends.get(name)
        if end is None:
            return False
        came_back = end.resolved.outcome == "returned" or name in case.failed
        if came_back and name not in taken_over:
            return False
    return lead_done(case) is not None


def finished_at(case: Case) -> datetime:
    """When the last of the work that counts ended; of a case that is `ready`."""
    return max(end.at for _, end in done(case))


def last_known_at(case: Case) -> datetime | None:
    """When the latest happened of what is known of the work on a case; None of one that was never filed."""
    if case.filing is None:
        return None
    return max((case.filing.filed_at, *(end.at for end in case.ends.values()), *case.failed.values()))


def unit(case: Case, task: Task) -> str:
    """Whose task it is: the unit that had it in the end, else the one it was given to."""
    end = case.ends.get(task.assignment.id)
    return end.resolved.unit if end else task.assignment.unit


def deadline(case: Case, task: Task) -> datetime:
    """When the task is to be done: as its end says, else the latest extension, else the plan."""
    end = case.ends.get(task.assignment.id)
    if end is not None:
        return end.resolved.resolve_by
    extensions = case.extensions.get(task.assignment.id)
    return extensions[-1].due_at if extensions else task.assignment.resolve_by


def late_by_seconds(case: Case, task: Task) -> int | None:
    """How late the task's work was, as dispatch measured it; None while it has not ended."""
    end = case.ends.get(task.assignment.id)
    return end.resolved.late_by_seconds if end is not None else None


def given_at(case: Case, task: Task) -> datetime:
    """When the unit got the task; for a retrospective entry, when the case was filed, or, of a task that took over from
    another, when that one ended.
    """
    if case.filing is None or not case.filing.retrospective:
        return task.at
    if task.round == 1:
        return case.filing.filed_at
    before = case.ends.get(task.assignment.replaces) if task.assignment.replaces is not None else None
    return before.at if before else task.at


def handlers(case: Case) -> frozenset[str]:
    """Everybody who acted on the case, in any of its rounds."""
    return frozenset(who for end in case.ends.values() for who in end.resolved.handled_by)


def handling_units(case: Case) -> frozenset[str]:
    """The units that did, or began, some of the work."""
    return frozenset(
        end.resolved.unit for end in case.ends.values() if end.resolved.outcome == "fixed" or end.resolved.handled_by
    )
