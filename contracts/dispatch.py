"""Resolved: how one assignment ended; published by dispatch, or by a unit's own dispatch system."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from contracts.fields import AssignmentId, Attachment, Count, Fact, Instant, Line, Name, Span, Text

Outcome = Literal["fixed", "returned", "escalated", "cancelled"]


class Resolved(Fact):
    """The end of one assignment, with its own times, so that nobody needs the steps in between to judge it.

    The first `Resolved` of an assignment in the topic's order counts; a later one has no effect.
    """

    topic: ClassVar[str] = "Resolved"

    assignment_id: AssignmentId
    unit: Name
    outcome: Outcome
    reason: Line | None = None
    """Why; required unless the outcome is `fixed`."""
    note: Text | None = None
    handled_by: Annotated[tuple[Name, ...], Field(max_length=50)] = ()
    """Everybody who acted on it: none of them may check or score the case."""
    evidence: Annotated[tuple[Attachment, ...], Field(max_length=50)] = ()
    acknowledged_at: Instant | None = None
    arrived_at: Instant | None = None
    resolve_by: Instant | None = None
    """The deadline as it was in the end, after extensions."""
    late_by_seconds: Count | None = None
    """How long after `resolve_by` it ended; 0 in time; absent where the publisher does not measure it."""
    suspended: Annotated[tuple[Span, ...], Field(max_length=50)] = ()
    extensions: Count = 0
    urged: Count = 0
    supervised: bool = False

    @model_validator(mode="after")
    def _reasoned(self) -> Self:
        if self.outcome != "fixed" and self.reason is None:
            raise ValueError(f"reason is required where outcome is {self.outcome}")
        return self
