"""decide: what is asked of an assignment -> facts. Each rule has a name, and a refusal says it in words.

Steps go forward only: acknowledge, then set out and arrive (either may be left out), then resolve. A step that was
taken already has no effect when it is asked for again. Whoever acknowledges first has the assignment.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from chassis.decider import Facts, Inputs, Refused, Unknown
from contracts import times
from contracts.fields import Fact
from contracts.progress import (
    Acknowledged,
    EnRoute,
    Extended,
    ExtensionRefused,
    ExtensionRequested,
    HandedOn,
    Noted,
    OnScene,
    Supervised,
    Urged,
)
from contracts.reference import Policy, Units
from services.dispatch.domain.commands import (
    Acknowledge,
    Arrive,
    By,
    Command,
    DecideExtension,
    HandOn,
    Note,
    RequestExtension,
    Resolve,
    Return,
    SetOut,
    Supervise,
    Urge,
)
from services.dispatch.domain.notices import Teller
from services.dispatch.domain.reckoning import Reckoning
from services.dispatch.domain.state import Case, Work, resolved

REMARKERS, HANDLERS = 50, 59
"""The most people who may act on one assignment, for `Resolved` names every one of them: once as many have, nobody new
may remark or ask for time, and the last few places are for those who take it on and end it.
"""
_TAKEN = ("assignment.taken", "another unit has taken the assignment on")
_STRANGER = ("assignment.unit", "the assignment is not given to a unit of the caller's")


@dataclass(frozen=True)
class Rules:
    """`decide` and `counted` of dispatch, under the policy's limits."""

    reckoning: Reckoning
    units: Units
    policy: Policy

    def counted(self, command: Command, case: Case, inputs: Inputs) -> times.Counted:
        """What counts is when it arrived; of a late entry, when it is said to have happened."""
        work = case.work.get(command.assignment_id)
        return times.counted(
            inputs.claimed,
            inputs.at,
            skew=timedelta(seconds=self.policy.max_future_skew_seconds),
            earliest=work.earliest if work is not None else None,
            believed=inputs.believed and work is not None and work.order.retrospective,
        )

    def decide(self, command: Command, case: Case, inputs: Inputs) -> Facts:
        """The facts that follow, and what partners are told; raises `Refused`, `Unknown` where it is no assignment."""
        work = _open(command, case)
        teller = Teller(case, inputs.partners, command.by.partner)
        return [told for fact in self._facts(command, work, inputs) for told in teller.fact(work, fact)]

    def _facts(self, command: Command, work: Work, inputs: Inputs) -> Facts:
        name = work.plan.id
        match command:
            case Acknowledge():
                return _acknowledge(command, work, inputs)
            case SetOut():
                unit = _holder(command, work, inputs)
                if work.en_route_at:
                    return ()
                if work.arrived_at:
                    raise Refused("step.order", "the unit is on the scene already")
                return [EnRoute(assignment_id=name, unit=unit)]
            case Arrive():
                unit = _holder(command, work, inputs)
                return () if work.arrived_at else [OnScene(assignment_id=name, unit=unit)]
            case Resolve():
                _holder(command, work, inputs)
                return [_fixed(command, work, inputs)]
            case Return():
                return [_returned(command, work, inputs)]
            case HandOn():
                return self._hand_on(command, work, inputs)
            case Note():
                unit = None if _for_the_centre(command.by, work) else _acting(command, work, inputs)
                return [Noted(assignment_id=name, unit=unit, note=command.note, evidence=command.evidence)]
            case Urge():
                return [self._urged(command, work, inputs.at)]
            case Supervise():
                return [_supervised(command, work, inputs.at)]
            case RequestExtension():
                unit = _holder(command, work, inputs)
                return [self._extension_requested(command, work, unit, inputs.at)]
            case DecideExtension():
                return [_extension_decided(command, work, inputs)]

    def _hand_on(self, command: HandOn, work: Work, inputs: Inputs) -> Facts:
        if work.arrived_at is not None:
            raise Refused("hand_on.begun", "work has begun on the scene; what has begun cannot be handed on")
        by = None if command.by.centre else _superior(command.by, work)
        if command.unit not in self.units.by_id:
            raise Refused("hand_on.unit", f"there is no unit {command.unit}")
        if by is not None and by not in self.units.superiors[command.unit]:
            raise Refused("hand_on.unit", f"{command.unit} does not stand below {by}")
        if command.unit == work.holder:
            raise Refused("hand_on.unit", f"{command.unit} has the assignment already")
        handed = work.handed
        waiting = work.holder is None and work.offers == 0 and not work.unclaimed
        if handed is not None and waiting and (handed.unit, handed.by) == (command.unit, by):
            return ()
        due_at = self.reckoning.acknowledge_again(work, inputs.at)
        return [HandedOn(assignment_id=work.plan.id, unit=command.unit, by=by, reason=command.reason, due_at=due_at)]

    def _urged(self, command: Urge, work: Work, at: datetime) -> Fact:
        if work.urged_at:
            again_at = max(work.urged_at) + timedelta(minutes=self.policy.urge_cooldown_minutes)
            if at < again_at:
                raise Refused("urge.cooldown", f"it was urged a short while ago; again from {_minute(again_at)}")
        zone = ZoneInfo(self.reckoning.calendar.time_zone)
        today = at.astimezone(zone).date()
        most = self.policy.urge_daily_cap
        if sum(urged.astimezone(zone).date() == today for urged in work.urged_at) >= most:
            raise Refused("urge.daily_cap", f"it was urged {most} times today; that is the most for a day")
        return Urged(assignment_id=work.plan.id, unit=work.unit, reason=command.reason, count=len(work.urged_at) + 1)

    def _extension_requested(self, command: RequestExtension, work: Work, unit: str, at: datetime) -> Fact:
        if work.request is not None:
            raise Refused("extension.pending", "an extension was asked for and is not decided on yet")
        most = min(self.policy.extend_max, len(work.plan.extensions))
        if work.extensions >= most:
            raise Refused("extension.limit", f"it was extended {work.extensions} times; {most} is the most")
        if at >= work.resolve_by:
            raise Refused("extension.overdue", f"it is overdue since {_minute(work.resolve_by)}; ask before")
        return ExtensionRequested(
            assignment_id=work.plan.id,
            unit=unit,
            reason=command.reason,
            count=work.extensions + 1,
            due_at=work.plan.extensions[work.extensions],
        )


