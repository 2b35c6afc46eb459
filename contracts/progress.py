"""Progressed: the steps in the life of a case on which no other service decides anything.

A union by `step`, each with exactly the fields it means. Who did it is the envelope's `actor`.

intake    disclosed
triage    verifying, verified_before_filing, awaiting_ruling, ruling_overdue
dispatch  acknowledged, en_route, on_scene, note, extension_requested       by the unit
          urged, supervised, extended, extension_refused, handed_on         by whoever watches or stands above
          nearly_due, overdue, escalated, offered, escalation_failed        by the clock
          joined, supplemented                                              because of another case
feedback  checking, check_overdue, verified, failed
any       refused (a partner's request), retried, discarded (a parked record), forged (a record), accessed (a case)
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field

from contracts.fields import (
    AreaPath,
    AssignmentId,
    Attachments,
    CaseId,
    Claimed,
    Count,
    Fact,
    FilledText,
    Instant,
    Line,
    Name,
    PartnerId,
    Text,
)
from contracts.homes import DECIDERS, TELLERS, service_source

Queue = Literal["unlocated", "unclassified", "second_return", "no_unit"]
"""Why a case waits for a ruling. `unlocated`: no area was found; `unclassified`: no category; `second_return`: the work
was returned twice; `no_unit`: no unit is left to give it to.
"""


class _Step(Fact):
    name: ClassVar[str] = "Progressed"


class _Done(Claimed):
    name: ClassVar[str] = "Progressed"


class _OfUnit(_Done):
    assignment_id: AssignmentId
    unit: Name
    """The unit that has it, or is to acknowledge it first."""


class Disclosed(_Step):
    """Somebody read who the reporter is: the name and the telephone number that intake keeps."""

    step: Literal["disclosed"] = "disclosed"
    reporter_ref: Name
    """Whose they are."""
    purpose: Line
    """What for, in the words of whoever read them; it names nobody."""


class Verifying(_Step):
    """A grid member is to look at the place before the case is filed."""

    step: Literal["verifying"] = "verifying"
    unit: Name | None = None
    """Whose member is to look; absent where no unit covers the place."""
    category: Name
    """What it is about, by the catalogue."""
    area: AreaPath
    """Where it is."""
    note: Text
    """The rules that led here, a line each."""
    due_at: Instant
    """When somebody should have looked."""


class VerifiedBeforeFiling(_Done):
    """Somebody looked, and it is as reported."""

    step: Literal["verified_before_filing"] = "verified_before_filing"
    unit: Name | None = None
    """The unit whose member looked."""
    note: Text | None = None
    """What was found."""
    evidence: Attachments = ()


class AwaitingRuling(_Step):
    """The rules do not suffice: a person must rule by `due_at`."""

    step: Literal["awaiting_ruling"] = "awaiting_ruling"
    queue: Queue
    note: Text
    """What the rules found, and why it does not suffice."""
    category: Name | None = None
    """What it is about, if the rules found that."""
    area: AreaPath | None = None
    """Where it is, if the rules found that."""
    due_at: Instant
    """When a person should have ruled."""


class RulingOverdue(_Step):
    """What waited for a person, to verify or to rule, was not decided in time."""

    step: Literal["ruling_overdue"] = "ruling_overdue"
    queue: Queue | Literal["verify"]
    """What it waited for: a look at the place (`verify`), or a ruling."""
    unit: Name | None = None
    """Whose member was to look."""
    due_at: Instant
    """When it was due."""


class Acknowledged(_OfUnit):
    """A unit takes the assignment on: the one it was given to, or one it was offered to. It is then responsible."""

    step: Literal["acknowledged"] = "acknowledged"
    due_at: Instant
    """The deadline to resolve it."""


class EnRoute(_OfUnit):
    """The unit is on its way."""

    step: Literal["en_route"] = "en_route"


class OnScene(_OfUnit):
    """The unit is on the scene; work begins."""

    step: Literal["on_scene"] = "on_scene"


class Noted(_Done):
    """A remark on an assignment."""

    step: Literal["note"] = "note"
    assignment_id: AssignmentId
    unit: Name | None = None
    """The unit whose people said it; absent: the centre's."""
    note: FilledText
    """The remark."""
    evidence: Attachments = ()


