"""A case as dispatch knows it: the rulings, the verdict, and every assignment with what was done about it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import ceil
from typing import Any, Literal

from contracts.dispatch import Outcome, Resolved
from contracts.envelope import Event
from contracts.feedback import CaseOutcome, Evaluated, Verdict
from contracts.progress import Progressed
from contracts.triage import Assignment, Dispatched, Merged, Rejected, Withdrawn

Status = Literal[
    "assigned",
    "acknowledged",
    "en_route",
    "on_scene",
    "fixed",
    "returned",
    "escalated",
    "cancelled",
    "closed",
]
"""Of an assignment. `closed`: the case was closed while it was still open."""


@dataclass(frozen=True, slots=True)
class Request:
    """An extension asked for and not yet decided on."""

    by: str | None
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Supervision:
    """How high the case is watched from, and by when a reply is demanded."""

    level: int
    reply_by: datetime | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class End:
    """How and when an assignment ended; `by` is the source that said so."""

    outcome: Outcome
    at: datetime
    by: str
    reason: str | None
    late_by_seconds: int


@dataclass(frozen=True, slots=True)
class Work:
    """One assignment: `plan` as triage gave it in `order`, and what has happened since."""

    order: Dispatched
    plan: Assignment
    started_at: datetime
    resolve_by: datetime
    """The deadline in force, after extensions."""
    acknowledged_at: datetime | None = None
    en_route_at: datetime | None = None
    arrived_at: datetime | None = None
    extensions: int = 0
    request: Request | None = None
    urged_at: tuple[datetime, ...] = ()
    supervision: Supervision | None = None
    handled_by: tuple[str, ...] = ()
    nearly_due: bool = False
    """Whether the passage into yellow was told, for the deadline in force; `overdue` and what follows likewise."""
    overdue: bool = False
    level: int = 0
    """How many superiors have been told that it is overdue."""
    escalation_failed: bool = False
    end: End | None = None

    @property
    def stage(self) -> Literal["assigned", "acknowledged", "en_route", "on_scene"]:
        """How far the unit had come."""
        if self.arrived_at is not None:
            return "on_scene"
        if self.en_route_at is not None:
            return "en_route"
        return "assigned" if self.acknowledged_at is None else "acknowledged"

    @property
    def last_step_at(self) -> datetime | None:
        """When the unit last came further."""
        return max((at for at in (self.acknowledged_at, self.en_route_at, self.arrived_at) if at), default=None)


@dataclass(frozen=True, slots=True)
class Case:
    """The case; empty until a ruling comes. Its latest `order` describes it."""

    order: Dispatched | None = None
    work: Mapping[str, Work] = field(default_factory=dict)
    ruling: Literal["merged", "rejected", "withdrawn"] | None = None
    """The ruling that took the case off dispatch's hands."""
    verdict: Verdict | None = None
    outcome: CaseOutcome | None = None

    @property
    def closed(self) -> bool:
        """Whether feedback's last verdict closed it."""
        return self.verdict == "closed"

    @property
    def open(self) -> list[Work]:
        """The assignments that have not ended, whatever became of the case."""
        return [work for work in self.work.values() if work.end is None]

    def status_of(self, work: Work) -> Status:
        """The status people are shown."""
        if work.end is not None:
            return work.end.outcome
        return "closed" if self.closed else work.stage


def late_by(deadline: datetime, ended: datetime) -> int:
    """Whole seconds after the deadline, begun ones counted; 0 in time."""
    return max(0, ceil((ended - deadline).total_seconds()))


def resolved(
    work: Work,
    outcome: Outcome,
    at: datetime,
    *,
    reason: str | None = None,
    note: str | None = None,
    evidence: Iterable[Any] = (),
    actor: str | None = None,
) -> Resolved:
    """The end of an assignment as a fact, with its own times."""
    return Resolved(
        assignment_id=work.plan.id,
        unit=work.plan.unit,
        outcome=outcome,
        reason=reason,
        note=note,
        handled_by=_joined(work.handled_by, actor),
        evidence=tuple(evidence),
        acknowledged_at=work.acknowledged_at,
        arrived_at=work.arrived_at,
        resolve_by=work.resolve_by,
        late_by_seconds=late_by(work.resolve_by, at),
        extensions=work.extensions,
        urged=len(work.urged_at),
        supervised=work.supervision is not None,
    )


