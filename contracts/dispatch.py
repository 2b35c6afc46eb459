"""Resolved: how one assignment ended, as dispatch measured it."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from contracts.fields import AssignmentId, Attachments, Claimed, Count, Flag, Instant, Line, Name, Text

Outcome = Literal["fixed", "returned", "cancelled"]
"""How an assignment ended. `fixed`: the task is done; `returned`: it was not the unit's to do; `cancelled`: the case
ended first.
"""
GIVEN_BACK: tuple[Outcome, ...] = ("returned", "cancelled")
"""The outcomes of work that its unit did not do."""


class Resolved(Claimed):
    """The end of one assignment, with its own times, so that nobody needs the steps in between to judge it."""

    name: ClassVar[str] = "Resolved"

    assignment_id: AssignmentId
    """The assignment that ended: `<case id>.<round>.<number in the round>`."""
    unit: Name
    """Who had it in the end: the unit of the plan, or the one that took it over when nobody acknowledged it."""
    outcome: Outcome
    reason: Line | None = None
    """Why; required unless the outcome is `fixed`."""
    note: Text | None = None
    """What was done, in the unit's words."""
    handled_by: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    """Everybody who acted on it: none of them may check or score the case. A partner's people: `<partner>:<name>`."""
    evidence: Attachments = ()
    acknowledged_at: Instant | None = None
    """When the unit acknowledged it."""
    arrived_at: Instant | None = None
    """When the unit came to the scene."""
    resolve_by: Instant
    """The deadline as it was in the end, after extensions."""
    late_by_seconds: Count
    """How long after `resolve_by` it ended; 0 in time."""
    extensions: Count = 0
    """How many extensions were granted."""
    urged: Count = 0
    """How often the unit was urged."""
    supervised: Flag = False
    """Whether the centre watched it."""

    @model_validator(mode="after")
    def _reasoned(self) -> Self:
        if self.outcome != "fixed" and self.reason is None:
            raise ValueError(f"reason is required where outcome is {self.outcome}")
        return self
