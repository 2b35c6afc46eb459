"""The examples of audit's OpenAPI document: a burst water main in the reference district."""

from pydantic import JsonValue
from pydantic.config import JsonDict

CASE, MERGED_CASE = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a11", "019e0a9e-5d10-7a52-b6c4-31f0a7c2e905"
REPORT_ID, RULING_ID = "019e0a9c-1f7b-7d20-9c41-5b2e8f6a1102", "019e0a9c-3ad7-7e19-8f02-6c7d1e3b4a55"
AREA, CATEGORY = "CH/shuangqiaozi/shuangqiaolubei/g001", "event.emergency.water-main"
TITLE, EXTERNAL = "Water gushes out of the road by the metro site", "12345-0007"
REPORTED, RULED, CLOSED = "2026-05-09T01:12:00Z", "2026-05-09T01:12:07Z", "2026-05-09T14:02:31Z"
ASSIGNMENT_ID, LATER = f"{CASE}.1.1", "2026-05-09T20:00:00+08:00"
REQUEST, PARKED = "019e0a9d-77c2-7b08-a3e5-2f4c6d8e0b13", "Resolved/2@17"
REPORTER = "member:shuangqiaolubei-g001-1"
SUMMARY = f"{REPORTER} reported by handset: {TITLE}"
KEY, CONTENT_TYPE = "MDE5ZTBhOWMtMWY3OC03YzNlLThiMWEtMGM4ZjdlMGQ0YTEx", "YXBwbGljYXRpb24vY2xvdWRldmVudHMranNvbg=="
BODY = "eyJzcGVjdmVyc2lvbiI6IjEuMCJ9"
DATA: JsonDict = {"kind": "new", "channel": "handset", "title": TITLE, "category": CATEGORY, "place": {"area": AREA}}

CASE_ITEM: JsonDict = {
    "case_id": CASE,
    "first_index": 41,
    "last_index": 77,
    "events": 19,
    "status": "closed",
    "outcome": "fixed",
    "category": CATEGORY,
    "area": AREA,
    "priority": 1,
    "channel": "handset",
    "title": TITLE,
    "external_ref": EXTERNAL,
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
COORDINATES: JsonDict = {"index": 41, "topic": "ReportFiled", "partition": 2, "offset": 17}
_EVENT: JsonDict = {
    **COORDINATES,
    "stored_at": "2026-05-09T01:12:00.348211Z",
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
            }
        ],
        "statuses": [{"status": "reported", "since": REPORTED, "until": RULED, "duration_seconds": 7.0}],
        "merged": [
            {
                "case_id": MERGED_CASE,
                "title": "No water",
                "channel": "citizen",
                "external_ref": None,
                "reported_at": "2026-05-09T01:14:27Z",
                "merged_at": "2026-05-09T01:14:33Z",
                "status": "closed",
            }
        ],
        "events": [CHAIN_EVENT],
        "next": None,
    }
]
LOG_PAGES: list[JsonValue] = [{"items": [RECORD], "next": 42, "size": 42}]
RECORD_PAGES: list[JsonValue] = [{"items": [RECORD], "next": None}]

_NOTHING: JsonDict = {"count": 0, "items": []}
_UNANSWERED: JsonDict = {
    "case_id": CASE,
    "index": 1041,
    "topic": "from.water",
    "partition": 2,
    "offset": 8,
    "source": "/partners/water",
    "event_id": REQUEST,
    "kind": "acknowledge",
    "stored_at": RULED,
}
COMPLETENESSES: list[JsonValue] = [
    {
        "verdict": "incomplete",
        "reasons": ["1 requests without an answer that were not discarded"],
        "case_id": None,
        "size": 1042,
        "missing_sequences": _NOTHING,
        "repeated_sequences": _NOTHING,
        "conflicting_ids": _NOTHING,
        "open_causes": _NOTHING,
        "wrong_causes": _NOTHING,
        "missing_causes": _NOTHING,
        "unanswered": {"count": 1, "items": [_UNANSWERED]},
        "answered_twice": _NOTHING,
        "invalid": {**_NOTHING, "waiting": 0, "failed": 0},
        "duplicates": {"count": 0},
        "open_cases": _NOTHING,
        "index_gaps": _NOTHING,
        "offset_gaps": _NOTHING,
        "lag": {"ReportFiled": 0, "Assigned": 0, "Resolved": 0, "Evaluated": 0, "Progressed": 0, "from.water": 0},
        "lag_unknown": None,
        "lost": [],
    }
]
_COUNTS: JsonDict = {
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
CATEGORY_COUNTS: JsonDict = {"category": CATEGORY, **_COUNTS}
SUMMARIES: list[JsonValue] = [
    {
        "size": 1042,
        **_COUNTS,
        "by_outcome": {"fixed": 1, "duplicate": 17},
        "by_status": {"closed": 18},
        "by_channel": {"citizen": 17, "handset": 1},
        "by_category": [CATEGORY_COUNTS],
    }
]
