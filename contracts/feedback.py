"""Evaluated: the verdict on a case, with its scores."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from contracts.fields import LINE, AssignmentId, Claimed, Count, Instant, Line, Name, Number, Shape
from contracts.triage import Merged, Rejected, Withdrawn

Verdict = Literal["closed", "rework"]
CaseOutcome = Literal["fixed", "not_reproducible", "not_ours", "duplicate", "withdrawn", "forced"]
"""How a case ended. `fixed`: the work is done and checked; `not_reproducible`: nothing was found; `not_ours`: it is for
others, or the report says too little; `duplicate`: another case is about the same matter; `withdrawn`: the report was
taken back; `forced`: the shift leader ended what no check could end.
"""


class Score(Shape):
    """One figure by a named, versioned formula."""

    formula: Name
    """`<name>.v<version>`."""
    value: Number
    """What the formula gives, in the formula's measure."""
    unit: Name | None = None
    """The unit it is about; absent: the case."""


class Evaluated(Claimed):
    """Closed, always with an outcome; or sent back for rework, always with the assignments that failed."""

    name: ClassVar[str] = "Evaluated"

    verdict: Verdict
    """`closed`, for good; or `rework`: the work of `failed` is done again."""
    outcome: CaseOutcome | None = None
    reason: Line | None = None
    """Why: what the check found wanting, or the words of the ruling."""
    failed: Annotated[tuple[AssignmentId, ...], Field(max_length=50)] = ()
    """The assignments whose work failed the check."""
    checked_by: Name | None = None
    """The person, or the named rule, that checked; never one of the handlers."""
    due_at: Instant | None = None
    """When the check was due."""
    late_by_seconds: Count | None = None
    """Of the case: how long after its lead's deadline the lead's work ended."""
    reworks: Count = 0
    """How many verdicts on the case were `rework`, this one included."""
    scores: Annotated[tuple[Score, ...], Field(max_length=100)] = ()
    """Figures of the case and of its units; `GET /formulas` of feedback explains them."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.verdict == "closed" and self.outcome is None:
            raise ValueError("outcome is required where verdict is closed")
        if self.verdict == "rework" and not self.failed:
            raise ValueError("failed must name at least one assignment where verdict is rework")
        return self


def outcome_of(ruling: Merged | Rejected | Withdrawn) -> tuple[CaseOutcome, Line]:
    """How a case ends by a ruling, and why."""
    match ruling:
        case Merged(into=into):
            return "duplicate", f"merged into {into}"
        case Rejected(why="incomplete", reason=reason):
            return "not_ours", f"incomplete: {reason}"[:LINE]
        case Rejected(why="not_reproducible", reason=reason):
            return "not_reproducible", reason
        case Rejected(reason=reason):
            return "not_ours", reason
        case Withdrawn(reason=reason):
            return "withdrawn", reason
