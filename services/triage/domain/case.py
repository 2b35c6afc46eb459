"""A case as triage knows it: folded from reports, triage's own rulings and steps, results and verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, cast

from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.intake import NewReport, Supplement
from contracts.progress import Progressed
from contracts.triage import Assigned, Dispatched, Merged, Rejected, Withdrawn
from services.triage.domain.assessment import Queue

Status = Literal["verifying", "awaiting_ruling", "dispatched", "merged", "rejected", "withdrawn", "closed"]
End = Literal["fixed", "returned", "escalated", "cancelled", "failed"]


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a person must decide, since when and until when."""

    queue: Queue
    since: datetime
    words: str
    due_at: datetime | None = None
    unit: str | None = None
    """Who is to look at the place (queue `verify`), or who could not be reached (`escalation_failed`)."""
    overdue: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """An assignment that was given out. `replaced`: another has taken its work over."""

    assignment_id: str
    unit: str
    task: str
    lead: bool
    end: End | None = None
    replaced: bool = False

    @property
    def open_ended(self) -> bool:
        """Whether nobody does this work any more, though it is not done."""
        return self.end in ("returned", "escalated", "failed") and not self.replaced


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
    returns: int = 0
    ended: Literal["merged", "rejected", "withdrawn", "closed"] | None = None
    merged_into: str | None = None
    ruling: Assigned | None = None
    """The latest ruling."""
    verdict: Evaluated | None = None
    """The latest verdict."""
    supplements: tuple[Supplement, ...] = ()

    @property
    def status(self) -> Status | None:
        """In one word, as people are shown it; None before the report."""
        if self.ended is not None:
            return self.ended
        if self.waiting is not None:
            return "verifying" if self.waiting.queue == "verify" else "awaiting_ruling"
        return "dispatched" if self.filed is not None else None

    @property
    def round(self) -> int:
        """The number of the latest round; 0 before the first."""
        return self.filed.round if self.filed is not None else 0

    @property
    def gaps(self) -> tuple[Work, ...]:
        """The work that nobody does any more, in the order it was given out."""
        return tuple(work for work in self.works.values() if work.open_ended)


def due(state: Case) -> datetime | None:
    """When what waits for a person becomes overdue; never for what was entered long after the fact."""
    waiting = state.waiting
    if waiting is None or waiting.overdue or (state.report is not None and state.report.data.retrospective):
        return None
    return waiting.due_at


def evolve(state: Case, event: Event[Any]) -> Case:
    """The state after an event; what says nothing new leaves it as it is."""
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
                ended=state.ended or "merged",
                merged_into=ruling.into,
                waiting=None,
                ruling=ruling,
                category=ruling.category or state.category,
                area=ruling.area or state.area,
            )
        case Rejected() as ruling:
            return replace(state, ended=state.ended or "rejected", waiting=None, ruling=ruling)
        case Withdrawn() as ruling:
            return replace(state, ended=state.ended or "withdrawn", waiting=None, ruling=ruling)
        case Progressed() as step:
            return _progressed(state, step, event.time)
        case Resolved() as result:
            return _resolved(state, result)
        case Evaluated(verdict="closed") as verdict:
            return replace(state, ended=state.ended or "closed", waiting=None, verdict=verdict)
        case Evaluated() as verdict:
            works = dict(state.works)
            for failed in verdict.failed:
                if failed in works:
                    works[failed] = replace(works[failed], end="failed")
            return replace(state, works=works, verdict=verdict)
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
    if work is None or work.unit != result.unit or work.end is not None:
        return state
    works = {**state.works, result.assignment_id: replace(work, end=result.outcome)}
    return replace(state, works=works, returns=state.returns + (result.outcome == "returned"))


def _progressed(state: Case, step: Progressed, at: datetime) -> Case:
    if state.ended is not None:
        return state
    match step.step:
        case "verifying":
            queue: Queue = "verify"
        case "awaiting_ruling":
            queue = cast(Queue, step.reason)
        case "escalation_failed":
            queue = "escalation_failed"
        case "overdue" if state.waiting is not None:
            return replace(state, waiting=replace(state.waiting, overdue=True))
        case _:
            return state
    before = state.waiting
    if before is not None and before.queue == "second_return":
        queue = "second_return"
    return replace(
        state,
        category=step.category or state.category,
        area=step.area or state.area,
        waiting=Waiting(
            queue,
            before.since if before else at,
            step.note or step.reason or "",
            before.due_at if before else step.due_at,
            step.unit,
            before.overdue if before else False,
        ),
    )
