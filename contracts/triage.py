"""Assigned: triage's ruling on a case; and triage's own steps."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts.fields import (
    AreaPath,
    AssignmentId,
    Attachments,
    CaseId,
    Claimed,
    Count,
    Flag,
    Instant,
    IntegerBetween,
    Line,
    Name,
    Place,
    Shape,
    Text,
)

Priority = Annotated[int, IntegerBetween(1, 4)]
"""1 is an emergency, 4 can wait."""
Round = Annotated[int, IntegerBetween(1, 9999)]
"""The number of the round; each gives out a plan of assignments."""
Because = Literal["first", "returned", "rework", "manual"]
"""Why there is a round. `first`: the case is filed; `returned`: a unit returned its work; `rework`: work failed at its
check; `manual`: a person ruled so.
"""
CheckMethod = Literal["photo", "location", "call_back", "rule"]
"""How an outcome is checked: by photos, on the spot, by asking the reporter, or by rule, without a person."""


class _Assigned(Claimed):
    name: ClassVar[str] = "Assigned"


class Assignment(Shape):
    """One unit's part of the work. `resolve_by` moves only as `extensions` says, each one original limit later."""

    id: AssignmentId
    """`<case id>.<round>.<number in the round>`."""
    unit: Name
    """The unit that is to do it."""
    lead: Flag
    """Whether it leads its round."""
    task: Line
    """What the unit is to do."""
    acknowledge_by: Instant
    """When it is offered to others, unless the unit acknowledges it before."""
    resolve_by: Instant
    """When the task must be done."""
    extensions: Annotated[tuple[Instant, ...], Field(max_length=10)] = ()
    """What `resolve_by` becomes at the first, the second ... granted extension."""
    member: Name | None = None
    """The member on duty, where the unit is a grid."""
    backups: Annotated[tuple[Name, ...], Field(max_length=50)] = ()
    """Who else of the unit is offered the assignment when nobody acknowledged it in time."""
    replaces: AssignmentId | None = None
    """The assignment, returned or failed at the check, whose work this one takes over."""
    escalated_to: Annotated[tuple[Name, ...], Field(max_length=20)] = ()
    """The units above this one, lowest first: who is offered it after the backups, and hears when it is overdue."""


class Check(Shape):
    """How the outcome is to be checked, by whom, and within how many minutes after the last assignment ended."""

    method: CheckMethod
    by: Name
    """Who checks: `grid`, the members of the grid; `call_centre`, by asking the reporter; `rule`, no person."""
    within_minutes: Count = 120
    """How long after the last assignment ended the check is due."""


class Explanation(Shape):
    """Why the ruling is what it is: the rules that applied, in order, in words; and the versions they came from."""

    rules: Annotated[tuple[Line, ...], Field(max_length=50)]
    """The rules that applied, a line each."""
    catalogue: Name
    """The version of the catalogue."""
    policy: Name
    """The version of the policy."""


class Dispatched(_Assigned):
    """The case is filed and these assignments, all of one round, are given out together."""

    ruling: Literal["dispatched"] = "dispatched"
    round: Round
    because: Because
    reason: Line | None = None
    """Why, in the words of whoever returned it, found it wanting at the check, or ruled by hand."""
    category: Name
    """What it is about: a code of the catalogue."""
    condition: Name
    """The condition of the category under which it is filed: its code in the catalogue."""
    closing: Line
    """When the work counts as done: what the condition says of it in the catalogue."""
    priority: Priority
    title: Line
    """The report's title."""
    text: Text = ""
    """The report's own words, for whoever works on it."""
    attachments: Attachments = ()
    """The report's own."""
    place: Place
    """Where it is."""
    area: AreaPath
    """Where it is, as a path of the area tree; the same as in `place`."""
    filed_at: Instant
    """When the case was filed, which is when its clocks started; the same in every round."""
    retrospective: Flag = False
    """Entered long after the fact."""
    plan: Annotated[tuple[Assignment, ...], Field(min_length=1, max_length=50)]
    """The assignments of the round."""
    check: Check
    """How the outcome is checked."""
    explanation: Explanation
    """Why the ruling is what it is."""


class _Ended(_Assigned):
    """A ruling that gives out no work. What it is about tells its readers who may read the case."""

    category: Name | None = None
    """What it is about, by the catalogue, as far as triage knows."""
    area: AreaPath | None = None
    """Where it is, as far as triage knows."""


class Merged(_Ended):
    """The report is about what case `into` is about already. If that case is sensitive, `category` is that case's."""

    ruling: Literal["merged"] = "merged"
    into: CaseId
    """The case that it joins."""
    said: Line | None = None
    """The report's title, for whoever works on the leader."""
    explanation: Explanation
    """Why the ruling is what it is."""


RejectionReason = Literal["not_reproducible", "not_ours", "incomplete"]
"""Why a report is no case. `not_reproducible`: nothing was found; `not_ours`: others are responsible; `incomplete`: it
does not say enough.
"""


class Rejected(_Ended):
    """The report is not filed as a case."""

    ruling: Literal["rejected"] = "rejected"
    why: RejectionReason
    reason: Line
    """The same in words."""
    explanation: Explanation | None = None
    """Why the ruling is what it is."""


class Withdrawn(_Ended):
    """The reporter took the report back, and triage agreed; open assignments are to be cancelled."""

    ruling: Literal["withdrawn"] = "withdrawn"
    reason: Line
    """The reporter's, or the words of whoever ruled."""


class Upheld(_Assigned):
    """The reporter took the report back, but the case goes on."""

    ruling: Literal["upheld"] = "upheld"
    reason: Line
    """Why the case goes on."""


Ruling = Dispatched | Merged | Rejected | Withdrawn | Upheld
Assigned = Annotated[Ruling, Field(discriminator="ruling")]
