"""What audit's API takes and answers about the log: records as exact bytes, and what is missing."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from chassis.web.bodies import Answer
from chassis.web.paging import PAGE, Next
from contracts.fields import CaseId, Instant
from services.audit import examples
from services.audit.bodies import (
    CaseItem,
    CaseOut,
    Coordinates,
    FirstIndex,
    FromIndex,
    LastIndex,
    RepeatedFact,
    SequenceGap,
    SourceOut,
    StoredAt,
    Times,
)
from services.audit.findings import Findings, ForeignPartition, RepeatedSequence, SplitCase

Invalidity = Literal["invalid", "forged", "failed"]
_INVALIDITY = "`forged` if its source may not write that topic, `failed` if it is valid but audit could not take it in,"
Header = Annotated[list[str | None], Field(min_length=2, max_length=3)]
"""A name, and a value in base64; behind them the name in base64 if it is not UTF-8."""

CaseRead = Annotated[
    str | None, Field(description="The case that the record names; null if none can be read.", examples=[examples.CASE])
]
SourceRead = Annotated[
    str | None,
    Field(description="Who published it, as the record says; null if unreadable.", examples=["/services/intake"]),
]
CauseOut = Annotated[str, Field(description="The id of the cause that the event names.", examples=[examples.REPORT_ID])]
EventOut = Annotated[str, Field(description="The event's own id.", examples=[examples.REPORT_ID])]


class LogQuery(BaseModel):
    """From which index on, and how many records."""

    model_config = ConfigDict(frozen=True)

    first: Annotated[
        FromIndex, Field(alias="from", description="The index of the first record.", examples=[0, 1042])
    ] = 0
    limit: Annotated[int, Field(ge=1, le=PAGE, description=f"Records, {PAGE} at most.", examples=[50])] = 50


class CompletenessQuery(BaseModel):
    """Of which case, and how many findings."""

    model_config = ConfigDict(frozen=True)

    case_id: Annotated[
        CaseId | None, Field(description="Only this case; the whole log if absent.", examples=[examples.CASE])
    ] = None
    limit: Annotated[int, Field(ge=1, le=PAGE, description=f"Items of each list, {PAGE} at most.", examples=[50])] = 50


class LogRecord(Coordinates):
    """A record as it was stored: exact bytes, coordinates and index; and what was read from it, if it is valid."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.RECORD]})

    key_base64: Annotated[
        str | None, Field(description="The record's key, in base64; null if it had none.", examples=[examples.KEY])
    ]
    headers: Annotated[
        list[Header],
        Field(
            description="The record's headers in order, each with its name and its value in base64 or null. A name that"
            " is not UTF-8 stands a third time, in base64; the first has U+FFFD where it is not.",
            examples=[[["content-type", examples.CONTENT_TYPE]]],
        ),
    ]
    body_base64: Annotated[
        str | None,
        Field(
            description="The exact bytes, in base64; null if the record had no value. Of what the Kafka client cannot"
            " read those of the record or the batch, as it lies on the topic; null if they are more than 1 MiB: the"
            " reason has their number and their SHA-256.",
            examples=[examples.BODY],
        ),
    ]
    stored_at: StoredAt
    valid: Annotated[
        bool,
        Field(
            description="Whether it is an event that its source may write on its topic, and audit took it in.",
            examples=[True],
        ),
    ]
    invalidity: Annotated[
        Invalidity | None,
        Field(
            description=f"{_INVALIDITY} else `invalid`; null if it is taken in.",
            examples=["forged"],
        ),
    ]
    reason: Annotated[
        str | None,
        Field(
            description="Why it is invalid or failed; null if it is valid.",
            examples=["source: /partners/water does not write ReportFiled"],
        ),
    ]
    source: SourceRead
    event_id: Annotated[
        str | None, Field(description="The event's own id; null if unreadable.", examples=[examples.REPORT_ID])
    ]
    case_id: CaseRead
    type: Annotated[
        str | None, Field(description="The event's type and its version.", examples=["casegrid.ReportFiled.v1"])
    ]
    kind: Annotated[
        str | None,
        Field(
            description="Of a report, request or notice its kind; else the ruling, outcome, verdict or step.",
            examples=["new"],
        ),
    ]
    time: Annotated[
        Instant | None,
        Field(description="When the event happened; of a request a claim.", examples=[examples.REPORTED]),
    ]
    recorded_time: Annotated[
        Instant | None,
        Field(description="When its source recorded it, by the source's clock.", examples=["2026-05-09T01:12:00.035Z"]),
    ]
    sequence: Annotated[
        int | None,
        Field(description="Its number in its source's stream of the case; null if it has none.", examples=[1]),
    ]
    causation_id: Annotated[
        str | None,
        Field(description="The id of the event that caused it, if it names one.", examples=[examples.REPORT_ID]),
    ]
    actor: Annotated[
        str | None,
        Field(description="The person, partner or clock that began it, if named.", examples=[examples.REPORTER]),
    ]
    answers: Annotated[
        str | None,
        Field(
            description="Of a notice: the id of the request that it answers, or the request's coordinates if it was"
            " unreadable.",
            examples=[examples.REQUEST, "from.water/2@8"],
        ),
    ]
    settles: Annotated[
        str | None,
        Field(
            description="The coordinates of the parked record that an operator retried or discarded.",
            examples=[examples.PARKED],
        ),
    ]
    duplicate_of: Annotated[
        int | None,
        Field(description="The index of the first record of the same event, if this is not it.", examples=[41]),
    ]
    reread_of: Annotated[
        int | None,
        Field(
            description="The index of the same record as it came, if it could not be taken in then and was read again"
            " by a later version.",
            examples=[41],
        ),
    ]
    summary: Annotated[
        str | None, Field(description="Who did what, in one line; null if it is invalid.", examples=[examples.SUMMARY])
    ]


