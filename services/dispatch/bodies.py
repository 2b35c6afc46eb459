"""What dispatch's routes take and give, with examples of the reference district."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chassis.web.bodies import Answer, Body
from chassis.web.filters import AreaPrefix
from chassis.web.paging import Next, PageQuery
from chassis.web.requests import When
from contracts.dispatch import Outcome
from contracts.feedback import CaseOutcome, Verdict
from contracts.fields import AreaPath, Attachments, ClaimedInstant, Count, FilledText, Instant, Line, Name, Place, Text
from contracts.status import Stage
from contracts.status import Status as CaseStatus
from contracts.triage import Because, Priority, Round
from services.dispatch.domain.assignment import Status
from services.dispatch.lights import Light

CASE = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a11"
ASSIGNMENT = f"{CASE}.1.1"
_GRID, _CATEGORY, _WATER = "CH/shuangqiaozi/shuangqiaolubei/g001", "event.emergency.water-main", "dept:water"
_TITLE, _TASK = "Water main burst by the metro site", "Shut the valves, repair the main, restore supply"
_CLOSING, _WHY_LONGER = "Supply restored, road passable, residents told", "The pipe has to come from Deyang."
_WHY_NOT_LONGER, _WHY_SUPERVISED = "The depot has one in stock.", "4,000 households without water."
_REPLY_BY = "2026-05-09T14:00:00+08:00"
_ASSIGNED, _ACKNOWLEDGED, _ARRIVED = "2026-05-09T01:12:07Z", "2026-05-09T01:14:30Z", "2026-05-09T01:41:00Z"
_YELLOW, _RED = "2026-05-09T10:48:07Z", "2026-05-09T13:12:07Z"
_LIGHTS = (
    "`green`: before `yellow_at`; `yellow`: from then on; `red`: from `red_at` on; `none`: a late entry, which raises"
    " no alarm."
)
_EVIDENCE = Field(
    default=(),
    description="Photos, recordings and documents; 50 at most.",
    examples=[[{"uri": "https://photos.example/valve.jpg", "media_type": "image/jpeg"}]],
)


class UnitFilters(BaseModel):
    """The assignments of a unit, in an area."""

    model_config = ConfigDict(frozen=True)

    unit: Name | None = Field(default=None, description="The unit has it or is offered it.", examples=[_WATER])
    area: AreaPrefix = None


class QueueFilters(PageQuery, UnitFilters):
    """Which assignments of the queue."""


class AssignmentFilters(PageQuery, UnitFilters):
    """Which assignments."""

    status: Literal["open"] | Status | None = Field(
        default=None,
        description="Its status. `open`: it has not ended, whatever its stage, which is `dispatched`, `acknowledged`,"
        " `en_route` or `on_scene`; or how it ended: `fixed`, `returned` or `cancelled`.",
        examples=["open", "on_scene"],
    )
    light: Light | None = Field(default=None, description=f"It is open and has this light. {_LIGHTS}", examples=["red"])
    due_before: ClaimedInstant | None = Field(
        default=None, description="The next deadline is before this instant.", examples=[_REPLY_BY]
    )
    lead: bool | None = Field(default=None, description="Whether its unit leads the case.", examples=[True])


class BoardFilters(UnitFilters):
    """Which assignments the board counts."""

    since: ClaimedInstant | None = Field(
        default=None,
        description="Counts what has ended since this instant; by default since a day ago.",
        examples=["2026-05-09T00:00:00+08:00"],
    )


class _ActionBody(Body):
    """What every action may say."""

    at: When = None


class StepBody(_ActionBody):
    """A step of the unit."""


class ResolutionBody(_ActionBody):
    """The task is done."""

    note: Text | None = Field(
        default=None, description="What was done.", examples=["Main replaced, pressure back to 0.3 MPa."]
    )
    evidence: Attachments = _EVIDENCE


class ReturnBody(_ActionBody):
    """Why the task is not the unit's to do."""

    reason: Line = Field(description="Why, in words.", examples=["The metro's builder has to close its pit first."])


class ExtensionRequestBody(_ActionBody):
    """Why the unit needs more time."""

    reason: Line = Field(description="Why, in words.", examples=[_WHY_LONGER])


class HandOnBody(_ActionBody):
    """The unit that the assignment is handed on to, and why."""

    unit: Name = Field(description="A unit of the district, below the caller's.", examples=["dept:drainage"])
    reason: Line = Field(description="Why, in words.", examples=["Their crew is next door."])


class NoteBody(_ActionBody):
    """A remark, with or without evidence."""

    note: FilledText = Field(description="The remark.", examples=["Two trucks on their way, 6 m3 each."])
    evidence: Attachments = _EVIDENCE


class UrgeBody(_ActionBody):
    """Why the unit should hurry."""

    reason: Line | None = Field(
        default=None, description="Why, in words.", examples=["Residents call every few minutes."]
    )


class UrgeReceipt(Answer):
    """That a private person's urging was received."""

    urged: Literal[True] = Field(description="It was received; whether anything follows is not told.", examples=[True])


