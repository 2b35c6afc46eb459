"""What audit's API takes as filters, and what it answers about cases."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from chassis.web.bodies import Answer
from chassis.web.filters import ReportedSince, ReportedUntil, not_before
from chassis.web.paging import PAGE, Next, PageQuery
from contracts.dispatch import Outcome
from contracts.feedback import CaseOutcome
from contracts.fields import AreaPath, CaseId, ClaimedInstant, Instant, Name
from contracts.intake import Channel
from contracts.reference import Competence
from contracts.status import Stage, Status
from contracts.triage import Priority
from services.audit import examples

# What several answers have in common.
Index = Annotated[int, Field(description="The index of the record in the log.", examples=[41], ge=0)]
StoredAt = Annotated[
    Instant, Field(description="When audit stored the record, by its own clock.", examples=[examples.STORED])
]
CaseOut = Annotated[str, Field(description="The case.", examples=[examples.CASE])]
SourceOut = Annotated[str, Field(description="The service or partner that published it.", examples=["/partners/water"])]
Times = Annotated[int, Field(description="How many records have it.", examples=[2], ge=2)]
FirstIndex = Annotated[int, Field(description="The index of the first of these records.", examples=[41], ge=0)]
LastIndex = Annotated[int, Field(description="The index of the last of these records.", examples=[77], ge=0)]
Cases = Annotated[int, Field(ge=0)]
_StatusOut = Annotated[
    Status | None,
    Field(
        description="The case's status; null while neither its report nor a ruling or verdict is known.",
        examples=["closed"],
    ),
]
_CategoryOut = Annotated[
    str | None,
    Field(
        description="The category that triage ruled, else the reporter's choice; null if neither is known.",
        examples=[examples.CATEGORY],
    ),
]
_ChannelOut = Annotated[
    Channel | None, Field(description="How the report came in; null: it is not known.", examples=["handset"])
]
_TitleOut = Annotated[
    str | None,
    Field(description="The report's title; null while the report is not known.", examples=[examples.TITLE]),
]
_ExternalOut = Annotated[
    str | None,
    Field(description="The report's number in the system it came from, if any.", examples=[examples.EXTERNAL]),
]
_ReportedAt = Annotated[
    Instant | None,
    Field(description="The time of the report; null while it is not known.", examples=[examples.REPORTED]),
]

FromIndex = Annotated[int, Field(ge=0, lt=2**63)]
_Prefix = Annotated[str, Field(min_length=1, max_length=200)]


class SummaryFilters(BaseModel):
    """Which cases are counted. All filters must hold; a period includes its beginning and excludes its end."""

    model_config = ConfigDict(frozen=True)

    area: Annotated[
        AreaPath | None,
        Field(
            description="This area and all areas in it. Audit keeps no district: an unknown area finds nothing.",
            examples=["CH/shuangqiaozi"],
        ),
    ] = None
    channel: Annotated[Channel | None, Field(description="How the report came in.", examples=["handset"])] = None
    since: ReportedSince = None
    until: ReportedUntil = None
    external_prefix: Annotated[
        _Prefix | None,
        Field(
            description="The beginning of the report's number in the system it came from.", examples=["nyc311:", "1234"]
        ),
    ] = None
    since_index: Annotated[
        FromIndex | None, Field(description="The case's first record has this index or a later one.", examples=[41])
    ] = None
    since_case: Annotated[
        CaseId | None,
        Field(
            description="This case id or one that sorts behind it as text. Whoever files a case draws its id, so that"
            " is no order of time: `since` bounds the time of the report, `since_index` the place in the log.",
            examples=[examples.CASE],
        ),
    ] = None
    until_case: Annotated[
        CaseId | None,
        not_before("since_case"),
        Field(description="This case id or one that sorts before it as text.", examples=[examples.CASE]),
    ] = None


class CaseFilters(SummaryFilters, PageQuery):
    """Which cases a list holds."""

    status: Annotated[
        Status | None, Field(description="The case's status; audit tells every one.", examples=["closed"])
    ] = None
    outcome: Annotated[CaseOutcome | None, Field(description="How the case was closed.", examples=["fixed"])] = None
    open: Annotated[
        bool | None, Field(description="True: cases that are not closed; false: closed cases.", examples=[True, False])
    ] = None
    category: Annotated[
        Competence | None,
        Field(
            description="This category or any below it. Audit keeps no catalogue: an unknown category finds nothing.",
            examples=["event.emergency", examples.CATEGORY],
        ),
    ] = None
    merged_into: Annotated[
        CaseId | None, Field(description="Merged into this case.", examples=[examples.MERGED_CASE])
    ] = None
    late: Annotated[
        bool | None, Field(description="Whether the case is late by its last verdict.", examples=[True])
    ] = None
    external_ref: Annotated[
        Name | None, Field(description="The report's number in the system it came from.", examples=[examples.EXTERNAL])
    ] = None


class ChainQuery(PageQuery):
    """As of which instant, and which page of the events."""

    at: Annotated[
        ClaimedInstant | None,
        Field(
            description="Shows the case as it was at this instant, by the times of its events; as it is now if absent.",
            examples=[examples.LATER],
        ),
    ] = None
    limit: Annotated[int, Field(ge=1, le=PAGE, description=f"Events, {PAGE} at most.", examples=[PAGE])] = PAGE


class CaseItem(Answer):
    """A case as the log knows it. Times are the events' own; indexes are of the log."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CASE_ITEM]})

    case_id: CaseOut
    first_index: Annotated[int, Field(description="The index of the case's first fact.", examples=[0], ge=0)]
    last_index: Annotated[int, Field(description="The index of the case's last fact.", examples=[13], ge=0)]
    events: Annotated[
        int, Field(description="The number of its facts; requests and notices are not counted.", examples=[11], ge=1)
    ]
    status: _StatusOut
    outcome: Annotated[
        CaseOutcome | None, Field(description="How the case was closed; null while it is open.", examples=["fixed"])
    ]
    category: _CategoryOut
    area: Annotated[
        str | None,
        Field(
            description="The area that triage ruled, else the area of the report; null if neither is known.",
            examples=[examples.AREA],
        ),
    ]
    priority: Annotated[
        Priority | None,
        Field(description="1 is an emergency, 4 can wait; null before the first dispatch.", examples=[1]),
    ]
    channel: _ChannelOut
    title: _TitleOut
    external_ref: _ExternalOut
    reported_at: _ReportedAt
    ruled_at: Annotated[
        Instant | None, Field(description="The time of triage's latest ruling, if any.", examples=[examples.RULED])
    ]
    filed_at: Annotated[
        Instant | None,
        Field(description="When the case was filed; null if it never was.", examples=[examples.RULED]),
    ]
    closed_at: Annotated[
        Instant | None,
        Field(description="When the case was closed; null while it is open.", examples=[examples.CLOSED]),
    ]
    last_at: Annotated[Instant, Field(description="The latest time of any of its facts.", examples=[examples.CLOSED])]
    ruling: Annotated[
        Status | None,
        Field(
            description="Triage's latest word: `dispatched`, `merged`, `rejected` or `withdrawn` for a ruling. While a"
            " ruling is awaited: `verifying` or `reported` before the case is filed, `filed` once it is. Null if triage"
            " has said nothing yet.",
            examples=["dispatched"],
        ),
    ]
    merged_into: Annotated[
        str | None,
        Field(description="The case that this one was merged into, if any.", examples=[examples.MERGED_CASE]),
    ]
    late_by_seconds: Annotated[
        int | None,
        Field(
            description="Seconds from the lead's deadline to its end, by the latest verdict that says so; 0: in time;"
            " null: no verdict says so.",
            examples=[0],
        ),
    ]
    late: Annotated[
        bool | None,
        Field(description="Whether the lead ended after its deadline; null: no verdict says so.", examples=[False]),
    ]
    reworks: Annotated[int, Field(description="How often the case was sent back for rework.", examples=[0], ge=0)]


