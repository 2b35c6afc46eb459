"""The examples of triage's OpenAPI document: a burst water main in the reference district."""

from pydantic import JsonValue
from pydantic.config import JsonDict

CASE, LEADER = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a11", "019e0a97-02c4-7b1d-9f30-5a6d1be47702"
GRID, WATER_MAIN = "CH/shuangqiaozi/shuangqiaolubei/g001", "event.emergency.water-main"
TITLE, EXTERNAL = "Water gushes out of the road by the metro site", "12345-0007"
NOTE, REASON = "A hole of 40 cm in the carriageway.", "The water company and the road department share the work."
PHOTO: JsonDict = {"uri": "https://photos.example/7.jpg", "media_type": "image/jpeg"}
DIG = "Dig up the carriageway and close it again"
REPORTED, FILED = "2026-05-09T01:12:00Z", "2026-05-09T01:12:07Z"
FIRST, LEAD_TASK = f"{CASE}.1.1", "Shut the valves, repair the main, restore supply"
WORDS = "no category: none of the words is known"
RULES: list[JsonValue] = [f"area {GRID} by the position", f"category {WATER_MAIN} as the reporter chose"]
REPORT: JsonDict = {"kind": "new", "channel": "handset", "title": TITLE, "category": WATER_MAIN}
ASSIGNMENT: JsonDict = {
    "assignment_id": FIRST,
    "unit": "dept:water",
    "task": LEAD_TASK,
    "lead": True,
    "outcome": None,
    "failed": False,
    "replaced": False,
}
MERGED: JsonDict = {
    "ruling": "merged",
    "into": LEADER,
    "category": WATER_MAIN,
    "area": GRID,
    "said": TITLE,
    "explanation": {
        "rules": [f"merged into case {LEADER} as ruled by wang"],
        "catalogue": "2026.3",
        "policy": "2026.1",
    },
}
DISPATCHED: JsonDict = {
    "ruling": "dispatched",
    "round": 1,
    "because": "first",
    "category": WATER_MAIN,
    "condition": "a",
    "closing": "Supply restored, road passable, residents told",
    "priority": 1,
    "title": TITLE,
    "place": {"point": {"lat": 30.6475, "lon": 104.1086}, "area": GRID},
    "area": GRID,
    "filed_at": FILED,
    "plan": [
        {
            "id": FIRST,
            "unit": "dept:water",
            "lead": True,
            "task": LEAD_TASK,
            "acknowledge_by": "2026-05-09T01:17:07Z",
            "resolve_by": "2026-05-09T13:12:07Z",
            "escalated_to": ["district:CH"],
        }
    ],
    "check": {"method": "photo", "by": "grid", "within_minutes": 120},
    "explanation": {"rules": RULES, "catalogue": "2026.3", "policy": "2026.1"},
}
VERIFICATIONS: list[JsonValue] = [
    {"confirmed": True, "note": NOTE, "evidence": [PHOTO]},
    {"confirmed": False, "why": "not_reproducible", "note": "Nothing to be seen at the address."},
]
RULINGS: list[JsonValue] = [
    {"category": WATER_MAIN, "condition": "a", "area": GRID, "priority": 1},
    {"units": [{"unit": "dept:water"}, {"unit": "dept:transport", "task": DIG}], "reason": REASON},
    {"merge_into": LEADER, "reason": "The same burst main."},
    {"reject": True, "why": "not_ours", "reason": "It lies in the next district."},
]
CHANGES: list[JsonValue] = [{"case_id": CASE, "status": "merged", "ruling": MERGED}]
DETAILS: list[JsonValue] = [
    {
        "case_id": CASE,
        "status": "dispatched",
        "report": REPORT,
        "reported_at": REPORTED,
        "category": WATER_MAIN,
        "area": GRID,
        "supplements": [],
        "waiting": None,
        "ruling": DISPATCHED,
        "rounds": [DISPATCHED],
        "assignments": [ASSIGNMENT],
        "merged_reports": 17,
        "verdict": None,
        "outcome": None,
        "verdict_reason": None,
    }
]
