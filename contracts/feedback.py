"""Evaluated: the verdict on a case, with its scores."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from contracts.fields import AssignmentId, Count, Fact, Instant, Line, Name

Verdict = Literal["closed", "rework"]
CaseOutcome = Literal["fixed", "not_reproducible", "not_ours", "duplicate", "withdrawn", "forced"]


class Score(Fact):
    """One figure by a named, versioned formula."""

    formula: Name
    """`<name>.v<version>`."""
    value: Annotated[float, Field(allow_inf_nan=False)]
    unit: Name | None = None
    """The unit it is about; absent: the case."""


class Evaluated(Fact):
    """Closed, always with an outcome; or sent back for rework, always with the assignments that failed."""

    topic: ClassVar[str] = "Evaluated"

    verdict: Verdict
    outcome: CaseOutcome | None = None
    reason: Line | None = None
    failed: Annotated[tuple[AssignmentId, ...], Field(max_length=50)] = ()
    checked_by: Name | None = None
    """The person, or the named rule, that checked; never one of the handlers."""
    due_at: Instant | None = None
    late_by_seconds: Count | None = None
    """Of the case: how long after its lead's deadline the lead's work ended."""
    reworks: Count = 0
    scores: Annotated[tuple[Score, ...], Field(max_length=100)] = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.verdict == "closed" and self.outcome is None:
            raise ValueError("outcome is required where verdict is closed")
        if self.verdict == "rework" and not self.failed:
            raise ValueError("failed must name at least one assignment where verdict is rework")
        return self
