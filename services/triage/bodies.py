"""What triage's routes take and give, with examples of the reference district."""

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from chassis.web.bodies import Answer, Body
from chassis.web.filters import AreaPrefix, CategoryPrefix, ReportedSince, ReportedUntil, statuses_of
from chassis.web.paging import Next, PageQuery
from chassis.web.requests import When
from contracts.dispatch import Outcome
from contracts.feedback import CaseOutcome, Verdict
from contracts.fields import (
    AreaPath,
    AssignmentId,
    Attachments,
    CaseId,
    FilledText,
    Instant,
    Line,
    Name,
)
from contracts.intake import Channel, NewReport, Supplement
from contracts.status import Status
from contracts.triage import Assigned, Dispatched, Priority, RejectionReason
from services.triage import examples
from services.triage.domain.case import Awaited

_AWAITED = (
    "`verify`: a look at the place, before it is filed. The others wait for a ruling: `unlocated`: its area is not"
    " known; `unclassified`: its category is not known; `second_return`: it was returned twice; `no_unit`: no unit is"
    " left to give its work to."
)

# What several bodies have in common.
CaseOut = Annotated[CaseId, Field(description="The case.", examples=[examples.CASE])]
StatusOut = Annotated[
    Status, Field(description="The case's status, as far as triage can tell.", examples=["dispatched"])
]
AreaOut = Annotated[
    AreaPath | None,
    Field(description="Where the case lies; null: a person must decide that.", examples=[examples.GRID]),
]
CategoryOut = Annotated[
    Name | None, Field(description="What the case is; null: a person must decide that.", examples=[examples.WATER_MAIN])
]
TitleOut = Annotated[Line, Field(description="What is wrong, in one line.", examples=[examples.TITLE])]
ChannelOut = Annotated[Channel, Field(description="How the report came in.", examples=["handset"])]
ReportedAt = Annotated[
    Instant,
    Field(
        description="When the report arrived; in a case entered long after the fact, its own time.",
        examples=[examples.REPORTED],
    ),
]
ExternalOut = Annotated[
    Name | None, Field(description="The report's number in the system it came from.", examples=[examples.EXTERNAL])
]
RoundOut = Annotated[
    int, Field(description="The number of the latest round; 0 before the first.", examples=[1], ge=0, le=9999)
]
OutcomeOut = Annotated[
    CaseOutcome | None, Field(description="How the case was closed; null while it is open.", examples=["fixed"])
]
AwaitedOut = Annotated[
    Awaited,
    Field(
        description=f"What the case waits for. {_AWAITED}",
        examples=["unclassified"],
    ),
]
SinceOut = Annotated[Instant, Field(description="Since when it waits.", examples=[examples.FILED])]
DueAtOut = Annotated[Instant, Field(description="Until when it should be decided.", examples=["2026-05-09T01:27:07Z"])]
OverdueOut = Annotated[bool, Field(description="Whether that time has passed without a decision.", examples=[False])]
WaitingUnit = Annotated[
    Name | None,
    Field(
        description="The grid whose members are to look at the place; null for a ruling.",
        examples=[f"grid:{examples.GRID}"],
    ),
]


class QueueFilters(PageQuery):
    """Which of the waiting cases."""

    queue: Annotated[Awaited | None, Field(description=f"What the case waits for. {_AWAITED}", examples=["verify"])] = (
        None
    )
    area: AreaPrefix = None
    overdue: Annotated[bool | None, Field(description="Whether the deadline has passed.", examples=[True])] = None


class CaseFilters(PageQuery):
    """Which cases."""

    status: Annotated[
        Status | None,
        Field(
            description=f"The case's status. Triage shows {statuses_of('triage')}.",
            examples=["dispatched"],
        ),
    ] = None
    category: CategoryPrefix = None
    area: AreaPrefix = None
    since: ReportedSince = None
    until: ReportedUntil = None
    merged_into: Annotated[
        CaseId | None, Field(description="Merged into this case, not through others.", examples=[examples.LEADER])
    ] = None
    external_ref: Annotated[
        Name | None, Field(description="The report's number in the system it came from.", examples=[examples.EXTERNAL])
    ] = None


