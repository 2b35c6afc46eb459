"""What goes into feedback's routes and what comes out, with examples."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.feedback import CaseOutcome, Score, Verdict
from contracts.fields import AssignmentId, Attachment, CaseId, ClaimedInstant, Instant, Line, Text
from contracts.status import Status
from contracts.triage import CheckMethod
from services.feedback.views.indicators import By, Level

_CASE = "01977f2e-5c00-7000-8000-000000000001"
_UNIT = "dept:water"
_AREA = "CH/shuangqiaozi/xinhong/g007"

At = Annotated[
    ClaimedInstant | None,
    Field(
        description="When it happened, where that was not now. It counts where the case was entered long after the"
        " fact; else it stands beside the time at which it was sent.",
        examples=["2026-05-10T17:30:00+08:00"],
    ),
]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CheckResult(_Body):
    """What a check found. A failed one gives a reason; `failed` names the assignments it is about, none: the lead's."""

    passed: Annotated[bool, Field(examples=[True])]
    reason: Annotated[Line | None, Field(examples=["water still stands on the road"])] = None
    note: Annotated[Text | None, Field(examples=["water is back in all courtyards"])] = None
    evidence: Annotated[
        tuple[Attachment, ...],
        Field(max_length=50, examples=[[{"uri": "https://photos.example/1.jpg", "media_type": "image/jpeg"}]]),
    ] = ()
    failed: Annotated[tuple[AssignmentId, ...], Field(max_length=50, examples=[[f"{_CASE}.1.1"]])] = ()
    at: At = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.passed and self.reason is None:
            raise ValueError("reason is required where the check did not pass")
        if self.passed and (self.failed or self.reason is not None):
            raise ValueError("failed and reason are for a check that did not pass; use note")
        return self


class ForcedClosing(_Body):
    """Why the case is closed although no check can close it."""

    reason: Annotated[Line, Field(examples=["the building was pulled down meanwhile"])]
    at: At = None


class RatingGiven(_Body):
    """1 (very dissatisfied) to 5 (very satisfied)."""

    rating: Annotated[int, Field(ge=1, le=5, examples=[5])]
    comment: Annotated[Text | None, Field(examples=["quick, and well explained"])] = None
    at: At = None


class VerdictGiven(BaseModel):
    """The case after a check or a forced closing."""

    case_id: Annotated[CaseId, Field(examples=[_CASE])]
    status: Annotated[Status, Field(examples=["closed"])]
    verdict: Annotated[Verdict, Field(examples=["closed"])]
    outcome: Annotated[CaseOutcome | None, Field(examples=["fixed"])]
    failed: Annotated[list[AssignmentId], Field(examples=[[]])]
    reworks: Annotated[int, Field(examples=[0])]
    event_id: Annotated[
        str, Field(description="Of the `Evaluated`.", examples=["0197801c-9900-7000-8000-000000000009"])
    ]


class RatingTaken(BaseModel):
    """The rating as it was taken."""

    case_id: Annotated[CaseId, Field(examples=[_CASE])]
    rating: Annotated[int, Field(examples=[5])]
    rated_at: Annotated[Instant, Field(examples=["2026-05-10T12:00:00Z"])]


