"""Who may take which action on an assignment now: the rules that depend only on who asks and on the state.

Each `may_...` raises `Refused` with the rule that forbids the action. Both `decide` and `actions` ask them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from chassis.engine.decider import Inputs, NotYours, Refused
from services.dispatch.domain.assignment import Assignment
from services.dispatch.domain.rules import Rules

REMARK_LIMIT, HANDLER_LIMIT = 50, 59
"""How many people may act on one assignment, because `Resolved` names each of them. Above the first limit nobody new
may remark or ask for time: the last places are for those who acknowledge and end it.
"""
_OTHERS_ASSIGNMENT = ("assignment.unit", "the assignment is neither given nor offered to a unit of the caller")


@dataclass(frozen=True, slots=True)
class By:
    """On whose behalf: the units that the caller acts for, and whether the caller acts for the centre."""

    units: frozenset[str] = frozenset()
    centre: bool = False
    acceptor: bool = False
    """Whether the caller may remark for the centre."""
    partner: str | None = None
    """The partner whose system asks; None for a person."""
    reporter: bool = False
    """Whether a private person asks."""

    def remarks_for_centre(self, assignment: Assignment) -> bool:
        """Whether a remark of the caller is the centre's, not that of a unit that has the assignment."""
        return (self.centre or self.acceptor) and not self.units.intersection(assignment.candidates_now)

    def unit_of(self, assignment: Assignment) -> str:
        """The caller's unit that has the assignment or is offered it. Raises `Refused`."""
        unit = next((unit for unit in assignment.candidates_now if unit in self.units), None)
        if unit is not None:
            return unit
        if self.units.intersection(assignment.candidates_ever):
            raise Refused("assignment.taken", "another unit has acknowledged the assignment")
        raise NotYours(*_OTHERS_ASSIGNMENT)


def may_acknowledge(by: By, assignment: Assignment, inputs: Inputs, rules: Rules) -> None:
    """Units do, that have it or are offered it."""
    _handle(by, assignment, inputs, HANDLER_LIMIT)


def may_work(by: By, assignment: Assignment, inputs: Inputs, rules: Rules) -> None:
    """The unit arrives and resolves, once it has acknowledged."""
    _handle(by, assignment, inputs, HANDLER_LIMIT)
    _require_acknowledged(assignment)


def may_set_out(by: By, assignment: Assignment, inputs: Inputs, rules: Rules) -> None:
    """The unit does, once it has acknowledged, before it is on the scene."""
    may_work(by, assignment, inputs, rules)
    if assignment.arrived_at and not assignment.en_route_at:
        raise Refused("step.order", "the unit is on the scene already")


def may_return(by: By, assignment: Assignment, inputs: Inputs, rules: Rules) -> None:
    """The unit that has it does, or that is to acknowledge it first; before it is on the scene."""
    _handle(by, assignment, inputs, HANDLER_LIMIT)
    if by.unit_of(assignment) != assignment.unit:
        raise Refused("step.order", "the assignment is only offered to the unit, which must acknowledge it first")
    if assignment.arrived_at:
        raise Refused("return.begun", "work has begun on the scene: the assignment can no longer be returned")


def may_hand_on(by: By, assignment: Assignment, inputs: Inputs, rules: Rules) -> None:
    """The centre does, and a unit with others below it that has it or is offered it; before work on the scene."""
    _require_open(by, assignment)
    unit = None if by.centre else by.unit_of(assignment)
    if assignment.arrived_at is not None:
        raise Refused("hand_on.begun", "work has begun on the scene: the assignment can no longer be handed on")
    if unit is not None and not any(unit in above for above in rules.units.superiors.values()):
        raise Refused("hand_on.unit", f"no unit is below {unit}")


def may_remark(by: By, assignment: Assignment, inputs: Inputs, rules: Rules) -> None:
    """The centre does, and units that have it or are offered it."""
    _require_open(by, assignment)
    if not by.remarks_for_centre(assignment):
        _handle(by, assignment, inputs, REMARK_LIMIT)


def may_request_extension(by: By, assignment: Assignment, inputs: Inputs, rules: Rules) -> None:
    """The unit does, once it has acknowledged, before the deadline, as often as policy and plan allow."""
    _handle(by, assignment, inputs, REMARK_LIMIT)
    _require_acknowledged(assignment)
    if assignment.extension_request is not None:
        raise Refused("extension.pending", "an extension was requested before and is not decided yet")
    granted, limit = assignment.extensions, min(rules.policy.extend_max, len(assignment.plan.extensions))
    if granted >= limit:
        raise Refused("extension.limit", f"it was extended {granted} times; the limit is {limit}")
    if inputs.at >= assignment.resolve_by:
        since = _minute(assignment.resolve_by)
        raise Refused("extension.overdue", f"it is overdue since {since}; an extension is requested before that")


def may_decide_extension(by: By, assignment: Assignment, inputs: Inputs, rules: Rules) -> None:
    """Whoever has not acted on it does, where one was requested."""
    _require_open(by, assignment)
    if assignment.extension_request is None:
        raise Refused("extension.none", "no extension was requested")
    if inputs.actor in assignment.handled_by:
        raise Refused("extension.self", "a person who acted on the assignment cannot decide on its extension")


def may_urge(by: By, assignment: Assignment, inputs: Inputs, rules: Rules) -> None:
    """Whoever watches does, after the cooldown, up to the limit of a local day; so do private persons, to whom both
    apply apart.
    """
    _require_open(by, assignment)
    minutes, limit = rules.policy.urge_cooldown_minutes, rules.policy.urge_daily_cap
    urged_at = assignment.reporters_urged_at if by.reporter else assignment.urged_at
    if urged_at and inputs.at < (again_at := max(urged_at) + timedelta(minutes=minutes)):
        words = f"it was urged less than {minutes} minutes ago; it may be urged again from {_minute(again_at)}"
        raise Refused("urge.cooldown", words)
    today = rules.clock.date_of(inputs.at)
    if sum(rules.clock.date_of(at) == today for at in urged_at) >= limit:
        raise Refused("urge.daily_cap", f"it was urged {limit} times today, which is the limit for a day")


def may_supervise(by: By, assignment: Assignment, inputs: Inputs, rules: Rules) -> None:
    """Whoever has the role does; which level depends on what is entered."""
    _require_open(by, assignment)


def _handle(by: By, assignment: Assignment, inputs: Inputs, limit: int) -> None:
    """A person of the unit acts on it, and is one of those that have handled it from then on."""
    _require_open(by, assignment)
    by.unit_of(assignment)
    if inputs.actor not in assignment.handled_by and len(assignment.handled_by) >= limit:
        raise Refused("assignment.handlers", f"{limit} people have acted on the assignment, which is the limit")


def _require_open(by: By, assignment: Assignment) -> None:
    """Nothing is done with an assignment that has ended. A partner learns that only of assignments of its units."""
    if (end := assignment.end) is not None:
        if by.partner is not None and not by.units.intersection(assignment.candidates_ever):
            raise NotYours(*_OTHERS_ASSIGNMENT)
        raise Refused("assignment.ended", f"the assignment ended as {end.outcome} at {_minute(end.at)}")


def _require_acknowledged(assignment: Assignment) -> None:
    if assignment.holder is None:
        raise Refused("step.order", "the assignment must be acknowledged first")


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}Z"
