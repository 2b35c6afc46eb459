"""The examples of feedback's OpenAPI document: a burst water main in the reference district, and the figures of May."""

from pydantic import JsonValue
from pydantic.config import JsonDict

CASE = "019e0a9c-1f78-7c3e-8b1a-0c8f7e0d4a11"
FIRST = f"{CASE}.1.1"
GRID, WATER_MAIN, WATER = "CH/shuangqiaozi/shuangqiaolubei/g001", "event.emergency.water-main", "dept:water"
TITLE, LEAD_TASK = "Water gushes out of the road by the metro site", "Shut the valves, repair the main, restore supply"
WORKER, CHECKER, RATER = "worker:water-17", "member:shuangqiaolubei-g002-1", "reporter:5b0c9e6f1d2a4b7c8e9f0a1b"
FILED, ACKNOWLEDGED, ARRIVED = "2026-05-09T01:12:07Z", "2026-05-09T01:15:30Z", "2026-05-09T01:48:00Z"
PLANNED, EXTENDED, DONE = "2026-05-09T13:12:07Z", "2026-05-10T01:12:07Z", "2026-05-09T18:40:00Z"
CHECK_DUE, CLOSED, RATED = "2026-05-09T20:40:00Z", "2026-05-09T19:30:00Z", "2026-05-10T04:00:00Z"
BEGIN, END = "2026-05-01T00:00:00+08:00", "2026-06-01T00:00:00+08:00"
BEGUN, ENDED = "2026-04-30T16:00:00Z", "2026-05-31T16:00:00Z"
PHOTO: JsonDict = {"uri": "https://photos.example/9.jpg", "media_type": "image/jpeg"}
NOTE, FAILURE = "The road is dry and closed again, water is back in all courtyards.", "Water still stands on the road."
FORCED, COMMENT = "The building was pulled down before anybody could check.", "Quick, and well explained."
CHECKS: list[JsonValue] = [
    {"passed": True, "note": NOTE, "evidence": [PHOTO]},
    {"passed": False, "reason": FAILURE, "evidence": [PHOTO]},
]
SCORES: list[JsonValue] = [
    {"formula": "on-time.v1", "value": 1.0},
    {"formula": "hours-to-resolve.v1", "value": 17.4647},
    {"formula": "unit-on-time.v1", "value": 1.0, "unit": WATER},
]
EXTENSION: JsonDict = {"granted_at": "2026-05-09T11:05:00Z", "due_at": EXTENDED}
LINK = f"/indicators/cases?population=due&key=dept%3Awater&by=unit&level=street&since={BEGUN}&until={ENDED}"
CLOSED_LINK = LINK.replace("population=due", "population=closed")
CLOSING_RATE: JsonDict = {
    "formula": "closing-rate.v1",
    "value": 0.75,
    "of": 4,
    "cases": LINK,
    "part": 3,
    "part_cases": CLOSED_LINK,
}
