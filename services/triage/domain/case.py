"""A case as triage knows it: folded from reports, triage's own rulings and steps, results and verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from contracts import status
from contracts.dispatch import Outcome, Resolved
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.intake import NewReport, Supplement
from contracts.progress import AwaitingRuling, Queue, RulingOverdue, Verifying
from contracts.triage import Assigned, Dispatched, Merged, Rejected, Withdrawn

Awaited = Literal[Queue, "verify"]
"""What a case waits for: a look at the place before it is filed, or a ruling that the rules could not make."""

OVER: frozenset[status.Status | None] = frozenset({"merged", "rejected", "withdrawn", "closed"})
"""The statuses of a case on which triage decides nothing more."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a person must decide, since when and until when."""

    queue: Awaited
    since: datetime
    words: str
    due_at: datetime
    unit: str | None = None
    """Who is to look at the place (queue `verify`)."""
    overdue: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """An assignment that was given out. `failed`: at the check; `replaced`: another has taken its work over."""

    assignment_id: str
    unit: str
    """Who it was given to; from its end on who had it in the end."""
    task: str
    lead: bool
    end: Outcome | None = None
    failed: bool = False
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """Everything triage decides by."""

    report: Event[NewReport] | None = None
    category: str | None = None
    area: str | None = None
    waiting: Waiting | None = None
    filed: Dispatched | None = None
    """The latest round."""
    rounds: tuple[Dispatched, ...] = ()
    works: Mapping[str, Work] = field(default_factory=dict)
    merged_into: str | None = None
    ruling: Assigned | None = None
    """The latest ruling on what becomes of the case."""
    verdict: Evaluated | None = None
    """The latest verdict."""
    supplements: tuple[Supplement, ...] = ()
    standing: status.Standing = field(default_factory=status.Standing)

    @property
    def over(self) -> bool:
        """Whether nothing follows from it any more."""
        return self.standing.status in OVER

    @property
    def round(self) -> int:
        """The number of the latest round; 0 before the first."""
        return self.filed.round if self.filed is not None else 0

    @property
    def returned(self) -> tuple[Work, ...]:
        """All work that came back, in the order it was given out."""
        return tuple(work for work in self.works.values() if work.end == "returned")

    @property
    def gaps(self) -> tuple[Work, ...]:
        """The work that nobody does any more, though it is not done."""
        return tuple(work for work in self.returned if not work.replaced)

    @property
    def wanting(self) -> tuple[Work, ...]:
        """The work that failed at its check and was not given out again."""
        return tuple(work for work in self.works.values() if work.failed and not work.replaced)


def due(state: Case) -> datetime | None:
    """When what waits for a person becomes overdue; never for what was entered long after the fact."""
    waiting = state.waiting
    if waiting is None or waiting.overdue or (state.report is not None and state.report.data.retrospective):
        return None
    return waiting.due_at


def evolve(state: Case, event: Event[Any]) -> Case:
    """The state after an event; what says nothing new leaves it as it is."""
    changed, standing = _changed(state, event), status.evolve(state.standing, event)
    return changed if standing is state.standing else replace(changed, standing=standing)


def _changed(state: Case, event: Event[Any]) -> Case:
    match event.data:
        case NewReport() if state.report is None:
            return replace(state, report=event)
        case Supplement() as supplement:
            return replace(state, supplements=(*state.supplements, supplement))
        case Dispatched() as ruling:
            return _dispatched(state, ruling)
        case Merged() as ruling:
            return replace(
                state,
                merged_into=ruling.into,
                waiting=None,
                ruling=ruling,
                category=ruling.category or state.category,
                area=ruling.area or state.area,
            )
        case Rejected() | Withdrawn() as ruling:
            return replace(state, waiting=None, ruling=ruling)
        case Verifying() | AwaitingRuling() as step:
            return _waits(state, step, event.time)
        case RulingOverdue() if state.waiting is not None:
            return replace(state, waiting=replace(state.waiting, overdue=True))
        case Resolved() as result:
            return _resolved(state, result)
        case Evaluated(verdict="closed") as verdict:
            return replace(state, waiting=None, verdict=verdict)
        case Evaluated() as verdict:
            failed = {name: replace(state.works[name], failed=True) for name in verdict.failed if name in state.works}
            return replace(state, works={**state.works, **failed}, verdict=verdict)
        case _:
            return state


def _dispatched(state: Case, ruling: Dispatched) -> Case:
    works = dict(state.works)
    for given in ruling.plan:
        works[given.id] = Work(given.id, given.unit, given.task, given.lead)
        if given.replaces in works:
            works[given.replaces] = replace(works[given.replaces], replaced=True)
    settled = ruling.because in ("first", "manual")
    return replace(
        state,
        filed=ruling,
        rounds=(*state.rounds, ruling),
        ruling=ruling,
        works=works,
        category=ruling.category,
        area=ruling.area,
        waiting=None if settled else state.waiting,
    )


def _resolved(state: Case, result: Resolved) -> Case:
    work = state.works.get(result.assignment_id)
    if work is None or work.end is not None:
        return state
    ended = replace(work, end=result.outcome, unit=result.unit)
    return replace(state, works={**state.works, work.assignment_id: ended})


def _waits(state: Case, step: Verifying | AwaitingRuling, at: datetime) -> Case:
    """Waiting for one thing more keeps the time since when it waits, and what only the shift leader may decide."""
    if isinstance(step, Verifying):
        waiting = Waiting("verify", at, step.note, step.due_at, step.unit)
    else:
        waiting = Waiting(step.queue, at, step.note, step.due_at)
    before = state.waiting
    if before is not None:
        queue = before.queue if before.queue == "second_return" else waiting.queue
        waiting = replace(waiting, queue=queue, since=before.since, due_at=before.due_at, overdue=before.overdue)
    return replace(state, category=step.category or state.category, area=step.area or state.area, waiting=waiting)