class SupervisionBody(_ActionBody, json_schema_extra={"examples": [{"level": 2, "reason": _WHY_SUPERVISED}]}):
    """The level of supervision, why, and by when a reply is demanded."""

    level: int = Field(
        default=1, ge=1, le=3, description="The level, from 1, the lowest, to 3. It can only rise.", examples=[2]
    )
    reason: Line = Field(description="Why, in words.", examples=[_WHY_SUPERVISED])
    reply_by: ClaimedInstant | None = Field(
        default=None, description="By when the unit must reply; later than now.", examples=[_REPLY_BY]
    )


class ExtensionDecisionBody(
    _ActionBody, json_schema_extra={"examples": [{"granted": True}, {"granted": False, "reason": _WHY_NOT_LONGER}]}
):
    """The decision on a requested extension; a refusal needs a reason."""

    granted: bool = Field(description="Whether the unit gets more time.", examples=[True, False])
    reason: Line | None = Field(
        default=None, description="Why, in words; required for a refusal.", examples=[_WHY_NOT_LONGER]
    )

    @model_validator(mode="after")
    def _reasoned(self) -> Self:
        if not self.granted and self.reason is None:
            raise ValueError("reason is required if granted is false")
        return self


class ExtensionRequest(Answer):
    """A requested extension that has not been decided yet."""

    by: Name | None = Field(description="Who requested it.", examples=["li"])
    at: Instant = Field(description="When.", examples=[_ARRIVED])
    reason: Line = Field(description="Why, in the unit's words.", examples=[_WHY_LONGER])


class Supervision(Answer):
    """The supervision in force."""

    level: Count = Field(description="The level, from 1, the lowest, to 3.", examples=[2])
    reply_by: Instant | None = Field(description="By when a reply is demanded, if one is.", examples=[_RED])
    reason: Line = Field(description="Why, in the centre's words.", examples=[_WHY_SUPERVISED])


class AssignmentDetail(Answer):
    """An assignment, with its case in short, its deadlines, and how far it has come."""

    assignment_id: str = Field(description="Case, round, and number in the round.", examples=[ASSIGNMENT])
    case_id: str = Field(description="The case it belongs to.", examples=[CASE])
    status: Status = Field(description="How far the unit has come, or how it ended.", examples=["on_scene"])
    open: bool = Field(description="Whether it has not ended.", examples=[True])
    light: Light | None = Field(
        description=f"How much of the time is used up; null if it has ended. {_LIGHTS}",
        examples=["green"],
    )
    unit: str = Field(description="The unit that has it, or is to acknowledge it first.", examples=[_WATER])
    planned_unit: str = Field(description="The unit of triage's plan.", examples=[_WATER])
    offered_to: tuple[str, ...] = Field(
        description="Other units that may acknowledge it now; the first has it.", examples=[["district:CH"]]
    )
    waiting: bool = Field(
        description="Whether it is in dispatch's queue: not acknowledged, and no unit is left to offer it to.",
        examples=[False],
    )
    lead: bool = Field(description="Whether its unit leads the case.", examples=[True])
    task: str = Field(description="What the unit is to do.", examples=[_TASK])
    member: str | None = Field(
        description="The member on duty, if the unit is a grid.", examples=["member:shuangqiaolubei-g001-1"]
    )
    backups: tuple[str, ...] = Field(
        description="Other members of the grid, to whom it is offered first.",
        examples=[["member:shuangqiaolubei-g001-2"]],
    )
    round: Round = Field(description="The round of triage's plans, from 1.", examples=[1])
    because: Because = Field(description="Why triage planned the round.", examples=["first"])
    because_reason: str | None = Field(
        description="The same in the words of whoever returned it, failed the check, ruled by hand, or handed it on.",
        examples=[None],
    )
    replaces: str | None = Field(
        description="The assignment, returned or failed at the check, whose work it takes over.", examples=[None]
    )
    title: str = Field(description="What is wrong, in one line.", examples=[_TITLE])
    category: str = Field(description="The category, from the catalogue.", examples=[_CATEGORY])
    condition: str = Field(description="The condition of the category.", examples=["a"])
    closing: str = Field(description="When the task counts as done.", examples=[_CLOSING])
    priority: Priority = Field(description="From 1, an emergency, to 4, which can wait.", examples=[1])
    area: AreaPath = Field(description="The area of the case.", examples=[_GRID])
    place: Place = Field(description="Where it is.", examples=[{"address": "Shuangqiao Road", "area": _GRID}])
    retrospective: bool = Field(description="Whether it is a late entry, which raises no alarm.", examples=[False])
    started_at: Instant = Field(description="When its time began to run.", examples=[_ASSIGNED])
    acknowledge_by: Instant = Field(
        description="When it is offered on, unless a unit acknowledges it before.", examples=["2026-05-09T01:17:07Z"]
    )
    yellow_at: Instant = Field(description="When the light turns yellow.", examples=[_YELLOW])
    red_at: Instant = Field(description="When the light turns red.", examples=[_RED])
    resolve_by: Instant = Field(description="The deadline in force, after extensions.", examples=[_RED])
    acknowledged_at: Instant | None = Field(description="When the unit acknowledged it.", examples=[_ACKNOWLEDGED])
    en_route_at: Instant | None = Field(description="When the unit set out.", examples=["2026-05-09T01:20:00Z"])
    arrived_at: Instant | None = Field(description="When the unit arrived on the scene.", examples=[_ARRIVED])
    ended_at: Instant | None = Field(description="When it ended.", examples=[None])
    reason: str | None = Field(description="Why it ended, unless it was fixed.", examples=[None])
    late_by_seconds: Count | None = Field(description="How long after the deadline it ended.", examples=[None])
    extensions: Count = Field(description="How many extensions were granted.", examples=[0])
    extension_request: ExtensionRequest | None = Field(description="An extension that awaits a decision.")
    urged: Count = Field(description="How often it was urged.", examples=[1])
    last_urged_at: Instant | None = Field(description="When it was urged last.", examples=["2026-05-09T02:10:00Z"])
    supervision: Supervision | None = Field(description="The centre's supervision, if it is supervised.")
    escalation_level: Count = Field(description="How many superiors were told that it is overdue.", examples=[0])
    escalated_to: tuple[str, ...] = Field(description="These superiors, lowest first.", examples=[["district:CH"]])
    escalation_failed: bool = Field(
        description="Whether no unit is left to offer it to, or no superior to tell that it is overdue.",
        examples=[False],
    )
    handled_by: tuple[str, ...] = Field(
        description="The people who acted on it for its unit. None of them may check the case.", examples=[["li"]]
    )