def _open(command: Command, case: Case) -> Work:
    work = case.work.get(command.assignment_id)
    if work is None:
        raise Unknown(f"there is no assignment {command.assignment_id}")
    if not command.by.covers(work.order.area):
        raise Refused("caller.area", f"{work.order.area} is not one of the caller's areas")
    if work.end is not None:
        if not command.by.centre and not command.by.units.intersection(work.reached):
            raise Refused(*_STRANGER)
        raise Refused("assignment.ended", f"the assignment ended as {work.end.outcome} at {_minute(work.end.at)}")
    return work


def _acting(command: Command, work: Work, inputs: Inputs) -> str:
    """The unit for which the caller acts on the assignment. It has it, or may take it on."""
    unit = next((unit for unit in work.within_reach if unit in command.by.units), None)
    if unit is None:
        if command.by.units.intersection(work.reached):
            raise Refused(*_TAKEN)
        raise Refused(*_STRANGER)
    most = REMARKERS if isinstance(command, Note | RequestExtension) else HANDLERS
    if inputs.actor not in work.handled_by and len(work.handled_by) >= most:
        raise Refused("assignment.handlers", f"{most} people have acted on it; that is the most")
    return unit


def _holder(command: Command, work: Work, inputs: Inputs) -> str:
    """The unit that has acknowledged the assignment, for which the caller acts."""
    unit = _acting(command, work, inputs)
    if work.holder is None:
        raise Refused("step.order", "the assignment must be acknowledged first")
    return unit


def _superior(by: By, work: Work) -> str:
    """The unit that hands it on: whoever has it or is offered it."""
    unit = next((unit for unit in work.within_reach if unit in by.units), None)
    if unit is not None:
        return unit
    if by.units.intersection(work.reached):
        raise Refused(*_TAKEN)
    raise Refused(*_STRANGER)


def _for_the_centre(by: By, work: Work) -> bool:
    return by.centre and not by.units.intersection(work.within_reach)


def _acknowledge(command: Acknowledge, work: Work, inputs: Inputs) -> Facts:
    unit = _acting(command, work, inputs)
    if work.holder is not None:
        return ()
    return [Acknowledged(assignment_id=work.plan.id, unit=unit, due_at=work.resolve_by)]


def _fixed(command: Resolve, work: Work, inputs: Inputs) -> Fact:
    return resolved(
        work,
        "fixed",
        inputs.at,
        note=command.note,
        evidence=command.evidence,
        handled_by=(inputs.actor, *command.handled_by),
    )


def _returned(command: Return, work: Work, inputs: Inputs) -> Fact:
    if _acting(command, work, inputs) != work.unit:
        raise Refused("step.order", "the assignment is only offered to the unit: it must be acknowledged first")
    if work.arrived_at:
        raise Refused("return.begun", "work has begun on the scene; what has begun cannot be returned")
    return resolved(work, "returned", inputs.at, reason=command.reason, handled_by=(inputs.actor,))


def _supervised(command: Supervise, work: Work, at: datetime) -> Fact:
    if work.supervision is not None and command.level < work.supervision.level:
        raise Refused(
            "supervise.level", f"it is under supervision at level {work.supervision.level}, which never falls"
        )
    if command.reply_by is not None and command.reply_by <= at:
        raise Refused("supervise.reply_by", "a reply can only be demanded by a time to come")
    return Supervised(
        assignment_id=work.plan.id,
        unit=work.unit,
        level=command.level,
        reason=command.reason,
        reply_by=command.reply_by,
    )


def _extension_decided(command: DecideExtension, work: Work, inputs: Inputs) -> Fact:
    if work.request is None:
        raise Refused("extension.none", "no extension was asked for")
    if inputs.actor in work.handled_by:
        raise Refused("extension.self", "whoever acted on the assignment cannot decide on its extension")
    about = {"assignment_id": work.plan.id, "unit": work.unit, "reason": command.reason}
    if not command.granted:
        return ExtensionRefused.model_validate({**about, "due_at": work.resolve_by})
    due_at = work.plan.extensions[work.extensions]
    return Extended.model_validate({**about, "count": work.extensions + 1, "due_at": due_at})


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}Z"
