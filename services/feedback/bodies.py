"""What feedback's routes on checks, cases and ratings take and give, with examples of the reference district."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from chassis.web.bodies import Answer, Body
from chassis.web.filters import AreaPrefix, CategoryPrefix, Until, statuses_of
from chassis.web.paging import Next, PageQuery
from chassis.web.requests import When
from contracts.dispatch import Outcome
from contracts.feedback import CaseOutcome, Score, Verdict
from contracts.fields import (
    AreaPath,
    AssignmentId,
    Attachments,
    CaseId,
    ClaimedInstant,
    FilledText,
    Instant,
    Line,
    Name,
)
from contracts.status import Status
from contracts.triage import Because, CheckMethod, Priority
from services.feedback import examples

# What several bodies have in common.
UnitFilter = Annotated[Name | None, Field(description="The unit that answers for the case.", examples=[examples.WATER])]
Evidence = Annotated[
    Attachments, Field(description="Photos and recordings of what was found; 50 at most.", examples=[[examples.PHOTO]])
]
CaseOut = Annotated[CaseId, Field(description="The case.", examples=[examples.CASE])]
StatusOut = Annotated[Status, Field(description="The case's status, as far as feedback can tell.", examples=["closed"])]
OutcomeOut = Annotated[
    CaseOutcome | None, Field(description="How the case was closed; null while it is open.", examples=["fixed"])
]
Reworks = Annotated[int, Field(description="How often a check sent the case back.", examples=[0], ge=0)]
Stars = Annotated[int, Field(description="From 1, very dissatisfied, to 5, very satisfied.", examples=[5], ge=1, le=5)]
Comment = Annotated[
    FilledText | None, Field(description="What they say of it; null for units.", examples=[examples.COMMENT])
]
RatedAt = Annotated[Instant, Field(description="When the rating was given.", examples=[examples.RATED])]
LateBy = Annotated[
    int | None,
    Field(
        description="How many seconds after its deadline the work ended: 0 in time, null while it is open and where it"
        " is another unit's.",
        examples=[0],
        ge=0,
    ),
]


class CheckFilters(PageQuery):
    """Which of the cases that wait for their check."""

    area: AreaPrefix = None
    method: Annotated[CheckMethod | None, Field(description="How it is to be checked.", examples=["photo"])] = None
    due_before: Annotated[
        ClaimedInstant | None,
        Field(description="The check is due before this instant.", examples=["2026-05-10T20:00:00+08:00"]),
    ] = None
    overdue: Annotated[bool, Field(description="Only those whose check is overdue now.", examples=[True])] = False
    mine: Annotated[bool, Field(description="Only those that the caller may check.", examples=[True])] = False


class CaseFilters(PageQuery):
    """Which cases. `since` and `until` bound when a case was filed; if it never was, when it was closed."""

    unit: UnitFilter = None
    area: AreaPrefix = None
    category: CategoryPrefix = None
    status: Annotated[
        Status | None,
        Field(
            description=f"The case's status. Feedback shows {statuses_of('feedback')}.",
            examples=["closed"],
        ),
    ] = None
    outcome: Annotated[CaseOutcome | None, Field(description="How the case was closed.", examples=["fixed"])] = None
    reopening_requested: Annotated[
        bool | None, Field(description="Whether its reporter asked to reopen it.", examples=[True])
    ] = None
    since: Annotated[
        ClaimedInstant | None,
        Field(
            description="Filed at or after this instant; a case that was never filed: closed then.",
            examples=[examples.BEGIN],
        ),
    ] = None
    until: Annotated[
        Until,
        Field(
            description="Filed before this instant; a case that was never filed: closed before it.",
            examples=[examples.END],
        ),
    ] = None


class CheckBody(Body):
    """What a check found."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.CHECKS})

    passed: Annotated[bool, Field(description="Whether the work was found done.", examples=[True])]
    reason: Annotated[
        Line | None,
        Field(description="Why it did not pass; required then, else not allowed.", examples=[examples.FAILURE]),
    ] = None
    note: Annotated[FilledText | None, Field(description="What was seen or heard.", examples=[examples.NOTE])] = None
    evidence: Evidence = ()
    failed: Annotated[
        tuple[AssignmentId, ...],
        Field(
            max_length=50,
            description="Only if it did not pass: the assignments whose work is to be done again; by default the"
            " lead's.",
            examples=[[examples.FIRST]],
        ),
    ] = ()
    at: When = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.passed and self.reason is None:
            raise ValueError("reason is required where passed is false")
        if self.passed and (self.failed or self.reason is not None):
            raise ValueError("failed and reason are only allowed where passed is false; use note")
        return self