class CasePage(Answer):
    """A page of cases in the order of their first records."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.CASE_PAGES})

    items: Annotated[list[CaseItem], Field(description="The cases.", examples=[[examples.CASE_ITEM]])]
    next: Next


class Coordinates(Answer):
    """Where a record stands: in the log, and on its topic."""

    index: Index
    topic: Annotated[
        str, Field(description="The topic, without the installation's prefix.", examples=["ReportFiled", "from.water"])
    ]
    partition: Annotated[int, Field(description="The topic's partition.", examples=[2], ge=0)]
    offset: Annotated[int, Field(description="The record's offset in the partition.", examples=[17], ge=0)]


class SequenceGap(Answer):
    """Numbers that are missing in a source's stream of a case."""

    case_id: CaseOut
    source: SourceOut
    since: Annotated[int, Field(description="The first missing number.", examples=[2], ge=1)]
    until: Annotated[int, Field(description="The last missing number.", examples=[3], ge=1)]
    before_index: Annotated[int, Field(description="The index of the event behind the gap.", examples=[77], ge=0)]


class RepeatedFact(Answer):
    """What a case has once only, as several events say it."""

    case_id: CaseOut
    role: Annotated[str, Field(description="What they all say.", examples=["rework 1", "end of the case"])]
    times: Times
    first_index: FirstIndex
    last_index: LastIndex


