"""What goes into intake over HTTP and what comes out, with examples of the reference district."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from chassis.web.bodies import Answer, Body
from chassis.web.filters import AreaPrefix, ReportedSince, ReportedUntil, statuses_of
from chassis.web.paging import Next, PageQuery
from chassis.web.requests import When
from contracts.feedback import CaseOutcome
from contracts.fields import Attachments, CaseId, Filled, FilledText, Line, Name, Place, Text
from contracts.intake import Channel
from contracts.request import ReportedPlace
from contracts.status import Status

CASE, LEADER = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a11", "019e0a97-02c4-7b1d-9f30-5a6d1be47702"
REPORTER = "reporter:5f0c2b9a41d8e6737c1e09ab"
_EVENT = "019e0a9c-1f79-7004-9d61-3f0a52c7be90"
_AREA, _CATEGORY = "CH/shuangqiaozi/shuangqiaolubei/g001", "event.emergency.water-main"
_KEY_PLACE = "place:shuangqiao-road-metro-site"
_POINT: Any = {"lat": 30.6475, "lon": 104.1086}
_ADDRESS = "Shuangqiao Road, beside the metro site"
_PHOTO: Any = {"uri": "https://photos.example/7.jpg", "media_type": "image/jpeg"}
_TITLE, _TEXT = "Water main burst by the metro site", "Water all over the road, the pressure at home is gone."
_MORE, _WHY = "It has reached the cellars of number 14.", "It has dried up by itself."
_PURPOSE = "Call back: is the water on again?"
_UPHELD = "The main is still open."
_PRAISE, _AGAIN = "Quick, and well explained.", "The water is gone again at number 4."
_THEN = (
    "People of the centre see that you ask for it, and file the matter anew where it must go on. This case stays"
    " closed."
)
_SEEN, _ARRIVED, _CLOSED = "2026-05-09T01:02:03Z", "2026-05-09T01:02:07.813022Z", "2026-05-10T02:30:00.104417Z"
_RATED = "2026-05-10T04:00:00.218405Z"

# What several bodies have in common.
AttachmentsIn = Annotated[
    Attachments, Field(description="Photos, recordings and documents; 50 at most.", examples=[[_PHOTO]])
]
AttachmentsOut = Annotated[Attachments, Field(description="Photos, recordings and documents.", examples=[[_PHOTO]])]
CaseOut = Annotated[str, Field(description="The case that began with the report.", examples=[CASE])]
EventOut = Annotated[str, Field(description="The event that was published.", examples=[_EVENT])]
StatusOut = Annotated[
    Status, Field(description="The report's status, as far as intake can tell.", examples=["reported"])
]
ChannelOut = Annotated[Channel, Field(description="How the report came in.", examples=["handset"])]
ReporterOut = Annotated[
    str | None,
    Field(description="An opaque reference to the reporter; null if nobody was named.", examples=[REPORTER]),
]
RetrospectiveOut = Annotated[
    bool,
    Field(
        description="Whether it was entered long after the fact. If so, the times entered with it count.",
        examples=[False],
    ),
]
ReportedAt = Annotated[
    datetime, Field(description="The instant that counts; its arrival unless retrospective.", examples=[_ARRIVED])
]
ClaimedAt = Annotated[
    datetime | None,
    Field(description="When it happened in the reporter's words, if another instant counts.", examples=[_SEEN]),
]
Doubtful = Annotated[
    bool, Field(description="Whether the claimed time cannot be true, or was not believed.", examples=[False])
]
SupplementCount = Annotated[int, Field(description="How many supplements the report has.", examples=[1])]
WithdrawalRequested = Annotated[
    bool, Field(description="Whether the report was withdrawn; triage rules on that.", examples=[False])
]
UpheldReason = Annotated[
    str | None,
    Field(description="Why the case goes on although the report was withdrawn; otherwise null.", examples=[_UPHELD]),
]
Stars = Annotated[int, Field(description="From 1, very dissatisfied, to 5, very satisfied.", examples=[5], ge=1, le=5)]
Comment = Annotated[FilledText | None, Field(description="What they say of it.", examples=[_PRAISE])]
ReopeningRequested = Annotated[
    bool, Field(description="Whether its reporter asked to reopen the case after it was closed.", examples=[False])
]
SaidAt = Annotated[datetime, Field(description="When it was said; the instant that counts.", examples=[_ARRIVED])]
SaidBy = Annotated[str | None, Field(description="Who said it, as events name the actor.", examples=[REPORTER])]


class PlaceBody(Body, ReportedPlace):
    """Any of a position, an address in words, and an area. A position decides; an area beside it is ignored."""


class ReporterBody(Body):
    """The reporter, to be called back. Never leaves intake; can be erased."""

    name: Annotated[Name | None, Field(description="The name.", examples=["Li Na"])] = None
    phone: Annotated[
        Annotated[str, Field(min_length=1, max_length=50), Filled] | None,
        Field(description="The telephone number.", examples=["+86 28 5555 0101"]),
    ] = None


class ReportBody(Body):
    """A new report."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "title": _TITLE,
                    "text": _TEXT,
                    "category": _CATEGORY,
                    "place": {"point": _POINT, "address": _ADDRESS},
                    "reporter": {"name": "Li Na", "phone": "+86 28 5555 0101"},
                    "attachments": [_PHOTO],
                    "external_ref": "H-42",
                },
                {"title": "No water since this morning", "place": {"area": _AREA}},
            ]
        },
    )

    title: Annotated[Line, Field(description="What is wrong, in one line.", examples=[_TITLE])]
    text: Annotated[Text, Field(description="The report in the reporter's words.", examples=[_TEXT])] = ""
    category: Annotated[
        Name | None,
        Field(
            description="The reporter's own choice from the catalogue; triage may rule otherwise.", examples=[_CATEGORY]
        ),
    ] = None
    channel: Annotated[
        Channel | None,
        Field(
            description="How it came in; needed only if the caller's role allows several and the usual one is wrong.",
            examples=["citizen"],
        ),
    ] = None
    place: Annotated[
        PlaceBody, Field(description="Where it is.", examples=[{"point": _POINT, "address": _ADDRESS}])
    ] = PlaceBody()
    reporter: Annotated[ReporterBody | None, Field(description="Whom to call back.", examples=[{"name": "Li Na"}])] = (
        None
    )
    attachments: AttachmentsIn = ()
    base_records: Annotated[
        tuple[Name, ...],
        Field(
            max_length=50,
            description="The people, households, organisations, places and facilities it concerns, by identifier.",
            examples=[["facility:9"]],
        ),
    ] = ()
    external_ref: Annotated[
        Name | None, Field(description="Its number in the system it came from.", examples=["H-42"])
    ] = None
    at: When = None