class ForcedClosingBody(Body):
    """Why the case is closed although no check can close it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": examples.FORCED}]})

    reason: Annotated[Line, Field(description="Why no check can close it.", examples=[examples.FORCED])]
    at: When = None


class VerdictDetail(Answer):
    """The verdict that was given, and what became of the case."""

    case_id: CaseOut
    status: StatusOut
    verdict: Annotated[
        Verdict, Field(description="Whether the case is closed or sent back for rework.", examples=["closed"])
    ]
    outcome: OutcomeOut
    failed: Annotated[
        list[AssignmentId],
        Field(description="The assignments whose work is to be done again; none if it is closed.", examples=[[]]),
    ]
    reworks: Reworks
    event_id: Annotated[
        str,
        Field(
            description="The identifier of the verdict on `Evaluated`.",
            examples=["019e0b3c-9900-7000-8000-000000000009"],
        ),
    ]


class CaseItem(Answer):
    """A case in a list."""

    case_id: CaseOut
    status: StatusOut
    title: Annotated[
        Line | None,
        Field(description="What is wrong, in one line; null if the case was never filed.", examples=[examples.TITLE]),
    ]
    category: Annotated[
        Name | None,
        Field(description="What the case is; null if no ruling says so.", examples=[examples.WATER_MAIN]),
    ]
    condition: Annotated[
        Name | None,
        Field(description="The condition of that category that it meets; null if never filed.", examples=["a"]),
    ]
    priority: Annotated[
        Priority | None,
        Field(description="From 1, an emergency, to 4, which can wait; null if never filed.", examples=[1]),
    ]
    area: Annotated[
        AreaPath | None, Field(description="Where it lies; null if no ruling says so.", examples=[examples.GRID])
    ]
    retrospective: Annotated[
        bool,
        Field(
            description="Whether it was entered long after the fact. If so, the times entered with it count.",
            examples=[False],
        ),
    ]
    merged_into: Annotated[
        CaseId | None,
        Field(description="The case it was merged into; null if into none, and for units.", examples=[None]),
    ]
    lead_unit: Annotated[
        Name | None,
        Field(
            description="The unit that answers for it; once it is closed, the one that answered then; null if none, and"
            " for the people of another unit.",
            examples=[examples.WATER],
        ),
    ]
    rounds: Annotated[
        int, Field(description="The number of the latest round; 0 if it was never filed.", examples=[1], ge=0)
    ]
    reworks: Reworks
    filed_at: Annotated[
        Instant | None, Field(description="When it was filed; null if it never was.", examples=[examples.FILED])
    ]
    due_at: Annotated[
        Instant | None,
        Field(
            description="The deadline of its lead, extensions included; null if no unit leads.",
            examples=[examples.EXTENDED],
        ),
    ]
    done_at: Annotated[
        Instant | None,
        Field(
            description="When the lead's work was done; null while it is not, and for the people of another unit.",
            examples=[examples.DONE],
        ),
    ]
    late_by_seconds: LateBy
    check_method: Annotated[
        CheckMethod | None,
        Field(
            description="How it is checked; null if it was never filed.",
            examples=["photo"],
        ),
    ]
    check_by: Annotated[
        Name | None,
        Field(
            description="Who checks it, as the catalogue says: `grid`, `call_centre`, or `rule`; null if it was never"
            " filed.",
            examples=["grid"],
        ),
    ]
    closed_at: Annotated[
        Instant | None, Field(description="When it was closed; null while it is open.", examples=[examples.CLOSED])
    ]
    outcome: OutcomeOut
    reason: Annotated[
        Line | None,
        Field(description="Why it was closed without being fixed; otherwise null, and for units.", examples=[None]),
    ]
    checked_by: Annotated[
        Name | None,
        Field(
            description="The person whose check closed it, or the rule (`rule:<formula>`); null if no check did, and"
            " for units.",
            examples=[examples.CHECKER],
        ),
    ]
    scores: Annotated[
        list[Score],
        Field(
            description="The scores of the verdict, by the formulas of `GET /formulas`; none while it is open. A unit's"
            " people see their unit's.",
            examples=[examples.SCORES],
        ),
    ]
    reopening_requested_at: Annotated[
        Instant | None,
        Field(description="When its reporter last asked to reopen it; null if never.", examples=[None]),
    ]
    reopening_requested_by: Annotated[
        Name | None, Field(description="Who asked; a reporter by a reference; null for units.", examples=[None])
    ]
    reopening_reason: Annotated[
        Line | None, Field(description="Why it is not over, in their words; null for units.", examples=[None])
    ]


class CasePage(Answer):
    """A page of cases."""

    items: Annotated[list[CaseItem], Field(description="The cases, the latest first.")]
    next: Next


class ExtensionDetail(Answer):
    """A granted extension of an assignment."""

    granted_at: Annotated[Instant, Field(description="When it was granted.", examples=["2026-05-09T11:05:00Z"])]
    due_at: Annotated[Instant, Field(description="The deadline from then on.", examples=[examples.EXTENDED])]


class AssignmentDetail(Answer):
    """An assignment of the case, and how it ended."""

    assignment_id: Annotated[AssignmentId, Field(description="The assignment.", examples=[examples.FIRST])]
    round: Annotated[int, Field(description="The round in which it was given out.", examples=[1], ge=1)]
    because: Annotated[
        Because,
        Field(
            description="Why there is that round.",
            examples=["first"],
        ),
    ]
    given_to: Annotated[Name, Field(description="The unit that the plan gave it to.", examples=[examples.WATER])]
    unit: Annotated[
        Name,
        Field(description="Who it was given to; once it has ended, who had it at the end.", examples=[examples.WATER]),
    ]
    lead: Annotated[bool, Field(description="Whether its unit leads the work of the round.", examples=[True])]
    task: Annotated[Line, Field(description="What is to be done.", examples=[examples.LEAD_TASK])]
    replaces: Annotated[
        AssignmentId | None,
        Field(description="The assignment whose work it took over; null if none's.", examples=[None]),
    ]
    given_at: Annotated[Instant, Field(description="When its unit got it.", examples=[examples.FILED])]
    acknowledge_by: Annotated[
        Instant, Field(description="Until when it was to be acknowledged.", examples=["2026-05-09T01:17:07Z"])
    ]
    planned_by: Annotated[Instant, Field(description="The deadline of the plan.", examples=[examples.PLANNED])]
    resolve_by: Annotated[
        Instant, Field(description="The deadline in force, extensions included.", examples=[examples.EXTENDED])
    ]
    outcome: Annotated[Outcome | None, Field(description="How it ended; null while it is open.", examples=["fixed"])]
    reason: Annotated[
        Line | None, Field(description="Why it was returned or cancelled; otherwise null.", examples=[None])
    ]
    ended_at: Annotated[
        Instant | None, Field(description="When it ended; null while it is open.", examples=[examples.DONE])
    ]
    acknowledged_at: Annotated[
        Instant | None,
        Field(
            description="When it was acknowledged, known once it has ended; null if it never was.",
            examples=[examples.ACKNOWLEDGED],
        ),
    ]
    arrived_at: Annotated[
        Instant | None,
        Field(
            description="When its unit arrived on the scene, known once it has ended; null if it never did.",
            examples=[examples.ARRIVED],
        ),
    ]
    late_by_seconds: LateBy
    extensions: Annotated[int, Field(description="How many extensions were granted.", examples=[1], ge=0)]
    extended: Annotated[
        list[ExtensionDetail],
        Field(description="The granted extensions, the earliest first.", examples=[[examples.EXTENSION]]),
    ]
    urged: Annotated[int, Field(description="How often it was urged, known once it has ended.", examples=[0], ge=0)]
    supervised: Annotated[
        bool, Field(description="Whether it was under supervision, known once it has ended.", examples=[False])
    ]
    handled_by: Annotated[
        list[Name],
        Field(description="Everybody who acted on it, known once it has ended.", examples=[[examples.WORKER]]),
    ]
    failed_at: Annotated[
        Instant | None,
        Field(description="When its work failed at a check; null if it never did.", examples=[None]),
    ]


class RatingDetail(Answer):
    """A person's rating of the case."""

    rater: Annotated[Name, Field(description="Whose it is; a reporter by a reference.", examples=[examples.RATER])]
    rating: Stars
    comment: Comment
    rated_at: RatedAt
    counts: Annotated[
        bool,
        Field(
            description="Whether it counts in figures: not if whoever gave it, their unit, their partner or one of its"
            " units handled the case.",
            examples=[True],
        ),
    ]