class ChainEvent(Coordinates):
    """An event of a chain: who did what, its cause, and the delay after its cause. A request's times are claims."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CHAIN_EVENT]})

    position: Annotated[int, Field(description="The event's place in the chain, from 1.", examples=[1], ge=1)]
    stored_at: StoredAt
    event_id: Annotated[str, Field(description="The event's own id.", examples=[examples.REPORT_ID])]
    type: Annotated[
        str, Field(description="What kind of event it is, and in which version.", examples=["casegrid.ReportFiled.v1"])
    ]
    summary: Annotated[str, Field(description="Who did what, in one line.", examples=[examples.SUMMARY])]
    causation_id: Annotated[
        str | None,
        Field(
            description="The id of the event that caused this one; null: it has no cause.",
            examples=[examples.REPORT_ID],
        ),
    ]
    actor: Annotated[
        str | None,
        Field(description="The person, partner or clock that began it, if named.", examples=[examples.REPORTER]),
    ]
    source: Annotated[
        str, Field(description="The service or partner that published it.", examples=["/services/intake"])
    ]
    sequence: Annotated[
        int | None,
        Field(
            description="Its number in its source's stream of the case, from 1; null where a partner gives none.",
            examples=[1],
        ),
    ]
    time: Annotated[
        Instant,
        Field(description="When it happened, by the clock that counts.", examples=[examples.REPORTED]),
    ]
    recorded_time: Annotated[
        Instant,
        Field(description="When its source recorded it, by the source's clock.", examples=["2026-05-09T01:12:00.035Z"]),
    ]
    delay_ms: Annotated[
        int | None,
        Field(
            description="Milliseconds from the recorded time of its cause to its own; null without a cause, and where a"
            " partner's clock recorded one of them.",
            examples=[35],
        ),
    ]
    data: Annotated[
        dict[str, JsonValue],
        Field(
            description="What the event says, exactly as it was published, with any fields that audit does not know."
            " The JSON Schema of the event's type in `contracts/schemas` defines it.",
            examples=[examples.DATA],
        ),
    ]


class AssignmentItem(Answer):
    """An assignment: how far its unit has come, and how it ended."""

    assignment_id: Annotated[
        str,
        Field(description="The case, the round and the number in the round.", examples=[examples.ASSIGNMENT_ID]),
    ]
    unit: Annotated[
        str | None,
        Field(description="Who has the assignment; null while that is not known.", examples=["dept:water"]),
    ]
    lead: Annotated[
        bool,
        Field(
            description="Whether its unit leads the work of the round; false while the plan is not known.",
            examples=[True],
        ),
    ]
    stage: Annotated[Stage, Field(description="How far the unit has come.", examples=["on_scene"])]
    outcome: Annotated[
        Outcome | None, Field(description="How the assignment ended; null while it has not.", examples=["fixed"])
    ]


class StatusPeriod(Answer):
    """A status of the case and how long it lasted."""

    status: Annotated[Status, Field(description="The status in this period.", examples=["reported"])]
    since: Annotated[Instant, Field(description="When the period began.", examples=[examples.REPORTED])]
    until: Annotated[
        Instant | None, Field(description="When the next status began; null in the last.", examples=[examples.RULED])
    ]
    duration_seconds: Annotated[
        float | None, Field(description="From `since` to `until`, in seconds; null in the last.", examples=[7.0])
    ]


class MergedReport(Answer):
    """A case that was merged into this one, as of the same instant; its reporter learns this one's outcome."""

    case_id: Annotated[str, Field(description="The merged case.", examples=[examples.MERGED_CASE])]
    title: _TitleOut
    channel: _ChannelOut
    external_ref: _ExternalOut
    reported_at: _ReportedAt
    merged_at: Annotated[Instant, Field(description="When it was merged.", examples=[examples.MERGED])]
    status: _StatusOut