class SupplementBody(Body):
    """More about a report."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": _MORE, "attachments": [_PHOTO]}]})

    text: Annotated[FilledText, Field(description="What is to be added.", examples=[_MORE])]
    attachments: AttachmentsIn = ()
    at: When = None


class WithdrawalBody(Body):
    """Why the report is withdrawn."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": _WHY}]})

    reason: Annotated[Line, Field(description="Why, in one line.", examples=[_WHY])]
    at: When = None


class RatingBody(Body):
    """How satisfied the reporter is with the handling of the case."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"rating": 5, "comment": _PRAISE}, {"rating": 2}]})

    rating: Stars
    comment: Comment = None
    at: When = None


class ReopeningBody(Body):
    """Why the case is not over."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": _AGAIN}]})

    reason: Annotated[Line, Field(description="Why, in one line.", examples=[_AGAIN])]
    at: When = None


class DisclosureBody(Body):
    """For which case a person's name and number are read, and what for."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"case_id": CASE, "purpose": _PURPOSE}]})

    case_id: Annotated[CaseId, Field(description="A case that bears the reference.", examples=[CASE])]
    purpose: Annotated[
        Line,
        Field(
            description="What for, in one line. It stays in the case's chain for ever, where every auditor reads it:"
            " write no name, number or other personal data into it.",
            examples=[_PURPOSE],
        ),
    ]


class ReportFilters(PageQuery):
    """Which reports a list holds."""

    status: Annotated[
        Status | None,
        Field(
            description=f"The report's own status. Intake shows {statuses_of('intake')}.",
            examples=["dispatched"],
        ),
    ] = None
    area: AreaPrefix = None
    channel: Annotated[Channel | None, Field(description="How it came in.", examples=["hotline"])] = None
    since: ReportedSince = None
    until: ReportedUntil = None
    external_ref: Annotated[
        Name | None, Field(description="Its number in the system it came from.", examples=["H-42"])
    ] = None
    merged_into: Annotated[
        CaseId | None, Field(description="Merged into this case, not through others.", examples=[LEADER])
    ] = None
    reopening_requested: Annotated[
        bool | None, Field(description="Whether its reporter asked to reopen it.", examples=[True])
    ] = None


class FiledReport(Answer):
    """What filing a report gave."""

    case_id: CaseOut
    event_id: EventOut
    status: StatusOut
    channel: ChannelOut
    area: Annotated[str | None, Field(description="Where it is; null: a person must decide that.", examples=[_AREA])]
    key_place: Annotated[
        str | None, Field(description="The key place it is at, which raises its priority.", examples=[_KEY_PLACE])
    ]
    reporter_ref: ReporterOut
    retrospective: RetrospectiveOut
    reported_at: ReportedAt
    claimed_at: ClaimedAt
    time_doubtful: Doubtful


class ReportChange(Answer):
    """What a supplement or a withdrawal gave."""

    case_id: CaseOut
    event_id: EventOut
    status: StatusOut
    supplement_count: SupplementCount
    withdrawal_requested: WithdrawalRequested


class RatingReceipt(Answer):
    """The rating as it was taken."""

    case_id: CaseOut
    event_id: EventOut
    rating: Stars
    rated_at: SaidAt


class ReopeningReceipt(Answer):
    """The wish to reopen the case as it was taken."""

    case_id: CaseOut
    event_id: EventOut
    status: StatusOut
    reopening_requested: ReopeningRequested
    requested_at: SaidAt
    what_follows: Annotated[str, Field(description="What happens now, in words.", examples=[_THEN])] = _THEN


class ReportItem(Answer):
    """A report in a list. Of a merged one, who may not hear of the case it was merged into is shown its own status and
    outcome, and neither a sensitive category nor the id of a case that is hidden from them. Whoever filed it is shown
    status and outcome all the same, and the category that they chose.
    """

    case_id: CaseOut
    status: Annotated[
        Status,
        Field(description="The status; if it was merged, that of the case it was merged into.", examples=["closed"]),
    ]
    own_status: Annotated[Status, Field(description="The status of this report alone.", examples=["merged"])]
    outcome: Annotated[
        CaseOutcome | None,
        Field(description="How it was closed; if it was merged, how that case was.", examples=["fixed"]),
    ]
    reason: Annotated[
        str | None,
        Field(
            description="Why it ended as it did. Null if it was merged, because that case's reason may quote another"
            " reporter.",
            examples=[None],
        ),
    ]
    closed_at: Annotated[
        datetime | None,
        Field(description="When it was closed; if it was merged, when that case was.", examples=[_CLOSED]),
    ]
    merged_into: Annotated[
        str | None,
        Field(
            description="The case it was merged into; null if into none, or one that does not exist for the caller.",
            examples=[LEADER],
        ),
    ]
    channel: ChannelOut
    title: Annotated[str, Field(description="What is wrong, in one line.", examples=[_TITLE])]
    category: Annotated[
        str | None, Field(description="The category as ruled; before a ruling as reported.", examples=[_CATEGORY])
    ]
    area: Annotated[str | None, Field(description="The area as ruled; before a ruling as located.", examples=[_AREA])]
    external_ref: Annotated[str | None, Field(description="Its number in the system it came from.", examples=["H-42"])]
    reporter_ref: ReporterOut
    reported_at: ReportedAt
    filed_at: Annotated[
        datetime | None, Field(description="When triage first dispatched it.", examples=["2026-05-09T01:02:09.530118Z"])
    ]
    filed_by: Annotated[str, Field(description="Who filed it: a person, or `partner:<id>`.", examples=[REPORTER])]
    reported_by: Annotated[
        str | None, Field(description="The partner whose system filed it; null for a person.", examples=[None])
    ]
    retrospective: RetrospectiveOut
    supplement_count: SupplementCount
    withdrawal_requested: WithdrawalRequested
    upheld_reason: UpheldReason
    rating: Annotated[
        Stars | None, Field(description="The latest rating by its reporter; null if there is none.", examples=[5])
    ]
    reopening_requested: ReopeningRequested


class SupplementItem(Answer):
    """A supplement, word for word."""

    at: SaidAt
    claimed_at: ClaimedAt
    by: SaidBy
    text: Annotated[str, Field(description="What was added.", examples=[_MORE])]
    attachments: AttachmentsOut


class WithdrawalItem(Answer):
    """The withdrawal, word for word."""

    at: SaidAt
    claimed_at: ClaimedAt
    by: SaidBy
    reason: Annotated[str, Field(description="Why it was withdrawn.", examples=[_WHY])]
    upheld_reason: UpheldReason


class RatingItem(Answer):
    """A rating, word for word."""

    at: SaidAt
    claimed_at: ClaimedAt
    by: SaidBy
    rating: Stars
    comment: Comment


class ReopeningItem(Answer):
    """A wish to reopen the case, word for word."""

    at: SaidAt
    claimed_at: ClaimedAt
    by: SaidBy
    reason: Annotated[str, Field(description="Why the case is not over.", examples=[_AGAIN])]


class ReportDetail(ReportItem):
    """A report with all its words, and what became of it."""

    text: Annotated[str, Field(description="The report in the reporter's words.", examples=[_TEXT])]
    place: Annotated[
        Place,
        Field(
            description="Where it is, as reported and located.",
            examples=[{"point": _POINT, "address": _ADDRESS, "area": _AREA, "key_place": _KEY_PLACE}],
        ),
    ]
    report_category: Annotated[str | None, Field(description="The category as reported.", examples=[_CATEGORY])]
    attachments: AttachmentsOut
    base_records: Annotated[
        list[str], Field(description="The base records it concerns, by identifier.", examples=[["facility:9"]])
    ]
    claimed_at: ClaimedAt
    time_doubtful: Doubtful
    supplements: Annotated[
        list[SupplementItem],
        Field(
            description="The supplements in their order.",
            examples=[[{"at": _ARRIVED, "claimed_at": None, "by": REPORTER, "text": _MORE, "attachments": [_PHOTO]}]],
        ),
    ]
    withdrawal: Annotated[
        WithdrawalItem | None, Field(description="The withdrawal; null if there is none.", examples=[None])
    ]
    ratings: Annotated[
        list[RatingItem],
        Field(
            description="The ratings in their order.",
            examples=[[{"at": _RATED, "claimed_at": None, "by": REPORTER, "rating": 5, "comment": _PRAISE}]],
        ),
    ]
    reopenings: Annotated[
        list[ReopeningItem],
        Field(
            description="The wishes to reopen the case, in their order.",
            examples=[[{"at": _RATED, "claimed_at": None, "by": REPORTER, "reason": _AGAIN}]],
        ),
    ]


class ReportPage(Answer):
    """A page of reports."""

    items: Annotated[list[ReportItem], Field(description="The reports, the newest first.")]
    next: Next


class Reporter(Answer):
    """Who a reference stands for."""

    reporter_ref: Annotated[str, Field(description="The reference.", examples=[REPORTER])]
    name: Annotated[str | None, Field(description="The name, if given.", examples=["Li Na"])]
    phone: Annotated[str | None, Field(description="The telephone number, if given.", examples=["+86 28 5555 0101"])]


class DisclosedReporter(Reporter):
    """The same, with the step of the case that says who read it and what for."""

    case_id: Annotated[str, Field(description="The case that bears the reference.", examples=[CASE])]
    event_id: EventOut
