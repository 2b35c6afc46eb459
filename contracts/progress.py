"""Progressed: a step in the life of a case on which no other service decides anything."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts.fields import AreaPath, AssignmentId, Attachment, Count, Fact, Instant, Line, Name, Text

Step = Literal[
    # triage
    "verifying",
    "verified_before_filing",
    "awaiting_ruling",
    "escalation_failed",
    # dispatch
    "acknowledged",
    "en_route",
    "on_scene",
    "note",
    "urged",
    "supervised",
    "extension_requested",
    "extended",
    "extension_refused",
    "suspended",
    "resumed",
    "nearly_due",
    "overdue",
    "escalated",
    "refused",
    # feedback
    "checking",
    "check_overdue",
    "verified",
    "failed",
    "rated",
    # any service: what operators do with parked records
    "retried",
    "discarded",
]


class Progressed(Fact):
    """One step: what, about which assignment, by when, in whose words. Who did it is the envelope's `actor`."""

    topic: ClassVar[str] = "Progressed"

    step: Step
    assignment_id: AssignmentId | None = None
    unit: Name | None = None
    """The unit that acted, or (urged, supervised, escalated) the one addressed."""
    category: Name | None = None
    """Before there is a ruling (verifying, awaiting_ruling): what triage takes the case for."""
    area: AreaPath | None = None
    """Before there is a ruling: where triage takes it to be."""
    reason: Line | None = None
    note: Text | None = None
    due_at: Instant | None = None
    """The deadline the step speaks of."""
    level: Count | None = None
    """Of a supervision, an escalation: how far up."""
    count: Count | None = None
    """The how-manieth: of an urge, an extension."""
    rating: Annotated[int, Field(ge=1, le=5)] | None = None
    evidence: Annotated[tuple[Attachment, ...], Field(max_length=50)] = ()