class LogPage(Answer):
    """Records in index order."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.LOG_PAGES})

    items: Annotated[list[LogRecord], Field(description="The records.", examples=[[examples.RECORD]])]
    next: Annotated[
        int, Field(description="The index to continue from, whether a record is there yet or not.", examples=[42], ge=0)
    ]
    size: Annotated[int, Field(description="Records in the log, which is also the next index.", examples=[42], ge=0)]


class RecordPage(Answer):
    """A page of a case's records in index order."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.RECORD_PAGES})

    items: Annotated[list[LogRecord], Field(description="The records.", examples=[[examples.RECORD]])]
    next: Next


class ConflictingId(Answer):
    """An event id that came again with other bytes or under a second case."""

    source: SourceOut
    event_id: EventOut
    cases: Annotated[int, Field(description="How many cases it came under.", examples=[1], ge=1)]
    times: Times
    first_index: FirstIndex
    last_index: LastIndex


class LoggedEvent(Coordinates):
    """An event with its place in the log."""

    case_id: CaseOut
    source: SourceOut
    event_id: EventOut
    kind: Annotated[
        str,
        Field(
            description="Of a report, request or notice its kind; else the ruling, outcome, verdict or step.",
            examples=["acknowledge"],
        ),
    ]


class OpenCause(LoggedEvent):
    """An event whose cause is not in the log."""

    causation_id: CauseOut


class WrongCause(LoggedEvent):
    """An event with a cause of a kind that cannot be its own."""

    causation_id: CauseOut
    cause: Annotated[
        str | None,
        Field(description="What kind of event the named cause is; null if it is invalid.", examples=["closed"]),
    ]


class UnansweredRequest(LoggedEvent):
    """A partner's request without an answer."""

    stored_at: StoredAt


class AnsweredTwice(LoggedEvent):
    """A partner's request with more than one answer."""

    answers: Annotated[int, Field(description="How many answers it has.", examples=[2], ge=2)]


class InvalidRecord(Coordinates):
    """A record that is unreadable, breaks the contract, is forged or could not be taken in."""

    case_id: CaseRead
    source: SourceRead
    stored_at: StoredAt
    invalidity: Annotated[
        Invalidity,
        Field(description=f"{_INVALIDITY} else `invalid`.", examples=["forged"]),
    ]
    reason: Annotated[
        str,
        Field(description="Why it is invalid.", examples=["source: /partners/water does not write ReportFiled"]),
    ]
    settled: Annotated[bool, Field(description="Whether an operator retried or discarded it.", examples=[False])]
    answered: Annotated[bool, Field(description="Whether its partner was told that it was refused.", examples=[True])]
    reread_as: Annotated[
        int | None,
        Field(
            description="The index at which it is stored as an event, since a later version could take it in.",
            examples=[77],
        ),
    ]


class InvalidRecords(Findings[InvalidRecord]):
    """Records that are invalid."""

    waiting: Annotated[
        int, Field(description="How many of them wait for an operator to retry or discard them.", examples=[0], ge=0)
    ]
    failed: Annotated[
        int,
        Field(
            description="How many are valid, but audit could not take them in; a rebuild of a repaired version can.",
            examples=[0],
            ge=0,
        ),
    ]


class ForgedRecord(Answer):
    """A record that bears a service's name, of which that service says that it is not its own."""

    index: Annotated[
        int | None, Field(description="Where it is in the log; null while it is not stored yet.", examples=[77], ge=0)
    ]
    topic: Annotated[str, Field(description="The topic, without the installation's prefix.", examples=["Assigned"])]
    partition: Annotated[int, Field(description="The topic's partition.", examples=[2], ge=0)]
    offset: Annotated[int, Field(description="The partition's offset.", examples=[17], ge=0)]
    kind: Annotated[
        str | None,
        Field(description="What it says: a ruling, a step ...; null if it is invalid.", examples=["rejected"]),
    ]
    event_id: Annotated[
        str | None, Field(description="The id that it claims; null if that is none.", examples=[examples.REPORT_ID])
    ]
    case_id: CaseOut
    source: Annotated[str, Field(description="Whose name it bears, and who says so.", examples=["/services/triage"])]
    because: Annotated[
        Literal["unknown", "altered"],
        Field(
            description="`unknown`: the service has no such event of the case; `altered`: it has, on another topic or"
            " in other words.",
            examples=["unknown"],
        ),
    ]
    named_at: Annotated[int, Field(description="The index of the step that says so.", examples=[81], ge=0)]


