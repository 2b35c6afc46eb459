"""Notice: what a partner may know, on `to.<partner>`; a union by `kind`.

dispatch tells of the assignments of its units, intake of the reports it filed; both answer its requests. A partner can
work with it alone, and learns of no other unit's task and of no other reporter.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts.envelope import EventId
from contracts.feedback import CaseOutcome
from contracts.fields import (
    AssignmentId,
    Attachments,
    CaseId,
    Count,
    Fact,
    Flag,
    Instant,
    Line,
    Name,
    PartnerId,
    Place,
    Text,
)
from contracts.homes import topic_to
from contracts.status import Stage
from contracts.triage import Because, Priority, Round


class _Notice(Fact):
    name: ClassVar[str] = "Notice"

    to: PartnerId
    """You, as you are registered."""

    @property
    def topic(self) -> str:
        """The partner's own."""
        return topic_to(self.to)


class _OfAssignment(_Notice):
    assignment_id: AssignmentId
    """The assignment: `<case id>.<round>.<number in the round>`."""


class AssignmentNotice(_OfAssignment):
    """An assignment of a unit of yours, whole."""

    kind: Literal["assigned"] = "assigned"
    unit: Name
    """The unit of yours that has it, or may acknowledge it."""
    lead: Flag
    """Whether it leads its round: its work stands for the case, the others support it."""
    task: Line
    """What your unit is to do."""
    title: Line
    """The report's title."""
    text: Text = ""
    """The report's own words."""
    attachments: Attachments = ()
    """The report's own photos, recordings and documents."""
    place: Place
    """Where it is."""
    category: Name
    """What it is about: a code of the catalogue."""
    condition: Name
    """Under which condition of the category it was filed: its code in the catalogue."""
    closing: Line
    """When the task counts as done."""
    priority: Priority
    round: Round
    because: Because
    reason: Line | None = None
    """The same in words: of who returned it, found it wanting at the check, ruled by hand, or handed it on."""
    stage: Stage = "dispatched"
    """How far it has come, where your unit has it already: you were registered for the unit only now."""
    offered: Flag = False
    """Several units may acknowledge it: the first to do so has it."""
    acknowledge_by: Instant
    """When it is offered to others, unless your unit acknowledges it before."""
    resolve_by: Instant
    """When the task must be done."""
    retrospective: Flag = False
    """Entered long after the fact: its deadlines are measured, but raise no alarm."""


class ChangeNotice(_OfAssignment):
    """Another report of the same matter came in."""

    kind: Literal["changed"] = "changed"
    joined: Count
    """How many reports have joined the case by now."""
    said: Line | None = None
    """The title of the one that joined last."""


class CancellationNotice(_OfAssignment):
    """The assignment is nothing for your unit to do any more: it is another's, or was ended, and not by you."""

    kind: Literal["cancelled"] = "cancelled"
    reason: Line
    """Why."""


class ClosureNotice(_Notice):
    """The case that your unit works or worked in is closed."""

    kind: Literal["case_closed"] = "case_closed"
    outcome: CaseOutcome


class UrgeNotice(_OfAssignment):
    """Somebody asks your unit to hurry."""

    kind: Literal["urged"] = "urged"
    reason: Line | None = None
    """Why it is urgent."""
    count: Count
    """How often your unit was urged by now."""


class SupervisionNotice(_OfAssignment):
    """The centre watches the assignment, and may demand a reply."""

    kind: Literal["supervised"] = "supervised"
    level: Count
    """From 1 to 3; it only rises."""
    reason: Line
    """Why the centre watches."""
    reply_by: Instant | None = None
    """By when the centre demands a reply, which is a `note`; absent: it demands none."""


class ExtensionNotice(_OfAssignment):
    """Your unit has more time."""

    kind: Literal["extended"] = "extended"
    reason: Line | None = None
    """The centre's words."""
    resolve_by: Instant
    """The deadline from now on."""


class ExtensionRefusalNotice(_OfAssignment):
    """Your unit does not get more time."""

    kind: Literal["extension_refused"] = "extension_refused"
    reason: Line
    """Why not."""
    resolve_by: Instant
    """The deadline as it stays."""


class SupplementNotice(_Notice):
    """Somebody said more about the matter."""

    kind: Literal["supplement"] = "supplement"
    text: Text
    """What was said."""
    attachments: Attachments = ()


class RulingNotice(_Notice):
    """How triage ruled on a report of yours. `upheld`: on its withdrawal; the case goes on."""

    kind: Literal["ruled"] = "ruled"
    ruling: Literal["dispatched", "merged", "rejected", "withdrawn", "upheld"]
    """`dispatched`: units work on it; `merged`: another case is about the same matter; `rejected`: it is no case;
    `withdrawn`: your withdrawal is followed; `upheld`: it is not.
    """
    reason: Line | None = None
    """Why, where somebody gave a reason."""


class OutcomeNotice(_Notice):
    """What became of a report of yours; of a merged one, what became of the case it was merged into."""

    kind: Literal["closed"] = "closed"
    outcome: CaseOutcome
    reason: Line | None = None
    """Why, where somebody gave a reason."""


class AcceptanceNotice(_Notice):
    """A request of yours was taken, and has its effect."""

    kind: Literal["accepted"] = "accepted"
    request: EventId
    """The id of your event."""


class RefusalNotice(_Notice):
    """A request of yours breaks a rule, and has no effect."""

    kind: Literal["refused"] = "refused"
    request: EventId | None = None
    """The id of your event; absent where it could not be read: `partition` and `offset` name the record then."""
    case_id: CaseId | None = None
    """The case you named, where that is not one of yours; the notice has a subject of its own then."""
    rule: Name
    """The rule's code: contracts/README.md lists them."""
    reason: Line
    """What the rule says of your request."""
    partition: Count | None = None
    """Of a record that could not be read: its partition of `from.<you>`."""
    offset: Count | None = None
    """Of a record that could not be read: its offset there."""


Notice = Annotated[
    AssignmentNotice
    | ChangeNotice
    | CancellationNotice
    | ClosureNotice
    | UrgeNotice
    | SupervisionNotice
    | ExtensionNotice
    | ExtensionRefusalNotice
    | SupplementNotice
    | RulingNotice
    | OutcomeNotice
    | AcceptanceNotice
    | RefusalNotice,
    Field(discriminator="kind"),
]
