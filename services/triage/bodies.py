"""What triage's routes take and give."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.fields import AreaPath, AssignmentId, Attachments, CaseId, ClaimedInstant, Instant, Line, Name, Text
from contracts.status import Status
from contracts.triage import Priority, Why
from services.triage.domain.case import Awaited

CASE = "019a2b3c-4d5e-7f60-8123-456789abcdef"
GRID = "CH/shuangqiaozi/shuangqiaolubei/g001"
When = Annotated[
    ClaimedInstant | None,
    Field(description="When it happened, where that was not now. It stands beside the time of arrival, which counts."),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Verification(_Body):
    """What a grid member found at the place."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"confirmed": True, "note": "a hole of 40 cm in the carriageway"},
                {"confirmed": False, "why": "not_reproducible", "note": "nothing to be seen at the address"},
            ]
        }
    )

    confirmed: bool
    why: Why | None = None
    note: Text | None = None
    evidence: Attachments = ()
    at: When = None

    @model_validator(mode="after")
    def _reasoned(self) -> Self:
        if self.confirmed and self.why is not None:
            raise ValueError("why is for what was not confirmed")
        if not self.confirmed and not self.note:
            raise ValueError("note is required where confirmed is false")
        return self


class ChargedUnit(_Body):
    """A unit that is given work: `task` by default the catalogue's, or that of the assignment it `replaces`."""

    unit: Name
    task: Line | None = None
    replaces: AssignmentId | None = None


class Ruling(_Body):
    """One of three: give it out (what is not said stays as the rules have it), `merge_into` a case, or `reject` it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"category": "event.emergency.water-main", "area": GRID},
                {"units": [{"unit": "dept:water"}, {"unit": "dept:transport", "task": "excavate"}], "reason": "shared"},
                {"merge_into": CASE, "reason": "the same burst main"},
                {"reject": True, "why": "not_ours", "reason": "lies in the next district"},
            ]
        }
    )

    category: Name | None = None
    condition: Name | None = None
    area: AreaPath | None = None
    priority: Priority | None = None
    units: Annotated[tuple[ChargedUnit, ...], Field(max_length=20)] = ()
    """The first leads. Where work came back: who takes it over, in its order or as `replaces` says."""
    merge_into: CaseId | None = None
    reject: bool = False
    why: Why | None = None
    reason: Line | None = None
    at: When = None

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        given_out = any((self.category, self.condition, self.area, self.priority, self.units))
        if (self.merge_into is not None) + self.reject + given_out > 1:
            raise ValueError("give the case out, or merge_into, or reject: only one of the three")
        if self.reject and (self.why is None or self.reason is None):
            raise ValueError("why and reason are required with reject")
        if not self.reject and self.why is not None:
            raise ValueError("why goes with reject")
        return self


class Outcome(BaseModel):
    """What became of the case: its status, and the ruling as published on `Assigned`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"case_id": CASE, "status": "merged", "ruling": {"ruling": "merged", "into": CASE}}]
        }
    )

    case_id: CaseId
    status: Status
    ruling: dict[str, Any] | None


class QueueItem(BaseModel):
    """A case that waits for a person. `etag` is what a ruling's If-Match must name."""

    case_id: CaseId
    etag: Annotated[str, Field(examples=['"2"'])]
    queue: Awaited
    words: Annotated[str, Field(examples=["no category: none of the words is known"])]
    since: Instant
    due_at: Instant
    overdue: bool
    unit: Name | None
    category: Name | None
    area: Annotated[AreaPath | None, Field(examples=[GRID])]
    title: Line
    channel: str
    reported_at: Instant
    external_ref: Name | None
    round: int


class QueuePage(BaseModel):
    """A page of the queue."""

    items: list[QueueItem]
    next: str | None


class CaseItem(BaseModel):
    """A case in a list."""

    case_id: CaseId
    status: Status
    queue: Awaited | None
    category: Name | None
    priority: Priority | None
    area: Annotated[AreaPath | None, Field(examples=[GRID])]
    title: Line
    channel: str
    external_ref: Name | None
    reported_at: Instant
    retrospective: bool
    round: int
    merged_into: CaseId | None
    outcome: str | None


class CasePage(BaseModel):
    """A page of cases."""

    items: list[CaseItem]
    next: str | None


class CaseDetail(BaseModel):
    """What triage knows of a case: the report, what it waits for, its rulings with explanations, its assignments."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "case_id": CASE,
                    "status": "dispatched",
                    "report": {"kind": "new", "channel": "handset", "title": "water gushes out of the road"},
                    "reported_at": "2026-05-09T01:12:00Z",
                    "category": "event.emergency.water-main",
                    "area": GRID,
                    "supplements": [],
                    "waiting": None,
                    "ruling": {"ruling": "dispatched", "round": 1, "because": "first"},
                    "rounds": [{"ruling": "dispatched", "round": 1, "because": "first"}],
                    "assignments": [
                        {
                            "id": f"{CASE}.1.1",
                            "unit": "dept:water",
                            "task": "repair the main",
                            "lead": True,
                            "outcome": None,
                            "failed": False,
                            "replaced": False,
                        }
                    ],
                    "merged_reports": 17,
                    "verdict": None,
                }
            ]
        }
    )

    case_id: CaseId
    status: Status
    report: dict[str, Any]
    reported_at: Instant
    category: Name | None
    area: AreaPath | None
    supplements: list[dict[str, Any]]
    waiting: dict[str, Any] | None
    ruling: dict[str, Any] | None
    rounds: list[dict[str, Any]]
    assignments: list[dict[str, Any]]
    merged_reports: int
    verdict: dict[str, Any] | None