class Duplicates(Answer):
    """Records of events that had been stored before, which is no fault."""

    count: Annotated[int, Field(description="How many there are.", examples=[0], ge=0)]


class IndexGap(Answer):
    """Indexes of the log without a record."""

    since: Annotated[int, Field(description="The first missing index.", examples=[42], ge=0)]
    until: Annotated[int, Field(description="The last missing index.", examples=[43], ge=0)]


class OffsetGap(Answer):
    """Offsets of a partition without a stored record."""

    topic: Annotated[str, Field(description="The topic, without the installation's prefix.", examples=["ReportFiled"])]
    partition: Annotated[int, Field(description="The topic's partition.", examples=[2], ge=0)]
    since: Annotated[int, Field(description="The first missing offset.", examples=[17], ge=0)]
    until: Annotated[int, Field(description="The last missing offset.", examples=[18], ge=0)]


class Completeness(Answer):
    """Whether anything is missing from the log, and what."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.COMPLETENESSES})

    verdict: Annotated[
        Literal["complete", "incomplete"],
        Field(description="`incomplete` if there is any reason.", examples=["complete"]),
    ]
    reasons: Annotated[
        list[str],
        Field(
            description="What is wrong, one kind of fault each, with its number.",
            examples=[["2 events whose cause is not in the log"]],
        ),
    ]
    case_id: Annotated[
        str | None, Field(description="The case that was asked about; null: the whole log.", examples=[examples.CASE])
    ]
    size: Annotated[int, Field(description="Records in the log when it was asked.", examples=[1042], ge=0)]
    missing_sequences: Annotated[
        Findings[SequenceGap], Field(description="Numbers missing in a source's stream of a case.")
    ]
    repeated_sequences: Annotated[
        Findings[RepeatedSequence], Field(description="Numbers that several events of one source have.")
    ]
    conflicting_ids: Annotated[
        Findings[ConflictingId], Field(description="Ids that came again with other bytes or under a second case.")
    ]
    repeated_facts: Annotated[
        Findings[RepeatedFact], Field(description="What a case has once only, and was told again by another event.")
    ]
    ahead: Annotated[Findings[LoggedEvent], Field(description="Events recorded ahead of others that came later.")]
    foreign_partitions: Annotated[
        Findings[ForeignPartition], Field(description="Records of services outside the partitions of their keys.")
    ]
    split_cases: Annotated[
        Findings[SplitCase], Field(description="Cases whose records on one topic lie in several partitions.")
    ]
    open_causes: Annotated[Findings[OpenCause], Field(description="Events whose cause is not in the log.")]
    wrong_causes: Annotated[
        Findings[WrongCause], Field(description="Events with a cause of a kind that cannot be their own.")
    ]
    missing_causes: Annotated[Findings[LoggedEvent], Field(description="Events that name no cause but must.")]
    unanswered: Annotated[
        Findings[UnansweredRequest],
        Field(description="Partners' requests without an answer that no operator discarded."),
    ]
    answered_twice: Annotated[
        Findings[AnsweredTwice], Field(description="Partners' requests with more than one answer.")
    ]
    invalid: Annotated[
        InvalidRecords, Field(description="Invalid records. Only those that wait or failed are a fault.")
    ]
    forged: Annotated[
        Findings[ForgedRecord],
        Field(
            description="Records that bear a service's name and are not its own, as that service says. They took effect"
            " with whoever reads them, and are never settled; `invalid` are records that took none."
        ),
    ]
    duplicates: Annotated[Duplicates, Field(description="How often an event was stored again, which is no fault.")]
    open_cases: Annotated[Findings[CaseItem], Field(description="Cases that are not closed, which is no fault.")]
    index_gaps: Annotated[
        Findings[IndexGap] | None, Field(description="Missing indexes of the log; null for one case.")
    ]
    offset_gaps: Annotated[
        Findings[OffsetGap] | None, Field(description="Missing offsets of partitions; null for one case.")
    ]
    lag: Annotated[
        dict[str, int] | None,
        Field(
            description="Topic -> records that are not stored yet; null for one case, and if the broker did not tell.",
            examples=[{"ReportFiled": 0, "from.water": 1}],
        ),
    ]
    lag_unknown: Annotated[
        str | None,
        Field(
            description="Why `lag` and `lost` are not known, or not of all topics; null if they are known, and for one"
            " case.",
            examples=["the broker has no topic from.water"],
        ),
    ]
    lost: Annotated[
        list[str] | None,
        Field(
            description="Partitions, as `topic/partition`, that end before the log does; null for one case, and if the"
            " broker did not tell.",
            examples=[["ReportFiled/2"]],
        ),
    ]
