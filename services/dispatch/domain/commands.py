"""What people and partners' systems may ask of an assignment; each rule has a name, and a refusal says it in words.

Steps go forward only: acknowledge, then set out and arrive (either may be left out), then resolve. A step that was
taken already has no effect when it is asked for again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from chassis.decider import Facts, Inputs, Refused, Unknown
from contracts.fields import Attachment
from contracts.progress import Progressed
from contracts.reference import Calendar
from contracts.wire import instant
from services.dispatch.domain.state import Case, Work, resolved

SLOW = timedelta(minutes=5)
"""How far behind the service's clock a handset's may be."""
HANDLERS = 50
"""The most people who may act on one assignment: `Resolved` names every one of them."""


@dataclass(frozen=True, slots=True)
class By:
    """On whose behalf: the units the caller may act for ("*" is any); its areas (none: everywhere)."""

    units: frozenset[str] = frozenset()
    areas: tuple[str, ...] = ()

    def acts_for(self, unit: str) -> bool:
        """Whether the caller may act for that unit."""
        return unit in self.units or "*" in self.units

    def covers(self, area: str) -> bool:
        """Whether that area lies in the caller's."""
        return not self.areas or any(area == own or area.startswith(f"{own}/") for own in self.areas)


@dataclass(frozen=True, slots=True)
class _Asked:
    assignment_id: str
    by: By


@dataclass(frozen=True, slots=True)
class Acknowledge(_Asked):
    """The unit has seen it and takes it on."""


@dataclass(frozen=True, slots=True)
class SetOut(_Asked):
    """The unit is on its way."""


@dataclass(frozen=True, slots=True)
class Arrive(_Asked):
    """The unit is on the scene; work begins."""


@dataclass(frozen=True, slots=True)
class Resolve(_Asked):
    """The unit has done its task."""

    note: str | None = None
    evidence: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Return(_Asked):
    """It is not the unit's to do."""

    reason: str


@dataclass(frozen=True, slots=True)
class Note(_Asked):
    """A remark, by the unit or by anybody of the centre."""

    note: str
    evidence: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Urge(_Asked):
    """Somebody who watches asks the unit to hurry."""

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Supervise(_Asked):
    """The centre watches it, and may demand a reply by a time."""

    level: int
    reason: str
    reply_by: datetime | None = None


@dataclass(frozen=True, slots=True)
class RequestExtension(_Asked):
    """The unit asks for one more original limit."""

    reason: str


@dataclass(frozen=True, slots=True)
class DecideExtension(_Asked):
    """The centre grants or refuses what the unit asked for."""

    granted: bool
    reason: str | None = None


Command = (
    Acknowledge | SetOut | Arrive | Resolve | Return | Note | Urge | Supervise | RequestExtension | DecideExtension
)


@dataclass(frozen=True)
class Commanding:
    """`decide` of dispatch, under the policy's limits."""

    calendar: Calendar
    extend_max: int
    urge_cooldown_minutes: int
    urge_daily_cap: int

    def decide(self, command: Command, case: Case, inputs: Inputs) -> Facts:
        """The facts that follow; raises `Refused`, and `Unknown` where there is no such assignment."""
        work = _open(command, case, inputs)
        at = inputs.at
        match command:
            case Acknowledge():
                _act(command, work, inputs)
                return () if work.acknowledged_at else [_step(work, "acknowledged", due_at=work.resolve_by)]
            case SetOut():
                _act(command, work, inputs, after_acknowledgement=True)
                if work.en_route_at:
                    return ()
                if work.arrived_at:
                    raise Refused("step.order", "the unit is on the scene already")
                return [_step(work, "en_route")]
            case Arrive():
                _act(command, work, inputs, after_acknowledgement=True)
                return () if work.arrived_at else [_step(work, "on_scene")]
            case Resolve():
                _act(command, work, inputs, after_acknowledgement=True)
                return [
                    resolved(work, "fixed", at, note=command.note, evidence=command.evidence, actor=inputs.actor),
                ]
            case Return():
                _act(command, work, inputs)
                if work.arrived_at:
                    raise Refused("return.begun", "work has begun on the scene; what has begun cannot be returned")
                return [resolved(work, "returned", at, reason=command.reason, actor=inputs.actor)]
            case Note():
                ours = command.by.acts_for(work.plan.unit)
                if ours:
                    _act(command, work, inputs)
                return [_step(work, "note", ours=ours, note=command.note, evidence=command.evidence)]
            case Urge():
                return self._urge(command, work, at)
            case Supervise():
                return _supervise(command, work, at)
            case RequestExtension():
                _act(command, work, inputs, after_acknowledgement=True)
                return self._request_extension(command, work, at)
            case DecideExtension():
                return _decide_extension(command, work, inputs)

    def _urge(self, command: Urge, work: Work, at: datetime) -> Facts:
        if work.urged_at:
            again_at = max(work.urged_at) + timedelta(minutes=self.urge_cooldown_minutes)
            if at < again_at:
                raise Refused("urge.cooldown", f"it was urged a short while ago; again from {_minute(again_at)}")
        zone = ZoneInfo(self.calendar.time_zone)
        today = at.astimezone(zone).date()
        if sum(urged.astimezone(zone).date() == today for urged in work.urged_at) >= self.urge_daily_cap:
            raise Refused(
                "urge.daily_cap", f"it was urged {self.urge_daily_cap} times today; that is the most for a day"
            )
        return [_step(work, "urged", reason=command.reason, count=len(work.urged_at) + 1)]

    def _request_extension(self, command: RequestExtension, work: Work, at: datetime) -> Facts:
        if work.request is not None:
            raise Refused("extension.pending", "an extension was asked for and is not decided on yet")
        most = min(self.extend_max, len(work.plan.extensions))
        if work.extensions >= most:
            raise Refused("extension.limit", f"it was extended {work.extensions} times; {most} is the most")
        if at >= work.resolve_by:
            raise Refused("extension.overdue", f"it is overdue since {_minute(work.resolve_by)}; ask before")
        due_at = work.plan.extensions[work.extensions]
        return [
            _step(work, "extension_requested", reason=command.reason, due_at=due_at, count=work.extensions + 1),
        ]