class CaseListed(BaseModel):
    """A case as lists show it; `due_at` is its lead's deadline, `done_at` when the lead's work ended."""

    case_id: Annotated[CaseId, Field(examples=[_CASE])]
    status: Annotated[Status, Field(examples=["closed"])]
    title: Annotated[str | None, Field(examples=["A burst water main on Shuangqiao Road"])]
    category: Annotated[str | None, Field(examples=["event.emergency.water-main-burst"])]
    condition: Annotated[str | None, Field(examples=["standard"])]
    priority: Annotated[int | None, Field(examples=[1])]
    area: Annotated[str | None, Field(examples=[_AREA])]
    retrospective: Annotated[bool, Field(examples=[False])]
    merged_into: Annotated[CaseId | None, Field(examples=[None])]
    lead_unit: Annotated[str | None, Field(examples=[_UNIT])]
    rounds: Annotated[int, Field(examples=[1])]
    reworks: Annotated[int, Field(examples=[0])]
    filed_at: Annotated[Instant | None, Field(examples=["2026-05-09T06:10:00Z"])]
    due_at: Annotated[Instant | None, Field(examples=["2026-05-10T06:10:00Z"])]
    done_at: Annotated[Instant | None, Field(examples=["2026-05-10T05:40:00Z"])]
    late_by_seconds: Annotated[int | None, Field(examples=[0])]
    check_method: Annotated[CheckMethod | None, Field(examples=["photo"])]
    check_by: Annotated[str | None, Field(examples=["grid"])]
    closed_at: Annotated[Instant | None, Field(examples=["2026-05-10T09:30:00Z"])]
    outcome: Annotated[CaseOutcome | None, Field(examples=["fixed"])]
    reason: Annotated[str | None, Field(examples=[None])]
    checked_by: Annotated[str | None, Field(examples=["member:g009-1"])]
    scores: Annotated[list[Score], Field(examples=[[{"formula": "on-time.v1", "value": 1.0}]])]


class CasePage(BaseModel):
    items: list[CaseListed]
    next: Annotated[str | None, Field(description="Cursor of the next page.", examples=[None])]


class ExtensionShown(BaseModel):
    granted_at: Annotated[Instant, Field(examples=["2026-05-09T15:00:00Z"])]
    due_at: Annotated[Instant, Field(examples=["2026-05-10T06:12:00Z"])]


class AssignmentShown(BaseModel):
    """One assignment and how it ended; `unit` had it in the end, which may be another than it was `given_to`.

    `planned_by` is the plan's deadline, `resolve_by` the one in force, after extensions.
    """

    assignment_id: Annotated[AssignmentId, Field(examples=[f"{_CASE}.1.1"])]
    round: Annotated[int, Field(examples=[1])]
    because: Annotated[str, Field(examples=["first"])]
    given_to: Annotated[str, Field(examples=[_UNIT])]
    unit: Annotated[str, Field(examples=[_UNIT])]
    lead: Annotated[bool, Field(examples=[True])]
    task: Annotated[str, Field(examples=["repair"])]
    replaces: Annotated[AssignmentId | None, Field(examples=[None])]
    given_at: Annotated[Instant, Field(examples=["2026-05-09T06:12:00Z"])]
    acknowledge_by: Annotated[Instant, Field(examples=["2026-05-09T06:22:00Z"])]
    planned_by: Annotated[Instant, Field(examples=["2026-05-09T18:12:00Z"])]
    resolve_by: Annotated[Instant, Field(examples=["2026-05-10T06:12:00Z"])]
    outcome: Annotated[str | None, Field(examples=["fixed"])]
    reason: Annotated[str | None, Field(examples=[None])]
    ended_at: Annotated[Instant | None, Field(examples=["2026-05-10T05:40:00Z"])]
    acknowledged_at: Annotated[Instant | None, Field(examples=["2026-05-09T06:15:00Z"])]
    arrived_at: Annotated[Instant | None, Field(examples=["2026-05-09T06:50:00Z"])]
    late_by_seconds: Annotated[int | None, Field(examples=[0])]
    extensions: Annotated[int, Field(examples=[1])]
    extended: Annotated[list[ExtensionShown], Field(description="The extensions granted, the first first.")]
    urged: Annotated[int, Field(examples=[0])]
    supervised: Annotated[bool, Field(examples=[True])]
    handled_by: Annotated[list[str], Field(examples=[["worker:water-17"]])]
    failed_at: Annotated[Instant | None, Field(description="When a check found its work wanting.", examples=[None])]


