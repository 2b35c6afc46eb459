"""What audit's routes answer with."""

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

_CASE = "0199c0de-7a11-7000-8000-000000000001"
_AT = "2026-05-09T08:12:31.000000Z"

_SHOWN = {
    "case_id": _CASE,
    "first_index": 41,
    "last_index": 77,
    "events": 19,
    "status": "closed",
    "outcome": "fixed",
    "category": "event.emergency.water-main-burst",
    "area": "CH/shuangqiaozi/xinhong/g012",
    "priority": 1,
    "channel": "handset",
    "title": "A water main has burst at the metro site",
    "external_ref": None,
    "reported_at": _AT,
    "ruled_at": _AT,
    "filed_at": _AT,
    "closed_at": "2026-05-10T09:00:00.000000Z",
    "last_at": "2026-05-10T09:30:00.000000Z",
    "ruling": "dispatched",
    "merged_into": None,
    "late_by_seconds": 0,
    "late": False,
    "reworks": 0,
}
_RECORD = {
    "index": 41,
    "topic": "ReportFiled",
    "partition": 2,
    "offset": 17,
    "key_base64": "MDE5OWMwZGUtN2ExMS03MDAwLTgwMDAtMDAwMDAwMDAwMDAx",
    "headers": [["content-type", "YXBwbGljYXRpb24vY2xvdWRldmVudHMranNvbg=="]],
    "body_base64": "eyJzcGVjdmVyc2lvbiI6IjEuMCIsLi4ufQ==",
    "stored_at": _AT,
    "valid": True,
    "invalidity": None,
    "reason": None,
    "source": "/services/intake",
    "event_id": "0199c0de-7a11-7000-8000-000000000002",
    "case_id": _CASE,
    "type": "casegrid.ReportFiled.v1",
    "kind": "new",
    "time": _AT,
    "recorded_time": _AT,
    "sequence": 1,
    "causation_id": None,
    "actor": "member:0117",
    "answers": None,
    "settles": None,
    "duplicate_of": None,
    "summary": "member:0117 reported by handset: A water main has burst at the metro site",
}
_EVENT = {
    "position": 1,
    "index": 41,
    "topic": "ReportFiled",
    "partition": 2,
    "offset": 17,
    "id": "0199c0de-7a11-7000-8000-000000000002",
    "type": "casegrid.ReportFiled.v1",
    "summary": "member:0117 reported by handset: A water main has burst at the metro site",
    "cause": None,
    "actor": "member:0117",
    "source": "/services/intake",
    "sequence": 1,
    "time": _AT,
    "recorded_time": _AT,
    "stored_at": _AT,
    "delay_ms": None,
    "data": {"kind": "new", "channel": "handset", "title": "A water main has burst at the metro site"},
}
_LIST = {"count": 0, "items": []}
_COUNTS = {
    "reported": 18,
    "filed": 1,
    "merged": 17,
    "rejected": 0,
    "withdrawn": 0,
    "closed": 18,
    "open": 0,
    "late": 0,
    "rework": 0,
}


def _example(**value: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [value]})


class Shown(BaseModel):
    """A case as the log tells it. Times are the events' own; indexes are of the log; `events` counts its facts.

    `status` is null where neither the report nor a ruling or verdict is known.
    """

    model_config = _example(**_SHOWN)

    case_id: str
    first_index: int
    last_index: int
    events: int
    status: str | None
    outcome: str | None
    category: str | None
    area: str | None
    priority: int | None
    channel: str | None
    title: str | None
    external_ref: str | None
    reported_at: AwareDatetime | None
    ruled_at: AwareDatetime | None
    filed_at: AwareDatetime | None
    closed_at: AwareDatetime | None
    last_at: AwareDatetime
    ruling: str | None
    merged_into: str | None
    late_by_seconds: int | None
    late: bool | None
    reworks: int


class Cases(BaseModel):
    """A page of cases, in the order in which the log first heard of them."""

    model_config = _example(items=[_SHOWN], next=None)

    items: list[Shown]
    next: str | None


class Link(BaseModel):
    """An event of a chain: who did what, because of what, how long after it. Of a request the times are claims."""

    model_config = _example(**_EVENT)

    position: int
    index: int
    topic: str
    partition: int
    offset: int
    id: str
    type: str
    summary: str
    cause: str | None
    actor: str | None
    source: str
    sequence: int | None
    time: AwareDatetime
    recorded_time: AwareDatetime
    stored_at: AwareDatetime
    delay_ms: int | None
    data: dict[str, Any]


class Assignment(BaseModel):
    """An assignment: how far its unit has come, and how it ended."""

    id: str
    unit: str | None
    lead: bool
    stage: str
    outcome: str | None


class Stage(BaseModel):
    """A status the case was in; `until` and `duration_seconds` are null for the last one."""

    status: str
    since: AwareDatetime
    until: AwareDatetime | None
    duration_seconds: float | None


class MergedReport(BaseModel):
    """A case that was merged into this one; its reporter hears of this one's outcome."""

    case_id: str
    title: str | None
    channel: str | None
    external_ref: str | None
    reported_at: AwareDatetime | None
    merged_at: AwareDatetime | None
    status: str | None


