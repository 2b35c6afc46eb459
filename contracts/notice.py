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

    @property
    def topic(self) -> str:
        """The partner's own."""
        return topic_to(self.to)


class _OfAssignment(_Notice):
    assignment_id: AssignmentId


class AssignmentNotice(_OfAssignment):
    """An assignment of a unit of yours, whole."""

    kind: Literal["assigned"] = "assigned"
    unit: Name
    lead: Flag
    task: Line
    title: Line
    text: Text = ""
    attachments: Attachments = ()
    place: Place
    category: Name
    condition: Name
    closing: Line
    """When the task counts as done."""
    priority: Priority
    round: Round
    because: Because
    """Why it is given out (again)."""
    reason: Line | None = None
    """The same in words: of who returned it, found it wanting at the check, ruled by hand, or handed it on."""
    stage: Stage = "dispatched"
    """How far it has come, where your unit has it already: you were registered for the unit only now."""
    offered: Flag = False
    """Several units may acknowledge it: the first to do so has it."""
    acknowledge_by: Instant
    resolve_by: Instant
    retrospective: Flag = False


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


class ClosureNotice(_Notice):
    """The case that your unit works or worked in is closed."""

    kind: Literal["case_closed"] = "case_closed"
    outcome: CaseOutcome


class UrgeNotice(_OfAssignment):
    """Somebody asks your unit to hurry."""

    kind: Literal["urged"] = "urged"
    reason: Line | None = None
    count: Count


class SupervisionNotice(_OfAssignment):
    """The centre watches the assignment, and may demand a reply."""

    kind: Literal["supervised"] = "supervised"
    level: Count
    reason: Line
    reply_by: Instant | None = None


class ExtensionNotice(_OfAssignment):
    """Your unit has more time."""

    kind: Literal["extended"] = "extended"
    reason: Line | None = None
    resolve_by: Instant


class ExtensionRefusalNotice(_OfAssignment):
    """Your unit does not get more time."""

    kind: Literal["extension_refused"] = "extension_refused"
    reason: Line
    resolve_by: Instant


class SupplementNotice(_Notice):
    """Somebody said more about the matter."""

    kind: Literal["supplement"] = "supplement"
    text: Text
    attachments: Attachments = ()


class RulingNotice(_Notice):
    """How triage ruled on a report of yours. `upheld`: on its withdrawal; the case goes on."""

    kind: Literal["ruled"] = "ruled"
    ruling: Literal["dispatched", "merged", "rejected", "withdrawn", "upheld"]
    reason: Line | None = None


class OutcomeNotice(_Notice):
    """What became of a report of yours; of a merged one, what became of the case it was merged into."""

    kind: Literal["closed"] = "closed"
    outcome: CaseOutcome
    reason: Line | None = None


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
    reason: Line
    partition: Count | None = None
    offset: Count | None = None


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