class ExtensionRequested(_OfUnit):
    """The unit asks for one more original limit."""

    step: Literal["extension_requested"] = "extension_requested"
    reason: Line
    """Why it needs more time."""
    count: Count
    """Which extension it would be, from 1."""
    due_at: Instant
    """The deadline it would lead to."""


class Extended(_OfUnit):
    """The centre grants it."""

    step: Literal["extended"] = "extended"
    reason: Line | None = None
    """The centre's words."""
    count: Count
    """Which extension it is, from 1."""
    due_at: Instant
    """The deadline from now on."""


class ExtensionRefused(_OfUnit):
    """The centre refuses it; a refusal does not count."""

    step: Literal["extension_refused"] = "extension_refused"
    reason: Line
    """Why not."""
    due_at: Instant
    """The deadline as it stays."""


class Urged(_OfUnit):
    """Somebody who watches asks the unit to hurry."""

    step: Literal["urged"] = "urged"
    reason: Line | None = None
    """Why it is urgent."""
    count: Count
    """How often by now."""


class Supervised(_OfUnit):
    """The centre watches the assignment, and may demand a reply by a time."""

    step: Literal["supervised"] = "supervised"
    level: Count
    """From 1 to 3; it only rises."""
    reason: Line
    """Why the centre watches."""
    reply_by: Instant | None = None
    """By when the centre demands a reply, which is a note; absent: it demands none."""


class HandedOn(_Done):
    """A superior, or the centre, gives the assignment to a unit below, which is to acknowledge it by `due_at`."""

    step: Literal["handed_on"] = "handed_on"
    assignment_id: AssignmentId
    unit: Name
    """Who is to acknowledge it now."""
    by: Name | None = None
    """The superior; absent: the centre."""
    reason: Line
    """Why."""
    due_at: Instant
    """When it is offered to others, unless that unit acknowledges it before."""


class NearlyDue(_Step):
    """Most of the time to resolve it is used up."""

    step: Literal["nearly_due"] = "nearly_due"
    assignment_id: AssignmentId
    unit: Name
    """The unit that is to do it."""
    due_at: Instant
    """The deadline to resolve it."""


class Overdue(_Step):
    """The deadline to resolve it has passed."""

    step: Literal["overdue"] = "overdue"
    assignment_id: AssignmentId
    unit: Name
    """The unit that is to do it."""
    due_at: Instant
    """The deadline to resolve it."""


class Escalated(_Step):
    """A superior hears that the assignment is overdue."""

    step: Literal["escalated"] = "escalated"
    assignment_id: AssignmentId
    unit: Name
    """The superior."""
    level: Count
    """How far up, from 1."""
    due_at: Instant
    """When it was to be told."""


class Offered(_Step):
    """Nobody acknowledged in time: the assignment is offered to these, too. The first to acknowledge has it."""

    step: Literal["offered"] = "offered"
    assignment_id: AssignmentId
    unit: Name
    """Whose people may acknowledge it now: the unit itself (its backups), or a superior."""
    to: Annotated[tuple[Name, ...], Field(max_length=50)] = ()
    """The backups, where it is offered to them."""
    level: Count
    """How far up the plan's order, from 1."""
    due_at: Instant
    """When it is offered on, unless somebody acknowledges it before."""


class EscalationFailed(_Step):
    """Nobody is left to turn to: the assignment waits in dispatch's queue."""

    step: Literal["escalation_failed"] = "escalation_failed"
    assignment_id: AssignmentId
    unit: Name
    """The unit that is to do it."""
    because: Literal["not_acknowledged", "overdue"]
    """`not_acknowledged`: nobody took it on; `overdue`: no superior is left to tell."""
    level: Count
    """How far up it would have gone next, from 1."""
    due_at: Instant
    """When it would have gone there."""


class Joined(_Step):
    """Another report of the same matter was merged into this case."""

    step: Literal["joined"] = "joined"
    case_id: CaseId
    """The case that was merged."""
    count: Count
    """How many have joined by now."""
    said: Line | None = None
    """Its title."""


class Supplemented(_Step):
    """Something was added in a case that was merged into this one."""

    step: Literal["supplemented"] = "supplemented"
    case_id: CaseId
    """The case in which it was added; it was merged into this one, or into one that was."""
    supplement_id: CaseId
    """The event that added it: passed on once, however often cases are merged."""
    text: Text
    """What was added."""
    attachments: Attachments = ()


