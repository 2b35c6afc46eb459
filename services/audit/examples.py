"""The examples of audit's OpenAPI document: a burst water main in the reference district.

Each answer is what audit says once the story of tests/services/audit/example_story.py is in its log, except for
`stored_at`; a test compares them.
"""

import base64

import orjson
from pydantic import JsonValue
from pydantic.config import JsonDict

from chassis.web.paging import encode_cursor

CASE, MERGED_CASE = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a11", "019e0a9e-5d10-7a52-b6c4-31f0a7c2e905"
REPORT_ID = "019e0a9c-1f7b-7d20-9c41-5b2e8f6a1102"
STORED = "2026-05-09T01:12:00.348211Z"
AREA, CATEGORY = "CH/shuangqiaozi/shuangqiaolubei/g001", "event.emergency.water-main"
TITLE, EXTERNAL = "Water gushes out of the road by the metro site", "12345-0007"
REPORTED, RULED, CLOSED = "2026-05-09T01:12:00Z", "2026-05-09T01:12:07Z", "2026-05-09T14:02:31Z"
MERGED = "2026-05-09T01:14:33Z"
ASSIGNMENT_ID, SUPPORT_ID, LATER = f"{CASE}.1.1", f"{CASE}.1.2", "2026-05-09T20:00:00+08:00"
REQUEST, PARKED = "019e0a9d-77c2-7b08-a3e5-2f4c6d8e0b13", "Resolved/2@17"
REPORTER = "member:shuangqiaolubei-g001-1"
SUMMARY = f"{REPORTER} reported by handset: {TITLE} ({AREA})"
DATA: JsonDict = {
    "time_doubtful": False,
    "kind": "new",
    "channel": "handset",
    "title": TITLE,
    "text": "",
    "category": CATEGORY,
    "place": {"area": AREA},
    "attachments": [],
    "base_records": [],
    "retrospective": False,
}
_PUBLISHED = {
    "specversion": "1.0",
    "source": "/services/intake",
    "id": REPORT_ID,
    "type": "casegrid.ReportFiled.v1",
    "subject": CASE,
    "time": "2026-05-09T01:12:00.000000Z",
    "recordedtime": "2026-05-09T01:12:00.035000Z",
    "datacontenttype": "application/json",
    "dataschema": "urn:casegrid:schema:ReportFiled:v1",
    "partitionkey": CASE,
    "correlationid": CASE,
    "sequence": "0000000001",
    "actor": REPORTER,
    "data": DATA,
}


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


KEY, CONTENT_TYPE = _base64(CASE.encode()), _base64(b"application/cloudevents+json")
BODY = _base64(orjson.dumps(_PUBLISHED))

