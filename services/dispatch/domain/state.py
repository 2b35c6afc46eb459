"""A case as dispatch knows it: the rulings, the verdict, every assignment, and what each partner was told."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Any, Literal

from contracts import status
from contracts.dispatch import Outcome, Resolved
from contracts.envelope import Event
from contracts.feedback import CaseOutcome, Verdict
from contracts.growing import Ids
from contracts.intake import Supplement
from contracts.progress import Supplemented
from contracts.triage import Assignment, Dispatched

Status = Literal["assigned", "acknowledged", "en_route", "on_scene", "fixed", "returned", "cancelled"]
"""Of an assignment."""


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
    reason: str


@dataclass(frozen=True, slots=True)
class Handed:
    """To which unit an assignment was handed on last, when, and by which superior (None: by the centre)."""

    unit: str
    by: str | None
    at: datetime
    reason: str


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
    """One assignment: `plan` as triage gave it in `order`, and what has happened since.

    The first of its `candidates` to acknowledge becomes the `holder`. They are the unit first named and every unit that
    it was offered or handed on to; once a holder has handed it on, only the units from then on.
    """

    order: Dispatched
    plan: Assignment
    started_at: datetime
    acknowledge_by: datetime
    """When it is offered on, unless somebody acknowledges it before."""
    resolve_by: datetime
    """The deadline in force, after extensions."""
    candidates: tuple[str, ...]
    holder: str | None = None
    reached: tuple[str, ...] = ()
    """Every unit that has ever been a candidate."""
    offers: int = 0
    """How often it was offered on since it was given out, or handed on."""
    handed: Handed | None = None
    unclaimed: bool = False
    """Whether nobody is left to offer it to: it waits in dispatch's queue until somebody acknowledges it."""
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
    """Whether no superior is left to be told that it is overdue."""
    told: Mapping[str, str] = field(default_factory=dict)
    """Unit -> the partner that was last told that its unit has the assignment, or is offered it."""
    end: End | None = None

    @property
    def unit(self) -> str:
        """Whose it is: the holder, else the unit that is to acknowledge it first."""
        return self.holder or self.candidates[0]

    @property
    def within_reach(self) -> tuple[str, ...]:
        """Who has it or is offered it."""
        return self.candidates if self.holder is None else (self.holder,)

    @property
    def shared(self) -> bool:
        """Whether the first to acknowledge it has it, though it was given to one."""
        return self.holder is None and len(self.candidates) > 1

    @property
    def stage(self) -> Literal["assigned", "acknowledged", "en_route", "on_scene"]:
        """How far the unit had come."""
        if self.arrived_at is not None:
            return "on_scene"
        if self.en_route_at is not None:
            return "en_route"
        return "assigned" if self.acknowledged_at is None else "acknowledged"

    @property
    def status(self) -> Status:
        """The status people are shown."""
        return self.end.outcome if self.end is not None else self.stage

    @property
    def earliest(self) -> datetime:
        """When the unit last came further: what is said of it from now on happened after that."""
        handed_at = self.handed.at if self.handed is not None else None
        steps = (handed_at, self.acknowledged_at, self.en_route_at, self.arrived_at)
        return max((at for at in steps if at is not None), default=self.started_at)


@dataclass(frozen=True, slots=True)
class Told:
    """What a partner was told about a case."""

    notices: Ids = field(default_factory=Ids)
    answers: int = 0
    """How many of the notices are answers to requests."""
    """Their ids."""
    involved: bool = False
    """Whether it was told of an assignment."""
    supplements: int = 0
    """How many of the case's supplements it has heard."""
    closed: bool = False
    """Whether it was told that the case is closed."""


@dataclass(frozen=True, slots=True)
class Case:
    """The case; empty until a ruling comes. Its latest `order` describes it."""

    order: Dispatched | None = None
    work: Mapping[str, Work] = field(default_factory=dict)
    ruling: Literal["merged", "rejected", "withdrawn"] | None = None
    """The ruling that took the case off dispatch's hands."""
    into: str | None = None
    """The case that it was merged into."""
    verdict: Verdict | None = None
    outcome: CaseOutcome | None = None
    why: str | None = None
    """The verdict's reason."""
    standing: status.Standing = field(default_factory=status.Standing)
    joined: Mapping[str, str | None] = field(default_factory=dict)
    """Cases that were merged into this one, in order -> what their reports said, in a line."""
    supplements: tuple[Event[Supplement | Supplemented], ...] = ()
    """What was added, here or in a case that was merged into this one, in order."""
    told: Mapping[str, Told] = field(default_factory=dict)
    """By partner."""

    @property
    def closed(self) -> bool:
        """Whether feedback's last verdict closed it."""
        return self.verdict == "closed"

    @property
    def open(self) -> list[Work]:
        """The assignments that have not ended."""
        return [work for work in self.work.values() if work.end is None]


def begun(order: Dispatched, at: datetime) -> dict[str, Work]:
    """The assignments of a plan that was given out at that instant, by their ids."""
    started_at = order.filed_at if order.retrospective else at
    return {
        plan.id: Work(
            order, plan, started_at, plan.acknowledge_by, plan.resolve_by, candidates=(plan.unit,), reached=(plan.unit,)
        )
        for plan in order.plan
    }


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
    handled_by: Iterable[str | None] = (),
) -> Resolved:
    """The end of an assignment as a fact, with its own times."""
    return Resolved(
        assignment_id=work.plan.id,
        unit=work.unit,
        outcome=outcome,
        reason=reason,
        note=note,
        handled_by=together(work.handled_by, *handled_by),
        evidence=tuple(evidence),
        acknowledged_at=work.acknowledged_at,
        arrived_at=work.arrived_at,
        resolve_by=work.resolve_by,
        late_by_seconds=late_by(work.resolve_by, at),
        extensions=work.extensions,
        urged=len(work.urged_at),
        supervised=work.supervision is not None,
    )


def together(known: tuple[str, ...], *more: str | None) -> tuple[str, ...]:
    """These names, each once, in order."""
    return tuple(dict.fromkeys((*known, *(who for who in more if who is not None))))