class CheckWaiting(Answer):
    """Since when a case waits for its check, until when, and who may not make it."""

    checking_since: Annotated[
        Instant | None,
        Field(description="Since when it waits for its check; null if it does not.", examples=[examples.DONE]),
    ]
    check_due_at: Annotated[
        Instant | None,
        Field(description="Until when it should be checked; null if it does not wait.", examples=[examples.CHECK_DUE]),
    ]
    check_overdue: Annotated[bool, Field(description="Whether that time has passed without a check.", examples=[False])]
    handlers: Annotated[
        list[Name],
        Field(description="Everybody who handled the case. None of them checks it.", examples=[[examples.WORKER]]),
    ]
    handling_units: Annotated[
        list[Name],
        Field(description="The units that handled it. None of them may check it.", examples=[[examples.WATER]]),
    ]


class CaseDetail(CaseItem, CheckWaiting):
    """A case with its assignments and ratings."""

    assignments: Annotated[list[AssignmentDetail], Field(description="The assignments of all rounds, in their order.")]
    ratings: Annotated[list[RatingDetail], Field(description="The ratings, the earliest first.")]


class CheckItem(CaseItem, CheckWaiting):
    """A case that waits for its check."""


class CheckPage(Answer):
    """A page of the check queue."""

    items: Annotated[list[CheckItem], Field(description="The cases, the earliest due first.")]
    next: Next
