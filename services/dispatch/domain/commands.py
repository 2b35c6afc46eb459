"""What may be asked of an assignment, and what follows: facts, or a refusal that names its rule.

Steps only go forward: acknowledge, then set out and arrive (either may be left out), then resolve. A step that was
taken already has no effect when it is asked for again. The first unit to acknowledge has the assignment.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chassis.engine.decider import Facts, Inputs, Refused, Unknown, refusal
from contracts import progress, times
from contracts.fields import Attachment
from contracts.states import altered
from services.dispatch.domain import permissions
from services.dispatch.domain.assignment import Assignment, AssignmentFact, resolved
from services.dispatch.domain.case import Case
from services.dispatch.domain.notices import Notices
from services.dispatch.domain.permissions import By
from services.dispatch.domain.rules import Rules


@dataclass(frozen=True, slots=True)
class _OnAssignment:
    assignment_id: str
    by: By


@dataclass(frozen=True, slots=True)
class Acknowledge(_OnAssignment):
    """The unit takes the assignment on."""


@dataclass(frozen=True, slots=True)
class SetOut(_OnAssignment):
    """The unit is on its way."""


@dataclass(frozen=True, slots=True)
class Arrive(_OnAssignment):
    """The unit is on the scene; work begins."""


@dataclass(frozen=True, slots=True)
class Resolve(_OnAssignment):
    """The unit has done its task. `handled_by`: who acted, beside the person who gives this command."""

    note: str | None = None
    evidence: tuple[Attachment, ...] = ()
    handled_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Return(_OnAssignment):
    """The task is not the unit's to do."""

    reason: str


@dataclass(frozen=True, slots=True)
class HandOn(_OnAssignment):
    """A superior gives the assignment to a unit below it, or the centre gives it to any unit."""

    unit: str
    reason: str


@dataclass(frozen=True, slots=True)
class Note(_OnAssignment):
    """A remark by the unit or by the centre."""

    note: str
    evidence: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class Urge(_OnAssignment):
    """Somebody who watches asks the unit to hurry."""

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Supervise(_OnAssignment):
    """The centre supervises the assignment, and may demand a reply by a time."""

    level: int
    reason: str
    reply_by: datetime | None = None


@dataclass(frozen=True, slots=True)
class RequestExtension(_OnAssignment):
    """The unit asks for one more original limit."""

    reason: str


@dataclass(frozen=True, slots=True)
class DecideExtension(_OnAssignment):
    """The centre grants or refuses the requested extension; a refusal has a reason."""

    granted: bool
    reason: str | None = None


Command = (
    Acknowledge
    | SetOut
    | Arrive
    | Resolve
    | Return
    | HandOn
    | Note
    | Urge
    | Supervise
    | RequestExtension
    | DecideExtension
)
_MAY: Mapping[type[Command], Callable[[By, Assignment, Inputs, Rules], None]] = {
    Acknowledge: permissions.may_acknowledge,
    SetOut: permissions.may_set_out,
    Arrive: permissions.may_work,
    Resolve: permissions.may_work,
    Return: permissions.may_return,
    HandOn: permissions.may_hand_on,
    Note: permissions.may_remark,
    Urge: permissions.may_urge,
    Supervise: permissions.may_supervise,
    RequestExtension: permissions.may_request_extension,
    DecideExtension: permissions.may_decide_extension,
}
"""Command -> the rules that do not depend on what is entered."""


def counted(command: Command, case: Case, inputs: Inputs, rules: Rules) -> times.Counted:
    """The arrival counts; in a case that was entered long after the fact, the time that the caller states."""
    return _counted(case.assignments.get(command.assignment_id), inputs, rules)


def decide(command: Command, case: Case, inputs: Inputs, rules: Rules) -> Facts:
    """The facts that follow, with the notices to partners. Raises `Refused`, or `Unknown` if there is no such
    assignment.
    """
    assignment = case.assignments.get(command.assignment_id)
    if assignment is None:
        raise Unknown(f"there is no assignment {command.assignment_id}")
    _MAY[type(command)](command.by, assignment, inputs, rules)
    notices = Notices(case, inputs.partners, requesting=command.by.partner)
    facts = _facts(command, assignment, inputs, rules)
    return [one for fact in facts for one in notices.with_notices(assignment, fact)]


def actions(by: By, assignment: Assignment, inputs: Inputs, rules: Rules) -> Mapping[type[Command], Refused | None]:
    """Each command on the assignment, and the rule that forbids it now, whatever is entered."""
    inputs = altered(inputs, at=_counted(assignment, inputs, rules).at)
    return {command: refusal(may, by, assignment, inputs, rules) for command, may in _MAY.items()}