def _supervise(command: Supervise, work: Work, at: datetime) -> Facts:
    if work.supervision is not None and command.level < work.supervision.level:
        raise Refused(
            "supervise.level", f"it is under supervision at level {work.supervision.level}, which never falls"
        )
    if command.reply_by is not None and command.reply_by <= at:
        raise Refused("supervise.reply_by", "a reply can only be demanded by a time to come")
    return [_step(work, "supervised", reason=command.reason, level=command.level, due_at=command.reply_by)]


def _decide_extension(command: DecideExtension, work: Work, inputs: Inputs) -> Facts:
    if work.request is None:
        raise Refused("extension.none", "no extension was asked for")
    if inputs.actor in work.handled_by:
        raise Refused("extension.self", "whoever acted on the assignment cannot decide on its extension")
    if not command.granted:
        return [_step(work, "extension_refused", reason=command.reason, due_at=work.resolve_by)]
    due_at = work.plan.extensions[work.extensions]
    return [_step(work, "extended", reason=command.reason, due_at=due_at, count=work.extensions + 1)]


def _open(command: Command, case: Case, inputs: Inputs) -> Work:
    work = case.work.get(command.assignment_id)
    if work is None:
        raise Unknown(f"there is no assignment {command.assignment_id}")
    if not command.by.covers(work.order.area):
        raise Refused("caller.area", f"{work.order.area} is not one of the caller's areas")
    if work.end is not None:
        raise Refused("assignment.ended", f"the assignment ended as {work.end.outcome} at {_minute(work.end.at)}")
    if case.closed:
        raise Refused("case.closed", "the case is closed")
    return work


def _act(command: Command, work: Work, inputs: Inputs, *, after_acknowledgement: bool = False) -> None:
    """The rules of everything that only the assignment's own unit may do."""
    if not command.by.acts_for(work.plan.unit):
        raise Refused("assignment.unit", f"the assignment is {work.plan.unit}'s, and the caller does not act for it")
    if after_acknowledgement and work.acknowledged_at is None:
        raise Refused("step.order", "the assignment must be acknowledged first")
    if work.last_step_at is not None and inputs.at < work.last_step_at:
        raise Refused("step.time", f"the step before it was taken at {instant(work.last_step_at)}")
    if not work.order.retrospective and inputs.at < work.started_at - SLOW:
        raise Refused("step.time", f"the assignment was given out at {instant(work.started_at)}")
    if inputs.actor not in work.handled_by and len(work.handled_by) >= HANDLERS:
        raise Refused("assignment.handlers", f"{HANDLERS} people have acted on it; that is the most")


def _step(
    work: Work,
    step: Literal[
        "acknowledged",
        "en_route",
        "on_scene",
        "note",
        "urged",
        "supervised",
        "extension_requested",
        "extended",
        "extension_refused",
    ],
    *,
    ours: bool = True,
    **more: Any,
) -> Progressed:
    """A step of this assignment; without a unit where nobody of it acted and it is not addressed."""
    return Progressed(step=step, assignment_id=work.plan.id, unit=work.plan.unit if ours else None, **more)


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}Z"
