"""The bodies of dispatch's HTTP: what a request may say, what an answer shows."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from contracts.fields import Attachments, ClaimedInstant, Count, Instant, Line, Name, Place, Text
from contracts.status import Status as CaseStatus
from services.dispatch.domain.state import Status

_PHOTO = {"uri": "s3://evidence/valve.jpg", "media_type": "image/jpeg"}


class _Asked(BaseModel):
    """Unknown fields are refused: a misspelt one would be lost without a word."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: ClaimedInstant | None = Field(
        default=None,
        description="When it happened, where that was not now: a handset that was offline, a record kept elsewhere."
        " It stands beside the instant that counts, which is when this arrived; in a late entry it counts itself.",
        examples=["2026-05-09T10:21:00+08:00"],
    )


class Step(_Asked):
    """The unit came one step further."""


class Ending(_Asked):
    """The task is done."""

    note: Text | None = Field(default=None, examples=["Main replaced, pressure back to 0.3 MPa."])
    evidence: Attachments = Field(default=(), examples=[[_PHOTO]])


class Refusal(_Asked):
    """A request of the unit's that needs a reason."""

    reason: Line = Field(examples=["The pavement is the construction site's to excavate."])


class HandingOn(_Asked):
    """To which unit it is handed on, and why."""

    unit: Name = Field(examples=["street:CH/shengdeng"])
    reason: Line = Field(examples=["Their crew is next door."])


class Remark(_Asked):
    """A remark, with or without evidence."""

    note: Annotated[Text, Field(min_length=1)] = Field(examples=["Two trucks on their way, 6 m3 each."])
    evidence: Attachments = Field(default=(), examples=[[_PHOTO]])


class Urging(_Asked):
    """Why the unit is to hurry."""

    reason: Line | None = Field(default=None, examples=["Residents call every few minutes."])


class Supervising(_Asked):
    """A supervision: how high it is watched from, why, and by when a reply is demanded."""

    level: Annotated[int, Field(ge=1, le=3)] = Field(default=1, examples=[2])
    reason: Line = Field(examples=["4,000 households without water."])
    reply_by: ClaimedInstant | None = Field(default=None, examples=["2026-05-09T14:00:00+08:00"])


class Decision(_Asked):
    """The centre's answer to a request for an extension; a refusal needs a reason."""

    granted: bool = Field(examples=[True])
    reason: Line | None = Field(default=None, examples=["The pipe has to come from Deyang."])

    @model_validator(mode="after")
    def _reasoned(self) -> Self:
        if not self.granted and self.reason is None:
            raise ValueError("reason is required where granted is false")
        return self


class ExtensionRequest(BaseModel):
    """Asked for, not decided on yet."""

    by: str | None
    at: Instant
    reason: str


class SupervisionShown(BaseModel):
    """The supervision in force."""

    level: int
    reply_by: Instant | None
    reason: str | None


class AssignmentShown(BaseModel):
    """One assignment. `light` is null where it is not open, and for late entries, which raise no alarm."""

    assignment_id: str = Field(examples=["01971b2e-7c00-7000-8000-000000000001.1.2"])
    case_id: str = Field(examples=["01971b2e-7c00-7000-8000-000000000001"])
    status: Status = Field(examples=["en_route"])
    open: bool
    light: Literal["green", "yellow", "red"] | None = Field(examples=["green"])
    unit: str = Field(description="Whose it is now.", examples=["dept:water"])
    named: str = Field(description="The unit that triage gave it to.", examples=["dept:water"])
    offered_to: tuple[str, ...] = Field(description="Who else may acknowledge it now; the first to do so has it.")
    waiting: bool = Field(description="In dispatch's queue: nobody acknowledged it, and nobody is left to offer it to.")
    lead: bool
    task: str = Field(examples=["repair the main"])
    member: str | None = Field(examples=["member:g012-1"])
    backups: tuple[str, ...]
    round: int = Field(examples=[1])
    because: str = Field(examples=["first"])
    because_reason: str | None = Field(
        description="In words: of who returned it, found it wanting at the check, ruled by hand, or handed it on."
    )
    replaces: str | None
    title: str = Field(examples=["Water main burst on Shuangqiao Road"])
    category: str = Field(examples=["event.emergency.water-main-burst"])
    condition: str = Field(examples=["a"])
    closing: str = Field(description="When it counts as done.", examples=["cover fitted and firm"])
    priority: int = Field(examples=[1])
    area: str = Field(examples=["CH/shuangqiaozi/shuangqiaolu/g003"])
    place: Place
    retrospective: bool
    started_at: Instant
    acknowledge_by: Instant = Field(description="When it is offered on, unless somebody acknowledges it before.")
    yellow_at: Instant
    red_at: Instant
    resolve_by: Instant = Field(description="In force, after extensions.")
    acknowledged_at: Instant | None
    en_route_at: Instant | None
    arrived_at: Instant | None
    ended_at: Instant | None
    ended_by: str | None = Field(description="The source that said so.", examples=["/services/dispatch"])
    reason: str | None = Field(description="Why it ended, unless it was fixed.")
    late_by_seconds: Count | None
    extensions: Count
    extension_request: ExtensionRequest | None
    urged: Count
    last_urged_at: Instant | None
    supervision: SupervisionShown | None
    escalation_level: Count
    escalated_to: tuple[str, ...] = Field(description="The superiors who have heard that it is overdue.")
    escalation_failed: bool
    handled_by: tuple[str, ...] = Field(description="Everybody who acted on it for its unit.")


class AssignmentPage(BaseModel):
    """A page of assignments."""

    items: list[AssignmentShown]
    next: str | None = Field(description="`cursor` of the next page; null on the last.")


class CaseShown(BaseModel):
    """A case as dispatch sees it; a partner sees only what its units have, or are offered."""

    case_id: str = Field(examples=["01971b2e-7c00-7000-8000-000000000001"])
    status: CaseStatus = Field(description="As far as dispatch can tell; see the contract's table.")
    title: str | None = Field(description="Null, like all that describes it, where it was never given out.")
    category: str | None
    condition: str | None
    priority: int | None
    area: str | None
    round: int | None
    filed_at: Instant | None
    retrospective: bool | None
    ruling: str | None
    verdict: str | None
    outcome: str | None
    assignments: list[AssignmentShown]


class BoardShown(BaseModel):
    """Counts of assignments; light `none` is of late entries."""

    as_of: Instant
    open: Count = Field(examples=[3])
    by_status: dict[str, Count] = Field(examples=[{"assigned": 1, "acknowledged": 1, "en_route": 0, "on_scene": 1}])
    by_light: dict[str, Count] = Field(examples=[{"green": 2, "yellow": 1, "red": 0, "none": 0}])
    supervised: Count
    urged: Count
    extension_pending: Count
    offered: Count = Field(description="Not acknowledged in time, or handed on: the first to acknowledge has it.")
    waiting: Count = Field(description="In dispatch's queue.")
    escalated: Count = Field(description="Overdue, and a superior has heard of it.")
    escalation_failed: Count = Field(description="Nobody is left to turn to.")
    ended_since: Instant
    ended: dict[str, Count] = Field(examples=[{"fixed": 12, "returned": 1, "cancelled": 0}])
    ended_late: Count