class AssignmentPage(Answer):
    """A page of assignments."""

    items: list[AssignmentDetail] = Field(description="The assignments, the earliest deadline first.")
    next: Next


class CaseDetail(Answer):
    """A case as dispatch knows it. What describes it is null if it was never assigned; category and area if no ruling
    says them.
    """

    case_id: str = Field(description="The case.", examples=[CASE])
    status: CaseStatus = Field(description="The case's status, as far as dispatch can tell.", examples=["on_scene"])
    title: str | None = Field(description="What is wrong, in one line.", examples=[_TITLE])
    category: str | None = Field(description="The category, from the catalogue.", examples=[_CATEGORY])
    condition: str | None = Field(description="The condition of the category.", examples=["a"])
    priority: Priority | None = Field(description="From 1, an emergency, to 4, which can wait.", examples=[1])
    area: AreaPath | None = Field(description="Where the case lies.", examples=[_GRID])
    round: Round | None = Field(description="The number of the latest round of plans.", examples=[1])
    filed_at: Instant | None = Field(description="When it was filed.", examples=[_ASSIGNED])
    retrospective: bool | None = Field(
        description="Whether it was entered long after the fact. If so, the times entered with it count.",
        examples=[False],
    )
    ended_by: Literal["merged", "rejected", "withdrawn"] | None = Field(
        description="The ruling that ended its work, if one did: it was `merged` into another case, `rejected` as none,"
        " or `withdrawn` by its reporter.",
        examples=[None],
    )
    verdict: Verdict | None = Field(description="Feedback's latest verdict.", examples=["closed"])
    outcome: CaseOutcome | None = Field(description="How the case was closed; null while it is open.", examples=[None])
    assignments: list[AssignmentDetail] = Field(
        description="Its assignments, round after round; for who sees the case because of their unit, the unit's."
    )


class Board(Answer):
    """Counts of assignments."""

    as_of: Instant = Field(description="When they were counted.", examples=["2026-05-09T02:15:00Z"])
    open: Count = Field(description="Assignments that have not ended.", examples=[3])
    by_status: dict[Stage, Count] = Field(
        description="The open ones by status.",
        examples=[{"dispatched": 1, "acknowledged": 1, "en_route": 0, "on_scene": 1}],
    )
    by_light: dict[Light, Count] = Field(
        description=f"The open ones by light. {_LIGHTS}",
        examples=[{"green": 2, "yellow": 1, "red": 0, "none": 0}],
    )
    supervised: Count = Field(description="Open ones that the centre supervises.", examples=[1])
    urged: Count = Field(description="Open ones that were urged.", examples=[1])
    extension_pending: Count = Field(description="Open ones with an extension to decide on.", examples=[0])
    offered: Count = Field(description="Open ones that several units may acknowledge.", examples=[1])
    waiting: Count = Field(description="Open ones in dispatch's queue.", examples=[0])
    escalated: Count = Field(description="Open ones that are overdue, and a superior was told.", examples=[0])
    escalation_failed: Count = Field(description="Open ones with nobody left to turn to.", examples=[0])
    ended_since: Instant = Field(description="Since when ended ones are counted.", examples=["2026-05-08T02:15:00Z"])
    ended: dict[Outcome, Count] = Field(
        description="The ended ones by outcome.", examples=[{"fixed": 12, "returned": 1, "cancelled": 0}]
    )
    ended_late: Count = Field(description="The ended ones that ended after their deadline.", examples=[2])