CASE_ITEM: JsonDict = {
    "case_id": CASE,
    "first_index": 0,
    "last_index": 13,
    "events": 11,
    "status": "closed",
    "outcome": "fixed",
    "category": CATEGORY,
    "area": AREA,
    "priority": 1,
    "channel": "handset",
    "title": TITLE,
    "external_ref": None,
    "reported_at": REPORTED,
    "ruled_at": RULED,
    "filed_at": RULED,
    "closed_at": CLOSED,
    "last_at": CLOSED,
    "ruling": "dispatched",
    "merged_into": None,
    "late_by_seconds": 0,
    "late": False,
    "reworks": 0,
}
_EVENT: JsonDict = {
    "index": 0,
    "topic": "ReportFiled",
    "partition": 2,
    "offset": 0,
    "stored_at": STORED,
    "event_id": REPORT_ID,
    "type": "casegrid.ReportFiled.v1",
    "source": "/services/intake",
    "sequence": 1,
    "causation_id": None,
    "actor": REPORTER,
    "time": REPORTED,
    "recorded_time": "2026-05-09T01:12:00.035000Z",
    "summary": SUMMARY,
}
CHAIN_EVENT: JsonDict = {"position": 1, **_EVENT, "delay_ms": None, "data": DATA}
RECORD: JsonDict = {
    **_EVENT,
    "case_id": CASE,
    "kind": "new",
    "answers": None,
    "settles": None,
    "duplicate_of": None,
    "reread_of": None,
    "valid": True,
    "invalidity": None,
    "reason": None,
    "key_base64": KEY,
    "headers": [["content-type", CONTENT_TYPE]],
    "body_base64": BODY,
}
CASE_PAGES: list[JsonValue] = [{"items": [CASE_ITEM], "next": None}]
STATUSES: list[JsonValue] = [
    {"status": status, "since": since, "until": until, "duration_seconds": seconds}
    for status, since, until, seconds in (
        ("reported", REPORTED, RULED, 7.0),
        ("dispatched", RULED, "2026-05-09T01:18:40Z", 393.0),
        ("acknowledged", "2026-05-09T01:18:40Z", "2026-05-09T01:41:15Z", 1355.0),
        ("on_scene", "2026-05-09T01:41:15Z", "2026-05-09T13:21:10Z", 41995.0),
        ("fixed", "2026-05-09T13:21:10Z", "2026-05-09T13:21:11Z", 1.0),
        ("checking", "2026-05-09T13:21:11Z", CLOSED, 2480.0),
        ("closed", CLOSED, None, None),
    )
]
CASE_DETAILS: list[JsonValue] = [
    {
        "case": CASE_ITEM,
        "as_of": None,
        "assignments": [
            {
                "assignment_id": ASSIGNMENT_ID,
                "unit": "dept:water",
                "lead": True,
                "stage": "on_scene",
                "outcome": "fixed",
            },
            {
                "assignment_id": SUPPORT_ID,
                "unit": "dept:fire",
                "lead": False,
                "stage": "acknowledged",
                "outcome": "fixed",
            },
        ],
        "statuses": STATUSES,
        "merged": [
            {
                "case_id": MERGED_CASE,
                "title": "No water",
                "channel": "hotline",
                "external_ref": EXTERNAL,
                "reported_at": "2026-05-09T01:14:27Z",
                "merged_at": MERGED,
                "status": "closed",
            }
        ],
        "events": [CHAIN_EVENT],
        "next": encode_cursor([1]),
    }
]
LOG_PAGES: list[JsonValue] = [{"items": [RECORD], "next": 1, "size": 15}]
RECORD_PAGES: list[JsonValue] = [{"items": [RECORD], "next": encode_cursor([0])}]

_NOTHING: JsonDict = {"count": 0, "items": []}
_UNANSWERED: JsonDict = {
    "case_id": CASE,
    "index": 14,
    "topic": "from.water",
    "partition": 2,
    "offset": 0,
    "source": "/partners/water",
    "event_id": REQUEST,
    "kind": "acknowledge",
    "stored_at": STORED,
}
COMPLETENESSES: list[JsonValue] = [
    {
        "verdict": "incomplete",
        "reasons": ["1 requests without an answer that were not discarded"],
        "case_id": None,
        "size": 15,
        "missing_sequences": _NOTHING,
        "repeated_sequences": _NOTHING,
        "conflicting_ids": _NOTHING,
        "repeated_facts": _NOTHING,
        "ahead": _NOTHING,
        "foreign_partitions": _NOTHING,
        "split_cases": _NOTHING,
        "open_causes": _NOTHING,
        "wrong_causes": _NOTHING,
        "missing_causes": _NOTHING,
        "unanswered": {"count": 1, "items": [_UNANSWERED]},
        "answered_twice": _NOTHING,
        "invalid": {**_NOTHING, "waiting": 0, "failed": 0},
        "forged": _NOTHING,
        "duplicates": {"count": 0},
        "open_cases": _NOTHING,
        "index_gaps": _NOTHING,
        "offset_gaps": _NOTHING,
        "lag": dict.fromkeys(
            ("ReportFiled", "Assigned", "Resolved", "Evaluated", "Progressed", "from.water", "to.water"), 0
        ),
        "lag_unknown": None,
        "lost": [],
    }
]
_COUNTS: JsonDict = {
    "reported": 2,
    "filed": 1,
    "merged": 1,
    "rejected": 0,
    "withdrawn": 0,
    "closed": 2,
    "open": 0,
    "late": 0,
    "rework": 0,
}
CATEGORY_COUNTS: JsonDict = {"category": CATEGORY, **_COUNTS}
SUMMARIES: list[JsonValue] = [
    {
        "size": 15,
        **_COUNTS,
        "by_outcome": {"duplicate": 1, "fixed": 1},
        "by_status": {"closed": 2},
        "by_channel": {"handset": 1, "hotline": 1},
        "by_category": [CATEGORY_COUNTS],
    }
]