class Chain(BaseModel):
    """A case, as of an instant, with its chain in causal order."""

    model_config = _example(
        case=_SHOWN,
        as_of=None,
        assignments=[
            {"id": f"{_CASE}.1.1", "unit": "dept:water", "lead": True, "stage": "on_scene", "outcome": "fixed"},
        ],
        stages=[
            {"status": "reported", "since": _AT, "until": "2026-05-09T08:12:32.000000Z", "duration_seconds": 1.0},
        ],
        merged=[
            {
                "case_id": "0199c0de-7a11-7000-8000-000000000009",
                "title": "No water",
                "channel": "citizen",
                "external_ref": None,
                "reported_at": _AT,
                "merged_at": _AT,
                "status": "closed",
            },
        ],
        events=[_EVENT],
        next=None,
    )

    case: Shown
    as_of: AwareDatetime | None
    assignments: list[Assignment]
    stages: list[Stage]
    merged: list[MergedReport]
    events: list[Link]
    next: str | None


class Stored(BaseModel):
    """A record as it was stored: exact bytes, coordinates, index; and what was read from it.

    `invalidity`: `forged` where it comes from a source that does not write that topic, else `invalid`. `answers`: the
    request that a notice answers, by its id or, where it could not be read, by its coordinates.
    """

    model_config = _example(**_RECORD)

    index: int
    topic: str
    partition: int
    offset: int
    key_base64: str | None
    headers: list[tuple[str, str | None]]
    body_base64: str | None
    stored_at: AwareDatetime
    valid: bool
    invalidity: Literal["invalid", "forged"] | None
    reason: str | None
    source: str | None
    event_id: str | None
    case_id: str | None
    type: str | None
    kind: str | None
    time: AwareDatetime | None
    recorded_time: AwareDatetime | None
    sequence: int | None
    causation_id: str | None
    actor: str | None
    answers: str | None
    settles: str | None
    duplicate_of: int | None
    summary: str | None


class Records(BaseModel):
    """Records in index order; `next` is the index to go on from, there or not yet; `size` is that of the log."""

    model_config = _example(items=[_RECORD], next=42, size=42)

    items: list[Stored]
    next: int
    size: int


class RecordPage(BaseModel):
    """A page of a case's records in index order."""

    model_config = _example(items=[_RECORD], next=None)

    items: list[Stored]
    next: str | None


class Gaps(BaseModel):
    """What a question found: how many in all, and the first of them."""

    count: int
    items: list[dict[str, Any]]


class Invalid(Gaps):
    """Records that were not valid; `waiting` is how many of them nobody has retried or discarded."""

    waiting: int


class Duplicates(BaseModel):
    """Records that brought an event again, which is no fault."""

    count: int


class Completeness(BaseModel):
    """Whether anything is missing from the log, and what.

    missing_sequences, repeated_sequences: numbers of a source's stream of a case; conflicting_ids: ids that came again
    with other bytes or under a second case; open_causes: not in the log; wrong_causes: of a kind that cannot be its
    cause; missing_causes: none named; unanswered, answered_twice: partners' requests. The last five, from `index_gaps`
    on, are asked of the whole log only, and null for one case.
    """

    model_config = _example(
        verdict="complete",
        reasons=[],
        case_id=None,
        size=1042,
        missing_sequences=_LIST,
        repeated_sequences=_LIST,
        conflicting_ids=_LIST,
        open_causes=_LIST,
        wrong_causes=_LIST,
        missing_causes=_LIST,
        unanswered=_LIST,
        answered_twice=_LIST,
        invalid={**_LIST, "waiting": 0},
        duplicates={"count": 0},
        open_cases=_LIST,
        index_gaps=_LIST,
        offset_gaps=_LIST,
        lag={"ReportFiled": 0, "Assigned": 0, "Resolved": 0, "Evaluated": 0, "Progressed": 0, "from.water": 0},
        lag_unknown=None,
        lost=[],
    )

    verdict: Literal["complete", "incomplete"]
    reasons: list[str]
    case_id: str | None
    size: int
    missing_sequences: Gaps
    repeated_sequences: Gaps
    conflicting_ids: Gaps
    open_causes: Gaps
    wrong_causes: Gaps
    missing_causes: Gaps
    unanswered: Gaps
    answered_twice: Gaps
    invalid: Invalid
    duplicates: Duplicates
    open_cases: Gaps
    index_gaps: Gaps | None
    offset_gaps: Gaps | None
    lag: dict[str, int] | None
    lag_unknown: str | None
    lost: list[str] | None


class Counts(BaseModel):
    """Counts of cases.

    reported: their report is known; filed: dispatched at least once; merged, rejected, withdrawn: by triage's last
    ruling; late: the last verdict says so; rework: sent back at least once; open: not closed.
    """

    reported: int
    filed: int
    merged: int
    rejected: int
    withdrawn: int
    closed: int
    open: int
    late: int
    rework: int


class CategoryCounts(Counts):
    """Counts of the cases of one category: as triage ruled, else as the reporter chose; null where nobody did."""

    category: str | None


class Summary(Counts):
    """Counts of the cases asked for, as of the log's `size`."""

    model_config = _example(
        size=1042,
        **_COUNTS,
        by_outcome={"fixed": 1, "duplicate": 17},
        by_status={"closed": 18},
        by_channel={"citizen": 17, "handset": 1},
        by_category=[{"category": "event.emergency.water-main-burst", **_COUNTS}],
    )

    size: int
    by_outcome: dict[str, int]
    by_status: dict[str, int]
    by_channel: dict[str, int]
    by_category: list[CategoryCounts]