class Checking(_Step):
    """The work is done and waits for its check."""

    step: Literal["checking"] = "checking"
    due_at: Instant
    """When the check is due."""
    reason: Line | None = None
    """What speaks against a check by rule, where that was the method."""


class CheckOverdue(_Step):
    """Nobody checked in time."""

    step: Literal["check_overdue"] = "check_overdue"
    due_at: Instant
    """When the check was due."""


class Verified(_Done):
    """The check found the work done."""

    step: Literal["verified"] = "verified"
    rule: Name | None = None
    """The rule that checked, where no person did."""
    note: Text | None = None
    """What was found."""
    evidence: Attachments = ()


class Failed(_Done):
    """The check found the work wanting."""

    step: Literal["failed"] = "failed"
    reason: Line
    """What is wanting."""
    note: Text | None = None
    """More about it."""
    evidence: Attachments = ()


class Refused(_Step):
    """What a partner's system asked for breaks a rule, and has no effect."""

    step: Literal["refused"] = "refused"
    partner: PartnerId
    rule: Name
    """The rule's code: contracts/README.md lists them."""
    reason: Line
    """What the rule says of the request."""
    assignment_id: AssignmentId | None = None


class _Settled(_Step):
    parked_topic: Name
    """The topic of the record."""
    partition: Count
    """The partition of the record."""
    offset: Count
    """Where the record lies."""
    parked_because: Line
    """Why it was parked."""
    reason: Line
    """Of the operator."""


class Retried(_Settled):
    """An operator let a parked record take effect."""

    step: Literal["retried"] = "retried"


class Discarded(_Settled):
    """An operator gave a parked record up; its bytes are kept."""

    step: Literal["discarded"] = "discarded"


class Forged(_Step):
    """A record bears the name of the service that says this, which did not publish it. Somebody else did."""

    step: Literal["forged"] = "forged"
    forged_topic: Name
    """The topic of the record."""
    partition: Count
    """The partition of the record."""
    offset: Count
    """Where the record lies."""
    event_id: CaseId | None = None
    """The id that the record claims, where it is one."""
    because: Literal["unknown", "altered"]
    """`unknown`: the service has no such event of the case; `altered`: it has, on another topic or in other words."""


class Accessed(_Step):
    """Somebody may read the case for a while whom the rule of reading does not show it to; who, is the actor."""

    step: Literal["accessed"] = "accessed"
    until: Instant
    """Until when."""
    reason: Line
    """What for, in their words."""


IntakeStep = Disclosed
TriageStep = Verifying | VerifiedBeforeFiling | AwaitingRuling | RulingOverdue
UnitStep = Acknowledged | EnRoute | OnScene | Noted | ExtensionRequested
"""What the unit's people do with an assignment. Whoever does it has acted on the work and may not check it."""
WatcherStep = Extended | ExtensionRefused | Urged | Supervised | HandedOn
"""What people who watch an assignment, or stand above its unit, do with it."""
ClockStep = NearlyDue | Overdue | Escalated | Offered | EscalationFailed
"""What the time says of an assignment."""
AssignmentStep = UnitStep | WatcherStep | ClockStep
DispatchStep = AssignmentStep | Joined | Supplemented
FeedbackStep = Checking | CheckOverdue | Verified | Failed
Progressed = Annotated[
    IntakeStep | TriageStep | DispatchStep | FeedbackStep | Refused | Retried | Discarded | Forged | Accessed,
    Field(discriminator="step"),
]


def _publishers(step: type[Any]) -> frozenset[str]:
    of = (("intake", IntakeStep), ("triage", TriageStep), ("dispatch", DispatchStep), ("feedback", FeedbackStep))
    for service, steps in of:
        if step in (get_args(steps) or (steps,)):
            return frozenset({service_source(service)})
    if not issubclass(step, Refused | _Settled | Forged | Accessed):
        raise LookupError(f"{step.__name__} is a step of nobody's")
    return TELLERS if step is Refused else DECIDERS


STEPS: Mapping[str, type[Any]] = {
    model.model_fields["step"].default: model for model in get_args(get_args(Progressed)[0])
}
"""Step -> its model."""
PUBLISHERS: Mapping[str, frozenset[str]] = {step: _publishers(model) for step, model in STEPS.items()}
"""Step -> the services that say it."""
