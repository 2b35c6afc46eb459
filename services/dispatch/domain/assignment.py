"""One assignment: its deadlines, who may act on it, how far the work has come, how it ended; and its next state."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil
from typing import Any, Literal, assert_never

from contracts import actors, progress, triage
from contracts.dispatch import Outcome, Resolved
from contracts.envelope import Event
from contracts.states import altered
from contracts.status import Stage

Status = Literal[Stage, Outcome]
"""A stage while it is open, then an outcome."""
AssignmentFact = progress.AssignmentStep | Resolved
"""What dispatch says of one assignment."""


@dataclass(frozen=True, slots=True)
class ExtensionRequest:
    """A requested extension that has not been decided yet."""

    by: str | None
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Supervision:
    """The level of supervision, and by when a reply is demanded."""

    level: int
    reply_by: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class HandOver:
    """The latest unit that the assignment was handed on to. `by`: the superior; None: the centre."""

    unit: str
    by: str | None
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class End:
    """How and when the assignment ended."""

    outcome: Outcome
    at: datetime
    reason: str | None
    late_by_seconds: int


@dataclass(frozen=True)
class Assignment:
    """One assignment: `plan` as triage gave it in `ruling`, and what has happened since.

    The first of its `candidates` to acknowledge becomes the `holder`. Candidates are the unit of the plan and every
    unit that it was offered or handed on to; if a holder hands it on, only the units from then on.
    """

    ruling: triage.Dispatched
    plan: triage.Assignment
    started_at: datetime
    acknowledge_by: datetime
    """When it is offered on, unless somebody acknowledges it before."""
    resolve_by: datetime
    """The deadline in force, after extensions."""
    candidates: tuple[str, ...]
    candidates_ever: tuple[str, ...]
    """Every unit that is or was a candidate."""
    had: tuple[str, ...] = ()
    """The units that it was given to, by the plan or by whoever handed it on, or that acknowledged it."""
    holder: str | None = None
    offers: int = 0
    """How often it was offered on since it was assigned, or handed on."""
    hand_over: HandOver | None = None
    unclaimed: bool = False
    """Whether there is no unit left to offer it to: it waits in the queue until somebody acknowledges it."""
    acknowledged_at: datetime | None = None
    en_route_at: datetime | None = None
    arrived_at: datetime | None = None
    extensions: int = 0
    extension_request: ExtensionRequest | None = None
    urged_at: tuple[datetime, ...] = ()
    """When those who watch urged it."""
    reporters_urged_at: tuple[datetime, ...] = ()
    """When private persons did, who are counted apart."""
    supervision: Supervision | None = None
    handled_by: tuple[str, ...] = ()
    """Who of the units' people has acted on it, in order: they may not check the work."""
    nearly_due: bool = False
    """Whether `NearlyDue` was published for the deadline in force; the next three fields are about it, too."""
    overdue: bool = False
    escalation_level: int = 0
    """How many superiors were told that it is overdue."""
    escalation_failed: bool = False
    """Whether there is no superior left to tell that it is overdue."""
    notified: Mapping[str, str] = field(default_factory=dict[str, str])
    """Unit -> the partner that was last told that this unit has the assignment, or is offered it."""
    end: End | None = None

    @property
    def unit(self) -> str:
        """The unit that has it: the holder, else the unit that is to acknowledge it first."""
        return self.holder or self.candidates[0]

    @property
    def candidates_now(self) -> tuple[str, ...]:
        """The units that may act on it now: the holder alone, or all candidates while there is none."""
        return self.candidates if self.holder is None else (self.holder,)

    @property
    def workers(self) -> tuple[str, ...]:
        """The units that work on it, are offered it now, or have done it; not those that gave it back or on."""
        if self.end is None:
            return self.candidates_now
        return (self.unit,) if self.end.outcome == "fixed" else ()

    @property
    def urged(self) -> int:
        """How often it was urged, by whomever."""
        return len(self.urged_at) + len(self.reporters_urged_at)

    @property
    def offered(self) -> bool:
        """Whether several units may acknowledge it."""
        return self.holder is None and len(self.candidates) > 1

    @property
    def stage(self) -> Stage:
        """How far the unit had come."""
        if self.arrived_at is not None:
            return "on_scene"
        if self.en_route_at is not None:
            return "en_route"
        return "dispatched" if self.acknowledged_at is None else "acknowledged"

    @property
    def status(self) -> Status:
        """The status shown to people."""
        return self.end.outcome if self.end is not None else self.stage

    @property
    def last_step_at(self) -> datetime:
        """When it last came further: what is reported from now on happened after that."""
        handed_on_at = self.hand_over.at if self.hand_over is not None else None
        steps = (handed_on_at, self.acknowledged_at, self.en_route_at, self.arrived_at)
        return max((at for at in steps if at is not None), default=self.started_at)


def opened(ruling: triage.Dispatched, at: datetime) -> dict[str, Assignment]:
    """The assignments of a ruling that was made at that instant, by id."""
    started_at = ruling.filed_at if ruling.retrospective else at
    return {
        plan.id: Assignment(
            ruling,
            plan,
            started_at,
            plan.acknowledge_by,
            plan.resolve_by,
            (plan.unit,),
            candidates_ever=(plan.unit,),
            had=(plan.unit,),
        )
        for plan in ruling.plan
    }