def evolve(case: Case, event: Event[Any]) -> Case:
    """Folds a fact of any source; what it does not know of, it leaves alone."""
    match event.data:
        case Dispatched() as order:
            return _given_out(case, order, event.time)
        case Merged() | Rejected() | Withdrawn() as ruling:
            return replace(case, ruling=ruling.ruling)
        case Resolved() as end:
            return _changed(case, end.assignment_id, lambda work: _ended(work, end, event))
        case Evaluated() as verdict:
            return replace(case, verdict=verdict.verdict, outcome=verdict.outcome)
        case Progressed() as step:
            return _changed(case, step.assignment_id, lambda work: _stepped(work, step, event))
        case _:
            return case


def _given_out(case: Case, order: Dispatched, at: datetime) -> Case:
    started_at = order.filed_at if order.retrospective else at
    fresh = {plan.id: Work(order, plan, started_at, plan.resolve_by) for plan in order.plan if plan.id not in case.work}
    return replace(case, order=order, work={**case.work, **fresh}, ruling=None)


def _changed(case: Case, assignment_id: str | None, change: Callable[[Work], Work]) -> Case:
    work = case.work.get(assignment_id or "")
    if work is None or work.end is not None:  # of an ended assignment the first end counts, and nothing after it
        return case
    return replace(case, work={**case.work, work.plan.id: change(work)})


def _ended(work: Work, end: Resolved, event: Event[Any]) -> Work:
    """A partner's own times are kept; how late it was is measured against the deadline in force here."""
    return replace(
        work,
        acknowledged_at=end.acknowledged_at or work.acknowledged_at,
        arrived_at=end.arrived_at or work.arrived_at,
        handled_by=_joined(work.handled_by, *end.handled_by),
        request=None,
        end=End(end.outcome, event.time, event.source, end.reason, late_by(work.resolve_by, event.time)),
    )


def _stepped(work: Work, step: Progressed, event: Event[Any]) -> Work:
    match step.step:
        case "acknowledged":
            return _acted(replace(work, acknowledged_at=event.time), event)
        case "en_route":
            return _acted(replace(work, en_route_at=event.time), event)
        case "on_scene":
            return _acted(replace(work, arrived_at=event.time), event)
        case "note":
            return _acted(work, event) if step.unit is not None else work
        case "urged":
            return replace(work, urged_at=(*work.urged_at, event.time))
        case "supervised":
            return replace(work, supervision=Supervision(step.level or 1, step.due_at, step.reason))
        case "extension_requested":
            return _acted(replace(work, request=Request(event.actor, event.time, step.reason or "")), event)
        case "extended":
            return _extended(work, step.due_at or work.resolve_by)
        case "extension_refused":
            return replace(work, request=None)
        case "nearly_due":
            return replace(work, nearly_due=True)
        case "overdue":
            return replace(work, overdue=True)
        case "escalated":
            return replace(work, level=max(work.level, step.level or 0))
        case "escalation_failed":
            return replace(work, escalation_failed=True)
        case _:  # steps of other services, and what was said of an event that had no effect
            return work


def _extended(work: Work, resolve_by: datetime) -> Work:
    """A new deadline has passages of its own."""
    return replace(
        work,
        resolve_by=resolve_by,
        extensions=work.extensions + 1,
        request=None,
        nearly_due=False,
        overdue=False,
        level=0,
        escalation_failed=False,
    )


def _acted(work: Work, event: Event[Any]) -> Work:
    return replace(work, handled_by=_joined(work.handled_by, event.actor))


def _joined(known: tuple[str, ...], *more: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *(who for who in more if who is not None))))