class RatingShown(BaseModel):
    rater: Annotated[str, Field(examples=["reporter:4711"])]
    rating: Annotated[int, Field(examples=[5])]
    comment: Annotated[str | None, Field(examples=["quick, and well explained"])]
    rated_at: Annotated[Instant, Field(examples=["2026-05-10T12:00:00Z"])]


class Waiting(BaseModel):
    """A case that waits for its check; none of `handlers`, and nobody of `handling_units`, may make it."""

    checking_since: Annotated[Instant | None, Field(examples=["2026-05-10T05:40:01Z"])]
    check_due_at: Annotated[Instant | None, Field(examples=["2026-05-10T07:40:00Z"])]
    check_overdue: Annotated[bool, Field(examples=[False])]
    handlers: Annotated[list[str], Field(examples=[["worker:water-17"]])]
    handling_units: Annotated[list[str], Field(examples=[[_UNIT]])]


class CaseShown(CaseListed, Waiting):
    """A case with its assignments and ratings; the ETag is its version."""

    assignments: list[AssignmentShown]
    ratings: list[RatingShown]


class CheckListed(CaseListed, Waiting):
    """An entry of the check queue."""


class CheckPage(BaseModel):
    items: list[CheckListed]
    next: Annotated[str | None, Field(description="Cursor of the next page.", examples=[None])]


class Indicator(BaseModel):
    """One number, the formula behind it, and the lists behind it. `value` is null where there is no data.

    Where the formula is a share, it is `part` / `of`. Both count cases, assignments or ratings, as the formula says;
    the lists hold the cases these belong to.
    """

    formula: Annotated[str, Field(examples=["closing-rate.v1"])]
    value: Annotated[float | None, Field(examples=[0.75])]
    of: Annotated[int, Field(examples=[4])]
    cases: Annotated[
        str, Field(description="The cases behind `of`.", examples=["/indicators/cases?population=due&..."])
    ]
    part: Annotated[int | None, Field(examples=[3])]
    part_cases: Annotated[
        str | None, Field(description="The cases behind `part`.", examples=["/indicators/cases?population=closed&..."])
    ]


class Group(BaseModel):
    key: Annotated[str, Field(description="A unit, an area, a category, or `all`.", examples=[_UNIT])]
    indicators: dict[str, Indicator]


class IndicatorPage(BaseModel):
    """The figures of a period; the same question with the same `as_of` has the same answer on any day."""

    by: Annotated[By, Field(examples=["unit"])]
    level: Annotated[Level, Field(examples=["street"])]
    since: Annotated[Instant, Field(examples=["2026-05-01T00:00:00Z"])]
    until: Annotated[Instant, Field(examples=["2026-06-01T00:00:00Z"])]
    as_of: Annotated[Instant, Field(examples=["2026-06-01T00:00:00Z"])]
    items: list[Group]
    next: Annotated[str | None, Field(description="Cursor of the next page.", examples=[None])]


class FormulaShown(BaseModel):
    formula: Annotated[str, Field(examples=["closing-rate.v1"])]
    name: Annotated[str, Field(examples=["closing-rate"])]
    version: Annotated[int, Field(examples=[1])]
    about: Annotated[Literal["case", "unit", "group"], Field(examples=["group"])]
    measure: Annotated[str, Field(examples=["share"])]
    definition: Annotated[str, Field(examples=["Closed / due. ..."])]


class FormulaPage(BaseModel):
    items: list[FormulaShown]
    next: Annotated[str | None, Field(description="Cursor of the next page.", examples=[None])]


PROBLEM: dict[str, Any] = {
    "description": "A rule forbids it: `rule` is its name.",
    "content": {
        "application/problem+json": {
            "example": {
                "type": "urn:casegrid:rule:check.separation",
                "title": "A rule forbids it",
                "status": 409,
                "detail": "dept:water handled the case, and whoever handled a case never checks it",
                "rule": "check.separation",
            }
        }
    },
}
"""The 409 of the commands."""