def after_step(assignment: Assignment, step: progress.AssignmentStep, event: Event[Any]) -> Assignment:
    """The assignment after one of its steps, which is what `event` says."""
    if isinstance(step, progress.UnitStep) and step.unit is not None:  # without a unit it is the centre's remark
        assignment = altered(assignment, handled_by=_united(assignment.handled_by, event.actor))
    match step:
        case progress.Acknowledged(unit=unit):
            had = _united(assignment.had, unit)
            return altered(assignment, holder=unit, had=had, acknowledged_at=event.time, unclaimed=False)
        case progress.EnRoute():
            return altered(assignment, en_route_at=event.time)
        case progress.OnScene():
            return altered(assignment, arrived_at=event.time)
        case progress.Noted():
            return assignment
        case progress.ExtensionRequested(reason=reason):
            return altered(assignment, extension_request=ExtensionRequest(event.actor, event.time, reason))
        case progress.Extended(due_at=due_at):
            return _extended(assignment, due_at)
        case progress.ExtensionRefused():
            return altered(assignment, extension_request=None)
        case progress.Urged() if event.actor == actors.PRIVATE_PERSON:
            return altered(assignment, reporters_urged_at=(*assignment.reporters_urged_at, event.time))
        case progress.Urged():
            return altered(assignment, urged_at=(*assignment.urged_at, event.time))
        case progress.Supervised(level=level, reply_by=reply_by, reason=reason):
            return altered(assignment, supervision=Supervision(level, reply_by, reason))
        case progress.Offered():
            return after_offer(assignment, step)
        case progress.HandedOn():
            return after_hand_over(assignment, step, event.time)
        case progress.NearlyDue():
            return altered(assignment, nearly_due=True)
        case progress.Overdue():
            return altered(assignment, overdue=True)
        case progress.Escalated(level=level):
            return altered(assignment, escalation_level=max(assignment.escalation_level, level))
        case progress.EscalationFailed(because="not_acknowledged"):
            return altered(assignment, unclaimed=True)
        case progress.EscalationFailed():
            return altered(assignment, escalation_failed=True)
        case _:
            assert_never(step)


def after_offer(assignment: Assignment, step: progress.Offered) -> Assignment:
    """The assignment after it was offered to its unit's backups, or to one more unit."""
    assignment = altered(assignment, offers=assignment.offers + 1, acknowledge_by=step.due_at)
    return _with_candidate(assignment, step.unit)


def after_hand_over(assignment: Assignment, step: progress.HandedOn, at: datetime) -> Assignment:
    """The assignment after it was handed on: by its holder, who loses it, or to one more candidate."""
    if assignment.holder is not None:
        assignment = altered(
            assignment, holder=None, candidates=(), acknowledged_at=None, en_route_at=None, extension_request=None
        )
    hand_over = HandOver(step.unit, step.by, at, step.reason)
    assignment = altered(assignment, had=_united(assignment.had, step.unit))
    assignment = altered(assignment, hand_over=hand_over, offers=0, unclaimed=False, acknowledge_by=step.due_at)
    return _with_candidate(assignment, step.unit)


def after_end(assignment: Assignment, event: Event[Any]) -> Assignment:
    """The assignment after its `Resolved`."""
    fact: Resolved = event.data
    return altered(
        assignment,
        handled_by=fact.handled_by,
        extension_request=None,
        end=End(fact.outcome, event.time, fact.reason, fact.late_by_seconds),
    )


def resolved(
    assignment: Assignment, outcome: Outcome, at: datetime, handled_by: Iterable[str | None], reason: str | None = None
) -> Resolved:
    """The fact that ends an assignment, with the assignment's own times."""
    return Resolved(
        assignment_id=assignment.plan.id,
        unit=assignment.unit,
        outcome=outcome,
        reason=reason,
        handled_by=_united(assignment.handled_by, *handled_by),
        acknowledged_at=assignment.acknowledged_at,
        arrived_at=assignment.arrived_at,
        resolve_by=assignment.resolve_by,
        late_by_seconds=late_by(assignment.resolve_by, at),
        extensions=assignment.extensions,
        urged=assignment.urged,
        supervised=assignment.supervision is not None,
    )


def late_by(deadline: datetime, ended_at: datetime) -> int:
    """Whole seconds after the deadline, rounded up; 0 if in time."""
    return max(0, ceil((ended_at - deadline).total_seconds()))


def _extended(assignment: Assignment, due_at: datetime) -> Assignment:
    """With a new deadline, for which nothing was published yet."""
    return altered(
        assignment,
        resolve_by=due_at,
        extensions=assignment.extensions + 1,
        extension_request=None,
        nearly_due=False,
        overdue=False,
        escalation_level=0,
        escalation_failed=False,
    )


def _with_candidate(assignment: Assignment, unit: str) -> Assignment:
    return altered(
        assignment,
        candidates=_united(assignment.candidates, unit),
        candidates_ever=_united(assignment.candidates_ever, unit),
    )


def _united(known: tuple[str, ...], *more: str | None) -> tuple[str, ...]:
    """These names, each once, in order."""
    return tuple(dict.fromkeys((*known, *(name for name in more if name is not None))))