class VerificationBody(Body):
    """What a grid member found at the place."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.VERIFICATIONS})

    confirmed: Annotated[bool, Field(description="Whether it is as reported.", examples=[True])]
    why: Annotated[
        RejectionReason | None,
        Field(
            description="Only if it is not confirmed, the kind of rejection. `not_reproducible`: nothing was to be seen"
            " at the place, the default; `not_ours`: others are responsible; `incomplete`: the report does not say"
            " enough.",
            examples=["not_reproducible"],
        ),
    ] = None
    note: Annotated[
        FilledText | None,
        Field(description="What was seen; required if it is not confirmed.", examples=[examples.NOTE]),
    ] = None
    evidence: Annotated[
        Attachments, Field(description="Photos and recordings of the place; 50 at most.", examples=[[examples.PHOTO]])
    ] = ()
    at: When = None

    @model_validator(mode="after")
    def _reasoned(self) -> Self:
        if self.confirmed and self.why is not None:
            raise ValueError("why is only allowed where confirmed is false")
        if not self.confirmed and self.note is None:
            raise ValueError("note is required where confirmed is false")
        return self


class NamedUnitBody(Body):
    """A unit to assign."""

    unit: Annotated[Name, Field(description="The unit, as `GET /units` lists it.", examples=["dept:transport"])]
    task: Annotated[
        Line | None,
        Field(
            description="What it is to do; by default the catalogue's task of the lead, or that of the assignment whose"
            " work it takes over.",
            examples=[examples.DIG],
        ),
    ] = None
    replaces: Annotated[
        AssignmentId | None,
        Field(
            description="The returned assignment whose work it takes over; by default the next one in their order.",
            examples=[examples.FIRST],
        ),
    ] = None


class RulingBody(Body):
    """One of three: `merge_into` a case, `reject` it, or dispatch it; what is absent stays as the rules have it."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.RULINGS})

    category: Annotated[
        Name | None, Field(description="Dispatch it as this category of the catalogue.", examples=[examples.WATER_MAIN])
    ] = None
    condition: Annotated[
        Name | None,
        Field(description="The condition of that category that it meets; by default the first.", examples=["a"]),
    ] = None
    area: Annotated[
        AreaPath | None, Field(description="Dispatch it as lying in this area.", examples=[examples.GRID])
    ] = None
    priority: Annotated[
        Priority | None,
        Field(description="From 1, an emergency, to 4, which can wait; by default the category's.", examples=[1]),
    ] = None
    units: Annotated[
        tuple[NamedUnitBody, ...],
        Field(
            max_length=20,
            description="Who is assigned; the first unit leads. After a return: who takes the work over, in order or as"
            " `replaces` says. By default the rules name the units.",
            examples=[[{"unit": "dept:water"}]],
        ),
    ] = ()
    merge_into: Annotated[
        CaseId | None,
        Field(description="Merge it into this case, which is about the same matter.", examples=[examples.LEADER]),
    ] = None
    reject: Annotated[bool, Field(description="Whether the case is rejected.", examples=[False])] = False
    why: Annotated[
        RejectionReason | None,
        Field(description="The kind of rejection; required with `reject`, else not allowed.", examples=["not_ours"]),
    ] = None
    reason: Annotated[
        Line | None, Field(description="Why it is ruled so; required with `reject`.", examples=[examples.REASON])
    ] = None
    at: When = None

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        dispatches = any((self.category, self.condition, self.area, self.priority, self.units))
        if (self.merge_into is not None) + self.reject + dispatches > 1:
            raise ValueError(
                "merge_into, reject, or what the case is dispatched with: only one of the three is allowed"
            )
        if self.reject and (self.why is None or self.reason is None):
            raise ValueError("why and reason are required with reject")
        if not self.reject and self.why is not None:
            raise ValueError("why is only allowed with reject")
        return self


