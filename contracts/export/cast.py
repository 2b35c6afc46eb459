"""Who and what occurs in the examples again and again: people, places, plans."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from contracts.export.story import Case, Said, at
from contracts.fields import Attachment, Place, Point
from contracts.notice import AssignmentNotice
from contracts.triage import Assignment, Check, Dispatched, Explanation

AREA = "CH/shuangqiaozi/shuangqiaolubei/g003"
MAIN_PLACE = Place(point=Point(lat=30.6524, lon=104.1087), address="双桥路地铁施工围挡旁", area=AREA)
COLLECTOR = "member:shuangqiaolubei-g003-1"
CHECKER = "member:shuangqiaolubei-g003-2"
LEADER = "person:shift-leader-1"

Words = dict[str, Any]
"""Fields that several events have in common."""


def assignment(case: Case, number: str, unit: str, task: str, given: str, **more: Any) -> Assignment:
    """Acknowledged within 5 minutes, resolved within 12 hours, extended twice at most; the first of a round leads."""
    resolve_by = at(given) + timedelta(hours=12)
    return Assignment.model_validate(
        {
            "id": case.assignment(number),
            "unit": unit,
            "lead": number.endswith(".1"),
            "task": task,
            "acknowledge_by": at(given) + timedelta(minutes=5),
            "resolve_by": resolve_by,
            "extensions": (resolve_by + timedelta(hours=12), resolve_by + timedelta(hours=24)),
            "escalated_to": ("district:CH",),
            **more,
        }
    )


def dispatched(plan: Sequence[Assignment], number: int, why: Any, *, filed: str, **more: Any) -> Dispatched:
    """A round of a case of the first priority."""
    return Dispatched.model_validate(
        {
            "round": number,
            "because": why,
            "condition": "a",
            "closing": "恢复供水，路面清理完毕 / Supply restored, the road cleared",
            "priority": 1,
            "area": AREA,
            "filed_at": at(filed),
            "plan": tuple(plan),
            "check": Check(method="photo", by="grid"),
            **more,
        }
    )


def notice_of(plan: Said, number: str, *, to: str, **more: Any) -> AssignmentNotice:
    """What a partner is told of an assignment of one of its units."""
    ruling = plan.data
    assert isinstance(ruling, Dispatched)
    given = next(one for one in ruling.plan if one.id == plan.case.assignment(number))
    return AssignmentNotice.model_validate(
        {
            "to": to,
            "assignment_id": given.id,
            **{name: getattr(given, name) for name in ("unit", "lead", "task", "acknowledge_by", "resolve_by")},
            **{name: getattr(ruling, name) for name in ("title", "text", "attachments", "place", "category")},
            **{
                name: getattr(ruling, name)
                for name in ("condition", "closing", "priority", "round", "because", "reason")
            },
            "retrospective": ruling.retrospective,
            **more,
        }
    )


def because(*rules: str) -> Explanation:
    """Why a ruling is what it is."""
    return Explanation(rules=rules, catalogue="2026.1", policy="2026.1")


def photo(name: str) -> Attachment:
    """A picture, by its name."""
    return Attachment(uri=f"urn:casegrid:attachment:{name}", media_type="image/jpeg")