def _counted(assignment: Assignment | None, inputs: Inputs, rules: Rules) -> times.Counted:
    return times.counted(
        inputs.claimed,
        inputs.at,
        skew=timedelta(seconds=rules.policy.max_future_skew_seconds),
        earliest=assignment.last_step_at if assignment is not None else None,
        believed=inputs.believed and assignment is not None and assignment.ruling.retrospective,
    )


def _facts(command: Command, assignment: Assignment, inputs: Inputs, rules: Rules) -> Sequence[AssignmentFact]:
    name, unit = assignment.plan.id, assignment.unit
    match command:
        case Acknowledge() if assignment.holder is not None:
            return ()
        case Acknowledge():
            own = command.by.unit_of(assignment)
            return [progress.Acknowledged(assignment_id=name, unit=own, due_at=assignment.resolve_by)]
        case SetOut():
            return [] if assignment.en_route_at else [progress.EnRoute(assignment_id=name, unit=unit)]
        case Arrive():
            return [] if assignment.arrived_at else [progress.OnScene(assignment_id=name, unit=unit)]
        case Resolve():
            fact = resolved(assignment, "fixed", inputs.at, (inputs.actor, *command.handled_by))
            return [fact.model_copy(update={"note": command.note, "evidence": command.evidence})]
        case Return():
            return [resolved(assignment, "returned", inputs.at, (inputs.actor,), command.reason)]
        case HandOn():
            return _handed_on(command, assignment, inputs, rules)
        case Note():
            own = None if command.by.remarks_for_centre(assignment) else command.by.unit_of(assignment)
            return [progress.Noted(assignment_id=name, unit=own, note=command.note, evidence=command.evidence)]
        case Urge():
            return [progress.Urged(assignment_id=name, unit=unit, reason=command.reason, count=assignment.urged + 1)]
        case Supervise():
            return [_supervised(command, assignment, inputs)]
        case RequestExtension():
            count, due_at = assignment.extensions + 1, assignment.plan.extensions[assignment.extensions]
            request = progress.ExtensionRequested(
                assignment_id=name, unit=unit, reason=command.reason, count=count, due_at=due_at
            )
            return [request]
        case DecideExtension():
            return [_extension_decided(command, assignment)]


def _handed_on(command: HandOn, assignment: Assignment, inputs: Inputs, rules: Rules) -> Sequence[progress.HandedOn]:
    by = None if command.by.centre else command.by.unit_of(assignment)
    if command.unit not in rules.units.by_id:
        raise Refused("hand_on.unit", f"there is no unit {command.unit}")
    if by is not None and by not in rules.units.superiors[command.unit]:
        raise Refused("hand_on.unit", f"{command.unit} is not below {by}")
    if command.unit == assignment.holder:
        raise Refused("hand_on.unit", f"{command.unit} has the assignment already")
    last = assignment.hand_over
    pending = assignment.holder is None and assignment.offers == 0 and not assignment.unclaimed
    if last is not None and pending and (last.unit, last.by) == (command.unit, by):
        return ()
    due_at = rules.clock.next_acknowledge_by(assignment, inputs.at)
    return [
        progress.HandedOn(
            assignment_id=assignment.plan.id, unit=command.unit, by=by, reason=command.reason, due_at=due_at
        )
    ]


def _supervised(command: Supervise, assignment: Assignment, inputs: Inputs) -> progress.Supervised:
    current = assignment.supervision
    if current is not None and command.level < current.level:
        raise Refused("supervise.level", f"the level of supervision is {current.level} and cannot be lowered")
    if command.reply_by is not None and command.reply_by <= inputs.at:
        raise Refused("supervise.reply_by", "reply_by must be later than now")
    return progress.Supervised(
        assignment_id=assignment.plan.id,
        unit=assignment.unit,
        level=command.level,
        reason=command.reason,
        reply_by=command.reply_by,
    )


def _extension_decided(
    command: DecideExtension, assignment: Assignment
) -> progress.Extended | progress.ExtensionRefused:
    about = {"assignment_id": assignment.plan.id, "unit": assignment.unit, "reason": command.reason}
    if not command.granted:
        return progress.ExtensionRefused.model_validate({**about, "due_at": assignment.resolve_by})
    due_at = assignment.plan.extensions[assignment.extensions]
    return progress.Extended.model_validate({**about, "count": assignment.extensions + 1, "due_at": due_at})