class CaseChange(Answer):
    """What became of the case."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.CHANGES})

    case_id: CaseOut
    status: StatusOut
    ruling: Annotated[
        Assigned | None, Field(description="The ruling, as published on `Assigned`.", examples=[examples.MERGED])
    ]


class QueueItem(Answer):
    """A case that waits for a person."""

    case_id: CaseOut
    etag: Annotated[
        str, Field(description="Of the case's version; send it as If-Match with a ruling.", examples=['"2"'])
    ]
    queue: AwaitedOut
    words: Annotated[
        str,
        Field(
            description="The rules that led there, a line for each; the last one says why.", examples=[examples.WORDS]
        ),
    ]
    since: SinceOut
    due_at: DueAtOut
    overdue: OverdueOut
    unit: WaitingUnit
    category: CategoryOut
    area: AreaOut
    title: TitleOut
    channel: ChannelOut
    reported_at: ReportedAt
    external_ref: ExternalOut
    round: RoundOut


class QueuePage(Answer):
    """A page of the queue."""

    items: Annotated[list[QueueItem], Field(description="The cases, the earliest deadline first.")]
    next: Next


class CaseItem(Answer):
    """A case in a list."""

    case_id: CaseOut
    status: StatusOut
    queue: Annotated[
        Awaited | None,
        Field(description=f"What it waits for; null if for nothing. {_AWAITED}", examples=["unclassified"]),
    ]
    category: CategoryOut
    priority: Annotated[
        Priority | None,
        Field(description="From 1, an emergency, to 4; null before it is first dispatched.", examples=[1]),
    ]
    area: AreaOut
    title: TitleOut
    channel: ChannelOut
    external_ref: ExternalOut
    reported_at: ReportedAt
    retrospective: Annotated[
        bool,
        Field(
            description="Whether it was entered long after the fact. If so, the times entered with it count.",
            examples=[False],
        ),
    ]
    round: RoundOut
    merged_into: Annotated[
        CaseId | None, Field(description="The case it was merged into; null if into none.", examples=[examples.LEADER])
    ]
    outcome: OutcomeOut


class CasePage(Answer):
    """A page of cases."""

    items: Annotated[list[CaseItem], Field(description="The cases, the latest report first.")]
    next: Next


class CaseWaiting(Answer):
    """What the case waits for, since when and until when."""

    queue: AwaitedOut
    since: SinceOut
    due_at: DueAtOut
    overdue: OverdueOut
    unit: WaitingUnit
    words: Annotated[
        list[str],
        Field(
            description="The rules that led there, in their order; the last one says why.", examples=[[examples.WORDS]]
        ),
    ]


class CaseAssignment(Answer):
    """An assignment of the case, and how it ended."""

    assignment_id: Annotated[AssignmentId, Field(description="The assignment.", examples=[examples.FIRST])]
    unit: Annotated[
        Name,
        Field(description="Who it was given to; once it has ended, who had it at the end.", examples=["dept:water"]),
    ]
    task: Annotated[Line, Field(description="What is to be done.", examples=[examples.LEAD_TASK])]
    lead: Annotated[bool, Field(description="Whether its unit leads the work of the round.", examples=[True])]
    outcome: Annotated[Outcome | None, Field(description="How it ended; null while it is open.", examples=["fixed"])]
    failed: Annotated[bool, Field(description="Whether its work failed at the check.", examples=[False])]
    replaced: Annotated[bool, Field(description="Whether a later assignment took its work over.", examples=[False])]


class CaseDetail(Answer):
    """What triage knows of a case."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.DETAILS})

    case_id: CaseOut
    status: StatusOut
    report: Annotated[
        NewReport,
        Field(
            description="The report, as published on `ReportFiled`.",
            examples=[examples.REPORT],
        ),
    ]
    reported_at: ReportedAt
    category: CategoryOut
    area: AreaOut
    supplements: Annotated[
        list[Supplement],
        Field(
            description="What was added to the report, in its order.",
            examples=[[{"kind": "supplement", "text": "It has reached the cellars of number 14."}]],
        ),
    ]
    waiting: Annotated[
        CaseWaiting | None, Field(description="What it waits for; null if for nothing.", examples=[None])
    ]
    ruling: Annotated[
        Assigned | None,
        Field(
            description="The latest ruling of any kind but `upheld`, which changes nothing.",
            examples=[examples.DISPATCHED],
        ),
    ]
    rounds: Annotated[
        list[Dispatched],
        Field(description="Every ruling that dispatched it, in their order.", examples=[[examples.DISPATCHED]]),
    ]
    assignments: Annotated[
        list[CaseAssignment],
        Field(description="The assignments of all rounds, in their order.", examples=[[examples.ASSIGNMENT]]),
    ]
    merged_reports: Annotated[
        int, Field(description="How many cases were merged into this one, not through others.", examples=[17], ge=0)
    ]
    verdict: Annotated[
        Verdict | None,
        Field(description="The latest verdict of the check; null before the first.", examples=["closed"]),
    ]
    outcome: OutcomeOut
    verdict_reason: Annotated[
        Line | None, Field(description="Why the verdict is what it is.", examples=["Still leaking."])
    ]