class CaseDetail(Answer):
    """A case, as of an instant, with its chain in causal order."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.CASE_DETAILS})

    case: Annotated[CaseItem, Field(description="The case itself.")]
    as_of: Annotated[
        Instant | None,
        Field(description="The instant that was asked for; null: the present.", examples=["2026-05-09T12:00:00Z"]),
    ]
    assignments: Annotated[list[AssignmentItem], Field(description="Its assignments, in the order of their ids.")]
    statuses: Annotated[list[StatusPeriod], Field(description="Its statuses, one after another.")]
    merged: Annotated[
        list[MergedReport], Field(description=f"The first {PAGE} reports that were merged into it.", max_length=PAGE)
    ]
    events: Annotated[list[ChainEvent], Field(description="A page of its chain, each event after its cause.")]
    next: Next


class Counts(Answer):
    """Counts of cases. A case may count in several of them."""

    reported: Annotated[Cases, Field(description="Cases whose report is known.", examples=[2])]
    filed: Annotated[Cases, Field(description="Cases that were dispatched at least once.", examples=[1])]
    merged: Annotated[Cases, Field(description="Cases whose latest ruling merged them.", examples=[1])]
    rejected: Annotated[Cases, Field(description="Cases whose latest ruling rejected them.", examples=[0])]
    withdrawn: Annotated[Cases, Field(description="Cases whose latest ruling says withdrawn.", examples=[0])]
    closed: Annotated[Cases, Field(description="Cases that are closed.", examples=[2])]
    open: Annotated[Cases, Field(description="Cases that are not closed.", examples=[0])]
    late: Annotated[Cases, Field(description="Cases that are late by their latest verdict.", examples=[0])]
    rework: Annotated[Cases, Field(description="Cases sent back for rework at least once.", examples=[0])]


class CategoryCounts(Counts):
    """Counts of the cases of one category."""

    category: _CategoryOut


class Summary(Counts):
    """Counts of the cases that the filters hold for."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.SUMMARIES})

    size: Annotated[int, Field(description="Records in the log when it was counted.", examples=[15], ge=0)]
    by_outcome: Annotated[
        dict[CaseOutcome, int],
        Field(description="Outcome -> number of closed cases.", examples=[{"duplicate": 1, "fixed": 1}]),
    ]
    by_status: Annotated[
        dict[Status, int],
        Field(
            description="Status -> number of cases; those whose status is not known are left out.",
            examples=[{"closed": 2}],
        ),
    ]
    by_channel: Annotated[
        dict[Channel, int],
        Field(description="Channel -> number of cases whose report is known.", examples=[{"handset": 1, "hotline": 1}]),
    ]
    by_category: Annotated[
        list[CategoryCounts],
        Field(
            description="The counts of each category, in the order of their codes; last of the cases of none.",
            examples=[[examples.CATEGORY_COUNTS]],
        ),
    ]
